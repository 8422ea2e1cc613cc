//! Which APIs are deployed, in which revisions, and of which it is to be asked again. Pure, but for the clock it is given.
//!
//! An event only says that something may be different; what is deployed says the answer to a question that was asked after it. An
//! answer about all APIs says nothing about one of which something was heard, or that was asked for by itself, after the question.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::artifact::Artifact;
use super::events::ApiEvent;
use super::fact::ApiFact;
use super::judge::{Before, Judged};
use super::mirror::{LAG, Moment, Stamp};
use crate::model::{Deployment, Problems};

/// An API that is served.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// Its revisions, and what was said beside.
    pub before: Before,
    /// What gateways get of it.
    pub deployments: Vec<Arc<Deployment>>,
    /// `revisionId` of its revisions, by the keys of the artifacts.
    pub numbers: BTreeMap<String, i64>,
}

/// An API of which it is to be asked.
#[derive(Debug, Default)]
struct Wanted {
    soon: Option<Instant>,
    later: Option<Instant>,
    running: bool,
}

/// All APIs.
#[derive(Debug, Default)]
pub struct Apis {
    served: BTreeMap<String, Served>,
    wanted: BTreeMap<String, Wanted>,
    /// When the question began whose answer about an API counted last.
    answered: BTreeMap<String, Moment>,
    /// When an API was deployed last, by API Manager's clock.
    deployed: BTreeMap<String, Stamp>,
    /// What is wrong with those that cannot be served as they should be.
    refused: BTreeMap<String, Problems>,
}

impl Apis {
    /// All that are served.
    pub fn served(&self) -> impl Iterator<Item = (&String, &Served)> {
        self.served.iter()
    }

    /// One that is served.
    #[must_use]
    pub fn get(&self, uuid: &str) -> Option<&Served> {
        self.served.get(uuid)
    }

    /// What need not be read again. An API that is refused is read each time: another may have given way.
    #[must_use]
    pub fn before(&self) -> BTreeMap<String, Before> {
        let good = self.served.iter().filter(|(uuid, _)| !self.refused.contains_key(*uuid));
        good.map(|(uuid, served)| (uuid.clone(), served.before.clone())).collect()
    }

    /// How many are refused.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// Asks for an API at once, and again when an event that was heard now is certainly known.
    pub fn want(&mut self, uuid: &str, now: Instant) {
        let wanted = self.wanted.entry(uuid.to_owned()).or_default();
        wanted.soon = Some(now);
        wanted.later = now.checked_add(LAG);
    }

    /// How many are to be asked for.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.wanted.len()
    }

    /// Asks for none by itself: all are asked for.
    pub fn want_none(&mut self) {
        self.wanted.retain(|_, wanted| wanted.running);
    }

    /// When the next one is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let idle = self.wanted.values().filter(|wanted| !wanted.running);
        idle.flat_map(|wanted| wanted.soon.into_iter().chain(wanted.later)).min()
    }

    /// One that is due now, which is asked for now.
    pub fn begin(&mut self, now: Instant) -> Option<String> {
        let is_due =
            |wanted: &Wanted| !wanted.running && wanted.soon.into_iter().chain(wanted.later).any(|due| due <= now);
        let (uuid, wanted) = self.wanted.iter_mut().find(|(_, wanted)| is_due(wanted))?;
        wanted.running = true;
        wanted.soon = None;
        wanted.later = wanted.later.filter(|later| *later > now);
        Some(uuid.clone())
    }

    /// It was answered, or it is to be asked again.
    pub fn ended(&mut self, uuid: &str, again: Option<Instant>) {
        if let Some(wanted) = self.wanted.get_mut(uuid) {
            wanted.running = false;
            wanted.soon = wanted.soon.into_iter().chain(again).min();
            if wanted.soon.is_none() && wanted.later.is_none() {
                self.wanted.remove(uuid);
            }
        }
    }

    /// What is left of an API after it was certainly taken from environments; `None` when nothing is to be done, as for an event
    /// that is older than the deployment.
    pub fn without(&mut self, event: &ApiEvent) -> Option<Vec<Arc<Deployment>>> {
        if event.removed_from.is_empty() {
            self.deployed.insert(event.uuid.clone(), event.stamp);
            return None;
        }
        if self.deployed.get(&event.uuid).is_some_and(|deployed| event.stamp != 0 && *deployed > event.stamp) {
            return None;
        }
        let served = self.served.get(&event.uuid)?;
        let concerned = |name: &String| event.removed_from.contains(name);
        if !served.deployments.iter().any(|deployment| deployment.environments.iter().any(concerned)) {
            return None;
        }
        let left = served.deployments.iter().filter_map(|deployment| {
            let environments: BTreeSet<String> =
                deployment.environments.iter().filter(|name| !concerned(name)).cloned().collect();
            let changed = Deployment { environments, ..Deployment::clone(deployment) };
            (!changed.environments.is_empty()).then(|| Arc::new(changed))
        });
        Some(left.collect())
    }

    /// Artifacts of an API after it was certainly taken from environments.
    #[must_use]
    pub fn artifacts_without(&self, event: &ApiEvent) -> Vec<Artifact> {
        let mut artifacts =
            self.served.get(&event.uuid).map(|served| served.before.artifacts.clone()).unwrap_or_default();
        for artifact in &mut artifacts {
            artifact.environments.retain(|name, _| !event.removed_from.contains(name));
            artifact.endpoints.retain(|name, _| !event.removed_from.contains(name));
        }
        artifacts.retain(|artifact| !artifact.environments.is_empty());
        artifacts
    }

    /// Whether an answer about all APIs says something about this one.
    #[must_use]
    pub fn counts_for(&self, uuid: &str, began: Moment) -> bool {
        !self.wanted.contains_key(uuid) && self.answered.get(uuid).is_none_or(|answered| *answered <= began)
    }

    /// Those that are served although an answer about all APIs, which counts for them, has none of them.
    #[must_use]
    pub fn missing(&self, listed: &BTreeSet<String>, began: Moment) -> Vec<String> {
        let gone = self.served.keys().filter(|uuid| !listed.contains(*uuid) && self.counts_for(uuid, began));
        gone.cloned().collect()
    }

    /// An answer about all APIs counts from now on; what was answered before need not be remembered.
    pub fn answered_all(&mut self, began: Moment) {
        self.answered.retain(|_, answered| *answered > began);
    }

    /// An answer about this API counts from now on.
    pub fn answered(&mut self, uuid: &str, began: Moment) {
        self.answered.insert(uuid.to_owned(), began);
    }

    /// It is served like this now.
    pub fn serve(&mut self, judged: Judged, deployments: Vec<Arc<Deployment>>, numbers: BTreeMap<String, i64>) {
        self.refused.remove(&judged.uuid);
        let before = Before { artifacts: judged.artifacts, fact: judged.fact };
        self.served.insert(judged.uuid, Served { before, deployments, numbers });
    }

    /// It is no longer served. Gives what was.
    pub fn drop(&mut self, uuid: &str) -> Option<Served> {
        self.refused.remove(uuid);
        self.served.remove(uuid)
    }

    /// What it should be cannot be served. Says whether that is news.
    pub fn refuse(&mut self, uuid: &str, problems: Problems) -> bool {
        self.refused.insert(uuid.to_owned(), problems.clone()).is_none_or(|before| before != problems)
    }

    /// It stays as it is, and that is as it should be.
    pub fn keep(&mut self, uuid: &str) {
        self.refused.remove(uuid);
    }

    /// Those whose projects were read with other facts than these.
    #[must_use]
    pub fn outdated(&self, facts: &BTreeMap<String, ApiFact>) -> Vec<String> {
        let differs = |(uuid, served): &(&String, &Served)| served.before.fact != facts.get(*uuid).copied();
        self.served.iter().filter(differs).map(|(uuid, _)| uuid.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::event_hub::judge::Verdict;

    const SECOND: Moment = Moment::from_secs(1);

    fn judged(uuid: &str) -> Judged {
        let (artifacts, verdict) = (vec![artifact(uuid)], Verdict::Unchanged);
        Judged { uuid: uuid.to_owned(), artifacts, fact: None, projects: Vec::new(), verdict }
    }

    fn artifact(uuid: &str) -> Artifact {
        let environments = ["Default", "Europe"].map(|name| (name.to_owned(), "localhost".to_owned())).into();
        Artifact { uuid: uuid.to_owned(), environments, ..Artifact::default() }
    }

    fn apis() -> Apis {
        let mut apis = Apis::default();
        for uuid in ["a", "b"] {
            apis.serve(judged(uuid), vec![Arc::new(deployment(&["Default", "Europe"]))], BTreeMap::new());
        }
        apis
    }

    fn deployment(environments: &[&str]) -> Deployment {
        let files = super::super::testing::petstore();
        let options = crate::inputs::project::CompileOptions::default();
        let compiled = crate::inputs::project::compile(&files, &options).unwrap();
        compiled.blueprint.on("localhost", environments.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn an_answer_about_all_says_nothing_about_one_that_was_heard_of_since() {
        let (mut apis, now) = (apis(), Instant::now());
        assert_eq!(apis.missing(&BTreeSet::new(), SECOND), ["a", "b"]);
        apis.want("a", now);
        assert_eq!(apis.missing(&BTreeSet::new(), SECOND), ["b"]);
        assert_eq!(apis.begin(now).as_deref(), Some("a"));
        assert_eq!(apis.begin(now), None, "it is asked for once at a time");
        apis.answered("a", 5 * SECOND);
        apis.ended("a", None);
        assert!(!apis.counts_for("a", 9 * SECOND), "it is asked again when the event is certainly known");
        assert_eq!(apis.due(), Some(now + LAG));
        assert_eq!(apis.begin(now + LAG).as_deref(), Some("a"));
        apis.ended("a", None);
        assert!(!apis.counts_for("a", 4 * SECOND) && apis.counts_for("a", 6 * SECOND));
        apis.answered_all(6 * SECOND);
        assert!(apis.counts_for("a", SECOND));
    }

    #[test]
    fn what_failed_is_asked_again() {
        let (mut apis, now) = (apis(), Instant::now());
        apis.want("a", now);
        apis.begin(now + LAG);
        apis.ended("a", Some(now + LAG + SECOND));
        assert_eq!((apis.due(), apis.waiting()), (Some(now + LAG + SECOND), 1));
        apis.want_none();
        assert_eq!(apis.waiting(), 0);
    }

    #[test]
    fn a_removal_takes_what_it_names_unless_it_is_old_news() {
        let mut apis = apis();
        let event = |removed_from: &[&str], stamp| {
            let removed_from = removed_from.iter().map(|name| (*name).to_owned()).collect();
            ApiEvent { uuid: "a".to_owned(), removed_from, stamp }
        };
        let left = apis.without(&event(&["Europe"], 5)).unwrap();
        assert_eq!(left[0].environments, BTreeSet::from(["Default".to_owned()]));
        assert_eq!(apis.artifacts_without(&event(&["Europe"], 5))[0].environments.len(), 1);
        assert!(apis.without(&event(&["Default", "Europe"], 5)).unwrap().is_empty());
        assert_eq!(apis.without(&event(&["Elsewhere"], 5)), None);
        assert_eq!(apis.without(&event(&[], 10)), None);
        assert_eq!(apis.without(&event(&["Europe"], 5)), None, "it was deployed again since");
    }

    #[test]
    fn what_is_refused_is_read_again() {
        let mut apis = apis();
        assert!(apis.refuse("a", Problems::new()) && !apis.refuse("a", Problems::new()));
        assert_eq!(apis.before().into_keys().collect::<Vec<_>>(), ["b"]);
        let blocked = ApiFact { life_cycle: tollgate_model::LifeCycle::Blocked, default_version: false };
        assert_eq!(apis.outdated(&BTreeMap::from([("b".to_owned(), blocked)])), ["b"]);
    }
}
