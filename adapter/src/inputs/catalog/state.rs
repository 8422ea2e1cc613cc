//! What is deployed, and what a new deployment would collide with. Pure: no disk, no world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::store::Record;
use crate::model::{Deployment, DeploymentKey, Origin, Problems};

/// One deployment.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What lists show of it, and what the store keeps.
    pub record: Record,
    /// What is served; `None` when the stored project can no longer be read. It is denied then, and keeps its place.
    pub deployment: Option<Arc<Deployment>>,
    /// Where it comes from. What is not stored is read again by its source at every start.
    pub origin: Origin,
}

/// By what right a deployment takes a place that is taken.
#[derive(Debug, Clone, Copy)]
pub enum Claim<'o> {
    /// By none: the place must be free.
    New,
    /// Whoever asks wants it replaced.
    Replace,
    /// A project replaces what it made itself, and what came over the REST API, but no other project's.
    Project(&'o Origin),
}

/// Why a deployment cannot be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collision {
    /// The API is there already, and overriding was not asked for.
    Exists,
    /// Another project has the API; this says which.
    Owned(String),
    /// Another API has the base path.
    BasePath(String),
    /// An API with another id has the same name and version.
    Name,
    /// Another API's clusters have the same name.
    Cluster(String),
}

/// Virtual host, name and version.
type Name = (String, String, String);

/// All deployments with the names they take.
#[derive(Debug, Clone, Default)]
pub struct State {
    entries: BTreeMap<DeploymentKey, Entry>,
    paths: BTreeMap<(String, String), DeploymentKey>,
    names: BTreeMap<Name, DeploymentKey>,
    clusters: BTreeMap<String, DeploymentKey>,
}

impl State {
    /// All deployments.
    pub fn entries(&self) -> impl Iterator<Item = (&DeploymentKey, &Entry)> {
        self.entries.iter()
    }

    /// Whether the deployment could be added.
    ///
    /// # Errors
    /// What it collides with.
    pub fn check(&self, deployment: &Deployment, claim: Claim<'_>) -> Result<(), Collision> {
        let key = deployment.key();
        match (claim, self.entries.get(&key)) {
            (Claim::New, Some(_)) => return Err(Collision::Exists),
            (Claim::Project(origin), Some(taken))
                if !taken.origin.is_stored() && !taken.origin.is_project_of(origin) =>
            {
                return Err(Collision::Owned(taken.origin.describe()));
            }
            _ => {}
        }
        for path in paths(deployment) {
            if self.paths.get(&path).is_some_and(|owner| !owner.is_of_same_api(&key)) {
                return Err(Collision::BasePath(path.1));
            }
        }
        // API Manager calls its APIs by their ids, and several owners may have given them the same name.
        let by_name = !matches!(claim, Claim::Project(Origin::ApiManager(_)));
        let name = name(&key, &deployment.api.name, &deployment.api.version);
        if by_name && self.names.get(&name).is_some_and(|owner| !owner.is_of_same_api(&key)) {
            return Err(Collision::Name);
        }
        let taken = |name: &String| self.clusters.get(name).is_some_and(|owner| !owner.is_of_same_api(&key));
        match deployment.clusters.iter().map(|cluster| &cluster.name).find(|name| taken(name)) {
            Some(name) => Err(Collision::Cluster(name.clone())),
            None => Ok(()),
        }
    }

    /// Adds or replaces a deployment.
    pub fn put(&mut self, key: DeploymentKey, entry: Entry) {
        self.remove(&key);
        self.take_names(&key, &entry);
        self.entries.insert(key, entry);
    }

    /// Forms of one API share its names.
    fn take_names(&mut self, key: &DeploymentKey, entry: &Entry) {
        match &entry.deployment {
            Some(deployment) => {
                for path in paths(deployment) {
                    self.paths.insert(path, key.clone());
                }
                for cluster in &deployment.clusters {
                    self.clusters.insert(cluster.name.clone(), key.clone());
                }
            }
            None => {
                self.paths.insert((key.virtual_host.clone(), entry.record.context.clone()), key.clone());
            }
        }
        self.names.insert(name(key, &entry.record.name, &entry.record.version), key.clone());
    }

    /// The deployment of that key.
    #[must_use]
    pub fn get(&self, key: &DeploymentKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Removes a deployment and frees its names.
    pub fn remove(&mut self, key: &DeploymentKey) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        let mut free = vec![(key.virtual_host.clone(), entry.record.context.clone())];
        if let Some(deployment) = &entry.deployment {
            free.extend(paths(deployment));
            for cluster in &deployment.clusters {
                if self.clusters.get(&cluster.name) == Some(key) {
                    self.clusters.remove(&cluster.name);
                }
            }
        }
        let name = name(key, &entry.record.name, &entry.record.version);
        if self.names.get(&name) == Some(key) {
            self.names.remove(&name);
        }
        for path in free {
            if self.paths.get(&path) == Some(key) {
                self.paths.remove(&path);
            }
        }
        let first = DeploymentKey { variant: String::new(), ..key.clone() };
        let others = self.entries.range(&first..).take_while(|(other, _)| other.is_of_same_api(key));
        let others: Vec<(DeploymentKey, Entry)> = others.map(|(other, entry)| (other.clone(), entry.clone())).collect();
        for (other, entry) in &others {
            self.take_names(other, entry);
        }
        Some(entry)
    }

    /// The configured environments, and those that only a deployment names, with its virtual host as their default one.
    #[must_use]
    pub fn environments(&self, configured: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = configured.clone();
        for (key, entry) in &self.entries {
            for environment in &entry.record.environments {
                if !all.contains_key(environment) {
                    all.insert(environment.clone(), key.virtual_host.clone());
                }
            }
        }
        all
    }
}

impl Collision {
    /// What a client or a log is told.
    #[must_use]
    pub fn problems(&self, deployment: &Deployment) -> Problems {
        let (name, version, host) = (&deployment.api.name, &deployment.api.version, &deployment.api.virtual_host);
        let mut problems = Problems::new();
        match self {
            Self::Exists => problems.error(
                ("", ""),
                format!("{name} {version} is already deployed on {host}"),
                "deploying again would replace it",
                "use override=true if that is meant",
            ),
            Self::Owned(owner) => problems.error(
                ("", ""),
                format!("{name} {version} is already deployed on {host} by {owner}"),
                "nobody could tell which of the two projects is meant",
                "remove one of them, or give it another name, version or virtual host",
            ),
            Self::BasePath(path) => problems.error(
                ("", ""),
                format!("An API exists with the same basepath {path} on {host}"),
                "a request must belong to one API only",
                "use another context, version or virtual host",
            ),
            Self::Name => problems.error(
                ("", ""),
                format!("{name} {version} is already deployed on {host} with another id"),
                "APIs are undeployed by name and version",
                "undeploy that one first, or choose another name or version",
            ),
            Self::Cluster(cluster) => problems.error(
                ("", ""),
                format!("another API on {host} has clusters of the same name ({cluster})"),
                "name and version are joined in it, and its requests would go to the other API's backend",
                "choose another name",
            ),
        }
        problems
    }
}

fn name(key: &DeploymentKey, name: &str, version: &str) -> Name {
    (key.virtual_host.clone(), name.to_owned(), version.to_owned())
}

fn paths(deployment: &Deployment) -> BTreeSet<(String, String)> {
    let api = &deployment.api;
    std::iter::once(&api.base_path)
        .chain(&api.default_base_path)
        .map(|path| (api.virtual_host.clone(), path.clone()))
        .collect()
}
