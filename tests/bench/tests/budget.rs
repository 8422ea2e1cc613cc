//! What a request may cost. Whoever makes it cost more finds out here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test reports by panicking"
)]

use std::alloc::System;
use std::collections::BTreeMap;
use std::sync::Mutex;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tollgate_bench::scenario::Scenario;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations are those of the whole process, so one test measures at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Requests that averages are made of: many chunks of quota.
const REQUESTS: u32 = 12_800;

/// Of a request, what happens to one in a thousand at most.
const RARELY: f64 = 0.001;

/// Of a request that counts at four levels: how often it draws quota. Only this returns bytes; a draw lasts for some 64 requests of a counter.
const DRAWS: f64 = 0.08;

/// Per request: calls of the host by kind, and allocations.
fn cost(scenario: Scenario) -> (BTreeMap<&'static str, f64>, f64) {
    let _turn = TURN.lock();
    let bench = scenario.prepare().unwrap();
    // Counters have their places now, and allocate nothing any more.
    let before = run(&bench);
    let region = Region::new(ALLOCATOR);
    let after = run(&bench);
    let allocations = f64::from(u32::try_from(region.change().allocations).unwrap()) / f64::from(REQUESTS);
    let average = |(call, count): (&'static str, u64)| {
        let count = count - before.get(call).copied().unwrap_or_default();
        (call, f64::from(u32::try_from(count).unwrap()) / f64::from(REQUESTS))
    };
    (after.into_iter().map(average).collect(), allocations)
}

fn run(bench: &tollgate_bench::bare::Bench) -> BTreeMap<&'static str, u64> {
    for _ in 0..REQUESTS {
        bench.run().unwrap();
    }
    bench.counts()
}

#[track_caller]
fn check(scenario: Scenario, calls: &[(&str, f64)], allocations: f64) {
    let (measured, allocated) = cost(scenario);
    for (call, count) in &measured {
        let budget = calls.iter().find(|(name, _)| name == call).map_or(0.0, |(_, budget)| *budget);
        assert!(*count <= budget, "{}: {count} times {call}, of {budget}: {measured:?}", scenario.name());
    }
    assert!(allocated <= allocations, "{}: {allocated} allocations, of {allocations}", scenario.name());
}

#[test]
fn authentication_stays_within_its_budget() {
    let calls = [("headers", 1.0), ("now", 1.0), ("remove_header", 1.0)];
    check(Scenario::Authn, &calls, 3.0);
    check(Scenario::AuthnPaths, &calls, 8.0);
}

/// What four levels of limits add to a request whose counters are warm: now and then a draw.
#[test]
fn four_levels_of_limits_add_no_host_call_that_returns_bytes() {
    let ((limited, _), (unlimited, _)) = (cost(Scenario::Full), cost(Scenario::FullUnlimited));
    for (call, count) in &limited {
        let added = count - unlimited.get(call).copied().unwrap_or_default();
        let budget = match *call {
            "shared" | "set_shared" => DRAWS,
            _ => RARELY,
        };
        assert!(added <= budget, "{added} times {call}, of {budget}: {limited:?} {unlimited:?}");
    }
}

/// Six writes: credentials away; path, cluster, two policies; the record. Quota is drawn in chunks.
#[test]
fn everything_stays_within_its_budget() {
    let writes = [("remove_header", 1.0), ("set_header", 4.0), ("set_state", 1.0)];
    let quota = [("shared", DRAWS), ("set_shared", DRAWS)];
    // One request of thousands waits for a lease, and is decided a second time.
    let lease = ["call", "increment", "record", "resume"].map(|call| (call, RARELY));
    // Quota runs by a clock that nobody sets, which is rarely looked at.
    let clocks = [("now", 1.0 + RARELY), ("steady", RARELY)];
    let calls = [&[("headers", 1.0)][..], &clocks, &writes, &quota, &lease].concat();
    check(Scenario::Full, &calls, 6.0);
    check(Scenario::FullPaths, &calls, 14.0);
}
