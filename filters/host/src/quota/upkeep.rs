//! What a worker does for its quota at every tick: asks for what will be needed soon, and gives back what nobody uses.
//!
//! Must cost little for what nothing has happened to: a worker may watch tens of thousands of counters.

use tollgate_enforce::Counter;
use tollgate_model::{Limit, MAX_ASKS, QuotaAsk, Unused};

use super::clock::went_back;
use super::lease::{self, FIRST_WANT};
use super::{QuotaPool, bucket};

/// Counters a worker watches for being run down or left lying.
const MAX_WATCHED: usize = 65_536;
/// A chunk that was not used for so long goes back to the process.
const IDLE_MS: u64 = 500;
/// A lease that nobody drew from for so long goes back to its owner.
const IDLE_LEASE_MS: u64 = 3_000;
/// Unless it is less than this part of what a process has of the limit. Of very many callers who come seldom, each would have to
/// wait for the owner every time, and nobody misses so little. A chunk as small stays as long as a lease, for it would be drawn again
/// and again.
pub(super) const SMALL_PART: u64 = 100;
/// How often a lease is looked at that is too small to go back.
pub(super) const LOOK_MS: u64 = 30_000;
/// So long before a window ends, traffic that goes on gets some of the next one.
const AHEAD_MS: u64 = 400;

/// A counter that this worker has drawn from.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    key: String,
    limit: Limit,
    /// Whether more is to be asked for at the next tick.
    pub(super) wanted: bool,
    /// Before then nobody can have left its lease alone for long. A look at it costs a host call.
    pub(super) look_at: u64,
    /// End of the window of the chunk that was drawn last.
    ends: u64,
    /// End of the window at which some of the next one was thought of.
    ahead_of: u64,
}

impl QuotaPool {
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
            if let Some(watched) = self.watched.borrow_mut().get_mut(id) {
                watched.look_at = now;
            }
            returned.is_none()
        });
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
}

/// When a lease has been left alone for long that was drawn from then.
pub(super) const fn idle_at(drawn: u64) -> u64 {
    drawn.saturating_add(IDLE_LEASE_MS).saturating_add(1)
}
