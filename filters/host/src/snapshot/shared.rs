//! Names of the shared-data keys. The set is fixed, because shared data has no delete; it carries the versions of schema
//! and framing, because neighbouring releases may live in one process while Envoy drains the older one.

use tollgate_model::wire::FORMAT;
use tollgate_model::{SCHEMA, Slot};

/// Holds the [`tollgate_model::wire::Index`].
pub(super) fn index() -> String {
    key("index")
}

/// Holds the leader's lease.
pub(super) fn leader() -> String {
    key("leader")
}

/// Holds the shard of a slot; empty when the slot is.
pub(super) fn shard(slot: Slot) -> String {
    key(&format!("{}/{}", slot.table.name(), slot.shard))
}

fn key(name: &str) -> String {
    format!("tollgate/{FORMAT}.{SCHEMA}/{name}")
}
