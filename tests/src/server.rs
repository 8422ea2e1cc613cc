//! The HTTP server under every peer the tests play: it hands requests to a function and stops when dropped.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::ports::local;

const MAX_BODY: usize = 16 * 1024 * 1024;

/// A server on a port of its own, HTTP/1.1 and HTTP/2, with TLS or without.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts to listen; `answer` is called for every request.
    pub(crate) async fn start<A>(answer: A) -> Result<Self>
    where
        A: Fn(Request<Bytes>) -> Response<Bytes> + Clone + Send + 'static,
    {
        Self::listen(None, answer).await
    }

    /// The same, with TLS when there is a configuration for it.
    pub(crate) async fn listen<A>(tls: Option<rustls::ServerConfig>, answer: A) -> Result<Self>
    where
        A: Fn(Request<Bytes>) -> Response<Bytes> + Clone + Send + 'static,
    {
        Self::listen_on(0, tls, answer).await
    }

    /// The same on that port, or on any if it is 0.
    pub(crate) async fn listen_on<A>(port: u16, tls: Option<rustls::ServerConfig>, answer: A) -> Result<Self>
    where
        A: Fn(Request<Bytes>) -> Response<Bytes> + Clone + Send + 'static,
    {
        let listener = TcpListener::bind(local(port)).await.context("listening for a peer of the test")?;
        let address = listener.local_addr().context("asking for the port")?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let tls = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
        Ok(Self { address, scheme, accepting: tokio::spawn(accept(listener, tls, answer)) })
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<A>(listener: TcpListener, tls: Option<TlsAcceptor>, answer: A)
where
    A: Fn(Request<Bytes>) -> Response<Bytes> + Clone + Send + 'static,
{
    // Aborted with this task, and so with the server.
    let mut connections = JoinSet::new();
    loop {
        // Out of file descriptors, say: the client sees it, and that is what the test reports.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, answer) = (tls.clone(), answer.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, answer).await,
                // A client that is refused here sees it.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, answer).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve<S, A>(stream: S, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Bytes>) -> Response<Bytes> + Clone + Send + 'static,
{
    let service = service_fn(move |request| respond(request, answer.clone()));
    // A connection that ends early is the client's affair.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// What goes wrong with a response that has this among its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misbehaviour {
    /// Nothing is ever sent.
    Hang,
    /// The connection breaks after half of the body.
    Half,
}

/// A body that ends too early.
#[derive(Debug)]
struct Broken(Option<Bytes>);

impl Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let frame = self.0.take().map(Frame::data);
        Poll::Ready(Some(frame.ok_or_else(|| std::io::ErrorKind::BrokenPipe.into())))
    }
}

async fn respond<A>(request: Request<Incoming>, answer: A) -> Result<Response<Either<Full<Bytes>, Broken>>, Infallible>
where
    A: Fn(Request<Bytes>) -> Response<Bytes>,
{
    let (head, body) = request.into_parts();
    let response: Response<Bytes> = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => answer(Request::from_parts(head, body.to_bytes())),
        Err(error) => {
            let mut response = Response::new(Bytes::from(error.to_string()));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    };
    Ok(match response.extensions().get::<Misbehaviour>() {
        None => response.map(|body| Either::Left(Full::new(body))),
        Some(Misbehaviour::Hang) => std::future::pending().await,
        Some(Misbehaviour::Half) => {
            let (mut head, body) = response.into_parts();
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            Response::from_parts(head, Either::Right(Broken(Some(body.slice(..body.len() / 2)))))
        }
    })
}
