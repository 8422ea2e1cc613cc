//! What one Envoy has asked for, been sent, taken and refused, on one stream of the incremental protocol.
//!
//! Pure: requests and resources in, changes out. The rules that matter: a resource is sent when its version is not the one
//! the Envoy has; a name that is asked for is answered, whatever the Envoy has of it; a type waits for the answer to its last
//! response, and never for another type; what was refused is not sent again unless something changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::kind::ResourceType;
use super::resources::{Resource, Resources};
use super::session::{MAX_NAMES, Meaning};

const ALL: &str = "*";

/// The state of a stream.
#[derive(Debug, Default)]
pub struct DeltaSession {
    subscriptions: BTreeMap<ResourceType, Subscription>,
    nonces: u64,
}

#[derive(Debug, Default)]
struct Subscription {
    /// Everything is wanted, whatever the names.
    all: bool,
    names: BTreeSet<String>,
    /// Names to answer even if nothing changed.
    asked: BTreeSet<String>,
    /// What the Envoy has, as far as is known: versions by name. An empty version is an unknown one.
    held: BTreeMap<String, String>,
    /// Version of the set that the last response was made of.
    compared: Option<String>,
    in_flight: Option<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    nonce: String,
    version: String,
    sent: Vec<String>,
}

/// The parts of a request that matter here.
#[derive(Debug, Clone, Copy)]
pub struct DeltaRequest<'r> {
    /// Which type.
    pub kind: ResourceType,
    /// Names wanted from now on. None in the first request of a type, or `*`, means all.
    pub subscribe: &'r [String],
    /// Names no longer wanted.
    pub unsubscribe: &'r [String],
    /// What the Envoy has from an earlier stream: name and version.
    pub initial: &'r [(&'r str, &'r str)],
    /// Nonce of the response it answers; empty if it answers none.
    pub nonce: &'r str,
    /// Why the response was refused, if it was.
    pub error: Option<&'r str>,
}

/// What is to be sent.
#[derive(Debug, PartialEq)]
pub struct Change {
    /// Its nonce.
    pub nonce: String,
    /// New, changed, or asked for.
    pub resources: Vec<Arc<Resource>>,
    /// Gone, or asked for and not there.
    pub removed: Vec<String>,
}

impl DeltaSession {
    /// Takes a request.
    pub fn receive(&mut self, request: DeltaRequest<'_>) -> Meaning {
        let first = !self.subscriptions.contains_key(&request.kind);
        let subscription = self.subscriptions.entry(request.kind).or_default();
        if subscription.names.len().saturating_add(request.subscribe.len()) > MAX_NAMES {
            return Meaning::TooManyNames;
        }
        subscription.all |= first && request.subscribe.is_empty();
        subscription.subscribe(request.subscribe);
        subscription.unsubscribe(request.unsubscribe);
        if first {
            let held = request.initial.iter();
            subscription.held = held.map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect();
            return Meaning::Subscribed { in_use: subscription.held.values().cloned().collect() };
        }
        match subscription.in_flight.take_if(|in_flight| in_flight.nonce == request.nonce) {
            None => Meaning::Stale,
            Some(InFlight { version, sent, .. }) => match request.error {
                None => Meaning::Acknowledged { version },
                Some(error) => {
                    // Some may have been taken all the same.
                    subscription.held.extend(sent.into_iter().map(|name| (name, String::new())));
                    Meaning::Rejected { version, error: error.to_owned() }
                }
            },
        }
    }

    /// Whether there may be something to send.
    #[must_use]
    pub fn is_due(&self, kind: ResourceType, resources: &Resources) -> bool {
        self.subscriptions.get(&kind).is_some_and(|subscription| {
            let changed = subscription.compared.as_deref() != Some(resources.version());
            subscription.in_flight.is_none() && (changed || !subscription.asked.is_empty())
        })
    }

    /// What is to be sent now, if anything. The first response is sent even if it is empty: the Envoy waits for it.
    pub fn send(&mut self, kind: ResourceType, resources: &Resources) -> Option<Change> {
        let subscription = self.subscriptions.get_mut(&kind)?;
        let first = subscription.compared.is_none();
        let changed: Vec<Arc<Resource>> =
            resources.iter().filter(|resource| subscription.lacks(resource)).map(Arc::clone).collect();
        let gone: BTreeSet<&String> = subscription.held.keys().chain(&subscription.asked).collect();
        let gone = gone.into_iter().filter(|name| resources.get(name).is_none() && !resources.withholds(name));
        let removed: Vec<String> = gone.cloned().collect();
        subscription.asked.clear();
        subscription.compared = Some(resources.version().to_owned());
        if changed.is_empty() && removed.is_empty() && !first {
            return None;
        }
        for name in &removed {
            subscription.held.remove(name);
        }
        let versions = changed.iter().map(|resource| (resource.name().to_owned(), resource.version().to_owned()));
        subscription.held.extend(versions);
        self.nonces = self.nonces.wrapping_add(1);
        let nonce = self.nonces.to_string();
        subscription.in_flight = Some(InFlight {
            nonce: nonce.clone(),
            version: resources.version().to_owned(),
            sent: changed.iter().map(|resource| resource.name().to_owned()).collect(),
        });
        Some(Change { nonce, resources: changed, removed })
    }
}

impl Subscription {
    fn subscribe(&mut self, names: &[String]) {
        for name in names {
            if name == ALL {
                self.all = true;
                self.compared = None;
            } else {
                self.names.insert(name.clone());
                self.asked.insert(name.clone());
            }
        }
    }

    /// What everybody gets cannot be unsubscribed from; the Envoy is told of it again, as the protocol has it.
    fn unsubscribe(&mut self, names: &[String]) {
        for name in names {
            if name == ALL {
                self.all = false;
                let names = &self.names;
                self.held.retain(|name, _| names.contains(name));
                continue;
            }
            self.names.remove(name);
            if self.all {
                self.asked.insert(name.clone());
            } else {
                self.asked.remove(name);
                self.held.remove(name);
            }
        }
    }

    fn lacks(&self, resource: &Resource) -> bool {
        let name = resource.name();
        let wanted = self.all || self.names.contains(name);
        wanted && (self.asked.contains(name) || self.held.get(name).is_none_or(|held| held != resource.version()))
    }
}

#[cfg(test)]
mod tests;
