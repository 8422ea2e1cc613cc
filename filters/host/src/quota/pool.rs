//! The worker's chunks, and how they are drawn, asked for, and given back.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hashbrown::HashMap;
use tollgate_enforce::{Counter, CounterId, Quotas, Standing, Stock, Timestamp};
use tollgate_model::{Limit, MAX_ASKS, Posture, QuotaAsk, QuotaGrant, QuotaUnit, Unused};

use super::bucket;
use super::clock::{Clock, went_back};
use super::lease::{self, FIRST_WANT};
use super::unheard::{Asked, Questions};
use crate::metrics::{Metrics, QUOTA_DEGRADED};
use crate::{Abi, Nanos, Steady};

/// Chunks a worker keeps. Beyond it, those whose window has ended go, and then all.
const MAX_CHUNKS: usize = 65_536;
/// Counters a worker watches for being run down or left lying.
const MAX_WATCHED: usize = 65_536;
/// A chunk that was not used for so long goes back to the process.
const IDLE_MS: u64 = 500;
/// A lease that nobody drew from for so long goes back to its owner.
const IDLE_LEASE_MS: u64 = 3_000;
/// How often a lease is looked at that is too small to go back.
const LOOK_MS: u64 = 30_000;
/// Unless it is less than this part of what a process has of the limit. Of very many callers who come seldom, each would have to
/// wait for the owner every time, and nobody misses so little. A chunk as small stays as long as a lease, for it would be drawn again
/// and again.
const SMALL_PART: u64 = 100;
/// A worker that was refused looks again after so long: others may have given something back.
const RECHECK_MS: u64 = 250;
/// After a failure the owner is not asked again for so long.
const LOST_MS: u64 = 1_000;
/// So long before a window ends, traffic that goes on gets some of the next one.
const AHEAD_MS: u64 = 400;

/// The worker's quota.
pub(crate) struct QuotaPool {
    pub(super) abi: Rc<dyn Abi>,
    metrics: Rc<Metrics>,
    /// Processes that share a limit when each must count for itself.
    replicas: Cell<u64>,
    chunks: RefCell<HashMap<u128, Chunk>>,
    watched: RefCell<HashMap<u128, Watched>>,
    lost_until: Cell<u64>,
    questions: Questions,
    /// The steady clock, the same for all levels of a request.
    clock: Clock,
}

/// What this worker holds of a counter.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    window: i64,
    left: u64,
    /// End of the window.
    ends: u64,
    /// Nothing is there before, for a request that takes `refused` or more.
    refused_until: u64,
    refused: u64,
    /// When it was last drawn or used.
    touched: u64,
    /// What others may still get, as far as is known.
    spare: u64,
    /// So little that it stays for a while.
    small: u64,
}

/// A counter that this worker has drawn from.
#[derive(Debug, Clone)]
struct Watched {
    key: String,
    limit: Limit,
    /// Whether more is to be asked for at the next tick.
    wanted: bool,
    /// Before then nobody can have left its lease alone for long. A look at it costs a host call.
    look_at: u64,
    /// End of the window of the chunk that was drawn last.
    ends: u64,
    /// End of the window at which some of the next one was thought of.
    ahead_of: u64,
}

/// What a draw found.
enum Drawn {
    /// Now the worker has this, which may be nothing.
    Chunk(Chunk),
    /// Enough is there, and stays there for all workers.
    Shared(Chunk),
    /// The owner must be asked.
    Nothing { want: u64 },
}

impl QuotaPool {
    pub(crate) fn new(abi: Rc<dyn Abi>, metrics: Rc<Metrics>) -> Self {
        Self {
            clock: Clock::new(Rc::clone(&abi)),
            abi,
            metrics,
            replicas: Cell::new(1),
            chunks: RefCell::default(),
            watched: RefCell::default(),
            lost_until: Cell::new(0),
            questions: Questions::new(),
        }
    }

    /// How many processes share a limit when each must count for itself.
    pub(crate) fn set_replicas(&self, replicas: u32) {
        self.replicas.set(u64::from(replicas.max(1)));
    }

    /// To be called before a request is decided, with the time of day: what the clock said before is past.
    pub(crate) fn begin(&self, wall: Nanos) {
        self.clock.begin(wall);
    }

    /// Takes what [`Quotas::stock`] has just said is there.
    pub(crate) fn take(&self, counter: &Counter) {
        if counter.limit().unit == QuotaUnit::Bytes {
            return self.spend(counter, counter.cost);
        }
        let now = self.clock.now();
        if let Some(chunk) = self.chunks.borrow_mut().get_mut(&counter.id().0) {
            chunk.left = chunk.left.saturating_sub(counter.cost);
            chunk.touched = now;
        }
    }

    /// The owner's answer to an ask that was sent at `sent`.
    pub(crate) fn granted(&self, ask: &QuotaAsk, grant: &QuotaGrant, sent: Steady) {
        let now = self.abi.steady().0;
        self.lost_until.set(0);
        self.metrics.record(QUOTA_DEGRADED, 0);
        if ask.want == 0 {
            return;
        }
        let id = id_of(ask);
        let owed = bucket::update(self.abi.as_ref(), id, now, |entry| {
            let merged = lease::merge(*entry, id, ask, grant, sent.0, now);
            *entry = Some(merged);
            merged.owed > 0
        });
        let Some(owed) = owed.filter(|_| !ask.ahead) else { return };
        // It may be too much to stay.
        self.watched.borrow_mut().entry(id).and_modify(|watched| watched.look_at = watched.look_at.min(idle_at(now)));
        // What was refused may be there now.
        self.chunks.borrow_mut().entry(id).and_modify(|chunk| chunk.refused_until = 0);
        if owed && grant.granted > 0 {
            self.watched.borrow_mut().entry(id).and_modify(|watched| watched.wanted = true);
        }
    }

    /// A question that is about to be asked.
    pub(super) fn question(&self, asks: &[QuotaAsk]) -> Asked {
        self.questions.begin(asks, self.abi.steady())
    }

    /// Whether the owner is to be told of questions that were not heard, although nothing is asked.
    pub(super) fn is_to_tell(&self) -> bool {
        self.questions.are_unheard() && self.abi.steady().0 >= self.lost_until.get()
    }

    /// The owner did not answer.
    pub(crate) fn lost(&self) {
        self.lost_until.set(self.abi.steady().0.saturating_add(LOST_MS));
        self.metrics.record(QUOTA_DEGRADED, 1);
    }

    /// What to ask the owner before anybody has to wait for it, and what to give back. To be called on every tick.
    pub(crate) fn on_tick(&self) -> Vec<QuotaAsk> {
        let now = self.abi.steady().0;
        self.return_idle_chunks(now);
        if now < self.lost_until.get() {
            return Vec::new();
        }
        let mut asks = Vec::new();
        self.watched.borrow_mut().retain(|id, watched| {
            if asks.len() >= MAX_ASKS {
                return true;
            }
            asks.extend(self.look_ahead(*id, watched, now));
            if asks.len() >= MAX_ASKS || (now < watched.look_at && !watched.wanted) {
                return true;
            }
            let (ask, lease_left) = self.look_after(*id, watched, now);
            asks.extend(ask);
            lease_left || watched.wanted || self.chunks.borrow().contains_key(id)
        });
        asks
    }

    /// Asks for some of the next window when the current one is about to end and traffic goes on.
    fn look_ahead(&self, id: u128, watched: &mut Watched, now: u64) -> Option<QuotaAsk> {
        let ends = watched.ends;
        if now >= ends || ends.saturating_sub(now) > AHEAD_MS || watched.ahead_of == ends {
            return None;
        }
        let touched = self.chunks.borrow().get(&id)?.touched;
        if now.saturating_sub(touched) > IDLE_MS {
            return None;
        }
        watched.ahead_of = ends;
        let want = bucket::update(self.abi.as_ref(), id, now, |entry| {
            // One worker asks for all, and nobody while the owner is away.
            let entry = entry.as_mut().filter(|entry| entry.is_current(now) && entry.ahead_of != entry.ends)?;
            entry.ahead_of = entry.ends;
            (entry.window >= 0).then_some(entry.want)
        });
        let (key, limit) = (watched.key.clone(), watched.limit);
        want.flatten().map(|want| QuotaAsk { key, limit, want, unused: None, ahead: true })
    }

    /// Asks for more when that is wanted; gives a lease back that nobody draws from. Says whether any of it is left.
    fn look_after(&self, id: u128, watched: &mut Watched, now: u64) -> (Option<QuotaAsk>, bool) {
        let (key, limit) = (watched.key.clone(), watched.limit);
        let ask = |want, unused| QuotaAsk { key, limit, want, unused, ahead: false };
        if watched.wanted {
            watched.wanted = false;
            let want = bucket::update(self.abi.as_ref(), id, now, |entry| entry.as_ref().map(lease::wanted));
            return (want.flatten().map(|want| ask(want, None)), true);
        }
        let (small, mut left) = (self.part(limit) / SMALL_PART, false);
        watched.look_at = idle_at(now);
        let idle = bucket::update(self.abi.as_ref(), id, now, |entry| {
            entry.iter_mut().for_each(|entry| lease::turn(entry, now));
            let lease = entry.as_mut().filter(|entry| entry.is_current(now) && entry.left > 0 && entry.own == 0);
            left = lease.as_ref().is_some_and(|lease| now < idle_at(lease.drawn) || lease.left > small);
            let lease = lease?;
            if now < idle_at(lease.drawn) {
                watched.look_at = idle_at(lease.drawn);
                return None;
            }
            if lease.left <= small {
                watched.look_at = now.saturating_add(LOOK_MS);
                return None;
            }
            // Out of reach before it is given back.
            let unused = Unused { window: lease.window, amount: std::mem::take(&mut lease.left) };
            lease.leased = lease.leased.saturating_sub(unused.amount);
            lease.want = FIRST_WANT;
            // The owner had nothing left, and has this much now.
            lease.refused_until = 0;
            Some(unused)
        });
        (idle.flatten().map(|unused| ask(0, Some(unused))), left)
    }

    /// Puts what this worker did not use lately back where others find it.
    fn return_idle_chunks(&self, now: u64) {
        self.chunks.borrow_mut().retain(|id, chunk| {
            if now >= chunk.ends || went_back(chunk.touched, now) {
                return false;
            }
            let idle = if chunk.left > 0 && chunk.left <= chunk.small { IDLE_LEASE_MS } else { IDLE_MS };
            if now.saturating_sub(chunk.touched) <= idle {
                return true;
            }
            if chunk.left == 0 {
                return now < chunk.refused_until;
            }
            let returned = bucket::update(self.abi.as_ref(), *id, now, |entry| {
                if let Some(entry) = entry.as_mut().filter(|entry| entry.window == chunk.window) {
                    entry.left = entry.left.saturating_add(chunk.left);
                }
            });
            // With that the lease may be too much to stay.
            self.watched.borrow_mut().entry(*id).and_modify(|watched| watched.look_at = now);
            returned.is_none()
        });
    }

    /// What the process has of a limit when each counts for itself.
    fn part(&self, limit: Limit) -> u64 {
        limit.amount.checked_div(self.replicas.get()).unwrap_or(0)
    }

    fn draw(&self, id: u128, counter: &Counter, now: u64) -> Drawn {
        let small = self.part(counter.limit()) / SMALL_PART;
        let (mut low, mut stays) = (false, false);
        let drawn = bucket::update(self.abi.as_ref(), id, now, |entry| {
            entry.iter_mut().for_each(|entry| lease::turn(entry, now));
            let Some(found) = entry.as_mut().filter(|entry| entry.is_current(now)) else {
                let owed = entry.map_or(0, |entry| entry.owed_next);
                return Drawn::Nothing { want: lease::first_want(counter).saturating_add(owed) };
            };
            let amount = lease::chunk_size(found.left, counter.cost, small);
            if amount == 0 && now >= found.refused_until {
                return Drawn::Nothing { want: lease::wanted(found).max(counter.cost) };
            }
            let drawn = |left, spare| Chunk {
                window: found.window,
                left,
                ends: found.ends,
                refused: counter.cost,
                refused_until: if amount == 0 { found.refused_until.min(now.saturating_add(RECHECK_MS)) } else { 0 },
                touched: now,
                spare,
                small,
            };
            if amount > 0 && counter.limit().unit == QuotaUnit::Bytes {
                return Drawn::Shared(drawn(0, found.left.saturating_add(found.spare)));
            }
            let rest = found.left.saturating_sub(amount);
            let chunk = drawn(amount, rest.saturating_add(found.spare));
            if amount > 0 {
                found.left = rest;
                found.drawn = now;
                low = lease::runs_low(found, now);
                stays = rest <= small;
            }
            Drawn::Chunk(chunk)
        });
        let ends = match &drawn {
            Some(Drawn::Chunk(chunk) | Drawn::Shared(chunk)) => Some(chunk.ends),
            Some(Drawn::Nothing { .. }) | None => None,
        };
        let look_at = if stays { now.saturating_add(LOOK_MS) } else { idle_at(now) };
        self.watch(id, counter, low, look_at, ends);
        drawn.unwrap_or(Drawn::Nothing { want: lease::first_want(counter) })
    }

    /// Looks after a lease that was just drawn from, until the end of its window where that is known.
    pub(super) fn watch(&self, id: u128, counter: &Counter, wanted: bool, look_at: u64, ends: Option<u64>) {
        let mut watched = self.watched.borrow_mut();
        if watched.len() >= MAX_WATCHED && !watched.contains_key(&id) {
            watched.clear();
        }
        let watched = watched.entry(id).or_insert_with(|| Watched {
            key: counter.key().to_owned(),
            limit: counter.limit(),
            wanted,
            look_at: 0,
            ends: 0,
            ahead_of: 0,
        });
        watched.wanted |= wanted;
        watched.look_at = look_at;
        watched.ends = ends.unwrap_or(watched.ends);
    }

    /// Keeps a chunk, together with what was left of the last one.
    fn keep(&self, id: u128, mut chunk: Chunk, now: u64) -> Chunk {
        let mut chunks = self.chunks.borrow_mut();
        if let Some(old) = chunks.get(&id).filter(|old| old.window == chunk.window && now < old.ends) {
            chunk.left = chunk.left.saturating_add(old.left);
        }
        if chunks.len() >= MAX_CHUNKS {
            chunks.retain(|_, chunk| now < chunk.ends);
        }
        if chunks.len() >= MAX_CHUNKS {
            chunks.clear();
        }
        chunks.insert(id, chunk);
        chunk
    }

    /// Lets the process have its part of the window, less what it had already, because the owner is away.
    fn grant_locally(&self, id: u128, counter: &Counter, wall: Timestamp, now: u64) {
        let part = self.part(counter.limit());
        bucket::update_knowing(self.abi.as_ref(), id, now, |entry, forgotten| {
            let own = || lease::own_window(id, counter, *entry, wall.0, now);
            let mut current = entry.filter(|entry| entry.is_current(now)).unwrap_or_else(own);
            // Where it is not known what a counter had of this window, it may have had all of it.
            let known = entry.is_some() || !forgotten;
            let more = if known { part.saturating_sub(current.leased) } else { 0 };
            current.left = current.left.saturating_add(more);
            current.leased = current.leased.saturating_add(more);
            current.own = current.own.saturating_add(more);
            current.owed = current.owed.saturating_add(std::mem::take(&mut current.owed_next));
            lease::settle(&mut current);
            if current.left < counter.cost {
                current.refused_until = current.ends;
            }
            *entry = Some(current);
        });
    }
}

impl Quotas for QuotaPool {
    fn standing(&self, counter: &Counter, wall: Timestamp) -> Option<Standing> {
        let now = self.clock.now();
        let chunk = *self.chunks.borrow().get(&counter.id().0).filter(|chunk| now < chunk.ends)?;
        let until = Timestamp(wall.0.saturating_add(chunk.ends.saturating_sub(now)));
        Some(Standing { left: chunk.left.saturating_add(chunk.spare), until })
    }

    fn stock(&self, counter: &Counter, wall: Timestamp) -> Stock {
        let (id, now) = (counter.id().0, self.clock.now());
        let exhausted =
            |ends: u64| Stock::Exhausted { until: Timestamp(wall.0.saturating_add(ends.saturating_sub(now))) };
        if let Some(chunk) =
            self.chunks.borrow().get(&id).filter(|chunk| !went_back(chunk.touched, now) && now < chunk.ends)
        {
            if chunk.left >= counter.cost {
                return Stock::Enough;
            }
            if now < chunk.refused_until && counter.cost >= chunk.refused {
                return exhausted(chunk.ends);
            }
        }
        // Once more after a lease that this process has granted itself.
        for _ in 0..2 {
            match self.draw(id, counter, now) {
                Drawn::Chunk(chunk) => {
                    let chunk = self.keep(id, chunk, now);
                    return if chunk.left >= counter.cost { Stock::Enough } else { exhausted(chunk.ends) };
                }
                Drawn::Shared(chunk) => {
                    self.keep(id, chunk, now);
                    return Stock::Enough;
                }
                Drawn::Nothing { want } if now >= self.lost_until.get() => return Stock::Unknown { want },
                Drawn::Nothing { .. } if counter.posture == Posture::Local => {
                    self.grant_locally(id, counter, wall, now);
                }
                Drawn::Nothing { .. } => return Stock::Lost,
            }
        }
        Stock::Lost
    }
}

/// When a lease has been left alone for long that was drawn from then.
pub(super) const fn idle_at(drawn: u64) -> u64 {
    drawn.saturating_add(IDLE_LEASE_MS).saturating_add(1)
}

fn id_of(ask: &QuotaAsk) -> u128 {
    CounterId::of(&ask.key, ask.limit).0
}
