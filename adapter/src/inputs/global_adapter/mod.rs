//! A global adapter, which says which APIs of API Manager this adapter serves, so that several adapters share them. It is asked over
//! xDS; who listens gets its newest list.
//!
//! [`list`] is what it says, [`connect`] how it is reached. Must never give up, and never take anything from the list because it
//! cannot be reached or says something that cannot be understood.

mod connect;
#[doc(hidden)]
pub mod fuzzing;
mod list;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use futures_util::stream;
use http::uri::PathAndQuery;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;
use url::Url;

use self::connect::{ConnectError, Connector};
use self::list::Conversation;
pub use self::list::{Listed, different};
use crate::inputs::pauses::growing;
use crate::tls::TlsError;

/// The method that is called.
const METHOD: &str = "/discovery.service.ga.ApiGADiscoveryService/StreamGAApis";
/// Most bytes of an answer: twice what the most entries need.
const MAX_ANSWER: usize = 16 << 20;
/// First pause after it could not be reached.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// It need not say anything while its list is the same. When it has not hung up for so long, it is taken to be there.
const SILENCE: Duration = Duration::from_secs(3);
/// A stream that lasted so long was a good one; after a shorter one, pauses go on growing.
const GOOD_STREAM: Duration = Duration::from_secs(5);
/// Characters of an error that are shown.
const MAX_ERROR: usize = 300;

/// Where a global adapter is, and as whom it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalAdapterSettings {
    /// Its address: https, host and port.
    pub url: Url,
    /// The name in its certificate, if that is not its host.
    pub certificate_name: Option<String>,
    /// The node id of this adapter.
    pub label: String,
    /// Longest pause before it is tried again.
    pub retry: Duration,
}

/// How the two recognise each other.
#[derive(Debug, Clone)]
pub struct Identity {
    /// PEM file of the adapter's certificate.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// PEM file, or a folder of such, of authorities that are trusted beside those of the system.
    pub authorities: PathBuf,
}

/// What is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Its newest list; none before the first.
    pub list: Option<Arc<Listed>>,
    /// When that came, in seconds since 1970.
    pub received: Option<u64>,
    /// Whether news would arrive.
    pub connected: bool,
    /// What was wrong last.
    pub error: Option<String>,
    /// How often in a row.
    pub failures: u32,
}

impl Told {
    fn connected(&mut self) {
        (self.connected, self.error, self.failures) = (true, None, 0);
    }

    fn failed(&mut self, error: &dyn std::fmt::Display) {
        let plain = error.to_string().chars().filter(|character| !character.is_control()).take(MAX_ERROR).collect();
        self.error = Some(plain);
        self.failures = self.failures.saturating_add(1);
    }
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{}: {}", .0.code(), .0.message())]
    Status(#[from] tonic::Status),
    #[error("it ended the stream")]
    Ended,
}

/// Follows the list of a global adapter until `shutdown`, or until nobody listens any more.
///
/// # Errors
/// When certificate, key or authorities cannot be used.
pub fn follow(
    settings: &GlobalAdapterSettings,
    identity: &Identity,
    shutdown: CancellationToken,
) -> Result<watch::Receiver<Told>, TlsError> {
    let connector = Connector::new(settings, identity)?;
    let (sender, receiver) = watch::channel(Told::default());
    let settings = settings.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sender.closed() => {}
            () = follow_for_ever(&connector, &settings, &sender) => {}
        }
    });
    Ok(receiver)
}

async fn follow_for_ever(connector: &Connector, settings: &GlobalAdapterSettings, told: &watch::Sender<Told>) {
    let mut conversation = Conversation::new(settings.label.clone());
    let mut pauses = growing(FIRST_PAUSE, settings.retry);
    loop {
        let began = Instant::now();
        let Err(error) = stream(connector, &mut conversation, told).await;
        if told.borrow().connected && began.elapsed() >= GOOD_STREAM {
            pauses = growing(FIRST_PAUSE, settings.retry);
        }
        tracing::warn!(at = %settings.url, %error, "the global adapter cannot be listened to; its last list stays");
        told.send_modify(|told| {
            told.connected = false;
            told.failed(&error);
        });
        // Jitter comes on top of the pause; what users wrote is the longest that they wait.
        sleep(pauses.next().unwrap_or(settings.retry).min(settings.retry)).await;
    }
}

/// One stream, until it breaks off.
async fn stream(
    connector: &Connector,
    conversation: &mut Conversation,
    told: &watch::Sender<Told>,
) -> Result<std::convert::Infallible, StreamError> {
    let mut client = Grpc::new(connector.connect().await?).max_decoding_message_size(MAX_ANSWER);
    client.ready().await.map_err(ConnectError::from)?;
    let (say, said) = mpsc::channel(1);
    say.send(conversation.opening()).await.map_err(|_| StreamError::Ended)?;
    let requests =
        stream::unfold(said, |mut said: mpsc::Receiver<DiscoveryRequest>| async { Some((said.recv().await?, said)) });
    let codec = ProstCodec::<DiscoveryRequest, DiscoveryResponse>::default();
    let opening = client.streaming(Request::new(requests), PathAndQuery::from_static(METHOD), codec);
    tokio::pin!(opening);
    let opened = tokio::select! {
        opened = &mut opening => opened,
        () = sleep(SILENCE) => {
            told.send_modify(Told::connected);
            opening.await
        }
    };
    let mut answers = opened?.into_inner();
    told.send_modify(Told::connected);
    loop {
        let answer = answers.message().await?.ok_or(StreamError::Ended)?;
        let (heard, reply) = conversation.hear(&answer);
        match heard {
            Ok(listed) => {
                tracing::info!(apis = listed.len(), version = answer.version_info, "the global adapter has a list");
                told.send_modify(|told| {
                    told.connected();
                    (told.list, told.received) = (Some(Arc::new(listed)), Some(seconds()));
                });
            }
            Err(error) => {
                tracing::error!(%error, version = answer.version_info, "a list of the global adapter is refused; the last one stays");
                told.send_modify(|told| told.failed(&format_args!("a list is refused: {error}")));
            }
        }
        say.send(reply).await.map_err(|_| StreamError::Ended)?;
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
