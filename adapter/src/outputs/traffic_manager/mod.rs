//! Publishes uses to the Traffic Managers of API Manager, which count them and decide who is throttled. What they decide comes
//! back by another way (`inputs::decisions`).
//!
//! Every group of receivers gets every use. Must never hold up a gateway: what cannot be queued is lost, and counted.

mod group;
mod receiver;
mod routes;
pub mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tollgate_model::UsageReport;

use self::group::{Group, Plan};
use self::receiver::Receiver;
use self::wire::Event;
use crate::admin::Status;
use crate::tls::{self, TlsError, Trust};

pub use self::group::Choice;
pub use self::receiver::{Address, Credentials, Place};
pub use self::routes::routes;

/// Most events that one entry of a report stands for.
const MAX_REPEATS: u32 = 10_000;

/// How Traffic Managers are reached (`enforcer.throttling.publisher`).
#[derive(Debug, Clone)]
pub struct PublisherSettings {
    /// Who publishes.
    pub credentials: Credentials,
    /// Groups; each gets every use.
    pub groups: Vec<ReceiverGroup>,
    /// Events that may wait, for each group.
    pub queue: usize,
    /// Events that are sent at a time.
    pub batch: usize,
    /// For so long, a receiver that failed is left alone.
    pub reconnection: Duration,
    /// Longest wait for a receiver.
    pub socket_timeout: Duration,
    /// Further authorities to believe.
    pub truststore: Option<PathBuf>,
}

/// Receivers that stand in for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverGroup {
    /// At least one.
    pub places: Vec<Place>,
    /// How one is chosen.
    pub choice: Choice,
}

/// The publisher. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Publisher {
    groups: Arc<[Group]>,
    ids: Arc<Ids>,
}

/// Names for messages that no other adapter gives.
#[derive(Debug)]
struct Ids {
    /// When this process began to name, and which it is.
    prefix: String,
    next: AtomicU64,
}

impl Ids {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let random = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), now);
        Self { prefix: format!("{now:x}-{random:x}"), next: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        format!("{}-{:x}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Publisher {
    /// Starts one task a group. They connect when there is something to publish, and end with `shutdown`.
    ///
    /// # Errors
    /// When the authorities to believe cannot be read.
    pub fn start(
        settings: &PublisherSettings,
        status: &Arc<Status>,
        shutdown: &CancellationToken,
    ) -> Result<(Self, Vec<JoinHandle<()>>), TlsError> {
        let trust = settings.truststore.clone().map_or(Trust::System, Trust::Also);
        let tls = Arc::new(tls::trusting_config(&trust)?);
        let (mut groups, mut tasks) = (Vec::new(), Vec::new());
        for group in &settings.groups {
            let receiver = |place: &Place| {
                Receiver::new(place.clone(), settings.credentials.clone(), Arc::clone(&tls), settings.socket_timeout)
            };
            let plan = Plan {
                choice: group.choice,
                queue: settings.queue,
                batch: settings.batch,
                pause: settings.reconnection,
            };
            let receivers = group.places.iter().map(receiver).collect();
            let (group, task) = Group::start(plan, receivers, Arc::clone(status), shutdown.clone());
            groups.push(group);
            tasks.push(task);
        }
        Ok((Self { groups: groups.into(), ids: Arc::new(Ids::new()) }, tasks))
    }

    /// Publishes what a gateway has reported.
    pub fn publish(&self, report: UsageReport) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let timestamp_ms = i64::try_from(now).unwrap_or(i64::MAX);
        for (count, usage) in report.uses {
            let usage = Arc::new(usage);
            for _ in 0..count.min(MAX_REPEATS) {
                let id = self.ids.next();
                for group in self.groups.iter() {
                    group.publish(Event { id: id.clone(), timestamp_ms, usage: Arc::clone(&usage) });
                }
            }
        }
    }
}
