//! What the ledger leases, case by case, and over random schedules.
#![allow(clippy::arithmetic_side_effects)]

use proptest::prelude::*;
use tollgate_model::{QuotaUnit, TimeUnit, Unused};

use super::*;

const START: i64 = 1_800_000_000_000;

fn ask(amount: u64, want: u64, unused: Option<Unused>) -> QuotaAsk {
    let window = Window { count: 1, unit: TimeUnit::Minute };
    let limit = Limit { amount, unit: QuotaUnit::Requests, window };
    QuotaAsk { key: "k".to_owned(), limit, want, unused, ahead: false }
}

fn ahead(amount: u64, want: u64) -> QuotaAsk {
    QuotaAsk { ahead: true, ..ask(amount, want, None) }
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
    let mut ledger = self::ledger();
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
    before.ask(&ahead(10, 2), 1, START).unwrap();
    let mark = before.mark("k").unwrap();
    // At the same time, a window later, and two windows later.
    for (later, granted, over) in [(1_000, 3, false), (60_000, 8, false), (120_000, 10, true)] {
        let mut after = ledger();
        assert_eq!(after.restore("k", mark, START + later), over);
        assert_eq!(after.ask(&ask(10, 10, None), 1, START + later).unwrap().granted, granted);
    }
}

#[test]
fn what_was_leased_ahead_is_missing_when_its_window_begins() {
    let mut ledger = ledger();
    let now = ledger.ask(&ask(10, 10, None), 1, START + 59_000).unwrap();
    let next = ledger.ask(&ahead(10, 4), 1, START + 59_000).unwrap();
    assert_eq!((now.granted, now.starts_in_ms, now.ends_in_ms), (10, 0, 1_000));
    assert_eq!((next.granted, next.starts_in_ms, next.ends_in_ms), (4, 1_000, 61_000));
    assert_eq!(next.window, now.window + 1);
    assert_eq!(ledger.ask(&ask(10, 10, None), 1, START + 59_500).unwrap().granted, 0);
    // The next window has begun.
    assert_eq!(ledger.ask(&ahead(10, 9), 1, START + 60_000).unwrap().granted, 9);
    assert_eq!(ledger.ask(&ask(10, 10, None), 1, START + 60_000).unwrap().granted, 6);
    assert_eq!(ledger.ask(&ask(10, 10, None), 1, START + 120_000).unwrap().granted, 1);
    assert_eq!(ledger.ask(&ask(10, 10, None), 1, START + 240_000).unwrap().granted, 10);
}

#[test]
fn a_mark_covers_what_it_says_may_be_out() {
    let window = Window { count: 1, unit: TimeUnit::Minute };
    let mark = |number, leased, ahead| Mark { window, number, leased, ahead };
    for (known, wanted, covers) in [
        (mark(5, 10, 0), mark(5, 10, 0), true),
        (mark(5, 10, 0), mark(5, 11, 0), false),
        (mark(5, 10, 3), mark(5, 10, 4), false),
        (mark(5, 10, 3), mark(6, 3, 0), true),
        (mark(5, 10, 3), mark(6, 4, 0), false),
        (mark(5, 10, 3), mark(7, 0, 0), true),
        (mark(5, 10, 3), mark(7, 1, 0), false),
        (mark(6, 10, 3), mark(5, 1, 0), false),
    ] {
        assert_eq!(known.covers(wanted), covers, "{known:?} {wanted:?}");
    }
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
    Ask { holder: usize, want: u64, ahead: bool },
    Use { holder: usize, amount: u64 },
    GiveBack { holder: usize },
    Crash { holder: usize },
    Restart,
    Clock { by_ms: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let holder = 0_usize..4;
    prop_oneof![
        4 => (holder.clone(), 1_u64..60, any::<bool>())
            .prop_map(|(holder, want, ahead)| Step::Ask { holder, want, ahead }),
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
                Step::Ask { holder, want, ahead } => {
                    let ask = QuotaAsk { ahead, ..ask(limit, want, None) };
                    let grant = ledger.ask(&ask, holder as u64, now).unwrap();
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
                    let kept = ledger.mark("k");
                    ledger = self::ledger();
                    if let Some(mark) = kept {
                        let _ = ledger.restore("k", mark, now);
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
