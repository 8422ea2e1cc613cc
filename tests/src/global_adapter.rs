//! A global adapter: tells an adapter over xDS which APIs are its own, and remembers what it is told in return.
//!
//! Like the real one it answers when its list is another one than the adapter has, and only who shows a certificate.
//! Written from the protocol's description, never from the adapter.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::google::protobuf::Any;
use futures_util::Stream;
use futures_util::stream::unfold;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tonic::server::{Grpc, StreamingService};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use crate::eventually;
use crate::ports::{Port, local};

const METHOD: &str = "/discovery.service.ga.ApiGADiscoveryService/StreamGAApis";
const TYPE_URL: &str = "type.googleapis.com/wso2.discovery.ga.Api";
/// The name in its certificate, which is not where it is.
const NAME: &str = "router";

/// What an adapter said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its label.
    pub label: String,
    /// Version of the list that it has.
    pub version: String,
    /// The answer that this is about; empty at the beginning of a stream.
    pub nonce: String,
    /// What is wrong with that answer.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct List {
    version: u32,
    entries: Vec<Any>,
}

#[derive(Debug)]
struct Shared {
    list: watch::Sender<List>,
    heard: Mutex<Vec<Heard>>,
}

/// A global adapter. Its list is empty at first.
#[derive(Debug)]
pub struct GlobalAdapter {
    shared: Arc<Shared>,
    port: Port,
    server: Option<JoinHandle<()>>,
}

impl Drop for GlobalAdapter {
    fn drop(&mut self) {
        self.kill();
    }
}

impl GlobalAdapter {
    /// One that does not listen yet.
    ///
    /// # Errors
    /// When no port is left.
    pub fn stopped() -> Result<Self> {
        let shared = Shared { list: watch::Sender::new(List::default()), heard: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), port: Port::free()?, server: None })
    }

    /// `[globalAdapter]` of an adapter with that label.
    #[must_use]
    pub fn config(&self, label: &str) -> String {
        format!(
            "\n[globalAdapter]\nenabled = true\nserviceURL = '127.0.0.1:{}'\noverrideHostName = '{NAME}'\n\
             localLabel = '{label}'\nretryInterval = 1\n",
            self.port.number()
        )
    }

    /// Listens, with the list it has. It believes the authority of that adapter, and has a certificate of it.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn listen(&mut self, state: &Path) -> Result<()> {
        let tls = TlsAcceptor::from(Arc::new(server_config(&state.join("certificates"))?));
        // The port of one that was just killed may need a moment.
        let listener = eventually("the global adapter listens", async || {
            TcpListener::bind(local(self.port.number())).await.context("listening for a global adapter")
        })
        .await?;
        self.server = Some(tokio::spawn(accept(listener, tls, Arc::clone(&self.shared))));
        Ok(())
    }

    /// Ends it with all its connections. Its list stays.
    pub fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }

    /// From now on these are the APIs of the adapter: UUIDs of APIs and of their revisions. Gives the version of the list.
    pub fn tell(&self, apis: &[(String, String)]) -> String {
        self.tell_entries(apis.iter().map(|(api, revision)| entry(api, revision)).collect())
    }

    /// A list that holds something that is no API.
    pub fn tell_nonsense(&self) -> String {
        self.tell_entries(vec![Any { type_url: TYPE_URL.to_owned(), value: b"\x0a\x7fno".to_vec() }])
    }

    fn tell_entries(&self, entries: Vec<Any>) -> String {
        let mut version = 0;
        self.shared.list.send_modify(|list| {
            list.version = list.version.saturating_add(1);
            list.entries = entries;
            version = list.version;
        });
        version.to_string()
    }

    /// All that was said so far.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until something like this is said.
    ///
    /// # Errors
    /// When it is not.
    pub async fn hears(&self, what: &str, is: impl Fn(&Heard) -> bool) -> Result<()> {
        eventually(what, async || {
            let heard = self.heard();
            ensure!(heard.iter().any(&is), "{heard:?}");
            Ok(())
        })
        .await
    }
}

/// `wso2.discovery.ga.Api`, byte by byte: all its members are texts of less than 128 bytes.
fn entry(api: &str, revision: &str) -> Any {
    let mut value = Vec::new();
    for (tag, text) in [(0x0a, api), (0x12, revision), (0x1a, "carbon.super")] {
        value.extend([tag, u8::try_from(text.len()).unwrap_or(u8::MAX)]);
        value.extend(text.as_bytes());
    }
    Any { type_url: TYPE_URL.to_owned(), value }
}

fn server_config(certificates: &Path) -> Result<ServerConfig> {
    let read = |name: &str| std::fs::read(certificates.join(name)).with_context(|| format!("reading {name}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut authorities = RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_slice(&read("ca.pem")?).context("the authority")?)?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider)).build()?;
    let certificate = CertificateDer::from_pem_slice(&read("router.pem")?).context("the certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&read("router.key")?).context("the key")?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = builder.with_client_cert_verifier(clients).with_single_cert(vec![certificate], key);
    let mut config = config.map_err(|error| anyhow!("the certificate of the global adapter: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    // Aborted with this task.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            // A client that is refused here sees it.
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            // A connection that ends early is the client's affair.
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<tonic::body::Body>, Infallible> {
    if request.uri().path() != METHOD {
        return Ok(Status::unimplemented("no such method").into_http());
    }
    let codec = ProstCodec::<DiscoveryResponse, DiscoveryRequest>::default();
    Ok(Grpc::new(codec).streaming(Discovery(shared), request).await)
}

/// The one method.
struct Discovery(Arc<Shared>);

impl StreamingService<DiscoveryRequest> for Discovery {
    type Response = DiscoveryResponse;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<DiscoveryResponse, Status>> + Send>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<DiscoveryRequest>>) -> Self::Future {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(converse(Arc::clone(&self.0), request.into_inner(), sender));
        let answers = unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
        let answers: Self::ResponseStream = Box::pin(answers);
        ready(Ok(tonic::Response::new(answers)))
    }
}

/// Ends with the stream.
async fn converse(
    shared: Arc<Shared>,
    mut requests: Streaming<DiscoveryRequest>,
    answers: mpsc::Sender<Result<DiscoveryResponse, Status>>,
) {
    let mut lists = shared.list.subscribe();
    let mut told: Option<u32> = None;
    loop {
        tokio::select! {
            request = requests.message() => {
                let Ok(Some(request)) = request else { return };
                // The version that an adapter brings along need not be told again.
                told = told.or_else(|| request.version_info.parse().ok());
                let heard = Heard {
                    label: request.node.unwrap_or_default().id,
                    version: request.version_info,
                    nonce: request.response_nonce,
                    error: request.error_detail.map(|status| status.message),
                };
                shared.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
            }
            changed = lists.changed() => if changed.is_err() { return },
        }
        let List { version, entries } = lists.borrow_and_update().clone();
        if told != Some(version) {
            told = Some(version);
            let answer = DiscoveryResponse {
                version_info: version.to_string(),
                nonce: format!("nonce {version}"),
                type_url: TYPE_URL.to_owned(),
                resources: entries,
                ..DiscoveryResponse::default()
            };
            if answers.send(Ok(answer)).await.is_err() {
                return;
            }
        }
    }
}
