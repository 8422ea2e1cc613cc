//! Quota at hand, as the `limit` stage sees it: it looks first at every level, and only a request that passes all of them
//! takes. So nothing is ever taken and given back, and a refused request costs nobody anything.

use tollgate_model::{Limit, Posture};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::Timestamp;

/// One counter that a request counts against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    key: String,
    limit: Limit,
    id: CounterId,
    /// What this request takes of it, in the limit's unit; at least one.
    pub cost: u64,
    /// What happens when its owner cannot be reached.
    pub posture: Posture,
}

/// Names a counter with its limit: a limit that changes starts another counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterId(pub u128);

impl Counter {
    /// A counter of that name with that limit. Its id is made here, once for all requests that count against it.
    #[must_use]
    pub fn new(key: String, limit: Limit, cost: u64, posture: Posture) -> Self {
        let id = CounterId::of(&key, limit);
        Self { key, limit, id, cost, posture }
    }

    /// Name of the counter; the throttle key of Choreo Connect behind the name of its level.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it is held to.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> CounterId {
        self.id
    }
}

impl CounterId {
    /// The id of a counter of that name with that limit: a hash, so wide that two never share one.
    #[must_use]
    pub fn of(key: &str, limit: Limit) -> Self {
        // Almost every key fits into what is hashed in one go, which takes a tenth of the time.
        const SHORT: usize = 240;
        let limit = Self::limit_bytes(limit);
        let mut whole = [0; SHORT];
        let length = key.len().saturating_add(limit.len());
        if let Some((start, rest)) = whole.split_at_mut_checked(key.len())
            && let Some(behind) = rest.first_chunk_mut()
        {
            start.copy_from_slice(key.as_bytes());
            *behind = limit;
            return Self(xxh3_128(whole.get(..length).unwrap_or_default()));
        }
        let mut hash = Xxh3::new();
        hash.update(key.as_bytes());
        hash.update(&limit);
        Self(hash.digest128())
    }

    /// The limit, behind a byte that no key ends with.
    const fn limit_bytes(limit: Limit) -> [u8; 15] {
        let Limit { amount, unit, window } = limit;
        let [a, b, c, d] = window.count.to_le_bytes();
        let [e, f, g, h, i, j, k, l] = amount.to_le_bytes();
        [0, unit as u8, window.unit as u8, a, b, c, d, e, f, g, h, i, j, k, l]
    }
}

/// What is there of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    /// Enough for this request.
    Enough,
    /// Nothing until then, when the window ends.
    Exhausted {
        /// End of the window.
        until: Timestamp,
    },
    /// The owner must be asked.
    Unknown {
        /// How much is worth asking for.
        want: u64,
    },
    /// The owner cannot be reached, and the counter's posture is not to count here.
    Lost,
}

/// How a counter stands, as far as this process knows: what it holds, and what the owner had left when it last said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What is left, for whoever comes next.
    pub left: u64,
    /// End of the window.
    pub until: Timestamp,
}

/// The quota that this process holds.
pub trait Quotas {
    /// How a counter stands that [`Quotas::stock`] has just looked at. Asks nobody.
    fn standing(&self, counter: &Counter, now: Timestamp) -> Option<Standing>;
    /// What is there of a counter. May move quota between the process and this worker, which is no business of the request.
    fn stock(&self, counter: &Counter, now: Timestamp) -> Stock;
}

#[cfg(test)]
mod tests {
    use tollgate_model::{QuotaUnit, TimeUnit, Window};

    use super::*;

    /// Leases in shared data are found by ids of whichever length a key has.
    #[test]
    fn ids_of_long_keys_are_made_like_those_of_short_ones() {
        for length in 0..300 {
            let limit = Limit { amount: 7, unit: QuotaUnit::Bytes, window: Window { count: 3, unit: TimeUnit::Day } };
            let key = "k".repeat(length);
            let whole = [key.as_bytes(), &CounterId::limit_bytes(limit)].concat();
            assert_eq!(CounterId::of(&key, limit), CounterId(xxh3_128(&whole)), "{length}");
        }
    }

    #[test]
    fn ids_tell_limits_apart() {
        let counter = |key: &str, amount, count, unit| {
            let limit = Limit { amount, unit: QuotaUnit::Requests, window: Window { count, unit } };
            Counter::new(key.to_owned(), limit, 1, Posture::Local)
        };
        let first = counter("a", 1, 1, TimeUnit::Minute);
        assert_eq!(first.id(), Counter { cost: 9, ..first.clone() }.id());
        for other in [
            counter("b", 1, 1, TimeUnit::Minute),
            counter("a", 2, 1, TimeUnit::Minute),
            counter("a", 1, 2, TimeUnit::Minute),
            counter("a", 1, 1, TimeUnit::Hour),
        ] {
            assert_ne!(first.id(), other.id());
        }
    }
}
