//! Applications, their keys, subscriptions and plans, and what was revoked, as the tables of the filters have them.
//!
//! Must never do I/O.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;
use std::sync::Arc;

use tollgate_model::{
    Application, Credential, CustomPolicy, Cutoff, Decisions, DenyCondition, Subscription, Table, Tier, TokenHash, keys,
};

use super::{Sharded, plans};

/// The key of an entry, made by [`tollgate_model::keys`].
pub type Key = Box<[u8]>;

/// Seconds since the epoch after which a revoked token would not be accepted anyway.
pub type Expiry = u32;

/// Who revoked a token. What one of them takes back stays revoked by the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokedBy {
    /// The subscriptions file.
    File,
    /// etcd.
    Etcd,
    /// API Manager.
    ApiManager,
}

/// Until when a token is revoked, by whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revoked {
    file: Option<NonZero<Expiry>>,
    etcd: Option<NonZero<Expiry>>,
    api_manager: Option<NonZero<Expiry>>,
}

impl Revoked {
    /// When the token would expire: the latest moment that anybody named.
    #[must_use]
    pub fn expires(self) -> Expiry {
        self.file.max(self.etcd).max(self.api_manager).map_or(0, NonZero::get)
    }

    const fn by(&mut self, whom: RevokedBy) -> &mut Option<NonZero<Expiry>> {
        match whom {
            RevokedBy::File => &mut self.file,
            RevokedBy::Etcd => &mut self.etcd,
            RevokedBy::ApiManager => &mut self.api_manager,
        }
    }
}

/// All of it. A clone costs a few pointers.
#[derive(Debug, Clone)]
pub struct Subscribers {
    /// By [`keys::tier`].
    pub tiers: Sharded<Key, Arc<Tier>>,
    /// By UUID.
    pub applications: Sharded<Key, Arc<Application>>,
    /// By [`keys::credential`] and [`keys::opaque_key`].
    pub credentials: Sharded<Key, Arc<Credential>>,
    /// By [`keys::subscription`] and [`keys::subscription_by_name`].
    pub subscriptions: Sharded<Key, Arc<Subscription>>,
    /// By [`keys::cutoff`].
    pub cutoffs: Sharded<Key, Arc<Cutoff>>,
    /// What a Traffic Manager has decided, by throttle key.
    pub decisions: Sharded<Key, Arc<Decisions>>,
    /// By the hash of their ids.
    pub revoked: Sharded<TokenHash, Revoked>,
}

impl Default for Subscribers {
    fn default() -> Self {
        let mut tiers = Sharded::new(Table::Tier);
        tiers.replace(plans::shipped().map(|(key, tier)| (key, Arc::new(tier))));
        Self {
            tiers,
            applications: Sharded::new(Table::Application),
            credentials: Sharded::new(Table::Credential),
            subscriptions: Sharded::new(Table::Subscription),
            cutoffs: Sharded::new(Table::Cutoff),
            decisions: Sharded::new(Table::Decision),
            revoked: Sharded::new(Table::Revoked),
        }
    }
}

impl Subscribers {
    /// Sets an application.
    pub fn set_application(&mut self, application: Application) {
        self.applications.insert(Key::from(application.uuid.as_bytes()), Arc::new(application));
    }

    /// Sets the client of a key manager.
    pub fn set_credential(&mut self, key_manager: &str, consumer_key: &str, credential: Credential) {
        self.credentials.insert(keys::credential(key_manager, consumer_key).into(), Arc::new(credential));
    }

    /// Takes the client of a key manager away.
    pub fn remove_credential(&mut self, key_manager: &str, consumer_key: &str) {
        self.credentials.remove(&keys::credential(key_manager, consumer_key));
    }

    /// Sets a subscription to the API of that id.
    pub fn set_subscription(&mut self, application: &str, api_id: &str, subscription: Subscription) {
        self.subscriptions.insert(keys::subscription(application, api_id).into(), Arc::new(subscription));
    }

    /// Takes a subscription to the API of that id away.
    pub fn remove_subscription(&mut self, application: &str, api_id: &str) {
        self.subscriptions.remove(&keys::subscription(application, api_id));
    }

    /// Revokes the token of that id (`jti`), which would expire at that moment. The later of two expiries counts.
    pub fn revoke(&mut self, by: RevokedBy, token_id: &str, expires: Expiry) {
        let hash = TokenHash::of(token_id);
        let held = self.revoked.get(&hash.0).copied().and_then(|mut revoked| *revoked.by(by));
        // One that expired before the first second is revoked all the same: somebody wanted it to be.
        let expires = NonZero::new(expires).unwrap_or(NonZero::<Expiry>::MIN);
        self.set_revoked(by, hash, held.max(Some(expires)));
    }

    /// Takes back what was revoked by this source. Whatever others revoked stays so.
    pub fn take_back(&mut self, by: RevokedBy, token_id: &str) {
        self.set_revoked(by, TokenHash::of(token_id), None);
    }

    /// Makes these the only tokens that are revoked by this source.
    pub fn replace_revoked(&mut self, by: RevokedBy, tokens: impl IntoIterator<Item = (String, Expiry)>) {
        let mut fresh: HashMap<TokenHash, NonZero<Expiry>> = HashMap::new();
        for (token_id, expires) in tokens {
            let held = fresh.entry(TokenHash::of(&token_id)).or_insert(NonZero::<Expiry>::MIN);
            *held = NonZero::new(expires).map_or(*held, |expires| expires.max(*held));
        }
        let owned = self.revoked.iter().filter(|(_, revoked)| { **revoked }.by(by).is_some()).map(|(hash, _)| *hash);
        let gone: Vec<TokenHash> = owned.filter(|hash| !fresh.contains_key(hash)).collect();
        for hash in gone {
            self.set_revoked(by, hash, None);
        }
        for (hash, expires) in fresh {
            self.set_revoked(by, hash, Some(expires));
        }
    }

    fn set_revoked(&mut self, by: RevokedBy, hash: TokenHash, expires: Option<NonZero<Expiry>>) {
        let mut revoked = self.revoked.get(&hash.0).copied().unwrap_or_default();
        *revoked.by(by) = expires;
        if revoked == Revoked::default() {
            self.revoked.remove(&hash.0);
        } else {
            self.revoked.insert(hash, revoked);
        }
    }
}

/// What an administrator has laid down for all APIs: entries of the `throttle` table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThrottleRules {
    /// Who is kept out, by [`keys::deny`].
    pub deny: BTreeMap<Key, DenyCondition>,
    /// Quotas by keys of the administrator's own, by [`keys::custom`].
    pub custom: BTreeMap<Key, CustomPolicy>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_free_when_all_who_revoked_it_took_that_back() {
        let (file, etcd) = (RevokedBy::File, RevokedBy::Etcd);
        let mut subscribers = Subscribers::default();
        let expires = |subscribers: &Subscribers, id| {
            subscribers.revoked.get(&TokenHash::of(id).0).map(|revoked: &Revoked| revoked.expires())
        };
        let tokens = |list: &[(&str, Expiry)]| list.iter().map(|(id, at)| ((*id).to_owned(), *at)).collect::<Vec<_>>();
        subscribers.replace_revoked(file, tokens(&[("a", 5), ("b", 6), ("zero", 0)]));
        subscribers.revoke(etcd, "a", 9);
        subscribers.revoke(etcd, "c", 7);
        let found = ["a", "b", "c", "zero"].map(|id| expires(&subscribers, id));
        assert_eq!(found, [Some(9), Some(6), Some(7), Some(1)]);
        // The file takes back what is its own; so does etcd.
        subscribers.replace_revoked(file, tokens(&[("b", 3)]));
        let found = ["a", "b", "c", "zero"].map(|id| expires(&subscribers, id));
        assert_eq!(found, [Some(9), Some(3), Some(7), None]);
        subscribers.replace_revoked(file, tokens(&[("a", 5)]));
        for (id, left) in [("a", Some(5)), ("c", None), ("b", None)] {
            subscribers.take_back(etcd, id);
            assert_eq!(expires(&subscribers, id), left, "{id}");
        }
        subscribers.replace_revoked(file, []);
        assert!(subscribers.revoked.is_empty());
        // An unchanged list changes nothing.
        subscribers.replace_revoked(file, tokens(&[("a", 5)]));
        let before = subscribers.clone();
        subscribers.replace_revoked(file, tokens(&[("a", 5)]));
        assert_eq!(subscribers.revoked.changed(&before.revoked).count(), 0);
    }
}
