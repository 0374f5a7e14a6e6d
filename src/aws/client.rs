//! The adapter: implements the port with the AWS SDK. No other module calls the SDK.

use std::time::Duration;

mod budget;
mod call;
mod coalesce;
mod connection;
mod diagnostics;
mod directory;
mod endpoint;
mod error;
mod event_bus;
mod event_source;
mod interceptors;
#[cfg(all(test, feature = "sandbox"))]
mod pages;
mod platform;
mod profile;
mod queue;
mod recorder;
mod scaling;
mod usage;

pub use aws_config::SdkConfig;
pub use budget::QuotaShare;
#[cfg(feature = "sandbox")]
pub use connection::connect_to_sandbox;
pub use connection::{ConnectError, Connection, connect, is_region_name};
pub use diagnostics::AwsDiagnostics;
#[cfg(feature = "otlp")]
pub(crate) use error::causes;
pub use error::error_kind;
pub use event_bus::AwsEventBus;
pub use event_source::AwsEventSource;
pub use platform::AwsPlatform;
pub use queue::SqsQueue;
pub use recorder::{RecordError, Recorder};

/// The time limit of one attempt of a call. The slowest calls of the product answer within a second or two.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
