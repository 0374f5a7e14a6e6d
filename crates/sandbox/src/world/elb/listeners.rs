//! Listeners and their default rules.

use std::collections::BTreeMap;

use super::attributes::Attributes;
use super::tls::{Tls, TlsInput};
use super::validation::{Kind, check_arn, invalid, listener_not_found, page_size, port};
use super::{Elb, tags};
use crate::api::ApiError;
use crate::api::elb as api;
use crate::world::Context;
use crate::world::page::page;
use crate::world::timers::after;

/// Maximum number of listeners of a load balancer.
const MAX_LISTENERS: usize = 50;

/// A listener.
#[derive(Debug)]
pub struct Listener {
    /// ARN.
    pub arn: String,
    /// ARN of the load balancer.
    pub load_balancer: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Attributes.
    pub attributes: Attributes,
    /// Port.
    pub port: u16,
    /// Protocol.
    pub protocol: String,
    /// TLS configuration, with the protocols TLS and HTTPS.
    tls: Option<Tls>,
    actions: Vec<api::Action>,
    /// Id of the default rule, with which its ARN ends.
    rule_id: String,
}

impl Listener {
    /// Returns whether the listener forwards to a group.
    pub fn forwards_to(&self, group: &str) -> bool {
        self.groups().any(|arn| arn == group)
    }

    /// Returns whether the listener takes flows of a protocol.
    pub fn takes(&self, protocol: &str) -> bool {
        self.protocol == protocol || self.protocol == "TCP_UDP" && matches!(protocol, "TCP" | "UDP")
    }

    /// Returns the ARNs of the groups that the listener forwards to.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        groups_of(&self.actions)
    }

    fn rule_arn(&self) -> String {
        format!("{}/{}", self.arn.replacen(":listener/", ":listener-rule/", 1), self.rule_id)
    }

    /// Returns the listener in the form of the API.
    fn to_api(&self) -> api::Listener {
        let mut listener = api::Listener {
            listener_arn: self.arn.clone(),
            load_balancer_arn: self.load_balancer.clone(),
            port: self.port,
            protocol: self.protocol.clone(),
            default_actions: self.actions.iter().cloned().collect(),
            ..api::Listener::default()
        };
        if let Some(tls) = &self.tls {
            tls.describe(&mut listener);
        }
        listener
    }

    /// Returns the default rule, the only one of a network load balancer's listener.
    fn default_rule(&self) -> api::Rule {
        api::Rule {
            rule_arn: self.rule_arn(),
            priority: "default".to_owned(),
            conditions: api::Members::default(),
            actions: self.actions.iter().cloned().collect(),
            is_default: true,
        }
    }
}

impl Elb {
    pub(super) fn create_listener(
        &mut self,
        input: api::CreateListenerInput,
        context: &mut Context<'_>,
    ) -> Result<api::ListenersOutput, ApiError> {
        let load_balancer_arn = self.load_balancer(&input.load_balancer_arn)?.arn.clone();
        let (Some(protocol), Some(given_port)) = (input.protocol, input.port) else {
            return Err(invalid("A listener protocol and port must be specified"));
        };
        let port = port(&given_port)?;
        let actions = self.check_actions(&load_balancer_arn, &protocol, input.default_actions.member)?;
        let (certificates, ssl_policy, alpn_policy) = (input.certificates, input.ssl_policy, input.alpn_policy);
        let tls_input = TlsInput { certificates, ssl_policy, alpn_policy };
        let tls = Tls::of_listener(&protocol, None, tls_input, context.settings)?;
        let mut others = self.listeners.values().filter(|listener| listener.load_balancer == load_balancer_arn);
        if let Some(existing) = others.clone().find(|listener| listener.port == port) {
            return if existing.protocol == protocol && existing.actions == actions && existing.tls == tls {
                Ok(output(existing.to_api()))
            } else {
                Err(port_in_use())
            };
        }
        if others.nth(MAX_LISTENERS - 1).is_some() {
            let message = format!("The maximum number of listeners for a load balancer is {MAX_LISTENERS}");
            return Err(ApiError::new("TooManyListeners", message));
        }
        let tags = tags::read(&input.tags.member)?;
        let (id, rule_id) = (context.random.hex(16), context.random.hex(16));
        let arn = format!("{}/{id}", load_balancer_arn.replacen(":loadbalancer/", ":listener/", 1));
        let newly_used = self.unused_groups_of(&actions);
        let attributes = Attributes::of_listener(&protocol);
        let load_balancer = load_balancer_arn;
        let listener =
            Listener { arn: arn.clone(), load_balancer, tags, attributes, port, protocol, tls, actions, rule_id };
        let output = output(listener.to_api());
        self.listeners.insert(arn, listener);
        for group in newly_used {
            self.restart_health_checks(&group, context);
        }
        Ok(output)
    }

    pub(super) fn modify_listener(
        &mut self,
        input: api::ModifyListenerInput,
        context: &mut Context<'_>,
    ) -> Result<api::ListenersOutput, ApiError> {
        let listener = self.listener(&input.listener_arn)?;
        let (arn, load_balancer) = (listener.arn.clone(), listener.load_balancer.clone());
        let port = input.port.as_deref().map_or(Ok(listener.port), port)?;
        let protocol = input.protocol.unwrap_or_else(|| listener.protocol.clone());
        let actions = match input.default_actions.member {
            given if given.is_empty() => listener.actions.clone(),
            given => given,
        };
        let actions = self.check_actions(&load_balancer, &protocol, actions)?;
        let (certificates, ssl_policy, alpn_policy) = (input.certificates, input.ssl_policy, input.alpn_policy);
        let tls_input = TlsInput { certificates, ssl_policy, alpn_policy };
        let tls = Tls::of_listener(&protocol, self.listener(&arn)?.tls.as_ref(), tls_input, context.settings)?;
        let is_another = |listener: &&Listener| listener.load_balancer == load_balancer && listener.arn != arn;
        if self.listeners.values().filter(is_another).any(|listener| listener.port == port) {
            return Err(port_in_use());
        }
        let newly_used = self.unused_groups_of(&actions);
        let listener = self.listener_mut(&arn)?;
        if listener.protocol != protocol {
            listener.attributes = Attributes::of_listener(&protocol);
        }
        (listener.port, listener.protocol, listener.tls) = (port, protocol, tls);
        let before = std::mem::replace(&mut listener.actions, actions);
        let output = output(listener.to_api());
        self.release_groups(&before, context);
        for group in newly_used {
            self.restart_health_checks(&group, context);
        }
        Ok(output)
    }

    pub(super) fn describe_rules(&self, input: &api::DescribeRulesInput) -> Result<api::RulesOutput, ApiError> {
        let arns = &input.rule_arns.member;
        let rules: Vec<api::Rule> = match &input.listener_arn {
            Some(listener) => vec![self.listener(listener)?.default_rule()],
            None if arns.is_empty() => {
                return Err(invalid("You must specify either listener rule ARNs or a listener ARN"));
            }
            None => {
                let matches = |listener: &&Listener| arns.contains(&listener.rule_arn());
                let rules: Vec<_> = self.listeners.values().filter(matches).map(Listener::default_rule).collect();
                if rules.len() < arns.len() {
                    return Err(ApiError::new("RuleNotFound", "One or more rules not found"));
                }
                rules
            }
        };
        let size = page_size(input.page_size.as_deref())?;
        let (page, next_marker) = page(rules, |rule| &rule.rule_arn, size, input.marker.as_deref())?;
        Ok(api::RulesOutput { rules: page.into_iter().collect(), next_marker })
    }

    pub(super) fn describe_listeners(
        &self,
        input: &api::DescribeListenersInput,
    ) -> Result<api::ListenersOutput, ApiError> {
        let arns = &input.listener_arns.member;
        if let Some(load_balancer) = &input.load_balancer_arn {
            self.load_balancer(load_balancer)?;
        } else if arns.is_empty() {
            return Err(invalid("You must specify either listener ARNs or a load balancer ARN"));
        }
        for arn in arns {
            self.listener(arn)?;
        }
        let of_load_balancer =
            |listener: &&Listener| input.load_balancer_arn.as_ref().is_none_or(|arn| listener.load_balancer == *arn);
        let matching = self.listeners.values().filter(of_load_balancer);
        let matching = matching.filter(|listener| arns.is_empty() || arns.contains(&listener.arn));
        let size = page_size(input.page_size.as_deref())?;
        let (page, next_marker) = page(matching, |listener| &listener.arn, size, input.marker.as_deref())?;
        Ok(api::ListenersOutput { listeners: page.into_iter().map(Listener::to_api).collect(), next_marker })
    }

    pub(super) fn delete_listener(&mut self, arn: &str, context: &mut Context<'_>) -> Result<(), ApiError> {
        check_arn(Kind::Listener, arn)?;
        let listener = self.listeners.remove(arn).ok_or_else(listener_not_found)?;
        self.release_groups(&listener.actions, context);
        Ok(())
    }

    /// Deletes all listeners of a load balancer.
    pub(super) fn delete_listeners_of(&mut self, load_balancer: &str, context: &mut Context<'_>) {
        let arns: Vec<String> = self
            .listeners
            .values()
            .filter(|listener| listener.load_balancer == load_balancer)
            .map(|listener| listener.arn.clone())
            .collect();
        for arn in arns {
            if let Some(listener) = self.listeners.remove(&arn) {
                self.release_groups(&listener.actions, context);
            }
        }
    }

    /// Keeps the groups of deleted actions in use for a while, as AWS does.
    fn release_groups(&mut self, actions: &[api::Action], context: &Context<'_>) {
        let until = after(context.now, context.settings.load_balancers.group_release);
        for group in groups_of(actions) {
            if let Some(group) = self.groups.get_mut(group) {
                group.in_use_until = Some(until);
            }
        }
    }

    /// Returns the groups of the actions that no listener forwards to yet.
    fn unused_groups_of(&self, actions: &[api::Action]) -> Vec<String> {
        groups_of(actions).filter(|group| !self.is_used(group)).map(str::to_owned).collect()
    }

    /// Checks the actions of a listener, and returns them in their normal form.
    fn check_actions(
        &self,
        load_balancer: &str,
        protocol: &str,
        actions: Vec<api::Action>,
    ) -> Result<Vec<api::Action>, ApiError> {
        let is_network = match self.load_balancer(load_balancer)?.kind.as_str() {
            "network" => true,
            "application" => false,
            _ => return check_protocol(protocol, &["GENEVE"]).map(|()| actions),
        };
        check_protocol(protocol, if is_network { &["TCP", "UDP", "TCP_UDP", "TLS"] } else { &["HTTP", "HTTPS"] })?;
        if actions.is_empty() {
            return Err(invalid("A listener must have a default action"));
        }
        let actions: Vec<api::Action> = actions.into_iter().map(normalized).collect();
        for action in &actions {
            let kind = action.r#type.as_str();
            if is_network && kind != "forward" {
                return Err(invalid(format!("Action type '{kind}' must be 'forward' on a network load balancer")));
            }
            if kind == "forward" && groups_of(std::slice::from_ref(action)).next().is_none() {
                return Err(invalid("A target group ARN must be specified for an action of type 'forward'"));
            }
        }
        for group in groups_of(&actions) {
            self.check_forward(group, load_balancer, protocol)?;
        }
        Ok(actions)
    }

    /// Checks that a listener of the protocol may forward to a group.
    fn check_forward(&self, arn: &str, load_balancer: &str, protocol: &str) -> Result<(), ApiError> {
        let group = self.group(arn)?;
        if self.load_balancers_of(arn).into_iter().any(|other| other != load_balancer) {
            let message =
                format!("The following target groups cannot be associated with more than one load balancer: {arn}");
            return Err(ApiError::new("TargetGroupAssociationLimit", message));
        }
        let group_protocol = group.protocol.as_deref().unwrap_or_default();
        let is_compatible = match protocol {
            "TCP" => matches!(group_protocol, "TCP" | "TCP_UDP"),
            "UDP" => matches!(group_protocol, "UDP" | "TCP_UDP"),
            "TLS" => matches!(group_protocol, "TCP" | "TLS"),
            "HTTP" | "HTTPS" => matches!(group_protocol, "HTTP" | "HTTPS"),
            protocol => protocol == group_protocol,
        };
        if !is_compatible {
            let message = format!("The target group {arn} does not support the protocol of the listener");
            return Err(ApiError::new("IncompatibleProtocols", message));
        }
        Ok(())
    }
}

/// Returns the ARNs of the groups that the actions forward to.
fn groups_of(actions: &[api::Action]) -> impl Iterator<Item = &str> {
    let tuples = actions.iter().filter_map(|action| action.forward_config.as_ref());
    tuples.flat_map(|config| &config.target_groups.member).map(|tuple| tuple.target_group_arn.as_str())
}

/// Returns an action in its normal form. A request names a single group by `TargetGroupArn` or in `ForwardConfig`; AWS
/// describes both.
fn normalized(mut action: api::Action) -> api::Action {
    if action.forward_config.is_none()
        && let Some(target_group_arn) = action.target_group_arn.clone()
    {
        let tuple = api::TargetGroupTuple { target_group_arn, weight: None };
        action.forward_config = Some(api::ForwardConfig { target_groups: [tuple].into_iter().collect() });
    }
    if let Some(api::ForwardConfig { target_groups }) = &action.forward_config {
        action.target_group_arn = match target_groups.member.as_slice() {
            [only] => Some(only.target_group_arn.clone()),
            _ => None,
        };
    }
    action
}

fn check_protocol(protocol: &str, allowed: &[&str]) -> Result<(), ApiError> {
    if allowed.contains(&protocol) {
        return Ok(());
    }
    Err(invalid(format!("Listener protocol '{protocol}' must be one of '{}'", allowed.join(", "))))
}

fn port_in_use() -> ApiError {
    ApiError::new("DuplicateListener", "A listener already exists on this port for this load balancer")
}

fn output(listener: api::Listener) -> api::ListenersOutput {
    api::ListenersOutput { listeners: [listener].into_iter().collect(), next_marker: None }
}
