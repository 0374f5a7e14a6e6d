//! The callers that `down` would cut off: whether there are any, and the response to them.

use std::time::Duration;

use tokio::time::Instant;

use super::context::{Context, Grace};
use super::failure::OperationError;
use crate::aws::{AwsError, ControllerPlatform};
use crate::controller::message::Hints;
use crate::controller::reconciler::Reconciler;
use jvb_watcher_rules::current_use::{CurrentUse, RecentUse, UNUSED_MINUTES, UnknownUse};
use jvb_watcher_rules::model::Observation;
use jvb_watcher_rules::plan::{Teardown, UsagePolicy};

/// The time between two observations while callers are waited for. CloudWatch has a new data point each minute.
const OBSERVE_EVERY: Duration = Duration::from_secs(30);

/// The time for which a CloudWatch that fails is asked again before the use counts as unknown.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// The response to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPolicy {
    /// Cut them off, and don't ask whether there are any.
    CutOff,
    /// Fail while there are any, or may be.
    Respect,
    /// Wait until there are none, but no longer than this.
    AwaitEnd(Duration),
}

/// What follows from the present use of the load balancer.
pub(super) enum Verdict {
    /// There can be no call: why.
    NoCall(String),
    /// It is unused: since when.
    Unused(String),
    /// CloudWatch fails, and is asked again.
    Unread(String),
    /// It is used, or may be; the operation waits for the end.
    Wait(String),
}

/// Tells whether the load balancer is in use.
pub(super) struct Callers<P> {
    pub(super) policy: CallPolicy,
    usage: UsagePolicy,
    observer: Reconciler<P>,
    /// The time of the first of the reads that have failed one after the other.
    unread_since: Option<Instant>,
    /// The time at which the wait began.
    waiting_since: Option<Instant>,
    /// The time of the last observation in the wait, and what it waits for.
    last: Option<(Instant, String)>,
}

impl<P: ControllerPlatform + Clone> Callers<P> {
    pub(super) fn new(context: &Context<P>, policy: CallPolicy, usage: UsagePolicy) -> Self {
        let grace = Grace { idle: Duration::ZERO, unused: Duration::ZERO };
        let usage = UsagePolicy { stop: None, ..usage };
        Self {
            policy,
            usage,
            observer: context.reconciler(Teardown::Off, grace, usage),
            unread_since: None,
            waiting_since: None,
            last: None,
        }
    }

    /// Observes the service, the load balancer and its use.
    pub(super) async fn observe(&self) -> Result<Observation, AwsError> {
        // A failed read is remembered, too.
        match self.unread_since {
            Some(_) => self.observe_fresh().await,
            None => Ok(self.observer.observe(&Hints::default()).await?.observation),
        }
    }

    /// Observes them, and asks CloudWatch even if it has answered a moment ago.
    pub(super) async fn observe_fresh(&self) -> Result<Observation, AwsError> {
        Ok(self.observer.observe_fresh(&Hints::default()).await?.observation)
    }

    /// Returns what the operation waits for, if the last observation is recent.
    pub(super) fn recently_awaited(&self) -> Option<String> {
        let (at, awaited) = self.last.as_ref()?;
        (at.elapsed() < OBSERVE_EVERY).then(|| awaited.clone())
    }

    /// Judges an observation.
    ///
    /// # Errors
    ///
    /// [`OperationError::InUse`] if callers are respected and there are some, or may be; [`OperationError::UseUnreadable`] if
    /// waiting can't tell; [`OperationError::TimedOut`] if they have been waited for long enough.
    pub(super) fn judge(&mut self, observation: &Observation, context: &Context<P>) -> Result<Verdict, OperationError> {
        let found = CurrentUse::of(observation, &self.usage, context.now());
        let is_unread = matches!(found, CurrentUse::Unknown(UnknownUse::NotRead { is_permanent: false, .. }));
        let unread_since = self.unread_since.take().filter(|_| is_unread).unwrap_or_else(Instant::now);
        self.unread_since = is_unread.then_some(unread_since);
        let name = &context.load_balancer;
        let sentence = sentence(&found, name);
        match (&found, self.policy) {
            (CurrentUse::NoCall(_), _) => Ok(Verdict::NoCall(sentence)),
            (CurrentUse::Unused { .. }, _) => Ok(Verdict::Unused(sentence)),
            _ if is_unread && unread_since.elapsed() < READ_LIMIT => Ok(Verdict::Unread(sentence)),
            (CurrentUse::Unknown(unknown), _) if unknown.is_permanent() => {
                let remedy = match unknown {
                    UnknownUse::NotAsked => "leave out --no-usage",
                    _ => "remove the cause, as a rule the missing permission cloudwatch:GetMetricData,",
                };
                Err(OperationError::UseUnreadable { reason: sentence, remedy })
            }
            (_, CallPolicy::AwaitEnd(limit)) => {
                let began = *self.waiting_since.get_or_insert_with(Instant::now);
                if began.elapsed() >= limit {
                    return Err(OperationError::TimedOut { limit, waiting_for: sentence });
                }
                self.last = Some((Instant::now(), sentence.clone()));
                Ok(Verdict::Wait(sentence))
            }
            (_, CallPolicy::Respect | CallPolicy::CutOff) => Err(OperationError::InUse(sentence)),
        }
    }
}

/// Describes the use of a load balancer.
fn sentence(found: &CurrentUse, name: &str) -> String {
    match found {
        CurrentUse::NoCall(reason) => format!("no call is possible: {}", reason.as_str()),
        CurrentUse::Unused { since } => format!("{name} has been unused since {since:.0}"),
        CurrentUse::InUse(RecentUse { minute, flows, since }) => format!(
            "load balancer {name} is in use: {flows} flow(s) in the minute {minute:.0}, in use since {since:.0}; it counts \
             as unused after {UNUSED_MINUTES} known minutes without use"
        ),
        CurrentUse::Unknown(unknown) => {
            format!("the use of load balancer {name} is unknown, which counts as in use: {unknown}")
        }
    }
}
