//! Leases of the process in shared data: a fixed number of buckets, each with room for a few counters, so that nothing a
//! client sends can make the set of keys grow. Must never hold more of a counter than was leased.

use super::shared_key;
use crate::{Abi, Status};

/// Buckets of a process. With [`ENTRIES`] this bounds the counters in use at a time, and memory to some 24 MB.
pub(super) const BUCKETS: u128 = 16_384;
/// Counters that share a bucket.
pub(super) const ENTRIES: usize = 8;
/// Bytes of an entry: an id and so many numbers.
const ENTRY: usize = 16 + NUMBERS * 8;
const NUMBERS: usize = 21;
/// How often a write is tried when other workers write to the same bucket.
const TRIES: usize = 16;

/// What the process holds of one counter. Times are milliseconds of the steady clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: u128,
    /// Window of the lease.
    pub(super) window: i64,
    /// What is left of it for all workers.
    pub(super) left: u64,
    /// When the window ends at the earliest, and with it the lease.
    pub(super) ends: u64,
    /// When the window ends at the latest. It may go on for as long as an answer was on its way after the lease has ended.
    pub(super) over: u64,
    /// What of the window this process had in all.
    pub(super) leased: u64,
    /// What of that it took by itself, because the owner was away. Such a lease is not given back.
    pub(super) own: u64,
    /// When it was last asked for.
    pub(super) asked: u64,
    /// Until then somebody is asking for more.
    pub(super) asking_until: u64,
    /// Until then asking again is of no use.
    pub(super) refused_until: u64,
    /// How much to ask for.
    pub(super) want: u64,
    /// When a worker last drew from it.
    pub(super) drawn: u64,
    /// End of the window at which somebody has asked for some of the next one.
    pub(super) ahead_of: u64,
    /// What the owner had left for others when it last said so.
    pub(super) spare: u64,
    /// What was used of the window beyond what is held, because it was known only afterwards. While there is some, nothing is left.
    pub(super) owed: u64,
    /// What was used while no window was known: part of the next one that is.
    pub(super) owed_next: u64,
    /// What was leased of the next window.
    pub(super) next: Next,
}

/// A lease of a window that has not begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) window: i64,
    pub(super) left: u64,
    pub(super) starts: u64,
    pub(super) ends: u64,
    pub(super) over: u64,
    pub(super) spare: u64,
}

impl Entry {
    /// Whether its window is now. One that was asked for in the future is from before a clock was set back.
    pub(super) const fn is_current(&self, now: u64) -> bool {
        self.asked <= now && now < self.ends
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_le_bytes());
        for window in [self.window, self.next.window] {
            out.extend_from_slice(&window.to_le_bytes());
        }
        let Self {
            left,
            ends,
            leased,
            own,
            asked,
            asking_until,
            refused_until,
            want,
            drawn,
            ahead_of,
            spare,
            over,
            owed,
            owed_next,
            next,
            ..
        } = *self;
        let Next { left: next_left, starts, ends: next_ends, over: next_over, spare: next_spare, .. } = next;
        let now = [left, ends, leased, own, asked, asking_until, refused_until, want, drawn, ahead_of, spare, over];
        for number in now.into_iter().chain([owed, owed_next, next_left, starts, next_ends, next_over, next_spare]) {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (id, mut rest) = bytes.split_first_chunk::<16>()?;
        let mut numbers = [[0; 8]; NUMBERS];
        for number in &mut numbers {
            let (taken, after) = rest.split_first_chunk::<8>()?;
            *number = *taken;
            rest = after;
        }
        let [window, next_window, numbers @ ..] = numbers;
        let [
            left,
            ends,
            leased,
            own,
            asked,
            asking_until,
            refused_until,
            want,
            drawn,
            ahead_of,
            spare,
            over,
            owed,
            owed_next,
            next @ ..,
        ] = numbers.map(u64::from_le_bytes);
        let [next_left, starts, next_ends, next_over, next_spare] = next;
        let (id, window) = (u128::from_le_bytes(*id), i64::from_le_bytes(window));
        let next = Next {
            window: i64::from_le_bytes(next_window),
            left: next_left,
            starts,
            ends: next_ends,
            over: next_over,
            spare: next_spare,
        };
        Some(Self {
            id,
            window,
            left,
            ends,
            leased,
            own,
            asked,
            asking_until,
            refused_until,
            want,
            drawn,
            ahead_of,
            spare,
            over,
            owed,
            owed_next,
            next,
        })
    }
}

/// What a bucket holds: counters, and behind them how long something that was pushed out must be thought of.
struct Bucket {
    entries: Vec<Entry>,
    /// End of the last window whose counter had to make room.
    forgotten_until: u64,
}

impl Bucket {
    fn decode(bytes: &[u8]) -> Self {
        let chunks = bytes.chunks_exact(ENTRY);
        let forgotten_until = <[u8; 8]>::try_from(chunks.remainder()).map(u64::from_le_bytes).unwrap_or_default();
        Self { entries: chunks.filter_map(Entry::decode).collect(), forgotten_until }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len().saturating_mul(ENTRY).saturating_add(8));
        self.entries.iter().for_each(|entry| entry.encode(&mut out));
        out.extend_from_slice(&self.forgotten_until.to_le_bytes());
        out
    }
}

/// Changes the entry of a counter, which may be missing, and returns what `change` found. `None` when shared data cannot be
/// reached, or too many workers are at it: nothing has changed then.
pub(super) fn update<T>(
    abi: &dyn Abi,
    id: u128,
    now: u64,
    mut change: impl FnMut(&mut Option<Entry>) -> T,
) -> Option<T> {
    update_knowing(abi, id, now, |entry, _| change(entry))
}

/// The same, and says whether a counter that is missing may have had its place taken while its window goes on: what it had of
/// that window is not known any more.
pub(super) fn update_knowing<T>(
    abi: &dyn Abi,
    id: u128,
    now: u64,
    mut change: impl FnMut(&mut Option<Entry>, bool) -> T,
) -> Option<T> {
    let key = shared_key(id % BUCKETS);
    for _ in 0..TRIES {
        let (bytes, version) = match abi.shared(&key) {
            Ok(Some(found)) => found,
            // An unconditional write could wipe out what another worker writes at this moment. A version that no value
            // has creates a key that is missing, and fails on one that is there.
            Ok(None) => match abi.set_shared(&key, &[], u32::MAX) {
                Ok(()) | Err(Status::CasMismatch) => continue,
                Err(_) => return None,
            },
            Err(_) => return None,
        };
        let Bucket { mut entries, mut forgotten_until } = Bucket::decode(&bytes);
        let mut entry = entries.iter().position(|entry| entry.id == id).map(|at| entries.swap_remove(at));
        let before = entry;
        let result = change(&mut entry, now < forgotten_until);
        if entry == before {
            return Some(result);
        }
        if let Some(entry) = entry {
            forgotten_until = forgotten_until.max(make_room(&mut entries, now));
            entries.push(entry);
        }
        match abi.set_shared(&key, &Bucket { entries, forgotten_until }.encode(), version) {
            Ok(()) => return Some(result),
            Err(Status::CasMismatch) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Lets go of windows that are over, and if the bucket is still full, of the lease that ends first: lost quota, never too
/// much. Says when the windows of that one are surely over.
fn make_room(entries: &mut Vec<Entry>, now: u64) -> u64 {
    if entries.len() < ENTRIES {
        return 0;
    }
    entries.retain(|entry| now < entry.over.max(entry.ends) || now < entry.next.ends);
    if entries.len() >= ENTRIES
        && let Some(first) = entries.iter().enumerate().min_by_key(|(_, entry)| entry.ends).map(|(at, _)| at)
    {
        let Entry { ends, over, next, .. } = entries.swap_remove(first);
        return ends.max(over).max(next.over);
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeEnvoy;

    #[test]
    fn entries_survive_their_bytes() {
        let entry = Entry {
            id: 1,
            window: -2,
            left: 3,
            ends: 4,
            leased: 5,
            own: 6,
            asked: 7,
            asking_until: 8,
            refused_until: 9,
            want: 10,
            drawn: 11,
            ahead_of: 12,
            spare: 17,
            over: 19,
            owed: 21,
            owed_next: 22,
            next: Next { window: -13, left: 14, starts: 15, ends: 16, spare: 18, over: 20 },
        };
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        assert_eq!(bytes.len(), ENTRY);
        assert_eq!(Entry::decode(&bytes), Some(entry));
        assert_eq!(Entry::decode(&bytes[1..]), None);
    }

    #[test]
    fn a_full_bucket_drops_what_ends_first() {
        let envoy = FakeEnvoy::new();
        // One bucket, nine counters.
        for number in 0..9_u64 {
            let id = u128::from(number) * BUCKETS;
            let added = Entry { id, ends: 1_000 + number, ..Entry::default() };
            update(&envoy, id, 10, |entry| *entry = Some(added)).unwrap();
        }
        let exists = |number: u128| update(&envoy, number * BUCKETS, 10, |entry| entry.is_some()).unwrap();
        assert!(!exists(0));
        assert!((1..9).all(exists));
        // That one may have used up its window, which ends at 1,000.
        let forgotten =
            |number: u128, now| update_knowing(&envoy, number * BUCKETS, now, |_, forgotten| forgotten).unwrap();
        assert!(forgotten(0, 999) && !forgotten(0, 1_000));
        // The next bucket has lost nothing.
        assert!(!update_knowing(&envoy, 1, 10, |_, forgotten| forgotten).unwrap());
    }
}
