//! Who is throttled, as Traffic Managers publish it on the topic `throttleData`.
//!
//! Must never make a decision of its own: what was said holds until it is taken back or over, whether or not the broker can be
//! reached.

mod message;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tollgate_model::{DecidedGroup, Decisions, TrafficManager};

use crate::broker::{self, BrokerSettings, Message, News};
use crate::model::{Key, Subscribers, WorldWriter};
use crate::tls::TlsError;

pub use self::message::{About, BadMessage, Decision, read};

/// The topic.
const TOPIC: &str = "throttleData";
/// Most messages that become one change.
const BATCH: usize = 256;
/// How often decisions that are over are looked for.
const PURGE: Duration = Duration::from_secs(5);
/// Throttle keys that are remembered. More would mean that something else than keys is decided about.
const MAX_KEYS: usize = 500_000;

/// Listens to the topic.
pub struct DecisionListener {
    news: mpsc::Receiver<News>,
    manager: TrafficManager,
    world: WorldWriter,
}

impl DecisionListener {
    /// Begins to listen; a broker that cannot be reached yet is waited for.
    ///
    /// # Errors
    /// When the authorities to believe cannot be read.
    pub fn open(
        settings: &BrokerSettings,
        manager: TrafficManager,
        world: WorldWriter,
        shutdown: CancellationToken,
    ) -> Result<Self, TlsError> {
        Ok(Self { news: broker::follow(settings, &[TOPIC], shutdown)?, manager, world })
    }

    /// Takes over what is decided until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut purge = interval(PURGE);
        purge.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = purge.tick() => self.purge(),
                received = self.news.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        return;
                    }
                    self.take(std::mem::take(&mut batch)).await;
                }
            }
        }
    }

    async fn take(&self, batch: Vec<News>) {
        let (mut decisions, mut messages) = (Vec::new(), Vec::new());
        for news in batch {
            match news {
                News::Message(message) => {
                    decisions.extend(self.read(&message));
                    messages.push(message);
                }
                News::Subscribed { endpoint } => tracing::info!(endpoint, "decisions of the Traffic Manager arrive"),
                News::Lost { error } => tracing::warn!(error, "no decisions of the Traffic Manager arrive"),
            }
        }
        if !decisions.is_empty() {
            self.world.update(|world| {
                decisions.into_iter().for_each(|decision| decide(&mut world.subscribers, decision));
            });
        }
        for message in messages {
            message.acknowledge().await;
        }
    }

    fn read(&self, message: &Message) -> Option<Decision> {
        match read(&message.body, self.manager) {
            Ok(None) => None,
            Ok(Some((decision, None))) => Some(decision),
            Ok(Some((decision, Some(problem)))) => {
                let Decision { key, .. } = &decision;
                tracing::error!(key, %problem, "conditions of a decision cannot be read: all that may be meant is throttled");
                Some(decision)
            }
            Err(problem) => {
                tracing::error!(%problem, "a decision of the Traffic Manager cannot be read");
                None
            }
        }
    }

    /// Nobody is woken up for nothing.
    fn purge(&self) {
        let now = now_ms();
        let is_over = |decisions: &Arc<Decisions>| !Decisions::clone(decisions).prune(now);
        let over: Vec<Key> = {
            let world = self.world.current();
            let all = world.subscribers.decisions.iter();
            all.filter(|(_, decisions)| is_over(decisions)).map(|(key, _)| key.clone()).collect()
        };
        if !over.is_empty() {
            self.world.update(|world| over.iter().for_each(|key| world.subscribers.decisions.remove(key)));
        }
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Adds one decision to what was decided about its key, or takes it back.
fn decide(subscribers: &mut Subscribers, decision: Decision) {
    let Decision { key, about, until } = decision;
    let key = Key::from(key.as_bytes());
    let table = &mut subscribers.decisions;
    let known = table.get(&key).map(|known| Decisions::clone(known));
    if known.is_none() && until.is_some() && table.len() >= MAX_KEYS {
        tracing::error!("{MAX_KEYS} keys are throttled; a further decision is not taken");
        return;
    }
    let mut decisions = known.unwrap_or_default();
    match about {
        About::All => decisions.until = until,
        About::Group(number, conditions) => {
            decisions.groups.retain(|group| group.number != number);
            decisions.groups.extend(until.map(|until| DecidedGroup { number, until, conditions }));
        }
        About::Rest(conditions) => {
            decisions.rest = until.map(|until| DecidedGroup { number: 0, until, conditions });
        }
    }
    if decisions == Decisions::default() {
        table.remove(&key);
    } else {
        table.insert(key, Arc::new(decisions));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_about_a_key_come_together_and_are_taken_back_one_by_one() {
        let mut subscribers = Subscribers::default();
        let key = b"/p/1:1";
        let mut step = |about, until| {
            decide(&mut subscribers, Decision { key: "/p/1:1".to_owned(), about, until });
            subscribers.decisions.get(key).map(|decisions| Decisions::clone(decisions))
        };
        let group = |number, until| DecidedGroup { number, until, conditions: Vec::new() };
        step(About::Group(2, Vec::new()), Some(20));
        step(About::Rest(Vec::new()), Some(30));
        step(About::Group(2, Vec::new()), Some(25));
        let all = step(About::All, Some(10)).unwrap();
        assert_eq!(all, Decisions { until: Some(10), groups: vec![group(2, 25)], rest: Some(group(0, 30)) });
        step(About::All, None);
        step(About::Group(2, Vec::new()), None);
        assert_eq!(step(About::Rest(Vec::new()), None), None);
        assert_eq!(step(About::All, None), None);
    }
}
