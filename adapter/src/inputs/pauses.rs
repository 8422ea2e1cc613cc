//! Pauses between tries that fail. Must never end: inputs try for ever.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// Pauses that double from `first` to `longest`, with jitter on top, without end.
#[must_use]
pub fn growing(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(first.min(longest))
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}
