//! How filters reach the adapter: the plugin configuration, and the paths, headers and bodies of their call-outs.

use serde::{Deserialize, Serialize};

/// `GET`, query `since=<cursor>`: answers a [`crate::wire::FeedFrame`], or 204 when nothing changed for
/// [`FEED_WAIT_SECONDS`].
pub const FEED_PATH: &str = "/v1/feed";

/// `POST` with a [`KeysRequest`]: answers the issuer's current [`crate::JwkSet`] as JSON, fetched again if the adapter's copy
/// lacks the key, or 404 when there is no such issuer.
pub const KEYS_PATH: &str = "/v1/keys";

/// Request header: the environment (gateway label) whose snapshot is wanted.
pub const ENVIRONMENT_HEADER: &str = "x-tollgate-environment";

/// Request header: which gateway asks, as `node id/instance`. The adapter matches it with the node of the xDS stream.
pub const NODE_HEADER: &str = "x-tollgate-node";

/// How long the adapter holds a feed request when there is nothing to say.
pub const FEED_WAIT_SECONDS: u64 = 20;

/// Request header that names the Envoy cluster a request goes to. Set by the enforcer, read by the route
/// (`cluster_header`), never accepted from a client and never sent to a backend.
pub const CLUSTER_HEADER: &str = "x-wso2-cluster-header";

/// Configuration of the wasm plugin: a JSON object. Unknown members are errors, so that a misspelt one is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PluginConfig {
    /// Envoy cluster of the adapter's feed: `tollgate_adapter` in our bootstrap,
    /// `outbound|8081||tollgate-adapter.<namespace>.svc.cluster.local` in Istio.
    pub cluster: String,
    /// Host header of the call-outs; the cluster's name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Environment (gateway label) whose APIs this gateway serves.
    #[serde(default = "default_environment")]
    pub environment: String,
}

fn default_environment() -> String {
    "Default".to_owned()
}

/// What a filter sends to [`KEYS_PATH`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysRequest {
    /// `iss` of the token at hand.
    pub issuer: String,
    /// The `kid` that none of the known keys has.
    pub kid: String,
}
