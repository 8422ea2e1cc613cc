//! The question whether gateways have taken a change. Asked by inputs, answered by outputs. Must never hold a change back:
//! it is already published when it is asked for.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;

/// A change that was published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// [`super::World::revision`] it is part of.
    pub revision: u64,
    /// Environments it concerns.
    pub environments: BTreeSet<String>,
    /// Clusters it brought.
    pub clusters: BTreeSet<String>,
}

/// What a gateway made of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Envoy took the clusters, and its filters hold the tables.
    Acknowledged,
    /// Not yet.
    Pending,
    /// Envoy refuses a cluster of the API; it goes on without it, or with its last good version.
    Refused,
}

/// The answer of one connected gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayAnswer {
    /// `node id/instance`.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// What it made of the change.
    pub state: Outcome,
    /// Envoy's words, when it refuses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// Answers of all connected gateways of the environments.
pub type Answers<'a> = Pin<Box<dyn Future<Output = Vec<GatewayAnswer>> + Send + 'a>>;

/// Knows what gateways have taken.
pub trait Gateways: Send + Sync {
    /// Waits until all connected gateways have answered, or for so long.
    fn answers<'a>(&'a self, change: &'a Change, patience: Duration) -> Answers<'a>;
}
