//! What policies of an operation do with its requests and responses, as plain data: templates are rendered and parameters
//! checked by the adapter.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// The policies of an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policies {
    /// For requests, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<RequestPolicy>,
    /// For responses of the backend, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response: Vec<HeaderPolicy>,
}

impl Policies {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty()
    }
}

/// A policy for requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum RequestPolicy {
    /// Changes a header.
    Header(HeaderPolicy),
    /// Gives a header another name; nothing when there is no such header.
    RenameHeader {
        /// Lower case.
        from: String,
        /// Lower case. Other values of that name are lost.
        to: String,
    },
    /// The query has this parameter once. Neither is encoded.
    SetQuery {
        /// Name.
        name: String,
        /// Value.
        value: String,
    },
    /// The query has no such parameter.
    RemoveQuery {
        /// Name, not encoded.
        name: String,
    },
    /// The backend gets another path below its base path.
    RewritePath {
        /// Begins with `/`; `{uri.var.x}` stands for parameter `x` of the resource's path.
        path: String,
        /// Whether the client's query stays.
        #[serde(rename = "keepQuery")]
        keep_query: bool,
    },
    /// The backend gets another method.
    RewriteMethod {
        /// Upper case.
        method: String,
    },
    /// Open Policy Agent decides whether the request goes on.
    Opa(Box<OpaPolicy>),
}

/// A change to headers. Names are lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum HeaderPolicy {
    /// The header has this value and no other.
    Set {
        /// Name.
        name: String,
        /// Value, which may be a credential.
        value: Secret,
    },
    /// There is no such header.
    Remove {
        /// Name.
        name: String,
    },
}

/// How to ask Open Policy Agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpaPolicy {
    /// Envoy cluster of the agent.
    pub cluster: String,
    /// Host header.
    pub authority: String,
    /// Path of the decision: `/v1/data/<policy>/<rule>`.
    pub path: String,
    /// Bearer token for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<Secret>,
    /// Whether the agent is shown the caller's token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub send_access_token: bool,
    /// Milliseconds until it has failed.
    pub timeout_ms: u32,
}
