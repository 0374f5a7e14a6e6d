//! The place of the export to OpenTelemetry in a program that is built without the feature `otlp`.

use std::time::Duration;

use crate::telemetry::log::{Identity, Log};
use crate::telemetry::metrics::Metrics;
use crate::trace::Traces;

/// Exports nothing.
#[derive(Clone)]
pub struct Otlp;

impl Otlp {
    /// Exports nothing.
    pub fn off() -> Self {
        Self
    }

    /// Exports nothing, whatever OpenTelemetry's environment variables say.
    ///
    /// # Errors
    ///
    /// None.
    pub fn start(_: &Log, _: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        Ok(Self)
    }

    /// Returns a source of no traces.
    pub fn traces(&self, _: &Identity) -> Traces {
        Traces::off()
    }

    /// Does nothing.
    pub fn export(&self, _: &Metrics) {}

    /// Does nothing.
    #[allow(clippy::unused_async, reason = "with the feature it waits")]
    pub async fn flush(&self, _limit: Duration) {}

    /// Does nothing.
    #[allow(clippy::unused_async, reason = "with the feature it waits")]
    pub async fn stop(&self, _limit: Duration) {}
}
