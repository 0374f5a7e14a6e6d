//! Attributes of load balancers, listeners and target groups. Most of them are stored and described without effect.

use std::collections::BTreeMap;

use super::validation::invalid;
use crate::api::ApiError;
use crate::api::elb as api;

/// Value of a target group's attribute that adopts the load balancer's setting.
const SAME_AS_LOAD_BALANCER: &str = "use_load_balancer_configuration";

/// Maximum deregistration delay, in seconds.
const MAX_DEREGISTRATION_DELAY: u32 = 3_600;

/// Attribute that protects a load balancer from deletion.
pub const DELETION_PROTECTION: &str = "deletion_protection.enabled";

/// Attribute with the time for which deregistered targets drain, in seconds.
pub const DEREGISTRATION_DELAY: &str = "deregistration_delay.timeout_seconds";

/// Deregistration delay of a new target group, in seconds.
pub const DEFAULT_DEREGISTRATION_DELAY: u32 = 300;

/// The attributes of a resource. Their names are fixed when the resource is created.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// Kind of the resource, as AWS's errors name it.
    kind: &'static str,
    values: BTreeMap<&'static str, String>,
}

impl Attributes {
    /// Returns the attributes of a new network load balancer. Other types have the same ones here.
    pub fn of_load_balancer() -> Self {
        let values = [
            (DELETION_PROTECTION, "false"),
            ("load_balancing.cross_zone.enabled", "false"),
            ("access_logs.s3.enabled", "false"),
            ("access_logs.s3.bucket", ""),
            ("access_logs.s3.prefix", ""),
            ("dns_record.client_routing_policy", "any_availability_zone"),
            ("ipv6.deny_all_igw_traffic", "false"),
            ("zonal_shift.config.enabled", "false"),
            ("secondary_ips.auto_assigned.per_subnet", "0"),
        ];
        Self::new("Load balancer", &values)
    }

    /// Returns the attributes of a new listener of a network load balancer.
    pub fn of_listener(protocol: &str) -> Self {
        let has_idle_timeout = matches!(protocol, "TCP" | "TLS");
        Self::new("Listener", if has_idle_timeout { &[("tcp.idle_timeout.seconds", "350")] } else { &[] })
    }

    /// Returns the attributes of a new target group with IP targets.
    pub fn of_target_group(protocol: &str) -> Self {
        let is_udp = matches!(protocol, "UDP" | "TCP_UDP");
        let values = [
            (DEREGISTRATION_DELAY, "300"),
            ("deregistration_delay.connection_termination.enabled", if is_udp { "true" } else { "false" }),
            ("load_balancing.cross_zone.enabled", SAME_AS_LOAD_BALANCER),
            ("preserve_client_ip.enabled", if is_udp { "true" } else { "false" }),
            ("proxy_protocol_v2.enabled", "false"),
            ("stickiness.enabled", "false"),
            ("stickiness.type", "source_ip"),
            ("target_group_health.dns_failover.minimum_healthy_targets.count", "1"),
            ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off"),
            ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1"),
            ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"),
            ("target_health_state.unhealthy.connection_termination.enabled", "true"),
            ("target_health_state.unhealthy.draining_interval_seconds", "0"),
        ];
        Self::new("Target group", &values)
    }

    fn new(kind: &'static str, values: &[(&'static str, &str)]) -> Self {
        Self { kind, values: values.iter().map(|(key, value)| (*key, (*value).to_owned())).collect() }
    }

    /// Returns whether a boolean attribute is `true`.
    pub fn is_on(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| value == "true")
    }

    /// Returns the value of a numeric attribute; `None` when there is none of that name.
    pub fn number(&self, key: &str) -> Option<u32> {
        self.values.get(key)?.parse().ok()
    }

    /// Sets all of the given attributes, or none.
    ///
    /// # Errors
    ///
    /// Returns an error for an unknown attribute and for a value of the wrong type.
    pub fn set(&mut self, given: &[api::Attribute]) -> Result<(), ApiError> {
        let mut new = self.values.clone();
        for api::Attribute { key, value } in given {
            let kind = self.kind;
            let current = new.get_mut(key.as_str());
            let current = current.ok_or_else(|| invalid(format!("{kind} attribute key '{key}' is not recognized")))?;
            if !is_valid(key, current, value) {
                return Err(invalid(format!("{kind} attribute value '{value}' for '{key}' is not valid")));
            }
            value.clone_into(current);
        }
        self.values = new;
        Ok(())
    }

    /// Returns the attributes in the form of the API.
    pub fn to_api(&self) -> api::AttributesOutput {
        let attribute =
            |(key, value): (&&str, &String)| api::Attribute { key: (*key).to_owned(), value: value.clone() };
        api::AttributesOutput { attributes: self.values.iter().map(attribute).collect() }
    }
}

/// Returns whether a value is valid: it has the type of the current one, and is within AWS's limits.
fn is_valid(key: &str, current: &str, value: &str) -> bool {
    let is_boolean = |text: &str| matches!(text, "true" | "false" | SAME_AS_LOAD_BALANCER);
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    match key {
        DEREGISTRATION_DELAY => value.parse().is_ok_and(|seconds: u32| seconds <= MAX_DEREGISTRATION_DELAY),
        _ if is_boolean(current) => is_boolean(value) && (value != SAME_AS_LOAD_BALANCER || key.contains("cross_zone")),
        _ => !is_number(current) || is_number(value),
    }
}
