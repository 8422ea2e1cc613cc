//! What API Manager has, as far as is known, and how pulls and events are brought together so that nothing is missed and nothing
//! stays wrong. Pure: no I/O, and time is an argument.
//!
//! A pull is what API Manager had at some moment while it was answered. An event is news of one thing, which the pull may or may
//! not know of. So the rules are:
//!
//! - What was heard of a thing goes before a pull that began earlier, or not much later: API Manager may read from a copy of its
//!   database that lags behind. In any other case the pull is right, also about what it does not list.
//! - Among events, the one with the later time of API Manager is right, and of two of the same time the one that arrived later.
//!   What is gone is remembered for a while, so that an old event cannot bring it back.
//! - Where the two disagree, the list is to be pulled again when what was heard is old enough for the pull to be right. Where
//!   an event seems to come too late, it is also pulled at once: it may be a clock that is wrong.
//!
//! Must never take anything away because something could not be read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fact::{Fact, Id, Resource};

/// Time since the start of the process.
pub type Moment = Duration;

/// Milliseconds since 1970 by API Manager's clock; 0 when it does not say.
pub type Stamp = i64;

/// How long API Manager may go on answering as if an event had not happened.
pub const LAG: Duration = Duration::from_secs(3);

/// How long it is remembered that something is gone.
const MEMORY: Duration = Duration::from_secs(600);

/// News of one thing.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is like this now.
    Put {
        /// Which.
        id: Id,
        /// What it is.
        fact: Fact,
        /// When.
        stamp: Stamp,
        /// Whether the news leaves something out that stays as it was.
        partial: bool,
    },
    /// It is gone.
    Remove {
        /// Which.
        id: Id,
        /// Only if it is this incarnation of it.
        incarnation: Option<String>,
        /// When.
        stamp: Stamp,
    },
}

/// What came of something.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    /// What is different now; `None` for what is gone.
    pub changed: BTreeMap<Id, Option<Fact>>,
    /// What must be pulled at once, and again later.
    pub pull_now: BTreeSet<Resource>,
    /// What must be pulled again when [`LAG`] has passed.
    pub pull_later: BTreeSet<Resource>,
}

impl Applied {
    /// Adds what came of something later.
    pub fn extend(&mut self, later: Self) {
        self.changed.extend(later.changed);
        self.pull_now.extend(later.pull_now);
        self.pull_later.extend(later.pull_later);
    }
}

/// A list as it was pulled: by key, with the times that API Manager gave.
pub type Snapshot = BTreeMap<String, (Fact, Stamp)>;

#[derive(Debug, Clone)]
struct Held {
    /// `None` for what is gone and not forgotten.
    fact: Option<Fact>,
    stamp: Stamp,
    /// When an event spoke of it last.
    heard: Option<Moment>,
    /// Since when it is gone.
    gone: Moment,
}

impl Held {
    const fn pulled(fact: Fact, stamp: Stamp) -> Self {
        Self { fact: Some(fact), stamp, heard: None, gone: Duration::ZERO }
    }

    /// Whether an event of that time, which brings something or takes it, is older than what is known.
    const fn is_ahead_of(&self, stamp: Stamp, brings: bool) -> bool {
        stamp != 0 && (self.stamp > stamp || (self.stamp == stamp && brings && self.fact.is_none()))
    }
}

/// All that is known.
#[derive(Debug, Default)]
pub struct Mirror {
    lists: BTreeMap<Resource, BTreeMap<String, Held>>,
}

impl Mirror {
    /// Takes over what an earlier run knew.
    pub fn restore(&mut self, id: Id, fact: Fact, stamp: Stamp) {
        self.lists.entry(id.resource).or_default().insert(id.key, Held::pulled(fact, stamp));
    }

    /// The fact of that id.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<&Fact> {
        self.lists.get(&id.resource)?.get(&id.key)?.fact.as_ref()
    }

    /// The time of the fact of that id.
    #[must_use]
    pub fn stamp(&self, id: &Id) -> Stamp {
        self.lists.get(&id.resource).and_then(|list| list.get(&id.key)).map_or(0, |held| held.stamp)
    }

    /// All facts of a list by their keys.
    pub fn list(&self, resource: Resource) -> impl Iterator<Item = (&str, &Fact)> {
        let held = self.lists.get(&resource).into_iter().flatten();
        held.filter_map(|(key, held)| Some((key.as_str(), held.fact.as_ref()?)))
    }

    /// How many there are of a list.
    #[must_use]
    pub fn count(&self, resource: Resource) -> usize {
        self.list(resource).count()
    }

    /// Takes over an event.
    pub fn hear(&mut self, change: Change, now: Moment) -> Applied {
        let mut applied = Applied::default();
        let (id, stamp, mut fact, partial, incarnation) = match change {
            Change::Put { id, fact, stamp, partial } => (id, stamp, Some(fact), partial, None),
            Change::Remove { id, incarnation, stamp } => (id, stamp, None, false, incarnation),
        };
        let list = self.lists.entry(id.resource).or_default();
        let held = list.get(&id.key);
        if held.is_some_and(|held| held.is_ahead_of(stamp, fact.is_some())) {
            // Perhaps it overtook another one, perhaps two clocks differ. API Manager knows.
            applied.pull_now.insert(id.resource);
            return applied;
        }
        let former = held.and_then(|held| held.fact.as_ref());
        let other = incarnation.is_some_and(|one| former.and_then(Fact::incarnation).is_some_and(|held| held != one));
        if other {
            // What is gone is not what is there.
            applied.pull_now.insert(id.resource);
            return applied;
        }
        if let (Some(fact), Some(former), true) = (&mut fact, former, partial) {
            fact.inherit(former);
        }
        let stamp = stamp.max(held.map_or(0, |held| held.stamp));
        let is_news = former != fact.as_ref();
        list.insert(id.key.clone(), Held { fact: fact.clone(), stamp, heard: Some(now), gone: now });
        if is_news {
            if fact.is_none() && id.resource == Resource::Applications {
                applied.extend(self.orphan(&id.key, now));
            }
            applied.changed.insert(id, fact);
        }
        applied
    }

    /// What an application had goes with it.
    fn orphan(&mut self, application: &str, now: Moment) -> Applied {
        let owned = |key: &str, fact: &Fact| match fact {
            Fact::Credential { application: owner, .. } => owner == application,
            Fact::Subscription { .. } => key.split('\0').next() == Some(application),
            _ => false,
        };
        let mut applied = Applied::default();
        for resource in [Resource::ApplicationKeys, Resource::Subscriptions] {
            for (key, held) in self.lists.entry(resource).or_default() {
                if held.fact.as_ref().is_some_and(|fact| owned(key, fact)) {
                    (held.fact, held.heard, held.gone) = (None, Some(now), now);
                    applied.changed.insert(Id { resource, key: key.clone() }, None);
                }
            }
        }
        applied
    }

    /// Takes over a pull that began at that moment.
    pub fn pull(&mut self, resource: Resource, mut snapshot: Snapshot, began: Moment) -> Applied {
        let mut applied = Applied::default();
        let id = |key: &str| Id::new(resource, key);
        let list = self.lists.entry(resource).or_default();
        for (key, held) in list.iter_mut() {
            let listed = snapshot.remove(key);
            if held.heard.is_some_and(|heard| heard.saturating_add(LAG) > began) {
                if listed.as_ref().map(|(fact, _)| fact) != held.fact.as_ref() {
                    applied.pull_later.insert(resource);
                }
                continue;
            }
            match listed {
                Some((fact, stamp)) => {
                    held.stamp = held.stamp.max(stamp);
                    if held.fact.as_ref() != Some(&fact) {
                        applied.changed.insert(id(key), Some(fact.clone()));
                        held.fact = Some(fact);
                    }
                }
                None if held.fact.is_some() && !resource.only_grows() => {
                    applied.changed.insert(id(key), None);
                    (held.fact, held.gone) = (None, began);
                }
                None => {}
            }
        }
        list.retain(|_, held| held.fact.is_some() || held.gone.saturating_add(MEMORY) > began);
        for (key, (fact, stamp)) in snapshot {
            applied.changed.insert(id(&key), Some(fact.clone()));
            list.insert(key, Held::pulled(fact, stamp));
        }
        applied
    }

    /// Forgets tokens that have expired long ago. Gives their ids.
    pub fn forget_expired(&mut self, before: u32) -> Vec<Id> {
        let list = self.lists.entry(Resource::RevokedTokens).or_default();
        let over = |held: &Held| matches!(held.fact, Some(Fact::Revoked(expires)) if expires < before);
        let keys: Vec<String> = list.iter().filter(|(_, held)| over(held)).map(|(key, _)| key.clone()).collect();
        for key in &keys {
            list.remove(key);
        }
        keys.into_iter().map(|key| Id { resource: Resource::RevokedTokens, key }).collect()
    }
}

#[cfg(test)]
#[path = "mirror_tests.rs"]
mod tests;
