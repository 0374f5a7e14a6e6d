//! Shutdown: an order to begin no more work, and a time limit for the work in progress.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::telemetry::log::StopReason;

/// The time limit of the reconciliation in progress after the order. ECS kills a task 30 s after SIGTERM by default.
pub const GRACE: Duration = Duration::from_secs(10);

/// Receives the order to stop. Clones receive the same order.
#[derive(Clone, Debug)]
pub struct Shutdown {
    reason: watch::Receiver<Option<StopReason>>,
}

/// Gives the order to stop. Clones give the same order.
#[derive(Clone, Debug)]
pub struct ShutdownOrder {
    reason: watch::Sender<Option<StopReason>>,
}

/// Creates a shutdown and the means to order it.
pub fn channel() -> (ShutdownOrder, Shutdown) {
    let (sender, receiver) = watch::channel(None);
    (ShutdownOrder { reason: sender }, Shutdown { reason: receiver })
}

impl ShutdownOrder {
    /// Orders the shutdown. The first reason counts.
    pub fn stop(&self, reason: StopReason) {
        self.reason.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(reason);
            }
            first
        });
    }

    /// Orders the shutdown at SIGTERM or SIGINT, from now on, also where the parent process had them ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if the handlers can't be installed.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let order = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => order.stop(StopReason::Sigterm),
                    _ = interrupt.recv() => order.stop(StopReason::Sigint),
                }
            }
        });
        Ok(())
    }
}

impl Shutdown {
    /// The reason to stop, once the shutdown is ordered.
    pub fn ordered(&self) -> Option<StopReason> {
        *self.reason.borrow()
    }

    /// Waits for the order; forever, if every [`ShutdownOrder`] is dropped.
    pub async fn begun(&self) -> StopReason {
        let mut reason = self.reason.clone();
        loop {
            if let Some(reason) = *reason.borrow_and_update() {
                return reason;
            }
            if reason.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until the work in progress must be given up.
    pub async fn grace_over(&self) {
        self.begun().await;
        tokio::time::sleep(GRACE).await;
    }
}
