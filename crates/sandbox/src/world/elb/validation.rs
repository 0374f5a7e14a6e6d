//! Validation of requests, and AWS's errors.

use std::ops::RangeInclusive;

use crate::api::ApiError;
use crate::world::page::InvalidToken;

/// Maximum size of a page.
const MAX_PAGE: usize = 400;

/// Maximum length of a name.
const MAX_NAME: usize = 32;

/// Kind of a resource, derived from its ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A load balancer.
    LoadBalancer,
    /// A target group.
    TargetGroup,
    /// A listener.
    Listener,
}

impl Kind {
    /// Returns the kind of the resource with an ARN; `None` when it isn't an ARN of this service.
    pub fn of(arn: &str) -> Option<Self> {
        let resource = arn.strip_prefix("arn:")?.splitn(5, ':').nth(4)?;
        match resource.split_once('/')?.0 {
            "loadbalancer" => Some(Self::LoadBalancer),
            "targetgroup" => Some(Self::TargetGroup),
            "listener" => Some(Self::Listener),
            _ => None,
        }
    }
}

/// Checks that an ARN is of a kind. The resource need not exist.
pub fn check_arn(kind: Kind, arn: &str) -> Result<(), ApiError> {
    let name = match kind {
        Kind::LoadBalancer => "load balancer",
        Kind::TargetGroup => "target group",
        Kind::Listener => "listener",
    };
    let is_of_kind = Kind::of(arn) == Some(kind);
    if is_of_kind { Ok(()) } else { Err(invalid(format!("'{arn}' is not a valid {name} ARN"))) }
}

/// Returns the error for an unknown load balancer.
pub fn load_balancer_not_found(name: &str) -> ApiError {
    ApiError::new("LoadBalancerNotFound", format!("Load balancers '[{name}]' not found"))
}

/// Returns the error for an unknown target group.
pub fn target_group_not_found() -> ApiError {
    ApiError::new("TargetGroupNotFound", "One or more target groups not found")
}

/// Returns the error for an unknown listener.
pub fn listener_not_found() -> ApiError {
    ApiError::new("ListenerNotFound", "One or more listeners not found")
}

/// Returns the error for an invalid request.
pub fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

impl From<InvalidToken> for ApiError {
    fn from(_: InvalidToken) -> Self {
        invalid("The marker or token is not valid")
    }
}

/// Returns the requested page size, or the default one.
pub fn page_size(given: Option<&str>) -> Result<usize, ApiError> {
    let Some(given) = given else { return Ok(MAX_PAGE) };
    let size = given.parse().ok().filter(|size| (1..=MAX_PAGE).contains(size));
    size.ok_or_else(|| invalid(format!("PageSize '{given}' must be between 1 and {MAX_PAGE}")))
}

/// Checks the name of a load balancer or a target group.
pub fn check_name(kind: &str, name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(invalid(format!("{kind} name cannot be blank")));
    }
    if name.len() > MAX_NAME {
        return Err(invalid(format!("{kind} name '{name}' cannot be longer than '{MAX_NAME}' characters")));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        let message = "can only contain characters that are alphanumeric characters and hyphens(-)";
        return Err(invalid(format!("{kind} name '{name}' {message}")));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(invalid(format!("{kind} name '{name}' cannot begin or end with a hyphen(-)")));
    }
    Ok(())
}

/// Parses a number and checks it against AWS's limits.
pub fn number(name: &str, given: &str, range: RangeInclusive<u32>) -> Result<u32, ApiError> {
    let (min, max) = (range.start(), range.end());
    let out_of_range = || invalid(format!("{name} '{given}' must be a number between {min} and {max}"));
    given.parse().ok().filter(|number| range.contains(number)).ok_or_else(out_of_range)
}

/// Parses a port.
pub fn port(given: &str) -> Result<u16, ApiError> {
    let port = given.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| invalid(format!("Port '{given}' must be a number between 1 and 65535")))
}
