//! A backend that remembers what it was asked, and answers with it.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, Version};
use serde_json::{Map, Value, json};

use crate::server::Server;

/// An upstream under an API.
#[derive(Debug)]
pub struct Backend {
    server: Server,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// The HTTP version spoken.
    pub version: Version,
    /// Path as sent, neither decoded nor normalised, without the query.
    pub path: String,
    /// What follows the question mark.
    pub query: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Backend {
    /// Starts one.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        Self::answering(None, Seen::tell_back).await
    }

    /// Starts one that speaks TLS.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn with_tls(tls: rustls::ServerConfig) -> Result<Self> {
        Self::answering(Some(tls), Seen::tell_back).await
    }

    /// Starts one that answers as it is told.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn answering(
        tls: Option<rustls::ServerConfig>,
        answer: impl Fn(&Seen) -> Response<Bytes> + Clone + Send + 'static,
    ) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let server = Server::listen(tls, move |request| {
            let request = Seen::of(request);
            let answer = answer(&request);
            record.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            answer
        })
        .await?;
        Ok(Self { server, seen })
    }

    /// Its URL, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Everything it was asked so far, in order of arrival.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests arrived.
    #[must_use]
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Forgets all.
    pub fn forget(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets all, and returns it.
    #[must_use]
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    fn of(request: Request<Bytes>) -> Self {
        let (Parts { method, uri, version, headers, .. }, body) = request.into_parts();
        let query = uri.query().map(str::to_owned);
        Self { method, version, path: uri.path().to_owned(), query, headers, body }
    }

    fn tell_back(&self) -> Response<Bytes> {
        json_response(&self.to_json())
    }

    fn to_json(&self) -> Value {
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            let value = json!(String::from_utf8_lossy(value.as_bytes()));
            headers.insert(name.as_str().to_owned(), value);
        }
        json!({
            "method": self.method.as_str(), "path": self.path, "query": self.query,
            "headers": headers, "body": String::from_utf8_lossy(&self.body),
        })
    }
}

/// A 200 with that JSON.
pub(crate) fn json_response(json: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(json.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{raw_request, send_raw};

    #[tokio::test]
    async fn a_request_is_recorded_as_it_was_sent_and_told_back() {
        let backend = Backend::start().await.unwrap();
        let port = backend.url().rsplit_once(':').unwrap().1.parse().unwrap();
        let request = raw_request("GET", b"/a//%2E%2e/b;x?y=%20", &[("x-strange", b"caf\xe9")]);
        let answer = send_raw(port, &request).await.unwrap();
        assert_eq!(answer.status, Some(200));
        assert!(answer.text.contains(r#""path":"/a//%2E%2e/b;x""#), "{}", answer.text);

        let seen = backend.take();
        assert_eq!((seen.len(), backend.count()), (1, 0));
        assert_eq!((seen[0].path.as_str(), seen[0].query.as_deref()), ("/a//%2E%2e/b;x", Some("y=%20")));
        assert_eq!(seen[0].headers["x-strange"].as_bytes(), b"caf\xe9");
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_has_no_status() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, _) =
            tokio::join!(send_raw(port, b"GET / HTTP/1.1\r\n\r\n"), async { drop(listener.accept().await) });
        assert_eq!(answer.unwrap().status, None);
    }
}
