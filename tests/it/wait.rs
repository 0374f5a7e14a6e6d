//! Waiting for conditions instead of fixed times.

use std::time::{Duration, Instant};

/// The time after which a wait counts as failed. Far longer than any condition takes, even on an overloaded machine: only
/// a failing test waits this long.
pub const PATIENCE: Duration = Duration::from_secs(300);

const POLL_INTERVAL: Duration = Duration::from_millis(40);

/// Polls until the probe returns a value, and returns it.
///
/// Panics with a description of the condition after [`PATIENCE`].
pub async fn eventually<T>(condition: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "timed out after {PATIENCE:?} waiting until {condition}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
