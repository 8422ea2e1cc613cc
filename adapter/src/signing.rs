//! Signs test tokens (`/testkey`) and tokens for backends, and tells the keys that verify them.
//!
//! Must never log a token. What may be signed is for those who ask to know: a test token of a user whose password was checked,
//! or what is known of a caller whose credential was judged.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{Claims, Duration, KeyMetadata, RS256KeyPair, RSAKeyPairLike};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha1::Digest;
use tollgate_model::Jwk;

/// `aud` of every test token.
const AUDIENCE: &str = "http://org.wso2.apimgt/gateway";
const TOKEN_ID_BYTES: usize = 16;
const CERTIFICATE: &str = "token signing certificate";
/// Header of a token without a signature.
const UNSIGNED: &str = r#"{"typ":"JWT","alg":"none"}"#;

/// Why tokens cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// A file cannot be read.
    #[error("cannot read {what} {}: {source} (fix: check the path and that the adapter may read it)", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{what} {} cannot be used: {reason} (fix: give {wanted})", path.display())]
    Unusable {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// Signing failed.
    #[error("cannot sign a token: {0}")]
    Sign(String),
}

/// Whether a token is for production or sandbox backends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KeyType {
    /// Production backends.
    #[default]
    Production,
    /// Sandbox backends.
    Sandbox,
}

impl KeyType {
    /// The key type of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "PRODUCTION" => Some(Self::Production),
            "SANDBOX" => Some(Self::Sandbox),
            _ => None,
        }
    }
}

/// What a test token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestToken<'t> {
    /// `iss`.
    pub issuer: &'t str,
    /// `sub`.
    pub subject: &'t str,
    /// `scope`, separated by blanks; the claim is left out when there is none.
    pub scope: &'t str,
    /// `keytype`.
    pub key_type: KeyType,
    /// Seconds until it expires.
    pub validity_seconds: u64,
}

#[derive(Serialize, Deserialize)]
struct TestClaims {
    keytype: KeyType,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// A private key that signs, and what others need to verify.
#[derive(Debug, Clone)]
pub struct TokenSigner {
    key: RS256KeyPair,
    public: Jwk,
}

impl TokenSigner {
    /// Reads a PKCS #8 RSA key and the certificate of its public key.
    ///
    /// # Errors
    /// When a file cannot be read or used, or the two do not belong together.
    pub fn load(key_file: &Path, certificate_file: &Path) -> Result<Self, SigningError> {
        const KEY: &str = "token signing key";
        let unusable = |what, path: &Path, reason: String, wanted| SigningError::Unusable {
            what,
            path: path.to_owned(),
            reason,
            wanted,
        };
        let key = RS256KeyPair::from_pem(&read(KEY, key_file)?)
            .map_err(|error| unusable(KEY, key_file, error.to_string(), "an RSA private key in PKCS #8 PEM"))?;
        let pem = read(CERTIFICATE, certificate_file)?;
        let wanted = "the X.509 certificate of the signing key in PEM";
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| unusable(CERTIFICATE, certificate_file, error.to_string(), wanted))?;
        let public = jwk_of_certificate(&certificate)
            .map_err(|reason| unusable(CERTIFICATE, certificate_file, reason, wanted))?;
        let own = key.public_key().to_components();
        if public.n.as_deref() != Some(URL_SAFE_NO_PAD.encode(own.n).as_str()) {
            let reason = format!("its public key is not that of {}", key_file.display());
            return Err(unusable(CERTIFICATE, certificate_file, reason, wanted));
        }
        let kid = public.kid.clone().unwrap_or_default();
        Ok(Self { key: key.with_key_id(&kid), public })
    }

    /// The public key.
    #[must_use]
    pub const fn jwk(&self) -> &Jwk {
        &self.public
    }

    /// The same key, named in the header of tokens by the thumbprint of its certificate (`x5t`) instead of by `kid`.
    ///
    /// # Errors
    /// Never for a key that was loaded.
    pub fn named_by_thumbprint(self) -> Result<Self, SigningError> {
        let failed = |error: jwt_simple::Error| SigningError::Sign(error.to_string());
        let mut key = self.key.to_der().and_then(|der| RS256KeyPair::from_der(&der)).map_err(failed)?;
        let thumbprint = self.public.x5t.clone().unwrap_or_default();
        let metadata = KeyMetadata::default().with_certificate_sha1_thumbprint(thumbprint).map_err(failed)?;
        key.attach_metadata(metadata).map_err(failed)?;
        Ok(Self { key, ..self })
    }

    /// A token with these claims beside `iss`, `exp`, `iat` and `jti`, and its `exp`. Without a signature if that is wanted.
    ///
    /// # Errors
    /// When the system has no randomness, or the key cannot sign.
    pub fn sign_claims(
        &self,
        issuer: &str,
        claims: Map<String, Value>,
        validity: std::time::Duration,
        signed: bool,
    ) -> Result<(String, i64), SigningError> {
        let failed = |error: &dyn std::fmt::Display| SigningError::Sign(error.to_string());
        let mut claims = Claims::with_custom_claims(claims, Duration::from_secs(validity.as_secs()))
            .with_issuer(issuer)
            .with_jwt_id(random_uuid()?);
        claims.invalid_before = None;
        let expires = claims.expires_at.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        let token = if signed {
            self.key.sign(claims).map_err(|error| failed(&error))?
        } else {
            let claims = serde_json::to_vec(&claims).map_err(|error| failed(&error))?;
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(UNSIGNED), URL_SAFE_NO_PAD.encode(claims))
        };
        Ok((token, expires))
    }

    /// A signed token.
    ///
    /// # Errors
    /// When the system has no randomness, or the key cannot sign.
    pub fn sign(&self, token: &TestToken<'_>) -> Result<String, SigningError> {
        let failed = |error: &dyn std::fmt::Display| SigningError::Sign(error.to_string());
        let mut id = [0_u8; TOKEN_ID_BYTES];
        getrandom::fill(&mut id).map_err(|error| failed(&error))?;
        let scope = Some(token.scope).filter(|scope| !scope.is_empty()).map(ToOwned::to_owned);
        let custom = TestClaims { keytype: token.key_type, scope };
        let mut claims = Claims::with_custom_claims(custom, Duration::from_secs(token.validity_seconds))
            .with_issuer(token.issuer)
            .with_subject(token.subject)
            .with_audience(AUDIENCE)
            .with_jwt_id(hex::encode(id));
        claims.invalid_before = None;
        self.key.sign(claims).map_err(|error| failed(&error))
    }
}

/// UUID of version 4.
fn random_uuid() -> Result<String, SigningError> {
    let random = getrandom::u64().and_then(|high| Ok((high, getrandom::u64()?)));
    let (high, low) = random.map_err(|error| SigningError::Sign(error.to_string()))?;
    let (high, low) = ((high & !0xf000) | 0x4000, (low & (u64::MAX >> 2)) | (1 << 63));
    let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
    let (fourth, fifth) = (low >> 48, low & 0xffff_ffff_ffff);
    Ok(format!("{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{fifth:012x}"))
}

/// The public key of a PEM certificate.
///
/// # Errors
/// When the file cannot be read or used.
pub fn load_jwk(certificate_file: &Path) -> Result<Jwk, SigningError> {
    let unusable = |reason| SigningError::Unusable {
        what: CERTIFICATE,
        path: certificate_file.to_owned(),
        reason,
        wanted: "an X.509 certificate with an RSA key in PEM",
    };
    let pem = read(CERTIFICATE, certificate_file)?;
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| unusable(error.to_string()))?;
    jwk_of_certificate(&certificate).map_err(unusable)
}

/// The public RSA key of an X.509 certificate, named by the certificate's thumbprint as Choreo Connect does: `kid` is the
/// base64url form of the hexadecimal SHA-256.
///
/// # Errors
/// Text that says why there is none.
pub fn jwk_of_certificate(certificate: &CertificateDer<'_>) -> Result<Jwk, String> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|error| format!("no X.509 certificate: {error}"))?;
    let mut jwk = jwk_of_public_key(parsed.public_key())?;
    jwk.kid = Some(URL_SAFE_NO_PAD.encode(hex::encode(sha2::Sha256::digest(certificate))));
    jwk.x5t = Some(URL_SAFE_NO_PAD.encode(sha1::Sha1::digest(certificate)));
    Ok(jwk)
}

/// A public RSA key without a name.
///
/// # Errors
/// Text that says why it is none.
pub fn jwk_of_public_key(info: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> Result<Jwk, String> {
    use x509_parser::public_key::PublicKey;
    match info.parsed() {
        Ok(PublicKey::RSA(rsa)) => Ok(Jwk {
            kty: "RSA".to_owned(),
            usage: Some("sig".to_owned()),
            n: Some(URL_SAFE_NO_PAD.encode(without_leading_zeros(rsa.modulus))),
            e: Some(URL_SAFE_NO_PAD.encode(without_leading_zeros(rsa.exponent))),
            ..Jwk::default()
        }),
        Ok(_) => Err("its public key is not RSA".to_owned()),
        Err(error) => Err(format!("its public key cannot be read: {error}")),
    }
}

/// ASN.1 integers carry a sign; JWKs do not.
fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn read(what: &'static str, path: &Path) -> Result<String, SigningError> {
    std::fs::read_to_string(path).map_err(|source| SigningError::Read { what, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> (tempfile::TempDir, TokenSigner) {
        let folder = tempfile::tempdir().unwrap();
        let files = crate::certs::ensure(folder.path()).unwrap().token_signing;
        let signer = TokenSigner::load(&files.key, &files.certificate).unwrap();
        (folder, signer)
    }

    fn decoded(part: &str) -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_token_says_what_the_original_says() {
        let (_folder, signer) = signer();
        let asked = TestToken {
            issuer: "https://localhost:9095/testkey",
            subject: "admin",
            scope: "read write",
            key_type: KeyType::Sandbox,
            validity_seconds: 3600,
        };
        let token = signer.sign(&asked).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(decoded(parts[0])["alg"], "RS256");
        assert_eq!(decoded(parts[0])["kid"].as_str(), signer.jwk().kid.as_deref());
        let claims = decoded(parts[1]);
        assert_eq!(claims["iss"], "https://localhost:9095/testkey");
        assert_eq!(claims["sub"], "admin");
        assert_eq!(claims["aud"], AUDIENCE);
        assert_eq!(claims["keytype"], "SANDBOX");
        assert_eq!(claims["scope"], "read write");
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
        let mut members: Vec<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["aud", "exp", "iat", "iss", "jti", "keytype", "scope", "sub"]);
    }

    #[test]
    fn the_published_key_verifies_what_was_signed() {
        use jwt_simple::prelude::{NoCustomClaims, RS256PublicKey, RSAPublicKeyLike};
        let (_folder, signer) = signer();
        let asked =
            TestToken { issuer: "i", subject: "s", scope: "", key_type: KeyType::Production, validity_seconds: 60 };
        let token = signer.sign(&asked).unwrap();
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref().unwrap()).unwrap();
        let public = RS256PublicKey::from_components(&bytes(&signer.jwk().n), &bytes(&signer.jwk().e)).unwrap();
        let claims = public.verify_token::<NoCustomClaims>(&token, None).unwrap();
        assert_eq!(claims.subject.as_deref(), Some("s"));
    }

    #[test]
    fn a_foreign_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let one = crate::certs::ensure(&folder.path().join("one")).unwrap().token_signing;
        let two = crate::certs::ensure(&folder.path().join("two")).unwrap();
        let error = TokenSigner::load(&one.key, &two.token_signing.certificate).unwrap_err().to_string();
        assert!(error.contains("is not that of"), "{error}");
        let error = TokenSigner::load(&one.key, &two.adapter.certificate).unwrap_err().to_string();
        assert!(error.contains("not RSA"), "{error}");
    }
}
