//! The index: which version of every slot a gateway holds. It lies in shared data under one key; a worker that finds it
//! changed drops what it had cached from the slots whose checksum differs.

use super::reader::{Reader, header};
use super::{Cursor, WireError};
use crate::{Slot, Table};

const MAGIC: &[u8; 4] = b"TGIX";

/// Versions of all slots, and the cursor they amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Position in the feed.
    pub cursor: Cursor,
    /// [`super::checksum`] of the shard in each slot, in the order of [`Slot::all`]; 0 for an empty slot.
    versions: Vec<u64>,
}

impl Default for Index {
    fn default() -> Self {
        Self { cursor: Cursor::default(), versions: vec![0; Slot::COUNT] }
    }
}

impl Index {
    /// The version of a slot.
    #[must_use]
    pub fn version(&self, slot: Slot) -> u64 {
        self.versions.get(slot.position()).copied().unwrap_or(0)
    }

    /// Notes the version of a slot.
    pub fn set(&mut self, slot: Slot, version: u64) {
        if let Some(held) = self.versions.get_mut(slot.position()) {
            *held = version;
        }
    }

    /// Whether a table has any entries.
    #[must_use]
    pub fn is_used(&self, table: Table) -> bool {
        let first = Slot { table, shard: 0 }.position();
        self.versions.iter().skip(first).take(table.shards().into()).any(|version| *version != 0)
    }

    /// The slots that differ between the two, in ascending order.
    pub fn changed<'i>(&'i self, other: &'i Self) -> impl Iterator<Item = Slot> + 'i {
        Slot::all()
            .zip(self.versions.iter().zip(&other.versions))
            .filter(|(_, (ours, theirs))| ours != theirs)
            .map(|(slot, _)| slot)
    }

    /// Writes the index.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = header(MAGIC);
        out.extend_from_slice(&self.cursor.epoch.to_le_bytes());
        out.extend_from_slice(&self.cursor.revision.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.versions.len()).unwrap_or(u32::MAX).to_le_bytes());
        for version in &self.versions {
            out.extend_from_slice(&version.to_le_bytes());
        }
        out
    }

    /// Reads an index. One with another number of slots was written by a filter of another release that shares the
    /// process; it is refused, and the reader goes on with what it holds.
    ///
    /// # Errors
    /// Any [`WireError`]; the input may be anything.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::open(bytes, MAGIC, "index")?;
        let cursor = Cursor { epoch: reader.u64()?, revision: reader.u64()? };
        if usize::try_from(reader.u32()?) != Ok(Slot::COUNT) {
            return Err(WireError::TooLarge("slots"));
        }
        let versions = (0..Slot::COUNT).map(|_| reader.u64()).collect::<Result<_, _>>()?;
        reader.close()?;
        Ok(Self { cursor, versions })
    }
}
