//! What holds for every API of a gateway.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::TrafficManager;

/// Global configuration of the filters: the only entry of the `settings` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Header that carries the access token unless an API names another. Lower case.
    pub authorization_header: String,
    /// Whether the backend gets the access token (`security.authHeader.enableOutboundAuthHeader`).
    #[serde(default)]
    pub forward_authorization: bool,
    /// Seconds a clock may be wrong when `exp` and `nbf` are checked.
    pub clock_skew_seconds: u32,
    /// Whether callers who speak SOAP are refused with SOAP faults (`adapter.soapErrorInXMLEnabled`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub soap_faults: bool,
    /// Header that carries the key of the publisher's test console. Lower case.
    #[serde(default = "internal_key_header", skip_serializing_if = "is_internal_key_header")]
    pub internal_key_header: String,
    /// Where the certificates of callers are found.
    #[serde(default, skip_serializing_if = "CertificateSource::is_default")]
    pub client_certificate: CertificateSource,
    /// Whether the peers of connections are the clients (`router.useRemoteAddress`), so that nobody is believed who says
    /// otherwise in `x-forwarded-for`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub direct_clients: bool,
    /// Gateways that share every limit, each of which has its part while nobody can be asked for quota; at least one.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub gateways: u32,
    /// Whether clients are told how their limits stand (`tollgate.quota.headers`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limit_headers: bool,
    /// Whether a Traffic Manager counts, instead of the owner of the quotas, and what it is told (`enforcer.throttling`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_manager: Option<TrafficManager>,
    /// How backends are told who calls (`enforcer.jwtGenerator`); they are not when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_jwt: Option<BackendJwtHeader>,
    /// Further names of virtual hosts (`tollgate.virtualHosts`): what a client calls it, and the virtual host that is meant.
    /// Lower case, without ports. A virtual host of that very name goes before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
    /// Who may have live requests explained; nobody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplainKey>,
    /// Whether every request leaves a record of what was decided, for access logs and analytics (`tollgate.usageRecords.enable`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub usage_records: bool,
}

impl Settings {
    /// The lowest [`crate::SCHEMA`] of a filter that may serve with them: an older one would let clients write the header in
    /// which backends look for a token of the gateway.
    #[must_use]
    pub const fn needs(&self) -> u16 {
        match (self.traffic_manager, &self.backend_jwt) {
            // An older filter would count for itself, and tell nobody.
            (Some(_), _) => 3,
            (None, Some(_)) => 2,
            (None, None) => 1,
        }
    }
}

/// Whose passes ([`crate::contract::EXPLAIN_HEADER`]) are believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainKey {
    /// The public key that verifies them, on Ed25519.
    pub key: crate::Jwk,
}

/// The header that carries the gateway's own token to backends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendJwtHeader {
    /// Its name. Lower case.
    pub header: String,
    /// Names what tokens are made with. Tokens of another revision are not sent any more.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
}

/// Where the certificate of a caller is found (`security.mutualSSL`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSource {
    /// Header in which a proxy in front of the gateway tells it. Lower case.
    pub header: String,
    /// Whether that header is believed. If not, the certificate is that of the handshake, and the header is taken away.
    #[serde(default)]
    pub from_header: bool,
    /// Whether the header is encoded as in URLs.
    #[serde(default)]
    pub encoded: bool,
    /// Whether backends get the header, where it is believed.
    #[serde(default)]
    pub forward: bool,
}

impl Default for CertificateSource {
    /// The defaults of Choreo Connect.
    fn default() -> Self {
        Self { header: "x-wso2-client-certificate".to_owned(), from_header: false, encoded: false, forward: false }
    }
}

impl CertificateSource {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

const fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_one(gateways: &u32) -> bool {
    *gateways == 1
}

fn internal_key_header() -> String {
    "internal-key".to_owned()
}

fn is_internal_key_header(name: &str) -> bool {
    name == "internal-key"
}

impl Default for Settings {
    /// The defaults of Choreo Connect.
    fn default() -> Self {
        Self {
            authorization_header: "authorization".to_owned(),
            forward_authorization: false,
            clock_skew_seconds: 5,
            soap_faults: false,
            internal_key_header: internal_key_header(),
            client_certificate: CertificateSource::default(),
            direct_clients: false,
            gateways: one(),
            limit_headers: false,
            traffic_manager: None,
            backend_jwt: None,
            aliases: BTreeMap::new(),
            explain: None,
            usage_records: false,
        }
    }
}
