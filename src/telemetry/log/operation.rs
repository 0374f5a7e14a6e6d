//! The vocabulary of the events about `up` and `down`: which operation, and which of its phases.

use serde::Serialize;

/// The command that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Scales the platform up.
    Up,
    /// Scales the platform down.
    Down,
}

impl Verb {
    /// The command's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// One step of the way, named by what holds at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// This is the latest operation on the service, and says so there.
    Claimed,
    /// The load balancer exists.
    LoadBalancerMade,
    /// The load balancer is active.
    LoadBalancerActive,
    /// The service's desired count is what it should be.
    ServiceScaled,
    /// As many tasks serve as are desired.
    TasksServing,
    /// Each serving task is registered in each target group.
    TargetsRegistered,
    /// Each of those targets is healthy.
    TargetsHealthy,
    /// The platform's own address answers.
    UrlAnswering,
    /// Every task has stopped.
    TasksDrained,
    /// The load balancer is deleted.
    LoadBalancerGone,
    /// No load balancer, listener or target group of the project is left.
    NothingLeft,
}

impl Phase {
    /// Returns the name that people read.
    pub fn label(self) -> &'static str {
        match self {
            Self::Claimed => "operation claimed",
            Self::LoadBalancerMade => "load balancer made",
            Self::LoadBalancerActive => "load balancer active",
            Self::ServiceScaled => "service scaled",
            Self::TasksServing => "tasks serving",
            Self::TargetsRegistered => "targets registered",
            Self::TargetsHealthy => "targets healthy",
            Self::UrlAnswering => "URL answering",
            Self::TasksDrained => "tasks drained",
            Self::LoadBalancerGone => "load balancer gone",
            Self::NothingLeft => "nothing left",
        }
    }
}
