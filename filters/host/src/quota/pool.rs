//! The worker's chunks, and how they are drawn, asked for, and given back.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hashbrown::HashMap;
use tollgate_enforce::{Counter, CounterId, Quotas, Standing, Stock, Timestamp};
use tollgate_model::{Limit, Posture, QuotaAsk, QuotaGrant, QuotaUnit};

use super::clock::{Clock, went_back};
use super::unheard::{Asked, Questions};
use super::upkeep::{LOOK_MS, SMALL_PART, Watched, idle_at};
use super::{bucket, lease};
use crate::metrics::{Metrics, QUOTA_DEGRADED};
use crate::{Abi, Nanos, Steady};

/// Chunks a worker keeps. Beyond it, those whose window has ended go, and then all.
const MAX_CHUNKS: usize = 65_536;
/// A worker that was refused looks again after so long: others may have given something back.
const RECHECK_MS: u64 = 250;
/// After a failure the owner is not asked again for so long.
const LOST_MS: u64 = 1_000;

/// The worker's quota.
pub(crate) struct QuotaPool {
    pub(super) abi: Rc<dyn Abi>,
    metrics: Rc<Metrics>,
    /// Processes that share a limit when each must count for itself.
    replicas: Cell<u64>,
    pub(super) chunks: RefCell<HashMap<u128, Chunk>>,
    pub(super) watched: RefCell<HashMap<u128, Watched>>,
    pub(super) lost_until: Cell<u64>,
    questions: Questions,
    /// The steady clock, the same for all levels of a request.
    clock: Clock,
}

/// What this worker holds of a counter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    pub(super) window: i64,
    pub(super) left: u64,
    /// End of the window.
    pub(super) ends: u64,
    /// Nothing is there before, for a request that takes `refused` or more.
    pub(super) refused_until: u64,
    refused: u64,
    /// When it was last drawn or used.
    pub(super) touched: u64,
    /// What others may still get, as far as is known.
    spare: u64,
    /// So little that it stays for a while.
    pub(super) small: u64,
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
        if let Some(watched) = self.watched.borrow_mut().get_mut(&id) {
            watched.look_at = watched.look_at.min(idle_at(now));
        }
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

    /// What the process has of a limit when each counts for itself.
    pub(super) fn part(&self, limit: Limit) -> u64 {
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

fn id_of(ask: &QuotaAsk) -> u128 {
    CounterId::of(&ask.key, ask.limit).0
}
