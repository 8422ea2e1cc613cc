//! Clients: one that behaves, and one that sends any bytes.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::header::HeaderMap;
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode, Version};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ports::local;

/// Longer than anything that is answered at all; a request that hangs is a failure to report, not to wait for.
const TIMEOUT: Duration = Duration::from_secs(20);
const MAX_RAW_RESPONSE: usize = 1024 * 1024;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// HTTP version spoken.
    pub version: Version,
    /// Response headers.
    pub headers: HeaderMap,
    /// Body, as text.
    pub body: String,
}

impl Answer {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn of(request: RequestBuilder) -> Result<Self> {
        let response = request.send().await?;
        let (status, version, headers) = (response.status(), response.version(), response.headers().clone());
        let body = response.text().await.context("reading the body of the answer")?;
        Ok(Self { status, version, headers, body })
    }

    /// The body as JSON; null when it is something else.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The text of a header; `None` when it is absent or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A client with settings of its own beside ours: it takes any certificate, follows no redirect, and finds
/// `localhost` at 127.0.0.1.
///
/// # Errors
/// When the settings contradict each other.
pub fn client_with(customise: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client> {
    // A second call finds a provider installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .redirect(reqwest::redirect::Policy::none())
        .resolve("localhost", local(0).into())
        .timeout(TIMEOUT)
        .no_proxy();
    customise(builder).build().context("making an HTTP client")
}

/// A client that keeps so many connections. With 0 it opens one for every request, so that requests reach every worker of
/// Envoy.
///
/// # Errors
/// Never, in fact.
pub fn client(kept_connections: usize) -> Result<Client> {
    client_with(|builder| builder.pool_max_idle_per_host(kept_connections))
}

/// What came back for raw bytes. A gateway may also just hang up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    /// Status code of the first response; `None` when the connection was closed without one.
    pub status: Option<u16>,
    /// Everything received.
    pub text: String,
}

/// Sends `bytes` over a connection of its own and reads the first response, or until the other side hangs up.
///
/// # Errors
/// When there is no connection, or neither a response nor a close in time.
pub async fn send_raw(port: u16, bytes: &[u8]) -> Result<RawAnswer> {
    let stream = TcpStream::connect(local(port)).await.context("connecting")?;
    let (mut read, mut write) = stream.into_split();
    let head_only = bytes.starts_with(b"HEAD ");
    let mut received = Vec::new();
    let receive = async {
        // Envoy closes a connection only a second after an early answer, so the end of the response must do. A reset
        // while we still write is no failure of the exchange: what was received until then counts.
        while received.len() < MAX_RAW_RESPONSE && !is_complete(&received, head_only) {
            match read.read_buf(&mut received).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
    };
    let send = async {
        let _ = write.write_all(bytes).await;
        // The response decides when the exchange is over.
        std::future::pending::<()>().await;
    };
    let exchange = async {
        tokio::select! {
            () = receive => {}
            () = send => {}
        }
    };
    tokio::time::timeout(TIMEOUT, exchange).await.context("neither answered nor closed")?;
    let text = String::from_utf8_lossy(&received).into_owned();
    let status = text.split_once(' ').and_then(|(_, rest)| rest.get(..3)?.parse().ok());
    Ok(RawAnswer { status, text })
}

/// Whether a whole response is there, judged by its `content-length`; one without is complete when the connection closes.
fn is_complete(received: &[u8], head_only: bool) -> bool {
    let text = String::from_utf8_lossy(received);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let bodiless = head_only || head.starts_with("HTTP/1.1 204");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    bodiless || length.is_some_and(|length| body.len() >= length)
}

/// A request head for an exchange that closes its connection. Nothing is escaped or checked.
#[must_use]
pub fn raw_request(method: &str, target: &[u8], headers: &[(&str, &[u8])]) -> Vec<u8> {
    let mut request = Vec::new();
    request.extend_from_slice(method.as_bytes());
    request.push(b' ');
    request.extend_from_slice(target);
    request.extend_from_slice(b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.extend_from_slice(name.as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}
