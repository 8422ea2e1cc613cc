//! What the adapter knows of itself, for people and monitoring. Everybody reports here; nobody decides by it.
//!
//! Must never hold a secret: the page shows all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use crate::model::{ControlPlaneReport, Deployment, DeploymentKey, Origin, Problem, Problems, SourceReport, World};
use crate::outputs::acknowledge::Published;
use crate::outputs::nodes::{NodeReport, Nodes};

/// Most refused projects that are remembered; the oldest by name goes first.
const MAX_REFUSED: usize = 1024;

/// The state of the adapter, shared by all its parts.
#[derive(Debug, Default)]
pub struct Status {
    ready: AtomicBool,
    nodes: Arc<Nodes>,
    published: watch::Sender<Published>,
    world: OnceLock<watch::Receiver<Arc<World>>>,
    refused: Mutex<BTreeMap<String, Vec<Problem>>>,
    issuers: Mutex<BTreeMap<String, IssuerReport>>,
    counts: Mutex<Counts>,
    sources: Mutex<BTreeMap<String, SourceReport>>,
    control_plane: Mutex<Option<ControlPlaneReport>>,
    /// What has happened so often.
    pub counters: Counters,
}

/// Counters, for the metrics page.
#[derive(Debug, Default)]
pub struct Counters {
    /// Responses sent to gateways.
    pub xds_responses: AtomicU64,
    /// Responses that gateways refused.
    pub xds_rejections: AtomicU64,
    /// Feed requests.
    pub feed_requests: AtomicU64,
    /// Bytes of feed frames.
    pub feed_bytes: AtomicU64,
    /// Key sets fetched.
    pub key_fetches: AtomicU64,
    /// Key sets that could not be fetched.
    pub key_fetch_failures: AtomicU64,
    /// Test keys given out.
    pub test_keys: AtomicU64,
    /// Test keys refused.
    pub test_key_refusals: AtomicU64,
    /// Events for analytics.
    pub analytics_events: AtomicU64,
    /// Events that were dropped because too many waited to be written.
    pub analytics_events_dropped: AtomicU64,
    /// Uses that receivers of a Traffic Manager took, counted for each group.
    pub uses_published: AtomicU64,
    /// Uses that are lost, because a queue was full or no receiver took them.
    pub uses_dropped: AtomicU64,
}

impl Counters {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Deployed APIs.
    pub deployments: usize,
    /// Clusters of all APIs.
    pub clusters: usize,
    /// Configured environments.
    pub environments: usize,
}

/// What is known of a token issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerReport {
    /// `iss`.
    pub issuer: String,
    /// Where its keys come from.
    pub source: String,
    /// How many keys it has.
    pub keys: usize,
    /// When they were last fetched, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fetch: Option<u64>,
    /// Why the last fetch failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Status {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The adapter has loaded what it stores and listens everywhere.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether [`Status::set_ready`] was called.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The gateways.
    #[must_use]
    pub const fn nodes(&self) -> &Arc<Nodes> {
        &self.nodes
    }

    /// From now on the status shows this world's deployments. The first one counts.
    pub fn show_world(&self, world: watch::Receiver<Arc<World>>) {
        // A second one would be the same.
        let _ = self.world.set(world);
    }

    /// The world as it is now, if there is one.
    #[must_use]
    pub fn world(&self) -> Option<Arc<World>> {
        self.world.get().map(|world| Arc::clone(&world.borrow()))
    }

    /// What gateways were told of last.
    #[must_use]
    pub const fn published(&self) -> &watch::Sender<Published> {
        &self.published
    }

    /// A project (its file, or a deployment's name) was refused.
    pub fn refuse(&self, origin: &str, problems: &Problems) {
        let mut refused = lock(&self.refused);
        if refused.len() >= MAX_REFUSED && !refused.contains_key(origin) {
            refused.pop_first();
        }
        refused.insert(origin.to_owned(), problems.iter().cloned().collect());
    }

    /// A project that may have been refused before is good now, or gone.
    pub fn accept(&self, origin: &str) {
        lock(&self.refused).remove(origin);
    }

    /// News of a source of projects.
    pub fn source(&self, name: &str, report: SourceReport) {
        lock(&self.sources).insert(name.to_owned(), report);
    }

    /// News of the control plane.
    pub fn control_plane(&self, report: &ControlPlaneReport) {
        *lock(&self.control_plane) = Some(report.clone());
    }

    /// News of an issuer.
    pub fn issuer(&self, name: &str, report: IssuerReport) {
        lock(&self.issuers).insert(name.to_owned(), report);
    }

    /// An issuer that is no longer one.
    pub fn no_issuer(&self, name: &str) {
        lock(&self.issuers).remove(name);
    }

    /// How much there is now.
    pub fn count(&self, counts: Counts) {
        *lock(&self.counts) = counts;
    }

    /// Everything, for the status page.
    #[must_use]
    pub fn report(&self) -> Report {
        let world = self.world();
        let deployments = world.iter().flat_map(|world| world.deployments.iter().map(|one| deployment(world, one)));
        Report { deployments: deployments.collect(), ..self.summary() }
    }

    /// Everything but the deployments.
    #[must_use]
    pub fn summary(&self) -> Report {
        let published = self.published.borrow().clone();
        Report {
            ready: self.is_ready(),
            revision: published.revision,
            counts: *lock(&self.counts),
            sources: lock(&self.sources).clone(),
            control_plane: lock(&self.control_plane).clone(),
            gateways: self.nodes.report(&published),
            issuers: lock(&self.issuers).clone(),
            refused: lock(&self.refused).clone(),
            deployments: Vec::new(),
        }
    }
}

fn deployment(world: &World, (key, one): (&DeploymentKey, &Arc<Deployment>)) -> DeploymentReport {
    DeploymentReport {
        name: one.api.name.clone(),
        version: one.api.version.clone(),
        vhost: key.virtual_host.clone(),
        context: one.context.clone(),
        environments: one.environments.clone(),
        origin: world.origins.get(key).cloned().unwrap_or_default(),
    }
}

/// The status page.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether the adapter itself is ready.
    pub ready: bool,
    /// Counts the changes that gateways were told of.
    pub revision: u64,
    /// How much there is.
    pub counts: Counts,
    /// The sources of projects by name.
    pub sources: BTreeMap<String, SourceReport>,
    /// How it stands with the control plane, where there is one.
    #[serde(rename = "controlPlane", skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<ControlPlaneReport>,
    /// The gateways.
    pub gateways: Vec<NodeReport>,
    /// The issuers by name.
    pub issuers: BTreeMap<String, IssuerReport>,
    /// Refused projects and what is wrong with them.
    pub refused: BTreeMap<String, Vec<Problem>>,
    /// What is served.
    pub deployments: Vec<DeploymentReport>,
}

/// An API that is served on a virtual host.
#[derive(Debug, Clone, Serialize)]
pub struct DeploymentReport {
    /// Name of the API.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The virtual host.
    pub vhost: String,
    /// Its base path.
    pub context: String,
    /// Its environments.
    pub environments: BTreeSet<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// A panic elsewhere must not hide the status: every change leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
