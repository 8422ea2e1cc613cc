//! Several workers of one process, several processes, and an owner that keeps the rules: what gets through, and what not.

use std::rc::Rc;

use proptest::prelude::*;
use tollgate_enforce::{Counter, Quotas, Stock, Timestamp};
use tollgate_model::{Limit, Posture, QuotaAsk, QuotaGrant, QuotaUnit, TimeUnit, Window};

use super::QuotaPool;
use crate::fake::FakeEnvoy;
use crate::metrics::Metrics;

/// Leases one counter with windows of a minute; hands out half of what is left to each who asks when several share it.
struct Owner {
    limit: u64,
    window: i64,
    leased: u64,
    sharing: bool,
}

impl Owner {
    fn new(limit: u64, sharing: bool) -> Self {
        Self { limit, window: 0, leased: 0, sharing }
    }

    fn lease(&mut self, ask: &QuotaAsk, now: u64) -> QuotaGrant {
        let window = i64::try_from(now / 60_000).unwrap();
        if window > self.window {
            (self.window, self.leased) = (window, 0);
        }
        if let Some(unused) = ask.unused.filter(|unused| unused.window == self.window) {
            assert!(unused.amount <= self.leased, "more came back than was leased");
            self.leased -= unused.amount;
        }
        let left = self.limit - self.leased;
        let granted = ask.want.min(if self.sharing { left.div_ceil(2) } else { left });
        self.leased += granted;
        let ends_in_ms = 60_000 - now % 60_000;
        QuotaGrant { window, granted, ends_in_ms, retry_in_ms: if self.sharing { 250 } else { ends_in_ms } }
    }
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

    /// One request: whether it is let through, asking the owner as often as it must.
    fn request(&self, worker: usize, counter: &Counter, owner: &mut Owner, now: u64) -> bool {
        let pool = &self.workers[worker];
        for _ in 0..4 {
            match pool.stock(counter, Timestamp(now)) {
                Stock::Enough => {
                    pool.take(counter, Timestamp(now));
                    return true;
                }
                Stock::Exhausted { until } => {
                    assert!(until.0 > now);
                    return false;
                }
                Stock::Unknown { want } => {
                    let ask = QuotaAsk { key: counter.key.clone(), limit: counter.limit, want, unused: None };
                    let grant = owner.lease(&ask, now);
                    pool.granted(&ask, &grant, Timestamp(now), Timestamp(now));
                }
                Stock::Lost => return false,
            }
        }
        false
    }

    fn tick(&self, worker: usize, owner: &mut Owner, now: u64) {
        for ask in self.workers[worker].on_tick(Timestamp(now)) {
            let grant = owner.lease(&ask, now);
            self.workers[worker].granted(&ask, &grant, Timestamp(now), Timestamp(now));
        }
    }
}

const START: u64 = 1_800_000_000_000;

fn counter(amount: u64) -> Counter {
    let window = Window { count: 1, unit: TimeUnit::Minute };
    let limit = Limit { amount, unit: QuotaUnit::Requests, window };
    Counter { key: "k".to_owned(), limit, cost: 1, posture: Posture::Local }
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
        match process.workers[0].stock(&counter, Timestamp(now)) {
            Stock::Unknown { .. } => {
                asked += usize::from(millisecond > 1_000);
                assert!(process.request(0, &counter, &mut owner, now));
            }
            Stock::Enough => process.workers[0].take(&counter, Timestamp(now)),
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
    let calls = process.envoy.host_calls.borrow().len();
    assert!(calls <= 1_000 / 64 * 4, "{calls} host calls for 1,000 requests");
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

#[test]
fn what_went_back_can_be_had_again() {
    let (process, counter) = (Process::new(2), counter(7));
    let mut owner = Owner::new(7, false);
    assert!(process.request(0, &counter, &mut owner, START));
    // Another request asked at the same time, and got nothing.
    let ask = QuotaAsk { key: counter.key.clone(), limit: counter.limit, want: 16, unused: None };
    let grant = owner.lease(&ask, START);
    assert_eq!(grant.granted, 0);
    process.workers[1].granted(&ask, &grant, Timestamp(START), Timestamp(START));
    // Then nobody came for a while, and the lease went back.
    for tick in 1..45 {
        process.tick(0, &mut owner, START + tick * 100);
    }
    assert_eq!(owner.leased, 1);
    let rest = (0..20).filter(|turn| process.request(turn % 2, &counter, &mut owner, START + 5_000)).count();
    assert_eq!(rest, 6);
}

#[test]
fn without_its_owner_a_process_has_its_part_and_no_more() {
    let check = |posture, replicas, leased_before: u64| {
        let process = Process::new(2);
        let counter = Counter { posture, ..counter(12) };
        let mut owner = Owner::new(12, false);
        process.workers.iter().for_each(|worker| worker.set_replicas(replicas));
        let before = (0..leased_before).filter(|_| process.request(0, &counter, &mut owner, START)).count() as u64;
        assert_eq!(before, leased_before);
        process.tick(0, &mut owner, START + 1_000);
        process.tick(0, &mut owner, START + 2_000);
        process.workers.iter().for_each(|worker| worker.lost(Timestamp(START + 2_000)));
        (0..40)
            .map(|turn| process.workers[turn % 2].stock(&counter, Timestamp(START + 2_001 + turn as u64)))
            .zip([0, 1].into_iter().cycle())
            .filter(|(stock, worker)| {
                let enough = *stock == Stock::Enough;
                if enough {
                    process.workers[*worker].take(&counter, Timestamp(START + 2_100));
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
        let (pool, mut owner) = (&process.workers[0], Owner::new(12, false));
        // An answer that got lost: the owner counts it, the process never had it.
        let ask = |want| QuotaAsk { key: counter.key.clone(), limit: counter.limit, want, unused: None };
        let mut passed =
            (0..leased_before).filter(|_| process.request(0, &counter, &mut Owner::new(3, false), START)).count();
        owner.lease(&ask(leased_before), START);
        pool.lost(Timestamp(START + 1));
        passed += (0..5).filter(|_| process.request(0, &counter, &mut owner, START + 2)).count();
        // The owner is back, and has not heard of what was taken meanwhile.
        passed += (0..40).filter(|_| process.request(0, &counter, &mut owner, START + 5_000)).count();
        assert!(passed <= 12, "{passed} with {leased_before} before");
        assert!(passed >= 9, "{passed} with {leased_before} before");
    }
}

#[test]
fn a_clock_set_back_or_a_late_answer_stretches_no_lease() {
    let (process, counter) = (Process::new(1), counter(10));
    let pool = &process.workers[0];
    let ask = QuotaAsk { key: counter.key.clone(), limit: counter.limit, want: 10, unused: None };
    let grant = QuotaGrant { window: 1, granted: 10, ends_in_ms: 100, retry_in_ms: 100 };
    // The answer to a question of long ago.
    pool.granted(&ask, &grant, Timestamp(START), Timestamp(START + 5_000));
    assert!(matches!(pool.stock(&counter, Timestamp(START + 5_000)), Stock::Unknown { .. }));
    pool.granted(&ask, &QuotaGrant { ends_in_ms: 60_000, ..grant }, Timestamp(START), Timestamp(START));
    assert_eq!(pool.stock(&counter, Timestamp(START + 1)), Stock::Enough);
    // An hour back: the lease would live an hour longer.
    assert!(matches!(pool.stock(&counter, Timestamp(START - 3_600_000)), Stock::Unknown { .. }));
}

#[derive(Debug, Clone)]
enum Step {
    Request { process: usize, worker: usize },
    Tick { process: usize, worker: usize },
    Crash { process: usize },
    Wait { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let place = (0_usize..3, 0_usize..2);
    prop_oneof![
        20 => place.clone().prop_map(|(process, worker)| Step::Request { process, worker }),
        5 => place.prop_map(|(process, worker)| Step::Tick { process, worker }),
        1 => (0_usize..3).prop_map(|process| Step::Crash { process }),
        3 => (1_u64..900).prop_map(|ms| Step::Wait { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever the schedule, three processes of two workers let no more through in a window than its limit.
    #[test]
    fn no_schedule_passes_the_limit(limit in 1_u64..60, steps in prop::collection::vec(step(), 1..600)) {
        let counter = counter(limit);
        let mut processes: Vec<Process> = (0..3).map(|_| Process::new(2)).collect();
        let mut owner = Owner::new(limit, true);
        let (mut now, mut passed) = (START, std::collections::HashMap::new());
        for step in steps {
            match step {
                Step::Request { process, worker } => {
                    if processes[process].request(worker, &counter, &mut owner, now) {
                        *passed.entry(now / 60_000).or_insert(0) += 1;
                    }
                }
                Step::Tick { process, worker } => processes[process].tick(worker, &mut owner, now),
                Step::Crash { process } => processes[process] = Process::new(2),
                Step::Wait { ms } => now += ms,
            }
        }
        for (window, passed) in passed {
            prop_assert!(passed <= limit, "{passed} of {limit} in window {window}");
        }
    }
}
