//! Health check configuration of target groups. The world's settings determine how long checks take.

use super::validation::{invalid, number, port};
use crate::api::ApiError;
use crate::api::elb as api;

/// Value of the port that stands for each target's own port.
pub const TRAFFIC_PORT: &str = "traffic-port";

/// Response codes of successful HTTP checks of a network load balancer, by default.
const DEFAULT_CODES: &str = "200-399";

/// The same for an application load balancer.
const DEFAULT_CODES_OF_HTTP_GROUPS: &str = "200";

/// Health check configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// TCP, HTTP or HTTPS.
    pub protocol: String,
    /// Port, or [`TRAFFIC_PORT`].
    pub port: String,
    /// Path of HTTP checks.
    pub path: Option<String>,
    /// Enables health checks.
    pub enabled: bool,
    /// Interval, in seconds.
    pub interval: u32,
    /// Number of successful checks until a target is healthy.
    pub healthy: u32,
    /// Number of failed checks until a target is unhealthy.
    pub unhealthy: u32,
    /// Response codes of successful HTTP checks.
    pub matcher: Option<api::Matcher>,
    timeout: Option<u32>,
}

/// Changes that a request makes, as text.
#[derive(Debug)]
#[allow(missing_docs, reason = "the members are those of HealthCheck")]
pub struct Changes {
    pub protocol: Option<String>,
    pub port: Option<String>,
    pub path: Option<String>,
    pub enabled: Option<String>,
    pub interval: Option<String>,
    pub timeout: Option<String>,
    pub healthy: Option<String>,
    pub unhealthy: Option<String>,
    pub matcher: Option<api::Matcher>,
}

impl HealthCheck {
    /// Returns AWS's default configuration.
    pub fn new(is_http: bool) -> Self {
        Self {
            protocol: if is_http { "HTTP" } else { "TCP" }.to_owned(),
            port: TRAFFIC_PORT.to_owned(),
            path: None,
            enabled: true,
            interval: 30,
            healthy: 5,
            unhealthy: 2,
            matcher: is_http.then(|| matcher(DEFAULT_CODES_OF_HTTP_GROUPS)),
            timeout: None,
        }
    }

    /// Returns the port that is checked, of a target with a port of its own.
    pub fn port_of(&self, target_port: u16) -> u16 {
        // Only valid ports are accepted.
        self.port.parse().unwrap_or(target_port)
    }

    /// Returns the timeout, in seconds.
    pub fn timeout(&self) -> u32 {
        self.timeout.unwrap_or(if self.protocol == "HTTP" { 6 } else { 10 })
    }

    /// Applies changes.
    ///
    /// # Errors
    ///
    /// Returns an error for values outside AWS's limits.
    pub fn changed(self, changes: Changes) -> Result<Self, ApiError> {
        let number_or = |name: &str, given: Option<String>, range, default: u32| match given {
            Some(text) => number(name, &text, range),
            None => Ok(default),
        };
        let protocol = changes.protocol.unwrap_or(self.protocol);
        if !["TCP", "HTTP", "HTTPS"].contains(&protocol.as_str()) {
            return Err(invalid(format!("Health check protocol '{protocol}' must be one of 'TCP, HTTP, HTTPS'")));
        }
        if let Some(given) = changes.port.as_deref().filter(|given| *given != TRAFFIC_PORT) {
            port(given)?;
        }
        let enabled = match changes.enabled.as_deref() {
            None => self.enabled,
            Some("true") => true,
            Some("false") => return Err(invalid("Health check enabled must be true for groups of addresses")),
            Some(other) => return Err(invalid(format!("Health check enabled '{other}' must be true or false"))),
        };
        let is_http = protocol != "TCP";
        let interval = number_or("Health check interval", changes.interval, 5..=300, self.interval)?;
        let timeout = match changes.timeout {
            Some(text) => Some(number("Health check timeout", &text, 2..=120)?),
            None => self.timeout,
        };
        if let Some(timeout) = timeout.filter(|timeout| *timeout > interval) {
            let message = "must be smaller than or equal to the interval";
            return Err(invalid(format!("Health check timeout '{timeout}' {message} '{interval}'")));
        }
        let codes = changes.matcher.or(self.matcher).or_else(|| Some(matcher(DEFAULT_CODES)));
        let path = changes.path.or(self.path).or_else(|| is_http.then(|| "/".to_owned()));
        Ok(Self {
            port: changes.port.unwrap_or(self.port),
            path: path.filter(|_| is_http),
            enabled,
            interval,
            healthy: number_or("Healthy threshold count", changes.healthy, 2..=10, self.healthy)?,
            unhealthy: number_or("Unhealthy threshold count", changes.unhealthy, 2..=10, self.unhealthy)?,
            timeout,
            matcher: codes.filter(|_| is_http),
            protocol,
        })
    }
}

fn matcher(codes: &str) -> api::Matcher {
    api::Matcher { http_code: Some(codes.to_owned()), grpc_code: None }
}
