//! The gateways: what each was sent, what it took or refused, how far it is in the feed, and whether it is ready.
//!
//! Two sides report here: the xDS server (a stream a gateway) and the feed (a request of the gateway's filters). Must never
//! decide what is sent; it only remembers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::watch;
use tollgate_model::contract::FEED_WAIT_SECONDS;
use tollgate_model::wire::Cursor;

use super::acknowledge::{Published, PublishedEnvironment};
use super::feed;
use super::xds::ResourceType;

/// Most gateways that are remembered; beyond it, the one not seen for longest is forgotten, connected ones never.
const MAX_NODES: usize = 4096;
/// Filters that have not asked for so long are gone.
const FEED_SILENCE: Duration = Duration::from_secs(FEED_WAIT_SECONDS + 10);

/// All gateways that were seen.
#[derive(Debug, Default)]
pub struct Nodes {
    nodes: Mutex<Registry>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Registry {
    next_stream: u64,
    by_name: BTreeMap<String, Node>,
}

#[derive(Debug)]
struct Node {
    environment: String,
    known_environment: bool,
    stream: Option<u64>,
    /// Whether it ever had a stream, so that its clusters come from here.
    is_managed: bool,
    types: BTreeMap<ResourceType, TypeState>,
    refused_clusters: BTreeMap<String, RefusedCluster>,
    feed: Option<Cursor>,
    holds_snapshot: bool,
    filter_problems: Option<String>,
    ready: watch::Sender<bool>,
    seen: SystemTime,
}

/// What a feed request of a gateway's filters says.
#[derive(Debug, Clone, Default)]
pub struct FeedPosition {
    /// Where in the feed they are.
    pub cursor: Cursor,
    /// Whether they hold a whole snapshot there, and not the first part of one.
    pub whole: bool,
    /// What of the snapshot they cannot read and therefore deny, in their words.
    pub problems: Option<String>,
}

#[derive(Debug, Default)]
struct TypeState {
    /// The stream began with a version, so an earlier adapter's resources are in use.
    held: bool,
    sent: Option<String>,
    acknowledged: Option<String>,
    rejected: Option<Rejected>,
}

/// A cluster that a gateway refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedCluster {
    /// The API it is of.
    pub api: Option<String>,
    /// Envoy's words.
    pub error: String,
}

#[derive(Debug, Clone, Serialize)]
struct Rejected {
    version: String,
    error: String,
}

impl TypeState {
    /// Whether it took or refused this version.
    fn has_answered(&self, version: &str) -> bool {
        self.acknowledged.as_deref() == Some(version)
            || self.rejected.as_ref().is_some_and(|rejected| rejected.version == version)
    }
}

impl Nodes {
    /// Notes that a gateway opened a stream. `fresh` says that it holds no resources yet. The stream counts as open until
    /// the value is dropped.
    #[must_use]
    pub fn connect(self: &Arc<Self>, name: &str, environment: &str, fresh: bool) -> Connection {
        let mut registry = self.lock();
        registry.next_stream = registry.next_stream.wrapping_add(1);
        let stream = registry.next_stream;
        let node = registry.node(name, environment);
        node.stream = Some(stream);
        node.is_managed = true;
        node.types.clear();
        node.refused_clusters.clear();
        if fresh {
            node.feed = None;
            node.holds_snapshot = false;
            node.ready.send_replace(false);
        }
        let ready = node.ready.subscribe();
        drop(registry);
        self.changed.send_replace(());
        Connection { nodes: Arc::clone(self), name: name.to_owned(), stream, ready }
    }

    /// Notes a feed request. A cursor with an epoch shows that the gateway holds a snapshot.
    pub fn fed(&self, name: &str, environment: &str, position: FeedPosition) {
        let mut registry = self.lock();
        let node = registry.node(name, environment);
        node.feed = Some(position.cursor);
        node.holds_snapshot |= position.cursor.epoch != 0 && position.whole;
        if position.problems.is_some() && position.problems != node.filter_problems {
            tracing::error!(node = name, problems = position.problems, "filters deny what they cannot read");
        }
        node.filter_problems = position.problems;
        node.settle();
        drop(registry);
        self.changed.send_replace(());
    }

    /// Whether every connected gateway of the environment has answered this version of the type.
    #[must_use]
    pub fn settled(&self, environment: &str, kind: ResourceType, version: &str) -> bool {
        self.lock()
            .by_name
            .values()
            .filter(|node| node.stream.is_some() && node.environment == environment)
            .all(|node| node.types.get(&kind).is_none_or(|state| state.has_answered(version)))
    }

    /// Whether this gateway is connected and has answered this version of the type.
    #[must_use]
    pub fn has_answered(&self, name: &str, kind: ResourceType, version: &str) -> bool {
        let registry = self.lock();
        let state =
            registry.by_name.get(name).filter(|node| node.stream.is_some()).and_then(|node| node.types.get(&kind));
        state.is_some_and(|state| state.has_answered(version))
    }

    /// Where every connected gateway of the environment is. One without a stream counts while its filters keep asking.
    #[must_use]
    pub fn standing(&self, environment: &str) -> Vec<Standing> {
        let now = SystemTime::now();
        let registry = self.lock();
        let connected =
            registry.by_name.iter().filter(|(_, node)| node.environment == environment && node.is_connected(now));
        connected.map(|(name, node)| node.standing(name)).collect()
    }

    /// Wakes up whenever something changed.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// What is known of every gateway.
    #[must_use]
    pub fn report(&self, published: &Published) -> Vec<NodeReport> {
        self.lock().by_name.iter().map(|(name, node)| node.report(name, published)).collect()
    }

    /// A panic elsewhere must not take the registry with it: every change leaves it whole.
    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn node(&mut self, name: &str, environment: &str) -> &mut Node {
        if !self.by_name.contains_key(name) && self.by_name.len() >= MAX_NODES {
            self.forget_one();
        }
        let node = self.by_name.entry(name.to_owned()).or_insert_with(|| Node {
            environment: environment.to_owned(),
            known_environment: true,
            stream: None,
            is_managed: false,
            types: BTreeMap::new(),
            refused_clusters: BTreeMap::new(),
            feed: None,
            holds_snapshot: false,
            filter_problems: None,
            ready: watch::Sender::new(false),
            seen: SystemTime::now(),
        });
        environment.clone_into(&mut node.environment);
        node.seen = SystemTime::now();
        node
    }

    fn forget_one(&mut self) {
        let oldest = self.by_name.iter().filter(|(_, node)| node.stream.is_none()).min_by_key(|(_, node)| node.seen);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.by_name.remove(&name);
        }
    }
}

/// Where a connected gateway is.
#[derive(Debug, Clone)]
pub struct Standing {
    /// `node id/instance`.
    pub name: String,
    /// Version of the clusters it took; none if it gets no clusters from here.
    clusters: Option<Option<String>>,
    feed: Option<Cursor>,
    /// Clusters it refuses, and why.
    pub refused: BTreeMap<String, String>,
}

impl Standing {
    /// Whether it has all of that.
    #[must_use]
    pub fn has(&self, goal: &PublishedEnvironment) -> bool {
        let has_clusters = self.clusters.as_ref().is_none_or(|taken| taken.as_ref() == Some(&goal.clusters));
        has_clusters && self.feed.is_some_and(|shown| feed::has_reached(shown, goal.feed))
    }
}

impl Node {
    fn is_connected(&self, now: SystemTime) -> bool {
        let asks = || now.duration_since(self.seen).is_ok_and(|since| since < FEED_SILENCE);
        self.stream.is_some() || (!self.is_managed && self.feed.is_some() && asks())
    }

    fn standing(&self, name: &str) -> Standing {
        let taken = || self.types.get(&ResourceType::Cluster).and_then(|state| state.acknowledged.clone());
        Standing {
            name: name.to_owned(),
            clusters: self.is_managed.then(taken),
            feed: self.feed,
            refused: self.refused_clusters.iter().map(|(name, why)| (name.clone(), why.error.clone())).collect(),
        }
    }

    /// Ready once and for the life of its process: later refusals leave the last good resources in use.
    fn settle(&self) {
        let taken =
            |kind: &ResourceType| self.types.get(kind).is_some_and(|state| state.held || state.acknowledged.is_some());
        let ready = *self.ready.borrow() || (self.holds_snapshot && ResourceType::ALL.iter().all(taken));
        self.ready.send_if_modified(|before| std::mem::replace(before, ready) != ready);
    }

    fn report(&self, name: &str, published: &Published) -> NodeReport {
        let goal = published.environments.get(&self.environment);
        let types = self.types.iter().map(|(kind, state)| {
            let report = TypeReport {
                sent: state.sent.clone(),
                acknowledged: state.acknowledged.clone(),
                rejected: state.rejected.clone(),
            };
            (kind.name(), report)
        });
        NodeReport {
            name: name.to_owned(),
            environment: self.environment.clone(),
            known_environment: self.known_environment,
            connected: self.is_connected(SystemTime::now()),
            ready: *self.ready.borrow(),
            up_to_date: goal.is_some_and(|goal| self.standing(name).has(goal)),
            types: types.collect(),
            refused_clusters: self.refused_clusters.clone(),
            feed_cursor: self.feed.map(|cursor| cursor.to_string()),
            filter_problems: self.filter_problems.clone(),
            last_seen: self.seen.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        }
    }
}

/// An open stream of a gateway.
#[derive(Debug)]
pub struct Connection {
    nodes: Arc<Nodes>,
    name: String,
    stream: u64,
    ready: watch::Receiver<bool>,
}

impl Connection {
    /// Says when the gateway becomes ready.
    #[must_use]
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.clone()
    }

    /// The environment is not configured.
    pub fn unknown_environment(&self) {
        self.change(|node| node.known_environment = false);
    }

    /// The environment is configured.
    pub fn known_environment(&self) {
        self.change(|node| node.known_environment = true);
    }

    /// The stream began with resources of this type that an earlier adapter sent.
    pub fn held(&self, kind: ResourceType) {
        self.change(|node| node.types.entry(kind).or_default().held = true);
    }

    /// The resources it began with show that it was ready, and it still has the snapshot it was ready with.
    pub fn was_ready(&self) {
        self.change(|node| node.holds_snapshot = true);
    }

    /// A version was sent.
    pub fn sent(&self, kind: ResourceType, version: &str) {
        self.change(|node| node.types.entry(kind).or_default().sent = Some(version.to_owned()));
    }

    /// A version was taken.
    pub fn acknowledged(&self, kind: ResourceType, version: &str) {
        self.change(|node| {
            let state = node.types.entry(kind).or_default();
            state.acknowledged = Some(version.to_owned());
            state.rejected = None;
        });
    }

    /// A version was refused.
    pub fn rejected(&self, kind: ResourceType, version: &str, error: &str) {
        let rejected = Rejected { version: version.to_owned(), error: error.to_owned() };
        self.change(|node| node.types.entry(kind).or_default().rejected = Some(rejected));
    }

    /// These clusters are left out, because the gateway refuses them.
    pub fn refused_clusters(&self, refused: BTreeMap<String, RefusedCluster>) {
        self.change(|node| node.refused_clusters = refused);
    }

    /// Changes the node unless another stream of the same gateway has taken its place.
    fn change(&self, change: impl FnOnce(&mut Node)) {
        let mut registry = self.nodes.lock();
        if let Some(node) = registry.by_name.get_mut(&self.name).filter(|node| node.stream == Some(self.stream)) {
            node.seen = SystemTime::now();
            change(node);
            node.settle();
        }
        drop(registry);
        self.nodes.changed.send_replace(());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.change(|node| node.stream = None);
    }
}

/// What is known of a gateway.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeReport {
    /// `node id/instance`.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// Whether that environment is configured.
    pub known_environment: bool,
    /// Whether its xDS stream is open; of one that gets its clusters elsewhere, whether its filters keep asking.
    pub connected: bool,
    /// Whether it serves with all its data.
    pub ready: bool,
    /// Whether it has acknowledged all that it was told of.
    pub up_to_date: bool,
    /// State of every resource type it asked for.
    pub types: BTreeMap<&'static str, TypeReport>,
    /// Clusters it goes without, or with in an older version, because it refuses them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refused_clusters: BTreeMap<String, RefusedCluster>,
    /// What its filters showed last.
    pub feed_cursor: Option<String>,
    /// What of the snapshot its filters cannot read and therefore deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_problems: Option<String>,
    /// When it was last heard of, in seconds since 1970.
    pub last_seen: u64,
}

/// State of a resource type at a gateway.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeReport {
    sent: Option<String>,
    acknowledged: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejected>,
}

impl TypeReport {
    /// Envoy's text for the version it refused last and has not replaced since.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.rejected.as_ref().map(|rejected| rejected.error.as_str())
    }
}

#[cfg(test)]
mod tests;
