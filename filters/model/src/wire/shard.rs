//! A shard: the entries of one slot, ordered by key, closed by a checksum that doubles as the shard's version.

use xxhash_rust::xxh3::xxh3_64;

use super::WireError;
use super::reader::{Reader, header, put_bytes};
use crate::Slot;

const MAGIC: &[u8; 4] = b"TGSH";
const CHECKSUM_LENGTH: usize = 8;

/// One key and its value. The value is the JSON of the table's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'b> {
    /// The lowest [`crate::SCHEMA`] that understands everything in the value. A filter below it must refuse the entry.
    pub needs: u16,
    /// See [`crate::keys`].
    pub key: &'b [u8],
    /// JSON text.
    pub value: &'b [u8],
}

/// A decoded shard, borrowing its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard<'b> {
    /// Where it belongs.
    pub slot: Slot,
    /// In ascending order of key, no key twice.
    pub entries: Vec<Entry<'b>>,
}

impl<'b> Shard<'b> {
    /// Writes the shard.
    ///
    /// # Errors
    /// [`WireError::Order`] when keys do not ascend, [`WireError::TooLarge`] when a length does not fit.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut out = header(MAGIC);
        out.push(self.slot.table.id());
        out.extend_from_slice(&self.slot.shard.to_le_bytes());
        let count = u32::try_from(self.entries.len()).map_err(|_| WireError::TooLarge("entries"))?;
        out.extend_from_slice(&count.to_le_bytes());
        let mut previous = None;
        for entry in &self.entries {
            ascending(&mut previous, entry.key)?;
            out.extend_from_slice(&entry.needs.to_le_bytes());
            put_bytes(&mut out, entry.key)?;
            put_bytes(&mut out, entry.value)?;
        }
        let checksum = xxh3_64(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        Ok(out)
    }

    /// Reads a shard and proves that it is whole.
    ///
    /// # Errors
    /// Any [`WireError`]; the input may be anything.
    pub fn decode(bytes: &'b [u8]) -> Result<Self, WireError> {
        let (content, expected) = split_checksum(bytes)?;
        // The format comes before the checksum, so that a newer release is reported as such.
        let mut reader = Reader::open(content, MAGIC, "shard")?;
        if xxh3_64(content) != expected {
            return Err(WireError::Checksum);
        }
        let (table, shard) = (reader.u8()?, reader.u16()?);
        let slot = Slot::from_wire(table, shard).ok_or(WireError::UnknownSlot { table, shard })?;
        let count = reader.u32()?;
        let mut entries = Vec::new();
        let mut previous = None;
        for _ in 0..count {
            let entry = Entry { needs: reader.u16()?, key: reader.bytes()?, value: reader.bytes()? };
            ascending(&mut previous, entry.key)?;
            entries.push(entry);
        }
        reader.close()?;
        Ok(Self { slot, entries })
    }

    /// The entry of that key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Entry<'b>> {
        let position = self.entries.binary_search_by(|entry| entry.key.cmp(key)).ok()?;
        self.entries.get(position)
    }
}

/// The checksum at the end of an encoded shard, which is its version. `0` for bytes too short to have one, and for a slot
/// that was never written.
#[must_use]
pub fn checksum(shard: &[u8]) -> u64 {
    shard.last_chunk::<CHECKSUM_LENGTH>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn split_checksum(bytes: &[u8]) -> Result<(&[u8], u64), WireError> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_LENGTH>().ok_or(WireError::Truncated)?;
    Ok((content, u64::from_le_bytes(*checksum)))
}

fn ascending<'k>(previous: &mut Option<&'k [u8]>, key: &'k [u8]) -> Result<(), WireError> {
    match previous.replace(key) {
        Some(before) if before >= key => Err(WireError::Order),
        _ => Ok(()),
    }
}
