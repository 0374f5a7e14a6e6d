//! Is the watcher wired up? From what was read to one line a check: what is so, and what to do.

use jiff::SignedDuration;
use serde::Serialize;

use crate::aws::AwsError;
use crate::aws::event_source::{Caller, DeletionProtection, QueueDescription, RuleTarget, TaskNetwork};
use crate::controller::reconcile::Scope;
use crate::event_source::Feed;
use jvb_watcher_rules::model::LoadBalancer;
use jvb_watcher_rules::plan::OwnerTag;

mod balancer;
mod credentials;
mod permissions;
mod queue;
mod rule;
mod service;
mod text;

pub use permissions::{Attempt, UNTRIED, trials};
pub use text::text;

/// One check: what it is about, how that does, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name.
    pub check: &'static str,
    /// How it does.
    pub result: CheckResult,
    /// What was seen, in a sentence.
    pub detail: String,
    /// What to do about it, where there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How a check does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// As it should.
    Ok,
    /// The watcher works; a person should know, or look for themselves at what could not be checked.
    Warning,
    /// The watcher doesn't work, or not as it should.
    Failed,
}

impl CheckResult {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
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

    /// A call that `run` needs as well has failed.
    fn call_failed(check: &'static str, error: &AwsError) -> Self {
        Self::failed(check, error.to_string(), advice_on(error))
    }

    /// A call that only this check makes has failed: that says nothing of the watcher.
    fn not_checked(check: &'static str, error: &AwsError) -> Self {
        Self::warning(check, format!("not checked: {error}"), advice_on(error))
    }
}

/// What to do about a call that failed.
fn advice_on(error: &AwsError) -> String {
    use crate::aws::ErrorKind;
    match error.kind {
        ErrorKind::AccessDenied => format!("Allow the action {}:{} on it.", error.service, error.operation),
        ErrorKind::Unauthenticated => "Renew the credentials (aws sso login), or mend --profile.".to_owned(),
        ErrorKind::Throttled | ErrorKind::Unavailable => "Try again; check the network and --endpoint-url.".to_owned(),
        _ => "Check --region, the account, and the names.".to_owned(),
    }
}

/// All that was read; what could not be is the error that it met.
#[derive(Debug)]
pub struct Sight<'a> {
    /// The cluster and the service.
    pub scope: &'a Scope,
    /// The queue's name or URL, as configured.
    pub queue_option: &'a str,
    /// The load balancer's name.
    pub load_balancer_name: &'a str,
    /// The tag without which a balancer is never deleted.
    pub owner_tag: &'a OwnerTag,
    /// Whose the credentials are.
    pub caller: Result<Caller, AwsError>,
    /// How far AWS's clock is ahead of this machine's.
    pub clock_ahead: SignedDuration,
    /// The queue and the rules that fill it.
    pub feed: Result<Feed, AwsError>,
    /// The queue, where the rules could not be read.
    pub queue: Option<QueueDescription>,
    /// The dead-letter queue, if the queue names one.
    pub dead_letter_queue: Option<Result<Option<QueueDescription>, AwsError>>,
    /// The targets of each rule, by the rule's name.
    pub rule_targets: Vec<(String, Result<Vec<RuleTarget>, AwsError>)>,
    /// How the service's tasks are connected, if it is there.
    pub task_network: Result<Option<TaskNetwork>, AwsError>,
    /// The load balancer with its groups, if it is there.
    pub load_balancer: Result<Option<LoadBalancer>, AwsError>,
    /// Whether it is protected against deletion, if it is there.
    pub deletion_protection: Option<Result<DeletionProtection, AwsError>>,
    /// The calls of `run` that were tried without effect.
    pub attempts: Vec<Attempt>,
}

/// What the checks came to.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// Whether none failed.
    pub wired_up: bool,
    /// How many failed.
    pub failed: usize,
    /// How many are warnings.
    pub warnings: usize,
    /// The checks, in the order in which things depend on one another.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Judges what was read.
    pub fn new(sight: &Sight<'_>) -> Self {
        let mut checks = vec![credentials::credentials(&sight.caller), credentials::clock(sight.clock_ahead)];
        checks.extend(queue::checks(sight));
        checks.extend(rule::checks(sight));
        checks.extend(service::checks(sight));
        checks.extend(balancer::checks(sight));
        checks.extend(permissions::checks(&sight.attempts));
        let count = |result| checks.iter().filter(|check| check.result == result).count();
        let (failed, warnings) = (count(CheckResult::Failed), count(CheckResult::Warning));
        Self { wired_up: failed == 0, failed, warnings, checks }
    }
}

#[cfg(test)]
mod tests;
