//! Shutdown: a signal says when to stop taking on work, and a bound says when to let go of what is in hand.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::telemetry::log::StopReason;

/// How long the reconcile in hand may go on after the signal. ECS kills a task 30 s after SIGTERM unless told otherwise.
pub const GRACE: Duration = Duration::from_secs(10);

/// Tells whoever asks whether to stop.
#[derive(Clone, Debug)]
pub struct Shutdown {
    reason: watch::Receiver<Option<StopReason>>,
}

/// Orders the shutdown; clones order the same one.
#[derive(Clone, Debug)]
pub struct ShutdownOrder {
    reason: watch::Sender<Option<StopReason>>,
}

/// A shutdown and the means to order it.
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

    /// Orders the shutdown when SIGTERM or SIGINT comes; returns once the handlers are in place.
    ///
    /// # Errors
    ///
    /// When the handlers can't be installed.
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
    /// Why to stop, once it has been ordered.
    pub fn ordered(&self) -> Option<StopReason> {
        *self.reason.borrow()
    }

    /// Waits for the order. Without anybody left to give it, waits for ever.
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

    /// Waits until what is in hand must be let go of.
    pub async fn grace_over(&self) {
        self.begun().await;
        tokio::time::sleep(GRACE).await;
    }
}
