//! The worker's chunks, and how they are drawn, asked for, and given back.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hashbrown::HashMap;
use tollgate_enforce::{Counter, Quotas, Stock, Timestamp};
use tollgate_model::{Limit, MAX_ASKS, Posture, QuotaAsk, QuotaGrant, QuotaUnit, TimeUnit, Unused, Window};

use super::bucket::{self, Entry};
use crate::Abi;
use crate::metrics::{Metrics, QUOTA_DEGRADED};

/// Chunks a worker keeps. Beyond it, those whose window has ended go, and then all.
const MAX_CHUNKS: usize = 65_536;
/// Counters a worker watches for being run down or left lying.
const MAX_WATCHED: usize = 65_536;
/// Requests' worth of quota a worker draws at most.
const CHUNK: u64 = 64;
/// Requests' worth of quota that is asked for first.
const FIRST_WANT: u64 = 16;
/// A lease that lasts shorter than this was too small, and the next one is twice as large.
const LEASE_MS: u64 = 1_000;
/// A chunk that was not used for so long goes back to the process.
const IDLE_MS: u64 = 500;
/// A lease that nobody drew from for so long goes back to its owner.
const IDLE_LEASE_MS: u64 = 3_000;
/// How often a lease is looked at that nobody draws from.
const LOOK_MS: u64 = 1_000;
/// After so long it is worth asking an owner again that had nothing left: others may have given something back.
const REFUSED_MS: u64 = 1_000;
/// A worker that was refused looks again after so long: others may have given something back.
const RECHECK_MS: u64 = 250;
/// After a failure the owner is not asked again for so long.
const LOST_MS: u64 = 1_000;
/// A question about more quota is asked again when its answer has not come by then.
const ASKING_MS: u64 = 1_000;

/// The worker's quota.
pub(crate) struct QuotaPool {
    abi: Rc<dyn Abi>,
    metrics: Rc<Metrics>,
    /// Processes that share a limit when each must count for itself.
    replicas: Cell<u64>,
    chunks: RefCell<HashMap<u128, Chunk>>,
    watched: RefCell<HashMap<u128, Watched>>,
    lost_until: Cell<u64>,
}

/// What this worker holds of a counter.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    window: i64,
    left: u64,
    /// End of the window.
    ends: u64,
    /// Nothing is there before.
    refused_until: u64,
    /// When it was last drawn or used.
    touched: u64,
}

/// A counter that this worker has drawn from.
#[derive(Debug, Clone)]
struct Watched {
    key: String,
    limit: Limit,
    /// Whether more is to be asked for at the next tick.
    wanted: bool,
    /// When its lease was last looked at.
    looked: u64,
}

/// What a draw found.
enum Drawn {
    Chunk(Chunk),
    Nothing { want: u64 },
}

impl QuotaPool {
    pub(crate) fn new(abi: Rc<dyn Abi>, metrics: Rc<Metrics>) -> Self {
        Self {
            abi,
            metrics,
            replicas: Cell::new(1),
            chunks: RefCell::default(),
            watched: RefCell::default(),
            lost_until: Cell::new(0),
        }
    }

    /// How many processes share a limit when each must count for itself.
    pub(crate) fn set_replicas(&self, replicas: u32) {
        self.replicas.set(u64::from(replicas.max(1)));
    }

    /// Takes what [`Quotas::stock`] has just said is there.
    pub(crate) fn take(&self, counter: &Counter, now: Timestamp) {
        if let Some(chunk) = self.chunks.borrow_mut().get_mut(&counter.id().0) {
            chunk.left = chunk.left.saturating_sub(counter.cost);
            chunk.touched = now.0;
        }
    }

    /// The owner's answer to an ask that was sent at `sent`.
    pub(crate) fn granted(&self, ask: &QuotaAsk, grant: &QuotaGrant, sent: Timestamp, now: Timestamp) {
        self.lost_until.set(0);
        self.metrics.record(QUOTA_DEGRADED, 0);
        if ask.want == 0 {
            return;
        }
        let id = id_of(ask);
        let merged = bucket::update(self.abi.as_ref(), id, now.0, |entry| {
            *entry = Some(merge(entry.filter(|entry| entry.is_current(now.0)), id, ask, grant, sent.0, now.0));
        });
        if merged.is_some() {
            // What was refused may be there now.
            self.chunks.borrow_mut().entry(id).and_modify(|chunk| chunk.refused_until = 0);
        }
    }

    /// The owner did not answer.
    pub(crate) fn lost(&self, now: Timestamp) {
        self.lost_until.set(now.0.saturating_add(LOST_MS));
        self.metrics.record(QUOTA_DEGRADED, 1);
    }

    /// What to ask the owner before anybody has to wait for it, and what to give back. To be called on every tick.
    pub(crate) fn on_tick(&self, now: Timestamp) -> Vec<QuotaAsk> {
        self.return_idle_chunks(now.0);
        if now.0 < self.lost_until.get() {
            return Vec::new();
        }
        let mut asks = Vec::new();
        self.watched.borrow_mut().retain(|id, watched| {
            // A look at what nobody asks for costs a host call, and can wait.
            let fresh = now.0.saturating_sub(watched.looked) < LOOK_MS;
            if asks.len() >= MAX_ASKS || (fresh && !watched.wanted) {
                return true;
            }
            watched.looked = now.0;
            let (ask, lease_left) = self.look_after(*id, watched, now.0);
            asks.extend(ask);
            lease_left || watched.wanted || self.chunks.borrow().contains_key(id)
        });
        asks
    }

    /// Asks for more when that is wanted; gives a lease back that nobody draws from. Says whether any of it is left.
    fn look_after(&self, id: u128, watched: &mut Watched, now: u64) -> (Option<QuotaAsk>, bool) {
        let ask = |want, unused| QuotaAsk { key: watched.key.clone(), limit: watched.limit, want, unused };
        if watched.wanted {
            watched.wanted = false;
            let want = bucket::update(self.abi.as_ref(), id, now, |entry| entry.as_ref().map(|entry| entry.want));
            return (want.flatten().map(|want| ask(want, None)), true);
        }
        let mut left = false;
        let idle = bucket::update(self.abi.as_ref(), id, now, |entry| {
            left = entry.is_some_and(|entry| entry.is_current(now) && entry.left > 0 && entry.own == 0);
            let idle = entry.as_mut().filter(|entry| left && now.saturating_sub(entry.drawn) > IDLE_LEASE_MS)?;
            // Out of reach before it is given back.
            let unused = Unused { window: idle.window, amount: std::mem::take(&mut idle.left) };
            idle.leased = idle.leased.saturating_sub(unused.amount);
            idle.want = FIRST_WANT;
            // The owner had nothing left, and has this much now.
            idle.refused_until = 0;
            Some(unused)
        });
        (idle.flatten().map(|unused| ask(0, Some(unused))), left)
    }

    /// Puts what this worker did not use lately back where others find it.
    fn return_idle_chunks(&self, now: u64) {
        self.chunks.borrow_mut().retain(|id, chunk| {
            if now >= chunk.ends || now < chunk.touched {
                return false;
            }
            if now.saturating_sub(chunk.touched) <= IDLE_MS || chunk.left == 0 {
                return true;
            }
            let returned = bucket::update(self.abi.as_ref(), *id, now, |entry| {
                if let Some(entry) = entry.as_mut().filter(|entry| entry.window == chunk.window) {
                    entry.left = entry.left.saturating_add(chunk.left);
                }
            });
            returned.is_none()
        });
    }

    fn draw(&self, id: u128, counter: &Counter, now: u64) -> Drawn {
        let mut low = false;
        let drawn = bucket::update(self.abi.as_ref(), id, now, |entry| {
            let Some(found) = entry.as_mut().filter(|entry| entry.is_current(now)) else {
                return Drawn::Nothing { want: first_want(counter) };
            };
            let amount = chunk_size(found.left, counter.cost);
            if amount == 0 && now >= found.refused_until {
                return Drawn::Nothing { want: found.want.max(counter.cost) };
            }
            if amount > 0 {
                found.left = found.left.saturating_sub(amount);
                found.drawn = now;
                low = found.left < found.want / 2 && now >= found.refused_until && now >= found.asking_until;
                if low {
                    // Nobody else asks while this question is under way.
                    found.asking_until = now.saturating_add(ASKING_MS);
                }
            }
            Drawn::Chunk(Chunk {
                window: found.window,
                left: amount,
                ends: found.ends,
                refused_until: if amount == 0 { found.refused_until.min(now.saturating_add(RECHECK_MS)) } else { 0 },
                touched: now,
            })
        });
        self.watch(id, counter, low, now);
        drawn.unwrap_or(Drawn::Nothing { want: first_want(counter) })
    }

    fn watch(&self, id: u128, counter: &Counter, wanted: bool, now: u64) {
        let mut watched = self.watched.borrow_mut();
        if watched.len() >= MAX_WATCHED && !watched.contains_key(&id) {
            watched.clear();
        }
        let entry = watched.entry(id);
        entry.and_modify(|watched| watched.wanted |= wanted).or_insert_with(|| Watched {
            key: counter.key.clone(),
            limit: counter.limit,
            wanted,
            looked: now,
        });
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
    fn grant_locally(&self, id: u128, counter: &Counter, now: u64) {
        let part = counter.limit.amount.checked_div(self.replicas.get()).unwrap_or(0);
        bucket::update(self.abi.as_ref(), id, now, |entry| {
            let mut current =
                entry.filter(|entry| entry.is_current(now)).unwrap_or_else(|| own_window(id, counter, now));
            let more = part.saturating_sub(current.leased);
            current.left = current.left.saturating_add(more);
            current.leased = current.leased.saturating_add(more);
            current.own = current.own.saturating_add(more);
            if current.left < counter.cost {
                current.refused_until = current.ends;
            }
            *entry = Some(current);
        });
    }
}

impl Quotas for QuotaPool {
    fn stock(&self, counter: &Counter, now: Timestamp) -> Stock {
        let id = counter.id().0;
        if let Some(chunk) = self.chunks.borrow().get(&id).filter(|chunk| chunk.touched <= now.0 && now.0 < chunk.ends)
        {
            if chunk.left >= counter.cost {
                return Stock::Enough;
            }
            if now.0 < chunk.refused_until {
                return Stock::Exhausted { until: Timestamp(chunk.ends) };
            }
        }
        // Once more after a lease that this process has granted itself.
        for _ in 0..2 {
            match self.draw(id, counter, now.0) {
                Drawn::Chunk(chunk) => {
                    let chunk = self.keep(id, chunk, now.0);
                    if chunk.left >= counter.cost {
                        return Stock::Enough;
                    }
                    return Stock::Exhausted { until: Timestamp(chunk.ends) };
                }
                Drawn::Nothing { want } if now.0 >= self.lost_until.get() => return Stock::Unknown { want },
                Drawn::Nothing { .. } if counter.posture == Posture::Local => self.grant_locally(id, counter, now.0),
                Drawn::Nothing { .. } => return Stock::Lost,
            }
        }
        Stock::Lost
    }
}

/// How much a worker draws: less as less is left, so that the last of it is not scattered over the workers.
fn chunk_size(left: u64, cost: u64) -> u64 {
    if left < cost {
        return 0;
    }
    (left / 8).clamp(cost, cost.saturating_mul(CHUNK)).min(left)
}

fn first_want(counter: &Counter) -> u64 {
    match counter.limit.unit {
        QuotaUnit::Requests => counter.cost.max(FIRST_WANT),
        QuotaUnit::Bytes => counter.cost.saturating_mul(FIRST_WANT),
    }
}

fn id_of(ask: &QuotaAsk) -> u128 {
    Counter { key: ask.key.clone(), limit: ask.limit, cost: 1, posture: Posture::Local }.id().0
}

/// Adds a grant to what the process has of that window.
fn merge(current: Option<Entry>, id: u128, ask: &QuotaAsk, grant: &QuotaGrant, sent: u64, now: u64) -> Entry {
    // A window that this process had to itself goes on as the owner's.
    let same = current.filter(|entry| entry.window == grant.window || entry.window < 0).unwrap_or_default();
    // What it took by itself comes off what it gets now, so that a lost answer never adds to the limit.
    let owed = same.own.min(grant.granted);
    let granted = grant.granted.saturating_sub(owed);
    let too_small = current.is_some_and(|entry| sent.saturating_sub(entry.asked) < LEASE_MS);
    let want = if too_small { ask.want.saturating_mul(2) } else { ask.want };
    // The window ends so long after the question, not after the answer.
    let ends = sent.saturating_add(grant.ends_in_ms);
    Entry {
        id,
        window: grant.window,
        left: same.left.saturating_add(granted),
        ends: if same.ends == 0 { ends } else { same.ends.min(ends) },
        leased: same.leased.saturating_add(granted),
        own: same.own.saturating_sub(owed),
        asked: sent,
        asking_until: 0,
        refused_until: if grant.granted == 0 {
            now.saturating_add(grant.retry_in_ms.min(REFUSED_MS)).min(ends)
        } else {
            0
        },
        want: want.clamp(1, ask.limit.amount.max(1)),
        drawn: now,
    }
}

/// A window that this process has to itself. Its number is never one of the owner's.
fn own_window(id: u128, counter: &Counter, now: u64) -> Entry {
    let length = length_ms(counter.limit.window);
    let number = now.checked_div(length).unwrap_or(0);
    let ends = number.saturating_add(1).saturating_mul(length);
    let window = i64::try_from(number).unwrap_or(i64::MAX).saturating_neg().saturating_sub(1);
    Entry { id, window, ends, asked: now, want: first_want(counter), drawn: now, ..Entry::default() }
}

/// How long a window is, to count for oneself; calendars are for the owner.
fn length_ms(window: Window) -> u64 {
    let unit = match window.unit {
        TimeUnit::Second => 1_000,
        TimeUnit::Minute => 60_000,
        TimeUnit::Hour => 3_600_000,
        TimeUnit::Day => 86_400_000,
        TimeUnit::Week => 604_800_000,
        TimeUnit::Month => 2_592_000_000,
        TimeUnit::Year => 31_536_000_000_u64,
    };
    unit.saturating_mul(u64::from(window.count.max(1)))
}
