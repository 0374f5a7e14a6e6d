//! Liveness and readiness: what `/healthz` and `/readyz` report.
//!
//! Failures of AWS don't make a worker unhealthy: it retries, and a restart wouldn't help. A worker is unhealthy when its
//! loop, or one of the activities in progress, has taken longer than it can take.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::aws::{AwsError, LONGEST_CALL};

/// The longest reconciliation, with every call at its limit: two observations of five calls in a row and six seconds of
/// waiting for a task's version, the deletion, and the writes for half a dozen groups take a little over eight minutes.
const LONGEST_RECONCILIATION: Duration = Duration::from_secs(10 * 60);

/// Tolerates a machine that is busy or suspended for a moment.
const SLACK: Duration = Duration::from_secs(30);

/// The most by which the last success may be older than the resync interval: a failed poll (50 s), a round of receiving
/// (35 s) and one of deleting (20 s) may precede the reconciliation.
const SUCCESS_OVERDUE_AFTER: Duration = Duration::from_secs(2 * 60);

/// An activity of the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Looks up credentials and the queue.
    Starting,
    /// Reads the services of this cluster: a call, or the pages of a list.
    Discovering(String),
    /// Waits for messages, at most this long, and receives them.
    Receiving(Duration),
    /// Deletes messages, for at most this long.
    Deleting(Duration),
    /// Reconciles this service.
    Reconciling(String),
    /// Waits this long for the next thing to do.
    Waiting(Duration),
}

impl Activity {
    /// The longest time that the activity can take.
    fn limit(&self) -> Duration {
        SLACK
            + match *self {
                // The credentials have fifteen seconds, the queue ten.
                Self::Starting => SLACK,
                // A cluster has at most some thousand services, and a page of the list a hundred.
                Self::Discovering(_) => 10 * LONGEST_CALL,
                // The queue's URL may have to be looked up first.
                Self::Receiving(wait) => wait + 2 * LONGEST_CALL,
                Self::Deleting(limit) => limit,
                Self::Reconciling(_) => LONGEST_RECONCILIATION,
                Self::Waiting(wait) => wait,
            }
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Discovering(cluster) => write!(f, "reading the services of cluster {cluster}"),
            Self::Receiving(_) => f.write_str("receiving messages"),
            Self::Deleting(_) => f.write_str("deleting messages"),
            Self::Reconciling(service) => write!(f, "reconciling {service}"),
            Self::Waiting(_) => f.write_str("waiting for the next attempt"),
        }
    }
}

/// The reason, in one line, why a probe fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhealthy(pub String);

/// The state that the worker reports and probes read. Clones share it.
#[derive(Clone, Debug)]
pub struct Liveness {
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct State {
    /// The age at which the last success is too old.
    success_valid_for: Duration,
    /// What the worker's loop does.
    turn: Begun,
    /// What is in progress beside it.
    in_progress: BTreeMap<u64, Begun>,
    /// The number of activities that have been in progress.
    count: u64,
    services: Services,
    /// The time of the last reconciliation that succeeded.
    succeeded: Option<Instant>,
    /// The error of the last reconciliation, unless it succeeded.
    failure: Option<AwsError>,
}

/// An activity, and when it began.
#[derive(Debug)]
struct Begun {
    activity: Activity,
    since: Instant,
}

impl Begun {
    fn now(activity: Activity) -> Self {
        Self { activity, since: Instant::now() }
    }

    fn check(&self) -> Result<(), Unhealthy> {
        let (elapsed, limit) = (self.since.elapsed(), self.activity.limit());
        if elapsed <= limit {
            return Ok(());
        }
        let (activity, elapsed, limit) = (&self.activity, elapsed.as_secs(), limit.as_secs());
        Err(Unhealthy(format!("the worker has been {activity} for {elapsed} s; the limit is {limit} s")))
    }
}

/// The services of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// The number of services.
    pub all: usize,
    /// The number of those that have not been reconciled, nor failed, since the start.
    pub untried: usize,
    /// The name of one of these.
    pub first_untried: Option<String>,
}

/// An activity in progress; dropping it ends it.
#[derive(Debug)]
#[must_use]
pub struct InProgress {
    state: watch::Sender<State>,
    number: u64,
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.state.send_modify(|state| drop(state.in_progress.remove(&self.number)));
    }
}

impl Liveness {
    /// The liveness of a worker that starts with one service, and that will reconcile at least this often.
    pub fn new(resync_interval: Duration) -> Self {
        let state = State {
            success_valid_for: resync_interval + SUCCESS_OVERDUE_AFTER,
            turn: Begun::now(Activity::Starting),
            in_progress: BTreeMap::new(),
            count: 0,
            services: Services { all: 1, untried: 1, first_untried: None },
            succeeded: None,
            failure: None,
        };
        Self { state: watch::Sender::new(state) }
    }

    /// Records that the services have changed, and that one of them will be reconciled at least this often.
    pub fn set_resync_interval(&self, resync_interval: Duration) {
        self.state.send_modify(|state| state.success_valid_for = resync_interval + SUCCESS_OVERDUE_AFTER);
    }

    /// Records that the worker's loop begins an activity.
    pub fn begin(&self, activity: Activity) {
        self.state.send_modify(|state| state.turn = Begun::now(activity));
    }

    /// Records an activity beside the loop, which lasts until the returned value is dropped.
    pub fn track(&self, activity: Activity) -> InProgress {
        let mut number = 0;
        self.state.send_modify(|state| {
            state.count += 1;
            number = state.count;
            state.in_progress.insert(number, Begun::now(activity));
        });
        InProgress { state: self.state.clone(), number }
    }

    /// Records the worker's services.
    pub fn set_services(&self, services: Services) {
        self.state.send_if_modified(|state| {
            let is_changed = state.services != services;
            state.services = services;
            is_changed
        });
    }

    /// Records a reconciliation that succeeded.
    pub fn succeeded(&self) {
        self.state.send_modify(|state| {
            state.succeeded = Some(Instant::now());
            state.failure = None;
        });
    }

    /// Records a reconciliation that failed.
    pub fn failed(&self, error: &AwsError) {
        self.state.send_modify(|state| state.failure = Some(error.clone()));
    }

    /// Checks that the worker's loop and the activities in progress end in time.
    ///
    /// # Errors
    ///
    /// The activity that takes too long.
    pub fn live(&self) -> Result<(), Unhealthy> {
        let state = self.state.borrow();
        std::iter::once(&state.turn).chain(state.in_progress.values()).try_for_each(Begun::check)
    }

    /// Checks that a reconciliation has succeeded recently. The only service of a worker must not have failed since with a
    /// permanent error; of several, each must have been tried once: one that fails is no reason to replace the worker of
    /// the others.
    ///
    /// # Errors
    ///
    /// The age of the last success, the error, or the number of services that have not been tried.
    pub fn ready(&self) -> Result<(), Unhealthy> {
        let state = self.state.borrow();
        let Services { all, untried, ref first_untried } = state.services;
        if all == 0 {
            return Ok(());
        }
        if all > 1 && untried > 0 {
            let named = match (first_untried, untried) {
                (Some(name), 1) => format!(": {name}"),
                (Some(name), _) => format!(": {name} and others"),
                (None, _) => String::new(),
            };
            let have = if untried == 1 { "has" } else { "have" };
            return Err(Unhealthy(format!("{untried} of {all} services {have} not been reconciled yet{named}")));
        }
        let permanent = state.failure.as_ref().filter(|failure| all == 1 && !failure.kind.is_transient());
        let why = match (state.succeeded, permanent) {
            (_, Some(failure)) => {
                return Err(Unhealthy::on_one_line(&format!("the last reconciliation failed: {failure}")));
            }
            (Some(succeeded), None) if succeeded.elapsed() <= state.success_valid_for => return Ok(()),
            (Some(succeeded), None) => {
                format!("no reconciliation has succeeded for {} s", succeeded.elapsed().as_secs())
            }
            (None, None) => "no reconciliation has succeeded yet".to_owned(),
        };
        Err(match &state.failure {
            Some(failure) => Unhealthy::on_one_line(&format!("{why}; the last one failed: {failure}")),
            None => Unhealthy(why),
        })
    }
}

impl Unhealthy {
    /// Replaces line breaks, which AWS's messages may contain.
    fn on_one_line(text: &str) -> Self {
        Self(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::ErrorKind;

    fn error(kind: ErrorKind) -> AwsError {
        AwsError {
            kind,
            service: "ecs",
            operation: "DescribeServices",
            resource: "p-service".into(),
            code: None,
            message: "first line\nsecond line".into(),
            request_id: None,
        }
    }

    fn liveness() -> Liveness {
        Liveness::new(Duration::from_secs(60))
    }

    #[tokio::test(start_paused = true)]
    async fn is_live_until_an_activity_exceeds_its_limit() {
        for (activity, limit) in [
            (Activity::Starting, 60),
            (Activity::Discovering("p-cluster".into()), 330),
            (Activity::Receiving(Duration::from_secs(20)), 110),
            (Activity::Deleting(Duration::from_secs(20)), 50),
            (Activity::Reconciling("p-service".into()), 630),
            (Activity::Waiting(Duration::from_secs(60)), 90),
        ] {
            let liveness = liveness();
            liveness.begin(activity.clone());
            tokio::time::sleep(Duration::from_secs(limit)).await;
            assert_eq!(liveness.live(), Ok(()), "{activity:?}");
            tokio::time::sleep(Duration::from_secs(1)).await;
            let Unhealthy(why) = liveness.live().expect_err("too long");
            assert!(why.contains(&format!("{activity} for {} s", limit + 1)), "{why}");
            liveness.begin(activity.clone());
            assert_eq!(liveness.live(), Ok(()), "the next activity begins");
            let in_progress = liveness.track(activity.clone());
            tokio::time::sleep(Duration::from_secs(limit + 1)).await;
            liveness.begin(Activity::Waiting(Duration::ZERO));
            let Unhealthy(why) = liveness.live().expect_err("too long, beside the loop");
            assert!(why.contains(&activity.to_string()), "{why}");
            drop(in_progress);
            assert_eq!(liveness.live(), Ok(()), "it has ended");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn is_ready_after_a_success_and_while_it_is_recent() {
        let liveness = liveness();
        assert_eq!(liveness.ready(), Err(Unhealthy("no reconciliation has succeeded yet".into())));
        liveness.failed(&error(ErrorKind::Unavailable));
        let Unhealthy(why) = liveness.ready().expect_err("not ready");
        assert!(
            why.starts_with("no reconciliation has succeeded yet; ") && why.ends_with("first line second line"),
            "{why}"
        );
        liveness.succeeded();
        assert_eq!(liveness.ready(), Ok(()));
        tokio::time::sleep(Duration::from_secs(180)).await;
        assert_eq!(liveness.ready(), Ok(()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(liveness.ready(), Err(Unhealthy("no reconciliation has succeeded for 181 s".into())));
        liveness.set_resync_interval(Duration::from_secs(120));
        assert_eq!(liveness.ready(), Ok(()), "a service with a longer interval has come");
    }

    #[tokio::test(start_paused = true)]
    async fn is_ready_with_several_services_once_each_was_tried_and_one_succeeds() {
        let liveness = liveness();
        let services =
            |all, untried, first: Option<&str>| Services { all, untried, first_untried: first.map(Into::into) };
        liveness.succeeded();
        for (untried, have, which) in [(2, "have", "meet and others"), (1, "has", "meet")] {
            liveness.set_services(services(3, untried, Some("meet")));
            let why = format!("{untried} of 3 services {have} not been reconciled yet: {which}");
            assert_eq!(liveness.ready(), Err(Unhealthy(why)));
        }
        liveness.set_services(services(3, 0, None));
        liveness.failed(&error(ErrorKind::AccessDenied));
        assert_eq!(liveness.ready(), Ok(()), "the others are reconciled");
        tokio::time::sleep(Duration::from_secs(181)).await;
        let Unhealthy(why) = liveness.ready().expect_err("none succeeds");
        assert!(why.starts_with("no reconciliation has succeeded for 181 s; the last one failed"), "{why}");
        liveness.set_services(services(0, 0, None));
        assert_eq!(liveness.ready(), Ok(()), "nothing is to be reconciled");
    }

    #[test]
    fn stays_ready_after_a_transient_error_and_not_after_a_permanent_one() {
        let liveness = liveness();
        liveness.succeeded();
        liveness.failed(&error(ErrorKind::Throttled));
        assert_eq!(liveness.ready(), Ok(()));
        liveness.failed(&error(ErrorKind::AccessDenied));
        let Unhealthy(why) = liveness.ready().expect_err("not ready");
        assert!(why.contains("ecs:DescribeServices on p-service"), "{why}");
        liveness.succeeded();
        assert_eq!(liveness.ready(), Ok(()));
    }
}
