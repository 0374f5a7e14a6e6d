//! The context that the parts of one controller share.

use crate::aws::Calls;
use crate::clock::SharedClock;
use crate::controller::scope::Scope;
use crate::controller::totals::Totals;
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;
use crate::trace::Traces;

/// The context that the parts of one controller share. Clones write to the same log, metrics and totals.
#[derive(Clone)]
pub struct Context {
    /// The service that is reconciled.
    pub scope: Scope,
    /// The log.
    pub log: Log,
    /// The clock, corrected by AWS's.
    pub clock: SharedClock,
    /// The metrics.
    pub metrics: Metrics,
    /// The source of traces.
    pub traces: Traces,
    /// The counts since the start.
    pub totals: Totals,
}

impl Context {
    /// A context without metrics and traces.
    pub fn new(scope: Scope, log: Log, clock: SharedClock) -> Self {
        let (metrics, traces, totals) = (Metrics::off(), Traces::off(), Totals::default());
        Self { scope, log, clock, metrics, traces, totals }
    }
}

/// The context of what belongs to no service: foreign and malformed messages, and the calls to the queue. For a single
/// service it is that of the service.
#[derive(Clone)]
pub struct QueueContext {
    /// The log.
    pub log: Log,
    /// The clock, corrected by AWS's.
    pub clock: SharedClock,
    /// The metrics.
    pub metrics: Metrics,
    /// The counts since the start.
    pub totals: Totals,
}

impl From<&Context> for QueueContext {
    fn from(Context { log, clock, metrics, totals, .. }: &Context) -> Self {
        Self { log: log.clone(), clock: clock.clone(), metrics: metrics.clone(), totals: totals.clone() }
    }
}

impl QueueContext {
    /// Takes the number of requests that the queue has counted.
    pub fn set_queue_calls(&self, calls: Calls) {
        self.totals.set_queue_calls(calls);
        self.metrics.set_queue_calls(calls);
    }
}
