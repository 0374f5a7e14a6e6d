//! `reconcile`: registers and deregisters targets once.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::help::{Group, Help, USAGE_ERROR};
use super::options::values::duration;
use super::options::{BridgeOptions, DryRunOptions, LogOptions, PlatformOptions, RecordOptions};
use super::settings::Settings;
use super::{CommandError, connect_recorded};
use crate::aws::client::AwsPlatform;
use crate::controller::context::Context;
use crate::controller::message::Hints;
use crate::controller::reconciler::{Reconciler, ReconcilerParts, registrations_only};
use crate::telemetry::log::{Act, Event, Failure, Log, TargetFields, millis};
use jvb_watcher_rules::finding::Finding;
use jvb_watcher_rules::model::Readiness;
use jvb_watcher_rules::plan::{OwnerTag, Plan, Policy, TargetChange, Teardown, UNMATCHED_BEFORE_STALE, UsagePolicy};

/// The options of `reconcile`.
#[derive(Debug, Args)]
pub struct ReconcileOptions {
    /// Dry run or real run.
    #[command(flatten)]
    pub dry_run: DryRunOptions,
    /// Wait until every desired task serves and is healthy in every target group; fail after this time
    #[arg(long, env = "JVB_WATCHER_WAIT_HEALTHY", value_name = "DURATION", value_parser = duration)]
    pub wait_healthy: Option<Duration>,
    /// The bridges.
    #[command(flatten)]
    pub bridges: BridgeOptions,
    /// The platform.
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
    /// The recording.
    #[command(flatten)]
    pub record: RecordOptions,
}

/// The help of `reconcile`.
pub const HELP: Help = Help {
    group: Group::Operate,
    examples: &[
        ("Show what would be registered and deregistered", "jvb-watcher reconcile --project jitsi --dry-run"),
        (
            "Register the tasks, and wait until all are healthy",
            "jvb-watcher reconcile --project jitsi --wait-healthy 5m",
        ),
    ],
    exit_status: &[
        (0, "reconciled"),
        (1, "a call failed, or tasks can't be registered or are not healthy in time"),
        USAGE_ERROR,
    ],
    see_also: &["run", "up", "status"],
};

/// The time between two reconciliations while targets become healthy.
const HEALTH_WAIT: Duration = Duration::from_secs(2);

/// The time limit of the reconciliation that begins at the deadline.
const LAST_RECONCILIATION: Duration = Duration::from_secs(10);

/// Reconciles the targets once, or logs what it would change; then waits until they are healthy, if asked to.
///
/// # Errors
///
/// Returns an error if a call fails, a finding hinders the registration of tasks, or they aren't healthy in time.
pub async fn reconcile(settings: &Settings, options: &ReconcileOptions, log: &Log) -> Result<(), CommandError> {
    let recorder = options.record.start("reconcile")?;
    let sdk = connect_recorded(&settings.connection, log, recorder.as_ref()).await?;
    let policy = Policy {
        service: settings.scope.service.clone(),
        load_balancer: settings.load_balancer.clone(),
        // An operator who registers by hand may be scaling up: the load balancer itself is left alone.
        teardown: Teardown::Off,
        owner_tag: OwnerTag { key: String::new(), value: String::new() },
        idle_grace: Duration::ZERO,
        until_paid_hour: false,
        unused_grace: Duration::ZERO,
        resync_interval: HEALTH_WAIT,
        allow_several_bridges: options.bridges.allow_several_bridges,
        usage: UsagePolicy::OFF,
    };
    let platform = AwsPlatform::new(&sdk);
    let context = Context::new(settings.scope.clone(), log.clone(), platform.clock());
    let mut reconciler = Reconciler::new(ReconcilerParts {
        planner: Arc::new(registrations_only),
        ..ReconcilerParts::new(platform, context, policy)
    });
    if options.dry_run.dry_run {
        let observed = reconciler.observe(&Hints::default()).await?;
        log_plan(&observed.plan, log);
        reconciler.log_findings(&observed.plan.findings, &observed.id);
        reconciler.log_observed(&observed);
        return check_registrations(&observed.plan.findings);
    }
    match options.wait_healthy {
        None => {
            let mut outcome = reconciler.reconcile(&Hints::default()).await?;
            if outcome.unmatched() > 0 {
                // A target without a task is stale once a second observation, some time later, finds none either.
                tokio::time::sleep(UNMATCHED_BEFORE_STALE).await;
                outcome = reconciler.reconcile(&Hints::default()).await?;
            }
            check_registrations(&outcome.findings)
        }
        Some(limit) => wait_healthy(&mut reconciler, limit, log).await,
    }
}

fn log_plan(plan: &Plan, log: &Log) {
    for group in &plan.registrations {
        let log_change = |act, change: &TargetChange| {
            let target = TargetFields::new(&group.target_group, &change.key, change.task.as_ref());
            log.emit(&Event::Planned { act, target, reason: change.reason });
        };
        group.register.iter().for_each(|change| log_change(Act::Register, change));
        group.deregister.iter().for_each(|change| log_change(Act::Deregister, change));
    }
}

/// Fails when a finding prevents the registration of tasks.
fn check_registrations(findings: &[Finding]) -> Result<(), CommandError> {
    match findings.iter().find(|finding| finding.name.hinders_registration()) {
        Some(Finding { name, subject, detail }) => {
            Err(CommandError::Failed(format!("{subject}: {detail}. {}", name.advice())))
        }
        None => Ok(()),
    }
}

/// Reconciles until every desired task serves and is healthy in every group.
async fn wait_healthy(
    reconciler: &mut Reconciler<AwsPlatform>,
    limit: Duration,
    log: &Log,
) -> Result<(), CommandError> {
    let began = Instant::now();
    let deadline = began + limit;
    let hints = Hints::default();
    let mut attempt = 0;
    loop {
        let reconciled = tokio::time::timeout_at(deadline + LAST_RECONCILIATION, reconciler.reconcile(&hints)).await;
        let waiting_for = match reconciled {
            Ok(Ok(outcome)) => match check_registrations(&outcome.findings) {
                Ok(()) if outcome.readiness().is_complete() => {
                    let registered = outcome.readiness().healthy;
                    log.emit(&Event::TargetsHealthy { registered, waited_ms: millis(began.elapsed()) });
                    return Ok(());
                }
                Ok(()) => describe(outcome.readiness()),
                Err(problem) => problem.to_string(),
            },
            Ok(Err(error)) => {
                attempt += 1;
                log.emit(&Event::ReconcileFailed { failure: Failure::new(&error, attempt, HEALTH_WAIT) });
                error.to_string()
            }
            Err(_) => "AWS did not answer in time".to_owned(),
        };
        if Instant::now() >= deadline {
            let limit = humantime::format_duration(limit);
            return Err(CommandError::Failed(format!("not all targets are healthy after {limit}: {waiting_for}")));
        }
        // The last reconciliation begins at the deadline.
        tokio::time::sleep_until((Instant::now() + HEALTH_WAIT).min(deadline)).await;
    }
}

fn describe(readiness: Readiness) -> String {
    let Readiness { desired, serving, wanted, healthy } = readiness;
    format!("{serving} of {desired} task(s) serve, {healthy} of {wanted} target(s) are healthy")
}
