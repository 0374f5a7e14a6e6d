//! The checks of `doctor`: from what was read of AWS to one result a check, with the remedy.
//!
//! Every check is always in the result: one that could not be made is [`CheckResult::Skipped`], never left out.

use jiff::SignedDuration;
use serde::Serialize;

use crate::aws::AwsError;
use crate::aws::diagnostics::{Caller, DeletionProtection, RuleTarget, TaskNetwork};
use crate::aws::event_source::QueueDescription;
use crate::controller::scope::Scope;
use crate::event_source::EventSourceState;
use jvb_watcher_rules::model::LoadBalancer;
use jvb_watcher_rules::plan::OwnerTag;

mod credentials;
pub mod fleet;
mod load_balancer;
mod permissions;
mod queue;
mod rule;
mod service;
mod text;

pub use permissions::{NOT_PROBED, ProbeResult, ProbedResources, probes};
pub use text::text;

/// One check: its subject, its result, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The name.
    pub check: &'static str,
    /// The result.
    pub result: CheckResult,
    /// The observation that the result rests on, as a clause.
    pub detail: String,
    /// The remedy, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// Nothing is wrong.
    Ok,
    /// The watcher works, but the operator should know of this.
    Warning,
    /// The watcher doesn't work, or not fully.
    Failed,
    /// The check could not be made, or there is nothing to check.
    Skipped,
}

impl CheckResult {
    /// All results.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Failed, Self::Skipped];

    /// Returns the result's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Check {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, result: CheckResult::Ok, detail: detail.into(), advice: None }
    }

    fn warning(check: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, result: CheckResult::Warning, detail: detail.into(), advice: Some(advice.into()) }
    }

    fn failed(check: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, result: CheckResult::Failed, detail: detail.into(), advice: Some(advice.into()) }
    }

    /// A check with nothing to check, e.g. of a load balancer that doesn't exist.
    fn skipped(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, result: CheckResult::Skipped, detail: detail.into(), advice: None }
    }

    /// A check whose call failed. The worker makes this call too, so it doesn't work either.
    fn call_failed(check: &'static str, error: &AwsError) -> Self {
        Self::failed(check, error.to_string(), advice_on(error))
    }

    /// A cluster whose services could not be discovered.
    pub fn unread_cluster(cluster: &str, error: &AwsError) -> Self {
        Self::failed("discovery", format!("cluster {cluster}: {error}"), advice_on(error))
    }

    /// A list without any service.
    pub fn no_service() -> Self {
        Self::failed(
            "discovery",
            "no service is watched",
            "Give a service the tag jvb-watcher:load-balancer, or correct --discover or --cluster.",
        )
    }

    /// A service whose tags keep it from being watched.
    pub fn not_watched(detail: String, advice: &str) -> Self {
        Self::failed("discovery", detail, advice)
    }

    /// A check whose call failed. Only `doctor` makes this call, so the error says nothing about the worker.
    fn not_checked(check: &'static str, error: &AwsError) -> Self {
        Self { advice: Some(advice_on(error)), ..Self::skipped(check, error.to_string()) }
    }
}

/// Returns the remedy for a failed call.
fn advice_on(error: &AwsError) -> String {
    use crate::aws::ErrorKind;
    match error.kind {
        ErrorKind::AccessDenied => format!("Allow the action {} on it.", error.iam_action()),
        ErrorKind::Unauthenticated => "Renew the credentials (aws sso login), or correct --profile.".to_owned(),
        // The error of a connection names the options to check.
        ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::StaleObservation => "Try again.".to_owned(),
        _ => "Check --region, the account, and the names.".to_owned(),
    }
}

/// The data that the checks judge; where a read failed, its error.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// What it has in common with other services.
    pub shared: SharedEvidence<'a>,
    /// The cluster and the service.
    pub scope: &'a Scope,
    /// The load balancer's name.
    pub load_balancer_name: &'a str,
    /// The tag that a load balancer must carry to be deleted.
    pub owner_tag: &'a OwnerTag,
    /// The network mode of the service's tasks; `None` if the service doesn't exist.
    pub task_network: Result<Option<TaskNetwork>, AwsError>,
    /// The load balancer with its target groups; `None` if it doesn't exist.
    pub load_balancer: Result<Option<LoadBalancer>, AwsError>,
    /// The load balancer's deletion protection, if the load balancer exists.
    pub deletion_protection: Option<Result<DeletionProtection, AwsError>>,
    /// The permission probes that were made.
    pub probes: Vec<ProbeResult>,
}

/// The part of the evidence that services with one queue share.
#[derive(Debug)]
pub struct SharedEvidence<'a> {
    /// The queue's name or URL, as configured.
    pub queue_option: &'a str,
    /// The identity of the credentials.
    pub caller: Result<Caller, AwsError>,
    /// The time by which AWS's clock is ahead of this machine's; `None` if AWS has answered no call.
    pub clock_ahead: Option<SignedDuration>,
    /// The queue and the rules that fill it.
    pub event_source: Result<EventSourceState, AwsError>,
    /// The queue, where the rules could not be read.
    pub queue: Option<QueueDescription>,
    /// The dead-letter queue, if the queue has a redrive policy.
    pub dead_letter_queue: Option<Result<Option<QueueDescription>, AwsError>>,
    /// The targets of each rule.
    pub rule_targets: Vec<RuleTargets>,
}

/// The targets of a rule.
#[derive(Debug)]
pub struct RuleTargets {
    /// The rule's name.
    pub rule: String,
    /// The targets.
    pub targets: Result<Vec<RuleTarget>, AwsError>,
}

/// The numbers of checks by their results.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Tally {
    /// True if no check failed.
    pub wired_up: bool,
    /// The number of checks without a fault.
    pub ok: usize,
    /// The number of failed checks.
    pub failed: usize,
    /// The number of warnings.
    pub warnings: usize,
    /// The number of checks that could not be made.
    pub skipped: usize,
}

impl Tally {
    /// Counts the results of checks.
    pub fn of<'c>(checks: impl Iterator<Item = &'c Check> + Clone) -> Self {
        let count = |result| checks.clone().filter(|check| check.result == result).count();
        let failed = count(CheckResult::Failed);
        Self {
            wired_up: failed == 0,
            ok: count(CheckResult::Ok),
            failed,
            warnings: count(CheckResult::Warning),
            skipped: count(CheckResult::Skipped),
        }
    }
}

/// The results of all checks.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// Their numbers.
    #[serde(flatten)]
    pub tally: Tally,
    /// The checks. Each follows those that it depends on.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Makes the checks.
    pub fn new(evidence: &Evidence<'_>) -> Self {
        let mut checks = shared_checks(&evidence.shared, Some(&evidence.scope.service));
        checks.extend(service::checks(evidence));
        checks.extend(load_balancer::checks(evidence));
        checks.extend(permissions::checks(&evidence.probes));
        Self { tally: Tally::of(checks.iter()), checks }
    }
}

/// Makes the checks of what services share: the credentials, the clock, the queue and its rules; and whether the rules match
/// the events of a service, if there is one.
pub fn shared_checks(evidence: &SharedEvidence<'_>, service: Option<&str>) -> Vec<Check> {
    let mut checks = vec![credentials::credentials(&evidence.caller), credentials::clock(evidence.clock_ahead)];
    checks.extend(queue::checks(evidence));
    checks.extend(rule::checks(evidence, service));
    checks
}

#[cfg(test)]
mod tests;
