//! What anybody may ask of the adapter, through the gateway's system host: test keys, and the keys that verify them.
//!
//! Must never tell which part of a credential was wrong, and never log one.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tollgate_model::JwkSet;
use warp::{Filter, Rejection};

use super::backend_jwt::Minter;
use super::body;
use super::settings::{TestKeys, TestUser};
use crate::admin::{Counters, Status};
use crate::signing::{KeyType, TestToken, TokenSigner};

#[cfg(test)]
mod tests;

/// Most bytes of a form.
const MAX_FORM: usize = 16 * 1024;
/// Most characters of an authorization header.
const MAX_CREDENTIALS: usize = 4096;
const NO_CREDENTIALS: &str = "No Authorization header provided";
const WRONG_CREDENTIALS: &str = "Username/ password invalid. User is not authorized to invoke the resource.";

/// What the routes work on.
#[derive(Debug, Clone)]
pub struct PublicContext {
    /// The issuer of test keys and what it signs with.
    pub test_keys: Option<Arc<(TestKeys, TokenSigner)>>,
    /// Makes tokens for backends, if backends are told who calls.
    pub minter: Option<Arc<Minter>>,
    /// Where it is counted.
    pub status: Arc<Status>,
}

/// `GET|POST /testkey` and `GET /jwks`.
pub fn routes(
    context: PublicContext,
) -> impl Filter<Extract = (Response<Bytes>,), Error = Rejection> + Clone + Send + Sync + 'static {
    let jwks_context = context.clone();
    let jwks = warp::path!("jwks").and(warp::get()).map(move || json(key_set(&jwks_context)));
    let test_key = warp::path!("testkey")
        .and(warp::get().or(warp::post()).unify())
        .and(warp::header::headers_cloned())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::body::stream())
        .then(move |headers: HeaderMap, query: String, content| {
            let context = context.clone();
            async move {
                match body::read(content, MAX_FORM).await {
                    Ok(form) => test_key(&context, &headers, &query, &form),
                    Err(error) => text(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
                }
            }
        });
    jwks.or(test_key).unify()
}

fn key_set(context: &PublicContext) -> Result<Bytes, String> {
    let mut keys = context.minter.as_ref().map(|minter| minter.published()).unwrap_or_default();
    let test_key = context.test_keys.iter().map(|keys| keys.1.jwk().clone());
    keys.extend(test_key.filter(|key| !keys.contains(key)).collect::<Vec<_>>());
    serde_json::to_vec(&JwkSet { keys }).map(Bytes::from).map_err(|error| error.to_string())
}

fn json(body: Result<Bytes, String>) -> Response<Bytes> {
    match body {
        Ok(body) => reply(StatusCode::OK, "application/json", body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

fn test_key(context: &PublicContext, headers: &HeaderMap, query: &str, form: &[u8]) -> Response<Bytes> {
    let Some(keys) = context.test_keys.as_deref() else {
        return text(StatusCode::NOT_FOUND, "Requested Resource Not Found");
    };
    let (settings, signer) = keys;
    let counters = &context.status.counters;
    let user = match authenticate(&settings.users, headers) {
        Ok(user) => user,
        Err(message) => {
            Counters::add(&counters.test_key_refusals, 1);
            return text(StatusCode::UNAUTHORIZED, message);
        }
    };
    let Some(key_type) = key_type(query, form) else {
        return text(StatusCode::BAD_REQUEST, "keytype must be PRODUCTION or SANDBOX");
    };
    let scope = parameter(query, form, "scope").unwrap_or_default();
    let token = TestToken {
        issuer: &settings.issuer,
        subject: &user.username,
        scope: &scope,
        key_type,
        validity_seconds: settings.validity.as_secs(),
    };
    match signer.sign(&token) {
        Ok(token) => {
            Counters::add(&counters.test_keys, 1);
            text(StatusCode::OK, token)
        }
        Err(error) => {
            tracing::error!(%error, "cannot make a test key");
            text(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error while processing the request")
        }
    }
}

fn key_type(query: &str, form: &[u8]) -> Option<KeyType> {
    match parameter(query, form, "keytype") {
        None => Some(KeyType::default()),
        Some(name) => KeyType::from_name(&name),
    }
}

/// A parameter of the form, or else of the query.
fn parameter(query: &str, form: &[u8], wanted: &str) -> Option<String> {
    url::form_urlencoded::parse(form)
        .chain(url::form_urlencoded::parse(query.as_bytes()))
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value.into_owned())
}

/// The user whose name and password the header holds. Every user is compared in full, so that the time it takes says
/// nothing about any of them.
fn authenticate<'u>(users: &'u [TestUser], headers: &HeaderMap) -> Result<&'u TestUser, &'static str> {
    let header = headers.get(http::header::AUTHORIZATION).ok_or(NO_CREDENTIALS)?;
    let given = credentials(header.as_bytes()).ok_or(WRONG_CREDENTIALS)?;
    let mut found = None;
    for user in users {
        let expected = digest(&user.username, &user.password);
        let same: Choice = expected.ct_eq(&given);
        if bool::from(same) {
            found = Some(user);
        }
    }
    found.ok_or(WRONG_CREDENTIALS)
}

fn credentials(header: &[u8]) -> Option<[u8; 32]> {
    if header.len() > MAX_CREDENTIALS {
        return None;
    }
    let (scheme, encoded) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim_ascii()).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(digest(username, password))
}

/// Of fixed length, so that a comparison does not depend on how long a password is.
fn digest(username: &str, password: &str) -> [u8; 32] {
    let name = Sha256::digest(username);
    Sha256::new().chain_update(name).chain_update(password).finalize().into()
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    reply(status, "text/plain", body.into())
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
