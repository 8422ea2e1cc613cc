//! The REST interface of API Manager, asked within bounds of time and size. Must never follow a redirection (it would take the
//! password elsewhere), and never log what it is told.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use tollgate_model::Secret;
use url::Url;

use super::settings::EventHubSettings;
use crate::tls::{self, TlsError};

/// Most bytes of a list.
pub const MAX_LIST: usize = 256 << 20;
/// Most bytes of the projects of all APIs together.
pub const MAX_ARTIFACTS: usize = 1 << 30;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// An answer may take so many times as long as it may be silent.
const WHOLE: u32 = 20;
/// Characters of an answer that says what is wrong.
const MAX_REASON: usize = 300;
/// Asks for the things of all owners, not only those of the user's tenant.
const EVERYBODYS: (&str, &str) = ("organizationId", "ALL");

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The certificates to trust cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// None, or it broke off.
    #[error("no answer: {}{}", chain(.0), tls::advice(.0))]
    Request(#[from] reqwest::Error),
    /// Another one than success.
    #[error("answered {status}{}{reason}", if .reason.is_empty() { "" } else { ": " })]
    Status {
        /// Its status.
        status: StatusCode,
        /// The beginning of what it says.
        reason: String,
    },
    /// Too much.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// It is no JSON.
    #[error("the answer is no JSON ({0})")]
    Json(#[from] serde_json::Error),
}

impl RestError {
    /// The status that was answered.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// Asks API Manager. Cheap to clone.
#[derive(Clone)]
pub struct RestClient {
    http: reqwest::Client,
    base: Url,
    username: String,
    password: Secret,
    /// Whether things of all owners are asked for.
    everybodys: bool,
}

impl RestClient {
    /// A client of that API Manager.
    ///
    /// # Errors
    /// When the certificates to trust cannot be read.
    pub fn new(settings: &EventHubSettings) -> Result<Self, RestError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::trusting_config(&settings.trust)?)
            .connect_timeout(CONNECT.min(settings.timeout))
            .read_timeout(settings.timeout)
            .timeout(settings.timeout.saturating_mul(WHOLE))
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(settings.workers)
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let (username, password) = (settings.username.clone(), settings.password.clone());
        let everybodys = settings.global_adapter.is_some();
        Ok(Self { http, base: settings.url.clone(), username, password, everybodys })
    }

    /// Whether answers are about the things of all owners.
    #[must_use]
    pub const fn asks_for_all(&self) -> bool {
        self.everybodys
    }

    /// The body of a successful answer; `None` when it says that there is nothing.
    ///
    /// # Errors
    /// Any [`RestError`].
    pub async fn get(&self, path: &str, query: &[(&str, &str)], limit: usize) -> Result<Option<Bytes>, RestError> {
        self.answer(self.http.get(self.address(path, query)), limit).await
    }

    /// The same where the question does not fit into a query.
    ///
    /// # Errors
    /// Any [`RestError`].
    pub async fn ask(
        &self,
        path: &str,
        query: &[(&str, &str)],
        question: &Value,
        limit: usize,
    ) -> Result<Option<Bytes>, RestError> {
        self.answer(json(self.http.post(self.address(path, query)), question), limit).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder, limit: usize) -> Result<Option<Bytes>, RestError> {
        let response = self.checked(request).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        body(response, limit).await.map(Some)
    }

    /// Tells API Manager something.
    ///
    /// # Errors
    /// Any [`RestError`].
    pub async fn tell(&self, method: Method, path: &str, what: &Value) -> Result<(), RestError> {
        self.checked(json(self.http.request(method, self.address(path, &[])), what)).await.map(drop)
    }

    fn address(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["internal", "data", "v1"]).extend(path.split('/'));
        }
        let everybodys = self.everybodys.then_some(EVERYBODYS);
        if !query.is_empty() || self.everybodys {
            url.query_pairs_mut().extend_pairs(query).extend_pairs(everybodys);
        }
        url
    }

    async fn checked(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, RestError> {
        let request = request.basic_auth(&self.username, Some(self.password.expose()));
        // Errors would name the URL, which differs from question to question.
        let response = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let reason = body(response, MAX_REASON.saturating_mul(8)).await.unwrap_or_default();
        let reason = String::from_utf8_lossy(&reason);
        let plain = reason.chars().filter(|character| !character.is_control()).take(MAX_REASON);
        Err(RestError::Status { status, reason: plain.collect() })
    }
}

fn json(request: reqwest::RequestBuilder, what: &Value) -> reqwest::RequestBuilder {
    request.header(http::header::CONTENT_TYPE, "application/json").body(what.to_string())
}

async fn body(mut response: reqwest::Response, limit: usize) -> Result<Bytes, RestError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(RestError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// An error with its causes, which reqwest hides behind its own text.
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
#[path = "rest_tests.rs"]
mod tests;
