//! Gets a JWK set over HTTP, within bounds of time and size.
//!
//! Must never accept a certificate that does not verify, unless it is of an API Manager that users want believed without one; and
//! never keep what is larger than a key set can be.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::redirect::Policy;
use tollgate_model::{Jwk, JwkSet};
use url::{Origin, Url};

use crate::tls::{self, TlsError, Trust};

/// Most bytes of an answer.
const MAX_BYTES: usize = 1024 * 1024;
/// Most keys of a set: filters hold all of them all the time.
const MAX_KEYS: usize = 256;
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REDIRECTS: usize = 3;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer, or not over a trusted connection.
    #[error("no answer: {}", chain(.0))]
    Request(#[from] reqwest::Error),
    /// Answered with something else than success.
    #[error("answered {0}")]
    Status(http::StatusCode),
    /// The answer is too large.
    #[error("the answer is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// The answer is not a JWK set.
    #[error("the answer is no JWK set: {0}")]
    Json(String),
    /// Nothing in it verifies a token.
    #[error("the answer holds no key that can verify a signature")]
    NoKeys,
    /// Too many keys.
    #[error("the answer holds more than {MAX_KEYS} keys")]
    TooMany,
}

/// Who is believed about keys.
#[derive(Debug, Clone, Default)]
pub struct KeyTrust {
    /// PEM file, or folder of such, of authorities that are trusted beside those of the system.
    pub authorities: Option<PathBuf>,
    /// An API Manager that is believed whatever its certificate says. Whoever takes its place says which key managers there are,
    /// so nothing more is lost by believing its keys.
    pub api_manager: Option<Url>,
}

/// An HTTP client for key sets.
#[derive(Debug, Clone)]
pub struct KeyClient {
    http: reqwest::Client,
    /// For the one who is believed without a certificate.
    credulous: Option<(Origin, reqwest::Client)>,
}

impl KeyClient {
    /// A client that trusts the system's authorities and those of `trust`.
    ///
    /// # Errors
    /// When the extra authorities cannot be read, or the client cannot be made.
    pub fn new(trust: &KeyTrust) -> Result<Self, ClientError> {
        let http = client(tls::client_config(trust.authorities.as_deref())?, Policy::limited(MAX_REDIRECTS))?;
        let credulous = trust.api_manager.as_ref().map(|url| {
            // A redirection would lead to somebody else.
            let http = client(tls::trusting_config(&Trust::Anybody)?, Policy::none())?;
            Ok::<_, ClientError>((url.origin(), http))
        });
        Ok(Self { http, credulous: credulous.transpose()? })
    }

    fn for_url(&self, url: &str) -> &reqwest::Client {
        let origin = Url::parse(url).map(|url| url.origin()).ok();
        let credulous = self.credulous.as_ref().filter(|(believed, _)| origin.as_ref() == Some(believed));
        credulous.map_or(&self.http, |(_, http)| http)
    }

    /// The keys at that URL.
    ///
    /// # Errors
    /// Any [`FetchError`].
    pub async fn get(&self, url: &str) -> Result<JwkSet, FetchError> {
        let mut response = self.for_url(url).get(url).header("accept", "application/json").send().await?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > MAX_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        parse(&body)
    }
}

fn client(tls: rustls::ClientConfig, redirections: Policy) -> Result<reqwest::Client, ClientError> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirections)
        .timeout(TIMEOUT)
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The extra authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The library refused its settings.
    #[error("cannot make an HTTP client: {}", chain(.0))]
    Client(#[from] reqwest::Error),
}

/// Reads a JWK set. A key of an unknown kind is left out, as RFC 7517 §5 asks; a set without any key that can verify a
/// signature is refused, because taking it would lock everybody out.
pub(super) fn parse(body: &[u8]) -> Result<JwkSet, FetchError> {
    #[derive(serde::Deserialize)]
    struct Raw {
        keys: Vec<serde_json::Value>,
    }
    let raw: Raw = serde_json::from_slice(body).map_err(|error| FetchError::Json(error.to_string()))?;
    if raw.keys.len() > MAX_KEYS {
        return Err(FetchError::TooMany);
    }
    let mut keys = Vec::new();
    for value in raw.keys {
        match serde_json::from_value::<Jwk>(value) {
            Ok(key) if verifies(&key) => keys.push(key),
            Ok(key) => tracing::debug!(kty = key.kty, kid = key.kid, "left out a key that verifies no signature"),
            Err(error) => tracing::warn!(%error, "left out a key that cannot be read"),
        }
    }
    if keys.is_empty() { Err(FetchError::NoKeys) } else { Ok(JwkSet { keys }) }
}

fn verifies(key: &Jwk) -> bool {
    let members = match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", _) => key.n.is_some() && key.e.is_some(),
        ("EC", Some("P-256" | "P-384" | "P-521")) => key.x.is_some() && key.y.is_some(),
        ("OKP", Some("Ed25519")) => key.x.is_some(),
        _ => false,
    };
    members && key.usage.as_deref().is_none_or(|usage| usage == "sig")
}

/// An error with its causes; reqwest hides them behind its own text.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_api_manager_that_is_believed_needs_no_certificate() {
        let trust =
            |url: Option<&str>| KeyTrust { api_manager: url.map(|url| url.parse().unwrap()), authorities: None };
        let client = KeyClient::new(&trust(Some("https://apim:9443/"))).unwrap();
        let check = |client: &KeyClient, url: &str, believed: bool| {
            let found = client.credulous.as_ref().is_some_and(|(_, http)| std::ptr::eq(client.for_url(url), http));
            assert_eq!(found, believed, "{url}");
        };
        check(&client, "https://apim:9443/oauth2/jwks", true);
        check(&client, "https://APIM:9443/t/foo.com/oauth2/jwks", true);
        for url in [
            "https://apim/oauth2/jwks",
            "https://apim:8443/",
            "http://apim:9443/",
            "https://apim.evil:9443/",
            "apim",
            "",
        ] {
            check(&client, url, false);
        }
        check(&KeyClient::new(&trust(None)).unwrap(), "https://apim:9443/oauth2/jwks", false);
    }

    #[test]
    fn a_set_is_taken_for_the_keys_that_verify() {
        let check = |body: &str, expected: Result<&[&str], &str>| {
            let found = parse(body.as_bytes()).map_err(|error| error.to_string());
            let kids =
                found.as_ref().map(|set| set.keys.iter().filter_map(|key| key.kid.as_deref()).collect::<Vec<_>>());
            match (kids, expected) {
                (Ok(kids), Ok(expected)) => assert_eq!(kids, expected, "{body}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{body}: {error}"),
                (found, expected) => panic!("{body}: {found:?}, expected {expected:?}"),
            }
        };
        check(r#"{"keys":[{"kty":"RSA","kid":"a","n":"AQ","e":"AQAB"}]}"#, Ok(&["a"]));
        check(r#"{"keys":[{"kty":"RSA","kid":"a","n":"AQ","e":"AQAB","use":"enc"}]}"#, Err("no key that can verify"));
        check(r#"{"keys":[{"kty":"EC","kid":"b","x":"AQ"},{"kty":"RSA","kid":"a","n":"AQ","e":"AQAB"}]}"#, Ok(&["a"]));
        check(r#"{"keys":[{"kty":"EC","kid":"b","crv":"P-256","x":"AQ","y":"AQ"}]}"#, Ok(&["b"]));
        check(r#"{"keys":[{"kty":"EC","kid":"b","crv":"P-521","x":"AQ","y":"AQ"}]}"#, Ok(&["b"]));
        check(r#"{"keys":[{"kty":"OKP","kid":"c","crv":"Ed25519","x":"AQ"}]}"#, Ok(&["c"]));
        check(r#"{"keys":[{"kty":7},{"kty":"RSA","kid":"a","n":"AQ","e":"AQAB","x5c":["…"]}]}"#, Ok(&["a"]));
        check(r#"{"keys":[]}"#, Err("no key that can verify"));
        check(r#"{"jwks":[]}"#, Err("no JWK set"));
        check("<html>", Err("no JWK set"));
        check(&format!(r#"{{"keys":[{}{{}}]}}"#, "{},".repeat(MAX_KEYS)), Err("more than"));
    }
}
