//! The steady clock, told by the time of day for a moment after each look at it: a look is a call to the host, and a request
//! has the time of day anyway.
//!
//! Must never follow a time of day that was set for longer than that moment, nor by more, nor run ahead of the steady clock otherwise:
//! what was used in the future would be taken for the work of a clock that went back.

use std::cell::Cell;
use std::rc::Rc;

use crate::{Abi, Nanos};

/// How long after a look the time of day is believed.
const MOMENT: u64 = 20 * Nanos::A_MS;
/// A look at both clocks that took longer says too little of how they differ: the thread did not run in between.
const AT_ONCE: u64 = Nanos::A_MS / 10;

/// Whether the clock has gone back since, beyond what two ways of reading it may differ by.
pub(super) const fn went_back(before: u64, now: u64) -> bool {
    before.saturating_sub(now) > MOMENT / Nanos::A_MS
}

/// The steady clock of a request.
pub(super) struct Clock {
    abi: Rc<dyn Abi>,
    /// Both clocks when they were looked at last.
    looked: Cell<Option<(Nanos, Nanos)>>,
    /// Time of day of the request.
    wall: Cell<Option<Nanos>>,
    /// What was told of the request.
    told: Cell<Option<u64>>,
}

impl Clock {
    pub(super) fn new(abi: Rc<dyn Abi>) -> Self {
        Self { abi, looked: Cell::default(), wall: Cell::default(), told: Cell::default() }
    }

    /// A request begins to be decided, at this time of day.
    pub(super) fn begin(&self, wall: Nanos) {
        self.wall.set(Some(wall));
        self.told.set(None);
    }

    /// Now, in milliseconds: the same until the next request begins.
    pub(super) fn now(&self) -> u64 {
        if let Some(told) = self.told.get() {
            return told;
        }
        let now = self.by_time_of_day().unwrap_or_else(|| self.look()).0 / Nanos::A_MS;
        self.told.set(Some(now));
        now
    }

    fn by_time_of_day(&self) -> Option<Nanos> {
        let ((wall, steady), now) = (self.looked.get()?, self.wall.get()?);
        let since = now.0.checked_sub(wall.0).filter(|since| *since < MOMENT)?;
        Some(Nanos(steady.0.saturating_add(since)))
    }

    fn look(&self) -> Nanos {
        let before = self.abi.now_nanos();
        let now = self.abi.steady_nanos();
        // The later reading, so that what is told by it is behind and not ahead.
        let after = self.abi.now_nanos();
        let at_once = after.0.checked_sub(before.0).is_some_and(|took| took < AT_ONCE);
        self.looked.set(at_once.then_some((after, now)));
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeEnvoy;

    const START: u64 = 1_700_000_000_000;

    #[test]
    fn the_time_of_day_is_believed_for_a_moment() {
        let envoy = FakeEnvoy::shared_rc();
        let clock = Clock::new(envoy.clone());
        // Time of day and steady clock, what is told, and whether the host was asked.
        for (wall, steady, told, asked) in [
            (START, 500, 500, true),
            (START + 1, 501, 501, false),
            (START + 19, 519, 519, false),
            (START + 20, 520, 520, true),
            // Set forward by a little: seen when the moment is over.
            (START + 35, 525, 535, false),
            (START + 40, 530, 530, true),
            // Set forward by more.
            (START + 1_000, 531, 531, true),
            // Set back.
            (START + 999, 532, 532, true),
            (START + 1_001, 534, 534, false),
        ] {
            envoy.steady.set(steady);
            envoy.now.set(wall);
            envoy.host_calls.borrow_mut().clear();
            clock.begin(Nanos(wall * Nanos::A_MS));
            assert_eq!((clock.now(), clock.now()), (told, told), "{wall}");
            assert_eq!(envoy.host_calls.borrow().contains(&"steady"), asked, "{wall}");
        }
    }

    #[test]
    fn without_a_request_the_host_is_asked() {
        let envoy = FakeEnvoy::shared_rc();
        envoy.steady.set(7);
        assert_eq!(Clock::new(envoy).now(), 7);
    }
}
