//! Waiting for conditions instead of fixed times.

use std::time::{Duration, Instant};

/// The time after which a wait counts as failed. Far longer than any condition takes, even on an overloaded machine.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Rare enough not to slow what is measured: each probe takes the sandbox's lock.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Blocks until the probe returns a value, and returns it.
///
/// # Panics
///
/// After [`PATIENCE`], with a description of the condition.
pub fn until<T>(condition: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "timed out after {PATIENCE:?} waiting until {condition}");
        std::thread::sleep(POLL_INTERVAL);
    }
}
