//! `reconcile`: one look, one repair.

use clap::Args;

use super::help::{Group, Help, USAGE_ERROR};
use super::options::values::duration;
use super::options::{DryRunOptions, LogOptions, PlatformOptions};
use super::settings::Settings;
use std::time::Duration;

use tokio::time::Instant;

use super::{CommandError, connect};
use crate::aws::Calls;
use crate::aws::client::AwsPlatform;
use crate::controller::reconcile::{Hints, Reconciler};
use crate::telemetry::log::{Act, Event, Failure, Log, millis};
use jvb_watcher_rules::finding::Finding;
use jvb_watcher_rules::model::Readiness;
use jvb_watcher_rules::plan::{OwnerTag, Plan, Policy, TargetChange, Teardown, UNMATCHED_BEFORE_STALE};

/// The options of `reconcile`.
#[derive(Debug, Args)]
pub struct ReconcileOptions {
    /// The platform.
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// Whether to change anything.
    #[command(flatten)]
    pub dry_run: DryRunOptions,
    /// Wait until every desired task serves and is healthy in every target group; fail after this time
    #[arg(long, env = "JVB_WATCHER_WAIT_HEALTHY", value_name = "DURATION", value_parser = duration)]
    pub wait_healthy: Option<Duration>,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
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

/// How often to look while waiting for targets to become healthy.
const HEALTH_WAIT: Duration = Duration::from_secs(2);

/// The look that the deadline begins has this long to end.
const LAST_LOOK: Duration = Duration::from_secs(10);

/// Looks once and repairs, or says what it would repair; then waits for health, if asked to.
///
/// # Errors
///
/// When a call fails, when something keeps tasks from being registered, or when they aren't healthy in time.
pub async fn reconcile(settings: &Settings, options: &ReconcileOptions, log: &Log) -> Result<(), CommandError> {
    let sdk = connect(settings, log).await?;
    let policy = Policy {
        service: settings.scope.service.clone(),
        load_balancer: settings.load_balancer.clone(),
        // Whoever repairs registrations by hand may be in the middle of a scale-up: the balancer itself is left alone.
        teardown: Teardown::Off,
        owner_tag: OwnerTag { key: String::new(), value: String::new() },
        idle_grace: Duration::ZERO,
        unused_grace: Duration::ZERO,
        resync_interval: HEALTH_WAIT,
    };
    let platform = AwsPlatform::new(&sdk);
    let clock = platform.clock();
    let mut reconciler = Reconciler::new(platform, settings.scope.clone(), policy, log.clone(), clock);
    if options.dry_run.dry_run {
        let look = reconciler.look(&Hints::default()).await?;
        tell_plan(&look.plan, log);
        reconciler.tell_findings(&look.plan.findings);
        reconciler.tell_look(&look);
        return unhindered(&look.plan.findings);
    }
    match options.wait_healthy {
        None => {
            let mut outcome = reconciler.reconcile(&Hints::default(), Calls::default()).await?;
            if outcome.unmatched > 0 {
                // What no task has goes only when a second look, some time later, finds none either.
                tokio::time::sleep(UNMATCHED_BEFORE_STALE).await;
                outcome = reconciler.reconcile(&Hints::default(), Calls::default()).await?;
            }
            unhindered(&outcome.findings)
        }
        Some(limit) => wait_healthy(&mut reconciler, limit, log).await,
    }
}

fn tell_plan(plan: &Plan, log: &Log) {
    for group in &plan.registrations {
        let tell = |act, change: &TargetChange| {
            log.emit(&Event::Planned {
                act,
                target: crate::telemetry::log::TargetFields::new(
                    &group.target_group,
                    &change.key,
                    change.task.as_ref(),
                ),
                reason: change.reason,
            });
        };
        group.register.iter().for_each(|change| tell(Act::Register, change));
        group.deregister.iter().for_each(|change| tell(Act::Deregister, change));
    }
}

/// Fails when something keeps tasks from being registered as they should.
fn unhindered(findings: &[Finding]) -> Result<(), CommandError> {
    match findings.iter().find(|finding| finding.name.hinders_registration()) {
        Some(Finding { name, subject, detail }) => {
            Err(CommandError::Failed(format!("{subject}: {detail}. {}", name.advice())))
        }
        None => Ok(()),
    }
}

/// Repairs again and again until every desired task serves and is healthy in every group.
async fn wait_healthy(
    reconciler: &mut Reconciler<AwsPlatform>,
    limit: Duration,
    log: &Log,
) -> Result<(), CommandError> {
    let began = Instant::now();
    let deadline = began + limit;
    let mut attempt = 0;
    // There is no queue here.
    let calls = Calls::default();
    loop {
        let waiting_for =
            match tokio::time::timeout_at(deadline + LAST_LOOK, reconciler.reconcile(&Hints::default(), calls)).await {
                Ok(Ok(outcome)) => match unhindered(&outcome.findings) {
                    Ok(()) if outcome.readiness.is_complete() => {
                        let registered = outcome.readiness.healthy;
                        log.emit(&Event::TargetsHealthy { registered, waited_ms: millis(began.elapsed()) });
                        return Ok(());
                    }
                    Ok(()) => progress(outcome.readiness),
                    Err(hindrance) => hindrance.to_string(),
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
        // The last look is at the deadline itself.
        tokio::time::sleep_until((Instant::now() + HEALTH_WAIT).min(deadline)).await;
    }
}

fn progress(readiness: Readiness) -> String {
    let Readiness { desired, serving, wanted, healthy } = readiness;
    format!("{serving} of {desired} task(s) serve, {healthy} of {wanted} target(s) are healthy")
}
