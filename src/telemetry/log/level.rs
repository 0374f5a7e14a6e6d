//! The levels of events.

use clap::ValueEnum;
use serde::Serialize;

/// The severity of an event; as an option, the least severe level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Failures that an operator must resolve.
    Error,
    /// Also failures that are retried, and findings.
    Warn,
    /// Also every action and state change.
    #[default]
    Info,
    /// Also messages of the AWS SDK.
    Debug,
}

impl Level {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}
