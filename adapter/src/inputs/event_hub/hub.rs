//! Keeps the world equal to what API Manager has: the one who hears messages, pulls lists, and brings both together.
//!
//! It listens before it asks, hears while it asks, and asks again after every gap. What a message says is on the disk before it is
//! acknowledged, and gateways are told right after. Must never end, and never take anything away because something failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::acknowledge::Acknowledger;
use super::apis::Apis;
use super::events::Ears;
use super::fact::{ApiFact, Fact, Id, Resource};
use super::judge::{Judge, Judged};
use super::lists::List;
use super::mirror::{LAG, Mirror, Moment};
use super::pull::{PullError, Puller, Which};
use super::schedule::Source;
use super::settings::EventHubSettings;
use super::share::{self, Share};
use super::store::{Store, Write};
use crate::broker::{Message, News};
use crate::inputs::catalog::Catalog;
use crate::model::{ControlPlaneReport, Refusals, WorldWriter};

/// How long the first question waits for the broker: what is asked before it listens must be asked again.
const HEAD_START: Duration = Duration::from_millis(500);
/// While nobody tells of changes, API Manager is asked at least so often.
pub(super) const POLL: Duration = Duration::from_secs(30);
/// A token is forgotten so many seconds after it has expired: clocks of gateways may be wrong.
const GRACE: u64 = 600;

/// The name of the list of projects, beside those of [`Resource`].
pub const ARTIFACTS: &str = "artifacts";

/// Something to ask for.
enum Question {
    List(Resource),
    All(Which),
    One,
}

/// Something that was asked for.
pub(super) enum Done {
    List(Resource, Moment, Result<List, PullError>),
    All(Moment, Result<Vec<Judged>, PullError>),
    One(String, Moment, Result<Vec<Judged>, PullError>),
}

/// Keeps the world equal to what API Manager has.
pub struct Hub {
    pub(super) settings: EventHubSettings,
    pub(super) puller: Puller,
    pub(super) store: Arc<Store>,
    pub(super) mirror: Mirror,
    pub(super) apis: Apis,
    pub(super) catalog: Arc<Catalog>,
    pub(super) world: WorldWriter,
    pub(super) reports: Arc<dyn Refusals>,
    pub(super) hosts: Arc<BTreeMap<String, String>>,
    pub(super) acknowledger: Option<Acknowledger>,
    /// Which APIs are ours; all when absent.
    pub(super) share: Option<Share>,
    pub(super) ears: Ears,
    pub(super) sources: BTreeMap<Resource, Source>,
    pub(super) artifacts: Source,
    pub(super) tasks: JoinSet<Done>,
    /// Where moments are counted from.
    pub(super) epoch: Instant,
    /// When the broker was reached last, if it still is.
    pub(super) subscribed: Option<Moment>,
    pub(super) reconcile: Instant,
    /// Nobody asks for single APIs before.
    pub(super) paused: Instant,
    /// What is not on the disk yet.
    pub(super) unwritten: BTreeMap<Id, Write>,
    pub(super) unwritten_apis: BTreeMap<String, Write>,
    /// Messages of which something is not on the disk yet.
    pub(super) unacknowledged: Vec<Message>,
    pub(super) disk_pause: Option<Instant>,
    /// Sources that were read as a whole, in this run or before.
    pub(super) complete: BTreeSet<String>,
    pub(super) complete_written: bool,
    pub(super) ready: watch::Sender<bool>,
    pub(super) report: ControlPlaneReport,
    /// What people were shown last.
    pub(super) shown: ControlPlaneReport,
}

impl Hub {
    /// Goes on until `shutdown`.
    pub async fn run(mut self, mut news: mpsc::Receiver<News>, shutdown: CancellationToken) {
        let start = Instant::now().checked_add(HEAD_START).unwrap_or_else(Instant::now);
        self.want_everything(start);
        loop {
            self.begin_due();
            self.show_report();
            let next = self.next_due();
            let writable = self.has_unwritten();
            tokio::select! {
                () = shutdown.cancelled() => return,
                first = news.recv() => match first {
                    Some(first) => self.hear_batch(first, &mut news).await,
                    // The broker's listener never ends by itself.
                    None => return shutdown.cancelled().await,
                },
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.done(done).await,
                    Err(error) => tracing::error!(%error, "a question to API Manager ended badly"),
                },
                () = share::news(&mut self.share) => self.share_changed().await,
                () = std::future::ready(()), if writable => self.write_some().await,
                () = sleep_until(next) => {}
            }
        }
    }

    pub(super) fn moment(&self) -> Moment {
        self.epoch.elapsed()
    }

    pub(super) fn want_everything(&mut self, at: Instant) {
        for source in self.sources.values_mut() {
            source.want(at);
        }
        self.artifacts.want(at);
        self.reconcile = at.checked_add(self.interval()).unwrap_or(at);
    }

    pub(super) fn interval(&self) -> Duration {
        if self.subscribed.is_some() { self.settings.reconcile } else { self.settings.reconcile.min(POLL) }
    }

    fn next_due(&self) -> Instant {
        let lists = self.sources.values().filter_map(Source::due);
        let artifacts = self.artifacts.due().filter(|_| self.knows_ours());
        let one = self.apis.due().map(|due| due.max(self.paused));
        let all = lists.chain(artifacts).chain(one).chain(self.disk_pause);
        // Where all workers are busy, the end of a question is waited for.
        let earliest = Instant::now().checked_add(Duration::from_millis(20)).unwrap_or_else(Instant::now);
        all.min().map_or(self.reconcile, |due| due.min(self.reconcile)).max(earliest)
    }

    /// Asks for what is due, as far as there are workers.
    fn begin_due(&mut self) {
        let now = Instant::now();
        if now >= self.reconcile {
            self.want_everything(now);
            self.forget_expired();
        }
        if self.apis.waiting() > self.settings.queue {
            self.apis.want_none();
            self.artifacts.want(now);
            self.artifacts.want_again(now.checked_add(LAG).unwrap_or(now));
        }
        while self.tasks.len() < self.settings.workers {
            match self.longest_due(now) {
                Some(Question::List(resource)) => self.begin_list(resource, now),
                Some(Question::All(which)) => self.begin_all(which, now),
                Some(Question::One) => self.begin_one(now),
                None => break,
            }
        }
    }

    /// What has been due for longest, so that questions to which nobody answers hold back no others.
    fn longest_due(&self, now: Instant) -> Option<Question> {
        let lists = Resource::ALL.into_iter().filter_map(|resource| {
            let due = self.sources.get(&resource).and_then(Source::due)?;
            Some((due, Question::List(resource)))
        });
        // What is known of APIs beside their projects comes first, so that projects are read once.
        let facts_known = self.sources.get(&Resource::Apis).is_some_and(|source| source.report != <_>::default());
        let all =
            self.artifacts.due().filter(|due| *due <= now).and_then(|due| Some((due, Question::All(self.ours()?))));
        let one = self.apis.due().map(|due| (due.max(self.paused), Question::One));
        let projects = all.into_iter().chain(one).filter(|_| facts_known);
        let due = lists.chain(projects).filter(|(due, _)| *due <= now);
        due.min_by_key(|(due, _)| *due).map(|(_, question)| question)
    }

    fn begin_all(&mut self, which: Which, now: Instant) {
        self.artifacts.begin(now);
        let (puller, judge, began) = (self.puller.clone(), self.judge(), self.moment());
        self.tasks.spawn(async move { Done::All(began, puller.deployments(which, judge).await) });
    }

    fn begin_one(&mut self, now: Instant) {
        let Some(uuid) = self.apis.begin(now) else { return };
        let (puller, judge, began) = (self.puller.clone(), self.judge(), self.moment());
        self.tasks.spawn(async move {
            let outcome = puller.deployments(Which::One(uuid.clone()), judge).await;
            Done::One(uuid, began, outcome)
        });
    }

    fn begin_list(&mut self, resource: Resource, now: Instant) {
        if let Some(source) = self.sources.get_mut(&resource) {
            source.begin(now);
        }
        let numbers = match resource {
            Resource::ApplicationKeys | Resource::Subscriptions => self.ears.numbers.clone(),
            _ => <_>::default(),
        };
        let (puller, began) = (self.puller.clone(), self.moment());
        self.tasks.spawn(async move { Done::List(resource, began, puller.list(resource, numbers).await) });
    }

    pub(super) fn judge(&self) -> Judge {
        Judge {
            catalog: Arc::clone(&self.catalog),
            before: Arc::new(self.apis.before()),
            facts: Arc::new(self.facts()),
            hosts: Arc::clone(&self.hosts),
        }
    }

    pub(super) fn facts(&self) -> BTreeMap<String, ApiFact> {
        let facts = self.mirror.list(Resource::Apis);
        facts
            .filter_map(|(uuid, fact)| if let Fact::Api(fact) = fact { Some((uuid.to_owned(), *fact)) } else { None })
            .collect()
    }

    fn forget_expired(&mut self) {
        let before = u32::try_from(seconds().saturating_sub(GRACE)).unwrap_or(u32::MAX);
        for id in self.mirror.forget_expired(before) {
            // The table forgets by itself.
            self.unwritten.insert(id.clone(), Write::NoFact(id));
        }
    }
}

/// Seconds since 1970.
pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
