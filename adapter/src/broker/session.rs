//! One connection to one broker: subscribes to every topic, and passes on what is published until the connection ends.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream, select_all};
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::tcp::{AMQPUriTcpExt as _, RustlsConnector};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, Consumer};
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::{BrokerEndpoint, Message, News, Receipt};
use crate::tls;

/// Where API Manager publishes.
const EXCHANGE: &str = "amq.topic";
/// How long it may take until all topics are subscribed to.
const SETUP: Duration = Duration::from_secs(10);
/// Messages of a topic that are under way without being acknowledged.
const PREFETCH: u16 = 500;

/// What sessions have in common.
pub(super) struct Session {
    tls: RustlsConnector,
    topics: Vec<String>,
}

/// How a session went.
pub(super) struct Outcome {
    /// How long the topics were subscribed to, if they ever were.
    pub(super) lasted: Option<Duration>,
    /// Why it ended.
    pub(super) error: SessionError,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("{}{}", .0, advice(.0))]
    Broker(#[from] lapin::Error),
    #[error("no answer within {} s", SETUP.as_secs())]
    Slow,
    #[error("the broker ended the subscription")]
    Cancelled,
    #[error("nobody listens any more")]
    Unheard,
}

/// What to do about it, where that is known.
fn advice(error: &lapin::Error) -> &'static str {
    match error.kind() {
        lapin::ErrorKind::IOError(error) => tls::advice(error.as_ref()),
        _ => "",
    }
}

/// Topic and message; no message when the broker has ended the subscription.
type Deliveries = BoxStream<'static, (String, Option<lapin::Result<Delivery>>)>;

impl Session {
    pub(super) fn new(tls: ClientConfig, topics: &[&str]) -> Self {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Self { tls: RustlsConnector::from(Arc::new(tls)), topics }
    }

    /// Listens to that broker for as long as it goes well.
    pub(super) async fn run(&self, endpoint: &BrokerEndpoint, listener: &mpsc::Sender<News>) -> Outcome {
        let subscribed = match timeout(SETUP, self.subscribe(endpoint)).await {
            Ok(Ok(subscribed)) => subscribed,
            Ok(Err(error)) => return Outcome { lasted: None, error: error.into() },
            Err(_) => return Outcome { lasted: None, error: SessionError::Slow },
        };
        // The connection lives as long as this scope.
        let (_connection, mut deliveries) = subscribed;
        let began = Instant::now();
        tracing::info!(broker = %endpoint, topics = ?self.topics, "listening to the broker");
        let error = match listener.send(News::Subscribed { endpoint: endpoint.to_string() }).await {
            Ok(()) => pass_on(&mut deliveries, listener).await,
            Err(_) => SessionError::Unheard,
        };
        Outcome { lasted: Some(began.elapsed()), error }
    }

    /// One queue a topic, as the original has it: it is there as long as this connection.
    async fn subscribe(&self, endpoint: &BrokerEndpoint) -> lapin::Result<(Connection, Deliveries)> {
        let connection = self.connect(endpoint).await?;
        let mut consumers = Vec::new();
        for topic in &self.topics {
            consumers.push((topic.clone(), consume(&connection, topic).await?));
        }
        let streams = consumers.into_iter().map(|(topic, consumer)| {
            // Among others, the end of one would go unnoticed.
            let deliveries = consumer.map(Some).chain(stream::once(async { None }));
            deliveries.map(move |delivery| (topic.clone(), delivery)).boxed()
        });
        Ok((connection, select_all(streams).boxed()))
    }

    async fn connect(&self, endpoint: &BrokerEndpoint) -> lapin::Result<Connection> {
        let name = concat!("tollgate ", env!("CARGO_PKG_VERSION"));
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let tls = endpoint.is_tls().then(|| (self.tls.clone(), endpoint.host().to_owned()));
        let runtime = lapin::runtime::default_runtime()?;
        Connection::connector(
            endpoint.uri(),
            runtime,
            async move |uri, runtime| {
                let stream = uri.connect_async(&runtime).await?;
                Ok(match &tls {
                    Some((connector, host)) => stream.into_rustls(connector, host).await?,
                    None => stream,
                })
            },
            properties,
        )
        .await
    }
}

async fn consume(connection: &Connection, topic: &str) -> lapin::Result<Consumer> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let options = QueueDeclareOptions { auto_delete: true, exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
    let name = queue.name().clone();
    channel
        .queue_bind(name.clone(), EXCHANGE.into(), topic.into(), QueueBindOptions::default(), FieldTable::default())
        .await?;
    channel.basic_consume(name, "".into(), BasicConsumeOptions::default(), FieldTable::default()).await
}

async fn pass_on(deliveries: &mut Deliveries, listener: &mpsc::Sender<News>) -> SessionError {
    while let Some((topic, delivery)) = deliveries.next().await {
        let message = match delivery {
            Some(Ok(delivery)) => Message { topic, body: delivery.data, receipt: Receipt::Broker(delivery.acker) },
            Some(Err(error)) => return error.into(),
            None => return SessionError::Cancelled,
        };
        if listener.send(News::Message(message)).await.is_err() {
            return SessionError::Unheard;
        }
    }
    SessionError::Cancelled
}
