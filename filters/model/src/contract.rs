//! How filters reach the adapter: the plugin configuration, and the paths, headers and bodies of their call-outs.

use serde::{Deserialize, Serialize};

use crate::{Callbacks, Secret};

/// `GET`, query `since=<cursor>`: answers a [`crate::wire::FeedFrame`], or 204 when nothing changed for
/// [`FEED_WAIT_SECONDS`].
pub const FEED_PATH: &str = "/v1/feed";

/// `POST` with a [`KeysRequest`]: answers the issuer's current [`crate::JwkSet`] as JSON, fetched again if the adapter's copy
/// lacks the key, or 404 when there is no such issuer.
pub const KEYS_PATH: &str = "/v1/keys";

/// `POST` with a [`crate::QuotaRequest`]: answers a [`crate::QuotaAnswer`] as JSON, or 503 when the owner of the counters
/// cannot be reached.
pub const QUOTA_PATH: &str = "/v1/quota";

/// `POST` with a [`crate::UsageReport`]: answers 200 when it will be published, or 404 when nobody counts uses.
pub const USAGE_PATH: &str = "/v1/usage";

/// `POST` with a [`BackendJwtRequest`]: answers a [`BackendJwt`], or a status that says why there is none. The adapter judges
/// the credential anew and writes the claims itself, so that a gateway cannot have anything signed that no issuer said.
pub const BACKEND_JWT_PATH: &str = "/v1/backend-jwt";

/// Request header: the environment (gateway label) whose snapshot is wanted.
pub const ENVIRONMENT_HEADER: &str = "x-tollgate-environment";

/// Request header: which gateway asks, as `node id/instance`. The adapter matches it with the node of the xDS stream.
pub const NODE_HEADER: &str = "x-tollgate-node";

/// Request header of a feed call-out, present when [`PluginConfig::managed`] is set.
pub const MANAGED_HEADER: &str = "x-tollgate-managed";

/// Request header of a feed call-out, present when the filter denies part of the snapshot because it cannot read it:
/// a line of text for the adapter's status.
pub const PROBLEMS_HEADER: &str = "x-tollgate-problems";

/// How long the adapter holds a feed request when there is nothing to say.
pub const FEED_WAIT_SECONDS: u64 = 20;

/// Request header that names the Envoy cluster a request goes to. Set by the enforcer, read by the route
/// (`cluster_header`), never accepted from a client and never sent to a backend.
pub const CLUSTER_HEADER: &str = "x-wso2-cluster-header";

/// Request header with a pass that lets a live request be explained. Never sent to a backend where passes are believed.
pub const EXPLAIN_HEADER: &str = "x-tollgate-explain";

/// Name under which the enforcer's HTTP filter is discovered (ECDS resource, filter name and plugin name).
pub const ENFORCER_FILTER: &str = "tollgate.enforcer";

/// Names of the modules that a release has, in the order of a chain: the whole path in one, and one for each part of it. A plugin's
/// root id is the name of its module.
pub const MODULES: [&str; 6] = ["enforcer", "authenticate", "authorize", "ratelimit", "observe", "mediate"];

/// `vm_id` of the filters' VMs: the namespace of shared data, so that all of them see one snapshot.
pub const VM_ID: &str = "tollgate";

/// What the enforcer module uses of the proxy-wasm ABI, for Envoy's `capability_restriction_config`. Callbacks that are not
/// listed are never called, which is worth about 40 % of a filter's overhead; host calls that are not listed fail. Those of
/// [`Callbacks::capabilities`] come on top where APIs need them.
pub const CAPABILITIES: [&str; 34] = [
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_http_call_response",
    "proxy_on_request_headers",
    "proxy_on_delete",
    "proxy_log",
    "proxy_get_buffer_bytes",
    "proxy_set_buffer_bytes",
    "proxy_get_header_map_pairs",
    "proxy_replace_header_map_value",
    "proxy_add_header_map_value",
    "proxy_get_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_send_local_response",
    "proxy_continue_stream",
    "proxy_set_effective_context",
    "proxy_http_call",
    "proxy_call_foreign_function",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_get_property",
    "proxy_set_property",
    "proxy_get_current_time_nanoseconds",
    "proxy_set_tick_period_milliseconds",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
    "clock_time_get",
    "random_get",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
];

/// Response headers that a decision may set, with the filter state that carries the value to the route configuration:
/// the route adds `%FILTER_STATE(wasm.<name>:PLAIN)%`, and nothing when there is none. That way responses need not pass
/// the filter.
pub const RESPONSE_HEADERS: [(&str, &str); 4] = [
    ("access-control-allow-origin", "tollgate.allow_origin"),
    ("access-control-allow-credentials", "tollgate.allow_credentials"),
    ("access-control-expose-headers", "tollgate.expose_headers"),
    ("vary", "tollgate.vary"),
];

/// Filter state in which the modules of a chain leave word for each other.
pub const EVIDENCE_STATE: &str = "tollgate.evidence";

/// The same for what clients are told of limits (`tollgate.quota.headers`).
pub const LIMIT_HEADERS: [(&str, &str); 2] =
    [("ratelimit-policy", "tollgate.ratelimit_policy"), ("ratelimit", "tollgate.ratelimit")];

/// Filter state that holds what is recorded of a request, where [`crate::Settings::usage_records`] says so. Access logs read it
/// as `%FILTER_STATE(wasm.tollgate:PLAIN)%`.
pub const USAGE_STATE: &str = "tollgate";

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
    /// Whether the gateway's clusters come from the adapter over xDS. The adapter then tells its filters of an API only
    /// once the gateway has the API's clusters.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub managed: bool,
    /// Which callbacks Envoy makes besides those for the headers of requests.
    #[serde(default, skip_serializing_if = "Callbacks::is_none")]
    pub callbacks: Callbacks,
    /// Whether the gateway's routes send requests to the cluster that [`CLUSTER_HEADER`] names. `false` where they belong to
    /// somebody else, as in a mesh: the filter then names no cluster, and refuses what would need one of its own choice.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub own_routes: bool,
}

const fn yes() -> bool {
    true
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

/// What a filter sends to [`BACKEND_JWT_PATH`]: who calls which API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendJwtRequest {
    /// Virtual host of the API.
    pub virtual_host: String,
    /// Its id.
    pub api: String,
    /// What the credential was shown as.
    pub usage: CredentialUse,
    /// The credential, as the caller has shown it.
    pub credential: Secret,
    /// SHA-256 of the certificate that the caller has shown, in hexadecimal digits; only for tokens that are bound to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// What a credential is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CredentialUse {
    /// In the header of access tokens.
    AccessToken,
    /// Where an API key is expected.
    ApiKey,
    /// In the header of the publisher's test console.
    InternalKey,
}

/// A token that tells a backend who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendJwt {
    /// The token.
    pub token: Secret,
    /// Its `exp`, in seconds since the epoch.
    pub expires_at: i64,
}
