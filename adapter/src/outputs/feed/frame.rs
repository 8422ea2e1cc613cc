//! What a gateway is sent for the cursor it shows.
//!
//! A revision on the wire is the number of changes shifted left, with the progress through a series of frames in the low
//! bits: 0 at the end of a series, otherwise one more than the position of the last slot sent. So the adapter remembers
//! nothing about who is in the middle of what.

use bytes::Bytes;
use tollgate_model::Slot;
use tollgate_model::wire::{Cursor, FeedFrame, MAX_FRAME, WireError};

use super::tables::{Stored, Tables};

const PROGRESS_BITS: u32 = 16;
const PROGRESS_MASK: u64 = (1 << PROGRESS_BITS) - 1;
const _: () = assert!(Slot::COUNT < PROGRESS_MASK as usize, "every slot has a mark of its own");
/// Room for the frame's own header.
const HEADER: usize = 64;
/// Length prefix of a shard.
const PREFIX: usize = 4;

/// What to answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// These bytes.
    Frame(Bytes),
    /// There is nothing new yet.
    Nothing,
}

/// Whether a gateway that shows this cursor holds a whole snapshot.
pub(super) const fn is_whole(cursor: Cursor) -> bool {
    cursor.revision & PROGRESS_MASK == 0
}

/// Where a gateway is that has everything.
pub(super) const fn end(tables: &Tables, epoch: u64) -> Cursor {
    cursor(epoch, tables.revision(), 0)
}

/// Whether a gateway that shows this cursor has all that led to `goal`.
#[must_use]
pub const fn has_reached(shown: Cursor, goal: Cursor) -> bool {
    shown.epoch == goal.epoch && is_whole(shown) && shown.revision >> PROGRESS_BITS >= goal.revision >> PROGRESS_BITS
}

/// The answer for `since`. `limit` is [`MAX_FRAME`] but in tests.
pub(super) fn answer(tables: &Tables, epoch: u64, since: Cursor, limit: usize) -> Result<Answer, WireError> {
    let limit = limit.min(MAX_FRAME).saturating_sub(HEADER);
    let (revision, progress) = (since.revision >> PROGRESS_BITS, since.revision & PROGRESS_MASK);
    if since.epoch != epoch || revision > tables.revision() {
        return series(tables, epoch, tables.revision(), 0, limit);
    }
    if progress != 0 {
        return series(tables, epoch, revision, progress, limit);
    }
    if revision == tables.revision() {
        return Ok(Answer::Nothing);
    }
    let changed: Vec<&Stored> =
        tables.shards().map(|(_, stored)| stored).filter(|stored| stored.changed > revision).collect();
    let size: usize = changed.iter().map(|stored| stored.bytes.len().saturating_add(PREFIX)).sum();
    if size > limit {
        return series(tables, epoch, tables.revision(), 0, limit);
    }
    let shards = changed.into_iter().map(|stored| stored.bytes.as_ref()).collect();
    frame(&FeedFrame { reset: false, more: false, cursor: cursor(epoch, tables.revision(), 0), shards })
}

/// The part of a whole snapshot that follows `progress`. The series leads to the revision it began with; what changed
/// meanwhile comes as an ordinary change, asked for before anything is shown.
fn series(tables: &Tables, epoch: u64, revision: u64, progress: u64, limit: usize) -> Result<Answer, WireError> {
    let mut shards = Vec::new();
    let mut size = 0_usize;
    let mut reached = progress;
    let mut complete = true;
    for (slot, stored) in tables.shards().filter(|(slot, _)| mark(**slot) > progress) {
        size = size.saturating_add(stored.bytes.len()).saturating_add(PREFIX);
        if size > limit && !shards.is_empty() {
            complete = false;
            break;
        }
        shards.push(stored.bytes.as_ref());
        reached = mark(*slot);
    }
    let stale = revision != tables.revision();
    let cursor = if complete { cursor(epoch, revision, 0) } else { cursor(epoch, revision, reached) };
    frame(&FeedFrame { reset: progress == 0, more: !complete || stale, cursor, shards })
}

fn frame(frame: &FeedFrame<'_>) -> Result<Answer, WireError> {
    frame.encode().map(Bytes::from).map(Answer::Frame)
}

fn mark(slot: Slot) -> u64 {
    u64::try_from(slot.position()).unwrap_or(PROGRESS_MASK).saturating_add(1)
}

const fn cursor(epoch: u64, revision: u64, progress: u64) -> Cursor {
    Cursor { epoch, revision: (revision << PROGRESS_BITS) | progress }
}
