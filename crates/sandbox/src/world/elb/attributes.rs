//! Attributes of load balancers, listeners and target groups: names with values, of which some change something here.

use std::collections::BTreeMap;

use super::invalid;
use crate::api::ApiError;
use crate::api::elb as api;

/// What a target group's attribute may say instead of its own mind.
const SAME_AS_LOAD_BALANCER: &str = "use_load_balancer_configuration";

/// How long targets may drain, in seconds.
const LONGEST_DRAINING: u32 = 3_600;

/// Keeps a load balancer from being deleted.
pub const DELETION_PROTECTION: &str = "deletion_protection.enabled";

/// How long deregistered targets drain, in seconds.
pub const DEREGISTRATION_DELAY: &str = "deregistration_delay.timeout_seconds";

/// The deregistration delay that AWS gives a new target group, in seconds.
pub const DEFAULT_DEREGISTRATION_DELAY: u32 = 300;

/// The attributes of something. Which there are is settled when it is made.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// What has them, as AWS's errors name it.
    of: &'static str,
    values: BTreeMap<&'static str, String>,
}

impl Attributes {
    /// Those of a network load balancer; the others have the same here.
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

    /// Those of a network load balancer's listener of that protocol.
    pub fn of_listener(protocol: &str) -> Self {
        let has_idle_timeout = matches!(protocol, "TCP" | "TLS");
        Self::new("Listener", if has_idle_timeout { &[("tcp.idle_timeout.seconds", "350")] } else { &[] })
    }

    /// Those of a network load balancer's target group of that protocol, with addresses as targets.
    pub fn of_group(protocol: &str) -> Self {
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

    fn new(of: &'static str, values: &[(&'static str, &str)]) -> Self {
        Self { of, values: values.iter().map(|(key, value)| (*key, (*value).to_owned())).collect() }
    }

    /// Whether a switch is on.
    pub fn is_on(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| value == "true")
    }

    /// A number; `None` where there is none of that name.
    pub fn number(&self, key: &str) -> Option<u32> {
        self.values.get(key)?.parse().ok()
    }

    /// Sets all that is given, or nothing.
    ///
    /// # Errors
    ///
    /// For a name that there isn't, and for a value of another kind.
    pub fn set(&mut self, given: &[api::Attribute]) -> Result<(), ApiError> {
        let mut new = self.values.clone();
        for api::Attribute { key, value } in given {
            let of = self.of;
            let current = new.get_mut(key.as_str());
            let current = current.ok_or_else(|| invalid(format!("{of} attribute key '{key}' is not recognized")))?;
            if !is_of_kind(key, current, value) {
                return Err(invalid(format!("{of} attribute value '{value}' for '{key}' is not valid")));
            }
            value.clone_into(current);
        }
        self.values = new;
        Ok(())
    }

    /// As they are described.
    pub fn shown(&self) -> api::AttributesOutput {
        let attribute =
            |(key, value): (&&str, &String)| api::Attribute { key: (*key).to_owned(), value: value.clone() };
        api::AttributesOutput { attributes: self.values.iter().map(attribute).collect() }
    }
}

/// A switch stays one, and a number.
fn is_of_kind(key: &str, current: &str, value: &str) -> bool {
    let is_switch = |text: &str| matches!(text, "true" | "false" | SAME_AS_LOAD_BALANCER);
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    match key {
        DEREGISTRATION_DELAY => value.parse().is_ok_and(|seconds: u32| seconds <= LONGEST_DRAINING),
        _ if is_switch(current) => is_switch(value) && (value != SAME_AS_LOAD_BALANCER || key.contains("cross_zone")),
        _ => !is_number(current) || is_number(value),
    }
}
