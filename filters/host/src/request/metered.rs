//! Bytes of a request that are known only when it is over: those of its response, and of a body that it did not announce.

use std::rc::Rc;

use tollgate_enforce::{Counter, FrameLimits};
use tollgate_model::QuotaUnit;

use crate::Worker;

/// Counts them when the request is gone, however it ended. Only requests that are held to limits of bytes have one, and only
/// they cost a look at how much has passed.
pub(super) struct Metered {
    worker: Rc<Worker>,
    counters: Vec<Rc<Counter>>,
}

impl Metered {
    /// The request has been counted here.
    pub(super) fn note(metered: &mut Option<Self>, worker: &Rc<Worker>, counter: Rc<Counter>) {
        if counter.limit().unit == QuotaUnit::Bytes {
            let new = || Self { worker: Rc::clone(worker), counters: Vec::new() };
            metered.get_or_insert_with(new).counters.push(counter);
        }
    }

    /// What counts elsewhere while it passes need not be counted once more.
    pub(super) fn leave_out(&mut self, counted: &dyn FrameLimits) {
        self.counters.retain(|counter| !counted.hold(counter));
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        let abi = self.worker.abi.as_ref();
        let passed = |side| abi.number(&[side, "size"]).unwrap_or(0);
        let bytes = passed("request").saturating_add(passed("response"));
        for counter in &self.counters {
            // It has paid for what it announced.
            let rest = bytes.saturating_sub(counter.cost);
            if rest > 0 {
                self.worker.directory.quotas.spend(counter, rest);
            }
        }
    }
}
