//! Key managers as API Manager describes them. One that cannot be used is refused by itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::object::{Object, ShapeError};
use crate::model::KeyManager;
use crate::tls;

/// Claims that no other may be renamed to: they say whether a token is good.
const FIXED_CLAIMS: [&str; 7] = ["iss", "exp", "nbf", "iat", "jti", "aud", "cnf"];

/// Reads a key manager with its configuration, which is an object of its own.
///
/// # Errors
/// What is missing, or cannot be understood.
pub fn key_manager(object: Object<'_>, configuration: Object<'_>) -> Result<KeyManager, ShapeError> {
    let name = object.needed("name")?;
    let issuer = configuration.text("issuer");
    let enabled = object.flag("enabled").unwrap_or(false);
    let verified_here = configuration.flag("self_validate_jwt").unwrap_or(false);
    let mut manager = KeyManager {
        name,
        accepted: enabled && verified_here && issuer.is_some(),
        issuer: issuer.unwrap_or_default(),
        ..KeyManager::default()
    };
    if !manager.accepted {
        return Ok(manager);
    }
    manager.jwks_url = configuration.text("jwks_endpoint");
    if let (Some(kind), Some(value)) = (configuration.text("certificate_type"), configuration.text("certificate_value"))
    {
        if kind.eq_ignore_ascii_case("JWKS") {
            manager.jwks_url = Some(value);
        } else {
            manager.certificate = Some(certificate(&value)?);
        }
    }
    if manager.jwks_url.is_none() && manager.certificate.is_none() {
        return Err(ShapeError::Missing("certificate_value"));
    }
    manager.consumer_key_claim = configuration.text("consumer_key_claim");
    manager.scopes_claim = configuration.text("scopes_claim");
    manager.claim_mapping = configuration.list("claim_mappings").map(mapping).collect::<Result<_, _>>()?;
    Ok(manager)
}

/// PEM, or base64 of PEM or of DER, as PEM.
fn certificate(value: &str) -> Result<String, ShapeError> {
    const WRONG: ShapeError = ShapeError::Unclear("certificate_value");
    const MARK: &str = "-----BEGIN";
    if value.contains(MARK) {
        return Ok(value.to_owned());
    }
    let compact: String = value.chars().filter(|character| !character.is_whitespace()).collect();
    let bytes = STANDARD.decode(compact).map_err(|_| WRONG)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains(MARK) => Ok(text.to_owned()),
        _ if bytes.is_empty() => Err(WRONG),
        _ => Ok(tls::pem(&bytes)),
    }
}

fn mapping(value: &Value) -> Result<(String, String), ShapeError> {
    let object = Object::of(value)?;
    let (remote, local) = (object.needed("remoteClaim")?, object.needed("localClaim")?);
    if FIXED_CLAIMS.contains(&local.as_str()) { Err(ShapeError::Unclear("localClaim")) } else { Ok((remote, local)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn read(enabled: bool, configuration: &Value) -> Result<KeyManager, ShapeError> {
        let value = json!({"name": "Okta", "enabled": enabled});
        key_manager(Object::of(&value).unwrap(), Object::of(configuration).unwrap())
    }

    #[test]
    fn only_who_is_enabled_and_signs_is_an_issuer() {
        let good = json!({"issuer": "https://i", "self_validate_jwt": true, "jwks_endpoint": "https://i/jwks"});
        assert!(read(true, &good).unwrap().accepted);
        assert!(!read(false, &good).unwrap().accepted);
        for (member, value) in [("self_validate_jwt", json!(false)), ("issuer", json!(""))] {
            let mut other = good.clone();
            other[member] = value;
            assert!(!read(true, &other).unwrap().accepted, "{member}");
        }
        let mut keyless = good.clone();
        keyless["jwks_endpoint"] = json!("");
        assert_eq!(read(true, &keyless), Err(ShapeError::Missing("certificate_value")));
    }

    #[test]
    fn keys_come_from_a_url_or_a_certificate_or_both() {
        let pem = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
        let encoded = STANDARD.encode(pem);
        let with = |kind: &str, value: &str| {
            let configuration = json!({"issuer": "i", "self_validate_jwt": "true", "jwks_endpoint": "https://a",
                "certificate_type": kind, "certificate_value": value});
            read(true, &configuration).map(|manager| (manager.jwks_url.unwrap_or_default(), manager.certificate))
        };
        let both = |certificate: Option<&str>| Ok(("https://a".to_owned(), certificate.map(str::to_owned)));
        assert_eq!(with("JWKS", "https://b"), Ok(("https://b".to_owned(), None)));
        assert_eq!(with("PEM", &encoded), both(Some(pem)));
        assert_eq!(with("PEM", pem), both(Some(pem)));
        assert_eq!(with("PEM", "AQID"), both(Some(pem)));
        assert_eq!(with("PEM", ""), both(None));
        assert_eq!(with("PEM", "§"), Err(ShapeError::Unclear("certificate_value")));
    }

    #[test]
    fn claims() {
        let with = |local: &str| {
            let configuration = json!({"issuer": "i", "self_validate_jwt": true, "jwks_endpoint": "u",
                "consumer_key_claim": "azp", "scopes_claim": "scp",
                "claim_mappings": [{"remoteClaim": "a", "localClaim": local}]});
            read(true, &configuration)
        };
        let manager = with("b").unwrap();
        assert_eq!(manager.claim_mapping, [("a".to_owned(), "b".to_owned())]);
        let claims = (manager.consumer_key_claim.as_deref(), manager.scopes_claim.as_deref());
        assert_eq!(claims, (Some("azp"), Some("scp")));
        assert_eq!(with("exp"), Err(ShapeError::Unclear("localClaim")));
    }
}
