//! Bytes: how many a request costs is known only when it is over, so they are taken from what all workers share, and what
//! there was not is owed. Costs calls to the host, which only counters of bytes pay.
//!
//! Must never lose sight of what was used: what is owed keeps the next request waiting, and the owner is told of it.

use tollgate_enforce::Counter;

use super::upkeep::idle_at;
use super::{QuotaPool, bucket, lease};

impl QuotaPool {
    /// Takes so many bytes that have passed, whether they are there or not.
    pub(crate) fn spend(&self, counter: &Counter, bytes: u64) {
        let (id, now) = (counter.id().0, self.abi.steady().0);
        let mut low = false;
        bucket::update(self.abi.as_ref(), id, now, |entry| {
            entry.iter_mut().for_each(|entry| lease::turn(entry, now));
            let mut spent = lease::spend(*entry, id, counter.limit().amount, bytes, now);
            low = lease::runs_low(&mut spent, now);
            *entry = Some(spent);
        });
        self.watch(id, counter, low, idle_at(now), None);
    }
}
