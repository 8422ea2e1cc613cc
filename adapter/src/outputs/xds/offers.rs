//! What changes with the APIs of an environment: the clusters, and what Envoy calls the enforcer for.
//!
//! Both are make before break: callbacks that an API needs are there before the filters hear of it, and those that none needs
//! any more stay for a while, because every change of them starts the filters anew. Must never withhold a callback that a
//! deployed API needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;
use tollgate_model::Callbacks;

use super::clusters::{Clusters, GRACE};
use super::{Blueprint, Resource, Resources};
use crate::model::World;

/// What gateways get, by environment.
pub type Offers = BTreeMap<String, Offer>;

/// What the gateways of an environment get because of its APIs.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The clusters.
    pub clusters: Arc<Resources>,
    /// The enforcer.
    pub extension: Arc<Resources>,
}

/// All that is offered.
#[derive(Debug, Default)]
pub struct Offering {
    clusters: Clusters,
    enforcers: BTreeMap<String, Enforcer>,
}

#[derive(Debug)]
struct Enforcer {
    /// What the APIs need.
    needed: Callbacks,
    /// What it is called for, which is at least that.
    callbacks: Callbacks,
    resource: Arc<Resources>,
    /// When it is called for no more than is needed.
    until: Option<Instant>,
}

impl Offering {
    /// Adds and replaces what the world needs. Nothing goes yet.
    pub fn extend(&mut self, world: &World, blueprint: &Blueprint) {
        self.clusters.extend(world, blueprint.gateway(), blueprint.materials());
        self.enforcers.retain(|environment, _| world.environments.contains_key(environment));
        for environment in world.environments.keys() {
            let needed = needed(world, environment);
            let held = self.enforcers.get(environment);
            let callbacks = held.map_or(needed, |held| held.callbacks.and(needed));
            if held.is_none_or(|held| held.callbacks != callbacks) {
                self.replace(environment, needed, callbacks, blueprint);
            } else if let Some(held) = self.enforcers.get_mut(environment) {
                held.needed = needed;
                if held.callbacks == needed {
                    held.until = None;
                }
            }
        }
    }

    fn replace(&mut self, environment: &str, needed: Callbacks, callbacks: Callbacks, blueprint: &Blueprint) {
        match blueprint.extension(environment, callbacks) {
            Ok(resource) => {
                tracing::info!(environment, ?callbacks, "what the enforcer is called for");
                let enforcer = Enforcer { needed, callbacks, resource, until: None };
                self.enforcers.insert(environment.to_owned(), enforcer);
            }
            // The filters deny what they cannot enforce with what they have.
            Err(error) => tracing::error!(environment, %error, "the enforcer cannot be configured and stays as it was"),
        }
    }

    /// Lets what the world no longer needs go after [`GRACE`]. To be called when the filters know the world.
    pub fn retire(&mut self, world: &World, now: Instant) {
        self.clusters.retire(world, now);
        for held in self.enforcers.values_mut().filter(|held| held.callbacks != held.needed) {
            held.until.get_or_insert_with(|| now.checked_add(GRACE).unwrap_or(now));
        }
    }

    /// Removes what is due, and says whether there was any.
    pub fn prune(&mut self, now: Instant, blueprint: &Blueprint) -> bool {
        let is_due = |held: &Enforcer| held.until.is_some_and(|until| until <= now);
        let due = self.enforcers.iter().filter(|(_, held)| is_due(held));
        let due: Vec<(String, Callbacks)> = due.map(|(name, held)| (name.clone(), held.needed)).collect();
        for (environment, needed) in &due {
            if let Some(held) = self.enforcers.get_mut(environment) {
                held.until = None;
            }
            self.replace(environment, *needed, *needed, blueprint);
        }
        self.clusters.prune(now) || !due.is_empty()
    }

    /// When the next thing goes.
    #[must_use]
    pub fn next_prune(&self) -> Option<Instant> {
        let enforcers = self.enforcers.values().filter_map(|held| held.until);
        self.clusters.next_prune().into_iter().chain(enforcers).min()
    }

    /// Number of clusters in all environments.
    #[must_use]
    pub fn count(&self) -> usize {
        self.clusters.count()
    }

    /// The resources, with the clusters that every gateway has. An environment whose enforcer could not be made gets nothing, and so serves nothing.
    #[must_use]
    pub fn offers(&self, own: &[Arc<Resource>]) -> Offers {
        let clusters = self.clusters.resources(own);
        let offers = clusters.into_iter().filter_map(|(environment, clusters)| {
            let extension = Arc::clone(&self.enforcers.get(&environment)?.resource);
            Some((environment, Offer { clusters, extension }))
        });
        offers.collect()
    }
}

/// What the APIs of an environment need.
fn needed(world: &World, environment: &str) -> Callbacks {
    let deployments = world.deployments.values().filter(|deployment| deployment.environments.contains(environment));
    deployments.fold(Callbacks::NONE, |sum, deployment| sum.and(deployment.api.callbacks()))
}
