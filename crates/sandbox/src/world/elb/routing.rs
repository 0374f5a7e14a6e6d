//! Routing: the way of a caller's flow through a load balancer to a target.

use std::net::Ipv4Addr;

use super::{Elb, LoadBalancer, LoadBalancerState, TargetKey, TargetState};

/// A flow that a load balancer forwards to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// ARN of the load balancer.
    load_balancer: String,
    /// ARN of the target group.
    group: String,
    /// Target.
    pub target: TargetKey,
}

impl Flow {
    /// Returns the ARN of the load balancer.
    pub fn load_balancer(&self) -> &str {
        &self.load_balancer
    }
}

impl TargetKey {
    /// Returns the IPv4 address of the target.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.id.parse().ok()
    }
}

impl Elb {
    /// Returns the addresses to which the DNS name of a load balancer resolves: none unless it is active.
    pub fn resolve(&self, dns_name: &str) -> &[Ipv4Addr] {
        let found = self.active().find(|load_balancer| load_balancer.dns_name().eq_ignore_ascii_case(dns_name));
        found.map_or(&[], LoadBalancer::addresses)
    }

    /// Returns whether an active load balancer has an address.
    pub fn is_at(&self, address: Ipv4Addr) -> bool {
        self.at(address).is_some()
    }

    /// Returns the flows that can begin at an address of a load balancer: one for each healthy target behind the listener
    /// with a protocol and a port. A TCP_UDP listener takes both protocols.
    pub fn flows(&self, address: Ipv4Addr, protocol: &str, port: u16) -> Vec<Flow> {
        let Some(load_balancer) = self.at(address) else { return Vec::new() };
        let listener = self.listeners.values().find(|listener| {
            listener.load_balancer == load_balancer.arn && listener.port == port && listener.takes(protocol)
        });
        let groups = listener.into_iter().flat_map(|listener| listener.groups());
        let groups = groups.filter_map(|arn| self.groups.get(arn));
        let flows = groups.flat_map(|group| {
            let healthy = group.targets.iter().filter(|(_, target)| target.state == TargetState::Healthy);
            healthy.map(|(key, _)| Flow {
                load_balancer: load_balancer.arn.clone(),
                group: group.arn.clone(),
                target: key.clone(),
            })
        });
        flows.collect()
    }

    /// Returns whether a flow continues: its load balancer is still there, and its target healthy or draining.
    pub fn carries(&self, flow: &Flow) -> bool {
        let target = self.groups.get(&flow.group).and_then(|group| group.targets.get(&flow.target));
        self.active().any(|load_balancer| load_balancer.arn == flow.load_balancer)
            && self.load_balancers_of(&flow.group).contains(flow.load_balancer.as_str())
            && target.is_some_and(|target| matches!(target.state, TargetState::Healthy | TargetState::Draining))
    }

    fn at(&self, address: Ipv4Addr) -> Option<&LoadBalancer> {
        self.active().find(|load_balancer| load_balancer.addresses().contains(&address))
    }

    fn active(&self) -> impl Iterator<Item = &LoadBalancer> {
        self.load_balancers().filter(|load_balancer| load_balancer.state == LoadBalancerState::Active)
    }
}
