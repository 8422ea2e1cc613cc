//! Many signed tokens in little time.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

/// Issuer of all of them.
pub const ISSUER: &str = "https://bench.example";
/// Scopes they hold.
pub const SCOPES: &str = "read:items write:items";
/// Name under which the tokens' own fields count their holders: `ck-<number>`.
pub const CONSUMER_KEY: &str = "ck-";
/// How long they are good.
const VALIDITY: Duration = Duration::from_secs(10 * 24 * 3600);

/// The keys of an issuer.
pub struct Signer {
    rsa: RsaKeyPair,
    rsa_jwk: Value,
    ecdsa: EcdsaKeyPair,
    random: SystemRandom,
}

/// What a token is signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA of 2,048 bits.
    Rs256,
    /// ECDSA on P-256.
    Es256,
}

impl Signer {
    /// New keys.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self> {
        let random = SystemRandom::new();
        let private = rsa::RsaPrivateKey::new(&mut OsRng, 2048).context("generating an RSA key")?;
        let encode = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        let rsa_jwk = json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "rsa", "n": encode(private.n()), "e": encode(private.e()),
        });
        let der = private.to_pkcs8_der().context("encoding the RSA key")?;
        let rsa = RsaKeyPair::from_pkcs8(der.as_bytes()).map_err(|error| anyhow!("reading the RSA key: {error}"))?;
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|error| anyhow!("generating an EC key: {error}"))?;
        let ecdsa = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
            .map_err(|error| anyhow!("reading the EC key: {error}"))?;
        Ok(Self { rsa, rsa_jwk, ecdsa, random })
    }

    /// The public keys, as a JSON Web Key Set.
    ///
    /// # Errors
    /// When the point of the EC key is not of the usual form.
    pub fn jwks(&self) -> Result<Value> {
        let point = self.ecdsa.public_key().as_ref();
        let (x, y) = point.strip_prefix(&[4]).and_then(|point| point.split_at_checked(32)).context("an odd EC key")?;
        let ec = json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "ec",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        });
        Ok(json!({ "keys": [self.rsa_jwk, ec] }))
    }

    /// A token of the holder of that number, unlike any other.
    ///
    /// # Errors
    /// When signing fails.
    pub fn token(&self, algorithm: Algorithm, holder: usize, extra: &[(&str, Value)]) -> Result<String> {
        let content = content(algorithm, holder, extra)?;
        let signature = self.sign(algorithm, content.as_bytes())?;
        Ok(format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// An API key of the first holder, with a subscription to the API that is called.
    ///
    /// # Errors
    /// When signing fails.
    pub fn api_key(&self) -> Result<String> {
        let subscribed =
            json!([{ "name": "Items", "version": "1.0.0", "context": "/items/1.0.0", "subscriptionTier": "Gold" }]);
        self.token(Algorithm::Rs256, 0, &[("token_type", json!("apiKey")), ("subscribedAPIs", subscribed)])
    }

    /// A token of the holder of that number whose signature is of RS256's length and nothing else, for hosts that believe all.
    ///
    /// # Errors
    /// When the system has no time.
    pub fn unproven(&self, holder: usize) -> Result<String> {
        let content = content(Algorithm::Rs256, holder, &[])?;
        // It ends unlike any other, as signatures do.
        let digest = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
        let signature: Vec<u8> =
            digest.as_ref().iter().copied().cycle().take(self.rsa.public().modulus_len()).collect();
        Ok(format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn sign(&self, algorithm: Algorithm, content: &[u8]) -> Result<Vec<u8>> {
        match algorithm {
            Algorithm::Rs256 => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                let signed = self.rsa.sign(&RSA_PKCS1_SHA256, &self.random, content, &mut signature);
                signed.map(|()| signature).map_err(|error| anyhow!("signing: {error}"))
            }
            Algorithm::Es256 => {
                let signed = self.ecdsa.sign(&self.random, content);
                signed.map(|signature| signature.as_ref().to_vec()).map_err(|error| anyhow!("signing: {error}"))
            }
        }
    }
}

/// What of a token is signed.
fn content(algorithm: Algorithm, holder: usize, extra: &[(&str, Value)]) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("asking for the time")?;
    let mut claims = json!({
        "iss": ISSUER, "sub": format!("user-{holder}@carbon.super"), "aud": "http://org.wso2.apimgt/gateway",
        "azp": format!("{CONSUMER_KEY}{holder}"), "scope": SCOPES, "keytype": "PRODUCTION",
        "jti": format!("00000000-0000-4000-8000-{holder:012}"),
        "iat": now.as_secs(), "nbf": now.as_secs(), "exp": now.saturating_add(VALIDITY).as_secs(),
    });
    if let Some(claims) = claims.as_object_mut() {
        claims.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    let (name, kid) = match algorithm {
        Algorithm::Rs256 => ("RS256", "rsa"),
        Algorithm::Es256 => ("ES256", "ec"),
    };
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    Ok(format!("{}.{}", part(&json!({ "alg": name, "typ": "JWT", "kid": kid })), part(&claims)))
}

/// Writes so many tokens, a line each.
///
/// # Errors
/// When signing or writing fails.
pub fn write(signer: &Signer, algorithm: Algorithm, count: usize, file: &Path) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let part = count.div_ceil(threads).max(1);
    let parts: Result<Vec<_>> = std::thread::scope(|scope| {
        let starts = (0..count).step_by(part);
        let sign = |start: usize| {
            let end = start.saturating_add(part).min(count);
            scope.spawn(move || {
                (start..end).map(|holder| signer.token(algorithm, holder, &[])).collect::<Result<Vec<_>>>()
            })
        };
        let running: Vec<_> = starts.map(sign).collect();
        running.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a signing thread panicked"))?).collect()
    });
    let tokens: Vec<Vec<String>> = parts?;
    let mut text = tokens.concat().join("\n");
    text.push('\n');
    std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}
