//! A receiver of WSO2's data bridge, written from the description of its binary protocol: it gives out sessions over TLS, takes
//! events over TCP, and remembers them. It shares no code with what it puts to the test.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::ports::local;

/// An event as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeEvent {
    /// Stream and version.
    pub stream: String,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Attributes in their order.
    pub attributes: Vec<String>,
}

/// A running receiver.
#[derive(Debug)]
pub struct DataBridge {
    events_port: u16,
    auth_port: u16,
    authority: String,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug, Default)]
struct Shared {
    user: String,
    password: String,
    sessions: Mutex<HashSet<String>>,
    signed_in: AtomicUsize,
    events: Mutex<Vec<BridgeEvent>>,
    batches: Mutex<Vec<usize>>,
    problems: Mutex<Vec<String>>,
    /// Connections are closed without an answer.
    broken: AtomicBool,
    /// Nothing that is published is taken.
    rejecting: AtomicBool,
}

impl Shared {
    fn locked<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DataBridge {
    /// Starts one that knows this user, with a certificate for `localhost` of its own.
    ///
    /// # Errors
    /// When nothing can be listened on.
    pub async fn start(user: &str, password: &str) -> Result<Self> {
        let (tls, authority) = tls()?;
        let (events, auth) = (TcpListener::bind(local(0)).await?, TcpListener::bind(local(0)).await?);
        let shared = Arc::new(Shared { user: user.to_owned(), password: password.to_owned(), ..Shared::default() });
        let (events_port, auth_port) = (events.local_addr()?.port(), auth.local_addr()?.port());
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let tasks = [
            tokio::spawn(accept(events, None, Arc::clone(&shared))),
            tokio::spawn(accept(auth, Some(acceptor), Arc::clone(&shared))),
        ];
        Ok(Self { events_port, auth_port, authority, shared, tasks })
    }

    /// `tcp://` address for events.
    #[must_use]
    pub fn receiver_url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.events_port)
    }

    /// `ssl://` address for signing in.
    #[must_use]
    pub fn auth_url(&self) -> String {
        format!("ssl://localhost:{}", self.auth_port)
    }

    /// PEM of who must be trusted.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Events so far.
    #[must_use]
    pub fn events(&self) -> Vec<BridgeEvent> {
        Shared::locked(&self.shared.events).clone()
    }

    /// How many events came at a time.
    #[must_use]
    pub fn batches(&self) -> Vec<usize> {
        Shared::locked(&self.shared.batches).clone()
    }

    /// How often somebody signed in.
    #[must_use]
    pub fn signed_in(&self) -> usize {
        self.shared.signed_in.load(Ordering::Relaxed)
    }

    /// Everything that was not as the protocol has it.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        Shared::locked(&self.shared.problems).clone()
    }

    /// Forgets all sessions: whoever publishes is told so.
    pub fn end_sessions(&self) {
        Shared::locked(&self.shared.sessions).clear();
    }

    /// From now on nothing that is published is taken; or everything is again.
    pub fn set_rejecting(&self, rejecting: bool) {
        self.shared.rejecting.store(rejecting, Ordering::Relaxed);
    }

    /// From now on nobody is answered; or everybody is again.
    pub fn set_broken(&self, broken: bool) {
        self.shared.broken.store(broken, Ordering::Relaxed);
    }
}

impl Drop for DataBridge {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A configuration for TLS, and the certificate of its authority.
fn tls() -> Result<(rustls::ServerConfig, String)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Authority of a Traffic Manager");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| anyhow::anyhow!("{error}"))?;
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((config, authority.pem()))
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            let over_tls = tls.is_some();
            let served = match tls {
                None => serve(stream, &shared, over_tls).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, &shared, over_tls).await,
                    // The client sees it.
                    Err(_) => Ok(()),
                },
            };
            if let Err(error) = served {
                Shared::locked(&shared.problems).push(format!("{error:#}"));
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: &Shared, over_tls: bool) -> Result<()> {
    loop {
        // Whoever goes away between two frames does nothing wrong.
        let Ok(kind) = stream.read_u8().await else { return Ok(()) };
        let size = usize::try_from(stream.read_i32().await?)?;
        let mut frame = vec![0; size];
        stream.read_exact(&mut frame).await?;
        if shared.broken.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut fields = Fields(&frame);
        let answer = match kind {
            0 => sign_in(&mut fields, shared, over_tls)?,
            1 => {
                let session = fields.text()?;
                Shared::locked(&shared.sessions).remove(&session);
                vec![0]
            }
            2 => publish(&mut fields, shared)?,
            other => bail!("frame of kind {other}"),
        };
        ensure!(fields.0.is_empty(), "{} bytes too many in a frame of kind {kind}", fields.0.len());
        stream.write_all(&answer).await?;
        stream.flush().await?;
    }
}

fn sign_in(fields: &mut Fields<'_>, shared: &Shared, over_tls: bool) -> Result<Vec<u8>> {
    ensure!(over_tls, "somebody signs in without TLS");
    let (user, password) = (fields.number()?, fields.number()?);
    let (user, password) = (fields.take(user)?, fields.take(password)?);
    if user != shared.user.as_bytes() || password != shared.password.as_bytes() {
        return Ok(error("AuthenticationException", "wrong credentials"));
    }
    let number = shared.signed_in.fetch_add(1, Ordering::Relaxed);
    let session = format!("session-{number}");
    Shared::locked(&shared.sessions).insert(session.clone());
    Ok([&[2][..], &length(session.len()), session.as_bytes()].concat())
}

fn publish(fields: &mut Fields<'_>, shared: &Shared) -> Result<Vec<u8>> {
    let session = fields.text()?;
    let mut events = Vec::new();
    let count = fields.number()?;
    for _ in 0..count {
        let size = fields.number()?;
        let mut event = Fields(fields.take(size)?);
        let timestamp = i64::from_be_bytes(event.take(8)?.try_into()?);
        let stream = event.text()?;
        let mut attributes = Vec::new();
        while !event.0.is_empty() {
            attributes.push(event.text()?);
        }
        events.push(BridgeEvent { stream, timestamp, attributes });
    }
    if !Shared::locked(&shared.sessions).contains(&session) {
        return Ok(error("SessionTimeoutException", "no such session"));
    }
    if shared.rejecting.load(Ordering::Relaxed) {
        return Ok(error("UndefinedEventTypeException", "no such stream"));
    }
    Shared::locked(&shared.batches).push(events.len());
    Shared::locked(&shared.events).extend(events);
    Ok(vec![0])
}

fn error(class: &str, message: &str) -> Vec<u8> {
    let class = format!("org.wso2.carbon.databridge.commons.exception.{class}");
    [&[1][..], &length(class.len()), &length(message.len()), class.as_bytes(), message.as_bytes()].concat()
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// What is left of a frame.
struct Fields<'f>(&'f [u8]);

impl<'f> Fields<'f> {
    fn take(&mut self, count: usize) -> Result<&'f [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("a frame is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<usize> {
        let bytes: [u8; 4] = self.take(4)?.try_into()?;
        Ok(usize::try_from(i32::from_be_bytes(bytes))?)
    }

    fn text(&mut self) -> Result<String> {
        let length = self.number()?;
        Ok(std::str::from_utf8(self.take(length)?)?.to_owned())
    }
}
