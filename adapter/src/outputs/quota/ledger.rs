//! The arithmetic of leases: how much of a window was leased out, and how much the next one who asks gets. Pure: time is
//! passed in.
//!
//! What must always hold, whatever is asked, given back, lost or delayed: the leases of a window that were not given back
//! add up to no more than the limit.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use tollgate_model::{Limit, QuotaAsk, QuotaGrant, Unused, Window};

use super::window::{self, Span};

/// Counters kept at a time. Beyond it, new ones are refused until windows end.
const MAX_COUNTERS: usize = 1_000_000;
/// When something that was leased out may still come back, it is worth asking again after so long.
const RETRY_MS: u64 = 250;
/// Holders that are told apart; more share as if they were so many.
const MAX_HOLDERS: usize = 16;
/// A holder that asked for nothing for so long has no part in sharing.
const HOLDER_MS: i64 = 5_000;

/// Every counter of one owner.
#[derive(Debug, Clone)]
pub struct Ledger {
    counters: HashMap<Box<str>, Counter>,
    zone: TimeZone,
}

/// How much of the current window is out, and of the one after it.
#[derive(Debug, Clone)]
struct Counter {
    window: Window,
    span: Span,
    leased: u64,
    /// Leased out of the next window already.
    ahead: u64,
    /// Who asked lately: a hash of the name, and when.
    holders: Vec<(u64, i64)>,
}

/// What of a counter must survive a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// What the counter's windows are.
    pub window: Window,
    /// Number of the window.
    pub number: i64,
    /// At most so much of it is out.
    pub leased: u64,
    /// And so much of the one after it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ahead: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

impl Mark {
    /// The same counter when a later window has begun. What was leased of it before is out.
    #[must_use]
    pub const fn turned(self, number: i64) -> Self {
        match number.saturating_sub(self.number) {
            ..=0 => self,
            1 => Self { number, leased: self.ahead, ahead: 0, ..self },
            _ => Self { number, leased: 0, ahead: 0, ..self },
        }
    }

    /// Whether it says of so much, or more, that it may be out.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.window == other.window && {
            let own = self.turned(other.number);
            own.number == other.number && other.leased <= own.leased && other.ahead <= own.ahead
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// A year that the calendar does not have.
    #[error("the limit's window reaches beyond the calendar")]
    Calendar,
    /// Too many counters.
    #[error("{MAX_COUNTERS} counters are in use")]
    Full,
}

impl Ledger {
    /// An empty ledger, whose days begin at midnight of `zone`.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        Self { counters: HashMap::new(), zone }
    }

    /// Takes back what is unused, and leases out what is wanted as far as it is there.
    ///
    /// # Errors
    /// When the counter cannot be kept. Nothing was taken back or leased then.
    pub fn ask(&mut self, ask: &QuotaAsk, holder: u64, now_ms: i64) -> Result<QuotaGrant, LedgerError> {
        let current = window::at(ask.limit.window, &self.zone, now_ms).ok_or(LedgerError::Calendar)?;
        if !self.counters.contains_key(ask.key.as_str()) {
            self.make_room(now_ms)?;
        }
        let counter = self.counters.entry(ask.key.as_str().into()).or_insert_with(|| Counter::new(&ask.limit, current));
        counter.turn(&ask.limit, current);
        if let Some(unused) = ask.unused {
            counter.take_back(unused);
        }
        if ask.want == 0 {
            let left = ask.limit.amount.saturating_sub(counter.leased);
            return Ok(counter.grant((0, left), counter.span, now_ms));
        }
        counter.note(holder, now_ms);
        let (out, next) = match (ask.ahead, counter.next(&self.zone)) {
            (false, _) => (&mut counter.leased, None),
            (true, Some(next)) => (&mut counter.ahead, Some(next)),
            (true, None) => return Err(LedgerError::Calendar),
        };
        let granted = share(ask.limit.amount.saturating_sub(*out), ask.want, counter.holders.len());
        *out = out.saturating_add(granted);
        let left = ask.limit.amount.saturating_sub(*out);
        Ok(counter.grant((granted, left), next.unwrap_or(counter.span), now_ms))
    }

    /// How much of its windows a counter has leased out; what survives a restart.
    #[must_use]
    pub fn mark(&self, key: &str) -> Option<Mark> {
        let Counter { window, span, leased, ahead, .. } = self.counters.get(key)?;
        Some(Mark { window: *window, number: span.number, leased: *leased, ahead: *ahead })
    }

    /// Takes up a counter where an earlier process left it, even one whose window seems to be over: the clock may be set back
    /// yet. Says whether its windows are over.
    pub fn restore(&mut self, key: &str, mark: Mark, now_ms: i64) -> bool {
        let Mark { window, number, leased, ahead } = mark;
        let Some(current) = window::at(window, &self.zone, now_ms) else { return true };
        if self.counters.len() < MAX_COUNTERS {
            let span = Span { number, ..current };
            self.counters.insert(key.into(), Counter { window, span, leased, ahead, holders: Vec::new() });
        }
        number.saturating_add(1) < current.number
    }

    fn make_room(&mut self, now_ms: i64) -> Result<(), LedgerError> {
        if self.counters.len() >= MAX_COUNTERS {
            self.counters.retain(|_, counter| counter.span.end_ms > now_ms);
        }
        if self.counters.len() >= MAX_COUNTERS { Err(LedgerError::Full) } else { Ok(()) }
    }
}

impl Counter {
    const fn new(limit: &Limit, span: Span) -> Self {
        Self { window: limit.window, span, leased: 0, ahead: 0, holders: Vec::new() }
    }

    /// Moves on to the current window. Never back: a clock that is set back must not open a window again.
    fn turn(&mut self, limit: &Limit, current: Span) {
        if self.window != limit.window {
            *self = Self::new(limit, current);
        } else if current.number > self.span.number {
            self.leased = if self.span.number.checked_add(1) == Some(current.number) { self.ahead } else { 0 };
            self.ahead = 0;
            self.span = current;
        }
    }

    /// What comes back of another window than the current one and the next is of no use to anybody.
    const fn take_back(&mut self, unused: Unused) {
        let out = match unused.window.saturating_sub(self.span.number) {
            0 => &mut self.leased,
            1 => &mut self.ahead,
            _ => return,
        };
        *out = out.saturating_sub(unused.amount);
    }

    /// The window after the current one.
    fn next(&self, zone: &TimeZone) -> Option<Span> {
        let next = window::at(self.window, zone, self.span.end_ms)?;
        // After a restart with a clock that was set back, the span is not that of its number.
        Some(Span { number: self.span.number.checked_add(1)?, ..next })
    }

    fn note(&mut self, holder: u64, now_ms: i64) {
        self.holders.retain(|(known, seen)| *known != holder && now_ms.saturating_sub(*seen) < HOLDER_MS);
        if self.holders.len() < MAX_HOLDERS {
            self.holders.push((holder, now_ms));
        }
    }

    fn grant(&self, (granted, left): (u64, u64), of: Span, now_ms: i64) -> QuotaGrant {
        let until = |moment: i64| u64::try_from(moment.saturating_sub(now_ms)).unwrap_or(0);
        let ends_in_ms = until(of.end_ms);
        // A clock that was set back must not keep anybody waiting for the window that had begun.
        let starts_in_ms = if of.number > self.span.number { until(of.start_ms) } else { 0 };
        let may_return = self.holders.len() > 1;
        let retry_in_ms = if may_return { ends_in_ms.min(RETRY_MS) } else { ends_in_ms };
        QuotaGrant { window: of.number, granted, left, starts_in_ms, ends_in_ms, retry_in_ms }
    }
}

/// What one of `holders` gets of what is left: all it wants when it is alone, else at most half of its fair share, so that
/// leases become small as the limit comes near and nobody runs dry while another sits on quota.
#[must_use]
pub fn share(left: u64, want: u64, holders: usize) -> u64 {
    let fair = match u64::try_from(holders).unwrap_or(u64::MAX) {
        0 | 1 => left,
        holders => left.div_ceil(holders.saturating_mul(2)),
    };
    want.min(fair)
}

#[cfg(test)]
mod exploration;
#[cfg(test)]
mod tests;
