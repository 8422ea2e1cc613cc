//! The clusters of every environment, make before break: a cluster that is no longer named stays for a while, so that no
//! request in flight loses it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::resources::{Resource, Resources};
use super::translate::{self, Materials};
use crate::model::{Cluster, Deployment, World};
use crate::outputs::settings::Gateway;

/// How long a cluster stays after the filters were told to forget it.
pub const GRACE: Duration = Duration::from_secs(10);

/// Clusters by environment and name.
#[derive(Debug, Default)]
pub struct Clusters {
    environments: BTreeMap<String, BTreeMap<String, Held>>,
}

#[derive(Debug)]
struct Held {
    model: Cluster,
    resource: Arc<Resource>,
    /// When it goes, if it is no longer wanted.
    until: Option<Instant>,
}

impl Clusters {
    /// Adds and replaces what the world names. Nothing goes yet.
    pub fn extend(&mut self, world: &World, gateway: &Gateway, materials: &Materials) {
        self.environments.retain(|environment, _| world.environments.contains_key(environment));
        for environment in world.environments.keys() {
            let held = self.environments.entry(environment.clone()).or_default();
            for (name, (model, deployment)) in wanted(world, environment) {
                let model = model.resolved(&world.instances, world.mesh.as_ref());
                match held.get_mut(name) {
                    Some(held) if held.model == *model => held.until = None,
                    _ => {
                        let body = translate::cluster(&model, gateway, materials);
                        let resource = Resource::new(name.to_owned(), body).owned_by(owner(deployment));
                        let resource = Arc::new(resource);
                        held.insert(name.to_owned(), Held { model: model.into_owned(), resource, until: None });
                    }
                }
            }
        }
    }

    /// Lets what the world no longer names go after [`GRACE`]. To be called when the filters know the world.
    pub fn retire(&mut self, world: &World, now: Instant) {
        for (environment, held) in &mut self.environments {
            let wanted = wanted(world, environment);
            for (name, held) in held.iter_mut().filter(|(name, _)| !wanted.contains_key(name.as_str())) {
                tracing::debug!(cluster = name, "a cluster is no longer used");
                held.until.get_or_insert_with(|| now.checked_add(GRACE).unwrap_or(now));
            }
        }
    }

    /// Removes what is due, and says whether there was any.
    pub fn prune(&mut self, now: Instant) -> bool {
        let before = self.count();
        for held in self.environments.values_mut() {
            held.retain(|_, held| held.until.is_none_or(|until| until > now));
        }
        self.count() != before
    }

    /// When the next one goes.
    #[must_use]
    pub fn next_prune(&self) -> Option<Instant> {
        self.environments.values().flat_map(BTreeMap::values).filter_map(|held| held.until).min()
    }

    /// Number of clusters in all environments.
    #[must_use]
    pub fn count(&self) -> usize {
        self.environments.values().map(BTreeMap::len).sum()
    }

    /// The resources, with those that every gateway has.
    #[must_use]
    pub fn resources(&self, own: &[Arc<Resource>]) -> BTreeMap<String, Arc<Resources>> {
        let of = |held: &BTreeMap<String, Held>| {
            let items = held.values().map(|held| &held.resource).chain(own);
            Resources::new(items.map(Arc::clone).collect())
        };
        self.environments.iter().map(|(environment, held)| (environment.clone(), Arc::new(of(held)))).collect()
    }
}

/// Clusters of an environment's deployments. Names are unique by construction; should two ever be the same, the first one
/// stays, and everybody hears of it.
fn wanted<'w>(world: &'w World, environment: &str) -> BTreeMap<&'w str, (&'w Cluster, &'w Deployment)> {
    let mut wanted = BTreeMap::new();
    let deployments = world.deployments.values().filter(|deployment| deployment.environments.contains(environment));
    let clusters =
        deployments.flat_map(|deployment| deployment.clusters.iter().map(move |cluster| (cluster, &**deployment)));
    for (cluster, deployment) in clusters {
        let (first, _) = *wanted.entry(cluster.name.as_str()).or_insert((cluster, deployment));
        if first != cluster {
            tracing::error!(cluster = cluster.name, "two APIs have different clusters of the same name; one is wrong");
        }
    }
    wanted
}

/// An API as people know it.
fn owner(deployment: &Deployment) -> String {
    let api = &deployment.api;
    format!("{}:{} on {}", api.name, api.version, api.virtual_host)
}
