//! What a subscriptions file says, in the terms of the model. Must never do I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_model::{Application, Credential, Cutoff, Subscription, Tier};

use crate::model::{Expiry, Key, Problems, RevokedBy, Subscribers, ThrottleRules, plans};

/// The content of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// By their keys in the tables.
    pub tiers: Vec<(Key, Tier)>,
    /// By their keys in the tables.
    pub applications: Vec<(Key, Application)>,
    /// By their keys in the tables.
    pub credentials: Vec<(Key, Credential)>,
    /// By their keys in the tables.
    pub subscriptions: Vec<(Key, Subscription)>,
    /// By their keys in the tables.
    pub cutoffs: Vec<(Key, Cutoff)>,
    /// Ids of tokens.
    pub revoked: Vec<(String, Expiry)>,
    /// Who is kept out, and custom policies, by their keys in the table.
    pub throttle: ThrottleRules,
    /// What is accepted, and has no effect.
    pub warnings: Problems,
}

impl Document {
    /// Makes this what is known of subscribers. Tokens that others revoked stay revoked.
    pub fn apply(self, subscribers: &mut Subscribers) {
        // Of several plans of one name the last one counts.
        let tiers: BTreeMap<Key, Tier> = plans::shipped().chain(self.tiers).collect();
        subscribers.tiers.replace(shared(tiers.into_iter().collect()));
        subscribers.applications.replace(shared(self.applications));
        subscribers.credentials.replace(shared(self.credentials));
        subscribers.subscriptions.replace(shared(self.subscriptions));
        subscribers.cutoffs.replace(shared(self.cutoffs));
        subscribers.replace_revoked(RevokedBy::File, self.revoked);
    }
}

fn shared<T>(entries: Vec<(Key, T)>) -> impl Iterator<Item = (Key, Arc<T>)> {
    entries.into_iter().map(|(key, value)| (key, Arc::new(value)))
}
