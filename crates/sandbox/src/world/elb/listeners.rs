//! Listeners: what a load balancer passes on to which group.

use std::collections::BTreeMap;

use super::attributes::Attributes;
use super::{Elb, Kind, check_arn, invalid, listener_missing, page_size, port, tags};
use crate::api::ApiError;
use crate::api::elb as api;
use crate::world::Context;
use crate::world::agenda::after;
use crate::world::page::page;

/// How many listeners a load balancer may have.
const LISTENERS: usize = 50;

/// A listener.
#[derive(Debug)]
pub struct Listener {
    /// Its ARN.
    pub arn: String,
    /// Its load balancer's ARN.
    pub load_balancer: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its attributes.
    pub attributes: Attributes,
    port: u16,
    protocol: String,
    actions: Vec<api::Action>,
    /// What its default rule's ARN ends in.
    rule: String,
}

impl Listener {
    /// Whether it passes anything on to the group.
    pub fn refers_to(&self, group: &str) -> bool {
        groups_of(&self.actions).any(|arn| arn == group)
    }

    fn rule_arn(&self) -> String {
        format!("{}/{}", self.arn.replacen(":listener/", ":listener-rule/", 1), self.rule)
    }

    fn shown(&self) -> api::Listener {
        api::Listener {
            listener_arn: self.arn.clone(),
            load_balancer_arn: self.load_balancer.clone(),
            port: self.port,
            protocol: self.protocol.clone(),
            default_actions: self.actions.iter().cloned().collect(),
        }
    }

    /// Its only rule: those of network load balancers have no others.
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
        let mut others = self.listeners.values().filter(|listener| listener.load_balancer == load_balancer_arn);
        if let Some(existing) = others.clone().find(|listener| listener.port == port) {
            return if existing.protocol == protocol && existing.actions == actions {
                Ok(output(existing.shown()))
            } else {
                Err(port_taken())
            };
        }
        if others.nth(LISTENERS - 1).is_some() {
            let message = format!("The maximum number of listeners for a load balancer is {LISTENERS}");
            return Err(ApiError::new("TooManyListeners", message));
        }
        let tags = tags::read(&input.tags.member)?;
        let (id, rule) = (context.random.hex(16), context.random.hex(16));
        let arn = format!("{}/{id}", load_balancer_arn.replacen(":loadbalancer/", ":listener/", 1));
        let newly_used = self.unused_of(&actions);
        let attributes = Attributes::of_listener(&protocol);
        let load_balancer = load_balancer_arn;
        let listener = Listener { arn: arn.clone(), load_balancer, tags, attributes, port, protocol, actions, rule };
        let output = output(listener.shown());
        self.listeners.insert(arn, listener);
        for group in newly_used {
            self.check_anew(&group, context);
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
        let is_another = |listener: &&Listener| listener.load_balancer == load_balancer && listener.arn != arn;
        if self.listeners.values().filter(is_another).any(|listener| listener.port == port) {
            return Err(port_taken());
        }
        let newly_used = self.unused_of(&actions);
        let listener = self.listener_mut(&arn)?;
        if listener.protocol != protocol {
            listener.attributes = Attributes::of_listener(&protocol);
        }
        (listener.port, listener.protocol) = (port, protocol);
        let before = std::mem::replace(&mut listener.actions, actions);
        let output = output(listener.shown());
        self.release_groups(&before, context);
        for group in newly_used {
            self.check_anew(&group, context);
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
                let is_wanted = |listener: &&Listener| arns.contains(&listener.rule_arn());
                let rules: Vec<_> = self.listeners.values().filter(is_wanted).map(Listener::default_rule).collect();
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
        let wanted = self.listeners.values().filter(of_load_balancer);
        let wanted = wanted.filter(|listener| arns.is_empty() || arns.contains(&listener.arn));
        let size = page_size(input.page_size.as_deref())?;
        let (page, next_marker) = page(wanted, |listener| &listener.arn, size, input.marker.as_deref())?;
        Ok(api::ListenersOutput { listeners: page.into_iter().map(Listener::shown).collect(), next_marker })
    }

    pub(super) fn delete_listener(&mut self, arn: &str, context: &mut Context<'_>) -> Result<(), ApiError> {
        check_arn(Kind::Listener, arn)?;
        let listener = self.listeners.remove(arn).ok_or_else(listener_missing)?;
        self.release_groups(&listener.actions, context);
        Ok(())
    }

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

    /// The groups to which something was passed count as in use for a while yet.
    fn release_groups(&mut self, actions: &[api::Action], context: &Context<'_>) {
        let until = after(context.now, context.settings.load_balancers.group_release);
        for group in groups_of(actions) {
            if let Some(group) = self.groups.get_mut(group) {
                group.in_use_until = Some(until);
            }
        }
    }

    /// The groups that no listener refers to yet.
    fn unused_of(&self, actions: &[api::Action]) -> Vec<String> {
        groups_of(actions).filter(|group| !self.is_used(group)).map(str::to_owned).collect()
    }

    /// The actions in the one form in which they are kept and shown, if a listener of that protocol may have them.
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
        let actions: Vec<api::Action> = actions.into_iter().map(in_one_form).collect();
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
            self.check_group(group, load_balancer, protocol)?;
        }
        Ok(actions)
    }

    /// Whether a listener of that protocol may pass on to the group.
    fn check_group(&self, arn: &str, load_balancer: &str, protocol: &str) -> Result<(), ApiError> {
        let group = self.group(arn)?;
        if self.load_balancers_of(arn).into_iter().any(|other| other != load_balancer) {
            let message =
                format!("The following target groups cannot be associated with more than one load balancer: {arn}");
            return Err(ApiError::new("TargetGroupAssociationLimit", message));
        }
        let of_group = group.protocol.as_deref().unwrap_or_default();
        let fits = match protocol {
            "TCP" => matches!(of_group, "TCP" | "TCP_UDP"),
            "UDP" => matches!(of_group, "UDP" | "TCP_UDP"),
            "TLS" => matches!(of_group, "TCP" | "TLS"),
            "HTTP" | "HTTPS" => matches!(of_group, "HTTP" | "HTTPS"),
            protocol => protocol == of_group,
        };
        if !fits {
            let message = format!("The target group {arn} does not support the protocol of the listener");
            return Err(ApiError::new("IncompatibleProtocols", message));
        }
        Ok(())
    }
}

/// The ARNs of the groups to which the actions pass.
fn groups_of(actions: &[api::Action]) -> impl Iterator<Item = &str> {
    let tuples = actions.iter().filter_map(|action| action.forward_config.as_ref());
    tuples.flat_map(|config| &config.target_groups.member).map(|tuple| tuple.target_group_arn.as_str())
}

/// Calls name one group in either of two ways, or several in one of them; AWS shows both for one group.
fn in_one_form(mut action: api::Action) -> api::Action {
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

fn port_taken() -> ApiError {
    ApiError::new("DuplicateListener", "A listener already exists on this port for this load balancer")
}

fn output(listener: api::Listener) -> api::ListenersOutput {
    api::ListenersOutput { listeners: [listener].into_iter().collect(), next_marker: None }
}
