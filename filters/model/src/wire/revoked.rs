//! A shard of the `revoked` table: records of fixed size in ascending order, so that one is found without reading the others.

use xxhash_rust::xxh3::xxh3_64;

use super::WireError;
use super::reader::{Reader, header};
use crate::{Slot, Table, TokenHash};

const MAGIC: &[u8; 4] = b"TGRV";
/// Bytes before the first record: magic, format, table, shard and count.
const HEADER: usize = 4 + 2 + 1 + 2 + 4;
const CHECKSUM: usize = 8;
/// Bytes of a record: hash and expiry.
const RECORD: usize = TokenHash::LENGTH + 4;

/// A shard of revoked tokens, borrowing its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedShard<'b> {
    slot: Slot,
    records: &'b [u8],
}

impl<'b> RevokedShard<'b> {
    /// Whether these bytes claim to be such a shard and not a [`super::Shard`].
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Writes a shard: hashes with the seconds since the epoch after which their token would not be accepted anyway.
    ///
    /// # Errors
    /// [`WireError::Order`] when hashes do not ascend, [`WireError::TooLarge`] when there are too many.
    pub fn encode(slot: Slot, records: impl IntoIterator<Item = (TokenHash, u32)>) -> Result<Vec<u8>, WireError> {
        let mut content = Vec::new();
        let mut count = 0_u32;
        let mut previous = None;
        for (hash, expires) in records {
            if previous.replace(hash).is_some_and(|before| before >= hash) {
                return Err(WireError::Order);
            }
            count = count.checked_add(1).ok_or(WireError::TooLarge("records"))?;
            content.extend_from_slice(&hash.0);
            content.extend_from_slice(&expires.to_le_bytes());
        }
        let mut out = header(MAGIC);
        out.push(slot.table.id());
        out.extend_from_slice(&slot.shard.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.append(&mut content);
        let checksum = xxh3_64(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        Ok(out)
    }

    /// Reads a shard and proves that it is whole.
    ///
    /// # Errors
    /// Any [`WireError`]; the input may be anything.
    pub fn decode(bytes: &'b [u8]) -> Result<Self, WireError> {
        let shard = Self::open(bytes)?;
        let (content, expected) = bytes.split_last_chunk::<CHECKSUM>().ok_or(WireError::Truncated)?;
        if xxh3_64(content) != u64::from_le_bytes(*expected) {
            return Err(WireError::Checksum);
        }
        let hashes = || shard.iter().map(|(hash, _)| hash);
        if hashes().zip(hashes().skip(1)).any(|(before, after)| before >= after) {
            return Err(WireError::Order);
        }
        Ok(shard)
    }

    /// Reads a shard that was [decoded](Self::decode) before it was stored: looks at its frame only, so that a look-up costs
    /// the same however long it is.
    ///
    /// # Errors
    /// Any [`WireError`]; the input may be anything.
    pub fn open(bytes: &'b [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::open(bytes, MAGIC, "revoked shard")?;
        let (table, shard) = (reader.u8()?, reader.u16()?);
        let unknown = WireError::UnknownSlot { table, shard };
        let slot = Slot::from_wire(table, shard).filter(|slot| slot.table == Table::Revoked).ok_or(unknown)?;
        let count = usize::try_from(reader.u32()?).map_err(|_| WireError::TooLarge("records"))?;
        let length = count.checked_mul(RECORD).ok_or(WireError::TooLarge("records"))?;
        let records = reader.take(length)?;
        reader.take(CHECKSUM)?;
        reader.close()?;
        Ok(Self { slot, records })
    }

    /// Where it belongs.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// When the token of that hash expires, if it is revoked.
    #[must_use]
    pub fn get(&self, hash: TokenHash) -> Option<u32> {
        let (records, _) = self.records.as_chunks::<RECORD>();
        let at = records.binary_search_by(|record| record.get(..TokenHash::LENGTH).cmp(&Some(&hash.0[..]))).ok()?;
        records.get(at).map(|record| split(record).1)
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = (TokenHash, u32)> + 'b {
        let (records, _) = self.records.as_chunks::<RECORD>();
        records.iter().map(split)
    }

    /// Bytes of a shard with that many records.
    #[must_use]
    pub const fn size(records: usize) -> usize {
        records.saturating_mul(RECORD).saturating_add(HEADER + CHECKSUM)
    }
}

fn split(record: &[u8; RECORD]) -> (TokenHash, u32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, expiry @ ..] = *record;
    (TokenHash([a, b, c, d, e, f, g, h, i, j, k, l]), u32::from_le_bytes(expiry))
}
