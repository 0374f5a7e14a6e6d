//! The vocabulary of the events about `up` and `down`.

use serde::Serialize;

/// An operation, named like its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Scales the platform up.
    Up,
    /// Scales the platform down.
    Down,
}

impl Verb {
    /// Returns the command's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A phase of an operation, named by its end condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The operation holds the lease on the service.
    Claimed,
    /// The load balancer exists.
    LoadBalancerMade,
    /// The load balancer is active.
    LoadBalancerActive,
    /// The service has its desired count.
    ServiceScaled,
    /// All desired tasks serve.
    TasksServing,
    /// All serving tasks are registered in all target groups.
    TargetsRegistered,
    /// All their targets are healthy.
    TargetsHealthy,
    /// The URL to verify responds.
    UrlAnswering,
    /// All tasks are stopped.
    TasksDrained,
    /// The load balancer no longer exists.
    LoadBalancerGone,
    /// No load balancer, listener or target group of the project exists.
    NothingLeft,
}

impl Phase {
    /// Returns the phase's name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Claimed => "lease acquired",
            Self::LoadBalancerMade => "load balancer created",
            Self::LoadBalancerActive => "load balancer active",
            Self::ServiceScaled => "service scaled",
            Self::TasksServing => "tasks serving",
            Self::TargetsRegistered => "targets registered",
            Self::TargetsHealthy => "targets healthy",
            Self::UrlAnswering => "URL reachable",
            Self::TasksDrained => "tasks stopped",
            Self::LoadBalancerGone => "load balancer deleted",
            Self::NothingLeft => "all resources deleted",
        }
    }
}
