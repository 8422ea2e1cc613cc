//! Tables that are too large for every worker's memory: an entry is read from shared data when it is first asked for, and
//! remembered within bounds until its slot changes.

use std::cell::RefCell;
use std::rc::Rc;

use serde::de::DeserializeOwned;
use tollgate_enforce::{Found, Unreadable};
use tollgate_model::wire::{RevokedShard, Shard, checksum};
use tollgate_model::{Slot, Table, TokenHash};

use super::bounded::Bounded;
use super::directory::SnapshotDirectory;
use super::entries;

/// Bytes of one generation of one table's memory. A worker remembers some five to ten thousand applications.
const GENERATION: usize = 1024 * 1024;
/// Bytes of a judged token id.
const JUDGEMENT: usize = size_of::<TokenHash>() + size_of::<(u64, bool)>();

/// What one worker remembers of a table.
pub(super) struct Lazy<T> {
    table: Table,
    known: RefCell<Bounded<Box<[u8]>, Found<T>>>,
}

impl<T: DeserializeOwned> Lazy<T> {
    pub(super) fn new(table: Table) -> Self {
        Self { table, known: RefCell::new(Bounded::new(GENERATION)) }
    }

    /// Forgets what lies in changed slots, which are in ascending order.
    pub(super) fn forget(&self, changed: &[Slot]) {
        if changed.iter().any(|slot| slot.table == self.table) {
            self.known.borrow_mut().retain(|key| changed.binary_search(&self.table.slot(key)).is_err());
        }
    }

    pub(super) fn get(&self, directory: &SnapshotDirectory, key: &[u8]) -> Found<T> {
        if let Some(known) = self.known.borrow_mut().get(key) {
            return known;
        }
        let slot = self.table.slot(key);
        if directory.version(slot) == 0 {
            return Ok(None);
        }
        let (found, weight) = match directory.load(slot, key, entries::read::<T>) {
            Ok(Some((value, weight))) => (Ok(Some(Rc::new(value))), weight),
            Ok(None) => (Ok(None), 0),
            Err(Unreadable) => (Err(Unreadable), 0),
        };
        // Anybody can ask for keys that do not exist, which would crowd out those that do.
        if self.table == Table::Credential && matches!(found, Ok(None)) {
            return found;
        }
        self.known.borrow_mut().put(Box::from(key), found.clone(), weight.saturating_add(key.len()));
        found
    }
}

/// What one worker remembers of revoked tokens: for which version of a slot a token was judged, and how. A new version makes
/// that void by itself.
pub(super) struct Judged(RefCell<Bounded<TokenHash, (u64, bool)>>);

impl Default for Judged {
    fn default() -> Self {
        Self(RefCell::new(Bounded::new(GENERATION)))
    }
}

impl Judged {
    pub(super) fn is_revoked(&self, directory: &SnapshotDirectory, token_id: &str) -> Result<bool, Unreadable> {
        let hash = TokenHash::of(token_id);
        let slot = Table::Revoked.slot(&hash.0);
        let version = directory.version(slot);
        if version == 0 {
            return Ok(false);
        }
        if let Some((of, revoked)) = self.0.borrow_mut().get(&hash)
            && of == version
        {
            return Ok(revoked);
        }
        let bytes = directory.bytes(slot)?;
        // Emptied a moment ago, and the index not written yet.
        let revoked = !bytes.is_empty() && {
            let shard = RevokedShard::open(&bytes).map_err(|error| directory.cannot_read(slot, &error.to_string()))?;
            shard.get(hash).is_some()
        };
        // What was read may be ahead of the version.
        if checksum(&bytes) == version {
            self.0.borrow_mut().put(hash, (version, revoked), JUDGEMENT);
        }
        Ok(revoked)
    }
}

impl SnapshotDirectory {
    /// Reads one entry of a slot, and says how many bytes it has.
    pub(super) fn load<T>(
        &self,
        slot: Slot,
        key: &[u8],
        read: impl FnOnce(Table, &tollgate_model::wire::Entry) -> Result<T, entries::Problem>,
    ) -> Result<Option<(T, usize)>, Unreadable> {
        let bytes = self.bytes(slot)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let shard = Shard::decode(&bytes).map_err(|error| self.cannot_read(slot, &error.to_string()))?;
        let Some(entry) = shard.get(key) else { return Ok(None) };
        let value = read(slot.table, entry).map_err(|problem| self.deny(&problem))?;
        Ok(Some((value, entry.value.len())))
    }
}
