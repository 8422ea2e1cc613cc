//! Brings a new world to the gateways in the order that loses no request: clusters first, then the filters, and only then
//! do unused clusters go.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::acknowledge::{Published, PublishedEnvironment};
use super::feed::Feed;
use super::xds::{Blueprint, ClusterResources, Clusters, ResourceType, Resources};
use crate::admin::{Counts, Status};
use crate::model::World;

/// How long the filters wait for connected gateways to take new clusters.
const SETTLE: Duration = Duration::from_millis(300);

/// The one task that publishes.
#[derive(Debug)]
pub struct Publisher {
    world: watch::Receiver<Arc<World>>,
    blueprint: Arc<Blueprint>,
    clusters: Clusters,
    published: watch::Sender<Arc<ClusterResources>>,
    feed: Arc<Feed>,
    status: Arc<Status>,
}

impl Publisher {
    /// Publishes the current world before anybody can ask for it.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(
        mut world: watch::Receiver<Arc<World>>,
        blueprint: Arc<Blueprint>,
        feed: Arc<Feed>,
        status: Arc<Status>,
    ) -> Result<Self, getrandom::Error> {
        let now = Arc::clone(&world.borrow_and_update());
        let mut clusters = Clusters::default();
        clusters.extend(&now, blueprint.gateway(), blueprint.materials());
        feed.apply(&now)?;
        let published = watch::Sender::new(Arc::new(clusters.resources(blueprint.own_clusters())));
        let publisher = Self { world, blueprint, clusters, published, feed, status };
        publisher.note(now.revision);
        publisher.count(&now);
        Ok(publisher)
    }

    /// The clusters, for the xDS server.
    #[must_use]
    pub fn clusters(&self) -> watch::Receiver<Arc<ClusterResources>> {
        self.published.subscribe()
    }

    /// Publishes every world until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let prune = self.clusters.next_prune();
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = self.world.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let world = Arc::clone(&self.world.borrow_and_update());
                    self.publish(&world).await;
                }
                () = at(prune) => {
                    if self.clusters.prune(Instant::now()) {
                        self.send();
                        let revision = self.status.published().borrow().revision;
                        self.note(revision);
                    }
                }
            }
        }
    }

    async fn publish(&mut self, world: &World) {
        self.clusters.extend(world, self.blueprint.gateway(), self.blueprint.materials());
        if self.send() {
            // A gateway that takes longer is still resolving names; its filters must not wait for that.
            timeout(SETTLE, self.settled()).await.ok();
        }
        if let Err(error) = self.feed.apply(world) {
            tracing::error!(%error, "the filters cannot be told of a change; it is tried again with the next one");
            return;
        }
        self.note(world.revision);
        self.clusters.retire(world, Instant::now());
        self.count(world);
    }

    /// Shows the clusters to the gateways, and says whether there is anything new.
    fn send(&self) -> bool {
        let resources = self.clusters.resources(self.blueprint.own_clusters());
        self.published.send_if_modified(|shown| {
            let changed = **shown != resources;
            if changed {
                *shown = Arc::new(resources);
            }
            changed
        })
    }

    /// Says what there is to acknowledge from now on.
    fn note(&self, revision: u64) {
        let feed = self.feed.cursors();
        let shown = Arc::clone(&self.published.borrow());
        let of = |(environment, clusters): (&String, &Arc<Resources>)| {
            let feed = feed.get(environment).copied()?;
            Some((environment.clone(), PublishedEnvironment { clusters: clusters.version().to_owned(), feed }))
        };
        let environments = shown.iter().filter_map(of).collect();
        self.status.published().send_replace(Published { revision, environments });
    }

    async fn settled(&self) {
        let nodes = self.status.nodes();
        let mut changed = nodes.watch();
        loop {
            let shown = Arc::clone(&self.published.borrow());
            if shown.iter().all(|(name, clusters)| nodes.settled(name, ResourceType::Cluster, clusters.version())) {
                return;
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn count(&self, world: &World) {
        self.status.count(Counts {
            deployments: world.deployments.len(),
            clusters: self.clusters.count(),
            environments: world.environments.len(),
        });
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
