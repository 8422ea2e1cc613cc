//! Quota that nobody uses: who gets it, and when.

use super::*;

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
