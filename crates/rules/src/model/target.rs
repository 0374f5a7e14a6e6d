//! The targets of a target group.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// One target, as DescribeTargetHealth shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The target's address.
    pub ip: IpAddr,
    /// The target's port.
    pub port: u16,
    /// The target's health.
    pub state: TargetState,
    /// AWS's reason code for a state that isn't healthy.
    pub reason: Option<String>,
}

/// The state of a target (`TargetHealth.State`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetState {
    /// Registered; the first health checks are in progress.
    Initial,
    /// The target passes its health checks.
    Healthy,
    /// The target fails its health checks.
    Unhealthy,
    /// Deregistered; its flows are draining.
    Draining,
    /// Registered, but its zone or its target group gets no traffic.
    Unused,
    /// Health checks are disabled or not possible.
    Unavailable,
    /// A state that this version doesn't know.
    Unknown,
}

impl TargetState {
    /// Returns AWS's name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Unused => "unused",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
        }
    }
}

/// The identity of one registration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    /// The target group's ARN.
    pub target_group_arn: String,
    /// The target's address.
    pub ip: IpAddr,
    /// The target's port.
    pub port: u16,
}

/// A set of registrations.
pub type TargetKeys = BTreeSet<TargetKey>;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFamily {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}
