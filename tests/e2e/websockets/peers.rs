//! Both ends of a WebSocket: a backend that tells what handshake it got and then echoes, and clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};
use tollgate_tests::Gateway;

/// A backend on a port of its own.
pub struct SocketBackend {
    authority: String,
    opened: Arc<AtomicUsize>,
    received: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl SocketBackend {
    pub async fn start(tls: Option<rustls::ServerConfig>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let authority = listener.local_addr()?.to_string();
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let opened = Arc::new(AtomicUsize::new(0));
        let received = Arc::new(AtomicUsize::new(0));
        let counters = (Arc::clone(&opened), Arc::clone(&received));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, counters) = (tls.clone(), counters.clone());
                // A connection that fails shows at the client.
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => serve(tls.accept(stream).await?, &counters).await,
                        None => serve(stream, &counters).await,
                    }
                });
            }
        });
        Ok(Self { authority, opened, received, accepting })
    }

    /// `127.0.0.1:port`.
    pub fn authority(&self) -> String {
        self.authority.clone()
    }

    /// How many WebSockets were opened.
    pub fn count(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// How many messages arrived.
    pub fn received(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for SocketBackend {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[allow(clippy::result_large_err, reason = "the signature is the library's")]
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    (opened, received): &(Arc<AtomicUsize>, Arc<AtomicUsize>),
) -> Result<()> {
    let mut seen = Value::Null;
    let remember = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let headers = request.headers().iter();
        let headers: Map<String, Value> =
            headers.map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes())))).collect();
        seen = json!({ "path": request.uri().to_string(), "headers": headers });
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, remember).await?;
    opened.fetch_add(1, Ordering::Relaxed);
    socket.send(Message::text(seen.to_string())).await?;
    while let Some(message) = socket.next().await {
        if let message @ (Message::Text(_) | Message::Binary(_)) = message? {
            received.fetch_add(1, Ordering::Relaxed);
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// What became of an attempt to open a WebSocket.
pub enum Handshake {
    Open(Box<Socket>),
    /// Status, and body as JSON.
    Refused(u16, Value),
}

impl Handshake {
    pub async fn of(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let mut request = format!("ws://localhost:{}{path}", gateway.ports.http).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::try_from(*name)?, HeaderValue::try_from(*value)?);
        }
        let stream = TcpStream::connect(("127.0.0.1", gateway.ports.http)).await?;
        match client_async(request, stream).await {
            Ok((stream, _)) => Ok(Self::Open(Box::new(Socket { stream, seen: None }))),
            Err(tungstenite::Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                Ok(Self::Refused(answer.status().as_u16(), serde_json::from_slice(body).unwrap_or_default()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// An open WebSocket.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    seen: Option<Value>,
}

impl Socket {
    /// The handshake as the backend got it.
    pub async fn seen(&mut self) -> Result<Value> {
        if self.seen.is_none() {
            self.seen = Some(serde_json::from_str(&self.text().await?)?);
        }
        Ok(self.seen.clone().unwrap_or_default())
    }

    /// Sends a text, and what comes back.
    pub async fn echo(&mut self, text: &str) -> Result<String> {
        self.seen().await?;
        self.stream.send(Message::text(text)).await?;
        self.text().await
    }

    pub fn into_stream(self) -> WebSocketStream<TcpStream> {
        self.stream
    }

    pub async fn close(mut self) -> Result<()> {
        Ok(self.stream.close(None).await?)
    }

    async fn text(&mut self) -> Result<String> {
        match self.stream.next().await.context("the tunnel is closed")?? {
            Message::Text(text) => Ok(text.to_string()),
            other => bail!("{other:?} is no text"),
        }
    }
}

/// Opens a WebSocket by HTTP/2's extended CONNECT (RFC 8441): the status, and the first bytes that arrive.
pub async fn over_http2(gateway: &Gateway, path: &str, authorization: Option<&str>) -> Result<(u16, String)> {
    let stream = TcpStream::connect(("127.0.0.1", gateway.ports.http)).await?;
    let (client, connection) = h2::client::handshake(stream).await?;
    let driver = tokio::spawn(connection);
    // The settings of the server must have arrived before it is known that it takes this.
    let mut client = client.ready().await?;
    let mut plain = hyper::Request::new(());
    *plain.uri_mut() = format!("http://localhost:{}/health", gateway.ports.http).parse()?;
    client.send_request(plain, true)?.0.await?;
    let mut request = hyper::Request::new(());
    *request.method_mut() = hyper::Method::CONNECT;
    *request.uri_mut() = format!("http://localhost:{}{path}", gateway.ports.http).parse()?;
    request.headers_mut().insert("sec-websocket-version", HeaderValue::from_static("13"));
    if let Some(value) = authorization {
        request.headers_mut().insert("authorization", HeaderValue::try_from(value)?);
    }
    request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    let (answer, _sender) = client.ready().await?.send_request(request, false)?;
    let answer = answer.await?;
    let status = answer.status().as_u16();
    let bytes = answer.into_body().data().await.transpose()?.unwrap_or_default();
    driver.abort();
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}
