//! Everything the adapter knows at one moment, as an immutable value. Inputs make the next world, outputs watch it.
//!
//! A world is cheap to clone (deployments are shared), and outputs find what changed between two worlds by comparing
//! pointers, so a change among thousands of APIs costs what the change costs. Must never do I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_model::{Issuer, Settings};
use tollgate_project::model::{Deployment, DeploymentKey, Instances, Mesh};

use super::{KeyManager, Origin, Subscribers, ThrottleRules};

/// The state of the adapter.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Counts the changes; every published world has a higher one than its predecessor.
    pub revision: u64,
    /// All deployments.
    pub deployments: BTreeMap<DeploymentKey, Arc<Deployment>>,
    /// Where the deployments come from.
    pub origins: BTreeMap<DeploymentKey, Origin>,
    /// Issuers whose tokens are accepted.
    pub issuers: Vec<Arc<Issuer>>,
    /// Key managers of API Manager, by their names without case: issuers beside those of the configuration.
    pub key_managers: Arc<BTreeMap<String, KeyManager>>,
    /// What an administrator has laid down for all APIs.
    pub throttle: ThrottleRules,
    /// Global settings of the filters.
    pub settings: Settings,
    /// Known environments and their default virtual host (`adapter.vhostMapping`).
    pub environments: BTreeMap<String, String>,
    /// Instances of the services that backends are found by.
    pub instances: Instances,
    /// As whom gateways speak to instances, when these are in a service mesh.
    pub mesh: Option<Arc<Mesh>>,
    /// Applications, subscriptions and revoked tokens, the same for all environments.
    pub subscribers: Subscribers,
}
