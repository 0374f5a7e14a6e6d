//! The controller as `run` and `lambda` configure it.

use super::options::{FeedCheck, MetricsFormat, MetricsOptions, WatchOptions};
use super::policy;
use super::settings::{ConfigError, Settings};
use crate::aws::client::{AwsEventSource, AwsPlatform, SdkConfig};
use crate::clock::SharedClock;
use crate::controller::context::Context;
use crate::controller::reconciler::{Reconciler, ReconcilerParts};
use crate::controller::teardown::ProcessId;
use crate::event_source::monitor::{EventSourceMonitor, MonitorConfig};
use crate::telemetry::emf::Scope;
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;
use jvb_watcher_rules::finding::StandingFindings;

/// A controller that is ready to work.
pub(super) struct Assembly {
    /// The reconciler, which leads to the context.
    pub(super) reconciler: Reconciler<AwsPlatform>,
    /// The periodic check of the event source, unless it is switched off.
    pub(super) monitor: Option<EventSourceMonitor<AwsEventSource>>,
}

/// Builds the controller of `run` and `lambda`.
///
/// # Errors
///
/// Two options contradict each other.
pub(super) fn assemble(
    sdk: &SdkConfig,
    settings: &Settings,
    options: &WatchOptions,
    feed_check: FeedCheck,
    log: &Log,
) -> Result<Assembly, ConfigError> {
    let platform = AwsPlatform::on_machine(sdk, log.clock());
    let context = Context::new(settings.scope.clone(), log.clone(), platform.clock());
    let metrics = metrics(settings, &options.metrics, log, context.clock.clone());
    let context = Context { metrics, ..context };
    let standing = (feed_check == FeedCheck::Hourly).then(StandingFindings::default);
    let monitor = standing.clone().map(|standing| {
        let config = MonitorConfig {
            scope: settings.scope.clone(),
            queue: settings.queue.clone(),
            standing,
            log: log.clone(),
            clock: context.clock.clone(),
        };
        EventSourceMonitor::new(AwsEventSource::new(sdk), config)
    });
    let policy = policy(&settings.scope, &settings.load_balancer, &options.policy)?;
    let reconciler = Reconciler::new(ReconcilerParts {
        event_source_findings: standing,
        process: ProcessId::random(),
        ..ReconcilerParts::new(platform, context, policy)
    });
    Ok(Assembly { reconciler, monitor })
}

/// Returns the metrics that the options configure.
fn metrics(settings: &Settings, options: &MetricsOptions, log: &Log, clock: SharedClock) -> Metrics {
    let scope = Scope {
        namespace: options.metrics_namespace.clone(),
        project: settings.identity.project.clone(),
        service: settings.identity.service.clone(),
    };
    match options.metrics {
        MetricsFormat::Off => Metrics::unpublished(scope, clock),
        MetricsFormat::Emf => Metrics::new(scope, log.clone(), clock),
    }
}
