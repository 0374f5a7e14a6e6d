//! The vocabulary of the events about `up` and `down`.

use jvb_watcher_rules::lease::LeaseHolder;
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

impl From<Verb> for LeaseHolder {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Up => Self::Up,
            Verb::Down => Self::Down,
        }
    }
}

/// A phase of an operation, named by the condition that holds at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The load balancer is unused.
    LoadBalancerUnused,
    /// The operation holds the lease on the service.
    Claimed,
    /// The load balancer exists.
    LoadBalancerMade,
    /// The load balancer is active.
    LoadBalancerActive,
    /// The service's desired count is set.
    ServiceScaled,
    /// As many tasks serve as are desired.
    TasksServing,
    /// Each serving task is registered in each target group.
    TargetsRegistered,
    /// Each of those targets is healthy.
    TargetsHealthy,
    /// The platform's URL answers.
    UrlAnswering,
    /// Every task has stopped.
    TasksDrained,
    /// The load balancer is deleted.
    LoadBalancerGone,
    /// No load balancer, listener or target group of the project remains.
    NothingLeft,
}

impl Phase {
    /// Returns the condition as text.
    pub fn label(self) -> &'static str {
        match self {
            Self::LoadBalancerUnused => "load balancer unused",
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
            Self::NothingLeft => "deletion verified",
        }
    }
}
