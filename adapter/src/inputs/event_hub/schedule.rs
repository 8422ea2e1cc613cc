//! When which list is pulled: at once when somebody wants it, again when an event is old enough to be in it, and again and again
//! with growing pauses while it fails. Time is an argument.

use std::time::Duration;

use backon::ExponentialBackoff;
use tokio::time::Instant;

use super::mirror::Moment;
use crate::inputs::pauses::growing;
use crate::model::ListReport;

/// First pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Between two pulls of a list lies a part of the time that the former took, so that a large one does not keep API Manager busy.
const REST: u32 = 2;
const MAX_REST: Duration = Duration::from_secs(5);

/// One list.
#[derive(Debug)]
pub struct Source {
    soon: Option<Instant>,
    later: Option<Instant>,
    not_before: Option<Instant>,
    running: Option<Instant>,
    longest_pause: Duration,
    pauses: ExponentialBackoff,
    /// When the last pull began that succeeded.
    pub pulled: Option<Moment>,
    /// What people are shown.
    pub report: ListReport,
}

impl Source {
    /// One that nobody wants yet.
    #[must_use]
    pub fn new(longest_pause: Duration) -> Self {
        Self {
            soon: None,
            later: None,
            not_before: None,
            running: None,
            longest_pause,
            pauses: growing(FIRST_PAUSE, longest_pause),
            pulled: None,
            report: ListReport::default(),
        }
    }

    /// Wants it pulled by then, and not later.
    pub fn want(&mut self, at: Instant) {
        self.soon = Some(self.soon.map_or(at, |soon| soon.min(at)));
    }

    /// Wants it pulled then or later, whatever is pulled before.
    pub fn want_again(&mut self, at: Instant) {
        self.later = Some(self.later.map_or(at, |later| later.max(at)));
    }

    /// When it is to be pulled next.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        if self.running.is_some() {
            return None;
        }
        let wanted = self.soon.into_iter().chain(self.later).min()?;
        Some(self.not_before.map_or(wanted, |earliest| wanted.max(earliest)))
    }

    /// It is pulled now.
    pub fn begin(&mut self, now: Instant) {
        self.running = Some(now);
        self.soon = None;
        self.later = self.later.filter(|later| *later > now);
    }

    /// That went well.
    pub fn succeeded(&mut self, now: Instant, began: Moment, seconds: u64) {
        let took = self.running.take().map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun));
        self.not_before = now.checked_add(took.checked_div(REST).unwrap_or_default().min(MAX_REST));
        self.pauses = growing(FIRST_PAUSE, self.longest_pause);
        self.pulled = Some(began);
        self.report.last_success = Some(seconds);
        self.report.lag_ms = u64::try_from(took.as_millis()).ok();
        self.report.error = None;
        self.report.failures = 0;
    }

    /// It went wrong, and is tried again.
    pub fn failed(&mut self, now: Instant, error: String) {
        self.running = None;
        let pause = self.pauses.next().unwrap_or(self.longest_pause).min(self.longest_pause);
        self.not_before = now.checked_add(pause);
        self.want(now);
        self.report.error = Some(error);
        self.report.failures = self.report.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_wanted_later_is_pulled_later_whatever_comes_before() {
        let start = Instant::now();
        let mut source = Source::new(SECOND);
        assert_eq!(source.due(), None);
        source.want_again(start + 3 * SECOND);
        source.want(start);
        assert_eq!(source.due(), Some(start));
        source.begin(start);
        assert_eq!(source.due(), None, "one at a time");
        source.want(start + SECOND);
        source.succeeded(start + 2 * SECOND, SECOND, 5);
        assert_eq!(source.due(), Some(start + 3 * SECOND), "a rest of half the time");
        source.begin(start + 3 * SECOND);
        source.succeeded(start + 3 * SECOND, SECOND, 5);
        assert_eq!(source.due(), None);
    }

    #[test]
    fn failures_are_tried_again_with_growing_pauses() {
        let mut now = Instant::now();
        let mut source = Source::new(4 * SECOND);
        let mut longest = Duration::ZERO;
        for failures in 1..20 {
            source.begin(now);
            source.failed(now, "broken".to_owned());
            let due = source.due().unwrap();
            longest = longest.max(due - now);
            assert!(due > now && due - now <= 4 * SECOND);
            assert_eq!(source.report.failures, failures);
            now = due;
        }
        assert!(longest > 2 * SECOND);
        source.begin(now);
        source.succeeded(now, SECOND, 5);
        assert_eq!((source.report.failures, source.report.error.as_deref()), (0, None));
        source.begin(now);
        source.failed(now, "broken".to_owned());
        assert!(source.due().unwrap() - now <= 2 * FIRST_PAUSE);
    }
}
