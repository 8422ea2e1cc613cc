//! Passes for live requests: the key that signs them, and the key that gateways are told.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{Claims, Duration, Ed25519KeyPair, Ed25519PublicKey, EdDSAKeyPairLike as _, UnixTimeStamp};
use serde::{Deserialize, Serialize};
use tollgate_enforce::Timestamp;
use tollgate_enforce::explain::pass::{AUDIENCE, MAX_VALIDITY};
use tollgate_model::{ExplainKey, Jwk};

/// What is wrong with the key.
#[derive(Debug, thiserror::Error)]
#[error("tollgate.explain.keyPath: {path} {why} (fix: openssl genpkey -algorithm ed25519 -out {path})")]
pub struct PassKeyError {
    path: String,
    why: String,
}

/// The key that gateways believe, from a private or a public key in PEM.
///
/// # Errors
/// Why there is none.
pub fn public_key(path: &Path) -> Result<ExplainKey, PassKeyError> {
    let pem = read(path)?;
    let public = Ed25519KeyPair::from_pem(&pem).map(|pair| pair.public_key());
    let public = public.or_else(|_| Ed25519PublicKey::from_pem(&pem));
    let public = public.map_err(|error| failed(path, format!("holds no Ed25519 key in PEM: {error}")))?;
    let x = Some(URL_SAFE_NO_PAD.encode(public.to_bytes()));
    let key = Jwk { kty: "OKP".to_owned(), crv: Some("Ed25519".to_owned()), x, ..Jwk::default() };
    Ok(ExplainKey { key })
}

/// A pass for that host and path, with the private key in that file.
///
/// # Errors
/// Why it cannot be made.
pub fn issue(key: &Path, host: &str, path: &str, now: Timestamp) -> Result<String, PassKeyError> {
    let pair = Ed25519KeyPair::from_pem(&read(key)?)
        .map_err(|error| failed(key, format!("holds no private Ed25519 key in PEM: {error}")))?;
    let place = Place { host: host.to_ascii_lowercase(), path: path.split('?').next().unwrap_or_default().to_owned() };
    let seconds = now.0 / 1000;
    let mut claims = Claims::with_custom_claims(place, Duration::from_secs(MAX_VALIDITY)).with_audience(AUDIENCE);
    claims.issued_at = Some(UnixTimeStamp::from_secs(seconds));
    claims.expires_at = Some(UnixTimeStamp::from_secs(seconds.saturating_add(MAX_VALIDITY)));
    claims.invalid_before = None;
    pair.sign(claims).map_err(|error| failed(key, format!("cannot sign: {error}")))
}

/// What a pass is good for.
#[derive(Serialize, Deserialize)]
struct Place {
    host: String,
    path: String,
}

fn read(path: &Path) -> Result<String, PassKeyError> {
    std::fs::read_to_string(path).map_err(|error| failed(path, format!("cannot be read: {error}")))
}

fn failed(path: &Path, why: String) -> PassKeyError {
    PassKeyError { path: path.display().to_string(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_public_keys_are_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let pair = Ed25519KeyPair::generate();
        let (private, public) = (folder.path().join("a.pem"), folder.path().join("b.pem"));
        std::fs::write(&private, pair.to_pem()).unwrap();
        std::fs::write(&public, pair.public_key().to_pem()).unwrap();
        assert_eq!(public_key(&private).unwrap(), public_key(&public).unwrap());
        let now = Timestamp(1_000_000_000);
        assert!(issue(&private, "localhost", "/a?b=c", now).is_ok());
        for (path, why) in [(&public, "no private Ed25519 key"), (&folder.path().join("c.pem"), "cannot be read")] {
            let error = issue(path, "localhost", "/a", now).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("openssl genpkey"), "{error}");
        }
        std::fs::write(&public, "no PEM").unwrap();
        assert!(public_key(&public).is_err());
    }
}
