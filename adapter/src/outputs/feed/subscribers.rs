//! The tables that are the same for every environment: subscribers and what was revoked, as encoded shards.
//!
//! A change encodes the slots it touches and no other. Must never do I/O. What cannot be encoded keeps its last good shard and
//! is reported.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tollgate_model::Slot;
use tollgate_model::wire::{Entry, RevokedShard, Shard, WireError};

use super::tables::{MAX_SHARD, refuse};
use crate::model::{Key, Sharded, Subscribers};

/// The first release whose filters know these tables.
const NEEDS: u16 = 2;

/// Encoded shards, and what they were made of.
#[derive(Debug, Default)]
pub(super) struct SharedTables {
    held: Subscribers,
    shards: BTreeMap<Slot, Bytes>,
}

impl SharedTables {
    /// Takes over subscribers. Gives the shards that changed.
    pub(super) fn apply(&mut self, fresh: &Subscribers) -> Vec<(Slot, Bytes)> {
        let mut changed = Vec::new();
        let held = std::mem::replace(&mut self.held, fresh.clone());
        entries(&fresh.tiers, &held.tiers, &mut changed);
        entries(&fresh.applications, &held.applications, &mut changed);
        entries(&fresh.credentials, &held.credentials, &mut changed);
        entries(&fresh.subscriptions, &held.subscriptions, &mut changed);
        entries(&fresh.cutoffs, &held.cutoffs, &mut changed);
        entries(&fresh.decisions, &held.decisions, &mut changed);
        for (slot, records) in fresh.revoked.changed(&held.revoked) {
            let records = records.iter().map(|(hash, revoked)| (*hash, revoked.expires()));
            changed.extend(sealed(slot, RevokedShard::encode(slot, records)));
        }
        self.shards.extend(changed.iter().cloned());
        changed
    }

    /// All shards.
    pub(super) fn all(&self) -> impl Iterator<Item = (Slot, Bytes)> + '_ {
        self.shards.iter().map(|(slot, bytes)| (*slot, bytes.clone()))
    }
}

fn entries<T: Serialize + PartialEq>(
    fresh: &Sharded<Key, Arc<T>>,
    held: &Sharded<Key, Arc<T>>,
    changed: &mut Vec<(Slot, Bytes)>,
) {
    for (slot, entries) in fresh.changed(held) {
        let values: Result<Vec<Vec<u8>>, _> =
            entries.values().map(|value| serde_json::to_vec(value.as_ref())).collect();
        let Ok(values) = values.inspect_err(|error| tracing::error!(%error, "cannot write an entry")) else { continue };
        let entries = entries.keys().zip(&values).map(|(key, value)| Entry { needs: NEEDS, key, value });
        changed.extend(sealed(slot, Shard { slot, entries: entries.collect() }.encode()));
    }
}

fn sealed(slot: Slot, encoded: Result<Vec<u8>, WireError>) -> Option<(Slot, Bytes)> {
    match encoded {
        Ok(bytes) if bytes.len() <= MAX_SHARD => Some((slot, Bytes::from(bytes))),
        Ok(bytes) => {
            refuse(slot, &format!("{} bytes are more than a shard may have", bytes.len()));
            None
        }
        Err(error) => {
            refuse(slot, &error.to_string());
            None
        }
    }
}

#[cfg(test)]
#[path = "subscribers_tests.rs"]
mod tests;
