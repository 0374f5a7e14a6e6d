//! The load balancer, its target groups and listeners, changed by hand.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{GROUPS, Group, Operator};
use jvb_watcher_sandbox::api::{ApiError, Tag, elb};
use jvb_watcher_sandbox::platform;
use jvb_watcher_sandbox::world::Incident;

/// Returns the tags without which a watcher deletes nothing.
fn owner_tags() -> elb::Members<Tag> {
    [Tag { key: "Lifecycle".to_owned(), value: "on-demand".to_owned() }].into_iter().collect()
}

impl Operator {
    /// Returns the load balancer's ARN and state.
    pub fn load_balancer(&self) -> Result<Option<(String, String)>, ApiError> {
        let input = elb::DescribeLoadBalancersInput {
            names: [self.load_balancer_name()].into_iter().collect(),
            ..Default::default()
        };
        match self.elb(elb::Request::DescribeLoadBalancers(input)) {
            Ok(elb::Response::DescribeLoadBalancers(output)) => {
                let found = output.load_balancers.member.into_iter().next();
                Ok(found.map(|found| (found.load_balancer_arn, found.state.code)))
            }
            Ok(other) => unreachable!("another answer: {other:?}"),
            Err(error) if error.code == "LoadBalancerNotFound" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the ARNs of the project's target groups by name.
    pub fn groups(&self) -> Result<BTreeMap<String, String>, ApiError> {
        let elb::Response::DescribeTargetGroups(output) =
            self.elb(elb::Request::DescribeTargetGroups(elb::DescribeTargetGroupsInput::default()))?
        else {
            unreachable!("another answer")
        };
        let groups = output.target_groups.member.into_iter();
        let ours = groups.filter(|group| group.target_group_name.starts_with(&format!("{}-", self.project)));
        Ok(ours.map(|group| (group.target_group_name, group.target_group_arn)).collect())
    }

    /// Creates the load balancer, without listeners, and the record of the platform's domain.
    pub fn create_load_balancer(&self) -> Result<String, ApiError> {
        let output = self.elb(elb::Request::CreateLoadBalancer(elb::CreateLoadBalancerInput {
            name: self.load_balancer_name(),
            r#type: Some("network".to_owned()),
            subnets: ["subnet-0a1b2c3d4e5f60718".to_owned()].into_iter().collect(),
            tags: owner_tags(),
            ..Default::default()
        }))?;
        let elb::Response::CreateLoadBalancer(output) = output else { unreachable!("another answer") };
        let Some(made) = output.load_balancers.member.into_iter().next() else { return Ok(String::new()) };
        if self.project == platform::PROJECT {
            self.environment.with(|state, now| match state.world.settings().calls.domain.clone() {
                Some(name) => state.world.inject(Incident::PutRecord { name, target: made.dns_name }, now),
                None => Ok(()),
            })?;
        }
        Ok(made.load_balancer_arn)
    }

    pub(super) fn group_name(&self, group: Group) -> String {
        format!("{}-{}", self.project, group.suffix)
    }

    pub(super) fn create_group(&self, group: Group) -> Result<String, ApiError> {
        let output = self.elb(elb::Request::CreateTargetGroup(elb::CreateTargetGroupInput {
            name: self.group_name(group),
            protocol: Some(group.protocol.to_owned()),
            port: Some(group.port.to_owned()),
            vpc_id: Some("vpc-0a1b2c3d4e5f60718".to_owned()),
            target_type: Some("ip".to_owned()),
            health_check_protocol: Some("TCP".to_owned()),
            health_check_port: Some(group.health_check_port.to_owned()),
            tags: owner_tags(),
            ..Default::default()
        }))?;
        let elb::Response::CreateTargetGroup(output) = output else { unreachable!("another answer") };
        Ok(output.target_groups.member.into_iter().next().map(|made| made.target_group_arn).unwrap_or_default())
    }

    pub(super) fn create_listener(&self, load_balancer: &str, arn: &str, group: Group) -> Result<(), ApiError> {
        let action =
            elb::Action { r#type: "forward".to_owned(), target_group_arn: Some(arn.to_owned()), ..Default::default() };
        let (protocol, port) = group.listener;
        let certificate = (protocol == "TLS").then(|| {
            let account = self.environment.with(|state, _| state.world.settings().account.clone());
            elb::Certificate { certificate_arn: format!("arn:aws:iam::{account}:server-certificate/meet") }
        });
        let input = elb::CreateListenerInput {
            load_balancer_arn: load_balancer.to_owned(),
            protocol: Some(protocol.to_owned()),
            port: Some(port.to_owned()),
            certificates: certificate.into_iter().collect(),
            default_actions: [action].into_iter().collect(),
            ..Default::default()
        };
        self.elb(elb::Request::CreateListener(input)).map(drop)
    }

    /// Creates the load balancer with its target groups and listeners, at once.
    pub fn create_all(&self) -> Result<(), ApiError> {
        let load_balancer = self.create_load_balancer()?;
        for group in GROUPS {
            let arn = self.create_group(group)?;
            self.create_listener(&load_balancer, &arn, group)?;
        }
        Ok(())
    }

    /// Deletes the load balancer, if there is one.
    pub fn delete_load_balancer(&self) -> Result<(), ApiError> {
        let Some((load_balancer_arn, _)) = self.load_balancer()? else { return Ok(()) };
        self.elb(elb::Request::DeleteLoadBalancer(elb::LoadBalancerInput { load_balancer_arn })).map(drop)
    }

    pub(super) fn delete_groups(&self) -> Result<(), ApiError> {
        for target_group_arn in self.groups()?.into_values() {
            self.elb(elb::Request::DeleteTargetGroup(elb::TargetGroupInput { target_group_arn }))?;
        }
        Ok(())
    }

    /// Deletes the load balancer if it is in the state failed.
    pub fn delete_failed_load_balancer(&self) -> Result<(), ApiError> {
        let name = self.load_balancer_name();
        let load_balancers = self.environment.with(|state, _| state.world.load_balancers());
        match load_balancers.iter().any(|found| found.name == name && found.state == "failed") {
            true => self.delete_load_balancer(),
            false => Ok(()),
        }
    }

    /// Deletes the load balancer and creates another of the same name, with the same target groups.
    pub fn replace_load_balancer(&self) -> Result<(), ApiError> {
        self.delete_load_balancer()?;
        let groups = self.groups()?;
        let load_balancer = self.create_load_balancer()?;
        for group in GROUPS {
            let arn = match groups.get(&self.group_name(group)) {
                Some(arn) => arn.clone(),
                None => self.create_group(group)?,
            };
            self.create_listener(&load_balancer, &arn, group)?;
        }
        Ok(())
    }

    /// Places a hold, and replaces one that is already there.
    pub fn hold_until(&self, until: Timestamp) -> Result<(), ApiError> {
        let Some((arn, _)) = self.load_balancer()? else { return Ok(()) };
        let (resource_arns, key) = ([arn].into_iter().collect(), "jvb-watcher:hold-until".to_owned());
        let tags = [Tag { key, value: until.to_string() }].into_iter().collect();
        self.elb(elb::Request::AddTags(elb::AddTagsInput { resource_arns, tags })).map(drop)
    }

    /// Releases the hold as `hold --release` does.
    pub fn release_hold(&self) -> Result<(), ApiError> {
        let Some((arn, _)) = self.load_balancer()? else { return Ok(()) };
        let keys = ["hold-until", "held-by", "idle-since", "load-balancer"].map(|name| format!("jvb-watcher:{name}"));
        let (resource_arns, tag_keys) = ([arn].into_iter().collect(), keys.into_iter().collect());
        self.elb(elb::Request::RemoveTags(elb::RemoveTagsInput { resource_arns, tag_keys })).map(drop)
    }

    /// Removes the owner tag, or restores it.
    pub fn set_owner_tag(&self, present: bool) -> Result<(), ApiError> {
        let Some((arn, _)) = self.load_balancer()? else { return Ok(()) };
        let (resource_arns, key) = ([arn].into_iter().collect(), "Lifecycle".to_owned());
        let request = if present {
            let tags = [Tag { key, value: "on-demand".to_owned() }].into_iter().collect();
            elb::Request::AddTags(elb::AddTagsInput { resource_arns, tags })
        } else {
            elb::Request::RemoveTags(elb::RemoveTagsInput { resource_arns, tag_keys: [key].into_iter().collect() })
        };
        self.elb(request).map(drop)
    }

    /// Switches deletion protection on or off.
    pub fn set_deletion_protection(&self, enabled: bool) -> Result<(), ApiError> {
        let Some((load_balancer_arn, _)) = self.load_balancer()? else { return Ok(()) };
        let attribute = elb::Attribute { key: "deletion_protection.enabled".to_owned(), value: enabled.to_string() };
        let attributes = [attribute].into_iter().collect();
        let input = elb::ModifyLoadBalancerAttributesInput { load_balancer_arn, attributes };
        self.elb(elb::Request::ModifyLoadBalancerAttributes(input)).map(drop)
    }

    /// Registers an address in every target group, or deregisters it.
    pub fn set_target(&self, ip: &str, registered: bool) -> Result<(), ApiError> {
        for target_group_arn in self.groups()?.into_values() {
            let target = elb::TargetDescription { id: ip.to_owned(), ..Default::default() };
            let input = elb::TargetsInput { target_group_arn, targets: [target].into_iter().collect() };
            self.elb(match registered {
                true => elb::Request::RegisterTargets(input),
                false => elb::Request::DeregisterTargets(input),
            })?;
        }
        Ok(())
    }
}
