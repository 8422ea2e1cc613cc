//! The arithmetic of what a process holds of a counter: windows that turn, grants that are added, parts that are drawn. Pure.
//!
//! Must never make more of a grant than was granted, nor let one window's be used in another.

use tollgate_enforce::Counter;
use tollgate_model::{QuotaAsk, QuotaGrant, QuotaUnit, TimeUnit, Window};

use super::bucket::{Entry, Next};

/// Requests' worth of quota a worker draws at most.
const CHUNK: u64 = 64;
/// Requests' worth of quota that is asked for first.
pub(super) const FIRST_WANT: u64 = 16;
/// A lease that lasts shorter than this was too small, and the next one is twice as large.
const LEASE_MS: u64 = 1_000;
/// After so long it is worth asking an owner again that had nothing left: others may have given something back.
const REFUSED_MS: u64 = 1_000;

/// A question about more quota is asked again when its answer has not come by then.
const ASKING_MS: u64 = 1_000;

/// Goes on with the next window, once it has begun and if some of it was leased ahead.
pub(super) const fn turn(entry: &mut Entry, now: u64) {
    let Next { window, left, starts, ends, over, spare } = entry.next;
    if now < entry.ends || now < starts || left == 0 {
        return;
    }
    entry.next = Next { window: 0, left: 0, starts: 0, ends: 0, over: 0, spare: 0 };
    if ends <= now {
        return;
    }
    *entry = Entry {
        window,
        left,
        ends,
        over,
        leased: left,
        own: 0,
        asked: starts,
        asking_until: 0,
        refused_until: 0,
        drawn: now,
        spare,
        owed: entry.owed_next,
        owed_next: 0,
        ..*entry
    };
    settle(entry);
}

/// Covers what is owed with what is left.
pub(super) const fn settle(entry: &mut Entry) {
    let paid = if entry.owed < entry.left { entry.owed } else { entry.left };
    entry.left = entry.left.saturating_sub(paid);
    entry.owed = entry.owed.saturating_sub(paid);
}

/// Takes so much that is used already, whether it is there or not. A lease is to last for some more of the same size.
pub(super) fn spend(entry: Option<Entry>, id: u128, limit: u64, amount: u64, now: u64) -> Entry {
    let mut entry = Entry { id, drawn: now, ..entry.unwrap_or_default() };
    entry.want = entry.want.max(amount.saturating_mul(FIRST_WANT)).clamp(1, limit.max(1));
    if entry.is_current(now) {
        entry.owed = entry.owed.saturating_add(amount);
        settle(&mut entry);
    } else {
        entry.owed_next = entry.owed_next.saturating_add(amount);
    }
    entry
}

/// Adds a grant to what the process has of that window.
pub(super) fn merge(entry: Option<Entry>, id: u128, ask: &QuotaAsk, grant: &QuotaGrant, sent: u64, now: u64) -> Entry {
    let entry = entry.unwrap_or_default();
    // Where the window has begun in the meantime, this is more of it.
    if ask.ahead && grant.starts_in_ms > 0 && entry.window != grant.window {
        return with_next(Entry { id, ..entry }, ask, grant, sent, now);
    }
    // The window ends so long after the question, not after the answer.
    let ends = sent.saturating_add(grant.ends_in_ms);
    let current = Some(entry).filter(|entry| entry.is_current(now));
    // An answer about a window that is over must not replace what is held of the next one.
    if ends <= now || current.is_some_and(|current| current.window > grant.window) {
        return Entry { id, ..entry };
    }
    let begun = Entry { left: entry.next.left, leased: entry.next.left, ends: entry.next.ends, ..Entry::default() };
    let same = match current {
        // A window that this process had to itself goes on as the owner's.
        Some(current) if current.window == grant.window || current.window < 0 => current,
        _ if entry.next.window == grant.window && now < entry.next.ends => begun,
        // A late answer made the lease end before its window: what the process had of that still counts.
        _ if entry.window == grant.window => entry,
        _ => Entry::default(),
    };
    let owed = same.owed.saturating_add(entry.owed_next);
    // What it took by itself comes off what it gets now, so that a lost answer never adds to the limit. An owner that has
    // forgotten what is out cannot give a process more than the limit either.
    let own = same.own.min(grant.granted);
    let room = ask.limit.amount.saturating_sub(same.leased);
    let granted = grant.granted.saturating_sub(own).min(room);
    let too_small = current.is_some_and(|entry| sent.saturating_sub(entry.asked) < LEASE_MS);
    // What is owed was wanted only once.
    let usual = if owed > 0 { entry.want } else { ask.want };
    let want = if too_small { usual.saturating_mul(2) } else { usual };
    let mut merged = Entry {
        id,
        window: grant.window,
        left: same.left.saturating_add(granted),
        ends: if same.ends <= now { ends } else { same.ends.min(ends) },
        over: now.saturating_add(grant.ends_in_ms),
        leased: same.leased.saturating_add(granted),
        own: same.own.saturating_sub(own),
        asked: sent,
        asking_until: 0,
        refused_until: if grant.granted == 0 {
            now.saturating_add(grant.retry_in_ms.min(REFUSED_MS)).min(ends)
        } else {
            0
        },
        want: want.clamp(1, ask.limit.amount.max(1)),
        drawn: now,
        ahead_of: entry.ahead_of,
        spare: grant.left,
        owed,
        owed_next: 0,
        next: if entry.next.window == grant.window { Next::default() } else { entry.next },
    };
    settle(&mut merged);
    merged
}

/// Keeps what was leased of the next window until it begins: so long after the answer, as it must not be used too early.
fn with_next(entry: Entry, ask: &QuotaAsk, grant: &QuotaGrant, sent: u64, now: u64) -> Entry {
    let same = Some(entry.next).filter(|next| next.window == grant.window && now < next.ends).unwrap_or_default();
    let starts = now.saturating_add(grant.starts_in_ms);
    let ends = sent.saturating_add(grant.ends_in_ms);
    let next = Next {
        window: grant.window,
        left: same.left.saturating_add(grant.granted).min(ask.limit.amount),
        starts: starts.max(same.starts),
        ends: if same.ends == 0 { ends } else { same.ends.min(ends) },
        over: now.saturating_add(grant.ends_in_ms),
        spare: grant.left,
    };
    Entry { next, ..entry }
}

/// The window in which this process counts for itself once its lease has ended: the owner's, where that may still go on, or
/// one that it has to itself, whose number is never one of the owner's. `wall` is the time of day.
pub(super) fn own_window(id: u128, counter: &Counter, before: Option<Entry>, wall: u64, now: u64) -> Entry {
    let length = length_ms(counter.limit().window);
    let number = wall.checked_div(length).unwrap_or(0);
    let begun = now.saturating_sub(wall.checked_rem(length).unwrap_or(0));
    let ends = number.saturating_add(1).saturating_mul(length).saturating_sub(wall).saturating_add(now);
    if let Some(same) = before.filter(|before| goes_on(before, begun, now)) {
        return Entry { ends: ends.min(same.over), drawn: now, ..same };
    }
    let window = i64::try_from(number).unwrap_or(i64::MAX).saturating_neg().saturating_sub(1);
    let want = first_want(counter);
    let owed = before.map_or(0, |before| before.owed_next);
    let new = Entry { id, window, ends, over: ends, asked: now, want, drawn: now, owed, ..Entry::default() };
    match before {
        // Numbers of own windows fall. A clock that was set back must not open one again.
        Some(before) if before.window < 0 && before.window <= window => {
            Entry { window: before.window, leased: before.leased, own: before.own, ..new }
        }
        _ => new,
    }
}

/// Whether the owner's window may go on although its lease has ended, as one does whose answer was late: neither is it over by
/// what the owner said, nor has the time of day passed an edge since, after which another window `begun`.
const fn goes_on(before: &Entry, begun: u64, now: u64) -> bool {
    before.window >= 0 && before.asked <= now && now < before.over && begun < before.ends
}

/// Whether it is time to ask for more. Then nobody else asks while that question is under way.
pub(super) const fn runs_low(entry: &mut Entry, now: u64) -> bool {
    let low = entry.left < entry.want / 2 && now >= entry.refused_until && now >= entry.asking_until;
    if low {
        entry.asking_until = now.saturating_add(ASKING_MS);
    }
    low
}

/// How much to ask for: a lease, and what is owed already.
pub(super) const fn wanted(entry: &Entry) -> u64 {
    entry.want.saturating_add(entry.owed).saturating_add(entry.owed_next)
}

/// How much a worker draws: less as less is left, so that the last of it is not scattered over the workers. What is
/// `small` may be, up to half of it.
pub(super) fn chunk_size(left: u64, cost: u64, small: u64) -> u64 {
    if left < cost {
        return 0;
    }
    (left / 8).max(small.min(left / 2)).clamp(cost, cost.saturating_mul(CHUNK)).min(left)
}

pub(super) fn first_want(counter: &Counter) -> u64 {
    match counter.limit().unit {
        QuotaUnit::Requests => counter.cost.max(FIRST_WANT),
        QuotaUnit::Bytes => counter.cost.saturating_mul(FIRST_WANT),
    }
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
