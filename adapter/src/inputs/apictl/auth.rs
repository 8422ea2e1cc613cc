//! Who may use the REST API: configured users, by password or by a token that this adapter signed.
//!
//! Passwords are compared in constant time and never logged. A token is good as long as its user is configured.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jwt_simple::prelude::{
    Claims, Duration, RS256KeyPair, RSAKeyPairLike as _, RSAPublicKeyLike as _, VerificationOptions,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// Scope of every token.
const SCOPE: &str = "admin";
/// Issuer of every token, so that no token of the same key made for another purpose is taken for one.
const ISSUER: &str = "tollgate-adapter";
/// Longest accepted `Authorization` header.
const MAX_HEADER: usize = 8 << 10;

/// Somebody who may use the REST API.
#[derive(Clone)]
pub struct User {
    /// Name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why the authenticator cannot be made.
#[derive(Debug, thiserror::Error)]
#[error(
    "the key that signs adapter tokens cannot be used ({0}); adapter.server.tokenPrivateKeyPath must name an RSA key of at least 2048 bits as PKCS #8 PEM"
)]
pub struct KeyError(String);

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// No credentials at all, or of an unknown kind.
    Missing,
    /// Wrong name or password.
    Credentials,
    /// The token is malformed, expired, or not ours.
    Token,
}

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
struct TokenClaims {
    username: String,
    scope: String,
}

/// Checks credentials and makes tokens. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    users: Arc<Vec<User>>,
    key: Arc<RS256KeyPair>,
    validity: Duration,
}

impl Authenticator {
    /// From the users, the signing key (PKCS #8 PEM) and the validity of tokens in seconds.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn new(users: Vec<User>, key_pem: &str, validity_seconds: u64) -> Result<Self, KeyError> {
        let key = RS256KeyPair::from_pem(key_pem).map_err(|error| KeyError(error.to_string()))?;
        Ok(Self { users: Arc::new(users), key: Arc::new(key), validity: Duration::from_secs(validity_seconds) })
    }

    /// A token for somebody who knows a password. `None` when it is wrong.
    ///
    /// # Errors
    /// When signing fails.
    pub fn login(&self, username: &str, password: &str) -> Result<Option<String>, String> {
        if !self.knows(username, password) {
            return Ok(None);
        }
        let custom = TokenClaims { username: username.to_owned(), scope: SCOPE.to_owned() };
        let claims = Claims::with_custom_claims(custom, self.validity).with_issuer(ISSUER);
        self.key.sign(claims).map(Some).map_err(|error| error.to_string())
    }

    /// Lets in by the value of an `Authorization` header.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, header: Option<&[u8]>) -> Result<(), Denial> {
        let header = header.filter(|value| value.len() <= MAX_HEADER).and_then(|value| std::str::from_utf8(value).ok());
        let (scheme, credentials) = header.and_then(|value| value.trim().split_once(' ')).ok_or(Denial::Missing)?;
        if scheme.eq_ignore_ascii_case("basic") {
            self.basic(credentials.trim())
        } else if scheme.eq_ignore_ascii_case("bearer") {
            self.bearer(credentials.trim())
        } else {
            Err(Denial::Missing)
        }
    }

    fn basic(&self, credentials: &str) -> Result<(), Denial> {
        let decoded = STANDARD.decode(credentials).map_err(|_| Denial::Credentials)?;
        let text = String::from_utf8(decoded).map_err(|_| Denial::Credentials)?;
        let (username, password) = text.split_once(':').ok_or(Denial::Credentials)?;
        if self.knows(username, password) { Ok(()) } else { Err(Denial::Credentials) }
    }

    fn bearer(&self, token: &str) -> Result<(), Denial> {
        let options = VerificationOptions {
            allowed_issuers: Some(HashSet::from([ISSUER.to_owned()])),
            time_tolerance: Some(Duration::from_secs(0)),
            ..VerificationOptions::default()
        };
        let claims =
            self.key.public_key().verify_token::<TokenClaims>(token, Some(options)).map_err(|_| Denial::Token)?;
        let known = self.users.iter().any(|user| user.username == claims.custom.username);
        let scoped = claims.custom.scope.split(' ').any(|scope| scope == SCOPE);
        if known && scoped && claims.expires_at.is_some() { Ok(()) } else { Err(Denial::Token) }
    }

    /// Compares with every user, always, so that the time tells neither names nor lengths.
    fn knows(&self, username: &str, password: &str) -> bool {
        let mut known = Choice::from(0);
        for user in self.users.iter() {
            known |= same(&user.username, username) & same(&user.password, password);
        }
        known.into()
    }
}

fn same(expected: &str, given: &str) -> Choice {
    Sha256::digest(expected).as_slice().ct_eq(Sha256::digest(given).as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(username: &str, password: &str) -> User {
        User { username: username.to_owned(), password: password.to_owned() }
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn credentials_and_tokens() {
        let key = RS256KeyPair::generate(2048).unwrap();
        let pem = key.to_pem().unwrap();
        let new = |users, validity| Authenticator::new(users, &pem, validity).unwrap();
        let auth = new(vec![user("admin", "secret"), user("second", "other")], 60);
        let token = auth.login("second", "other").unwrap().unwrap();
        assert_eq!(auth.login("second", "secret").unwrap(), None);
        let fewer = new(vec![user("admin", "secret")], 60);
        let foreign = Claims::with_custom_claims(
            TokenClaims { username: "admin".into(), scope: SCOPE.into() },
            Duration::from_secs(60),
        );
        let foreign = key.sign(foreign.with_issuer("https://localhost:9095/testkey")).unwrap();
        let expired = Claims::with_custom_claims(
            TokenClaims { username: "admin".into(), scope: SCOPE.into() },
            Duration::from_secs(0),
        );
        let expired = key.sign(expired.with_issuer(ISSUER)).unwrap();
        let unscoped = Claims::with_custom_claims(
            TokenClaims { username: "admin".into(), scope: "read".into() },
            Duration::from_secs(60),
        );
        let unscoped = key.sign(unscoped.with_issuer(ISSUER)).unwrap();
        let bearer = |token: &str| format!("Bearer {token}");
        for (who, header, expected) in [
            (&auth, basic("admin:secret"), Ok(())),
            (&auth, basic("second:other"), Ok(())),
            (&auth, basic("admin:other"), Err(Denial::Credentials)),
            (&auth, basic("admin"), Err(Denial::Credentials)),
            (&auth, "Basic !!!".to_owned(), Err(Denial::Credentials)),
            (&auth, bearer(&token), Ok(())),
            (&auth, format!("bearer {token}"), Ok(())),
            (&fewer, bearer(&token), Err(Denial::Token)),
            (&auth, bearer(&token[..token.len() - 4]), Err(Denial::Token)),
            (&auth, bearer("a.b.c"), Err(Denial::Token)),
            (&auth, bearer(&foreign), Err(Denial::Token)),
            (&auth, bearer(&expired), Err(Denial::Token)),
            (&auth, bearer(&unscoped), Err(Denial::Token)),
            (&auth, "Digest x".to_owned(), Err(Denial::Missing)),
            (&auth, "admin".to_owned(), Err(Denial::Missing)),
            (&auth, format!("Basic {}", "a".repeat(MAX_HEADER)), Err(Denial::Missing)),
        ] {
            assert_eq!(who.check(Some(header.as_bytes())), expected, "{header}");
        }
        assert_eq!(auth.check(None), Err(Denial::Missing));
        assert_eq!(auth.check(Some(b"Basic \xff")), Err(Denial::Missing));
    }

    #[test]
    fn an_unusable_key_is_an_error() {
        assert!(Authenticator::new(Vec::new(), "not a key", 60).is_err());
    }

    #[test]
    fn a_password_is_never_printed() {
        assert!(!format!("{:?}", user("admin", "secret")).contains("secret"));
    }
}
