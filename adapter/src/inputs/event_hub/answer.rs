//! The part of the hub that takes over answers to questions. A failure changes nothing but the time of the next question.

use tokio::time::Instant;

use super::fact::Resource;
use super::hub::{ARTIFACTS, Done, Hub, seconds};
use super::judge::moved;
use super::lists::List;
use super::mirror::Moment;

impl Hub {
    pub(super) async fn done(&mut self, done: Done) {
        match done {
            Done::List(resource, began, Ok(list)) => match list.refused.first() {
                // Something else than what was asked for, whatever it is.
                Some(first) if list.facts.is_empty() && self.mirror.count(resource) > 0 => {
                    let error = format!("none of its {} entries can be understood, such as {first}", list.refusals);
                    self.unlisted(resource, error);
                }
                _ => self.listed(resource, began, list).await,
            },
            Done::List(resource, began, Err(error)) => {
                // What is known of a list is never given up for such an answer.
                let nothing_known = self.mirror.count(resource) == 0;
                if error.is_unknown() && resource.is_optional() && nothing_known {
                    tracing::debug!(list = resource.name(), "API Manager has no such list; it counts as empty");
                    return self.listed(resource, began, List::default()).await;
                }
                self.unlisted(resource, error.to_string());
            }
            Done::All(began, Ok(judged)) => self.answered_all(began, judged).await,
            Done::All(_, Err(error)) => {
                self.report.pull_failures = self.report.pull_failures.saturating_add(1);
                tracing::warn!(list = ARTIFACTS, %error, "API Manager cannot be asked; the APIs stay");
                self.artifacts.failed(Instant::now(), error.to_string());
            }
            Done::One(uuid, began, Ok(judged)) => self.answered_one(&uuid, began, judged).await,
            Done::One(uuid, _, Err(error)) => {
                self.report.pull_failures = self.report.pull_failures.saturating_add(1);
                tracing::warn!(api = uuid, %error, "API Manager cannot be asked for an API, which stays as it is");
                self.paused = Instant::now().checked_add(self.settings.pause).unwrap_or_else(Instant::now);
                self.apis.ended(&uuid, Some(self.paused));
            }
        }
    }

    fn unlisted(&mut self, resource: Resource, error: String) {
        self.report.pull_failures = self.report.pull_failures.saturating_add(1);
        tracing::warn!(list = resource.name(), error, "API Manager cannot be asked; what is known stays");
        if let Some(source) = self.sources.get_mut(&resource) {
            source.failed(Instant::now(), error);
        }
    }

    async fn listed(&mut self, resource: Resource, began: Moment, mut list: List) {
        for refused in &list.refused {
            tracing::warn!(refused, "an entry of API Manager cannot be understood and is left out");
        }
        if resource == Resource::BlockConditions && list.refusals > 0 {
            // What keeps somebody out may be what could not be understood.
            for (key, fact) in self.mirror.list(resource) {
                list.facts.entry(key.to_owned()).or_insert_with(|| (fact.clone(), 0));
            }
        }
        let applied = self.mirror.pull(resource, list.facts, began);
        let changed = applied.changed.len();
        let writes = self.writes(&applied);
        self.unwritten.extend(writes);
        self.show(&applied).await;
        self.want(&applied);
        self.report.pulls = self.report.pulls.saturating_add(1);
        let count = self.mirror.count(resource);
        if let Some(source) = self.sources.get_mut(&resource) {
            source.succeeded(Instant::now(), began, seconds());
            (source.report.count, source.report.refused) = (count, list.refusals);
        }
        tracing::debug!(list = resource.name(), count, changed, "pulled");
        self.completed(resource.name());
    }

    pub(super) fn completed(&mut self, source: &str) {
        if self.complete.insert(source.to_owned()) {
            self.complete_written = false;
        }
        if self.complete.len() > Resource::ALL.len() && !*self.ready.borrow() {
            tracing::info!("everything of API Manager is known");
            self.ready.send_replace(true);
        }
    }

    /// Moves APIs to other states of their life cycle, or asks for those of which more is different.
    pub(super) async fn follow_facts(&mut self) {
        let facts = self.facts();
        let mut moves = Vec::new();
        for uuid in self.apis.outdated(&facts) {
            let (Some(served), fact) = (self.apis.get(&uuid), facts.get(&uuid).copied()) else { continue };
            let before = served.before.fact;
            let only_moved = fact.zip(before).filter(|(fact, before)| fact.default_version == before.default_version);
            match only_moved.and_then(|(fact, _)| moved(&served.deployments, fact.life_cycle)) {
                Some(deployments) => moves.push((uuid, fact, deployments)),
                None => self.read_again(&uuid).await,
            }
        }
        self.move_all(moves).await;
    }
}
