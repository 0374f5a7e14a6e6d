//! The services that `run` and `lambda` watch, as their list changes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::assemble::{Assembler, ProcessCounts};
use super::fleet::config_file::{self, InvalidConfig, LineError};
use super::fleet::discovery::Discovery;
use super::fleet::{Change, List, ServiceKey, Services, Watched, changes};
use super::options::fleet::Values;
use super::options::{FeedCheck, WatchOptions};
use crate::aws::AwsError;
use crate::aws::client::{AwsPlatform, SdkConfig};
use crate::clock::Moment;
use crate::controller::context::QueueContext;
use crate::controller::findings::log_changes;
use crate::controller::latest::LatestReconciliations;
use crate::controller::liveness::{Activity, Liveness};
use crate::controller::reconciler::Reconciler;
use crate::controller::worker::ServiceChanges;
use crate::retry::{LONGEST_WAIT, Retry};
use crate::status::StatusPage;
use crate::telemetry::log::{Event, Failure, Form, Identity, Log, RemovalReason, ServiceFields};
use crate::telemetry::otlp::Otlp;
use jvb_watcher_cost::{Model, Platform};
use jvb_watcher_rules::finding::{Finding, FindingLedger};
use jvb_watcher_rules::model::cluster_name;

/// The time between two checks of the event source of one service each.
const BETWEEN_CHECKS: Duration = Duration::from_secs(1);

/// The services, and where they are listed.
pub(super) struct Watch {
    assembler: Assembler,
    listing: Listing,
    services: Services,
    is_fleet: bool,
    identity: Identity,
    queue: String,
    region: String,
    /// The findings about the list itself.
    findings: BTreeMap<ServiceKey, (Log, FindingLedger)>,
    /// The failures in a row of the reads of each cluster.
    attempts: BTreeMap<String, u32>,
    /// The time of the last read of the clusters.
    #[cfg_attr(not(feature = "lambda"), allow(dead_code, reason = "only the function reads it"))]
    read_at: Option<Moment>,
    /// The longest time between two reads of the clusters.
    interval: Duration,
    /// The time from the last read of the clusters to the next one.
    read_again_after: Duration,
    log: Log,
}

/// How the list is read again.
enum Listing {
    /// It isn't.
    Fixed,
    /// From a file.
    File { path: PathBuf, given: Values },
    /// From tags.
    Clusters(Box<Discovery<AwsPlatform>>),
}

impl Watch {
    /// Creates the watch of services that are listed, and of none that are yet to be discovered.
    pub(super) fn new(
        sdk: &SdkConfig,
        watched: &Watched,
        options: &WatchOptions,
        feed_check: FeedCheck,
        log: &Log,
        otlp: &Otlp,
    ) -> Self {
        let assembler = Assembler::new(sdk, watched, options, feed_check, log, otlp);
        let (listing, services) = match watched.list.clone() {
            List::One(service) => (Listing::Fixed, Services::from([(service.key(), *service)])),
            List::Text(services) => (Listing::Fixed, services),
            List::File { path, given, services } => (Listing::File { path, given }, services),
            List::Clusters { clusters, given } => {
                let discovery = Discovery::new(assembler.platform().clone(), clusters, given);
                (Listing::Clusters(Box::new(discovery)), Services::new())
            }
        };
        Self {
            assembler,
            listing,
            services,
            is_fleet: watched.is_fleet(),
            identity: watched.identity.clone(),
            queue: watched.queue.clone(),
            region: sdk.region().map(ToString::to_string).unwrap_or_default(),
            findings: BTreeMap::new(),
            attempts: BTreeMap::new(),
            read_at: None,
            interval: options.policy.resync_interval,
            read_again_after: options.policy.resync_interval,
            log: log.clone(),
        }
    }

    /// Keeps the latest reconciliations of the services, and returns the page that shows them, with the region's prices.
    pub(super) fn status_page(&mut self, liveness: Liveness) -> StatusPage {
        let latest = LatestReconciliations::default();
        self.assembler.keep_latest(latest.clone());
        StatusPage {
            latest,
            liveness,
            is_fleet: self.is_fleet,
            queue: self.queue.clone(),
            region: self.region.clone(),
            costs: Model::new(&self.region, Platform::EXAMPLE),
            clock: self.assembler.platform().clock(),
        }
    }

    // ---- the start ----

    /// Discovers the services for the first time, if they are to be discovered, and retries until a cluster could be read:
    /// a worker that knows no service would delete the messages about all of them.
    pub(super) async fn discover(&mut self, liveness: &Liveness) {
        let mut retry = Retry::default();
        while let Listing::Clusters(_) = &self.listing {
            let mut wait = None;
            let mut retry_in = |error: &AwsError| *wait.get_or_insert_with(|| retry.failed(error.kind).1);
            self.read_clusters(None, Some(liveness), &mut retry_in).await;
            if let Listing::Clusters(discovery) = &mut self.listing
                && discovery.has_read()
            {
                let discovered = discovery.found();
                self.read_at = Some(Moment::now(&*self.log.clock()));
                self.read_again_after = self.interval.min(wait.unwrap_or(self.interval));
                self.services.clone_from(&discovered.services);
                self.report_findings(&discovered.findings);
                return;
            }
            let wait = wait.unwrap_or(LONGEST_WAIT);
            liveness.begin(Activity::Waiting(wait));
            tokio::time::sleep(wait).await;
        }
    }

    /// Logs the start, and returns the controllers of the services.
    pub(super) fn start(&mut self, form: Form) -> Vec<Reconciler<AwsPlatform>> {
        let only = self.services.values().next().filter(|_| !self.is_fleet);
        self.log.emit(&Event::WatcherStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            form,
            region: self.region.clone(),
            queue: self.queue.clone(),
            services: self.services.len(),
            settings: only.map(|service| ServiceFields::new(&service.policy)),
        });
        if self.is_fleet {
            for service in self.services.values() {
                let settings = ServiceFields::new(&service.policy);
                self.log.about(service.names.identity.clone()).emit(&Event::ServiceAdded { settings });
            }
        }
        self.services.values().map(|service| self.assembler.reconciler(service)).collect()
    }

    /// Returns the context of what belongs to no service: that of the only one, unless it is a fleet.
    pub(super) fn queue_context(&self, reconcilers: &[Reconciler<AwsPlatform>]) -> QueueContext {
        match reconcilers.first() {
            Some(only) if !self.is_fleet => only.context().into(),
            _ => self.assembler.queue_context(),
        }
    }

    // ---- changes ----

    /// Keeps the services as they are listed, and their event source checked, until the future is dropped.
    pub(super) async fn keep(
        &mut self,
        mut hangups: Option<Signal>,
        changes: mpsc::Sender<ServiceChanges<AwsPlatform>>,
    ) -> Infallible {
        let mut checks = tokio::time::interval(BETWEEN_CHECKS);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut read_at = Instant::now() + self.read_again_after;
        loop {
            let reads_clusters = matches!(self.listing, Listing::Clusters(_));
            let changed = tokio::select! {
                () = next(&mut hangups) => self.read_again(None).await,
                () = tokio::time::sleep_until(read_at), if reads_clusters => self.read_again(None).await,
                _ = checks.tick() => {
                    self.assembler.check_next().await;
                    continue;
                }
            };
            read_at = Instant::now() + self.read_again_after;
            if !changed.is_empty() {
                // Without a receiver the worker is at its end.
                let _ = changes.send(changed).await;
            }
        }
    }

    /// Reads the list again, clusters until this time, and returns what has changed.
    async fn read_again(&mut self, until: Option<Instant>) -> ServiceChanges<AwsPlatform> {
        match &mut self.listing {
            Listing::Fixed => ServiceChanges::default(),
            Listing::File { path, given } => {
                let (file, read) = (config_file::file_name(path), config_file::read_in_time(path, given).await);
                match read {
                    Ok(services) => self.reloaded(file, services).await,
                    Err(error) => {
                        self.rejected(error);
                        ServiceChanges::default()
                    }
                }
            }
            Listing::Clusters(_) => {
                let interval = self.interval;
                let is_complete = self.read_clusters(until, None, &mut |_| interval).await;
                self.read_at = Some(Moment::now(&*self.log.clock()));
                self.read_again_after = if is_complete { interval } else { interval.min(LONGEST_WAIT) };
                let Listing::Clusters(discovery) = &mut self.listing else { return ServiceChanges::default() };
                let discovered = discovery.found();
                self.report_findings(&discovered.findings);
                let changed = changes(&self.services, &discovered.services);
                self.services = discovered.services;
                self.apply(changed, &discovered.removed).await
            }
        }
    }

    /// Reads the clusters once, one after the other, and logs each failure as it occurs. If the reads must end at a time,
    /// each has an equal share of what is left. Returns whether none was cancelled.
    async fn read_clusters(
        &mut self,
        until: Option<Instant>,
        liveness: Option<&Liveness>,
        retry_in: &mut dyn FnMut(&AwsError) -> Duration,
    ) -> bool {
        let mut is_complete = true;
        let count = if let Listing::Clusters(discovery) = &self.listing { discovery.cluster_count() } else { 0 };
        for place in 0..count {
            let Listing::Clusters(discovery) = &mut self.listing else { break };
            let cluster = discovery.next_cluster().to_owned();
            let before_call = || {
                if let Some(liveness) = liveness {
                    liveness.begin(Activity::Discovering(cluster_name(&cluster).to_owned()));
                }
            };
            let read = match until {
                None => discovery.read_next(before_call).await,
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    let share = left / u32::try_from(count - place).unwrap_or(u32::MAX);
                    let read = tokio::time::timeout(share, discovery.read_next(before_call)).await;
                    read.unwrap_or_else(|_| {
                        is_complete = false;
                        Err(discovery.cancelled(&cluster, share))
                    })
                }
            };
            match read {
                Ok(()) => drop(self.attempts.remove(&cluster)),
                Err(error) => self.report_failure(cluster, &error, retry_in(&error)),
            }
        }
        is_complete
    }

    /// Reads the clusters if that is due, as the function does before an invocation. The reads take half of the time that
    /// is left at most, and the rest is for the services.
    ///
    /// # Errors
    ///
    /// No cluster could be read yet, so that no message may be taken for a foreign one.
    #[cfg(feature = "lambda")]
    pub(super) async fn read_if_due(&mut self, deadline: Instant) -> Result<ServiceChanges<AwsPlatform>, AwsError> {
        let Listing::Clusters(discovery) = &self.listing else { return Ok(ServiceChanges::default()) };
        let clock = self.log.clock();
        let is_due = self.read_at.as_ref().is_none_or(|read_at| read_at.elapsed(&*clock) >= self.read_again_after);
        if discovery.has_read() && !is_due {
            return Ok(ServiceChanges::default());
        }
        let now = Instant::now();
        let changes = self.read_again(Some(now + deadline.saturating_duration_since(now) / 2)).await;
        match &self.listing {
            Listing::Clusters(discovery) if !discovery.has_read() => Err(discovery.unread()),
            _ => Ok(changes),
        }
    }

    async fn reloaded(&mut self, file: String, services: Services) -> ServiceChanges<AwsPlatform> {
        let changed = changes(&self.services, &services);
        let count = |is_counted: fn(&Change) -> bool| changed.iter().filter(|change| is_counted(change)).count();
        self.log.emit(&Event::ConfigReloaded {
            file,
            services: services.len(),
            added: count(|change| matches!(change, Change::Add(_))),
            replaced: count(|change| matches!(change, Change::Replace(_))),
            removed: count(|change| matches!(change, Change::Remove(_))),
        });
        self.services = services;
        self.apply(changed, &BTreeMap::new()).await
    }

    fn rejected(&self, InvalidConfig { file, errors }: InvalidConfig) {
        for LineError { line, error } in errors {
            self.log.emit(&Event::ConfigRejected { file: file.clone(), line, error });
        }
    }

    /// Logs the changes, and builds the controllers for them. Nothing is deleted by the old settings after the lines that
    /// say so.
    async fn apply(
        &mut self,
        changed: Vec<Change>,
        reasons: &BTreeMap<ServiceKey, RemovalReason>,
    ) -> ServiceChanges<AwsPlatform> {
        let changes_old = |change: &Change| match change {
            Change::Remove(service) | Change::Replace(service) => Some(service.key()),
            Change::Add(_) => None,
        };
        self.assembler.close(&changed.iter().filter_map(changes_old).collect::<Vec<_>>()).await;
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for change in changed {
            let (Change::Remove(service) | Change::Replace(service) | Change::Add(service)) = &change;
            let log = self.log.about(service.names.identity.clone());
            let settings = ServiceFields::new(&service.policy);
            match &change {
                Change::Remove(service) => {
                    let key = service.key();
                    let reason = reasons.get(&key).copied().unwrap_or(RemovalReason::NotConfigured);
                    self.assembler.forget(&key);
                    log.emit(&Event::ServiceRemoved { load_balancer: settings.load_balancer, reason });
                    removed.push(service.names.scope.clone());
                }
                Change::Replace(service) => {
                    log.emit(&Event::ServiceReplaced { settings });
                    added.push(self.assembler.reconciler(service));
                }
                Change::Add(service) => {
                    log.emit(&Event::ServiceAdded { settings });
                    added.push(self.assembler.reconciler(service));
                }
            }
        }
        ServiceChanges { removed, added }
    }

    /// Logs a read of a cluster that failed, and that is repeated after this time.
    fn report_failure(&mut self, cluster: String, error: &AwsError, retry_in: Duration) {
        let of_cluster = Identity {
            project: self.identity.project.clone(),
            cluster: cluster_name(&cluster).to_owned(),
            service: Identity::ANY.to_owned(),
        };
        let attempt = self.attempts.entry(cluster).or_default();
        *attempt += 1;
        let failure = Failure::new(error, *attempt, retry_in);
        self.log.about(of_cluster).emit(&Event::DiscoveryFailed { failure });
    }

    /// Logs the findings about the list that are new, changed or cleared.
    fn report_findings(&mut self, findings: &BTreeMap<ServiceKey, Vec<Finding>>) {
        for key in findings.keys() {
            self.findings.entry(key.clone()).or_insert_with(|| {
                let of_service = Identity {
                    project: key.service.clone(),
                    cluster: key.cluster.clone(),
                    service: key.service.clone(),
                };
                let identity = self.services.get(key).map_or(of_service, |service| service.names.identity.clone());
                (self.log.about(identity), FindingLedger::default())
            });
        }
        let now = self.log.clock().now();
        self.findings.retain(|key, (log, ledger)| {
            let found = findings.get(key).map(Vec::as_slice).unwrap_or_default();
            log_changes(ledger, found, None, log, now);
            !ledger.is_empty()
        });
    }

    // ---- the event source, and the end ----

    /// Checks the event sources that are due, one service after the other, until the deadline.
    #[cfg(feature = "lambda")]
    pub(super) async fn check_event_sources(&mut self, deadline: Instant) {
        for _ in 0..self.assembler.len() {
            if tokio::time::timeout_at(deadline, self.assembler.check_next()).await.is_err() {
                return;
            }
        }
    }

    /// Publishes what the services have counted, and returns the sums of a process whose messages come in this context.
    pub(super) fn finish(&self, context: &QueueContext) -> (ProcessCounts, u64) {
        self.assembler.finish();
        context.metrics.finish();
        let counts = self.assembler.counts();
        // Those of the only service include those of the platform.
        let of_context = context.totals.get().aws_calls().sent;
        let calls = if self.is_fleet { of_context + counts.platform_calls } else { of_context };
        (counts, calls)
    }
}

/// Waits for a signal; forever, if there is none to wait for.
async fn next(signal: &mut Option<Signal>) {
    let received = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if received.is_none() {
        std::future::pending::<()>().await;
    }
}
