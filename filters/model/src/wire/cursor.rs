//! Where in the feed a gateway is.

use std::fmt;
use std::str::FromStr;

/// A position in the feed of one adapter process, written as `epoch.revision`.
///
/// An epoch is the life of an adapter process: revisions of different epochs cannot be compared, so a gateway that shows
/// a cursor of another epoch gets everything again. Content checksums keep that from costing more than the bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Which process; 0 for a gateway that has nothing yet.
    pub epoch: u64,
    /// Number of changes since that process started.
    pub revision: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.revision)
    }
}

/// The text is not `epoch.revision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is two decimal numbers joined by a dot")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (epoch, revision) = text.split_once('.').ok_or(InvalidCursor)?;
        let number = |digits: &str| digits.parse().map_err(|_| InvalidCursor);
        Ok(Self { epoch: number(epoch)?, revision: number(revision)? })
    }
}
