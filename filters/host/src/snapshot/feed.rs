//! The leader's work: polls the adapter's feed and copies what changed into shared data, then into view.
//!
//! What a frame brings becomes visible at once, when the index is written; a series of frames that breaks off leaves the
//! index as it was. Failures back off and leave everything in place: gateways go on with what they have.

use std::rc::Rc;

use tollgate_enforce::Timestamp;
use tollgate_model::Slot;
use tollgate_model::contract::FEED_WAIT_SECONDS;
use tollgate_model::wire::{Cursor, FeedFrame, Index, MAX_FRAME, RevokedShard, Shard, WireError, checksum};

use super::entries::{self, Problem};
use super::shared;
use crate::metrics::{FEED_FAILURES, FEED_REVISION, Metrics};
use crate::{Abi, CallId, Level, Response, Status};

/// First and longest pause after a failure.
const BACKOFF_MS: std::ops::RangeInclusive<u64> = 100..=5_000;
/// The adapter answers a poll within [`FEED_WAIT_SECONDS`]; after this it has not.
pub(crate) const POLL_TIMEOUT_MS: u64 = (FEED_WAIT_SECONDS + 10) * 1_000;
/// Problems that are reported by name; the others by number.
const NAMED_PROBLEMS: usize = 3;

/// What to ask the adapter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Poll {
    /// Where in the feed this process is.
    pub(crate) cursor: Cursor,
    /// What of the snapshot is denied, for the adapter's status; empty when nothing is.
    pub(crate) problems: String,
}

/// The state of the poll loop.
pub(crate) struct Feed {
    abi: Rc<dyn Abi>,
    metrics: Rc<Metrics>,
    waiting: Option<(CallId, Timestamp)>,
    not_before: Timestamp,
    failures: u32,
    /// An unfinished series of frames: the index as it will be.
    series: Option<Series>,
    /// By slot, what of it is denied.
    problems: Vec<(Slot, Vec<Problem>)>,
}

struct Series {
    published: Index,
    next: Index,
}

/// Why a frame could not be taken over.
#[derive(Debug, PartialEq, Eq)]
enum FeedError {
    Wire(WireError),
    Shared(Status),
}

impl From<WireError> for FeedError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<Status> for FeedError {
    fn from(status: Status) -> Self {
        Self::Shared(status)
    }
}

impl Feed {
    pub(crate) fn new(abi: Rc<dyn Abi>, metrics: Rc<Metrics>) -> Self {
        let not_before = Timestamp::default();
        Self { abi, metrics, waiting: None, not_before, failures: 0, series: None, problems: Vec::new() }
    }

    /// The next poll, if it is time for one.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Poll> {
        if let Some((_, since)) = self.waiting {
            // Envoy answers every call-out, in time or with a time-out. Should an answer be lost, do not wait forever.
            if now.0.saturating_sub(since.0) < POLL_TIMEOUT_MS.saturating_mul(2) {
                return None;
            }
            self.waiting = None;
        }
        if now < self.not_before {
            return None;
        }
        let cursor = match &self.series {
            Some(series) => series.next.cursor,
            None => self.published().cursor,
        };
        Some(Poll { cursor, problems: self.describe_problems() })
    }

    /// The poll was sent.
    pub(crate) fn sent(&mut self, call: CallId, now: Timestamp) {
        self.waiting = Some((call, now));
    }

    /// The poll could not be sent: no such cluster (yet), or no endpoint.
    pub(crate) fn not_sent(&mut self, now: Timestamp, status: Status) {
        self.fail(now, &format!("feed cannot be asked for: {status:?}"));
    }

    /// Whether this answer is for the poll.
    pub(crate) fn awaits(&self, call: CallId) -> bool {
        self.waiting.is_some_and(|(waiting, _)| waiting == call)
    }

    /// Takes an answer. Returns whether something new can be seen.
    pub(crate) fn answered(&mut self, response: Response, now: Timestamp) -> bool {
        self.waiting = None;
        let status = if response.arrived { self.abi.answer_status() } else { None };
        match status {
            Some(204) => {
                self.succeed();
                false
            }
            Some(200) => match self.take(response.body) {
                Ok(visible) => {
                    self.succeed();
                    visible
                }
                Err(error) => {
                    self.fail(now, &format!("feed cannot be taken over, the last good snapshot stays: {error:?}"));
                    false
                }
            },
            Some(status) => {
                self.fail(now, &format!("feed answers {status}"));
                false
            }
            None => {
                self.fail(now, "feed does not answer");
                false
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<bool, FeedError> {
        let body = self.abi.answer_body(length.min(MAX_FRAME))?;
        let frame = FeedFrame::decode(&body)?;
        let mut series = self.begin(&frame);
        for bytes in &frame.shards {
            self.store(&mut series.next, bytes)?;
        }
        series.next.cursor = frame.cursor;
        if frame.more {
            self.series = Some(series);
            return Ok(false);
        }
        self.empty_what_is_gone(&series)?;
        self.abi.set_shared(&shared::index(), &series.next.encode(), 0)?;
        self.abi.set_shared(&shared::news(), b"1", 0)?;
        self.metrics.record(FEED_REVISION, series.next.cursor.revision);
        Ok(true)
    }

    /// Goes on with the series, or starts one: from nothing when the frame says so, else from what is published.
    fn begin(&mut self, frame: &FeedFrame) -> Series {
        match self.series.take() {
            Some(series) if !frame.reset => series,
            _ => {
                let published = self.published();
                let next = if frame.reset { Index::default() } else { published.clone() };
                Series { published, next }
            }
        }
    }

    fn published(&self) -> Index {
        match self.abi.shared(&shared::index()) {
            // An index that cannot be read is as good as none: the adapter sends everything again.
            Ok(Some((bytes, _))) => Index::decode(&bytes).unwrap_or_default(),
            Ok(None) | Err(_) => Index::default(),
        }
    }

    fn store(&mut self, index: &mut Index, bytes: &[u8]) -> Result<(), FeedError> {
        let decoded = if RevokedShard::is_one(bytes) {
            RevokedShard::decode(bytes).map(|shard| (shard.slot(), None))
        } else {
            Shard::decode(bytes).map(|shard| (shard.slot, Some(shard)))
        };
        let (slot, shard) = match decoded {
            Ok(decoded) => decoded,
            // From a newer adapter: something this release does not enforce, and whose users say so in `needs`.
            Err(WireError::UnknownSlot { table, shard }) => {
                let text = format!("feed has shard {shard} of table {table}, which this filter does not know");
                self.abi.log(Level::Warn, &text);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        // Even one that the index already names: an earlier series may have broken off after overwriting it.
        self.abi.set_shared(&shared::shard(slot), bytes, 0)?;
        index.set(slot, checksum(bytes));
        if let Some(shard) = shard {
            self.note_problems(&shard);
        }
        Ok(())
    }

    /// After a reset, slots that were not mentioned are empty.
    fn empty_what_is_gone(&mut self, series: &Series) -> Result<(), FeedError> {
        for slot in series.published.changed(&series.next) {
            if series.next.version(slot) == 0 {
                self.abi.set_shared(&shared::shard(slot), b"", 0)?;
                self.problems.retain(|(of, _)| *of != slot);
            }
        }
        Ok(())
    }

    fn note_problems(&mut self, shard: &Shard) {
        self.problems.retain(|(slot, _)| *slot != shard.slot);
        let problems = entries::problems(shard);
        for problem in &problems {
            self.abi.log(Level::Error, &format!("{} is denied: {}", problem.entry, problem.why));
        }
        if !problems.is_empty() {
            self.problems.push((shard.slot, problems));
        }
    }

    /// A line for the adapter's status: header values must be printable ASCII.
    fn describe_problems(&self) -> String {
        let all: Vec<&Problem> = self.problems.iter().flat_map(|(_, problems)| problems).collect();
        let named: Vec<String> =
            all.iter().take(NAMED_PROBLEMS).map(|it| format!("{}: {}", it.entry, it.why)).collect();
        let text = match all.len() {
            0 => return String::new(),
            count => format!("{count} denied; {}", named.join("; ")),
        };
        text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(1_000).collect()
    }

    fn succeed(&mut self) {
        if self.failures > 0 {
            self.abi.log(Level::Info, "feed is back");
        }
        self.failures = 0;
        self.not_before = Timestamp::default();
    }

    fn fail(&mut self, now: Timestamp, why: &str) {
        self.series = None;
        self.metrics.increment(FEED_FAILURES);
        // Said once, not at every try; while the adapter restarts there are many.
        if self.failures == 0 {
            self.abi.log(Level::Warn, why);
        }
        let pause = BACKOFF_MS.start().saturating_mul(1_u64.checked_shl(self.failures.min(16)).unwrap_or(u64::MAX));
        self.not_before = Timestamp(now.0.saturating_add(pause.min(*BACKOFF_MS.end())));
        self.failures = self.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests;
