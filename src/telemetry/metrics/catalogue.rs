//! The metrics. Everything that defines a metric is here; the table in docs/metrics.md is generated from it.

use jiff::Timestamp;

use super::snapshot::Snapshot;
use crate::telemetry::emf::Unit;

/// The definition of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The name in CloudWatch. The name in OpenMetrics derives from it.
    pub name: &'static str,
    /// The unit in CloudWatch.
    pub unit: Unit,
    /// The kind, and where the values come from.
    pub kind: Kind,
    /// What a value is about.
    pub subject: Subject,
    /// The documents that have the metric.
    pub published: Published,
    /// The meaning of a value.
    pub help: &'static str,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A current value.
    Gauge(GaugeSource),
    /// The number of occurrences. [`Metrics`](super::Metrics) counts them.
    Counter,
    /// One value for each occurrence, in milliseconds. [`Metrics`](super::Metrics) records them.
    Distribution {
        /// The upper bounds of the histogram's buckets, in seconds.
        buckets: &'static [f64],
    },
}

/// The source of a gauge's value.
#[derive(Clone, Copy, Debug)]
pub enum GaugeSource {
    /// The last observation.
    Snapshot(fn(&Snapshot, Timestamp) -> u64),
    /// The last observation, where it shows a value.
    KnownSnapshot(fn(&Snapshot, Timestamp) -> Option<u64>),
    /// The number of active findings that an operator must act on.
    Findings,
    /// The age of received messages.
    QueueAge,
}

/// What a metric's value is about, in a process that watches several services. With one service all are about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One service.
    Service,
    /// The process: its queue and its calls, which all services share.
    Process,
}

/// The documents in which a metric is published. CloudWatch charges for a custom metric by the hours in which it is
/// published, and most hours are idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// In every document, so that alarms can rely on it.
    Always,
    /// While the service is in use, a load balancer exists or a teardown is in progress; and once when that ends.
    InUse,
    /// As [`Self::InUse`], when the metric has a value.
    InUseWithValue,
}

/// Buckets for reconciliations. One takes some tenths of a second, and a minute at most; the usual reason for more are the
/// SDK's retries, which start at half a second.
const RECONCILE_BUCKETS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Buckets for registrations. An event takes a second or two to arrive; a lost one costs a resync interval, a minute; after
/// five minutes a call would have failed for lack of a target.
const REGISTRATION_BUCKETS: &[f64] = &[0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Defines [`Metric`] and its definitions.
macro_rules! metrics {
    ($($metric:ident { unit: $unit:ident, kind: $kind:expr, subject: $subject:ident, published: $published:ident, help: $help:literal $(,)? })*) => {
        /// A metric, named as it is published.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $(#[doc = $help] $metric,)*
        }

        impl Metric {
            /// Every metric, in the order of the documentation.
            pub const ALL: [Self; [$(stringify!($metric)),*].len()] = [$(Self::$metric),*];

            /// Returns the metric's definition.
            pub const fn definition(self) -> Definition {
                match self {
                    $(Self::$metric => Definition {
                        name: stringify!($metric),
                        unit: Unit::$unit,
                        kind: $kind,
                        subject: Subject::$subject,
                        published: Published::$published,
                        help: $help,
                    },)*
                }
            }
        }
    };
}

use Kind::{Counter, Distribution, Gauge};

/// Returns the kind of a gauge that an observation shows.
const fn observed(value: fn(&Snapshot, Timestamp) -> u64) -> Kind {
    Gauge(GaugeSource::Snapshot(value))
}

/// Returns the kind of a gauge that not every observation shows.
const fn known(value: fn(&Snapshot, Timestamp) -> Option<u64>) -> Kind {
    Gauge(GaugeSource::KnownSnapshot(value))
}

metrics! {
    RunningTasks {
        unit: Count,
        kind: observed(|snapshot, _| u64::try_from(snapshot.summary.counts.running).unwrap_or_default()),
        subject: Service,
        published: InUse,
        help: "The service's runningCount",
    }
    ServingTasks {
        unit: Count,
        kind: observed(|snapshot, _| snapshot.summary.serving as u64),
        subject: Service,
        published: InUse,
        help: "Tasks whose lastStatus and desiredStatus are both RUNNING",
    }
    RegisteredTargets {
        unit: Count,
        kind: observed(|snapshot, _| snapshot.summary.registered as u64),
        subject: Service,
        published: InUse,
        help: "Targets in all target groups of the load balancer, without draining ones",
    }
    HealthyTargets {
        unit: Count,
        kind: observed(|snapshot, _| snapshot.summary.healthy as u64),
        subject: Service,
        published: InUse,
        help: "Registered targets whose state is healthy",
    }
    UnhealthyTargets {
        unit: Count,
        kind: observed(|snapshot, _| snapshot.summary.unhealthy as u64),
        subject: Service,
        published: InUse,
        help: "Registered targets whose state is unhealthy; a target in its first health checks is neither healthy nor unhealthy",
    }
    LoadBalancerUp {
        unit: None,
        kind: observed(|snapshot, _| u64::from(snapshot.summary.load_balancer_state.is_some())),
        subject: Service,
        published: InUse,
        help: "1 while the load balancer exists, in any state, because it costs money in each; else 0",
    }
    IdleSeconds {
        unit: Seconds,
        kind: observed(|snapshot, now| snapshot.idle_seconds(now)),
        subject: Service,
        published: InUse,
        help: "How long the load balancer has been idle; 0 while the service is in use, and without a load balancer",
    }
    Flows {
        unit: Count,
        kind: known(|snapshot, _| Some(snapshot.flows?.newest)),
        subject: Service,
        published: InUseWithValue,
        help: "Flows over the load balancer in the newest minute that CloudWatch shows, of the protocols that count as use",
    }
    UnusedSeconds {
        unit: Seconds,
        kind: known(|snapshot, now| snapshot.unused_seconds(now)),
        subject: Service,
        published: InUseWithValue,
        help: "How long the load balancer of a serving service has been unused; 0 while it is used",
    }
    EventsReceived {
        unit: Count,
        kind: Counter,
        subject: Service,
        published: InUse,
        help: "Messages about this service; a message that is received twice counts twice",
    }
    EventsForeign {
        unit: Count,
        kind: Counter,
        subject: Process,
        published: InUse,
        help: "Messages about other resources, which are deleted",
    }
    MessagesRejected {
        unit: Count,
        kind: Counter,
        subject: Process,
        published: InUse,
        help: "Malformed messages, counted at each receive",
    }
    Reconciles {
        unit: Count,
        kind: Counter,
        subject: Service,
        published: Always,
        help: "Reconciliations that succeeded",
    }
    ReconcileFailures {
        unit: Count,
        kind: Counter,
        subject: Service,
        published: Always,
        help: "Reconciliations that failed or were interrupted; each is retried",
    }
    ReconcileDuration {
        unit: Milliseconds,
        kind: Distribution { buckets: RECONCILE_BUCKETS },
        subject: Service,
        published: InUseWithValue,
        help: "The duration of each reconciliation that succeeded",
    }
    RegistrationLatency {
        unit: Milliseconds,
        kind: Distribution { buckets: REGISTRATION_BUCKETS },
        subject: Service,
        published: InUseWithValue,
        help: "For each target registered because of an event: the time from the event to the registration",
    }
    QueueAge {
        unit: Seconds,
        kind: Gauge(GaugeSource::QueueAge),
        subject: Process,
        published: InUseWithValue,
        help: "The age of the oldest well-formed message received since the last line, from its sending to its receipt",
    }
    AwsCalls {
        unit: Count,
        kind: Counter,
        subject: Process,
        published: InUse,
        help: "Requests to AWS, including retries",
    }
    Throttles {
        unit: Count,
        kind: Counter,
        subject: Process,
        published: InUse,
        help: "Requests that AWS answered with a throttling error",
    }
    Teardowns {
        unit: Count,
        kind: Counter,
        subject: Service,
        published: InUse,
        help: "Completed teardowns: the load balancer and its target groups no longer exist",
    }
    StopsForDisuse {
        unit: Count,
        kind: Counter,
        subject: Service,
        published: InUse,
        help: "Times that the service was scaled to zero because it was unused",
    }
    Findings {
        unit: Count,
        kind: Gauge(GaugeSource::Findings),
        subject: Service,
        published: Always,
        help: "Active findings that an operator must act on: all but hold_active",
    }
}
