//! Waits for outcomes. The only place that sleeps, and only between two looks.

use std::time::{Duration, Instant};

use anyhow::Result;

/// How long an outcome may take that has no deadline of its own. Generous: it is only used up by failures.
pub const PATIENCE: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_millis(10);

/// Looks until `look` succeeds.
///
/// # Errors
/// The last error of `look`, once [`PATIENCE`] is used up.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    within(PATIENCE, what, look).await
}

/// Looks until `look` succeeds, for at most `deadline`. A look that has begun is seen to its end, and counts only if it
/// began in time.
///
/// # Errors
/// The last error of `look`, once the deadline has passed.
pub async fn within<T>(deadline: Duration, what: &str, mut look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        let error = match look().await {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        if started.elapsed() >= deadline {
            return Err(error.context(format!("not within {deadline:?}: {what}")));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
