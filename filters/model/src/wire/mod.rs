//! The bytes in which a snapshot travels from the adapter to the filters.
//!
//! All integers are little endian. Every decoder is total: any input gives a value or a [`WireError`], nothing allocates
//! more than the input's own size, and trailing bytes are an error. Formats:
//!
//! ```text
//! shard   "TGSH" format:u16 table:u8 shard:u16 count:u32 { needs:u16 key:u32+bytes value:u32+bytes }* checksum:u64
//! feed    "TGFD" format:u16 reset:u8 more:u8 epoch:u64 revision:u64 count:u32 { shard:u32+bytes }*
//! revoked "TGRV" format:u16 table:u8 shard:u16 count:u32 { hash:12 expires:u32 }* checksum:u64
//! index   "TGIX" format:u16 epoch:u64 revision:u64 count:u32 { checksum:u64 }*
//! ```

mod cursor;
mod feed;
mod index;
mod reader;
mod revoked;
mod shard;
#[cfg(test)]
mod tests;

pub use cursor::Cursor;
pub use feed::FeedFrame;
pub use index::Index;
pub use revoked::RevokedShard;
pub use shard::{Entry, Shard, checksum};

/// Version of the framing itself. It changes only when a decoder of the older one could not even find the entries.
pub const FORMAT: u16 = 1;

/// Most bytes a [`FeedFrame`] may have: Envoy drops a call-out's answer above 32 MiB.
pub const MAX_FRAME: usize = 24 * 1024 * 1024;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The first four bytes name another kind of message.
    #[error("not a {0} message")]
    Magic(&'static str),
    /// Written by a release whose framing this one cannot read.
    #[error("format {found} is not the {FORMAT} this release reads")]
    Format {
        /// The format the bytes claim.
        found: u16,
    },
    /// The input ends before the message does.
    #[error("truncated")]
    Truncated,
    /// The input goes on after the message.
    #[error("{0} bytes after the end")]
    Trailing(usize),
    /// The content is not what was written.
    #[error("checksum does not match")]
    Checksum,
    /// A count or length is greater than the format allows.
    #[error("too large: {0}")]
    TooLarge(&'static str),
    /// A table or shard this release does not know.
    #[error("unknown table {table} or shard {shard}")]
    UnknownSlot {
        /// Wire id of the table.
        table: u8,
        /// Number of the shard.
        shard: u16,
    },
    /// Keys are not in strictly ascending order.
    #[error("keys out of order")]
    Order,
}
