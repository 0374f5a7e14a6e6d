//! What the commands do, each from its options to its exit status.

use std::process::ExitCode;
use std::sync::Arc;

use aws_config::SdkConfig;

use crate::aws::AwsError;
use crate::aws::client::{self, AwsEventBus, ConnectError};
use crate::cli::{MetricsFormat, MetricsOptions, PolicyOptions, WatchOptions};
use crate::clock::SharedClock;
use crate::config::{ConfigError, Settings};
use crate::event_source::monitor::MonitorConfig;
use crate::telemetry::log::{Event, Form, Log, diagnostics};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::emf::Address;
use crate::telemetry::publish::Publisher;
use jvb_watcher_rules::finding::StandingFindings;
use jvb_watcher_rules::plan::Policy;

mod assemble;
#[cfg(feature = "sandbox")]
mod demo;
mod doctor;
mod down;
mod health;
mod hold;
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(feature = "manual")]
mod manual;
mod operation;
mod probe;
mod reconcile;
#[cfg(feature = "report")]
mod report;
mod run;
#[cfg(feature = "sandbox")]
mod sandbox;
mod status;
mod up;

#[cfg(feature = "sandbox")]
pub use demo::demo;
pub use doctor::doctor;
pub use down::down;
pub use health::health;
pub use hold::hold;
#[cfg(feature = "lambda")]
pub use lambda::{init_failed, lambda};
#[cfg(feature = "manual")]
pub use manual::{completions, man};
pub use operation::Console;
pub use reconcile::reconcile;
#[cfg(feature = "report")]
pub use report::report;
pub use run::run;
#[cfg(feature = "sandbox")]
pub use sandbox::sandbox;
pub use status::status;
pub use up::up;

/// Connects to AWS. What the SDK has to say on the way there is in the error; from here on it goes to the log.
async fn connect(settings: &Settings, log: &Log) -> Result<SdkConfig, CommandError> {
    let sdk = client::connect(&settings.connection).await?;
    diagnostics::install(log);
    Ok(sdk)
}

/// Where the figures go, as the options have it.
fn metrics(settings: &Settings, options: &MetricsOptions, log: &Log, clock: SharedClock) -> Metrics {
    let address = Address {
        namespace: options.metrics_namespace.clone(),
        project: settings.identity.project.clone(),
        service: settings.identity.service.clone(),
    };
    match options.metrics {
        MetricsFormat::Off => Metrics::shown_only(address, clock),
        MetricsFormat::Emf => Metrics::new(address, log.clone(), clock),
    }
}

/// Where events for others wait to be sent, if anybody wants them; from now on the log's are offered to it.
fn publisher(sdk: &SdkConfig, options: &WatchOptions, log: &Log) -> Option<Publisher> {
    let bus = AwsEventBus::new(sdk, options.publish_events.as_deref()?);
    let publisher = Publisher::default();
    log.subscribe(Arc::new(publisher.clone()));
    tokio::spawn(publisher.clone().keep_sending(bus, log.clone()));
    Some(publisher)
}

/// Returns what the event source monitor checks, by the settings.
fn monitor_config(settings: &Settings, standing: StandingFindings, log: &Log, clock: SharedClock) -> MonitorConfig {
    MonitorConfig { scope: settings.scope.clone(), queue: settings.queue.clone(), standing, log: log.clone(), clock }
}

/// The rules to watch by.
fn policy(settings: &Settings, options: &PolicyOptions) -> Policy {
    Policy {
        service: settings.scope.service.clone(),
        load_balancer: settings.load_balancer.clone(),
        owner_tag: options.owner_tag.clone(),
        teardown: options.teardown.into(),
        idle_grace: options.idle_grace,
        unused_grace: options.unused_grace,
        resync_interval: options.resync_interval,
    }
}

/// That the watcher begins, in this form.
fn started(form: Form, settings: &Settings, options: &WatchOptions, sdk: &SdkConfig) -> Event {
    let options = &options.policy;
    Event::WatcherStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        form,
        region: sdk.region().map(ToString::to_string).unwrap_or_default(),
        queue: settings.queue.clone(),
        load_balancer: settings.load_balancer.clone(),
        owner_tag: options.owner_tag.to_string(),
        teardown: options.teardown.as_str().to_owned(),
        resync_interval_seconds: options.resync_interval.as_secs_f64(),
        idle_grace_seconds: options.idle_grace.as_secs_f64(),
        unused_grace_seconds: options.unused_grace.as_secs_f64(),
    }
}

/// Why a command ends badly.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Wrong use or configuration: nothing was done.
    #[error("{0}")]
    Usage(String),
    /// It was tried, and failed.
    #[error("{0}")]
    Failed(String),
    /// `status` has shown findings, or what else isn't well.
    #[error("it isn't well")]
    NotWell,
    /// Somebody stopped it before it had come to its end.
    #[error("stopped before the end")]
    Interrupted,
    /// The same, with what is to be known of it.
    #[error("{0}")]
    Stopped(String),
}

impl CommandError {
    /// 2 for wrong use or configuration, 1 for failure, 3 for findings of `status`, 130 (as shells have it for Ctrl-C) when stopped before the end.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::from(1),
            Self::NotWell => ExitCode::from(3),
            Self::Interrupted | Self::Stopped(_) => ExitCode::from(130),
        }
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<ConnectError> for CommandError {
    fn from(error: ConnectError) -> Self {
        Self::Usage(error.to_string())
    }
}

#[cfg(feature = "sandbox")]
impl From<jvb_watcher_sandbox::scenario::ScenarioError> for CommandError {
    fn from(error: jvb_watcher_sandbox::scenario::ScenarioError) -> Self {
        Self::Usage(format!("--scenario: {error}"))
    }
}

#[cfg(feature = "sandbox")]
impl From<jvb_watcher_sandbox::scenario::PlayError> for CommandError {
    fn from(error: jvb_watcher_sandbox::scenario::PlayError) -> Self {
        use jvb_watcher_sandbox::scenario::PlayError;
        match error {
            PlayError::Refused { .. } => Self::Failed(error.to_string()),
            PlayError::Output(error) => error.into(),
        }
    }
}

impl From<AwsError> for CommandError {
    fn from(error: AwsError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            // As with `| head`: its reader has seen enough.
            std::io::ErrorKind::BrokenPipe => Self::Interrupted,
            _ => Self::Failed(error.to_string()),
        }
    }
}
