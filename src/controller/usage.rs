//! The use of the load balancer: asks CloudWatch at most once a minute, and remembers the answer.
//!
//! Unknown usage changes nothing but what rests on usage: a read that fails or takes too long leaves minutes unknown, and
//! the reconciliation goes on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::aws::AwsError;
use crate::aws::operation::ApiOperation;
use crate::aws::usage::{FlowQuery, Usage};
use crate::clock::Moment;
use crate::controller::context::Context;
use crate::telemetry::log::{Event, Failure};
use jvb_watcher_rules::bounds::Bounds;
use jvb_watcher_rules::finding::FindingName;
use jvb_watcher_rules::model::{
    FlowHistory, FlowProblem, LoadBalancer, LoadBalancerKind, LoadBalancerState, MINUTE, TargetGroup, TargetType,
    minute_of,
};
use jvb_watcher_rules::plan::{CLOUDWATCH_LAG, Policy};

/// The time between two questions: a little less than the minute between two reconciliations, whose ticks may come early.
/// CloudWatch has a new data point each minute.
const ASK_EVERY: Duration = Duration::from_secs(55);

/// The time limit of a question, beside which the other reads of an observation wait.
const READ_LIMIT: Duration = Duration::from_secs(3);

/// The history that is read beyond what a stop needs. `status` and the metric `UnusedSeconds` show since when the load
/// balancer has been unused, as far back as this; the alarm of terraform/modules/watcher rests on it.
const HISTORY: Duration = Duration::from_secs(60 * 60);

/// Whether a remembered answer is good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// An answer of the last minute is.
    Remembered,
    /// CloudWatch is asked again: a write follows.
    Fresh,
}

/// What is remembered from one observation to the next.
#[derive(Default)]
pub struct UsageCache(Mutex<Option<Cached>>);

struct Cached {
    load_balancer_arn: String,
    asked_at: Moment,
    history: FlowHistory,
}

impl UsageCache {
    fn lock(&self) -> MutexGuard<'_, Option<Cached>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the flows over the load balancer; `None` where they don't matter: the policy doesn't ask for them, or the
    /// load balancer has no target yet.
    pub async fn flows<U: Usage>(
        &self,
        platform: &U,
        load_balancer: &LoadBalancer,
        policy: &Policy,
        freshness: Freshness,
        context: &Context,
    ) -> Option<FlowHistory> {
        let has_target = load_balancer.target_groups.iter().any(|group| !group.targets.is_empty());
        let carries_flows = load_balancer.kind == LoadBalancerKind::Network
            && !matches!(load_balancer.state, LoadBalancerState::Provisioning | LoadBalancerState::Failed);
        if !policy.usage.observe || !has_target || !carries_flows {
            return None;
        }
        if freshness == Freshness::Remembered
            && let Some(history) = self.remembered(&load_balancer.arn, context)
        {
            return Some(history);
        }
        let query = query(load_balancer, policy, context.clock.now());
        let answer = match tokio::time::timeout(READ_LIMIT, platform.flows(&query)).await {
            Ok(answer) => answer,
            Err(_) => Err(AwsError::too_slow(ApiOperation::GetMetricData, &load_balancer.arn, READ_LIMIT)),
        };
        let history = match answer {
            Ok(minutes) => FlowHistory { minutes, problem: None },
            Err(error) => self.failed(&error, &load_balancer.arn, context),
        };
        let asked_at = Moment::now(&*context.clock);
        *self.lock() =
            Some(Cached { load_balancer_arn: load_balancer.arn.clone(), asked_at, history: history.clone() });
        Some(history)
    }

    /// Returns the answer of the last minute about this load balancer.
    fn remembered(&self, load_balancer_arn: &str, context: &Context) -> Option<FlowHistory> {
        let cached = self.lock();
        let cached = cached.as_ref().filter(|cached| cached.load_balancer_arn == load_balancer_arn)?;
        (cached.asked_at.elapsed(&*context.clock) < ASK_EVERY).then(|| cached.history.clone())
    }

    /// Returns what is known without an answer: the minutes of the last one. Logs the first of several failures.
    fn failed(&self, error: &AwsError, load_balancer_arn: &str, context: &Context) -> FlowHistory {
        let earlier = self.lock().take().filter(|cached| cached.load_balancer_arn == load_balancer_arn);
        let earlier = earlier.map(|cached| cached.history).unwrap_or_default();
        if earlier.problem.is_none() {
            let failure = Failure::new(error, 1, ASK_EVERY);
            context.log.emit(&Event::FindingCheckFailed { finding: FindingName::UsageUnknown, failure });
        }
        let problem = FlowProblem { reason: error.with_remedy(), is_permanent: !error.kind.is_transient() };
        FlowHistory { problem: Some(problem), ..earlier }
    }
}

/// Returns the question: the minutes that a rule can need.
fn query(load_balancer: &LoadBalancer, policy: &Policy, now: Timestamp) -> FlowQuery {
    // A stop that exceeds its bound shows only in a longer history; one that is interrupted has the bound twice.
    let stop = policy.usage.stop.zip(Bounds::new(policy).stop);
    let needed = stop.map_or(Duration::ZERO, |(stop, bound)| (2 * bound).max(stop.first_call_grace + stop.notice));
    let history = needed + HISTORY + CLOUDWATCH_LAG + 2 * MINUTE;
    let is_of_addresses = |group: &&TargetGroup| matches!(group.target_type, TargetType::Ip { .. });
    let groups = || load_balancer.target_groups.iter().filter(is_of_addresses);
    let takes_udp = groups().any(|group| group.protocol.takes_udp());
    FlowQuery {
        load_balancer_arn: load_balancer.arn.clone(),
        // The bridge's own: a caller who can't reach it has no call.
        target_group_arns: groups()
            .filter(|group| !takes_udp || group.protocol.takes_udp())
            .map(|group| group.arn.clone())
            .collect(),
        protocols: policy.usage.protocols_of(load_balancer),
        from: minute_of((now - history).max(load_balancer.created_at)),
        until: minute_of(now) + MINUTE,
    }
}
