//! A token issuer (key manager) and what the gateway makes of its tokens.

use serde::{Deserialize, Serialize};

use crate::JwkSet;

/// One issuer whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// Name of the key manager, for logs and subscriptions.
    pub name: String,
    /// Exact value of the `iss` claim.
    pub issuer: String,
    /// Algorithms a token may be signed with. Empty means none: every token of the issuer is refused.
    pub algorithms: Vec<Algorithm>,
    /// Verification keys.
    pub keys: JwkSet,
    /// Whether the adapter can fetch newer keys, so that an unknown `kid` is worth a question.
    #[serde(default)]
    pub refreshable: bool,
    /// Claim that holds the consumer key; `consumerKey`, then `azp`, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_key_claim: Option<String>,
    /// Claim that holds the scopes; `scope` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes_claim: Option<String>,
}

/// A JWS signature algorithm (RFC 7518 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
}

impl Algorithm {
    /// All of them; the default of an issuer that lists none.
    pub const ALL: [Self; 3] = [Self::RS256, Self::RS384, Self::RS512];

    /// The algorithm of that JWS name. `none` is no algorithm.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Its name in a JWS header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
        }
    }
}
