//! Ends the deletions of a service that is no longer watched, or no longer with the same settings.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Lets a reconciler delete and stop, one write at a time, until the gate is closed. Clones share it.
///
/// A reconciliation in progress goes on after its service was removed. The gate guarantees that none of its dangerous writes
/// follows the removal.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    /// Returns an open gate.
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Gate {
    /// Returns the permission for one write, which holds until it is dropped; `None` once the gate is closed.
    pub async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }

    /// Closes the gate, after the write in progress if there is one.
    pub async fn close(&self) {
        let _permit = self.0.acquire().await;
        self.0.close();
    }

    /// Returns whether the gate is closed.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn closes_after_the_write_in_progress_and_permits_none_after_it() {
        let gate = Gate::default();
        let permit = gate.enter().await.expect("it is open");
        assert!(tokio::time::timeout(Duration::from_secs(1), gate.close()).await.is_err(), "a write is in progress");
        drop(permit);
        drop(gate.enter().await.expect("it is still open"));
        gate.clone().close().await;
        assert!(gate.is_closed() && gate.enter().await.is_none());
        gate.close().await;
    }
}
