//! The worker's liveness: what it does and how long that may take, for whoever asks whether it lives.
//!
//! While AWS fails the worker tries again, and is healthy: to restart it would mend nothing. What isn't healthy is a
//! worker that has been at one thing for longer than that thing can take.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::aws::{AwsError, LONGEST_CALL};

/// A look and its repair, with every call at its limit: two looks of five calls in a row and six seconds of waiting for
/// a task's version, the deletion, and the writes for half a dozen groups, is a little over eight minutes.
const LONGEST_LOOK: Duration = Duration::from_secs(10 * 60);

/// The machine may be busy, or asleep for a moment.
const SLACK: Duration = Duration::from_secs(30);

/// Beyond the resync interval a success may be this old: a poll that fails (50 s), a round of draining (35 s) and of
/// deleting (20 s) may come before the look.
const SUCCESS_DUE: Duration = Duration::from_secs(2 * 60);

/// What the worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It finds credentials and its queue.
    Starting,
    /// It waits for messages, so long at most, and takes them.
    Receiving(Duration),
    /// It deletes messages; so long at most.
    Deleting(Duration),
    /// It looks, and repairs.
    Looking,
    /// After a failure, it waits for so long.
    Waiting(Duration),
}

impl Activity {
    /// The longest time that it can take.
    fn longest(self) -> Duration {
        SLACK
            + match self {
                // The credentials have fifteen seconds, the queue ten.
                Self::Starting => SLACK,
                // The queue's name may have to be looked up first.
                Self::Receiving(wait) => wait + 2 * LONGEST_CALL,
                Self::Deleting(limit) => limit,
                Self::Looking => LONGEST_LOOK,
                Self::Waiting(wait) => wait,
            }
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Receiving(_) => "receiving messages",
            Self::Deleting(_) => "deleting messages",
            Self::Looking => "looking and repairing",
            Self::Waiting(_) => "waiting before the next try",
        })
    }
}

/// Why the worker doesn't live, or isn't ready, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(pub String);

/// Where the worker says what it does, and others ask. Clones are of the same liveness.
#[derive(Clone, Debug)]
pub struct Liveness {
    state: watch::Sender<State>,
    /// No success may be older.
    success_good_for: Duration,
}

#[derive(Debug)]
struct State {
    activity: Activity,
    since: Instant,
    /// When a look last succeeded.
    succeeded: Option<Instant>,
    /// What the last look met, unless it succeeded.
    failure: Option<AwsError>,
}

impl Liveness {
    /// The liveness of a worker that starts, and that will look at least this often.
    pub fn new(resync_interval: Duration) -> Self {
        let state = State { activity: Activity::Starting, since: Instant::now(), succeeded: None, failure: None };
        Self { state: watch::Sender::new(state), success_good_for: resync_interval + SUCCESS_DUE }
    }

    /// The worker begins something.
    pub fn begin(&self, activity: Activity) {
        self.state.send_modify(|state| {
            state.activity = activity;
            state.since = Instant::now();
        });
    }

    /// A look succeeded.
    pub fn succeeded(&self) {
        self.state.send_modify(|state| {
            state.succeeded = Some(Instant::now());
            state.failure = None;
        });
    }

    /// A look, or one of its acts, failed.
    pub fn failed(&self, error: &AwsError) {
        self.state.send_modify(|state| state.failure = Some(error.clone()));
    }

    /// Whether the worker's loop turns.
    ///
    /// # Errors
    ///
    /// What it is stuck at.
    pub fn live(&self) -> Result<(), Trouble> {
        let State { activity, since, .. } = *self.state.borrow();
        let (elapsed, longest) = (since.elapsed(), activity.longest());
        if elapsed <= longest {
            return Ok(());
        }
        let (elapsed, longest) = (elapsed.as_secs(), longest.as_secs());
        Err(Trouble(format!("the worker has been {activity} for {elapsed} s; that takes {longest} s at most")))
    }

    /// Whether the worker keeps the service true: a look has succeeded, lately, and none has failed since in a way that
    /// only a person can mend.
    ///
    /// # Errors
    ///
    /// Why it doesn't.
    pub fn ready(&self) -> Result<(), Trouble> {
        let state = self.state.borrow();
        let lasting = state.failure.as_ref().filter(|failure| !failure.kind.is_transient());
        let why = match (state.succeeded, lasting) {
            (_, Some(failure)) => return Err(Trouble::of(&format!("the last look failed: {failure}"))),
            (Some(succeeded), None) if succeeded.elapsed() <= self.success_good_for => return Ok(()),
            (Some(succeeded), None) => format!("no look has succeeded for {} s", succeeded.elapsed().as_secs()),
            (None, None) => "no look has succeeded yet".to_owned(),
        };
        Err(match &state.failure {
            Some(failure) => Trouble::of(&format!("{why}; the last one failed: {failure}")),
            None => Trouble(why),
        })
    }
}

impl Trouble {
    /// In one line: what AWS says may have several.
    fn of(text: &str) -> Self {
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
    async fn it_lives_as_long_as_what_it_does_can_take_and_not_longer() {
        for (activity, longest) in [
            (Activity::Starting, 60),
            (Activity::Receiving(Duration::from_secs(20)), 110),
            (Activity::Deleting(Duration::from_secs(20)), 50),
            (Activity::Looking, 630),
            (Activity::Waiting(Duration::from_secs(60)), 90),
        ] {
            let liveness = liveness();
            liveness.begin(activity);
            tokio::time::sleep(Duration::from_secs(longest)).await;
            assert_eq!(liveness.live(), Ok(()), "{activity:?}");
            tokio::time::sleep(Duration::from_secs(1)).await;
            let Trouble(why) = liveness.live().expect_err("too long");
            assert!(why.contains(&format!("{activity} for {} s", longest + 1)), "{why}");
            liveness.begin(activity);
            assert_eq!(liveness.live(), Ok(()), "it goes on");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_ready_once_a_look_has_succeeded_and_as_long_as_that_is_recent() {
        let liveness = liveness();
        assert_eq!(liveness.ready(), Err(Trouble("no look has succeeded yet".into())));
        liveness.failed(&error(ErrorKind::Unavailable));
        let Trouble(why) = liveness.ready().expect_err("not ready");
        assert!(why.starts_with("no look has succeeded yet; ") && why.ends_with("first line second line"), "{why}");
        liveness.succeeded();
        assert_eq!(liveness.ready(), Ok(()));
        tokio::time::sleep(Duration::from_secs(180)).await;
        assert_eq!(liveness.ready(), Ok(()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(liveness.ready(), Err(Trouble("no look has succeeded for 181 s".into())));
    }

    #[test]
    fn a_failure_that_passes_leaves_it_ready_and_one_that_a_person_must_mend_does_not() {
        let liveness = liveness();
        liveness.succeeded();
        liveness.failed(&error(ErrorKind::Throttled));
        assert_eq!(liveness.ready(), Ok(()));
        liveness.failed(&error(ErrorKind::AccessDenied));
        let Trouble(why) = liveness.ready().expect_err("not ready");
        assert!(why.contains("ecs:DescribeServices on p-service"), "{why}");
        liveness.succeeded();
        assert_eq!(liveness.ready(), Ok(()));
    }
}
