//! A small client of etcd's JSON interface (`/v3`): reads the keys below a prefix, and follows their changes.
//!
//! Must never log a password or a token, and never wait for ever for an answer that is not a watch.

use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use tollgate_model::Secret;

use super::messages::{self, KeyValue, RangeAnswer, WatchLine};
use crate::model::Expiry;
use crate::tls::{self, TlsError};

/// Keys of one answer.
const PAGE: u32 = 10_000;
/// Most keys altogether.
const MAX_KEYS: usize = 20_000_000;
/// Most bytes of an answer, or of one line of a watch.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How soon a connection that is dead is found to be.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// From here on a number is one of milliseconds: in seconds it would be the year 5138.
const MILLISECONDS: u64 = 100_000_000_000;

/// Where revoked tokens are.
#[derive(Debug, Clone)]
pub struct EtcdSettings {
    /// `http://host:port` or `https://host:port`; asked in turn.
    pub endpoints: Vec<String>,
    /// What keys begin with; the rest is the token's id.
    pub prefix: String,
    /// Name and password, where etcd asks for them.
    pub user: Option<(String, Secret)>,
    /// PEM file or folder of authorities beside the system's.
    pub trusted: Option<PathBuf>,
}

/// Why etcd does not answer.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// The client cannot be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No answer.
    #[error("no answer: {0}")]
    Request(#[from] reqwest::Error),
    /// Answered with something else than success.
    #[error("answered {0}")]
    Status(StatusCode),
    /// The answer is not what it should be.
    #[error("the answer cannot be read ({0})")]
    Json(#[from] serde_json::Error),
    /// Too much.
    #[error("the answer is too large")]
    TooLarge,
    /// The changes since the wanted revision are gone.
    #[error("the changes since the last one are no longer kept")]
    Compacted,
}

impl EtcdError {
    /// Whether trying again cannot help.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// What became of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It is revoked, and expires then.
    Revoked(String, Expiry),
    /// It is not revoked any more.
    Removed(String),
}

/// The client.
pub(super) struct Client {
    http: reqwest::Client,
    settings: EtcdSettings,
    endpoint: usize,
    session: Option<Secret>,
}

impl Client {
    pub(super) fn new(settings: &EtcdSettings) -> Result<Self, EtcdError> {
        let config = tls::client_config(settings.trusted.as_deref())?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .connect_timeout(Duration::from_secs(5))
            .tcp_keepalive(KEEPALIVE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, settings: settings.clone(), endpoint: 0, session: None })
    }

    /// All revoked tokens, and the revision at which they are all.
    pub(super) async fn read_all(&mut self) -> Result<(i64, Vec<Change>), EtcdError> {
        let prefix = self.settings.prefix.clone().into_bytes();
        let end = messages::end_of(&prefix);
        let (mut from, mut revision, mut changes) = (prefix.clone(), 0, Vec::new());
        loop {
            let answer: RangeAnswer = self.ask("/v3/kv/range", &messages::range(&from, &end, PAGE, revision)).await?;
            if revision == 0 {
                revision = answer.header.revision;
            }
            let last = answer.kvs.last().map(|entry| entry.key.clone());
            changes.extend(answer.kvs.iter().filter_map(|entry| revoked(&prefix, entry)));
            if changes.len() > MAX_KEYS {
                return Err(EtcdError::TooLarge);
            }
            match last.filter(|_| answer.more) {
                // The next key after the last one.
                Some(mut last) => {
                    last.push(0);
                    from = last;
                }
                None => return Ok((revision, changes)),
            }
        }
    }

    /// Follows changes from this revision on.
    pub(super) async fn watch(&mut self, revision: i64) -> Result<Watch, EtcdError> {
        let prefix = self.settings.prefix.clone().into_bytes();
        let body = messages::watch(&prefix, &messages::end_of(&prefix), revision);
        let response = self.send("/v3/watch", &body, None).await?;
        Ok(Watch { response, prefix, rest: Vec::new() })
    }

    async fn ask<T: DeserializeOwned>(&mut self, path: &str, body: &serde_json::Value) -> Result<T, EtcdError> {
        let response = self.send(path, body, Some(TIMEOUT)).await?;
        read(response).await
    }

    /// Asks the endpoint at hand; after a failure the next one is at hand.
    async fn send(
        &mut self,
        path: &str,
        body: &serde_json::Value,
        timeout: Option<Duration>,
    ) -> Result<Response, EtcdError> {
        let outcome = self.try_send(path, body, timeout).await;
        if outcome.is_err() {
            self.endpoint = self.endpoint.wrapping_add(1);
            self.session = None;
        }
        outcome
    }

    async fn try_send(
        &mut self,
        path: &str,
        body: &serde_json::Value,
        timeout: Option<Duration>,
    ) -> Result<Response, EtcdError> {
        if self.session.is_none()
            && let Some((name, password)) = self.settings.user.clone()
        {
            let credentials = serde_json::json!({ "name": name, "password": password.expose() });
            let request = self.request("/v3/auth/authenticate", &credentials).timeout(TIMEOUT);
            let answer: messages::Token = read(good(request.send().await?)?).await?;
            self.session = Some(Secret::from(answer.token));
        }
        let mut request = self.request(path, body);
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        if let Some(session) = &self.session {
            request = request.header("authorization", session.expose());
        }
        good(request.send().await?)
    }

    fn request(&self, path: &str, body: &serde_json::Value) -> RequestBuilder {
        let endpoints = &self.settings.endpoints;
        let at = self.endpoint.checked_rem(endpoints.len()).unwrap_or(0);
        let endpoint = endpoints.get(at).map_or("", |endpoint| endpoint.trim_end_matches('/'));
        self.http.post(format!("{endpoint}{path}")).body(body.to_string())
    }
}

fn good(response: Response) -> Result<Response, EtcdError> {
    if response.status().is_success() { Ok(response) } else { Err(EtcdError::Status(response.status())) }
}

async fn read<T: DeserializeOwned>(mut response: Response) -> Result<T, EtcdError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > MAX_BYTES {
            return Err(EtcdError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&body)?)
}

/// Changes as they come.
pub(super) struct Watch {
    response: Response,
    prefix: Vec<u8>,
    /// What has come of the next line.
    rest: Vec<u8>,
}

impl Watch {
    /// The next changes, and the revision up to which all have been told; `None` when the connection has ended.
    pub(super) async fn next(&mut self) -> Result<Option<(i64, Vec<Change>)>, EtcdError> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let rest = self.rest.split_off(end.saturating_add(1));
                let line = std::mem::replace(&mut self.rest, rest);
                return changes(&self.prefix, &line).map(Some);
            }
            let Some(chunk) = self.response.chunk().await? else { return Ok(None) };
            if self.rest.len().saturating_add(chunk.len()) > MAX_BYTES {
                return Err(EtcdError::TooLarge);
            }
            self.rest.extend_from_slice(&chunk);
        }
    }
}

/// What a line of a watch says.
pub(super) fn changes(prefix: &[u8], line: &[u8]) -> Result<(i64, Vec<Change>), EtcdError> {
    let line: WatchLine = serde_json::from_slice(line)?;
    // Without a result it is an error message, as for a session that has ended.
    let result = line.result.ok_or(EtcdError::Status(StatusCode::BAD_GATEWAY))?;
    if result.compact_revision > 0 || result.canceled {
        return Err(EtcdError::Compacted);
    }
    let changes = result.events.iter().filter_map(|event| match event.kind.as_deref() {
        Some("DELETE") => id(prefix, &event.kv.key).map(Change::Removed),
        _ => revoked(prefix, &event.kv),
    });
    let changes: Vec<Change> = changes.collect();
    // While etcd catches up, the header is ahead of what has been told. Only what was told counts, and a line without changes
    // that says that there are none.
    let told = result.events.iter().map(|event| event.kv.mod_revision).max();
    let revision = told.unwrap_or(if result.created { 0 } else { result.header.revision });
    Ok((revision, changes))
}

fn id(prefix: &[u8], key: &[u8]) -> Option<String> {
    let id = key.strip_prefix(prefix).and_then(|id| std::str::from_utf8(id).ok()).filter(|id| !id.is_empty());
    if id.is_none() {
        tracing::warn!(key = %String::from_utf8_lossy(key), "this key of etcd names no token");
    }
    id.map(str::to_owned)
}

fn revoked(prefix: &[u8], entry: &KeyValue) -> Option<Change> {
    Some(Change::Revoked(id(prefix, &entry.key)?, expiry(&entry.value)))
}

/// Seconds or milliseconds since 1970. A value that is neither revokes the token for good: that somebody wanted it revoked is
/// beyond doubt.
pub(super) fn expiry(value: &[u8]) -> Expiry {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let seconds = number.map(|number| if number >= MILLISECONDS { number / 1000 } else { number });
    seconds.and_then(|seconds| Expiry::try_from(seconds).ok()).unwrap_or(Expiry::MAX)
}
