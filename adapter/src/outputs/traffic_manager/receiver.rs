//! One receiver of events: signs in over TLS, publishes over TCP, and signs in again when its session has ended.
//!
//! Must never wait for longer than the socket's timeout, and never log the password.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tollgate_model::Secret;

use super::wire::{self, Answer, AnswerError, Event};

/// Where events go, and where to sign in for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `host:port` for events.
    pub receiver: Address,
    /// `host:port` for signing in, over TLS.
    pub auth: Address,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Who publishes.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// Why events were not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// The network.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Too slow.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// Something else answers there.
    #[error("{0}")]
    Answer(#[from] AnswerError),
    /// It lets nobody sign in.
    #[error("{class}: {message}")]
    Refused {
        /// Class of the error.
        class: String,
        /// What it says.
        message: String,
    },
    /// It does not take what is published.
    #[error("{class}: {message}")]
    Rejected {
        /// Class of the error.
        class: String,
        /// What it says.
        message: String,
    },
    /// The name cannot be that of a certificate.
    #[error("{0:?} is no name of a server")]
    Name(String),
}

/// A receiver and what is open towards it.
pub(super) struct Receiver {
    pub(super) place: Place,
    credentials: Credentials,
    tls: Arc<ClientConfig>,
    patience: Duration,
    session: Option<String>,
    stream: Option<TcpStream>,
}

impl Receiver {
    pub(super) fn new(place: Place, credentials: Credentials, tls: Arc<ClientConfig>, patience: Duration) -> Self {
        Self { place, credentials, tls, patience, session: None, stream: None }
    }

    /// Publishes a batch. A session that has ended is begun anew, once.
    pub(super) async fn publish(&mut self, events: &[Event]) -> Result<(), ReceiverError> {
        let was_open = self.session.is_some();
        match self.publish_once(events).await {
            // The session or the connection may have ended since the last time, which says nothing of the receiver.
            Err(error) if was_open && !matches!(error, ReceiverError::Late(_)) => {
                tracing::debug!(receiver = %self.place.receiver, %error, "signing in again");
                self.close();
                self.publish_once(events).await
            }
            other => other,
        }
        .inspect_err(|_| self.close())
    }

    /// Ends the session, as far as that is possible.
    pub(super) async fn end(&mut self) {
        let Some(session) = self.session.take() else { return };
        let farewell = async {
            if let Some(stream) = &mut self.stream {
                stream.write_all(&wire::logout(&session)).await?;
                wire::read_answer(stream).await?;
            }
            Ok::<(), ReceiverError>(())
        };
        // It would end by itself.
        if let Ok(Err(error)) = timeout(Duration::from_millis(500), farewell).await {
            tracing::debug!(receiver = %self.place.receiver, %error, "the session ends by itself");
        }
        self.close();
    }

    fn close(&mut self) {
        self.session = None;
        self.stream = None;
    }

    async fn publish_once(&mut self, events: &[Event]) -> Result<(), ReceiverError> {
        let patience = self.patience;
        timeout(patience, self.exchange(events)).await.map_err(|_| ReceiverError::Late(patience))?
    }

    async fn exchange(&mut self, events: &[Event]) -> Result<(), ReceiverError> {
        let session = match self.session.clone() {
            Some(session) => session,
            None => self.sign_in().await?,
        };
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.stream.insert(connect(&self.place.receiver).await?),
        };
        stream.write_all(&wire::publish(&session, events)).await?;
        let answer = wire::read_answer(stream).await?;
        self.session = Some(session);
        match answer {
            Answer::Done => Ok(()),
            Answer::Error { class, message } => Err(ReceiverError::Rejected { class, message }),
            Answer::Session(_) => Err(AnswerError::Foreign.into()),
        }
    }

    async fn sign_in(&self) -> Result<String, ReceiverError> {
        let Address { host, .. } = &self.place.auth;
        let name = ServerName::try_from(host.clone()).map_err(|_| ReceiverError::Name(host.clone()))?;
        let stream = connect(&self.place.auth).await?;
        let mut stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?;
        let Credentials { user, password } = &self.credentials;
        stream.write_all(&wire::login(user, password.expose())).await?;
        stream.flush().await?;
        match wire::read_answer(&mut stream).await? {
            Answer::Session(session) => Ok(session),
            Answer::Error { class, message } => Err(ReceiverError::Refused { class, message }),
            Answer::Done => Err(AnswerError::Foreign.into()),
        }
    }
}

async fn connect(address: &Address) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
