//! The controller as `run` and `lambda` configure it.

use aws_config::SdkConfig;

use super::options::{FeedCheck, WatchOptions};
use super::settings::Settings;
use super::{metrics, monitor_config, policy};
use crate::aws::client::{AwsEventSource, AwsPlatform};
use crate::controller::context::Context;
use crate::controller::reconciler::{Reconciler, ReconcilerParts};
use crate::controller::teardown::ProcessId;
use crate::event_source::monitor::EventSourceMonitor;
use crate::telemetry::log::Log;
use jvb_watcher_rules::finding::StandingFindings;

/// A controller that is ready to work.
pub(super) struct Assembly {
    /// The reconciler, which leads to the context.
    pub(super) reconciler: Reconciler<AwsPlatform>,
    /// The periodic check of the event source, unless it is switched off.
    pub(super) monitor: Option<EventSourceMonitor<AwsEventSource>>,
}

/// Builds the controller of `run` and `lambda`.
pub(super) fn assemble(
    sdk: &SdkConfig,
    settings: &Settings,
    options: &WatchOptions,
    feed_check: FeedCheck,
    log: &Log,
) -> Assembly {
    let platform = AwsPlatform::new(sdk);
    let context = Context::new(settings.scope.clone(), log.clone(), platform.clock());
    let metrics = metrics(settings, &options.metrics, log, context.clock.clone());
    let context = Context { metrics, ..context };
    let standing = (feed_check == FeedCheck::Hourly).then(StandingFindings::default);
    let monitor = standing.clone().map(|standing| {
        let config = monitor_config(settings, standing, log, context.clock.clone());
        EventSourceMonitor::new(AwsEventSource::new(sdk), config)
    });
    let policy = policy(settings, &options.policy);
    let reconciler = Reconciler::new(ReconcilerParts {
        event_source_findings: standing,
        process: ProcessId::random(),
        ..ReconcilerParts::new(platform, context, policy)
    });
    Assembly { reconciler, monitor }
}
