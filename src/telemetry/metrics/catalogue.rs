//! Which metrics there are. docs/metrics.md is this table for people, and a test holds the two together.

use serde::{Serialize, Serializer};

/// A metric, by the name under which it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[allow(missing_docs, reason = "the meaning of each is in its definition")]
pub enum Metric {
    RunningTasks,
    ServingTasks,
    RegisteredTargets,
    HealthyTargets,
    UnhealthyTargets,
    LoadBalancerUp,
    IdleSeconds,
    EventsReceived,
    EventsForeign,
    MessagesRejected,
    Reconciles,
    ReconcileFailures,
    ReconcileDuration,
    RegistrationLatency,
    QueueAge,
    AwsCalls,
    Throttles,
    Teardowns,
    Findings,
}

/// What a metric is.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Its name, in CloudWatch's way of writing such names.
    pub name: &'static str,
    /// The unit of its values.
    pub unit: Unit,
    /// How its values come about.
    pub kind: Kind,
    /// In which lines it is.
    pub published: Published,
    /// What its values say.
    pub meaning: &'static str,
}

/// A unit, as CloudWatch knows it (see MetricDatum in its API reference).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[allow(missing_docs, reason = "their names say it")]
pub enum Unit {
    Count,
    Seconds,
    Milliseconds,
    /// A switch: 0 or 1.
    None,
}

/// How a metric's values come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What holds now.
    Gauge,
    /// How often something happened since the last line.
    Counter,
    /// One value for each time that something happened since the last line.
    Distribution,
}

/// In which lines a metric is. A custom metric costs by the hours in which it is published, and idle ones are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// In every line: what alarms may rely on.
    Always,
    /// While the service is in use, a balancer stands or a teardown is under way; and once when that ends.
    InUse,
    /// The same, in those lines that have a value of it.
    InUseWithValue,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::RunningTasks,
        Self::ServingTasks,
        Self::RegisteredTargets,
        Self::HealthyTargets,
        Self::UnhealthyTargets,
        Self::LoadBalancerUp,
        Self::IdleSeconds,
        Self::EventsReceived,
        Self::EventsForeign,
        Self::MessagesRejected,
        Self::Reconciles,
        Self::ReconcileFailures,
        Self::ReconcileDuration,
        Self::RegistrationLatency,
        Self::QueueAge,
        Self::AwsCalls,
        Self::Throttles,
        Self::Teardowns,
        Self::Findings,
    ];

    /// What it is.
    pub const fn definition(self) -> Definition {
        use Kind::{Counter, Distribution, Gauge};
        use Published::{Always, InUse, InUseWithValue};
        let (name, unit, kind, published, meaning) = match self {
            Self::RunningTasks => ("RunningTasks", Unit::Count, Gauge, InUse, "The service's runningCount"),
            Self::ServingTasks => {
                ("ServingTasks", Unit::Count, Gauge, InUse, "Tasks whose lastStatus and desiredStatus are both RUNNING")
            }
            Self::RegisteredTargets => (
                "RegisteredTargets",
                Unit::Count,
                Gauge,
                InUse,
                "Targets in all groups behind the load balancer, draining ones not counted",
            ),
            Self::HealthyTargets => {
                ("HealthyTargets", Unit::Count, Gauge, InUse, "Those of them whose state is healthy")
            }
            Self::UnhealthyTargets => (
                "UnhealthyTargets",
                Unit::Count,
                Gauge,
                InUse,
                "Those of them whose state is unhealthy; one whose first checks still run is neither",
            ),
            Self::LoadBalancerUp => (
                "LoadBalancerUp",
                Unit::None,
                Gauge,
                InUse,
                "1 while the load balancer exists, in whatever state, since it costs in each; else 0",
            ),
            Self::IdleSeconds => (
                "IdleSeconds",
                Unit::Seconds,
                Gauge,
                InUse,
                "How long the load balancer has stood for nobody; 0 while the service is in use, and without a balancer",
            ),
            Self::EventsReceived => (
                "EventsReceived",
                Unit::Count,
                Counter,
                InUse,
                "Messages about this service; one that came twice counts twice",
            ),
            Self::EventsForeign => {
                ("EventsForeign", Unit::Count, Counter, InUse, "Messages about something else, which are deleted")
            }
            Self::MessagesRejected => (
                "MessagesRejected",
                Unit::Count,
                Counter,
                InUse,
                "Messages that nobody can read, counted each time that they come",
            ),
            Self::Reconciles => {
                ("Reconciles", Unit::Count, Counter, Always, "Looks that succeeded, with all that followed from them")
            }
            Self::ReconcileFailures => (
                "ReconcileFailures",
                Unit::Count,
                Counter,
                Always,
                "Looks that failed or were cut short, or one of whose acts failed; each is tried again",
            ),
            Self::ReconcileDuration => (
                "ReconcileDuration",
                Unit::Milliseconds,
                Distribution,
                InUseWithValue,
                "How long each of the reconciles that succeeded took",
            ),
            Self::RegistrationLatency => (
                "RegistrationLatency",
                Unit::Milliseconds,
                Distribution,
                InUseWithValue,
                "For each target registered because of an event: from the event's making to the target's registration",
            ),
            Self::QueueAge => (
                "QueueAge",
                Unit::Seconds,
                Gauge,
                InUseWithValue,
                "Of the messages received since the last line that could be read, the oldest's time from its sending to its receipt",
            ),
            Self::AwsCalls => ("AwsCalls", Unit::Count, Counter, InUse, "Requests to AWS, retries included"),
            Self::Throttles => {
                ("Throttles", Unit::Count, Counter, InUse, "Those of them that AWS answered with a throttling error")
            }
            Self::Teardowns => (
                "Teardowns",
                Unit::Count,
                Counter,
                InUse,
                "Teardowns that came to their end: a look found neither the load balancer nor a group of it",
            ),
            Self::Findings => ("Findings", Unit::Count, Gauge, Always, "Findings that stand"),
        };
        Definition { name, unit, kind, published, meaning }
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.definition().name)
    }
}
