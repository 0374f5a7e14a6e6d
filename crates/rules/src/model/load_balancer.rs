//! The load balancer and the target groups behind it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;

use super::{AddressFamily, Tags, Target, TargetKey};

/// The load balancer, with the target groups behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancer {
    /// The load balancer's ARN.
    pub arn: String,
    /// The load balancer's name.
    pub name: String,
    /// The load balancer's type; only a network load balancer is ever touched.
    pub kind: LoadBalancerKind,
    /// The load balancer's state.
    pub state: LoadBalancerState,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The load balancer's tags.
    pub tags: Tags,
    /// The target groups behind it.
    pub target_groups: Vec<TargetGroup>,
}

/// The type of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadBalancerKind {
    /// A network load balancer.
    Network,
    /// Any other, by AWS's name of the type.
    Other(String),
}

/// The state of a load balancer (`State.Code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadBalancerState {
    /// In creation; it carries no traffic.
    Provisioning,
    /// In service.
    Active,
    /// In service with fewer resources than it needs.
    ActiveImpaired,
    /// AWS could not set it up.
    Failed,
    /// A state that this version doesn't know.
    Unknown,
}

impl LoadBalancerState {
    /// Returns whether the load balancer is in service, impaired or not.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::ActiveImpaired)
    }

    /// Returns AWS's name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::ActiveImpaired => "active_impaired",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// One target group.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGroup {
    /// The target group's ARN.
    pub arn: String,
    /// The target group's name.
    pub name: String,
    /// The protocol of its targets, which is that of its listener.
    pub protocol: Protocol,
    /// The type of its targets.
    pub target_type: TargetType,
    /// The target group's tags.
    pub tags: Tags,
    /// The registered targets; read only for the type `ip`.
    pub targets: Vec<Target>,
    /// The number of healthy targets; counted only for types other than `ip`.
    pub healthy_others: usize,
}

impl TargetGroup {
    /// Returns the key of a target in this group.
    pub fn key(&self, ip: IpAddr, port: u16) -> TargetKey {
        TargetKey { target_group_arn: self.arn.clone(), ip, port }
    }

    /// Returns the addresses of the targets with a port that fulfil a condition.
    pub(crate) fn addresses(&self, port: u16, condition: impl Fn(&Target) -> bool) -> BTreeSet<IpAddr> {
        let targets = self.targets.iter().filter(|target| target.port == port && condition(target));
        targets.map(|target| target.ip).collect()
    }
}

/// The protocol of a target group (`Protocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// UDP: media.
    Udp,
    /// TCP_UDP: media, and TCP on the same port.
    TcpUdp,
    /// Any other.
    Other,
}

impl Protocol {
    /// Parses the API's name of the protocol.
    pub fn parse(word: &str) -> Self {
        match word {
            "UDP" => Self::Udp,
            "TCP_UDP" => Self::TcpUdp,
            _ => Self::Other,
        }
    }

    /// Returns whether a listener of this protocol takes UDP, and so media.
    pub fn takes_udp(self) -> bool {
        match self {
            Self::Udp | Self::TcpUdp => true,
            Self::Other => false,
        }
    }
}

/// The type of a target group's targets (`TargetType`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetType {
    /// Addresses: the one type that Fargate tasks can be registered in.
    Ip {
        /// The family of the addresses.
        family: AddressFamily,
        /// The target group's port, which its targets get.
        port: u16,
    },
    /// Any other, by AWS's name of the type.
    Other(String),
}

/// Returns the load balancer's name inside its ARN: `…:loadbalancer/net/NAME/ID`.
pub fn load_balancer_name(arn: &str) -> Option<&str> {
    let (_, resource) = arn.split_once(":loadbalancer/")?;
    resource.split('/').nth(1)
}
