//! A key manager that was registered in API Manager: an issuer beside those of the configuration. Must never do I/O.

use serde::{Deserialize, Serialize};

/// A key manager whose tokens the gateway verifies by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyManager {
    /// Its name, by which keys of applications are told apart.
    pub name: String,
    /// `iss` of its tokens.
    pub issuer: String,
    /// Whether its tokens are accepted: it is enabled, and verifies by signature.
    pub accepted: bool,
    /// Where its keys are.
    pub jwks_url: Option<String>,
    /// PEM of a certificate with a key of it.
    pub certificate: Option<String>,
    /// Claim that holds the consumer key.
    pub consumer_key_claim: Option<String>,
    /// Claim that holds the scopes.
    pub scopes_claim: Option<String>,
    /// Remote and local names of claims.
    pub claim_mapping: Vec<(String, String)>,
}
