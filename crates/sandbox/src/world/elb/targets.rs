//! Targets: registration, health and draining.

use std::net::IpAddr;
use std::time::Duration;

use super::attributes::{DEFAULT_DEREGISTRATION_DELAY, DEREGISTRATION_DELAY};
use super::validation::{invalid, port};
use super::{Elb, LoadBalancerState, Probe, TargetGroup, Timer};
use crate::api::ApiError;
use crate::api::elb as api;
use crate::world::timers::TimerId;
use crate::world::{Context, Timer as WorldTimer};

/// Identity of a target within its group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetKey {
    /// Address, or id of an instance.
    pub id: String,
    /// Port.
    pub port: u16,
}

/// Health of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Registered, with the first health checks in progress.
    Initial,
    /// The target passes its health checks.
    Healthy,
    /// The target fails its health checks.
    Unhealthy,
    /// Deregistered, with existing flows continuing.
    Draining,
    /// Registered in a group that no listener forwards to.
    Unused,
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
        }
    }

    /// Returns the health in the form of the API. The reason of a new target depends on whether its load balancer has
    /// begun to check it.
    fn to_api(self, is_checked: bool) -> api::TargetHealth {
        let reason = match self {
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
            reason: reason.map(|(code, _)| code.to_owned()),
            description: reason.map(|(_, description)| description.to_owned()),
        }
    }
}

/// A target.
#[derive(Debug)]
pub struct Target {
    /// Health, as long as a listener forwards to the group.
    pub state: TargetState,
    /// Timer of the next health check result, or of the end of draining.
    pub timer: Option<TimerId>,
    zone: Option<String>,
}

impl Elb {
    pub(super) fn register(&mut self, input: &api::TargetsInput, context: &mut Context<'_>) -> Result<(), ApiError> {
        let is_checked = self.is_checked(&input.target_group_arn);
        let limit = context.settings.load_balancers.targets_per_group;
        let group = self.group_mut(&input.target_group_arn)?;
        let mut keys = Vec::new();
        for target in at_least_one(&input.targets.member)? {
            check_target(group, target)?;
            keys.push((key(group, target)?, target.availability_zone.clone()));
        }
        // Draining targets don't count towards the quota, and a target that is registered already doesn't count twice.
        let is_registered =
            |key: &TargetKey| group.targets.get(key).is_some_and(|target| target.state != TargetState::Draining);
        let new: std::collections::BTreeSet<&TargetKey> =
            keys.iter().map(|(key, _)| key).filter(|key| !is_registered(key)).collect();
        let registered = group.targets.values().filter(|target| target.state != TargetState::Draining).count();
        if registered + new.len() > limit {
            let message = format!("You've reached the limit of {limit} targets per target group");
            return Err(ApiError::new("TooManyTargets", message));
        }
        for (key, zone) in keys {
            if group.targets.get(&key).is_some_and(|target| target.state != TargetState::Draining) {
                continue;
            }
            let timer = is_checked
                .then(|| start_health_check(&group.arn, &key, context.settings.load_balancers.initial, context));
            let target = Target { state: TargetState::Initial, timer, zone };
            if let Some(timer) = group.targets.insert(key, target).and_then(|before| before.timer) {
                context.timers.cancel(timer);
            }
        }
        Ok(())
    }

    pub(super) fn deregister(&mut self, input: &api::TargetsInput, context: &mut Context<'_>) -> Result<(), ApiError> {
        let is_used = self.is_used(&input.target_group_arn);
        let group = self.group_mut(&input.target_group_arn)?;
        let targets = at_least_one(&input.targets.member)?;
        let keys: Vec<TargetKey> = targets.iter().map(|target| key(group, target)).collect::<Result<_, _>>()?;
        let draining = draining_time(group, context.settings.load_balancers.draining);
        for key in keys {
            // As on AWS, deregistering a target that isn't registered succeeds.
            let Some(target) = group.targets.get_mut(&key) else { continue };
            if target.state == TargetState::Draining {
                continue;
            }
            if let Some(timer) = target.timer.take() {
                context.timers.cancel(timer);
            }
            if !is_used {
                // A group without listeners has no traffic to drain.
                group.targets.remove(&key);
                continue;
            }
            target.state = TargetState::Draining;
            let timer = Timer::TargetDrained { group: group.arn.clone(), target: key };
            target.timer = Some(context.start_timer(draining, WorldTimer::Elb(timer)));
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
                target.map_or_else(not_registered, |target| self.target_state(group, target).to_api(is_checked));
            api::TargetHealthDescription {
                health_check_port: group.health_check.port_of(key.port).to_string(),
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

    /// Resets the health of a group's targets to initial, after a listener or its load balancer became active. Health
    /// checks begin once the load balancer is active.
    pub(super) fn restart_health_checks(&mut self, group: &str, context: &mut Context<'_>) {
        let is_checked = self.is_checked(group);
        let Some(group) = self.groups.get_mut(group) else { return };
        for (key, target) in &mut group.targets {
            if target.state == TargetState::Draining {
                continue;
            }
            if let Some(timer) = target.timer.take() {
                context.timers.cancel(timer);
            }
            target.state = TargetState::Initial;
            target.timer = is_checked
                .then(|| start_health_check(&group.arn, key, context.settings.load_balancers.initial, context));
        }
    }

    /// Starts health checks of the targets with an address, after the task behind it began or ceased to serve.
    pub fn address_changed(&mut self, ip: IpAddr, context: &mut Context<'_>) {
        let id = ip.to_string();
        for (group, key) in self.registrations_of(&id) {
            let Some(target) = self.groups.get_mut(&group).and_then(|group| group.targets.get_mut(&key)) else {
                continue;
            };
            if !matches!(target.state, TargetState::Healthy | TargetState::Unhealthy) {
                continue;
            }
            if let Some(timer) = target.timer.take() {
                context.timers.cancel(timer);
            }
            target.timer =
                Some(start_health_check(&group, &key, context.settings.load_balancers.health_change, context));
        }
    }

    /// Cancels the health check of a target.
    pub(super) fn cancel_health_check(&mut self, group: &str, key: &TargetKey, context: &mut Context<'_>) {
        let target = self.groups.get_mut(group).and_then(|group| group.targets.get_mut(key));
        if let Some(timer) = target.and_then(|target| target.timer.take()) {
            context.timers.cancel(timer);
        }
    }

    /// Sets the health of a target from what answers its health check. Targets without an address always answer.
    pub(super) fn complete_health_check(&mut self, group: &str, key: &TargetKey, probe: &Probe<'_>) {
        let fails = [None, Some(key.port)].into_iter().any(|port| self.failing.contains(&(key.id.clone(), port)));
        let Some(group) = self.groups.get_mut(group) else { return };
        let Some(target) = group.targets.get_mut(key) else { return };
        if target.state == TargetState::Draining {
            return;
        }
        let check = &group.health_check;
        let answers = key.id.parse().map_or(true, |ip| probe(ip, check, check.port_of(key.port)));
        target.timer = None;
        target.state = if answers && !fails { TargetState::Healthy } else { TargetState::Unhealthy };
    }

    /// Removes a target that has drained.
    pub(super) fn remove_target(&mut self, group: &str, key: &TargetKey) {
        if let Some(group) = self.groups.get_mut(group) {
            group.targets.remove(key);
        }
    }

    /// Returns the registered targets with an address, without draining ones.
    pub(super) fn registrations_of(&self, id: &str) -> Vec<(String, TargetKey)> {
        let mut found = Vec::new();
        for group in self.groups.values() {
            let targets =
                group.targets.iter().filter(|(key, target)| key.id == id && target.state != TargetState::Draining);
            found.extend(targets.map(|(key, _)| (group.arn.clone(), key.clone())));
        }
        found
    }

    /// Returns whether the targets of a group are checked, which is when its load balancer is active.
    fn is_checked(&self, group: &str) -> bool {
        let is_active = |arn: &str| {
            self.load_balancers.get(arn).is_some_and(|load_balancer| load_balancer.state == LoadBalancerState::Active)
        };
        self.load_balancers_of(group).into_iter().any(is_active)
    }
}

/// Returns how long the targets of a group drain: the world's setting, scaled by the group's deregistration delay.
fn draining_time(group: &TargetGroup, default: Duration) -> Duration {
    let seconds = group.attributes.number(DEREGISTRATION_DELAY).unwrap_or(DEFAULT_DEREGISTRATION_DELAY);
    default.saturating_mul(seconds) / DEFAULT_DEREGISTRATION_DELAY
}

/// Starts the timer of a health check result.
fn start_health_check(group: &str, key: &TargetKey, delay: Duration, context: &mut Context<'_>) -> TimerId {
    let timer = Timer::HealthCheckResult { group: group.to_owned(), target: key.clone() };
    context.start_timer(delay, WorldTimer::Elb(timer))
}

fn not_registered() -> api::TargetHealth {
    api::TargetHealth {
        state: "unused".to_owned(),
        reason: Some("Target.NotRegistered".to_owned()),
        description: Some("Target is not registered to the target group".to_owned()),
    }
}

fn at_least_one(targets: &[api::TargetDescription]) -> Result<&[api::TargetDescription], ApiError> {
    if targets.is_empty() { Err(invalid("At least one target must be specified")) } else { Ok(targets) }
}

/// Returns the key of a target. Its port is the group's when the request names none.
fn key(group: &TargetGroup, target: &api::TargetDescription) -> Result<TargetKey, ApiError> {
    let given = target.port.as_deref().map(port).transpose()?;
    // Normalized, so that two spellings of an address are one target.
    let id = target.id.parse::<IpAddr>().map_or_else(|_| target.id.clone(), |ip| ip.to_string());
    Ok(TargetKey { id, port: given.or(group.port).unwrap_or(0) })
}

/// Checks that a target fits the group's target type.
fn check_target(group: &TargetGroup, target: &api::TargetDescription) -> Result<(), ApiError> {
    let id = &target.id;
    let invalid_target = |message: String| Err(ApiError::new("InvalidTarget", message));
    match (group.target_type.as_str(), group.ip_address_type.as_str()) {
        ("ip", "ipv6") => match id.parse() {
            Ok(IpAddr::V6(_)) => Ok(()),
            _ => invalid_target(format!("The IP address '{id}' is not a valid IPv6 address")),
        },
        ("ip", _) => match id.parse() {
            Ok(IpAddr::V4(ip)) if ip.is_private() || ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]) => {
                Ok(())
            }
            Ok(IpAddr::V4(_)) => invalid_target(format!(
                "The IP address '{id}' is not within the VPC or the address ranges of RFC 1918 and RFC 6598"
            )),
            _ => invalid_target(format!("The IP address '{id}' is not a valid IPv4 address")),
        },
        ("instance", _) if !id.starts_with("i-") => {
            invalid_target(format!("The following targets are not in the expected format: '{id}'"))
        }
        _ => Ok(()),
    }
}
