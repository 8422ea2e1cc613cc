//! An API as the filters see it: where it is found, what it exposes, and where its backends are.

use std::fmt;
use std::num::NonZero;

use serde::{Deserialize, Serialize};

use crate::{GraphQl, Interceptors, MutualSsl, NamedEndpoint, Policies, Security};

/// One API deployed on one virtual host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Api {
    /// Unique on its virtual host: `id` of api.yaml, or the hexadecimal SHA-1 of `name:version`.
    pub id: String,
    /// `name` of api.yaml.
    pub name: String,
    /// `version` of api.yaml.
    pub version: String,
    /// Owner of the API; `carbon.super` when the project names none.
    pub organization: String,
    /// Domain the API is served on, lower case, without a port. May start or end with `*`.
    pub virtual_host: String,
    /// Exposed path, beginning with `/` and without a trailing one: `/pizzashack/1.0.0`.
    pub base_path: String,
    /// `basePath` without its version segment, when this is the default version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_base_path: Option<String>,
    /// What kind of requests it takes.
    #[serde(default, skip_serializing_if = "ApiKind::is_http")]
    pub kind: ApiKind,
    /// State in the publisher's life cycle.
    pub life_cycle: LifeCycle,
    /// Header that carries the access token; the global one when absent. Lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_header: Option<String>,
    /// What it makes of the certificates of its callers; none when they do not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutual_ssl: Option<MutualSsl>,
    /// Name of the plan ([`crate::TierKind::Api`]) that limits the API as a whole; the operations' own count without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Backend for production keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<Backend>,
    /// Backend for sandbox keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Backend>,
    /// Cross-origin rules; none means that browsers of other origins get no consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Operations and schema of a GraphQL API, whose only resource takes them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graphql: Option<GraphQl>,
    /// Backends to which interceptors may send requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<NamedEndpoint>,
    /// Resources in definition order; the filter sorts them into matching order.
    pub resources: Vec<Resource>,
}

impl Api {
    /// The lowest [`crate::SCHEMA`] of a filter that may serve it: one that would ignore a part of it must not.
    #[must_use]
    pub fn needs(&self) -> u16 {
        match self.kind {
            // Dear requests would count as one.
            _ if self.operations().any(|operation| operation.cost.is_some()) => 3,
            // Requests would reach the backend unchanged, and unseen by who is to see them.
            _ if self.operations().any(|operation| !operation.interceptors.is_empty()) => 2,
            // Callers without a certificate would get in.
            _ if self.mutual_ssl.is_some() => 2,
            // Callers whose workload nobody has looked at would count as known by the rest of what they have shown.
            _ if self.asks_for_workloads() => 2,
            // Nobody would ask the policy agent.
            _ if self.operations().any(|operation| operation.policies.is_some()) => 2,
            ApiKind::Http | ApiKind::Soap => 1,
            // Served as HTTP, the first would be authorised by its path alone, and the second would not be a tunnel.
            ApiKind::GraphQl | ApiKind::WebSocket => 2,
        }
    }
}

impl Api {
    /// Whether the identity of the calling workload matters to any operation.
    #[must_use]
    pub fn asks_for_workloads(&self) -> bool {
        self.operations().flat_map(|operation| operation.security.requirements()).any(|one| one.workload)
    }

    /// All operations of all resources.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.resources.iter().flat_map(|resource| &resource.operations)
    }
}

/// The kind of an API: `type` of api.yaml.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiKind {
    /// Resources and methods.
    #[default]
    #[serde(rename = "HTTP")]
    Http,
    /// The same, with callers who understand SOAP faults.
    #[serde(rename = "SOAP")]
    Soap,
    /// One resource, and operations in its body.
    #[serde(rename = "GRAPHQL")]
    GraphQl,
    /// Channels, each opened by an upgrade to the WebSocket protocol.
    #[serde(rename = "WS")]
    WebSocket,
}

impl ApiKind {
    /// Its name in api.yaml and for apictl.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Soap => "SOAP",
            Self::GraphQl => "GRAPHQL",
            Self::WebSocket => "WS",
        }
    }

    // Serde hands over a reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_http(&self) -> bool {
        *self == Self::Http
    }
}

/// What pages of other origins may do with an API (Fetch standard, "CORS protocol").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// Origins that may call; `*` in one stands for any text.
    pub allow_origins: Vec<String>,
    /// Value of `access-control-allow-methods`.
    #[serde(default)]
    pub allow_methods: Vec<String>,
    /// Value of `access-control-allow-headers`.
    #[serde(default)]
    pub allow_headers: Vec<String>,
    /// Value of `access-control-expose-headers`.
    #[serde(default)]
    pub expose_headers: Vec<String>,
    /// Whether pages may send cookies and the like.
    #[serde(default)]
    pub allow_credentials: bool,
}

/// Where an API stands in its life cycle. States that behave as `Published` are written as that by the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LifeCycle {
    /// Serves with all its security.
    Published,
    /// Serves without authentication, to production only.
    Prototyped,
    /// Answers 503 with code 700700.
    Blocked,
}

/// An upstream: an Envoy cluster and how to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// Name of the Envoy cluster.
    pub cluster: String,
    /// Path put in front of the resource's; empty, or beginning with `/` and without a trailing one.
    #[serde(default)]
    pub base_path: String,
    /// Route timeout in milliseconds; the gateway's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u32>,
    /// Retries on certain status codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Value of the `authorization` header that the backend wants (endpoint security of type basic).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Secret>,
}

/// Text that must not be seen: `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one who needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// How often, and on which upstream answers, a request is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Tries after the first one.
    pub count: u8,
    /// HTTP status codes that cause another try.
    pub status_codes: Vec<u16>,
}

/// A path of an API with its operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// OpenAPI path template below the base path: `/order/{id}`, `/files/*`.
    pub template: String,
    /// Overrides the API's production backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<Backend>,
    /// Overrides the API's sandbox backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Backend>,
    /// Path and query below the backend's base path for a channel of a WebSocket API (`x-uri-mapping`), in which
    /// `{uri.var.<name>}` stands for a parameter of the template. Without it a channel goes to the base path itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri_mapping: Option<String>,
    /// What may be done with it, one entry a method.
    pub operations: Vec<Operation>,
}

/// One method of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// HTTP method in upper case.
    pub method: String,
    /// Who may call it.
    pub security: Security,
    /// Name of the plan ([`crate::TierKind::Api`]) that limits it for all callers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// How many requests one of its requests counts as; one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<NonZero<u32>>,
    /// Where the answer comes from, when it does not come from a backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mock: Option<Mock>,
    /// Services that may change its requests and responses.
    #[serde(default, skip_serializing_if = "Interceptors::is_empty")]
    pub interceptors: Interceptors,
    /// What it does with requests and responses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Policies>,
}

/// Examples that stand in for a backend (`endpointImplementationType: MOCKED_OAS`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mock {
    /// In definition order.
    pub responses: Vec<MockResponse>,
}

/// The examples of one status code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MockResponse {
    /// `200`, `20x`, `2xx`, or `default`.
    pub code: String,
    /// Name and value.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// In definition order.
    pub content: Vec<MockContent>,
}

/// The examples of one media type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MockContent {
    /// Media type.
    pub content_type: String,
    /// At least one.
    pub examples: Vec<MockExample>,
}

/// One example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MockExample {
    /// Name, by which a client may prefer it.
    pub name: String,
    /// The body as it is sent.
    pub body: String,
}
