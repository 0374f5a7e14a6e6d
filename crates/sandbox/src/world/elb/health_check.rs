//! How a target group checks its targets: what is set and shown; how long checks take is in the world's settings.

use super::{invalid, number, port};
use crate::api::ApiError;
use crate::api::elb as api;

/// The port that stands for each target's own.
pub const TRAFFIC_PORT: &str = "traffic-port";

/// How targets are checked.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// TCP, HTTP or HTTPS.
    pub protocol: String,
    /// The port, or [`TRAFFIC_PORT`].
    pub port: String,
    /// The path that is asked for over HTTP.
    pub path: Option<String>,
    /// Whether targets are checked at all.
    pub enabled: bool,
    /// Seconds between checks.
    pub interval: u32,
    /// How many checks must succeed.
    pub healthy: u32,
    /// How many checks must fail.
    pub unhealthy: u32,
    /// The answers over HTTP that are good ones.
    pub matcher: Option<api::Matcher>,
    timeout: Option<u32>,
}

/// What a call changes of it, as it was given.
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
    /// What AWS sets where nothing is said.
    pub fn new(is_http: bool) -> Self {
        Self {
            protocol: if is_http { "HTTP" } else { "TCP" }.to_owned(),
            port: TRAFFIC_PORT.to_owned(),
            path: None,
            enabled: true,
            interval: 30,
            healthy: 5,
            unhealthy: 2,
            matcher: None,
            timeout: None,
        }
    }

    /// Seconds until a check without an answer has failed.
    pub fn timeout(&self) -> u32 {
        self.timeout.unwrap_or(if self.protocol == "TCP" { 10 } else { 6 })
    }

    /// The same with changes.
    ///
    /// # Errors
    ///
    /// For values that AWS doesn't take.
    pub fn changed(self, changes: Changes) -> Result<Self, ApiError> {
        let count = |name: &str, given: Option<String>, range, otherwise: u32| match given {
            Some(text) => number(name, &text, range),
            None => Ok(otherwise),
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
        let path = changes.path.or(self.path).or_else(|| is_http.then(|| "/".to_owned()));
        Ok(Self {
            port: changes.port.unwrap_or(self.port),
            path: path.filter(|_| is_http),
            enabled,
            interval: count("Health check interval", changes.interval, 5..=300, self.interval)?,
            healthy: count("Healthy threshold count", changes.healthy, 2..=10, self.healthy)?,
            unhealthy: count("Unhealthy threshold count", changes.unhealthy, 2..=10, self.unhealthy)?,
            timeout: match changes.timeout {
                Some(text) => Some(number("Health check timeout", &text, 2..=120)?),
                None => self.timeout,
            },
            matcher: changes.matcher.or(self.matcher).filter(|_| is_http),
            protocol,
        })
    }
}
