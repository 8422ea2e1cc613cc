//! Brings a new world to the gateways in the order that loses no request: clusters first, then the filters, and only then
//! do unused clusters go.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::acknowledge::{Published, PublishedEnvironment};
use super::feed::Feed;
use super::xds::{Blueprint, Offer, Offering, Offers, ResourceType};
use crate::admin::{Counts, Status};
use crate::model::World;

/// How long the filters wait for connected gateways to take new clusters.
const SETTLE: Duration = Duration::from_millis(300);

/// The one task that publishes.
#[derive(Debug)]
pub struct Publisher {
    world: watch::Receiver<Arc<World>>,
    blueprint: Arc<Blueprint>,
    offering: Offering,
    published: watch::Sender<Arc<Offers>>,
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
        let mut offering = Offering::default();
        offering.extend(&now, &blueprint);
        feed.apply(&now)?;
        let published = watch::Sender::new(Arc::new(offering.offers(blueprint.own_clusters())));
        let publisher = Self { world, blueprint, offering, published, feed, status };
        publisher.note(now.revision);
        publisher.count(&now);
        Ok(publisher)
    }

    /// What gateways get, for the xDS server.
    #[must_use]
    pub fn offers(&self) -> watch::Receiver<Arc<Offers>> {
        self.published.subscribe()
    }

    /// Publishes every world until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let prune = self.offering.next_prune();
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
                    if self.offering.prune(Instant::now(), &self.blueprint) {
                        self.send();
                        let revision = self.status.published().borrow().revision;
                        self.note(revision);
                    }
                }
            }
        }
    }

    async fn publish(&mut self, world: &World) {
        self.offering.extend(world, &self.blueprint);
        if self.send() {
            // A gateway that takes longer is still resolving names; its filters must not wait for that.
            timeout(SETTLE, self.settled()).await.ok();
        }
        if let Err(error) = self.feed.apply(world) {
            tracing::error!(%error, "the filters cannot be told of a change; it is tried again with the next one");
            return;
        }
        self.note(world.revision);
        self.offering.retire(world, Instant::now());
        self.count(world);
    }

    /// Shows the gateways what there is, and says whether there is anything new.
    fn send(&self) -> bool {
        let offers = self.offering.offers(self.blueprint.own_clusters());
        self.published.send_if_modified(|shown| {
            let changed = **shown != offers;
            if changed {
                *shown = Arc::new(offers);
            }
            changed
        })
    }

    /// Says what there is to acknowledge from now on.
    fn note(&self, revision: u64) {
        let feed = self.feed.cursors();
        let shown = Arc::clone(&self.published.borrow());
        let of = |(environment, offer): (&String, &Offer)| {
            let feed = feed.get(environment).copied()?;
            Some((environment.clone(), PublishedEnvironment { clusters: offer.clusters.version().to_owned(), feed }))
        };
        let environments = shown.iter().filter_map(of).collect();
        self.status.published().send_replace(Published { revision, environments });
    }

    async fn settled(&self) {
        let nodes = self.status.nodes();
        let mut changed = nodes.watch();
        loop {
            let shown = Arc::clone(&self.published.borrow());
            let settled = |(name, offer): (&String, &Offer)| {
                nodes.settled(name, ResourceType::Cluster, offer.clusters.version())
                    && nodes.settled(name, ResourceType::Extension, offer.extension.version())
            };
            if shown.iter().all(settled) {
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
            clusters: self.offering.count(),
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
