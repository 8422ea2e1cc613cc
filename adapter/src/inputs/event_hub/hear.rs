//! The part of the hub that hears messages: what they say is kept, shown to gateways, and acknowledged, in this order.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tollgate_model::TierKind;

use super::events::Heard;
use super::fact::{ApiFact, Fact, Id, Resource};
use super::hub::{Hub, POLL};
use super::mirror::{Applied, Change, LAG};
use super::store::Write;
use super::tables;
use crate::broker::{Message, News};

/// Messages that are taken over in one go.
const BATCH: usize = 256;

impl Hub {
    /// Takes over all that has arrived.
    pub(super) async fn hear_batch(&mut self, first: News, news: &mut mpsc::Receiver<News>) {
        let (mut applied, mut messages) = (Applied::default(), Vec::new());
        let mut next = Some(first);
        while let Some(one) = next {
            match one {
                News::Subscribed { endpoint } => self.subscribed(endpoint),
                News::Lost { error } => self.lost(error),
                News::Message(message) => {
                    match self.ears.read(&message.topic, &message.body) {
                        Ok(heard) => applied.extend(self.heard(heard).await),
                        Err(error) => self.poison(&message, &error),
                    }
                    messages.push(message);
                }
            }
            next = if messages.len() < BATCH { news.try_recv().ok() } else { None };
        }
        self.keep(applied, messages).await;
    }

    fn subscribed(&mut self, endpoint: String) {
        tracing::info!(broker = endpoint, "API Manager is listened to; what was missed is asked for");
        let broker = &mut self.report.broker;
        (broker.connected, broker.endpoint, broker.error) = (true, Some(endpoint), None);
        broker.connections = broker.connections.saturating_add(1);
        self.subscribed = Some(self.moment());
        self.want_everything(Instant::now());
    }

    fn lost(&mut self, error: String) {
        let broker = &mut self.report.broker;
        (broker.connected, broker.error) = (false, Some(error));
        if self.subscribed.take().is_some() {
            let soon = Instant::now().checked_add(self.interval()).unwrap_or_else(Instant::now);
            self.reconcile = self.reconcile.min(soon);
        }
    }

    fn poison(&mut self, message: &Message, error: &dyn std::fmt::Display) {
        self.report.poison = self.report.poison.saturating_add(1);
        let bytes = message.body.len();
        tracing::error!(topic = message.topic, %error, bytes, "a message of API Manager cannot be used and is skipped; its content is not shown");
        // Whatever it was about, the lists know. Not more often than they are compared anyway while nobody listens.
        let soon = Instant::now().checked_add(POLL).unwrap_or_else(Instant::now);
        self.reconcile = self.reconcile.min(soon);
    }

    async fn heard(&mut self, heard: Heard) -> Applied {
        self.report.events = self.report.events.saturating_add(1);
        let (now, moment) = (Instant::now(), self.moment());
        let mut applied = Applied::default();
        for change in heard.changes {
            applied.extend(self.mirror.hear(change, moment));
        }
        for resource in heard.pulls {
            applied.pull_now.insert(resource);
        }
        if let Some((uuid, life_cycle, stamp)) = heard.moved {
            let id = Id::new(Resource::Apis, &uuid);
            match self.mirror.get(&id) {
                Some(Fact::Api(fact)) => {
                    let fact = Fact::Api(ApiFact { life_cycle, ..*fact });
                    applied.extend(self.mirror.hear(Change::Put { id, fact, stamp, partial: false }, moment));
                }
                _ => drop(applied.pull_now.insert(Resource::Apis)),
            }
        }
        if let Some(event) = heard.api {
            self.apis.want(&event.uuid, now);
            self.remove_at_once(&event).await;
        }
        applied
    }

    /// Keeps what is different, tells gateways, and sees to what must be asked for.
    async fn keep(&mut self, applied: Applied, messages: Vec<Message>) {
        let writes = self.writes(&applied);
        self.unwritten.retain(|id, _| !applied.changed.contains_key(id));
        let kept = if writes.is_empty() || self.write(writes.values().cloned().collect()).await {
            true
        } else {
            self.unwritten.extend(writes);
            false
        };
        self.show(&applied).await;
        if kept {
            for message in messages {
                message.acknowledge().await;
            }
        } else {
            self.unacknowledged.extend(messages);
        }
        let mut applied = applied;
        self.look_for_unknown(&mut applied);
        self.want(&applied);
    }

    pub(super) fn writes(&self, applied: &Applied) -> BTreeMap<Id, Write> {
        let write = |(id, fact): (&Id, &Option<Fact>)| {
            let write = match fact {
                Some(fact) => Write::Fact(id.clone(), fact.clone(), self.mirror.stamp(id)),
                None => Write::NoFact(id.clone()),
            };
            (id.clone(), write)
        };
        applied.changed.iter().map(write).collect()
    }

    /// Tells gateways.
    pub(super) async fn show(&mut self, applied: &Applied) {
        if applied.changed.is_empty() {
            return;
        }
        for fact in applied.changed.values().flatten() {
            if let Fact::Application(application) = fact {
                self.ears.numbers.insert(application.id, application.uuid.clone());
            }
        }
        self.world.update(|world| tables::show(world, &applied.changed));
        if applied.changed.keys().any(|id| id.resource == Resource::Apis) {
            self.follow_facts().await;
        }
    }

    /// An event may speak of what nobody has heard of.
    fn look_for_unknown(&self, applied: &mut Applied) {
        let known = |id: &Id| self.mirror.get(id).is_some();
        let tier = |kind, name: &str| {
            let key = tollgate_model::keys::tier(kind, name);
            self.world.current().subscribers.tiers.get(&key).is_some()
        };
        for (id, fact) in &applied.changed {
            let missing = match fact {
                Some(Fact::Application(application)) if !tier(TierKind::Application, &application.tier) => {
                    Some(Resource::ApplicationPolicies)
                }
                Some(Fact::Subscription { tier: plan, .. }) if !tier(TierKind::Subscription, plan) => {
                    Some(Resource::SubscriptionPolicies)
                }
                Some(Fact::Subscription { .. }) if !known(&Id::new(Resource::Applications, id.parts().0)) => {
                    Some(Resource::Applications)
                }
                Some(Fact::Credential { application, .. }) if !known(&Id::new(Resource::Applications, application)) => {
                    Some(Resource::Applications)
                }
                _ => None,
            };
            applied.pull_now.extend(missing);
        }
    }

    pub(super) fn want(&mut self, applied: &Applied) {
        let now = Instant::now();
        let later = now.checked_add(LAG).unwrap_or(now);
        for resource in &applied.pull_now {
            if let Some(source) = self.sources.get_mut(resource) {
                source.want(now);
                source.want_again(later);
            }
        }
        for resource in &applied.pull_later {
            if let Some(source) = self.sources.get_mut(resource) {
                source.want_again(later);
            }
        }
    }
}
