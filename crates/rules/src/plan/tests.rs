//! The rules by example and by property.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::samples::*;
use super::*;
use crate::model::{
    AddressFamily, DesiredStatus, HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus, LoadBalancer,
    LoadBalancerKind, LoadBalancerState, Service, Tags, Target, TargetGroup, TargetState, TargetType, Task,
};

mod lifecycle;
mod paid_hour;
mod properties;
mod registrations;
mod service;
mod stop;

/// Makes the targets at one address fail their health checks.
fn with_unhealthy(mut load_balancer: LoadBalancer, number: u8) -> LoadBalancer {
    for target in load_balancer.target_groups.iter_mut().flat_map(|group| &mut group.targets) {
        if target.ip == ip(number) {
            target.state = TargetState::Unhealthy;
        }
    }
    load_balancer
}

fn plan_at_noon(observation: &Observation) -> Plan {
    plan(observation, &policy(), noon())
}

fn names(plan: &Plan) -> Vec<FindingName> {
    plan.findings.iter().map(|finding| finding.name).collect()
}

fn keys(changes: &[TargetChange]) -> Vec<(IpAddr, u16)> {
    changes.iter().map(|change| (change.key.ip, change.key.port)).collect()
}

fn is_deletion(plan: &Plan) -> bool {
    matches!(plan.lifecycle, LifecycleAction::DeleteLoadBalancer { .. })
}
