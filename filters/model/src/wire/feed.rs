//! One answer of the feed: the shards that changed since the cursor the gateway showed.

use super::reader::{Reader, header, put_bytes};
use super::{Cursor, MAX_FRAME, WireError};

const MAGIC: &[u8; 4] = b"TGFD";
/// Bytes of a shard without entries, with its length in front: no frame can hold more shards than fit into what is left.
const LEAST_SHARD: usize = 4 + (4 + 2 + 1 + 2 + 4 + 8);

/// Changed shards and the cursor they lead to. Shards are opaque here: the leader copies them as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedFrame<'b> {
    /// The frame starts anew: every slot that no frame of this series mentions is empty.
    pub reset: bool,
    /// The series goes on; ask again at once with this cursor before anything is made visible.
    pub more: bool,
    /// What to show next time.
    pub cursor: Cursor,
    /// Encoded [`super::Shard`]s, in the order in which they must be stored.
    pub shards: Vec<&'b [u8]>,
}

impl<'b> FeedFrame<'b> {
    /// Writes the frame.
    ///
    /// # Errors
    /// [`WireError::TooLarge`] above [`MAX_FRAME`].
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut out = header(MAGIC);
        out.push(u8::from(self.reset));
        out.push(u8::from(self.more));
        out.extend_from_slice(&self.cursor.epoch.to_le_bytes());
        out.extend_from_slice(&self.cursor.revision.to_le_bytes());
        let count = u32::try_from(self.shards.len()).map_err(|_| WireError::TooLarge("shards"))?;
        out.extend_from_slice(&count.to_le_bytes());
        for shard in &self.shards {
            put_bytes(&mut out, shard)?;
        }
        if out.len() > MAX_FRAME { Err(WireError::TooLarge("frame")) } else { Ok(out) }
    }

    /// Reads a frame. The shards in it are not looked into.
    ///
    /// # Errors
    /// Any [`WireError`]; the input may be anything.
    pub fn decode(bytes: &'b [u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_FRAME {
            return Err(WireError::TooLarge("frame"));
        }
        let mut reader = Reader::open(bytes, MAGIC, "feed")?;
        let reset = reader.u8()? != 0;
        let more = reader.u8()? != 0;
        let cursor = Cursor { epoch: reader.u64()?, revision: reader.u64()? };
        let count = usize::try_from(reader.u32()?).map_err(|_| WireError::TooLarge("shards"))?;
        if count > reader.remaining() / LEAST_SHARD {
            return Err(WireError::Truncated);
        }
        let mut shards = Vec::with_capacity(count);
        for _ in 0..count {
            shards.push(reader.bytes()?);
        }
        reader.close()?;
        Ok(Self { reset, more, cursor, shards })
    }
}
