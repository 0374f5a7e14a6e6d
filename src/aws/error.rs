//! The errors of calls to AWS.

use std::time::Duration;

use super::operation::ApiOperation;

/// The kinds of failures that the product distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The resource doesn't exist, or no longer does.
    NotFound,
    /// A listener or rule still refers to the target group (ResourceInUse).
    ResourceInUse,
    /// The load balancer is protected against deletion (OperationNotPermitted).
    OperationNotPermitted,
    /// The target group is full (TooManyTargets).
    TooManyTargets,
    /// The target isn't registered, or can't be (InvalidTarget).
    InvalidTarget,
    /// AWS throttles the request.
    Throttled,
    /// AWS answered with a 5xx status or not in time, or there is no connection.
    Unavailable,
    /// A write was not sent, because its observation was stale.
    StaleObservation,
    /// The credentials don't allow the operation.
    AccessDenied,
    /// There are no credentials, or they are invalid or expired.
    Unauthenticated,
    /// AWS considers the request invalid.
    Rejected,
}

impl ErrorKind {
    /// Returns true if the error is transient: a retry soon may succeed without an operator's help. A permanent error
    /// persists until an operator acts, so it is retried at the longest interval.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Throttled
            | Self::Unavailable
            | Self::StaleObservation
            | Self::NotFound
            | Self::ResourceInUse
            | Self::InvalidTarget => true,
            Self::AccessDenied
            | Self::Unauthenticated
            | Self::OperationNotPermitted
            | Self::TooManyTargets
            | Self::Rejected => false,
        }
    }
}

/// A failed call: the operation, the resource, and the cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{service}:{operation} on {resource} failed: {message}")]
pub struct AwsError {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// The service, by its prefix in IAM policies (`sqs`, `ecs`, `elasticloadbalancing`).
    pub service: &'static str,
    /// The operation of the service's API.
    pub operation: &'static str,
    /// The resource, by name or ARN.
    pub resource: String,
    /// AWS's error code, if AWS answered.
    pub code: Option<Box<str>>,
    /// AWS's message, or the reason why there is no answer.
    pub message: String,
    /// AWS's request id, if AWS answered.
    pub request_id: Option<Box<str>>,
}

impl AwsError {
    /// The error of a call that was given up after this time.
    pub fn too_slow(operation: ApiOperation, resource: &str, limit: Duration) -> Self {
        Self {
            kind: ErrorKind::Unavailable,
            service: operation.service(),
            operation: operation.name(),
            resource: resource.to_owned(),
            code: None,
            message: format!("no answer within {limit:?}"),
            request_id: None,
        }
    }

    /// Returns the message, followed by the remedy where an operator has one.
    pub fn with_remedy(&self) -> String {
        match self.kind {
            ErrorKind::AccessDenied => format!("{self}; allow the action {} on it", self.iam_action()),
            ErrorKind::Unauthenticated => {
                format!("{self}; renew the credentials (aws sso login), or correct --profile")
            }
            _ => self.to_string(),
        }
    }

    /// Returns the IAM action that allows the operation, e.g. `sqs:DeleteMessage` for DeleteMessageBatch.
    pub fn iam_action(&self) -> String {
        match ApiOperation::find(self.service, self.operation) {
            Some(operation) => operation.iam_action().to_owned(),
            None => format!("{}:{}", self.service, self.operation),
        }
    }

    /// Returns true if the error is of this kind.
    pub fn is(&self, kind: ErrorKind) -> bool {
        self.kind == kind
    }
}
