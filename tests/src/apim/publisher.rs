//! Publishes to `amq.topic` of a real broker, in order, for as long as it takes: what is published while the broker is away
//! arrives late.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::event::Event;

const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// The way to the broker.
#[derive(Debug)]
pub(super) struct Publisher {
    queue: mpsc::UnboundedSender<Arc<Event>>,
    publishing: JoinHandle<()>,
}

impl Publisher {
    /// Begins to publish to that broker.
    pub(super) fn start(url: String) -> Self {
        let (queue, events) = mpsc::unbounded_channel();
        Self { queue, publishing: tokio::spawn(publish_all(url, events)) }
    }

    pub(super) fn publish(&self, event: Event) {
        // The other side ends with us.
        let _ = self.queue.send(Arc::new(event));
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.publishing.abort();
    }
}

async fn publish_all(url: String, mut events: mpsc::UnboundedReceiver<Arc<Event>>) {
    let mut open = None;
    while let Some(event) = events.recv().await {
        loop {
            let attempt = tokio::time::timeout(PATIENCE, publish(&url, &mut open, &event)).await;
            if matches!(attempt, Ok(Ok(()))) {
                break;
            }
            open = None;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn publish(url: &str, open: &mut Option<(Connection, Channel)>, event: &Event) -> Result<()> {
    if open.is_none() {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.context("connecting")?;
        let channel = connection.create_channel().await.context("opening a channel")?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.context("asking for confirmations")?;
        *open = Some((connection, channel));
    }
    let (_, channel) = open.as_ref().context("a channel")?;
    let sending = channel.basic_publish(
        "amq.topic".into(),
        event.topic.into(),
        BasicPublishOptions::default(),
        event.body.as_bytes(),
        BasicProperties::default().with_content_type("application/json".into()),
    );
    let confirmation = sending.await?.await?;
    ensure!(matches!(confirmation, Confirmation::Ack(_)), "the broker does not take it: {confirmation:?}");
    Ok(())
}
