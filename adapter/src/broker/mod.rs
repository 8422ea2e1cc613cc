//! Topics of a message broker (AMQP 0-9-1), followed for ever: over a list of brokers that stand in for each other, with growing
//! pauses while none can be reached.
//!
//! The broker keeps nothing for who is not there. So whoever listens is told when a subscription begins and when it is lost,
//! and must look for itself at what was missed in between. Must never give up, and never log a password.

mod endpoint;
mod session;

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use lapin::options::BasicAckOptions;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use self::endpoint::{BrokerEndpoint, EndpointError};
use self::session::Session;
use crate::tls::{self, TlsError, Trust};

/// Messages that wait for who listens. When they are as many, the broker is not read any further.
const BACKLOG: usize = 1024;
/// First pause after no broker could be reached.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A session that lasted so long was a good one; after a shorter one, pauses go on growing.
const GOOD_SESSION: Duration = Duration::from_secs(5);

/// How a broker is reached.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// In the order in which they are tried. At least one.
    pub endpoints: Vec<BrokerEndpoint>,
    /// Whom to believe that it is the broker, where it speaks TLS.
    pub trust: Trust,
}

/// What happens to a subscription.
#[derive(Debug)]
pub enum News {
    /// From now on everything that is published arrives.
    Subscribed {
        /// At which broker, without credentials.
        endpoint: String,
    },
    /// No longer, or still not.
    Lost {
        /// Why.
        error: String,
    },
    /// Something was published.
    Message(Message),
}

/// A message.
#[derive(Debug)]
pub struct Message {
    /// Its topic (routing key).
    pub topic: String,
    /// Its body, as it was published.
    pub body: Vec<u8>,
    receipt: Receipt,
}

/// Who is told that a message may be forgotten.
#[derive(Debug)]
enum Receipt {
    Nobody,
    Broker(lapin::Acker),
    #[cfg(test)]
    Test(std::sync::Arc<std::sync::atomic::AtomicBool>),
}

impl Message {
    /// One that comes from no broker, for tests.
    #[must_use]
    pub fn unreceipted(topic: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.to_owned(), body: body.into(), receipt: Receipt::Nobody }
    }

    /// The same, which says when it was acknowledged.
    #[cfg(test)]
    pub fn receipted(topic: &str, body: impl Into<Vec<u8>>) -> (Self, std::sync::Arc<std::sync::atomic::AtomicBool>) {
        let acknowledged = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
        let receipt = Receipt::Test(std::sync::Arc::clone(&acknowledged));
        (Self { receipt, ..Self::unreceipted(topic, body) }, acknowledged)
    }

    /// Tells the broker that it may forget the message. Call it when what the message says is kept.
    pub async fn acknowledge(self) {
        match self.receipt {
            Receipt::Nobody => {}
            Receipt::Broker(receipt) => {
                if let Err(error) = receipt.ack(BasicAckOptions::default()).await {
                    // The connection is gone, and the message with it; whoever listens hears of that.
                    tracing::debug!(%error, topic = self.topic, "a message cannot be acknowledged");
                }
            }
            #[cfg(test)]
            Receipt::Test(acknowledged) => acknowledged.store(true, std::sync::atomic::Ordering::Relaxed),
        }
    }
}

/// Follows these topics until `shutdown`, or until nobody listens any more.
///
/// # Errors
/// When the certificates that are to be trusted cannot be read.
pub fn follow(
    settings: &BrokerSettings,
    topics: &[&str],
    shutdown: CancellationToken,
) -> Result<mpsc::Receiver<News>, TlsError> {
    let tls = tls::trusting_config(&settings.trust)?;
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let session = Session::new(tls, topics);
    let endpoints = settings.endpoints.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sender.closed() => {}
            () = follow_for_ever(&session, &endpoints, &sender) => {}
        }
    });
    Ok(receiver)
}

async fn follow_for_ever(session: &Session, endpoints: &[BrokerEndpoint], listener: &mpsc::Sender<News>) {
    let mut pauses = Pauses::of(endpoints);
    loop {
        for endpoint in endpoints {
            let outcome = session.run(endpoint, listener).await;
            let error = outcome.error.to_string();
            tracing::warn!(broker = %endpoint, error, "the broker cannot be listened to");
            if listener.send(News::Lost { error: format!("{endpoint}: {error}") }).await.is_err() {
                return;
            }
            if outcome.lasted.is_some_and(|lasted| lasted >= GOOD_SESSION) {
                pauses = Pauses::of(endpoints);
            }
            if outcome.lasted.is_some() {
                // Back to the first of the list.
                break;
            }
        }
        sleep(pauses.next()).await;
    }
}

/// Pauses that grow, with jitter, from [`FIRST_PAUSE`] to the longest `connectdelay`, within as many steps as the greatest
/// `retries`.
struct Pauses {
    growing: backon::ExponentialBackoff,
    longest: Duration,
}

impl Pauses {
    fn of(endpoints: &[BrokerEndpoint]) -> Self {
        let longest = endpoints.iter().map(|endpoint| endpoint.delay).max().unwrap_or_default().max(FIRST_PAUSE);
        let steps = endpoints.iter().map(|endpoint| endpoint.retries).max().unwrap_or_default().max(1);
        let factor = (longest.as_secs_f32() / FIRST_PAUSE.as_secs_f32()).powf(1.0 / f32::from(steps));
        let growing = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(longest)
            .with_factor(factor.max(1.0))
            .with_jitter()
            .without_max_times()
            .build();
        Self { growing, longest }
    }

    fn next(&mut self) -> Duration {
        // Jitter comes on top of the pause; what users wrote is the longest that they wait.
        self.growing.next().unwrap_or(self.longest).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> BrokerEndpoint {
        text.parse().unwrap()
    }

    #[test]
    fn pauses_grow_to_what_was_written_and_no_further() {
        for (url, steps, longest) in [
            ("amqp://a?retries='10'&connectdelay='30'", 10, 30.0),
            ("amqp://a?retries='0'&connectdelay='2'", 1, 2.0),
            ("amqp://a?retries='3'&connectdelay='0'", 1, 0.2),
            ("amqp://a", 5, 10.0),
        ] {
            let mut pauses = Pauses::of(&[endpoint(url)]);
            let found: Vec<f32> = (0..50).map(|_| pauses.next().as_secs_f32()).collect();
            assert!(found.iter().all(|pause| (0.2..=longest + 0.001).contains(pause)), "{url}: {found:?}");
            assert!(found[steps + 1..].iter().all(|pause| *pause > longest * 0.99), "{url}: {found:?}");
            assert!(found[0] <= 0.41_f32.min(longest + 0.001), "{url}: {found:?}");
        }
    }

    #[tokio::test]
    async fn who_cannot_be_reached_is_tried_again_and_again() {
        let settings = BrokerSettings {
            endpoints: vec![
                endpoint("amqp://me:hush@127.0.0.1:1?connectdelay='0'"),
                endpoint("amqps://me:hush@[::1]:1?connectdelay='0'"),
            ],
            trust: Trust::default(),
        };
        let shutdown = CancellationToken::new();
        let mut news = follow(&settings, &["notification"], shutdown.clone()).unwrap();
        for expected in ["127.0.0.1:1", "[::1]:1", "127.0.0.1:1", "[::1]:1"] {
            let Some(News::Lost { error }) = news.recv().await else { panic!("it cannot be reached") };
            assert!(error.contains(expected) && !error.contains("hush"), "{error}");
        }
        shutdown.cancel();
        while news.recv().await.is_some() {}
    }
}
