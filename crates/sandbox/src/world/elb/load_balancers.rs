//! Load balancers: from `provisioning` to their deletion.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::attributes::{Attributes, DELETION_PROTECTION};
use super::{Due, Elb, Kind, check_arn, check_name, invalid, load_balancer_missing, page_size, tags};
use crate::api::ApiError;
use crate::api::elb as api;
use crate::world::agenda::Ticket;
use crate::world::page::page;
use crate::world::settings::Settings;
use crate::world::{Context, Due as WorldDue};

/// How many network load balancers a region may have.
const LOAD_BALANCERS: usize = 50;

/// The state of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadBalancerState {
    /// Being made.
    Provisioning,
    /// In service.
    Active,
    /// Could not be set up.
    Failed,
}

impl LoadBalancerState {
    /// AWS's word for it.
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
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: LoadBalancerState,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its attributes.
    pub attributes: Attributes,
    /// `network`, `application` or `gateway`.
    pub kind: String,
    dns_name: String,
    scheme: String,
    ip_address_type: String,
    subnets: Vec<String>,
    security_groups: Vec<String>,
    zones: Vec<String>,
    coming: Option<Ticket>,
    deleted: bool,
}

impl LoadBalancer {
    /// Whether it has been deleted, though it may still be seen.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Puts it into other subnets.
    pub fn set_subnets(
        &mut self,
        input: api::SetSubnetsInput,
        settings: &Settings,
    ) -> Result<api::SetSubnetsOutput, ApiError> {
        let subnets = subnets(input.subnets, input.subnet_mappings)?;
        self.zones = (0..subnets.len()).map(|index| settings.zone(index)).collect();
        self.subnets = subnets;
        if let Some(ip_address_type) = input.ip_address_type {
            self.ip_address_type = ip_address_type;
        }
        let shown = self.shown();
        Ok(api::SetSubnetsOutput {
            availability_zones: shown.availability_zones,
            ip_address_type: shown.ip_address_type,
        })
    }

    /// Gives it other security groups. As on AWS, a network load balancer that was made without any gets none.
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

    fn shown(&self) -> api::LoadBalancer {
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
            vpc_id: super::groups::VPC.to_owned(),
            state: api::LoadBalancerState { code: self.state.as_str().to_owned(), reason },
            r#type: self.kind.clone(),
            availability_zones: self.subnets.iter().zip(&self.zones).map(zone).collect(),
            security_groups: self.security_groups.iter().cloned().collect(),
            ip_address_type: self.ip_address_type.clone(),
        }
    }
}

impl Elb {
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
        // As on AWS, where nothing is said it is an application load balancer.
        let kind = input.r#type.unwrap_or_else(|| "application".to_owned());
        let (word, dns) = match kind.as_str() {
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
                Ok(output(existing.shown()))
            } else {
                let message =
                    format!("A load balancer with the same name '{name}' exists, but with different settings");
                Err(ApiError::new("DuplicateLoadBalancerName", message))
            };
        }
        if self.load_balancers().filter(|load_balancer| load_balancer.kind == kind).count() >= LOAD_BALANCERS {
            let message = format!("The maximum number of {kind} load balancers is {LOAD_BALANCERS}");
            return Err(ApiError::new("TooManyLoadBalancers", message));
        }
        let tags = tags::read(&input.tags.member)?;
        // A name is one load balancer's: one that was deleted is seen no more from here on.
        self.load_balancers.retain(|_, load_balancer| load_balancer.name != name);
        let id = context.random.hex(16);
        let arn = super::arn(context, &format!("loadbalancer/{word}/{name}/{id}"));
        let region = &context.settings.region;
        let dns_name = if dns {
            format!("{name}-{id}.elb.{region}.amazonaws.com")
        } else {
            format!("{name}-{}.{region}.elb.amazonaws.com", context.random.decimal(10))
        };
        let zones = (0..subnets.len()).map(|index| context.settings.zone(index)).collect();
        let coming = context.due_in(
            context.settings.load_balancers.provisioning,
            WorldDue::Elb(Due::Active { load_balancer: arn.clone() }),
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
            coming: Some(coming),
            deleted: false,
        };
        let output = output(load_balancer.shown());
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
                .ok_or_else(|| load_balancer_missing(name))?;
        }
        for arn in arns {
            check_arn(Kind::LoadBalancer, arn)?;
            self.load_balancers.get(arn).ok_or_else(|| load_balancer_missing(arn))?;
        }
        let is_wanted = |load_balancer: &&LoadBalancer| {
            (names.is_empty() && arns.is_empty())
                || names.contains(&load_balancer.name)
                || arns.contains(&load_balancer.arn)
        };
        let wanted = self.load_balancers.values().filter(is_wanted);
        let size = page_size(input.page_size.as_deref())?;
        let (page, next_marker) = page(wanted, |load_balancer| &load_balancer.arn, size, input.marker.as_deref())?;
        Ok(api::LoadBalancersOutput {
            load_balancers: page.into_iter().map(LoadBalancer::shown).collect(),
            next_marker,
        })
    }

    /// Deletes a load balancer with its listeners. As on AWS, it succeeds when there is none.
    pub(super) fn delete_load_balancer(&mut self, arn: &str, context: &mut Context<'_>) -> Result<(), ApiError> {
        check_arn(Kind::LoadBalancer, arn)?;
        let Ok(load_balancer) = self.load_balancer_mut(arn) else { return Ok(()) };
        if load_balancer.attributes.is_on(DELETION_PROTECTION) {
            let message = format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
            return Err(ApiError::new("OperationNotPermitted", message));
        }
        load_balancer.deleted = true;
        if let Some(ticket) = load_balancer.coming.take() {
            context.agenda.strike(ticket);
        }
        let visible = context.settings.load_balancers.deleted_visible;
        if visible.is_zero() {
            self.load_balancers.remove(arn);
        } else {
            context.due_in(visible, WorldDue::Elb(Due::Gone { load_balancer: arn.to_owned() }));
        }
        self.delete_listeners_of(arn, context);
        Ok(())
    }

    /// Comes into service; only now are its targets checked.
    pub(super) fn become_active(&mut self, arn: &str, context: &mut Context<'_>) {
        let Ok(load_balancer) = self.load_balancer_mut(arn) else { return };
        load_balancer.state = LoadBalancerState::Active;
        load_balancer.coming = None;
        let groups: Vec<String> =
            self.groups.keys().filter(|group| self.load_balancers_of(group).contains(arn)).cloned().collect();
        for group in groups {
            self.check_anew(&group, context);
        }
    }

    /// Has a load balancer fail.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub fn fail_load_balancer(&mut self, name: &str, context: &mut Context<'_>) -> Result<(), ApiError> {
        let load_balancer =
            self.load_balancers.values_mut().find(|load_balancer| load_balancer.name == name && !load_balancer.deleted);
        let load_balancer = load_balancer.ok_or_else(|| load_balancer_missing(name))?;
        load_balancer.state = LoadBalancerState::Failed;
        if let Some(ticket) = load_balancer.coming.take() {
            context.agenda.strike(ticket);
        }
        Ok(())
    }
}

/// The subnets, in whichever way a call names them.
fn subnets(plain: api::Members<String>, mappings: api::Members<api::SubnetMapping>) -> Result<Vec<String>, ApiError> {
    let mut subnets = plain.member;
    subnets.extend(mappings.member.into_iter().map(|mapping| mapping.subnet_id));
    if subnets.is_empty() { Err(invalid("At least one subnet must be specified")) } else { Ok(subnets) }
}

fn output(load_balancer: api::LoadBalancer) -> api::LoadBalancersOutput {
    api::LoadBalancersOutput { load_balancers: [load_balancer].into_iter().collect(), next_marker: None }
}
