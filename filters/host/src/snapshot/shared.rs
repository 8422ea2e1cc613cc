//! Names of the shared-data keys. The set is fixed, because shared data has no delete; it carries the versions of schema
//! and framing and the number of slots, because neighbouring releases may live in one process while Envoy drains the older
//! one.

use tollgate_model::wire::FORMAT;
use tollgate_model::{SCHEMA, Slot};

/// Holds the [`tollgate_model::wire::Index`].
pub(super) fn index() -> String {
    key("index")
}

/// Written after the index, each time it is: a few bytes, of which only shared data's own version matters. So looking for
/// news does not copy the index.
pub(super) fn news() -> String {
    key("news")
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
    format!("tollgate/{FORMAT}.{SCHEMA}.{}/{name}", Slot::COUNT)
}
