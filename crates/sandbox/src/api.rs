//! Requests and responses, named as in AWS's API references.
//!
//! Each service has a module with the types of its operations. Only members that change something in the sandbox, or
//! that clients rely on, are modelled; unknown members of a request are ignored. The JSON protocols carry these types
//! as they are. The query protocol carries them as form fields and XML (see [`crate::wire`]).

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub mod cloudwatch;
pub mod ecs;
pub mod elb;
pub mod eventbridge;
pub mod sqs;
pub mod sts;
pub mod time;

/// A request to any service.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Amazon CloudWatch.
    CloudWatch(cloudwatch::Request),
    /// Amazon ECS.
    Ecs(ecs::Request),
    /// Elastic Load Balancing, version 2.
    Elb(elb::Request),
    /// Amazon EventBridge.
    EventBridge(eventbridge::Request),
    /// Amazon SQS.
    Sqs(sqs::Request),
    /// AWS Security Token Service.
    Sts(sts::Request),
}

/// A response of any service.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "only one exists at a time")]
pub enum Response {
    /// Amazon CloudWatch.
    CloudWatch(cloudwatch::Response),
    /// Amazon ECS.
    Ecs(ecs::Response),
    /// Elastic Load Balancing, version 2.
    Elb(elb::Response),
    /// Amazon EventBridge.
    EventBridge(eventbridge::Response),
    /// Amazon SQS.
    Sqs(sqs::Response),
    /// AWS Security Token Service.
    Sts(sts::Response),
}

/// An AWS service that the sandbox models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Amazon CloudWatch.
    CloudWatch,
    /// Amazon ECS.
    Ecs,
    /// Elastic Load Balancing, version 2.
    Elb,
    /// Amazon EventBridge.
    EventBridge,
    /// Amazon SQS.
    Sqs,
    /// AWS Security Token Service.
    Sts,
}

impl Service {
    /// All services.
    pub const ALL: [Self; 6] = [Self::CloudWatch, Self::Ecs, Self::Elb, Self::EventBridge, Self::Sqs, Self::Sts];

    /// Returns the service's prefix in IAM actions, such as `sqs` in `sqs:ReceiveMessage`.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::CloudWatch => "cloudwatch",
            Self::Ecs => "ecs",
            Self::Elb => "elasticloadbalancing",
            Self::EventBridge => "events",
            Self::Sqs => "sqs",
            Self::Sts => "sts",
        }
    }

    /// Returns the modelled operations, each with its required members.
    pub fn operations(self) -> &'static [(&'static str, &'static [&'static str])] {
        match self {
            Self::CloudWatch => cloudwatch::OPERATIONS,
            Self::Ecs => ecs::OPERATIONS,
            Self::Elb => elb::OPERATIONS,
            Self::EventBridge => eventbridge::OPERATIONS,
            Self::Sqs => sqs::OPERATIONS,
            Self::Sts => sts::OPERATIONS,
        }
    }

    /// Returns whether the sandbox models an operation.
    pub fn has(self, operation: &str) -> bool {
        self.operations().iter().any(|(name, _)| *name == operation)
    }
}

impl Request {
    /// Returns the service that the request is for.
    pub fn service(&self) -> Service {
        match self {
            Self::CloudWatch(_) => Service::CloudWatch,
            Self::Ecs(_) => Service::Ecs,
            Self::Elb(_) => Service::Elb,
            Self::EventBridge(_) => Service::EventBridge,
            Self::Sqs(_) => Service::Sqs,
            Self::Sts(_) => Service::Sts,
        }
    }

    /// Returns the name of the operation.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::CloudWatch(request) => request.operation(),
            Self::Ecs(request) => request.operation(),
            Self::Elb(request) => request.operation(),
            Self::EventBridge(request) => request.operation(),
            Self::Sqs(request) => request.operation(),
            Self::Sts(request) => request.operation(),
        }
    }
}

/// An error response, with AWS's error code and wording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// AWS's error code, such as `ClusterNotFoundException`.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Error message.
    pub message: String,
}

impl ApiError {
    /// Creates a client error, with status 400.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, status: 400, message: message.into() }
    }

    /// Replaces the HTTP status.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

/// A tag with members in lower case (ECS).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowercaseTag {
    /// Tag key.
    pub key: String,
    /// Tag value.
    #[serde(default)]
    pub value: String,
}

/// A tag with members in Pascal case (Elastic Load Balancing, EventBridge).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// Tag key.
    pub key: String,
    /// Tag value.
    #[serde(default)]
    pub value: String,
}

/// Error of [`read_members`].
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A required member is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member has the wrong type, or the members aren't an object.
    #[error("{0}")]
    Unreadable(#[from] serde_json::Error),
}

/// Deserializes the members of a request.
///
/// # Errors
///
/// Returns an error when a required member is missing or a member has the wrong type.
pub fn read_members<T: DeserializeOwned>(members: Value, required: &[&'static str]) -> Result<T, ReadError> {
    // Checked here, since serde accepts an array for a struct too.
    let Value::Object(given) = &members else {
        return Err(serde_json::Error::custom("the members must be a JSON object").into());
    };
    if let Some(missing) = required.iter().find(|name| !given.contains_key(**name)) {
        return Err(ReadError::Missing(missing));
    }
    Ok(serde_json::from_value(members)?)
}

/// Defines the `Request` and `Response` enums of one service from its operations: name, input, output and the members
/// that AWS's model requires.
macro_rules! operations {
    ($($operation:ident($input:ty) -> $output:ty $(, requires $($member:literal)+)?;)*) => {
        /// A request to the service.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "AWS's API reference documents the operations")]
        #[allow(clippy::large_enum_variant, reason = "only one exists at a time")]
        pub enum Request {
            $($operation($input),)*
        }

        /// A response of the service.
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(untagged)]
        #[allow(missing_docs, reason = "AWS's API reference documents the operations")]
        #[allow(clippy::large_enum_variant, reason = "only one exists at a time")]
        pub enum Response {
            $($operation($output),)*
        }

        impl Request {
            /// Returns the name of the operation.
            pub fn operation(&self) -> &'static str {
                match self {
                    $(Self::$operation(_) => stringify!($operation),)*
                }
            }

            /// Deserializes a request; returns `None` for an operation that the sandbox doesn't model.
            pub fn read(
                operation: &str,
                members: serde_json::Value,
            ) -> Option<Result<Self, crate::api::ReadError>> {
                match operation {
                    $(stringify!($operation) => {
                        let required = &[$($($member),+)?];
                        Some(crate::api::read_members(members, required).map(Self::$operation))
                    })*
                    _ => None,
                }
            }
        }

        /// The modelled operations, each with its required members.
        pub const OPERATIONS: &[(&str, &[&str])] = &[$((stringify!($operation), &[$($($member),+)?])),*];
    };
}

pub(crate) use operations;

/// A request or response without members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}
