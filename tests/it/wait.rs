//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// Long enough for a loaded machine; a test that passes never waits this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

const BETWEEN_LOOKS: Duration = Duration::from_millis(40);

/// Looks until the probe finds something; panics, saying what was waited for, when that takes too long.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, probe).await
}

/// As `eventually`, with a limit of its own.
pub async fn within<T>(limit: Duration, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
