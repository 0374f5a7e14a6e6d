//! Listeners: what a load balancer passes on to which group.

use std::collections::BTreeMap;

use super::{BalancerState, Elb, invalid, listener_missing, page_size, port, tags};
use crate::sandbox::api::ApiError;
use crate::sandbox::api::elb as api;
use crate::sandbox::world::Context;
use crate::sandbox::world::agenda::after;
use crate::sandbox::world::page::page;

/// A listener.
#[derive(Debug)]
pub struct Listener {
    pub(super) arn: String,
    pub(super) balancer: String,
    pub(super) tags: BTreeMap<String, String>,
    port: u16,
    protocol: String,
    actions: Vec<api::Action>,
}

impl Listener {
    /// Whether it passes anything on to the group.
    pub fn refers_to(&self, group: &str) -> bool {
        self.actions.iter().any(|action| action.target_group_arn.as_deref() == Some(group))
    }

    fn shown(&self) -> api::Listener {
        api::Listener {
            listener_arn: self.arn.clone(),
            load_balancer_arn: self.balancer.clone(),
            port: self.port,
            protocol: self.protocol.clone(),
            default_actions: self.actions.iter().cloned().collect(),
        }
    }
}

impl Elb {
    pub(super) fn create_listener(
        &mut self,
        input: api::CreateListenerInput,
        context: &mut Context<'_>,
    ) -> Result<api::ListenersOutput, ApiError> {
        let balancer = self.balancer(&input.load_balancer_arn)?;
        let (balancer_arn, kind) = (balancer.arn.clone(), balancer.kind.clone());
        let (Some(protocol), Some(given_port)) = (input.protocol, input.port) else {
            return Err(invalid("A listener protocol and port must be specified"));
        };
        let port = port(&given_port)?;
        let protocols: &[&str] = match kind.as_str() {
            "network" => &["TCP", "UDP", "TCP_UDP", "TLS"],
            "application" => &["HTTP", "HTTPS"],
            _ => &["GENEVE"],
        };
        if !protocols.contains(&protocol.as_str()) {
            let message = format!("Listener protocol '{protocol}' must be one of '{}'", protocols.join(", "));
            return Err(invalid(message));
        }
        let actions = input.default_actions.member;
        if actions.is_empty() {
            return Err(invalid("A listener must have a default action"));
        }
        let groups: Vec<String> = actions.iter().filter_map(|action| action.target_group_arn.clone()).collect();
        for group in &groups {
            self.check_group(group, &balancer_arn, &protocol)?;
        }
        let on_port = |listener: &&Listener| listener.balancer == balancer_arn && listener.port == port;
        if let Some(existing) = self.listeners.values().find(on_port) {
            return if existing.protocol == protocol && existing.actions == actions {
                Ok(output(existing.shown()))
            } else {
                let message = "A listener already exists on this port for this load balancer";
                Err(ApiError::new("DuplicateListener", message))
            };
        }
        let tags = tags::read(&input.tags.member)?;
        let id = context.random.hex(16);
        let arn = format!("{}/{id}", balancer_arn.replacen(":loadbalancer/", ":listener/", 1));
        let listener = Listener { arn: arn.clone(), balancer: balancer_arn.clone(), tags, port, protocol, actions };
        let output = output(listener.shown());
        let newly_used: Vec<&String> = groups.iter().filter(|group| !self.is_used(group)).collect();
        self.listeners.insert(arn, listener);
        if self.balancer(&balancer_arn).is_ok_and(|balancer| balancer.state == BalancerState::Active) {
            for group in newly_used {
                self.check_anew(group, context);
            }
        }
        Ok(output)
    }

    pub(super) fn describe_listeners(
        &self,
        input: &api::DescribeListenersInput,
    ) -> Result<api::ListenersOutput, ApiError> {
        let arns = &input.listener_arns.member;
        if let Some(balancer) = &input.load_balancer_arn {
            self.balancer(balancer)?;
        } else if arns.is_empty() {
            return Err(invalid("You must specify either listener ARNs or a load balancer ARN"));
        }
        if arns.iter().any(|arn| !self.listeners.contains_key(arn)) {
            return Err(listener_missing());
        }
        let of_balancer =
            |listener: &&Listener| input.load_balancer_arn.as_ref().is_none_or(|arn| listener.balancer == *arn);
        let wanted = self.listeners.values().filter(of_balancer);
        let wanted = wanted.filter(|listener| arns.is_empty() || arns.contains(&listener.arn));
        let size = page_size(input.page_size.as_deref())?;
        let (page, next_marker) = page(wanted, |listener| &listener.arn, size, input.marker.as_deref())?;
        Ok(api::ListenersOutput { listeners: page.into_iter().map(Listener::shown).collect(), next_marker })
    }

    pub(super) fn delete_listener(&mut self, arn: &str, context: &mut Context<'_>) -> Result<(), ApiError> {
        let listener = self.listeners.remove(arn).ok_or_else(listener_missing)?;
        self.release_groups(&listener, context);
        Ok(())
    }

    pub(super) fn delete_listeners_of(&mut self, balancer: &str, context: &mut Context<'_>) {
        let arns: Vec<String> = self
            .listeners
            .values()
            .filter(|listener| listener.balancer == balancer)
            .map(|listener| listener.arn.clone())
            .collect();
        for arn in arns {
            if let Some(listener) = self.listeners.remove(&arn) {
                self.release_groups(&listener, context);
            }
        }
    }

    /// The groups of a deleted listener count as in use for a while yet.
    fn release_groups(&mut self, listener: &Listener, context: &Context<'_>) {
        let until = after(context.now, context.settings.balancers.group_release);
        for group in self.groups.values_mut().filter(|group| listener.refers_to(&group.arn)) {
            group.in_use_until = Some(until);
        }
    }

    /// Whether a listener of that protocol may pass on to the group.
    fn check_group(&self, arn: &str, balancer: &str, protocol: &str) -> Result<(), ApiError> {
        let group = self.group(arn)?;
        if self.balancers_of(arn).into_iter().any(|other| other != balancer) {
            let message =
                format!("The following target groups cannot be associated with more than one load balancer: {arn}");
            return Err(ApiError::new("TargetGroupAssociationLimit", message));
        }
        let fits = match (protocol, group.protocol.as_deref().unwrap_or_default()) {
            ("TLS", of_group) => matches!(of_group, "TCP" | "TLS"),
            ("HTTP" | "HTTPS", of_group) => matches!(of_group, "HTTP" | "HTTPS"),
            (protocol, of_group) => protocol == of_group,
        };
        if !fits {
            let message = format!("The target group {arn} does not support the protocol of the listener");
            return Err(ApiError::new("IncompatibleProtocols", message));
        }
        Ok(())
    }
}

fn output(listener: api::Listener) -> api::ListenersOutput {
    api::ListenersOutput { listeners: [listener].into_iter().collect(), next_marker: None }
}
