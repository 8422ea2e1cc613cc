//! What must hold for every certificate and public key, whoever shows it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tollgate_adapter::outputs::issuers::keys_of_pem;
use tollgate_enforce::fuzzing;
use tollgate_model::JwkSet;

use crate::{OPENAPI, check_all};

/// api.yaml of an API that asks callers for certificates.
const MUTUAL: &str = "type: api\nversion: v4.2.0\ndata:\n  name: Pets\n  version: 1.0.0\n  context: /pets\n  type: HTTP\n  securityScheme: [mutualssl, mutualssl_mandatory]\n  endpointConfig:\n    production_endpoints:\n      url: https://backend/v2\n";
const CALLERS: &str = "type: client_certificates\ndata:\n  - {alias: a, certificate: a.crt, tierName: Gold}\n";
const BACKENDS: &str =
    "type: endpoint_certificates\ndata:\n  - {alias: b, endpoint: https://backend/v2, certificate: b.crt}\n";

/// A file is refused, or it holds keys that filters understand; and it makes a project that is refused or can be served.
pub fn check(pem: &[u8]) {
    if let Ok(keys) = keys_of_pem(pem) {
        assert!(!keys.is_empty(), "a file without a key is refused");
        assert!(keys.iter().all(|key| key.kty == "RSA" && key.n.is_some() && key.e.is_some()), "{keys:?}");
        fuzzing::jwks(&serde_json::to_vec(&JwkSet { keys }).unwrap_or_default());
    }
    check_all(&[
        ("api.yaml", MUTUAL.as_bytes()),
        ("Definitions/swagger.yaml", OPENAPI.as_bytes()),
        ("Client-certificates/client_certificates.yaml", CALLERS.as_bytes()),
        ("Client-certificates/a.crt", pem),
        ("Endpoint-certificates/endpoint_certificates.yaml", BACKENDS.as_bytes()),
        ("Endpoint-certificates/b.crt", pem),
    ]);
}

/// DER in the armour of PEM (RFC 7468).
#[must_use]
pub fn armoured(label: &str, der: &[u8]) -> String {
    let lines: Vec<String> = der.chunks(48).map(|part| STANDARD.encode(part)).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
