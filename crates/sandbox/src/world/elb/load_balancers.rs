//! Load balancers, from provisioning to deletion.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::attributes::{Attributes, DELETION_PROTECTION};
use super::validation::{Kind, check_arn, check_name, invalid, load_balancer_not_found, page_size};
use super::{Elb, Timer, tags};
use crate::api::ApiError;
use crate::api::elb as api;
use crate::world::page::page;
use crate::world::settings::Settings;
use crate::world::timers::TimerId;
use crate::world::{Context, Timer as WorldTimer};

/// Public addresses of load balancers, from a block that is reserved for documentation (RFC 5737). A load balancer of the
/// same name gets other ones, as on AWS.
const ADDRESSES: std::ops::RangeInclusive<u32> =
    Ipv4Addr::new(203, 0, 113, 1).to_bits()..=Ipv4Addr::new(203, 0, 113, 254).to_bits();

/// State of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadBalancerState {
    /// The load balancer is being set up.
    Provisioning,
    /// The load balancer routes traffic.
    Active,
    /// The load balancer could not be set up.
    Failed,
}

impl LoadBalancerState {
    /// Returns AWS's name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Failed => "failed",
        }
    }
}

/// A load balancer.
#[derive(Debug)]
pub struct LoadBalancer {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// State.
    pub state: LoadBalancerState,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Attributes.
    pub attributes: Attributes,
    /// `network`, `application` or `gateway`.
    pub kind: String,
    dns_name: String,
    scheme: String,
    ip_address_type: String,
    subnets: Vec<String>,
    security_groups: Vec<String>,
    zones: Vec<String>,
    /// Public addresses, one in each zone.
    addresses: Vec<Ipv4Addr>,
    activation: Option<TimerId>,
    deleted: bool,
}

impl LoadBalancer {
    /// Returns whether the load balancer is deleted. It can still be described for a while.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Returns the DNS name.
    pub fn dns_name(&self) -> &str {
        &self.dns_name
    }

    /// Returns the public addresses; none of an internal load balancer.
    pub fn addresses(&self) -> &[Ipv4Addr] {
        &self.addresses
    }

    /// Replaces the security groups. As on AWS, a network load balancer that was created without any can't get one.
    pub fn set_security_groups(
        &mut self,
        groups: api::Members<String>,
    ) -> Result<api::SetSecurityGroupsOutput, ApiError> {
        if self.kind == "network" && self.security_groups.is_empty() != groups.member.is_empty() {
            let message = "You cannot add security groups to a load balancer without any, nor remove all of them";
            return Err(ApiError::new("InvalidConfigurationRequest", message));
        }
        self.security_groups.clone_from(&groups.member);
        Ok(api::SetSecurityGroupsOutput { security_group_ids: groups })
    }

    /// Returns the load balancer in the form of the API.
    fn to_api(&self) -> api::LoadBalancer {
        let reason =
            (self.state == LoadBalancerState::Failed).then(|| "The load balancer could not be set up".to_owned());
        let zone = |(subnet, zone): (&String, &String)| api::AvailabilityZone {
            zone_name: zone.clone(),
            subnet_id: subnet.clone(),
        };
        api::LoadBalancer {
            load_balancer_arn: self.arn.clone(),
            dns_name: self.dns_name.clone(),
            created_time: Some(self.created_at),
            load_balancer_name: self.name.clone(),
            scheme: self.scheme.clone(),
            vpc_id: super::target_groups::VPC.to_owned(),
            state: api::LoadBalancerState { code: self.state.as_str().to_owned(), reason },
            r#type: self.kind.clone(),
            availability_zones: self.subnets.iter().zip(&self.zones).map(zone).collect(),
            security_groups: self.security_groups.iter().cloned().collect(),
            ip_address_type: self.ip_address_type.clone(),
        }
    }
}

impl Elb {
    /// Replaces the subnets of a load balancer.
    pub(super) fn set_subnets(
        &mut self,
        input: api::SetSubnetsInput,
        settings: &Settings,
    ) -> Result<api::SetSubnetsOutput, ApiError> {
        let before = self.load_balancer(&input.load_balancer_arn)?;
        let subnets = subnets(input.subnets, input.subnet_mappings)?;
        let addresses = self.addresses(&before.scheme.clone(), subnets.len(), before.addresses.clone());
        let load_balancer = self.load_balancer_mut(&input.load_balancer_arn)?;
        load_balancer.zones = (0..subnets.len()).map(|index| settings.zone(index)).collect();
        (load_balancer.subnets, load_balancer.addresses) = (subnets, addresses);
        if let Some(ip_address_type) = input.ip_address_type {
            load_balancer.ip_address_type = ip_address_type;
        }
        let description = load_balancer.to_api();
        Ok(api::SetSubnetsOutput {
            availability_zones: description.availability_zones,
            ip_address_type: description.ip_address_type,
        })
    }

    pub(super) fn create_load_balancer(
        &mut self,
        input: api::CreateLoadBalancerInput,
        context: &mut Context<'_>,
    ) -> Result<api::LoadBalancersOutput, ApiError> {
        let name = input.name;
        check_name("Load balancer", &name)?;
        if name.starts_with("internal-") {
            return Err(invalid(format!("Load balancer name '{name}' cannot begin with 'internal-'")));
        }
        // AWS's default type.
        let kind = input.r#type.unwrap_or_else(|| "application".to_owned());
        let (path, is_network) = match kind.as_str() {
            "network" => ("net", true),
            "application" => ("app", false),
            "gateway" => ("gwy", false),
            _ => {
                return Err(invalid(format!(
                    "Load balancer type '{kind}' must be one of 'application, gateway, network'"
                )));
            }
        };
        let subnets = subnets(input.subnets, input.subnet_mappings)?;
        let scheme = input.scheme.unwrap_or_else(|| "internet-facing".to_owned());
        if !["internet-facing", "internal"].contains(&scheme.as_str()) {
            return Err(invalid(format!("Scheme '{scheme}' must be one of 'internet-facing, internal'")));
        }
        if let Some(existing) = self.load_balancers().find(|load_balancer| load_balancer.name == name) {
            let is_same = existing.kind == kind && existing.scheme == scheme && existing.subnets == subnets;
            return if is_same {
                Ok(output(existing.to_api()))
            } else {
                let message =
                    format!("A load balancer with the same name '{name}' exists, but with different settings");
                Err(ApiError::new("DuplicateLoadBalancerName", message))
            };
        }
        let limit = context.settings.load_balancers.per_region;
        if self.load_balancers().filter(|load_balancer| load_balancer.kind == kind).count() >= limit {
            let message = format!("The maximum number of {kind} load balancers is {limit}");
            return Err(ApiError::new("TooManyLoadBalancers", message));
        }
        let tags = tags::read(&input.tags.member)?;
        // A deleted load balancer of the same name can no longer be described.
        self.load_balancers.retain(|_, load_balancer| load_balancer.name != name);
        let id = context.random.hex(16);
        let arn = super::arn(context, &format!("loadbalancer/{path}/{name}/{id}"));
        let region = &context.settings.region;
        let dns_name = if is_network {
            format!("{name}-{id}.elb.{region}.amazonaws.com")
        } else {
            format!("{name}-{}.{region}.elb.amazonaws.com", context.random.decimal(10))
        };
        let zones = (0..subnets.len()).map(|index| context.settings.zone(index)).collect();
        let addresses = self.addresses(&scheme, subnets.len(), Vec::new());
        let activation = context.start_timer(
            context.settings.load_balancers.provisioning,
            WorldTimer::Elb(Timer::ActivateLoadBalancer { load_balancer: arn.clone() }),
        );
        let load_balancer = LoadBalancer {
            arn: arn.clone(),
            name,
            state: LoadBalancerState::Provisioning,
            created_at: context.now,
            tags,
            kind,
            dns_name,
            scheme,
            ip_address_type: input.ip_address_type.unwrap_or_else(|| "ipv4".to_owned()),
            subnets,
            security_groups: input.security_groups.member,
            attributes: Attributes::of_load_balancer(),
            zones,
            addresses,
            activation: Some(activation),
            deleted: false,
        };
        let output = output(load_balancer.to_api());
        self.load_balancers.insert(arn, load_balancer);
        Ok(output)
    }

    pub(super) fn describe_load_balancers(
        &self,
        input: &api::DescribeLoadBalancersInput,
    ) -> Result<api::LoadBalancersOutput, ApiError> {
        let (names, arns) = (&input.names.member, &input.load_balancer_arns.member);
        if !names.is_empty() && !arns.is_empty() {
            return Err(invalid("Load balancer names and ARNs cannot be specified at the same time"));
        }
        for name in names {
            self.load_balancers
                .values()
                .find(|load_balancer| load_balancer.name == *name)
                .ok_or_else(|| load_balancer_not_found(name))?;
        }
        for arn in arns {
            check_arn(Kind::LoadBalancer, arn)?;
            self.load_balancers.get(arn).ok_or_else(|| load_balancer_not_found(arn))?;
        }
        let matches = |load_balancer: &&LoadBalancer| {
            (names.is_empty() && arns.is_empty())
                || names.contains(&load_balancer.name)
                || arns.contains(&load_balancer.arn)
        };
        let matching = self.load_balancers.values().filter(matches);
        let size = page_size(input.page_size.as_deref())?;
        let (page, next_marker) = page(matching, |load_balancer| &load_balancer.arn, size, input.marker.as_deref())?;
        Ok(api::LoadBalancersOutput {
            load_balancers: page.into_iter().map(LoadBalancer::to_api).collect(),
            next_marker,
        })
    }

    /// Deletes a load balancer with its listeners. As on AWS, deleting one that doesn't exist succeeds.
    pub(super) fn delete_load_balancer(&mut self, arn: &str, context: &mut Context<'_>) -> Result<(), ApiError> {
        check_arn(Kind::LoadBalancer, arn)?;
        let Ok(load_balancer) = self.load_balancer_mut(arn) else { return Ok(()) };
        if load_balancer.attributes.is_on(DELETION_PROTECTION) {
            let message = format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
            return Err(ApiError::new("OperationNotPermitted", message));
        }
        load_balancer.deleted = true;
        if let Some(timer) = load_balancer.activation.take() {
            context.timers.cancel(timer);
        }
        let visible = context.settings.load_balancers.deleted_visible;
        if visible.is_zero() {
            self.load_balancers.remove(arn);
        } else {
            context.start_timer(visible, WorldTimer::Elb(Timer::ForgetLoadBalancer { load_balancer: arn.to_owned() }));
        }
        self.delete_listeners_of(arn, context);
        Ok(())
    }

    /// Activates a load balancer. Health checks of its targets begin only now.
    pub(super) fn activate(&mut self, arn: &str, context: &mut Context<'_>) {
        let Ok(load_balancer) = self.load_balancer_mut(arn) else { return };
        load_balancer.state = LoadBalancerState::Active;
        load_balancer.activation = None;
        let groups: Vec<String> =
            self.groups.keys().filter(|group| self.load_balancers_of(group).contains(arn)).cloned().collect();
        for group in groups {
            self.restart_health_checks(&group, context);
        }
    }

    /// Returns the public addresses of a load balancer, one in each zone: those that it has, and new ones.
    fn addresses(&mut self, scheme: &str, zones: usize, mut addresses: Vec<Ipv4Addr>) -> Vec<Ipv4Addr> {
        addresses.truncate(zones);
        while scheme == "internet-facing" && addresses.len() < zones {
            let (first, last) = (ADDRESSES.start(), ADDRESSES.end());
            addresses.push(Ipv4Addr::from_bits(first + self.assigned % (last - first + 1)));
            self.assigned += 1;
        }
        addresses
    }

    /// Makes the provisioning of a load balancer fail.
    ///
    /// # Errors
    ///
    /// Returns an error when there is none of that name.
    pub fn fail_load_balancer(&mut self, name: &str, context: &mut Context<'_>) -> Result<(), ApiError> {
        let load_balancer =
            self.load_balancers.values_mut().find(|load_balancer| load_balancer.name == name && !load_balancer.deleted);
        let load_balancer = load_balancer.ok_or_else(|| load_balancer_not_found(name))?;
        load_balancer.state = LoadBalancerState::Failed;
        if let Some(timer) = load_balancer.activation.take() {
            context.timers.cancel(timer);
        }
        Ok(())
    }
}

/// Returns the subnets of a request, which names them in either of two ways.
fn subnets(plain: api::Members<String>, mappings: api::Members<api::SubnetMapping>) -> Result<Vec<String>, ApiError> {
    let mut subnets = plain.member;
    subnets.extend(mappings.member.into_iter().map(|mapping| mapping.subnet_id));
    if subnets.is_empty() { Err(invalid("At least one subnet must be specified")) } else { Ok(subnets) }
}

fn output(load_balancer: api::LoadBalancer) -> api::LoadBalancersOutput {
    api::LoadBalancersOutput { load_balancers: [load_balancer].into_iter().collect(), next_marker: None }
}
