//! Every interleaving of the lease protocol that a small world allows, one state after the other: two gateways, two windows, a
//! limit of two, messages that overtake each other, arrive late or never, gateways that crash, and an owner that restarts.
//!
//! The owner is the ledger itself. The gateways keep the rules of the protocol (`tollgate_model::QuotaGrant`) as simply as they
//! can be kept; that the filters keep them too is for their own tests.
#![allow(clippy::arithmetic_side_effects)]

use std::collections::{HashSet, VecDeque};

use jiff::tz::TimeZone;
use tollgate_model::{Limit, QuotaAsk, QuotaGrant, QuotaUnit, TimeUnit, Unused, Window};

use super::{Ledger, Mark};

const LIMIT: u64 = 2;
const GATEWAYS: usize = 2;
const START: i64 = 1_800_000_000_000;
/// A window has two moments, and there are two windows.
const MOMENT_MS: i64 = 30_000;
const MOMENTS: i64 = 4;
/// Messages that are on their way at a time.
const UNDER_WAY: usize = 2;
/// How much goes wrong, of whatever kind.
const FAULTS: u8 = 1;
/// Far more than there are: to find out that the world has become too large.
const MAX_STATES: usize = 3_000_000;

/// A lease as a gateway holds it: for which moments, and how much is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Lease {
    window: i64,
    left: u64,
    starts: i64,
    ends: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    gateway: usize,
    sent: i64,
    ask: Ask,
    /// What the owner has answered; not there yet while the question is on its way.
    answer: Option<(i64, u64, u64, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Ask {
    Now(u64),
    Ahead(u64),
    GiveBack { window: i64, amount: u64 },
}

#[derive(Debug, Clone)]
struct World {
    moment: i64,
    ledger: Ledger,
    leases: [Vec<Lease>; GATEWAYS],
    under_way: Vec<Message>,
    /// What was used in each window of real time.
    used: [u64; 2],
    /// How much may still go wrong.
    faults: u8,
}

/// All by which two worlds can be told apart.
type Seen = (i64, Option<Mark>, Vec<u64>, [Vec<Lease>; GATEWAYS], Vec<Message>, [u64; 2], u8);

impl World {
    fn new() -> Self {
        Self {
            moment: 0,
            ledger: Ledger::new(TimeZone::UTC),
            leases: Default::default(),
            under_way: Vec::new(),
            used: [0, 0],
            faults: FAULTS,
        }
    }

    fn now(&self) -> i64 {
        START + self.moment * MOMENT_MS
    }

    fn seen(&self) -> Seen {
        let holders = self.ledger.counters.get("k").map(|counter| counter.holders.clone()).unwrap_or_default();
        // Those of an earlier moment do not count any more.
        let mut holders: Vec<u64> =
            holders.into_iter().filter(|(_, seen)| *seen == self.now()).map(|(holder, _)| holder).collect();
        holders.sort_unstable();
        let mut under_way = self.under_way.clone();
        under_way.sort();
        (self.moment, self.ledger.mark("k"), holders, self.leases.clone(), under_way, self.used, self.faults)
    }

    /// Every world that may come next.
    fn next(&self) -> Vec<Self> {
        let mut worlds = Vec::new();
        for gateway in 0..GATEWAYS {
            self.gateway_acts(gateway, &mut worlds);
        }
        for message in 0..self.under_way.len() {
            self.message_moves(message, &mut worlds);
        }
        let mut also = |change: &dyn Fn(&mut Self)| {
            let mut world = self.clone();
            change(&mut world);
            worlds.push(world);
        };
        if self.moment + 1 < MOMENTS {
            also(&|world| {
                world.moment += 1;
                let now = world.now();
                world.leases.iter_mut().for_each(|leases| leases.retain(|lease| now < lease.ends));
            });
        }
        if self.faults > 0 {
            also(&|world| {
                world.faults -= 1;
                let mark = world.ledger.mark("k");
                world.ledger = Ledger::new(TimeZone::UTC);
                if let Some(mark) = mark {
                    world.ledger.restore("k", mark, world.now());
                }
            });
        }
        worlds
    }

    fn gateway_acts(&self, gateway: usize, worlds: &mut Vec<Self>) {
        let now = self.now();
        for (at, lease) in self.leases[gateway].iter().enumerate() {
            if lease.left > 0 && now < lease.ends {
                if lease.starts <= now {
                    let mut world = self.clone();
                    world.leases[gateway][at].left -= 1;
                    world.leases[gateway].retain(|lease| lease.left > 0);
                    world.used[usize::from(self.moment >= MOMENTS / 2)] += 1;
                    worlds.push(world);
                }
                // What was not heard goes back like this too, before its window has begun.
                if self.under_way.len() < UNDER_WAY {
                    let mut world = self.clone();
                    let Lease { window, left, .. } = world.leases[gateway].remove(at);
                    world.send(gateway, Ask::GiveBack { window, amount: left });
                    worlds.push(world);
                }
            }
        }
        // One question at a time is enough to overtake what is given back.
        let asks = |message: &Message| message.gateway == gateway && !matches!(message.ask, Ask::GiveBack { .. });
        if self.under_way.len() < UNDER_WAY && !self.under_way.iter().any(asks) {
            // As the filters do: shortly before the edge. What comes after the second window is nobody's business.
            let ahead = (self.moment == MOMENTS / 2 - 1).then_some(Ask::Ahead(LIMIT));
            for ask in [Ask::Now(LIMIT)].into_iter().chain(ahead) {
                let mut world = self.clone();
                world.send(gateway, ask);
                worlds.push(world);
            }
        }
        if self.faults > 0 && !self.leases[gateway].is_empty() {
            let mut world = self.clone();
            world.faults -= 1;
            world.leases[gateway].clear();
            // Nobody is there to take what was asked for, but the owner may still get the question.
            world.under_way.retain(|message| message.gateway != gateway || message.answer.is_none());
            worlds.push(world);
        }
    }

    fn send(&mut self, gateway: usize, ask: Ask) {
        let sent = if matches!(ask, Ask::GiveBack { .. }) { START } else { self.now() };
        self.under_way.push(Message { gateway, sent, ask, answer: None });
    }

    fn message_moves(&self, message: usize, worlds: &mut Vec<Self>) {
        if self.faults > 0 {
            let mut world = self.clone();
            world.faults -= 1;
            world.under_way.remove(message);
            worlds.push(world);
        }
        let mut world = self.clone();
        let mut moved = world.under_way.remove(message);
        match moved.answer {
            None => {
                let grant = world.ledger.ask(&ask(moved.ask), moved.gateway as u64, world.now()).unwrap();
                let QuotaGrant { window, granted, starts_in_ms, ends_in_ms, .. } = grant;
                // An answer that grants nothing changes nothing, whenever it arrives.
                if granted > 0 {
                    moved.answer = Some((window, granted, starts_in_ms, ends_in_ms));
                    world.under_way.push(moved);
                }
            }
            Some((window, left, starts_in, ends_in)) => {
                // Not before it is sure to have begun, and not after it may have ended.
                let now = world.now();
                let starts = now + i64::try_from(starts_in).unwrap();
                let ends = moved.sent + i64::try_from(ends_in).unwrap();
                // What is held of one window is one lease, for as long as all of it is good.
                match world.leases[moved.gateway].iter_mut().find(|lease| lease.window == window) {
                    Some(held) => {
                        *held = Lease {
                            window,
                            left: held.left + left,
                            starts: starts.max(held.starts),
                            ends: ends.min(held.ends),
                        }
                    }
                    None if now < ends => {
                        world.leases[moved.gateway].push(Lease { window, left, starts, ends });
                        world.leases[moved.gateway].sort();
                    }
                    None => {}
                }
            }
        }
        worlds.push(world);
    }
}

fn ask(ask: Ask) -> QuotaAsk {
    let window = Window { count: 1, unit: TimeUnit::Minute };
    let limit = Limit { amount: LIMIT, unit: QuotaUnit::Requests, window };
    let (want, ahead, unused) = match ask {
        Ask::Now(want) => (want, false, None),
        Ask::Ahead(want) => (want, true, None),
        Ask::GiveBack { window, amount } => (0, false, Some(Unused { window, amount })),
    };
    QuotaAsk { key: "k".to_owned(), limit, want, unused, ahead }
}

#[test]
fn no_interleaving_uses_more_than_the_limit() {
    let first = World::new();
    let (mut seen, mut open) = (HashSet::from([first.seen()]), VecDeque::from([first]));
    let mut best = [0, 0];
    while let Some(world) = open.pop_front() {
        assert!(world.used.iter().all(|used| *used <= LIMIT), "{world:#?}");
        best = [best[0].max(world.used[0]), best[1].max(world.used[1])];
        assert!(seen.len() < MAX_STATES, "the world has become too large to be explored");
        for next in world.next() {
            if seen.insert(next.seen()) {
                open.push_back(next);
            }
        }
    }
    assert_eq!(best, [LIMIT, LIMIT], "all of a limit can be used");
    assert!(seen.len() > 10_000, "{} states are too few to have been everywhere", seen.len());
}
