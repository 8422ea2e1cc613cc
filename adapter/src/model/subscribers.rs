//! Applications, their keys, subscriptions and plans, and what was revoked, as the tables of the filters have them.
//!
//! Must never do I/O.

use std::sync::Arc;

use tollgate_model::{Application, Credential, Cutoff, Subscription, Table, Tier, TokenHash, keys};

use super::Sharded;

/// The key of an entry, made by [`tollgate_model::keys`].
pub type Key = Box<[u8]>;

/// Seconds since the epoch after which a revoked token would not be accepted anyway.
pub type Expiry = u32;

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
    /// By the hash of their ids.
    pub revoked: Sharded<TokenHash, Expiry>,
}

impl Default for Subscribers {
    fn default() -> Self {
        Self {
            tiers: Sharded::new(Table::Tier),
            applications: Sharded::new(Table::Application),
            credentials: Sharded::new(Table::Credential),
            subscriptions: Sharded::new(Table::Subscription),
            cutoffs: Sharded::new(Table::Cutoff),
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
    pub fn revoke(&mut self, token_id: &str, expires: Expiry) {
        let hash = TokenHash::of(token_id);
        if self.revoked.get(&hash.0).is_none_or(|held| *held < expires) {
            self.revoked.insert(hash, expires);
        }
    }
}
