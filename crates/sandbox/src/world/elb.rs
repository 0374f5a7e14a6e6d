//! Elastic Load Balancing, version 2: load balancers, listeners, target groups and the targets in them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ecs::Addresses;
use super::{Context, page::BadToken};
use crate::api::elb::{CapacityReservationOutput, Request, Response};
use crate::api::{ApiError, Empty};

mod attributes;
mod groups;
mod health_check;
mod listeners;
mod load_balancers;
mod tags;
mod targets;
#[cfg(test)]
mod tests;

pub use groups::Group;
use listeners::Listener;
pub use load_balancers::{LoadBalancer, LoadBalancerState};
pub use targets::{Target, TargetKey, TargetState};

/// How many items a page has at most.
const PAGE: usize = 400;

/// How long names may be.
const NAME: usize = 32;

/// Load balancers and what belongs to them, each by its ARN.
#[derive(Debug, Default)]
pub struct Elb {
    load_balancers: BTreeMap<String, LoadBalancer>,
    listeners: BTreeMap<String, Listener>,
    groups: BTreeMap<String, Group>,
    /// Addresses that fail their checks whatever runs behind them.
    failing: std::collections::BTreeSet<String>,
}

/// What happens by itself.
#[derive(Debug)]
pub enum Due {
    /// A load balancer comes into service.
    Active {
        /// Its ARN.
        load_balancer: String,
    },
    /// A deleted load balancer is seen no more.
    Gone {
        /// Its ARN.
        load_balancer: String,
    },
    /// The health checks come to a verdict on a target.
    Verdict {
        /// The ARN of its group.
        group: String,
        /// Which one.
        target: TargetKey,
    },
    /// A target has drained.
    Drained {
        /// The ARN of its group.
        group: String,
        /// Which one.
        target: TargetKey,
    },
}

impl Elb {
    /// Every load balancer that hasn't been deleted.
    pub fn load_balancers(&self) -> impl Iterator<Item = &LoadBalancer> {
        self.load_balancers.values().filter(|load_balancer| !load_balancer.is_deleted())
    }

    /// Every target group.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// The state of a target, as it would be described.
    pub fn target_state(&self, group: &Group, target: &Target) -> TargetState {
        if target.state != TargetState::Draining && !self.is_used(&group.arn) {
            TargetState::Unused
        } else {
            target.state
        }
    }

    /// The ARNs of the load balancers whose listeners refer to a group.
    pub fn load_balancers_of(&self, group: &str) -> std::collections::BTreeSet<&str> {
        let listeners = self.listeners.values().filter(|listener| listener.refers_to(group));
        listeners.map(|listener| listener.load_balancer.as_str()).collect()
    }

    /// Does what is due.
    pub fn perform(&mut self, due: Due, context: &mut Context<'_>, addresses: &Addresses) {
        match due {
            Due::Active { load_balancer } => self.become_active(&load_balancer, context),
            Due::Gone { load_balancer } => drop(self.load_balancers.remove(&load_balancer)),
            Due::Verdict { group, target } => self.judge(&group, &target, addresses),
            Due::Drained { group, target } => self.forget_target(&group, &target),
        }
    }

    /// Has every target with an address fail its checks, or pass them again where what runs behind it does.
    ///
    /// # Errors
    ///
    /// When nothing is registered with the address.
    pub fn set_failing(
        &mut self,
        ip: IpAddr,
        fails: bool,
        context: &mut Context<'_>,
        addresses: &Addresses,
    ) -> Result<(), ApiError> {
        let id = ip.to_string();
        let registered: Vec<(String, TargetKey)> = self.registrations_of(&id);
        if registered.is_empty() {
            return Err(ApiError::new("InvalidTarget", format!("No target group has a target with the address {id}")));
        }
        if fails {
            self.failing.insert(id);
        } else {
            self.failing.remove(&id);
        }
        for (group, target) in registered {
            self.strike_verdict(&group, &target, context);
            self.judge(&group, &target, addresses);
        }
        Ok(())
    }

    /// Answers a call.
    ///
    /// # Errors
    ///
    /// What AWS would refuse.
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
                Response::DescribeLoadBalancerAttributes(attributes.shown())
            }
            Request::ModifyLoadBalancerAttributes(input) => {
                let attributes = &mut self.load_balancer_mut(&input.load_balancer_arn)?.attributes;
                attributes.set(&input.attributes.member)?;
                Response::ModifyLoadBalancerAttributes(attributes.shown())
            }
            Request::DescribeCapacityReservation(input) => {
                self.load_balancer(&input.load_balancer_arn)?;
                Response::DescribeCapacityReservation(CapacityReservationOutput::default())
            }
            Request::SetSubnets(input) => {
                let load_balancer = self.load_balancer_mut(&input.load_balancer_arn)?;
                Response::SetSubnets(load_balancer.set_subnets(input, context.settings)?)
            }
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
                Response::DescribeTargetGroupAttributes(attributes.shown())
            }
            Request::ModifyTargetGroupAttributes(input) => {
                let attributes = &mut self.group_mut(&input.target_group_arn)?.attributes;
                attributes.set(&input.attributes.member)?;
                Response::ModifyTargetGroupAttributes(attributes.shown())
            }
            Request::CreateListener(input) => Response::CreateListener(self.create_listener(input, context)?),
            Request::DescribeListeners(input) => Response::DescribeListeners(self.describe_listeners(&input)?),
            Request::DeleteListener(input) => {
                self.delete_listener(&input.listener_arn, context)?;
                Response::DeleteListener(Empty {})
            }
            Request::ModifyListener(input) => Response::ModifyListener(self.modify_listener(input, context)?),
            Request::DescribeListenerAttributes(input) => {
                Response::DescribeListenerAttributes(self.listener(&input.listener_arn)?.attributes.shown())
            }
            Request::ModifyListenerAttributes(input) => {
                let attributes = &mut self.listener_mut(&input.listener_arn)?.attributes;
                attributes.set(&input.attributes.member)?;
                Response::ModifyListenerAttributes(attributes.shown())
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
            .ok_or_else(|| load_balancer_missing(arn))
    }

    fn load_balancer_mut(&mut self, arn: &str) -> Result<&mut LoadBalancer, ApiError> {
        check_arn(Kind::LoadBalancer, arn)?;
        self.load_balancers
            .get_mut(arn)
            .filter(|load_balancer| !load_balancer.is_deleted())
            .ok_or_else(|| load_balancer_missing(arn))
    }

    fn group(&self, arn: &str) -> Result<&Group, ApiError> {
        check_arn(Kind::Group, arn)?;
        self.groups.get(arn).ok_or_else(group_missing)
    }

    fn group_mut(&mut self, arn: &str) -> Result<&mut Group, ApiError> {
        check_arn(Kind::Group, arn)?;
        self.groups.get_mut(arn).ok_or_else(group_missing)
    }

    fn listener(&self, arn: &str) -> Result<&Listener, ApiError> {
        check_arn(Kind::Listener, arn)?;
        self.listeners.get(arn).ok_or_else(listener_missing)
    }

    fn listener_mut(&mut self, arn: &str) -> Result<&mut Listener, ApiError> {
        check_arn(Kind::Listener, arn)?;
        self.listeners.get_mut(arn).ok_or_else(listener_missing)
    }

    /// Whether a listener refers to the group.
    fn is_used(&self, group: &str) -> bool {
        self.listeners.values().any(|listener| listener.refers_to(group))
    }
}

/// What an ARN of this service's is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    LoadBalancer,
    Group,
    Listener,
}

impl Kind {
    /// What an ARN is of; `None` for one that isn't of this service's.
    fn of(arn: &str) -> Option<Self> {
        let resource = arn.strip_prefix("arn:")?.splitn(5, ':').nth(4)?;
        match resource.split_once('/')?.0 {
            "loadbalancer" => Some(Self::LoadBalancer),
            "targetgroup" => Some(Self::Group),
            "listener" => Some(Self::Listener),
            _ => None,
        }
    }
}

/// Whether it is an ARN of that kind, be there such a thing or not.
fn check_arn(kind: Kind, arn: &str) -> Result<(), ApiError> {
    let what = match kind {
        Kind::LoadBalancer => "load balancer",
        Kind::Group => "target group",
        Kind::Listener => "listener",
    };
    let is_one = Kind::of(arn) == Some(kind);
    if is_one { Ok(()) } else { Err(invalid(format!("'{arn}' is not a valid {what} ARN"))) }
}

fn load_balancer_missing(name: &str) -> ApiError {
    ApiError::new("LoadBalancerNotFound", format!("Load balancers '[{name}]' not found"))
}

fn group_missing() -> ApiError {
    ApiError::new("TargetGroupNotFound", "One or more target groups not found")
}

fn listener_missing() -> ApiError {
    ApiError::new("ListenerNotFound", "One or more listeners not found")
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

impl From<BadToken> for ApiError {
    fn from(_: BadToken) -> Self {
        invalid("The marker or token is not valid")
    }
}

/// The size of a page that was asked for as text.
fn page_size(given: Option<&str>) -> Result<usize, ApiError> {
    let Some(given) = given else { return Ok(PAGE) };
    let size = given.parse().ok().filter(|size| (1..=PAGE).contains(size));
    size.ok_or_else(|| invalid(format!("PageSize '{given}' must be between 1 and {PAGE}")))
}

/// Whether a load balancer or target group may have the name.
fn check_name(kind: &str, name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(invalid(format!("{kind} name cannot be blank")));
    }
    if name.len() > NAME {
        return Err(invalid(format!("{kind} name '{name}' cannot be longer than '{NAME}' characters")));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        let message = "can only contain characters that are alphanumeric characters and hyphens(-)";
        return Err(invalid(format!("{kind} name '{name}' {message}")));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(invalid(format!("{kind} name '{name}' cannot begin or end with a hyphen(-)")));
    }
    Ok(())
}

/// A number that was given as text, within AWS's limits.
fn number(name: &str, given: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, ApiError> {
    let (least, most) = (range.start(), range.end());
    let refused = || invalid(format!("{name} '{given}' must be a number between {least} and {most}"));
    given.parse().ok().filter(|number| range.contains(number)).ok_or_else(refused)
}

/// A port that was given as text.
fn port(given: &str) -> Result<u16, ApiError> {
    let port = given.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| invalid(format!("Port '{given}' must be a number between 1 and 65535")))
}

/// The ARN of something of this service.
fn arn(context: &Context<'_>, resource: &str) -> String {
    let settings = context.settings;
    format!("arn:aws:elasticloadbalancing:{}:{}:{resource}", settings.region, settings.account)
}
