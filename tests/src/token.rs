//! Key pairs and the tokens they sign, good ones and bad ones.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::pss;
use rsa::rand_core::OsRng;
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Map, Value, json};
use sha2::{Sha256, Sha384, Sha512};
use tollgate_model::Algorithm;

/// An issuer's RSA key pair.
#[derive(Debug, Clone)]
pub struct KeyPair {
    kid: String,
    private: RsaPrivateKey,
}

impl KeyPair {
    /// A new pair.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate(kid: &str) -> Result<Self> {
        let private = RsaPrivateKey::new(&mut OsRng, 2048).context("generating an RSA key")?;
        Ok(Self { kid: kid.to_owned(), private })
    }

    /// The pair that all tests of this process share when they need just any: making one takes a while.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<KeyPair> = OnceLock::new();
        if let Some(pair) = SHARED.get() {
            return Ok(pair);
        }
        let pair = Self::generate("shared")?;
        Ok(SHARED.get_or_init(|| pair))
    }

    /// The same keys under another name.
    #[must_use]
    pub fn named(&self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), private: self.private.clone() }
    }

    /// The public key, as `certificateFilePath` takes it.
    ///
    /// # Errors
    /// Never for a sound key.
    pub fn public_pem(&self) -> Result<String> {
        RsaPublicKey::from(&self.private).to_public_key_pem(LineEnding::LF).context("encoding the public key")
    }

    /// The private key, for certificates around it.
    ///
    /// # Errors
    /// Never for a sound key.
    pub fn private_pem(&self) -> Result<String> {
        let pem = self.private.to_pkcs8_pem(LineEnding::LF).context("encoding the private key")?;
        Ok(pem.as_str().to_owned())
    }

    /// The public key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let encode = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        json!({
            "kty": "RSA", "use": "sig", "kid": self.kid,
            "n": encode(self.private.n()), "e": encode(self.private.e()),
        })
    }

    /// A token with the usual header.
    #[must_use]
    pub fn sign(&self, algorithm: Algorithm, claims: &Claims) -> String {
        let header = json!({ "alg": algorithm.name(), "typ": "JWT", "kid": self.kid });
        self.sign_with_header(&header, algorithm, claims)
    }

    /// A token with any header, whatever the header says of the algorithm.
    #[must_use]
    pub fn sign_with_header(&self, header: &Value, algorithm: Algorithm, claims: &Claims) -> String {
        self.sign_content(&format!("{}.{}", part(header), part(&Value::Object(claims.0.clone()))), algorithm)
    }

    /// Any bytes as header and payload, with a good RS256 signature.
    #[must_use]
    pub fn sign_raw(&self, header: &[u8], payload: &[u8]) -> String {
        let content = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        self.sign_content(&content, Algorithm::RS256)
    }

    fn sign_content(&self, content: &str, algorithm: Algorithm) -> String {
        let key = self.private.clone();
        let signature = match algorithm {
            Algorithm::RS256 => SigningKey::<Sha256>::new(key).sign(content.as_bytes()).to_vec(),
            Algorithm::RS384 => SigningKey::<Sha384>::new(key).sign(content.as_bytes()).to_vec(),
            Algorithm::RS512 => SigningKey::<Sha512>::new(key).sign(content.as_bytes()).to_vec(),
            Algorithm::PS256 => {
                pss::SigningKey::<Sha256>::new(key).sign_with_rng(&mut OsRng, content.as_bytes()).to_vec()
            }
            Algorithm::PS384 => {
                pss::SigningKey::<Sha384>::new(key).sign_with_rng(&mut OsRng, content.as_bytes()).to_vec()
            }
            Algorithm::PS512 => {
                pss::SigningKey::<Sha512>::new(key).sign_with_rng(&mut OsRng, content.as_bytes()).to_vec()
            }
            // No RSA key can; a verifier refuses what comes without a signature.
            Algorithm::ES256 | Algorithm::ES384 | Algorithm::ES512 | Algorithm::EdDSA => Vec::new(),
        };
        format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A token without a signature, for those who take `alg: none` seriously.
#[must_use]
pub fn unsigned(claims: &Claims) -> String {
    format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT" })), part(&Value::Object(claims.0.clone())))
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// What a token says. Starts as a production token that is good for an hour.
#[derive(Debug, Clone)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Claims of that issuer.
    #[must_use]
    pub fn of(issuer: &str) -> Self {
        let now = now();
        Self(Map::new())
            .with("iss", issuer)
            .with("sub", "alice")
            .with("azp", "consumer-key")
            .with("jti", format!("{now:?}"))
            .with("keytype", "PRODUCTION")
            .with("iat", now.as_secs())
            .with("exp", now.as_secs().saturating_add(3600))
    }

    /// Sets a claim.
    #[must_use]
    pub fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.0.insert(claim.to_owned(), value.into());
        self
    }

    /// Takes a claim away.
    #[must_use]
    pub fn without(mut self, claim: &str) -> Self {
        self.0.remove(claim);
        self
    }

    /// `exp`, that many seconds from now; negative for the past.
    #[must_use]
    pub fn expiring(self, seconds: i64) -> Self {
        self.with("exp", now().as_secs().saturating_add_signed(seconds))
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Every way of breaking a token that touches one place: bytes changed, dropped, doubled, and cut after, in steps that
/// reach the whole of header, payload and signature. The same token always gives the same list.
#[must_use]
pub fn mutations(token: &str) -> Vec<String> {
    let mut all = Vec::new();
    // A prime step visits every residue of the base64 groups of four.
    for position in (0..token.len()).step_by(7) {
        let (before, rest) = token.split_at(position);
        let mut after = rest.chars();
        let Some(here) = after.next() else { continue };
        let after = after.as_str();
        let other = if here == 'A' { 'B' } else { 'A' };
        all.push(format!("{before}{other}{after}"));
        all.push(format!("{before}{after}"));
        all.push(format!("{before}{here}{here}{after}"));
        all.push(format!("{before}.{after}"));
        all.push(format!("{before}={after}"));
        all.push(before.to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_differ_from_the_token_and_repeat() {
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.AAAA";
        let all = mutations(token);
        assert!(all.len() > 30);
        assert!(all.iter().all(|mutated| mutated != token));
        assert_eq!(all, mutations(token));
    }
}
