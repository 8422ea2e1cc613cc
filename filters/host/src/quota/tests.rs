//! Several workers of one process, several processes, and an owner that keeps the rules: what gets through, and what not.

use std::rc::Rc;

use proptest::prelude::*;
use tollgate_enforce::{Counter, Quotas, Stock, Timestamp};
use tollgate_model::{Limit, Posture, QuotaAsk, QuotaGrant, QuotaUnit, TimeUnit, Window};

use super::{QuotaPool, bucket, lease};
use crate::fake::FakeEnvoy;
use crate::metrics::Metrics;
use crate::{Nanos, Steady};

/// Leases one counter with windows of a minute; hands out half of what is left to each who asks when several share it.
struct Owner {
    limit: u64,
    window: i64,
    leased: u64,
    ahead: u64,
    sharing: bool,
}

impl Owner {
    fn new(limit: u64, sharing: bool) -> Self {
        Self { limit, window: 0, leased: 0, ahead: 0, sharing }
    }

    fn lease(&mut self, ask: &QuotaAsk, now: u64) -> QuotaGrant {
        let window = i64::try_from(now / 60_000).unwrap();
        if window > self.window {
            self.leased = if window == self.window + 1 { self.ahead } else { 0 };
            (self.window, self.ahead) = (window, 0);
        }
        if let Some(unused) = ask.unused.filter(|unused| unused.window == self.window) {
            assert!(unused.amount <= self.leased, "more came back than was leased");
            self.leased -= unused.amount;
        }
        let out = if ask.ahead { &mut self.ahead } else { &mut self.leased };
        let spare = self.limit - *out;
        let granted = ask.want.min(if self.sharing { spare.div_ceil(2) } else { spare });
        *out += granted;
        let left = self.limit - *out;
        let to_edge = 60_000 - now % 60_000;
        let (window, starts_in_ms, ends_in_ms) =
            if ask.ahead { (window + 1, to_edge, to_edge + 60_000) } else { (window, 0, to_edge) };
        QuotaGrant {
            window,
            granted,
            left,
            starts_in_ms,
            ends_in_ms,
            retry_in_ms: if self.sharing { 250 } else { to_edge },
        }
    }
}

const fn nanos(ms: u64) -> Nanos {
    Nanos(ms * 1_000_000)
}

/// A process: its shared data and its workers.
struct Process {
    envoy: Rc<FakeEnvoy>,
    workers: Vec<QuotaPool>,
}

impl Process {
    fn new(workers: usize) -> Self {
        let envoy = FakeEnvoy::shared_rc();
        let pool = || QuotaPool::new(envoy.clone(), Rc::new(Metrics::new(envoy.clone())));
        Self { workers: (0..workers).map(|_| pool()).collect(), envoy }
    }

    /// What a worker has at this moment. The time of day is the same, unless a test says otherwise.
    fn stock(&self, worker: usize, counter: &Counter, now: u64) -> Stock {
        self.envoy.steady.set(now);
        self.envoy.now.set(now);
        self.workers[worker].begin(nanos(now));
        self.workers[worker].stock(counter, Timestamp(now))
    }

    fn granted(&self, worker: usize, ask: &QuotaAsk, grant: &QuotaGrant, sent: u64, now: u64) {
        self.envoy.steady.set(now);
        self.workers[worker].granted(ask, grant, Steady(sent));
    }

    fn lost(&self, worker: usize, now: u64) {
        self.envoy.steady.set(now);
        self.workers[worker].lost();
    }

    /// One request: whether it is let through, asking the owner as often as it must.
    fn request(&self, worker: usize, counter: &Counter, owner: &mut Owner, now: u64) -> bool {
        for _ in 0..4 {
            match self.stock(worker, counter, now) {
                Stock::Enough => {
                    self.workers[worker].take(counter);
                    return true;
                }
                Stock::Exhausted { until } => {
                    assert!(until.0 > now);
                    return false;
                }
                Stock::Unknown { want } => {
                    let ask = ask(counter, want);
                    let grant = owner.lease(&ask, now);
                    self.granted(worker, &ask, &grant, now, now);
                }
                Stock::Lost => return false,
            }
        }
        false
    }

    fn asks(&self, worker: usize, now: u64) -> Vec<QuotaAsk> {
        self.envoy.steady.set(now);
        self.workers[worker].on_tick()
    }

    fn tick(&self, worker: usize, owner: &mut Owner, now: u64) {
        for ask in self.asks(worker, now) {
            let grant = owner.lease(&ask, now);
            self.granted(worker, &ask, &grant, now, now);
        }
    }
}

fn ask(counter: &Counter, want: u64) -> QuotaAsk {
    QuotaAsk { key: counter.key().to_owned(), limit: counter.limit(), want, unused: None, ahead: false }
}

const START: u64 = 1_800_000_000_000;

fn counter(amount: u64) -> Counter {
    let window = Window { count: 1, unit: TimeUnit::Minute };
    let limit = Limit { amount, unit: QuotaUnit::Requests, window };
    Counter::new("k".to_owned(), limit, 1, Posture::Local)
}

/// The same counter, of which a request takes so much.
fn costing(cost: u64, mut counter: Counter) -> Counter {
    counter.cost = cost;
    counter
}

/// The same counter, of that posture.
fn standing(posture: Posture, mut counter: Counter) -> Counter {
    counter.posture = posture;
    counter
}

#[test]
fn exactly_the_limit_passes_in_every_window_however_many_workers() {
    for limit in [1, 2, 7, 100, 1_000, 20_000] {
        for workers in 1..=4 {
            let (process, counter) = (Process::new(workers), counter(limit));
            let mut owner = Owner::new(limit, false);
            for window in 0..3 {
                let start = START + window * 60_000;
                let demand = limit * 2 + 100;
                let passed = (0..demand)
                    .filter(|turn| {
                        // All within some seconds, ticks in between.
                        let now = start + turn * 3_000 / demand;
                        let worker = (turn % workers as u64) as usize;
                        if turn % 50 == 0 {
                            process.tick(worker, &mut owner, now);
                        }
                        process.request(worker, &counter, &mut owner, now)
                    })
                    .count();
                assert_eq!(passed as u64, limit, "{workers} workers, window {window}");
            }
        }
    }
}

#[test]
fn what_one_worker_does_not_use_reaches_the_others() {
    let (process, counter) = (Process::new(2), counter(8));
    let mut owner = Owner::new(8, false);
    assert!(process.request(0, &counter, &mut owner, START));
    let used = (0..20).filter(|_| process.request(1, &counter, &mut owner, START + 1)).count();
    assert!(used < 8);
    // The idle worker's chunk is back after some ticks.
    process.tick(0, &mut owner, START + 600);
    let rest = (0..20).filter(|_| process.request(1, &counter, &mut owner, START + 601)).count();
    assert_eq!(1 + used + rest, 8);
}

/// A request's clock is told by the time of day, and that of a tick is not.
#[test]
fn nothing_is_lost_when_clocks_differ_a_little() {
    let (process, counter) = (Process::new(2), counter(8));
    let mut owner = Owner::new(8, false);
    assert!(process.request(0, &counter, &mut owner, START + 2));
    process.tick(0, &mut owner, START + 1);
    process.tick(0, &mut owner, START + 600);
    let rest = (0..20).filter(|_| process.request(1, &counter, &mut owner, START + 601)).count();
    assert_eq!(1 + rest, 8);
}

#[test]
fn what_is_small_beside_the_limit_reaches_them_later() {
    let (process, counter) = (Process::new(2), counter(1_000));
    let mut owner = Owner::new(1_000, false);
    assert!(process.request(0, &counter, &mut owner, START));
    let used = |now, owner: &mut Owner| (0..1_100).filter(|_| process.request(1, &counter, owner, now)).count();
    let first = used(START + 1, &mut owner);
    assert!((990..999).contains(&first), "{first}");
    process.tick(0, &mut owner, START + 2_900);
    assert_eq!(used(START + 2_901, &mut owner), 0);
    process.tick(0, &mut owner, START + 3_100);
    assert_eq!(1 + first + used(START + 3_200, &mut owner), 1_000);
}

#[test]
fn who_comes_back_each_second_draws_seldom() {
    let (process, counter) = (Process::new(1), counter(1_000));
    let mut owner = Owner::new(1_000, false);
    for second in 0..30 {
        assert!(process.request(0, &counter, &mut owner, START + second * 1_000));
        (1..10).for_each(|tick| process.tick(0, &mut owner, START + second * 1_000 + tick * 100));
    }
    let calls = process.envoy.host_calls.borrow();
    let writes = calls.iter().filter(|call| **call == "set_shared").count();
    assert!(writes <= 15, "{writes} writes for 30 requests");
}

#[test]
fn steady_traffic_never_waits() {
    let (process, counter) = (Process::new(1), counter(100_000));
    let mut owner = Owner::new(100_000, false);
    let mut asked = 0;
    // 1,000 requests a second for twenty seconds, ticks each 100 ms.
    for millisecond in 0..20_000 {
        let now = START + millisecond;
        if millisecond % 100 == 0 {
            process.tick(0, &mut owner, now);
        }
        match process.stock(0, &counter, now) {
            Stock::Unknown { .. } => {
                asked += usize::from(millisecond > 1_000);
                assert!(process.request(0, &counter, &mut owner, now));
            }
            Stock::Enough => process.workers[0].take(&counter),
            other => panic!("{other:?} at {millisecond}"),
        }
    }
    assert_eq!(asked, 0, "requests that waited after the first second");
}

#[test]
fn warm_counters_cost_no_host_call() {
    let (process, counter) = (Process::new(1), counter(100_000));
    let mut owner = Owner::new(100_000, false);
    for turn in 0..2_000 {
        process.request(0, &counter, &mut owner, START);
        if turn % 100 == 0 {
            process.tick(0, &mut owner, START);
        }
    }
    process.envoy.host_calls.borrow_mut().clear();
    for _ in 0..1_000 {
        assert!(process.request(0, &counter, &mut owner, START));
    }
    let calls = process.envoy.host_calls.borrow();
    assert!(calls.len() <= 1_000 / 64 * 4, "{} host calls for 1,000 requests", calls.len());
}

#[test]
fn what_is_too_little_for_a_dear_request_is_there_for_a_cheap_one() {
    let (process, cheap) = (Process::new(1), counter(7));
    let dear = costing(3, cheap.clone());
    let mut owner = Owner::new(7, false);
    let mut passes = |counter: &Counter| process.request(0, counter, &mut owner, START);
    assert_eq!(
        [passes(&dear), passes(&dear), passes(&dear), passes(&cheap), passes(&cheap)],
        [true, true, false, true, false]
    );
}

#[test]
fn idle_leases_go_back_to_the_owner() {
    let (process, other, counter) = (Process::new(1), Process::new(1), counter(16));
    let mut owner = Owner::new(16, false);
    assert!(process.request(0, &counter, &mut owner, START));
    assert!(!other.request(0, &counter, &mut owner, START), "the first process has it all");
    for tick in 1..45 {
        process.tick(0, &mut owner, START + tick * 100);
    }
    let rest = (0..30).filter(|_| other.request(0, &counter, &mut owner, START + 5_000)).count();
    assert_eq!(rest, 15);
}

/// Callers who come every few seconds find what is left of their leases, and cost nothing meanwhile.
#[test]
fn leases_that_are_small_beside_the_limit_stay() {
    for (limit, replicas, stays) in [(10_000, 1, true), (10_000, 3, true), (1_000, 1, false), (10_000, 50, false)] {
        let (process, counter) = (Process::new(1), counter(limit));
        process.workers[0].set_replicas(replicas);
        let mut owner = Owner::new(limit, false);
        assert!(process.request(0, &counter, &mut owner, START));
        for tick in 1..45 {
            process.tick(0, &mut owner, START + tick * 100);
        }
        let unused = if stays { lease::FIRST_WANT - 1 } else { 0 };
        assert_eq!(owner.leased, unused + 1, "{limit} for {replicas}");
        process.envoy.host_calls.borrow_mut().clear();
        for tick in 46..90 {
            process.tick(0, &mut owner, START + tick * 100);
        }
        let calls = process.envoy.host_calls.borrow().iter().filter(|call| **call != "steady").count();
        assert!(calls <= 1, "{limit} for {replicas}: {calls} calls, though nobody looks after it");
        let next = process.stock(0, &counter, START + 10_000);
        assert_eq!(next == Stock::Enough, stays, "{limit} for {replicas}");
    }
}

#[test]
fn what_went_back_can_be_had_again() {
    let (process, counter) = (Process::new(2), counter(7));
    let mut owner = Owner::new(7, false);
    assert!(process.request(0, &counter, &mut owner, START));
    // Another request asked at the same time, and got nothing.
    let ask = ask(&counter, 16);
    let grant = owner.lease(&ask, START);
    assert_eq!(grant.granted, 0);
    process.granted(1, &ask, &grant, START, START);
    // Then nobody came for a while, and the lease went back.
    for tick in 1..45 {
        process.tick(0, &mut owner, START + tick * 100);
    }
    assert_eq!(owner.leased, 1);
    let rest = (0..20).filter(|turn| process.request(turn % 2, &counter, &mut owner, START + 5_000)).count();
    assert_eq!(rest, 6);
}

/// Nine counters share a bucket with room for eight, and then their owner goes away.
#[test]
fn a_counter_that_had_to_make_room_gets_nothing_twice() {
    let process = Process::new(1);
    let place = |counter: &Counter| counter.id().0 % bucket::BUCKETS;
    let (first, mut owner) = (counter(12), Owner::new(12, false));
    let keys = (0..).map(|number| Counter::new(format!("other {number}"), first.limit(), first.cost, first.posture));
    let others: Vec<Counter> = keys.filter(|other| place(other) == place(&first)).take(bucket::ENTRIES).collect();
    let used =
        |counter: &Counter, owner: &mut Owner, now| (0..30).filter(|_| process.request(0, counter, owner, now)).count();
    assert_eq!(used(&first, &mut owner, START), 12);
    for other in &others {
        assert_eq!(used(other, &mut Owner::new(12, false), START + 1), 12);
    }
    // Its own part of the limit, and the owner's before, would be twice the limit.
    process.lost(0, START + 2_000);
    assert_eq!(used(&first, &mut owner, START + 2_000), 0);
    process.lost(0, START + 60_000);
    assert_eq!(used(&first, &mut owner, START + 60_000), 12, "the next window is its own");
}

#[test]
fn without_its_owner_a_process_has_its_part_and_no_more() {
    let check = |posture, replicas, leased_before: u64| {
        let process = Process::new(2);
        let counter = standing(posture, counter(12));
        let mut owner = Owner::new(12, false);
        process.workers.iter().for_each(|worker| worker.set_replicas(replicas));
        let before = (0..leased_before).filter(|_| process.request(0, &counter, &mut owner, START)).count() as u64;
        assert_eq!(before, leased_before);
        process.tick(0, &mut owner, START + 1_000);
        process.tick(0, &mut owner, START + 2_000);
        (0..2).for_each(|worker| process.lost(worker, START + 2_000));
        (0..40)
            .map(|turn| process.stock(turn % 2, &counter, START + 2_001 + turn as u64))
            .zip([0, 1].into_iter().cycle())
            .filter(|(stock, worker)| {
                let enough = *stock == Stock::Enough;
                if enough {
                    process.workers[*worker].take(&counter);
                }
                enough
            })
            .count()
    };
    assert_eq!(check(Posture::Local, 1, 0), 12);
    assert_eq!(check(Posture::Local, 3, 0), 4);
    assert_eq!(check(Posture::Local, 1, 5), 7, "what was leased before counts");
    assert_eq!(check(Posture::Deny, 1, 0), 0);
    assert_eq!(check(Posture::Allow, 1, 0), 0, "to pass uncounted is for the stage to decide");
}

#[test]
fn what_a_process_took_by_itself_comes_off_what_it_gets_later() {
    for leased_before in [0, 3] {
        let (process, counter) = (Process::new(1), counter(12));
        let mut owner = Owner::new(12, false);
        // An answer that got lost: the owner counts it, the process never had it.
        let mut passed =
            (0..leased_before).filter(|_| process.request(0, &counter, &mut Owner::new(3, false), START)).count();
        owner.lease(&ask(&counter, leased_before), START);
        process.lost(0, START + 1);
        passed += (0..5).filter(|_| process.request(0, &counter, &mut owner, START + 2)).count();
        // The owner is back, and has not heard of what was taken meanwhile.
        passed += (0..40).filter(|_| process.request(0, &counter, &mut owner, START + 5_000)).count();
        assert!(passed <= 12, "{passed} with {leased_before} before");
        assert!(passed >= 9, "{passed} with {leased_before} before");
    }
}

#[test]
fn a_late_answer_stretches_no_lease() {
    let (process, counter) = (Process::new(1), counter(10));
    let ask = ask(&counter, 10);
    let grant = QuotaGrant { window: 1, granted: 10, left: 0, starts_in_ms: 0, ends_in_ms: 100, retry_in_ms: 100 };
    // The answer to a question of long ago.
    process.granted(0, &ask, &grant, START, START + 5_000);
    assert!(matches!(process.stock(0, &counter, START + 5_000), Stock::Unknown { .. }));
    process.granted(0, &ask, &QuotaGrant { ends_in_ms: 60_000, ..grant }, START, START);
    assert_eq!(process.stock(0, &counter, START + 1), Stock::Enough);
    // On a host whose only clock was set an hour back, the lease would live an hour longer.
    assert!(matches!(process.stock(0, &counter, START - 3_600_000), Stock::Unknown { .. }));
}

#[test]
fn traffic_that_goes_on_does_not_wait_at_the_edge_of_a_window() {
    let (process, counter) = (Process::new(2), counter(100_000));
    let mut owner = Owner::new(100_000, false);
    let mut waited = Vec::new();
    // 1,000 requests a second over two edges of windows.
    for millisecond in 0..130_000 {
        let (now, worker) = (START + millisecond, (millisecond % 2) as usize);
        if millisecond % 100 < 2 {
            process.tick(worker, &mut owner, now);
        }
        if matches!(process.stock(worker, &counter, now), Stock::Unknown { .. }) {
            waited.push(millisecond);
        }
        assert!(process.request(worker, &counter, &mut owner, now), "{millisecond}");
    }
    assert!(waited.iter().all(|millisecond| *millisecond < 1_000), "{waited:?}");
}

#[test]
fn what_was_leased_ahead_waits_for_its_window() {
    let (process, counter) = (Process::new(1), counter(10));
    let (edge, mut owner) = (START / 60_000 * 60_000 + 60_000, Owner::new(10, false));
    let mut passed = [0, 0];
    for now in edge - 500..edge + 500 {
        if now % 100 == 0 {
            process.tick(0, &mut owner, now);
        }
        let window = usize::from(now >= edge);
        passed[window] += usize::from(process.request(0, &counter, &mut owner, now));
    }
    assert_eq!((owner.ahead, passed), (0, [10, 10]));
}

#[test]
fn a_late_answer_about_the_last_window_takes_nothing_of_this_one() {
    let (process, counter) = (Process::new(1), counter(10));
    let (edge, mut owner) = (START / 60_000 * 60_000 + 60_000, Owner::new(10, false));
    while process.request(0, &counter, &mut owner, edge - 500) {}
    process.tick(0, &mut owner, edge - 200);
    // Nothing is left before the edge, which is told after it.
    let question = ask(&counter, 4);
    let late = owner.lease(&question, edge - 1);
    assert_eq!(late.granted, 0);
    assert!(process.request(0, &counter, &mut owner, edge + 1));
    process.granted(0, &question, &late, edge - 1, edge + 2);
    let rest = (0..20).filter(|_| process.request(0, &counter, &mut owner, edge + 3)).count();
    assert_eq!(rest, 9);
}

#[test]
fn an_owner_that_forgets_gives_no_process_more_than_the_limit() {
    let (process, counter) = (Process::new(2), counter(100));
    let mut passed = 0;
    for turn in 0..10 {
        // All that was leased is forgotten, again and again, within one window.
        let mut owner = Owner::new(100, false);
        for step in 0..60 {
            let now = START + turn * 2_000 + step * 30;
            process.tick(0, &mut owner, now);
            passed += u64::from(process.request((step % 2) as usize, &counter, &mut owner, now));
        }
    }
    assert_eq!(passed, 100);
}

/// How many of so many requests as anybody makes are let through at a moment at which the owner cannot be asked.
fn helps_itself(process: &Process, counter: &Counter, now: u64) -> u64 {
    process.lost(0, now);
    (0..40).map(|_| u64::from(process.request(0, counter, &mut Owner::new(0, false), now))).sum()
}

/// A process that was leased 5 of 12 for the window that begins at [`START`], by an answer that was so late that the lease
/// ends 400 ms before the window, and that has used them.
fn leased_by_a_late_answer(owner: &mut Owner) -> (Process, Counter) {
    let (process, counter) = (Process::new(1), counter(12));
    let ask = ask(&counter, 5);
    let grant = owner.lease(&ask, START + 1_400);
    process.granted(0, &ask, &grant, START + 1_000, START + 1_400);
    for _ in 0..5 {
        assert_eq!(process.stock(0, &counter, START + 1_400), Stock::Enough);
        process.workers[0].take(&counter);
    }
    (process, counter)
}

#[test]
fn a_lease_that_ends_early_opens_no_second_window() {
    let mut owner = Owner::new(12, false);
    let (process, counter) = leased_by_a_late_answer(&mut owner);
    assert_eq!(helps_itself(&process, &counter, START + 59_650), 7, "what was leased counts until the window ends");
    assert_eq!(helps_itself(&process, &counter, START + 59_999), 0);
    assert_eq!(helps_itself(&process, &counter, START + 60_000), 12, "nothing of it counts in the next one");
}

#[test]
fn what_a_process_took_by_itself_outlives_a_lease_that_ends_early() {
    let mut owner = Owner::new(12, false);
    let (process, counter) = leased_by_a_late_answer(&mut owner);
    assert_eq!(helps_itself(&process, &counter, START + 2_000), 7);
    // The owner is back, and thinks that 7 are left.
    let passed = |owner: &mut Owner, now| (0..40).filter(|_| process.request(0, &counter, owner, now)).count();
    assert_eq!(passed(&mut owner, START + 59_650), 0);
    assert_eq!(passed(&mut owner, START + 60_000), 12);
}

#[test]
fn what_was_leased_ahead_of_a_window_that_has_begun_is_part_of_it() {
    let mut owner = Owner::new(12, false);
    let counter = counter(12);
    let ahead = QuotaAsk { ahead: true, ..ask(&counter, 5) };
    let late = owner.lease(&ahead, START - 200);
    let (process, counter) = leased_by_a_late_answer(&mut owner);
    assert_eq!(helps_itself(&process, &counter, START + 2_000), 7);
    process.granted(0, &ahead, &late, START - 200, START + 2_100);
    // Neither now nor once the lease has ended is it more than the limit.
    assert_eq!(helps_itself(&process, &counter, START + 2_200), 0);
    assert_eq!(helps_itself(&process, &counter, START + 59_650), 0);
}

/// Nothing but the steady clock counts: the time of day may be anything.
#[test]
fn setting_the_clock_of_the_host_opens_no_window_again() {
    let process = Process::new(1);
    let counter = standing(Posture::Local, counter(10));
    process.lost(0, START);
    let wall = |step: u64| [START, START - 90_000, START + 20_000, START - 59_000][step as usize % 4];
    let mut passed = 0;
    for step in 0..40 {
        process.lost(0, START + step * 900);
        process.workers[0].begin(nanos(wall(step)));
        if process.workers[0].stock(&counter, Timestamp(wall(step))) == Stock::Enough {
            process.workers[0].take(&counter);
            passed += 1;
        }
    }
    // 36 seconds: one window, or two when an edge lies between.
    assert!(passed <= 20, "{passed}");
}

mod bytes;
mod schedules;
