//! What a project becomes: an API for the filters, and the clusters of its backends. Must never do I/O.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tollgate_model::{Api, Secret};

use super::Discovery;

/// Identifies a deployment: one API on one virtual host, in one form where environments have different ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentKey {
    /// Domain, lower case.
    pub virtual_host: String,
    /// [`Api::id`].
    pub api_id: String,
    /// [`Deployment::variant`].
    pub variant: String,
}

impl DeploymentKey {
    /// Whether both are forms of one API on one virtual host.
    #[must_use]
    pub fn is_of_same_api(&self, other: &Self) -> bool {
        self.virtual_host == other.virtual_host && self.api_id == other.api_id
    }
}

/// An API with all that outputs need of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Tells the forms apart that an API has on this virtual host in different environments; empty where it has one.
    pub variant: String,
    /// What the filters get.
    pub api: Api,
    /// `HTTP`, `WS`, `GRAPHQL`, `SOAP`: the type of api.yaml in upper case.
    pub api_type: String,
    /// Context of api.yaml as `GET /apis` shows it (the base path).
    pub context: String,
    /// Environments (gateway labels) it is deployed to.
    pub environments: BTreeSet<String>,
    /// The Envoy clusters that the API's backends name.
    pub clusters: Vec<Cluster>,
}

impl Deployment {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> DeploymentKey {
        DeploymentKey {
            virtual_host: self.api.virtual_host.clone(),
            api_id: self.api.id.clone(),
            variant: self.variant.clone(),
        }
    }
}

/// An upstream cluster, before it is translated to Envoy's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// `<organization>_<prefix>_<virtual host>_<title><version>[_<resource>]`, as in Choreo Connect.
    pub name: String,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// Whether backends speak HTTP/2 (`x-wso2-http2-backend-enabled`).
    pub http2: bool,
    /// Most that is open at a time; Envoy's own limits when absent.
    pub circuit_breakers: Option<CircuitBreakers>,
    /// The function that requests call, when the endpoints are AWS Lambda.
    pub lambda: Option<LambdaFunction>,
    /// How long a connection may take to open; as long as the gateway says when absent.
    pub connect_timeout: Option<Duration>,
}

impl Cluster {
    /// One without endpoints.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            endpoints: Vec::new(),
            http2: false,
            circuit_breakers: None,
            lambda: None,
            connect_timeout: None,
        }
    }
}

/// A function of AWS Lambda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaFunction {
    /// `arn:aws:lambda:<region>:<account>:function:<name>`.
    pub arn: String,
    /// Whether the body goes as it is, rather than the whole request as JSON.
    pub payload_passthrough: bool,
    /// Whether the answer of the function is awaited.
    pub synchronous: bool,
    /// What calls are signed with; what the gateway finds in its environment when absent.
    pub credentials: Option<AwsCredentials>,
}

/// An access key of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCredentials {
    /// Its id.
    pub access_key: String,
    /// The secret.
    pub secret_key: Secret,
}

/// Most connections, requests and retries that a cluster has open at a time. All are positive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CircuitBreakers {
    /// Connections.
    pub max_connections: Option<u32>,
    /// Requests under way.
    pub max_requests: Option<u32>,
    /// Requests that wait for a connection.
    pub max_pending_requests: Option<u32>,
    /// Retries under way.
    pub max_retries: Option<u32>,
    /// Connection pools.
    pub max_connection_pools: Option<u32>,
}

/// One address of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// DNS name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether to speak TLS.
    pub tls: bool,
    /// PEM of the certificates that make it trusted; the gateway's own bundle when absent.
    pub trusted_ca: Option<Arc<str>>,
    /// 0 is tried first; endpoints of one priority share the load.
    pub priority: u32,
    /// How the instances are found that stand in for it; it stands for itself when absent, and while there are none.
    pub discovery: Option<Arc<Discovery>>,
}
