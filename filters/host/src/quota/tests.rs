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

mod away;
mod bytes;
mod idle;
mod schedules;
