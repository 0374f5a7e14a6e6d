//! Elastic Load Balancing v2: load balancers, listeners, target groups and targets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Context;
use crate::api::elb::{CapacityReservationOutput, Request, Response};
use crate::api::{ApiError, Empty};

mod attributes;
mod health_check;
mod listeners;
mod load_balancers;
mod routing;
mod tags;
mod target_groups;
mod targets;
#[cfg(test)]
mod tests;
mod tls;
mod validation;

pub use health_check::HealthCheck;
pub use listeners::Listener;
pub use load_balancers::{LoadBalancer, LoadBalancerState};
pub use routing::Flow;
pub use target_groups::TargetGroup;
pub use targets::{Target, TargetKey, TargetState};
use validation::{Kind, check_arn, listener_not_found, load_balancer_not_found, target_group_not_found};

/// State of Elastic Load Balancing. Resources are keyed by ARN.
#[derive(Debug, Default)]
pub struct Elb {
    load_balancers: BTreeMap<String, LoadBalancer>,
    listeners: BTreeMap<String, Listener>,
    groups: BTreeMap<String, TargetGroup>,
    /// Targets that fail their health checks whatever is behind them: those with an address, or with an address and a port.
    failing: BTreeSet<(String, Option<u16>)>,
    /// Number of public addresses assigned so far.
    assigned: u32,
}

/// Answers a load balancer's health check at an address and a port.
pub type Probe<'a> = dyn Fn(IpAddr, &HealthCheck, u16) -> bool + 'a;

/// A timer of Elastic Load Balancing.
#[derive(Debug)]
pub enum Timer {
    /// Activates a load balancer.
    ActivateLoadBalancer {
        /// ARN of the load balancer.
        load_balancer: String,
    },
    /// Removes a deleted load balancer.
    ForgetLoadBalancer {
        /// ARN of the load balancer.
        load_balancer: String,
    },
    /// Completes the health check of a target.
    HealthCheckResult {
        /// ARN of the target group.
        group: String,
        /// Key of the target.
        target: TargetKey,
    },
    /// Removes a target that has drained.
    TargetDrained {
        /// ARN of the target group.
        group: String,
        /// Key of the target.
        target: TargetKey,
    },
}

impl Elb {
    /// Returns every load balancer that hasn't been deleted.
    pub fn load_balancers(&self) -> impl Iterator<Item = &LoadBalancer> {
        self.load_balancers.values().filter(|load_balancer| !load_balancer.is_deleted())
    }

    /// Returns every listener.
    pub fn listeners(&self) -> impl Iterator<Item = &Listener> {
        self.listeners.values()
    }

    /// Returns every target group.
    pub fn groups(&self) -> impl Iterator<Item = &TargetGroup> {
        self.groups.values()
    }

    /// Returns the state of a target, as the API describes it.
    pub fn target_state(&self, group: &TargetGroup, target: &Target) -> TargetState {
        if target.state != TargetState::Draining && !self.is_used(&group.arn) {
            TargetState::Unused
        } else {
            target.state
        }
    }

    /// Returns the ARNs of the load balancers whose listeners forward to a group.
    pub fn load_balancers_of(&self, group: &str) -> BTreeSet<&str> {
        let listeners = self.listeners.values().filter(|listener| listener.forwards_to(group));
        listeners.map(|listener| listener.load_balancer.as_str()).collect()
    }

    /// Handles a timer.
    pub fn fire(&mut self, timer: Timer, context: &mut Context<'_>, probe: &Probe<'_>) {
        match timer {
            Timer::ActivateLoadBalancer { load_balancer } => self.activate(&load_balancer, context),
            Timer::ForgetLoadBalancer { load_balancer } => drop(self.load_balancers.remove(&load_balancer)),
            Timer::HealthCheckResult { group, target } => self.complete_health_check(&group, &target, probe),
            Timer::TargetDrained { group, target } => self.remove_target(&group, &target),
        }
    }

    /// Makes the targets with an address, or those among them with a port, fail their health checks, or stops doing so.
    ///
    /// # Errors
    ///
    /// Returns an error when no such target is registered.
    pub fn set_failing(
        &mut self,
        ip: IpAddr,
        port: Option<u16>,
        fails: bool,
        context: &mut Context<'_>,
        probe: &Probe<'_>,
    ) -> Result<(), ApiError> {
        let id = ip.to_string();
        let mut registered: Vec<(String, TargetKey)> = self.registrations_of(&id);
        registered.retain(|(_, target)| port.is_none_or(|port| target.port == port));
        if registered.is_empty() {
            let port = port.map(|port| format!(" and the port {port}")).unwrap_or_default();
            let message = format!("No target group has a target with the address {id}{port}");
            return Err(ApiError::new("InvalidTarget", message));
        }
        if fails {
            self.failing.insert((id, port));
        } else {
            self.failing.retain(|(failing, at)| *failing != id || port.is_some() && *at != port);
        }
        for (group, target) in registered {
            self.cancel_health_check(&group, &target, context);
            self.complete_health_check(&group, &target, probe);
        }
        Ok(())
    }

    /// Handles a request.
    ///
    /// # Errors
    ///
    /// Returns AWS's error for a request that it would refuse.
    pub fn call(&mut self, request: Request, context: &mut Context<'_>) -> Result<Response, ApiError> {
        Ok(match request {
            Request::CreateLoadBalancer(input) => {
                Response::CreateLoadBalancer(self.create_load_balancer(input, context)?)
            }
            Request::DescribeLoadBalancers(input) => {
                Response::DescribeLoadBalancers(self.describe_load_balancers(&input)?)
            }
            Request::DeleteLoadBalancer(input) => {
                self.delete_load_balancer(&input.load_balancer_arn, context)?;
                Response::DeleteLoadBalancer(Empty {})
            }
            Request::DescribeLoadBalancerAttributes(input) => {
                let attributes = &self.load_balancer(&input.load_balancer_arn)?.attributes;
                Response::DescribeLoadBalancerAttributes(attributes.to_api())
            }
            Request::ModifyLoadBalancerAttributes(input) => {
                let attributes = &mut self.load_balancer_mut(&input.load_balancer_arn)?.attributes;
                attributes.set(&input.attributes.member)?;
                Response::ModifyLoadBalancerAttributes(attributes.to_api())
            }
            Request::DescribeCapacityReservation(input) => {
                self.load_balancer(&input.load_balancer_arn)?;
                Response::DescribeCapacityReservation(CapacityReservationOutput::default())
            }
            Request::SetSubnets(input) => Response::SetSubnets(self.set_subnets(input, context.settings)?),
            Request::SetSecurityGroups(input) => {
                let load_balancer = self.load_balancer_mut(&input.load_balancer_arn)?;
                Response::SetSecurityGroups(load_balancer.set_security_groups(input.security_groups)?)
            }
            Request::CreateTargetGroup(input) => Response::CreateTargetGroup(self.create_group(input, context)?),
            Request::DescribeTargetGroups(input) => Response::DescribeTargetGroups(self.describe_groups(&input)?),
            Request::DeleteTargetGroup(input) => {
                self.delete_group(&input.target_group_arn, context)?;
                Response::DeleteTargetGroup(Empty {})
            }
            Request::ModifyTargetGroup(input) => Response::ModifyTargetGroup(self.modify_group(input)?),
            Request::DescribeTargetGroupAttributes(input) => {
                let attributes = &self.group(&input.target_group_arn)?.attributes;
                Response::DescribeTargetGroupAttributes(attributes.to_api())
            }
            Request::ModifyTargetGroupAttributes(input) => {
                let attributes = &mut self.group_mut(&input.target_group_arn)?.attributes;
                attributes.set(&input.attributes.member)?;
                Response::ModifyTargetGroupAttributes(attributes.to_api())
            }
            Request::CreateListener(input) => Response::CreateListener(self.create_listener(input, context)?),
            Request::DescribeListeners(input) => Response::DescribeListeners(self.describe_listeners(&input)?),
            Request::DeleteListener(input) => {
                self.delete_listener(&input.listener_arn, context)?;
                Response::DeleteListener(Empty {})
            }
            Request::ModifyListener(input) => Response::ModifyListener(self.modify_listener(input, context)?),
            Request::DescribeListenerAttributes(input) => {
                Response::DescribeListenerAttributes(self.listener(&input.listener_arn)?.attributes.to_api())
            }
            Request::ModifyListenerAttributes(input) => {
                let attributes = &mut self.listener_mut(&input.listener_arn)?.attributes;
                attributes.set(&input.attributes.member)?;
                Response::ModifyListenerAttributes(attributes.to_api())
            }
            Request::DescribeRules(input) => Response::DescribeRules(self.describe_rules(&input)?),
            Request::RegisterTargets(input) => {
                self.register(&input, context)?;
                Response::RegisterTargets(Empty {})
            }
            Request::DeregisterTargets(input) => {
                self.deregister(&input, context)?;
                Response::DeregisterTargets(Empty {})
            }
            Request::DescribeTargetHealth(input) => Response::DescribeTargetHealth(self.describe_health(&input)?),
            Request::AddTags(input) => {
                self.add_tags(&input)?;
                Response::AddTags(Empty {})
            }
            Request::RemoveTags(input) => {
                self.remove_tags(&input)?;
                Response::RemoveTags(Empty {})
            }
            Request::DescribeTags(input) => Response::DescribeTags(self.describe_tags(&input)?),
        })
    }

    fn load_balancer(&self, arn: &str) -> Result<&LoadBalancer, ApiError> {
        check_arn(Kind::LoadBalancer, arn)?;
        self.load_balancers
            .get(arn)
            .filter(|load_balancer| !load_balancer.is_deleted())
            .ok_or_else(|| load_balancer_not_found(arn))
    }

    fn load_balancer_mut(&mut self, arn: &str) -> Result<&mut LoadBalancer, ApiError> {
        check_arn(Kind::LoadBalancer, arn)?;
        self.load_balancers
            .get_mut(arn)
            .filter(|load_balancer| !load_balancer.is_deleted())
            .ok_or_else(|| load_balancer_not_found(arn))
    }

    fn group(&self, arn: &str) -> Result<&TargetGroup, ApiError> {
        check_arn(Kind::TargetGroup, arn)?;
        self.groups.get(arn).ok_or_else(target_group_not_found)
    }

    fn group_mut(&mut self, arn: &str) -> Result<&mut TargetGroup, ApiError> {
        check_arn(Kind::TargetGroup, arn)?;
        self.groups.get_mut(arn).ok_or_else(target_group_not_found)
    }

    fn listener(&self, arn: &str) -> Result<&Listener, ApiError> {
        check_arn(Kind::Listener, arn)?;
        self.listeners.get(arn).ok_or_else(listener_not_found)
    }

    fn listener_mut(&mut self, arn: &str) -> Result<&mut Listener, ApiError> {
        check_arn(Kind::Listener, arn)?;
        self.listeners.get_mut(arn).ok_or_else(listener_not_found)
    }

    /// Returns whether a listener forwards to the group.
    fn is_used(&self, group: &str) -> bool {
        self.listeners.values().any(|listener| listener.forwards_to(group))
    }
}

/// Returns the ARN of a resource.
fn arn(context: &Context<'_>, resource: &str) -> String {
    let settings = context.settings;
    format!("arn:aws:elasticloadbalancing:{}:{}:{resource}", settings.region, settings.account)
}
