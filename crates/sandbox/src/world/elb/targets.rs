//! Targets: registered, checked, drained.

use std::net::IpAddr;
use std::time::Duration;

use super::attributes::{DEFAULT_DEREGISTRATION_DELAY, DEREGISTRATION_DELAY};
use super::{Due, Elb, Group, LoadBalancerState, invalid, port};
use crate::api::ApiError;
use crate::api::elb as api;
use crate::world::agenda::Ticket;
use crate::world::ecs::Addresses;
use crate::world::{Context, Due as WorldDue};

/// What tells a target from the others of its group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetKey {
    /// Its address, or the id of an instance.
    pub id: String,
    /// Its port.
    pub port: u16,
}

/// How a target does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Registered, first health checks under way.
    Initial,
    /// Passes its health checks.
    Healthy,
    /// Fails them.
    Unhealthy,
    /// Deregistered, its flows running out.
    Draining,
    /// Registered in a group that no listener refers to.
    Unused,
}

impl TargetState {
    /// AWS's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Unused => "unused",
        }
    }

    /// As it is described; why, depends for a new target on whether its load balancer has begun to check it.
    fn health(self, is_checked: bool) -> api::TargetHealth {
        let why = match self {
            Self::Initial if is_checked => Some(("Elb.InitialHealthChecking", "Initial health checks in progress")),
            Self::Initial => Some(("Elb.RegistrationInProgress", "Target registration is in progress")),
            Self::Healthy => None,
            Self::Unhealthy => Some(("Target.FailedHealthChecks", "Health checks failed")),
            Self::Draining => Some(("Target.DeregistrationInProgress", "Target deregistration is in progress")),
            Self::Unused => {
                Some(("Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"))
            }
        };
        api::TargetHealth {
            state: self.as_str().to_owned(),
            reason: why.map(|(reason, _)| reason.to_owned()),
            description: why.map(|(_, description)| description.to_owned()),
        }
    }
}

/// A target.
#[derive(Debug)]
pub struct Target {
    /// How it does, as long as a listener refers to its group.
    pub state: TargetState,
    /// What is to become of it by itself.
    pub next: Option<Ticket>,
    zone: Option<String>,
}

impl Elb {
    pub(super) fn register(&mut self, input: &api::TargetsInput, context: &mut Context<'_>) -> Result<(), ApiError> {
        let is_checked = self.is_checked(&input.target_group_arn);
        let limit = context.settings.load_balancers.targets_per_group;
        let group = self.group_mut(&input.target_group_arn)?;
        let mut keys = Vec::new();
        for target in some(&input.targets.member)? {
            check_target(group, target)?;
            keys.push((key(group, target)?, target.availability_zone.clone()));
        }
        // What drains no longer counts; what is there already doesn't count twice.
        let is_in =
            |key: &TargetKey| group.targets.get(key).is_some_and(|target| target.state != TargetState::Draining);
        let new: std::collections::BTreeSet<&TargetKey> =
            keys.iter().map(|(key, _)| key).filter(|key| !is_in(key)).collect();
        let held = group.targets.values().filter(|target| target.state != TargetState::Draining).count();
        if held + new.len() > limit {
            let message = format!("You've reached the limit of {limit} targets per target group");
            return Err(ApiError::new("TooManyTargets", message));
        }
        for (key, zone) in keys {
            if group.targets.get(&key).is_some_and(|target| target.state != TargetState::Draining) {
                continue;
            }
            let next = is_checked.then(|| verdict(&group.arn, &key, context.settings.load_balancers.initial, context));
            let target = Target { state: TargetState::Initial, next, zone };
            if let Some(ticket) = group.targets.insert(key, target).and_then(|before| before.next) {
                context.agenda.strike(ticket);
            }
        }
        Ok(())
    }

    pub(super) fn deregister(&mut self, input: &api::TargetsInput, context: &mut Context<'_>) -> Result<(), ApiError> {
        let is_used = self.is_used(&input.target_group_arn);
        let group = self.group_mut(&input.target_group_arn)?;
        let targets = some(&input.targets.member)?;
        let keys: Vec<TargetKey> = targets.iter().map(|target| key(group, target)).collect::<Result<_, _>>()?;
        let draining = draining(group, context.settings.load_balancers.draining);
        for key in keys {
            // As on AWS, nothing is said of a target that isn't there.
            let Some(target) = group.targets.get_mut(&key) else { continue };
            if target.state == TargetState::Draining {
                continue;
            }
            if let Some(ticket) = target.next.take() {
                context.agenda.strike(ticket);
            }
            if !is_used {
                // Without traffic there is nothing to drain.
                group.targets.remove(&key);
                continue;
            }
            target.state = TargetState::Draining;
            let due = Due::Drained { group: group.arn.clone(), target: key };
            target.next = Some(context.due_in(draining, WorldDue::Elb(due)));
        }
        Ok(())
    }

    pub(super) fn describe_health(
        &self,
        input: &api::DescribeTargetHealthInput,
    ) -> Result<api::DescribeTargetHealthOutput, ApiError> {
        let group = self.group(&input.target_group_arn)?;
        let keys: Vec<TargetKey> = if input.targets.member.is_empty() {
            group.targets.keys().cloned().collect()
        } else {
            input.targets.member.iter().map(|target| key(group, target)).collect::<Result<_, _>>()?
        };
        let is_checked = self.is_checked(&group.arn);
        let describe = |key: TargetKey| {
            let target = group.targets.get(&key);
            let health =
                target.map_or_else(not_registered, |target| self.target_state(group, target).health(is_checked));
            api::TargetHealthDescription {
                health_check_port: group.health_check_port(&key),
                target: api::TargetDescription {
                    id: key.id,
                    port: Some(key.port.to_string()),
                    availability_zone: target.and_then(|target| target.zone.clone()),
                },
                target_health: health,
            }
        };
        Ok(api::DescribeTargetHealthOutput { target_health_descriptions: keys.into_iter().map(describe).collect() })
    }

    /// Takes a group's targets for new ones: a listener or its load balancer came in. They are checked once the load
    /// load balancer is in service.
    pub(super) fn check_anew(&mut self, group: &str, context: &mut Context<'_>) {
        let is_checked = self.is_checked(group);
        let Some(group) = self.groups.get_mut(group) else { return };
        for (key, target) in &mut group.targets {
            if target.state == TargetState::Draining {
                continue;
            }
            if let Some(ticket) = target.next.take() {
                context.agenda.strike(ticket);
            }
            target.state = TargetState::Initial;
            target.next =
                is_checked.then(|| verdict(&group.arn, key, context.settings.load_balancers.initial, context));
        }
    }

    /// Something changed behind an address: the health checks will notice.
    pub fn address_changed(&mut self, ip: IpAddr, context: &mut Context<'_>) {
        let id = ip.to_string();
        for (group, key) in self.registrations_of(&id) {
            let Some(target) = self.groups.get_mut(&group).and_then(|group| group.targets.get_mut(&key)) else {
                continue;
            };
            if !matches!(target.state, TargetState::Healthy | TargetState::Unhealthy) {
                continue;
            }
            if let Some(ticket) = target.next.take() {
                context.agenda.strike(ticket);
            }
            target.next = Some(verdict(&group, &key, context.settings.load_balancers.health_change, context));
        }
    }

    /// Strikes out the verdict that is to come on a target: it comes now.
    pub(super) fn strike_verdict(&mut self, group: &str, key: &TargetKey, context: &mut Context<'_>) {
        let target = self.groups.get_mut(group).and_then(|group| group.targets.get_mut(key));
        if let Some(ticket) = target.and_then(|target| target.next.take()) {
            context.agenda.strike(ticket);
        }
    }

    /// Says of a target whether it is healthy. An address that is no task's is taken for one that serves.
    pub(super) fn judge(&mut self, group: &str, key: &TargetKey, addresses: &Addresses) {
        let fails = self.failing.contains(&key.id);
        let serves = key.id.parse().ok().and_then(|ip| addresses.serves(ip)).unwrap_or(true);
        let Some(target) = self.groups.get_mut(group).and_then(|group| group.targets.get_mut(key)) else { return };
        if target.state == TargetState::Draining {
            return;
        }
        target.next = None;
        target.state = if serves && !fails { TargetState::Healthy } else { TargetState::Unhealthy };
    }

    pub(super) fn forget_target(&mut self, group: &str, key: &TargetKey) {
        if let Some(group) = self.groups.get_mut(group) {
            group.targets.remove(key);
        }
    }

    /// Every registration with an address, those that drain aside.
    pub(super) fn registrations_of(&self, id: &str) -> Vec<(String, TargetKey)> {
        let mut found = Vec::new();
        for group in self.groups.values() {
            let targets =
                group.targets.iter().filter(|(key, target)| key.id == id && target.state != TargetState::Draining);
            found.extend(targets.map(|(key, _)| (group.arn.clone(), key.clone())));
        }
        found
    }

    /// Whether targets of the group are checked: its load balancer is in service.
    fn is_checked(&self, group: &str) -> bool {
        let is_active = |arn: &str| {
            self.load_balancers.get(arn).is_some_and(|load_balancer| load_balancer.state == LoadBalancerState::Active)
        };
        self.load_balancers_of(group).into_iter().any(is_active)
    }
}

/// How long the group's targets drain: the world's time for it, as far as the group's own attribute is AWS's default.
fn draining(group: &Group, usual: Duration) -> Duration {
    let seconds = group.attributes.number(DEREGISTRATION_DELAY).unwrap_or(DEFAULT_DEREGISTRATION_DELAY);
    usual.saturating_mul(seconds) / DEFAULT_DEREGISTRATION_DELAY
}

fn verdict(group: &str, key: &TargetKey, delay: Duration, context: &mut Context<'_>) -> Ticket {
    let due = Due::Verdict { group: group.to_owned(), target: key.clone() };
    context.due_in(delay, WorldDue::Elb(due))
}

fn not_registered() -> api::TargetHealth {
    api::TargetHealth {
        state: "unused".to_owned(),
        reason: Some("Target.NotRegistered".to_owned()),
        description: Some("Target is not registered to the target group".to_owned()),
    }
}

fn some(targets: &[api::TargetDescription]) -> Result<&[api::TargetDescription], ApiError> {
    if targets.is_empty() { Err(invalid("At least one target must be specified")) } else { Ok(targets) }
}

/// The target's key; its port is the group's where none is given.
fn key(group: &Group, target: &api::TargetDescription) -> Result<TargetKey, ApiError> {
    let given = target.port.as_deref().map(port).transpose()?;
    // Written as addresses are, so that one address is one target.
    let id = target.id.parse::<IpAddr>().map_or_else(|_| target.id.clone(), |ip| ip.to_string());
    Ok(TargetKey { id, port: given.or(group.port).unwrap_or(0) })
}

/// Whether a group takes such a target.
fn check_target(group: &Group, target: &api::TargetDescription) -> Result<(), ApiError> {
    let id = &target.id;
    let refused = |message: String| Err(ApiError::new("InvalidTarget", message));
    match (group.target_type.as_str(), group.ip_address_type.as_str()) {
        ("ip", "ipv6") => match id.parse() {
            Ok(IpAddr::V6(_)) => Ok(()),
            _ => refused(format!("The IP address '{id}' is not a valid IPv6 address")),
        },
        ("ip", _) => match id.parse() {
            Ok(IpAddr::V4(ip)) if ip.is_private() || ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]) => {
                Ok(())
            }
            Ok(IpAddr::V4(_)) => refused(format!(
                "The IP address '{id}' is not within the VPC or the address ranges of RFC 1918 and RFC 6598"
            )),
            _ => refused(format!("The IP address '{id}' is not a valid IPv4 address")),
        },
        ("instance", _) if !id.starts_with("i-") => {
            refused(format!("The following targets are not in the expected format: '{id}'"))
        }
        _ => Ok(()),
    }
}
