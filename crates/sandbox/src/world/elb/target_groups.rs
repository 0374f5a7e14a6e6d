//! Target groups.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::attributes::Attributes;
use super::health_check::{Changes, HealthCheck};
use super::validation::{Kind, check_arn, check_name, invalid, page_size, port, target_group_not_found};
use super::{Elb, Target, TargetKey, tags};
use crate::api::ApiError;
use crate::api::elb as api;
use crate::world::Context;
use crate::world::page::page;

/// Id of the only VPC.
pub const VPC: &str = "vpc-0a1b2c3d4e5f60718";

/// Maximum number of target groups in a region.
const MAX_GROUPS: usize = 3_000;

/// A target group.
#[derive(Debug)]
pub struct TargetGroup {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// Protocol; none for Lambda targets.
    pub protocol: Option<String>,
    /// Default port of targets.
    pub port: Option<u16>,
    /// `ip`, `instance`, `alb` or `lambda`.
    pub target_type: String,
    /// `ipv4` or `ipv6`.
    pub ip_address_type: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Targets, draining ones included.
    pub targets: BTreeMap<TargetKey, Target>,
    /// Time until which the group can't be deleted although no listener forwards to it any more.
    pub in_use_until: Option<Timestamp>,
    vpc: String,
    /// Attributes.
    pub attributes: Attributes,
    /// Health check configuration.
    pub health_check: HealthCheck,
}

impl TargetGroup {
    /// Returns the group in the form of the API.
    fn to_api(&self, load_balancers: impl Iterator<Item = String>) -> api::TargetGroup {
        let check = &self.health_check;
        api::TargetGroup {
            target_group_arn: self.arn.clone(),
            target_group_name: self.name.clone(),
            protocol: self.protocol.clone(),
            port: self.port,
            vpc_id: Some(self.vpc.clone()),
            health_check_protocol: Some(check.protocol.clone()),
            health_check_port: Some(check.port.clone()),
            health_check_enabled: check.enabled,
            health_check_interval_seconds: check.interval,
            health_check_timeout_seconds: check.timeout(),
            healthy_threshold_count: check.healthy,
            unhealthy_threshold_count: check.unhealthy,
            health_check_path: check.path.clone(),
            matcher: check.matcher.clone(),
            load_balancer_arns: load_balancers.collect(),
            target_type: self.target_type.clone(),
            ip_address_type: self.ip_address_type.clone(),
        }
    }

    /// Returns whether two groups were created with the same settings.
    fn has_same_settings(&self, other: &Self) -> bool {
        let settings = |group: &Self| {
            let (protocol, vpc) = (group.protocol.clone(), group.vpc.clone());
            (
                protocol,
                group.port,
                group.target_type.clone(),
                group.ip_address_type.clone(),
                vpc,
                group.health_check.clone(),
            )
        };
        settings(self) == settings(other)
    }
}

impl Elb {
    pub(super) fn create_group(
        &mut self,
        input: api::CreateTargetGroupInput,
        context: &mut Context<'_>,
    ) -> Result<api::TargetGroupsOutput, ApiError> {
        let name = input.name.clone();
        check_name("Target group", &name)?;
        let mut group = read(input)?;
        if let Some(existing) = self.groups.values().find(|group| group.name == name) {
            return if existing.has_same_settings(&group) {
                Ok(self.output(existing))
            } else {
                let message = format!("A target group with the same name '{name}' exists, but with different settings");
                Err(ApiError::new("DuplicateTargetGroupName", message))
            };
        }
        if self.groups.len() >= MAX_GROUPS {
            let message = format!("The maximum number of target groups is {MAX_GROUPS}");
            return Err(ApiError::new("TooManyTargetGroups", message));
        }
        let id = context.random.hex(16);
        group.arn = super::arn(context, &format!("targetgroup/{name}/{id}"));
        let output = self.output(&group);
        self.groups.insert(group.arn.clone(), group);
        Ok(output)
    }

    pub(super) fn describe_groups(
        &self,
        input: &api::DescribeTargetGroupsInput,
    ) -> Result<api::TargetGroupsOutput, ApiError> {
        let (names, arns) = (&input.names.member, &input.target_group_arns.member);
        if let Some(load_balancer) = &input.load_balancer_arn {
            self.load_balancer(load_balancer)?;
        }
        for arn in arns {
            check_arn(Kind::TargetGroup, arn)?;
        }
        let is_missing = |name: &String| !self.groups.values().any(|group| group.name == *name);
        if names.iter().any(is_missing) || arns.iter().any(|arn| !self.groups.contains_key(arn)) {
            return Err(target_group_not_found());
        }
        let listeners = input.load_balancer_arn.as_ref().map(|load_balancer| {
            self.listeners().filter(|listener| listener.load_balancer == *load_balancer).collect::<Vec<_>>()
        });
        let is_behind = |group: &&TargetGroup| {
            listeners.as_ref().is_none_or(|listeners| listeners.iter().any(|listener| listener.forwards_to(&group.arn)))
        };
        let matches = |group: &&TargetGroup| {
            (names.is_empty() && arns.is_empty()) || names.contains(&group.name) || arns.contains(&group.arn)
        };
        let matching = self.groups.values().filter(matches).filter(is_behind);
        let size = page_size(input.page_size.as_deref())?;
        let (page, next_marker) = page(matching, |group| &group.arn, size, input.marker.as_deref())?;
        let target_groups = page.into_iter().map(|group| self.describe_group(group)).collect();
        Ok(api::TargetGroupsOutput { target_groups, next_marker })
    }

    pub(super) fn modify_group(
        &mut self,
        input: api::ModifyTargetGroupInput,
    ) -> Result<api::TargetGroupsOutput, ApiError> {
        let group = self.group_mut(&input.target_group_arn)?;
        group.health_check = group.health_check.clone().changed(Changes {
            protocol: input.health_check_protocol,
            port: input.health_check_port,
            path: input.health_check_path,
            enabled: input.health_check_enabled,
            interval: input.health_check_interval_seconds,
            timeout: input.health_check_timeout_seconds,
            healthy: input.healthy_threshold_count,
            unhealthy: input.unhealthy_threshold_count,
            matcher: input.matcher,
        })?;
        Ok(self.output(self.group(&input.target_group_arn)?))
    }

    /// Deletes a target group. As on AWS, deleting one that doesn't exist succeeds.
    pub(super) fn delete_group(&mut self, arn: &str, context: &mut Context<'_>) -> Result<(), ApiError> {
        check_arn(Kind::TargetGroup, arn)?;
        let Some(group) = self.groups.get(arn) else { return Ok(()) };
        let is_released = group.in_use_until.is_none_or(|until| until <= context.now);
        if !is_released || self.is_used(arn) {
            let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
            return Err(ApiError::new("ResourceInUse", message));
        }
        for target in self.groups.remove(arn).into_iter().flat_map(|group| group.targets.into_values()) {
            if let Some(timer) = target.timer {
                context.timers.cancel(timer);
            }
        }
        Ok(())
    }

    fn describe_group(&self, group: &TargetGroup) -> api::TargetGroup {
        group.to_api(self.load_balancers_of(&group.arn).into_iter().map(str::to_owned))
    }

    fn output(&self, group: &TargetGroup) -> api::TargetGroupsOutput {
        api::TargetGroupsOutput { target_groups: [self.describe_group(group)].into_iter().collect(), next_marker: None }
    }
}

/// Reads the group of a CreateTargetGroup request. The caller sets its ARN.
fn read(input: api::CreateTargetGroupInput) -> Result<TargetGroup, ApiError> {
    let target_type = input.target_type.unwrap_or_else(|| "instance".to_owned());
    if !["instance", "ip", "alb", "lambda"].contains(&target_type.as_str()) {
        return Err(invalid(format!("Target type '{target_type}' must be one of 'instance, ip, lambda, alb'")));
    }
    let ip_address_type = input.ip_address_type.unwrap_or_else(|| "ipv4".to_owned());
    if !["ipv4", "ipv6"].contains(&ip_address_type.as_str()) {
        return Err(invalid(format!("IP address type '{ip_address_type}' must be one of 'ipv4, ipv6'")));
    }
    if target_type != "lambda" {
        if input.protocol.is_none() {
            return Err(invalid("A protocol must be specified"));
        }
        if input.port.is_none() {
            return Err(invalid("A port must be specified"));
        }
        if input.vpc_id.is_none() {
            return Err(invalid("A VPC ID must be specified"));
        }
    }
    if let Some(protocol) = &input.protocol
        && !["TCP", "UDP", "TCP_UDP", "TLS", "HTTP", "HTTPS", "GENEVE"].contains(&protocol.as_str())
    {
        return Err(invalid(format!("Target group protocol '{protocol}' is not valid")));
    }
    let is_http = matches!(input.protocol.as_deref(), Some("HTTP" | "HTTPS"));
    let attributes = Attributes::of_target_group(input.protocol.as_deref().unwrap_or_default());
    let health_check = HealthCheck::new(is_http).changed(Changes {
        protocol: input.health_check_protocol,
        port: input.health_check_port,
        path: input.health_check_path,
        enabled: input.health_check_enabled,
        interval: input.health_check_interval_seconds,
        timeout: input.health_check_timeout_seconds,
        healthy: input.healthy_threshold_count,
        unhealthy: input.unhealthy_threshold_count,
        matcher: input.matcher,
    })?;
    Ok(TargetGroup {
        arn: String::new(),
        name: input.name,
        port: input.port.as_deref().map(port).transpose()?,
        protocol: input.protocol,
        target_type,
        ip_address_type,
        tags: tags::read(&input.tags.member)?,
        targets: BTreeMap::new(),
        in_use_until: None,
        vpc: input.vpc_id.unwrap_or_else(|| VPC.to_owned()),
        attributes,
        health_check,
    })
}
