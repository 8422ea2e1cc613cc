//! The arithmetic of leases: how much of a window was leased out, and how much the next one who asks gets. Pure: time is
//! passed in.
//!
//! What must always hold, whatever is asked, given back, lost or delayed: the leases of a window that were not given back
//! add up to no more than the limit.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use tollgate_model::{Limit, QuotaAsk, QuotaGrant, Window};

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
#[derive(Debug)]
pub struct Ledger {
    counters: HashMap<Box<str>, Counter>,
    zone: TimeZone,
}

/// How much of the current window is out.
#[derive(Debug, Clone)]
struct Counter {
    window: Window,
    span: Span,
    leased: u64,
    /// Who asked lately: a hash of the name, and when.
    holders: Vec<(u64, i64)>,
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
        if let Some(unused) = ask.unused.filter(|unused| unused.window == counter.span.number) {
            counter.leased = counter.leased.saturating_sub(unused.amount);
        }
        if ask.want == 0 {
            return Ok(counter.grant(0, now_ms));
        }
        counter.note(holder, now_ms);
        let left = ask.limit.amount.saturating_sub(counter.leased);
        let granted = share(left, ask.want, counter.holders.len());
        counter.leased = counter.leased.saturating_add(granted);
        Ok(counter.grant(granted, now_ms))
    }

    /// How much of its window a counter has leased out, and the window; what survives a restart.
    #[must_use]
    pub fn leased(&self, key: &str) -> Option<(Window, i64, u64)> {
        self.counters.get(key).map(|counter| (counter.window, counter.span.number, counter.leased))
    }

    /// Takes up a counter where an earlier process left it, even one whose window seems to be over: the clock may be set back
    /// yet. Says whether that window is over.
    pub fn restore(&mut self, key: &str, window: Window, number: i64, leased: u64, now_ms: i64) -> bool {
        let Some(current) = window::at(window, &self.zone, now_ms) else { return true };
        if self.counters.len() < MAX_COUNTERS {
            let span = Span { number, ..current };
            self.counters.insert(key.into(), Counter { window, span, leased, holders: Vec::new() });
        }
        number < current.number
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
        Self { window: limit.window, span, leased: 0, holders: Vec::new() }
    }

    /// Moves on to the current window. Never back: a clock that is set back must not open a window again.
    fn turn(&mut self, limit: &Limit, current: Span) {
        if self.window != limit.window {
            *self = Self::new(limit, current);
        } else if current.number > self.span.number {
            self.span = current;
            self.leased = 0;
        }
    }

    fn note(&mut self, holder: u64, now_ms: i64) {
        self.holders.retain(|(known, seen)| *known != holder && now_ms.saturating_sub(*seen) < HOLDER_MS);
        if self.holders.len() < MAX_HOLDERS {
            self.holders.push((holder, now_ms));
        }
    }

    fn grant(&self, granted: u64, now_ms: i64) -> QuotaGrant {
        let ends_in_ms = u64::try_from(self.span.end_ms.saturating_sub(now_ms)).unwrap_or(0);
        let may_return = self.holders.len() > 1;
        let retry_in_ms = if may_return { ends_in_ms.min(RETRY_MS) } else { ends_in_ms };
        QuotaGrant { window: self.span.number, granted, ends_in_ms, retry_in_ms }
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
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use proptest::prelude::*;
    use tollgate_model::{QuotaUnit, TimeUnit, Unused};

    use super::*;

    const START: i64 = 1_800_000_000_000;

    fn ask(amount: u64, want: u64, unused: Option<Unused>) -> QuotaAsk {
        let window = Window { count: 1, unit: TimeUnit::Minute };
        QuotaAsk { key: "k".to_owned(), limit: Limit { amount, unit: QuotaUnit::Requests, window }, want, unused }
    }

    fn ledger() -> Ledger {
        Ledger::new(TimeZone::UTC)
    }

    #[test]
    fn a_lone_holder_gets_what_it_wants_until_nothing_is_left() {
        let mut ledger = ledger();
        let granted: Vec<u64> =
            [4, 4, 4, 4].into_iter().map(|want| ledger.ask(&ask(10, want, None), 1, START).unwrap().granted).collect();
        assert_eq!(granted, [4, 4, 2, 0]);
        let refused = ledger.ask(&ask(10, 1, None), 1, START + 1_000).unwrap();
        assert_eq!((refused.ends_in_ms, refused.retry_in_ms), (59_000, 59_000));
        let next = ledger.ask(&ask(10, 4, None), 1, START + 60_000).unwrap();
        assert_eq!((next.granted, next.window), (4, refused.window + 1));
    }

    #[test]
    fn several_holders_get_less_and_less() {
        let mut ledger = ledger();
        let granted: Vec<u64> =
            (0..6).map(|turn| ledger.ask(&ask(100, 1_000, None), turn % 3, START).unwrap().granted).collect();
        // The first one was alone.
        assert_eq!(granted, [100, 0, 0, 0, 0, 0]);
        let mut ledger = super::tests::ledger();
        for holder in 0..3 {
            ledger.ask(&ask(100, 1, None), holder, START).unwrap();
        }
        let granted: Vec<u64> =
            (0..4).map(|turn| ledger.ask(&ask(100, 1_000, None), turn % 3, START).unwrap().granted).collect();
        assert_eq!(granted, [17, 14, 11, 10]);
    }

    #[test]
    fn what_is_given_back_is_there_again_in_its_own_window_only() {
        let mut ledger = ledger();
        let lease = ledger.ask(&ask(10, 10, None), 1, START).unwrap();
        let back = |amount, window| Some(Unused { window, amount });
        assert_eq!(ledger.ask(&ask(10, 10, back(3, lease.window)), 1, START).unwrap().granted, 3);
        assert_eq!(ledger.ask(&ask(10, 10, back(3, lease.window - 1)), 1, START).unwrap().granted, 0);
        let next = ledger.ask(&ask(10, 10, back(5, lease.window)), 1, START + 60_000).unwrap();
        assert_eq!(next.granted, 10, "and no more than the limit");
    }

    #[test]
    fn a_clock_set_back_opens_nothing_again() {
        let mut ledger = ledger();
        assert_eq!(ledger.ask(&ask(10, 10, None), 1, START).unwrap().granted, 10);
        assert_eq!(ledger.ask(&ask(10, 10, None), 1, START + 60_000).unwrap().granted, 10);
        assert_eq!(ledger.ask(&ask(10, 10, None), 1, START).unwrap().granted, 0);
        assert_eq!(ledger.ask(&ask(10, 10, None), 1, START + 60_000).unwrap().granted, 0);
    }

    #[test]
    fn a_restart_goes_on_where_it_was() {
        let mut before = ledger();
        before.ask(&ask(10, 7, None), 1, START).unwrap();
        let (window, number, leased) = before.leased("k").unwrap();
        let mut after = ledger();
        assert!(!after.restore("k", window, number, leased, START + 1_000));
        assert_eq!(after.ask(&ask(10, 10, None), 1, START + 1_000).unwrap().granted, 3);
        let mut later = ledger();
        assert!(later.restore("k", window, number, leased, START + 60_000));
        assert_eq!(later.ask(&ask(10, 10, None), 1, START + 60_000).unwrap().granted, 10);
    }

    #[test]
    fn a_smaller_limit_counts_what_is_out() {
        let mut ledger = ledger();
        ledger.ask(&ask(10, 7, None), 1, START).unwrap();
        assert_eq!(ledger.ask(&ask(5, 1, None), 1, START).unwrap().granted, 0);
        assert_eq!(ledger.ask(&ask(8, 5, None), 1, START).unwrap().granted, 1);
    }

    /// One step of a schedule: who does what, and how the clock moves meanwhile.
    #[derive(Debug, Clone)]
    enum Step {
        Ask { holder: usize, want: u64 },
        Use { holder: usize, amount: u64 },
        GiveBack { holder: usize },
        Crash { holder: usize },
        Restart,
        Clock { by_ms: i64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        let holder = 0_usize..4;
        prop_oneof![
            4 => (holder.clone(), 1_u64..60).prop_map(|(holder, want)| Step::Ask { holder, want }),
            4 => (holder.clone(), 1_u64..40).prop_map(|(holder, amount)| Step::Use { holder, amount }),
            2 => holder.clone().prop_map(|holder| Step::GiveBack { holder }),
            1 => holder.prop_map(|holder| Step::Crash { holder }),
            1 => Just(Step::Restart),
            2 => (-90_000_i64..90_000).prop_map(|by_ms| Step::Clock { by_ms }),
        ]
    }

    proptest! {
        /// Any interleaving of leases, uses, returns, crashes of either side and steps of the clock: no window ever sees
        /// more uses than its limit.
        #[test]
        fn no_schedule_uses_more_than_the_limit(limit in 1_u64..100, steps in prop::collection::vec(step(), 1..200)) {
            let mut ledger = ledger();
            let mut now = START;
            let mut held: Vec<HashMap<i64, u64>> = vec![HashMap::new(); 4];
            let mut used: HashMap<i64, u64> = HashMap::new();
            for step in steps {
                match step {
                    Step::Ask { holder, want } => {
                        let grant = ledger.ask(&ask(limit, want, None), holder as u64, now).unwrap();
                        *held[holder].entry(grant.window).or_default() += grant.granted;
                    }
                    Step::Use { holder, amount } => {
                        for (window, left) in &mut held[holder] {
                            let taken = amount.min(*left);
                            *left -= taken;
                            *used.entry(*window).or_default() += taken;
                        }
                    }
                    Step::GiveBack { holder } => {
                        for (window, amount) in held[holder].drain() {
                            ledger.ask(&ask(limit, 0, Some(Unused { window, amount })), holder as u64, now).unwrap();
                        }
                    }
                    Step::Crash { holder } => held[holder].clear(),
                    Step::Restart => {
                        let kept = ledger.leased("k");
                        ledger = super::tests::ledger();
                        if let Some((window, number, leased)) = kept {
                            let _ = ledger.restore("k", window, number, leased, now);
                        }
                    }
                    Step::Clock { by_ms } => now += by_ms,
                }
            }
            for (window, uses) in used {
                prop_assert!(uses <= limit, "{uses} uses of {limit} in window {window}");
            }
        }

        /// Whoever keeps asking gets everything in the end.
        #[test]
        fn nothing_is_left_behind(limit in 1_u64..100_000, holders in 1_usize..5, want in 1_u64..5_000) {
            let mut ledger = ledger();
            let mut total = 0;
            for turn in 0..200_000 {
                let granted = ledger.ask(&ask(limit, want, None), (turn % holders) as u64, START).unwrap().granted;
                if granted == 0 {
                    break;
                }
                total += granted;
            }
            prop_assert_eq!(total, limit);
        }
    }
}
