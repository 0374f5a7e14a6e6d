//! The shapes of calls and answers, with the names of AWS's API references.
//!
//! Only the members that the watcher, its tests or a person setting the stage use. Unknown ones are let pass, as they
//! change nothing that the sandbox models. The JSON protocols carry these shapes as they are; the query protocol carries
//! the same ones as form fields and XML (see [`crate::wire`]).

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub mod ecs;
pub mod elb;
pub mod eventbridge;
pub mod sqs;
pub mod sts;
pub mod time;

/// A call of any service.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
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

/// The answer to a call.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one lives at a time")]
pub enum Response {
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

/// An AWS service, as its operations are named in IAM (`sqs:ReceiveMessage`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
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
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ecs, Self::Elb, Self::EventBridge, Self::Sqs, Self::Sts];

    /// The service's prefix in IAM actions.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Ecs => "ecs",
            Self::Elb => "elasticloadbalancing",
            Self::EventBridge => "events",
            Self::Sqs => "sqs",
            Self::Sts => "sts",
        }
    }

    /// The operations that are known here, each with the members that AWS asks for.
    pub fn operations(self) -> &'static [(&'static str, &'static [&'static str])] {
        match self {
            Self::Ecs => ecs::OPERATIONS,
            Self::Elb => elb::OPERATIONS,
            Self::EventBridge => eventbridge::OPERATIONS,
            Self::Sqs => sqs::OPERATIONS,
            Self::Sts => sts::OPERATIONS,
        }
    }

    /// Whether an operation of that name is known here.
    pub fn has(self, operation: &str) -> bool {
        self.operations().iter().any(|(name, _)| *name == operation)
    }
}

impl Request {
    /// The service that is called.
    pub fn service(&self) -> Service {
        match self {
            Self::Ecs(_) => Service::Ecs,
            Self::Elb(_) => Service::Elb,
            Self::EventBridge(_) => Service::EventBridge,
            Self::Sqs(_) => Service::Sqs,
            Self::Sts(_) => Service::Sts,
        }
    }

    /// The operation's name.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Ecs(request) => request.operation(),
            Self::Elb(request) => request.operation(),
            Self::EventBridge(request) => request.operation(),
            Self::Sqs(request) => request.operation(),
            Self::Sts(request) => request.operation(),
        }
    }
}

/// What AWS answers when it refuses: its own code, and a message like its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// AWS's error code (`LoadBalancerNotFound`, `ClusterNotFoundException`).
    pub code: &'static str,
    /// The HTTP status that goes with it.
    pub status: u16,
    /// What is wrong.
    pub message: String,
}

impl ApiError {
    /// An error of the caller's, with status 400.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, status: 400, message: message.into() }
    }

    /// The same with another status.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

/// A tag where AWS writes its members small (ECS).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowercaseTag {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// A tag where AWS writes its members large (Elastic Load Balancing, EventBridge).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// Why a call can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A member that AWS asks for isn't there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member is of another type, or the whole is no object.
    #[error("{0}")]
    Unreadable(#[from] serde_json::Error),
}

/// Reads a call's members, those that AWS asks for among them.
///
/// # Errors
///
/// When one of those is missing, or one is of another type.
pub fn read_members<T: DeserializeOwned>(members: Value, required: &[&'static str]) -> Result<T, ReadError> {
    // Asked for here, since serde would take a list for an object too.
    let Value::Object(given) = &members else {
        return Err(serde_json::Error::custom("the members must be a JSON object").into());
    };
    if let Some(missing) = required.iter().find(|name| !given.contains_key(**name)) {
        return Err(ReadError::Missing(missing));
    }
    Ok(serde_json::from_value(members)?)
}

/// Defines the calls and answers of one service: an enum each, from the operations' names and shapes, and the members
/// that AWS's model asks for.
macro_rules! operations {
    ($($operation:ident($input:ty) -> $output:ty $(, requires $($member:literal)+)?;)*) => {
        /// A call.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "the operations are AWS's")]
        #[allow(clippy::large_enum_variant, reason = "one lives at a time")]
        pub enum Request {
            $($operation($input),)*
        }

        /// The answer to a call.
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(untagged)]
        #[allow(missing_docs, reason = "the operations are AWS's")]
        #[allow(clippy::large_enum_variant, reason = "one lives at a time")]
        pub enum Response {
            $($operation($output),)*
        }

        impl Request {
            /// The operation's name.
            pub fn operation(&self) -> &'static str {
                match self {
                    $(Self::$operation(_) => stringify!($operation),)*
                }
            }

            /// Reads a call from the members that came with it; `None` for an operation that isn't known here.
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

        /// The operations that are known here, each with the members that it asks for.
        pub const OPERATIONS: &[(&str, &[&str])] = &[$((stringify!($operation), &[$($($member),+)?])),*];
    };
}

pub(crate) use operations;

/// An answer without members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}
