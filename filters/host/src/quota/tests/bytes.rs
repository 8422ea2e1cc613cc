//! Bytes that are known only when they have passed.

use super::*;

fn bytes(amount: u64) -> Counter {
    let counter = counter(amount);
    let limit = Limit { unit: QuotaUnit::Bytes, ..counter.limit() };
    Counter::new(counter.key().to_owned(), limit, counter.cost, counter.posture)
}

/// One request of so many bytes, of which it announces none: whether it is let through.
fn pass(process: &Process, worker: usize, counter: &Counter, owner: &mut Owner, now: u64, bytes: u64) -> bool {
    let passes = process.request(worker, counter, owner, now);
    if passes {
        process.workers[worker].spend(counter, bytes.saturating_sub(counter.cost));
    }
    passes
}

#[test]
fn more_than_there_is_keeps_everybody_out_until_the_window_ends() {
    let (process, counter) = (Process::new(2), bytes(1_000));
    let mut owner = Owner::new(1_000, false);
    // The other worker has used some as well.
    assert!(pass(&process, 1, &counter, &mut owner, START, 10));
    assert!(pass(&process, 0, &counter, &mut owner, START, 5_000));
    for (step, worker) in (1..50).zip([0, 1].into_iter().cycle()) {
        process.tick(worker, &mut owner, START + step * 100);
        assert!(!pass(&process, worker, &counter, &mut owner, START + step * 100, 1), "{step}");
    }
    assert_eq!(owner.leased, 1_000, "the owner knows that it is used up");
    for worker in [0, 1] {
        assert!(
            pass(&process, worker, &counter, &mut owner, START + 60_000, 10),
            "another window begins without debts"
        );
    }
}

#[test]
fn what_one_process_owes_keeps_another_out() {
    let (process, other, counter) = (Process::new(1), Process::new(1), bytes(1_000));
    let mut owner = Owner::new(1_000, true);
    assert!(pass(&other, 0, &counter, &mut owner, START, 10));
    assert!(pass(&process, 0, &counter, &mut owner, START, 5_000));
    // Ticks ask until nothing is left to be had, and the idle lease of the other goes back.
    for tick in 1..60 {
        process.tick(0, &mut owner, START + tick * 100);
        other.tick(0, &mut owner, START + tick * 100);
        process.request(0, &counter, &mut owner, START + tick * 100);
    }
    assert!(!pass(&other, 0, &counter, &mut owner, START + 6_000, 1));
}

#[test]
fn steady_streams_do_not_wait_once_their_size_is_known() {
    let (process, counter) = (Process::new(1), bytes(1_000_000_000));
    let mut owner = Owner::new(1_000_000_000, false);
    let mut waited = Vec::new();
    for millisecond in 0..10_000 {
        let now = START + millisecond;
        if millisecond % 100 == 0 {
            process.tick(0, &mut owner, now);
        }
        if matches!(process.stock(0, &counter, now), Stock::Unknown { .. }) {
            waited.push(millisecond);
        }
        assert!(pass(&process, 0, &counter, &mut owner, now, 20_000), "{millisecond}");
    }
    assert!(waited.iter().all(|millisecond| *millisecond < 1_000), "{waited:?}");
    assert_eq!(owner.leased / 200_000_000, 1, "not much more than was used is leased: {}", owner.leased);
}

/// A stream that ends in a later window than it began in counts in that one.
#[test]
fn a_stream_counts_in_the_window_in_which_it_ends() {
    let (process, counter) = (Process::new(1), bytes(1_000));
    let mut owner = Owner::new(1_000, false);
    assert!(process.request(0, &counter, &mut owner, START));
    process.envoy.steady.set(START + 130_000);
    process.workers[0].spend(&counter, 5_000);
    assert!(!pass(&process, 0, &counter, &mut owner, START + 130_001, 1));
    assert!(pass(&process, 0, &counter, &mut owner, START + 180_000, 1));
}

#[test]
fn a_process_that_counts_for_itself_counts_bytes_too() {
    let (process, counter) = (Process::new(2), bytes(1_000));
    let mut owner = Owner::new(0, false);
    (0..2).for_each(|worker| process.lost(worker, START));
    assert!(pass(&process, 0, &counter, &mut owner, START, 400));
    assert!(pass(&process, 1, &counter, &mut owner, START + 1, 700));
    assert!(
        !pass(&process, 0, &counter, &mut owner, START + 2, 1)
            && !pass(&process, 1, &counter, &mut owner, START + 2, 1)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// One after the other, requests pass exactly as long as less than the limit was used in their window, whichever worker has
    /// them and whatever they announce.
    #[test]
    fn exactly_what_was_used_counts(
        limit in 1_u64..5_000,
        streams in prop::collection::vec((0_usize..3, 1_u64..40, 0_u64..900, 0_u64..9_000, any::<bool>()), 1..80),
    ) {
        let process = Process::new(3);
        let mut owner = Owner::new(limit, false);
        let (mut now, mut used) = (START, 0);
        for (worker, announced, rest, wait, tick) in streams {
            if (now + wait) / 60_000 != now / 60_000 {
                used = 0;
            }
            now += wait;
            if tick {
                process.tick(worker, &mut owner, now);
            }
            let counter = costing(announced, bytes(limit));
            let passes = pass(&process, worker, &counter, &mut owner, now, announced + rest);
            prop_assert_eq!(passes, used + announced <= limit, "{} of {} used at {}", used, limit, now);
            if passes {
                used += announced + rest;
            }
        }
    }
}
