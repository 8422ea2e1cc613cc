//! A token issuer (key manager) and what the gateway makes of its tokens.

use serde::{Deserialize, Serialize};

use crate::JwkSet;

/// One issuer whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// Name of the key manager, for logs and subscriptions.
    pub name: String,
    /// Exact value of the `iss` claim. Empty when its keys sign no access tokens.
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
    /// Whether its tokens and keys are good for the APIs only that their holder is subscribed to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub validate_subscription: bool,
    /// Values of `aud` of which a token must have one; none means that it is not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// Claims under the names that this gateway knows: remote and local name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claim_mapping: Vec<(String, String)>,
    /// Whether a token that names a certificate (`cnf`, RFC 8705) is good only on a connection that has shown it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub certificate_bound_tokens: bool,
}

impl Issuer {
    /// Name of the token service whose keys sign API keys.
    pub const API_KEYS: &str = "APIM APIkey";
    /// Name of the token service whose keys sign the keys of the publisher's test console, and API keys where there is no
    /// service of their own.
    pub const PUBLISHER: &str = "APIM Publisher";

    /// An issuer without keys, whose tokens are as Choreo Connect expects them.
    #[must_use]
    pub fn named(name: &str, issuer: &str) -> Self {
        Self {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            algorithms: Algorithm::DEFAULT.to_vec(),
            keys: JwkSet::default(),
            refreshable: false,
            consumer_key_claim: None,
            scopes_claim: None,
            audiences: Vec::new(),
            claim_mapping: Vec::new(),
            certificate_bound_tokens: false,
            validate_subscription: false,
        }
    }

    /// The lowest [`crate::SCHEMA`] of a filter that may accept its tokens: one that would ignore a condition must not.
    #[must_use]
    pub fn needs(&self) -> u16 {
        let conditions = !self.audiences.is_empty() || self.certificate_bound_tokens || self.validate_subscription;
        if conditions { 2 } else { 1 }
    }
}

/// A JWS signature algorithm (RFC 7518 §3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// All of them. `none` and the HMACs are not among them: the first signs nothing, the others with what is public here.
    pub const ALL: [Self; 10] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
    ];

    /// Those of an issuer that lists none, as in Choreo Connect.
    pub const DEFAULT: [Self; 3] = [Self::RS256, Self::RS384, Self::RS512];

    /// The algorithm of that JWS name.
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
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }
}
