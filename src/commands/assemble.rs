//! The controllers of services, as `run` and `lambda` configure them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::fleet::{ServiceKey, Watched, WatchedService};
use super::options::{FeedCheck, MetricsFormat, MetricsOptions, WatchOptions};
use crate::aws::Platform;
use crate::aws::client::{AwsEventSource, AwsPlatform, SdkConfig};
use crate::controller::context::{Context, QueueContext};
use crate::controller::findings::CurrentFindings;
use crate::controller::gate::Gate;
use crate::controller::latest::{LatestReconciliations, Subject};
use crate::controller::orphans::OrphanIndex;
use crate::controller::reconciler::{Reconciler, ReconcilerParts};
use crate::controller::teardown::ProcessId;
use crate::controller::totals::Totals;
use crate::event_source::monitor::{EventSourceMonitor, MonitorConfig};
use crate::telemetry::emf::Scope;
use crate::telemetry::log::{Identity, Log};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::otlp::Otlp;
use jvb_watcher_rules::finding::StandingFindings;

/// Builds the controllers of services. They share the connections to AWS.
pub(super) struct Assembler {
    platform: AwsPlatform,
    /// The event source to check; `None` if it isn't checked.
    event_source: Option<AwsEventSource>,
    queue: String,
    metrics: MetricsOptions,
    /// The process's own metrics; `None` if it watches one service.
    metrics_of_process: Option<Metrics>,
    /// Where the latest reconciliations are kept; `None` if nothing shows them.
    latest: Option<LatestReconciliations>,
    log: Log,
    otlp: Otlp,
    process: ProcessId,
    /// The longest time by which an answer of ECS is assumed to lag.
    ecs_lag: Duration,
    /// The search for orphaned target groups, which all services share.
    orphan_index: OrphanIndex,
    watched: BTreeMap<ServiceKey, Watching>,
    /// The counts of all services that are or were watched.
    totals: BTreeMap<ServiceKey, Totals>,
    /// The service whose event source was checked last.
    checked: Option<ServiceKey>,
}

/// What lasts while a service is watched, whatever its settings; and the gate of its reconciler.
struct Watching {
    context: Context,
    identity: Identity,
    findings: CurrentFindings,
    event_source: Option<WatchedEventSource>,
    gate: Gate,
}

/// The checks of the event source of a service, and their findings.
struct WatchedEventSource {
    standing: StandingFindings,
    monitor: EventSourceMonitor<AwsEventSource>,
}

/// The counts of a process.
pub(super) struct ProcessCounts {
    /// Messages about the services.
    pub(super) messages: u64,
    /// Reconciliations that succeeded.
    pub(super) reconciliations: u64,
    /// Requests to ECS, Elastic Load Balancing and CloudWatch.
    pub(super) platform_calls: u64,
}

impl Assembler {
    /// Creates an assembler of the controllers of what is watched. The process of a fleet has metrics of its own.
    pub(super) fn new(
        sdk: &SdkConfig,
        watched: &Watched,
        options: &WatchOptions,
        feed_check: FeedCheck,
        log: &Log,
        otlp: &Otlp,
    ) -> Self {
        let platform = watched.connections(sdk, log.clock());
        let metrics_of_process = watched.is_fleet().then(|| {
            let published_in = (options.metrics.metrics == MetricsFormat::Emf).then(|| log.clone());
            let scope = metrics_scope(&options.metrics, &watched.identity);
            let metrics = Metrics::of_process(scope, published_in, platform.clock());
            otlp.export(&metrics);
            metrics
        });
        Self {
            platform,
            event_source: (feed_check == FeedCheck::Hourly).then(|| AwsEventSource::new(sdk)),
            queue: watched.queue.clone(),
            metrics: options.metrics.clone(),
            metrics_of_process,
            latest: None,
            log: log.clone(),
            otlp: otlp.clone(),
            process: ProcessId::random(),
            ecs_lag: options.ecs_lag,
            orphan_index: OrphanIndex::default(),
            watched: BTreeMap::new(),
            totals: BTreeMap::new(),
            checked: None,
        }
    }

    /// Keeps the latest reconciliations of the services whose controllers are built from now on.
    pub(super) fn keep_latest(&mut self, latest: LatestReconciliations) {
        self.latest = Some(latest);
    }

    /// Returns the connections to AWS.
    pub(super) fn platform(&self) -> &AwsPlatform {
        &self.platform
    }

    /// Builds the controller of a service, or another one for its new settings, which has the findings of the one before.
    pub(super) fn reconciler(&mut self, service: &WatchedService) -> Reconciler<AwsPlatform> {
        let WatchedService { names, policy } = service;
        let key = service.key();
        let log = self.log.about(names.identity.clone());
        let context = Context::new(names.scope.clone(), log.clone(), self.platform.clock());
        if self.watched.get(&key).is_some_and(|before| before.identity != names.identity) {
            // Its log lines and metrics are those of another project from now on.
            self.forget(&key);
        }
        let before = self.watched.remove(&key);
        let metrics = before.as_ref().map(|before| before.context.metrics.clone());
        let metrics = metrics.unwrap_or_else(|| self.metrics_of(&names.identity, &log));
        let totals = self.totals.entry(key.clone()).or_default().clone();
        let traces = self.otlp.traces(&names.identity);
        let context = Context { metrics, traces, totals, ..context };
        let findings = before.as_ref().map(|before| before.findings.clone()).unwrap_or_default();
        let event_source = match before {
            Some(Watching { context: Context { scope, .. }, event_source, .. }) if scope == names.scope => event_source,
            _ => self.event_source(&context),
        };
        let gate = Gate::default();
        let standing = event_source.as_ref().map(|event_source| event_source.standing.clone());
        let watching = Watching {
            context: context.clone(),
            identity: names.identity.clone(),
            findings: findings.clone(),
            event_source,
            gate: gate.clone(),
        };
        self.watched.insert(key, watching);
        let (identity, scope) = (names.identity.clone(), names.scope.clone());
        let latest = self.latest.as_ref().map(|latest| latest.of(Subject { identity, scope, policy: policy.clone() }));
        let parts = ReconcilerParts::new(self.platform.clone(), context, policy.clone());
        Reconciler::new(ReconcilerParts {
            ecs_lag: parts.ecs_lag.min(self.ecs_lag),
            event_source_findings: standing,
            findings,
            gate,
            process: self.process,
            orphan_index: self.orphan_index.clone(),
            latest: latest.unwrap_or_default(),
            ..parts
        })
    }

    /// Returns the checks of the event source of a service, unless none are to be made.
    fn event_source(&self, context: &Context) -> Option<WatchedEventSource> {
        let standing = StandingFindings::default();
        let config = MonitorConfig {
            scope: context.scope.clone(),
            queue: self.queue.clone(),
            standing: standing.clone(),
            log: context.log.clone(),
            clock: context.clock.clone(),
        };
        let event_source = self.event_source.clone()?;
        Some(WatchedEventSource { standing, monitor: EventSourceMonitor::new(event_source, config) })
    }

    /// Returns the context of what belongs to no service of a fleet.
    pub(super) fn queue_context(&self) -> QueueContext {
        QueueContext {
            log: self.log.clone(),
            clock: self.platform.clock(),
            metrics: self.metrics_of_process.clone().unwrap_or_default(),
            totals: Totals::default(),
        }
    }

    /// Ends the deletions of services that are about to be forgotten or to have other settings, after those in progress.
    pub(super) async fn close(&self, keys: &[ServiceKey]) {
        join_all(keys.iter().filter_map(|key| self.watched.get(key)).map(|watching| watching.gate.close())).await;
    }

    /// Forgets a service: logs that its findings are cleared, because nothing observes them any more, and publishes what it
    /// has counted.
    pub(super) fn forget(&mut self, key: &ServiceKey) {
        if let Some(Watching { context: Context { log, clock, metrics, .. }, findings, .. }) = self.watched.remove(key)
        {
            findings.update(&[], None, &log, clock.now());
            metrics.finish();
        }
    }

    /// Publishes what the services have counted.
    pub(super) fn finish(&self) {
        self.watched.values().for_each(|watching| watching.context.metrics.finish());
    }

    /// Returns the counts of all services.
    pub(super) fn counts(&self) -> ProcessCounts {
        let counts: Vec<_> = self.totals.values().map(Totals::get).collect();
        ProcessCounts {
            messages: counts.iter().map(|counts| counts.messages).sum(),
            reconciliations: counts.iter().map(|counts| counts.reconciliations).sum(),
            platform_calls: self.platform.calls().sent,
        }
    }

    /// Returns the number of services.
    #[cfg(feature = "lambda")]
    pub(super) fn len(&self) -> usize {
        self.watched.len()
    }

    /// Checks the event source of the service whose turn it is, if the check is due: one service at a time, so that a
    /// thousand of them don't check at once.
    pub(super) async fn check_next(&mut self) {
        let after = self.checked.take();
        let next = self.watched.keys().find(|key| after.as_ref().is_none_or(|after| *key > after));
        let next = next.or_else(|| self.watched.keys().next()).cloned();
        self.checked.clone_from(&next);
        if let Some(event_source) = next.and_then(|key| self.watched.get_mut(&key)?.event_source.as_mut()) {
            event_source.monitor.check_if_due().await;
        }
    }

    /// Returns the metrics that the options configure.
    fn metrics_of(&self, identity: &Identity, log: &Log) -> Metrics {
        let scope = metrics_scope(&self.metrics, identity);
        let metrics = match (&self.metrics_of_process, self.metrics.metrics) {
            (Some(process), _) => return process.of_service(scope, log),
            (None, MetricsFormat::Off) => Metrics::unpublished(scope, self.platform.clock()),
            (None, MetricsFormat::Emf) => Metrics::new(scope, log.clone(), self.platform.clock()),
        };
        self.otlp.export(&metrics);
        metrics
    }
}

fn metrics_scope(options: &MetricsOptions, identity: &Identity) -> Scope {
    let Identity { project, cluster, service } = identity.clone();
    Scope { namespace: options.metrics_namespace.clone(), project, cluster, service }
}
