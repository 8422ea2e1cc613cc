//! An owner who is away, late, or forgets.

use super::*;

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
