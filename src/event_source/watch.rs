//! The feed, checked at the start and every hour: a rule that somebody has disabled makes no error anywhere.

use std::convert::Infallible;
use std::time::Duration;

use super::{findings, read};
use crate::aws::event_source::EventSource;
use crate::clock::{Moment, SharedClock};
use crate::config::Settings;
use crate::retry::{Prospect, prospect};
use crate::telemetry::log::{Event, Failure, Log};
use jvb_watcher_rules::finding::StandingFindings;

/// The time between two checks. Five calls an hour cost nothing, and looks find what happened meanwhile.
pub const CHECK_EVERY: Duration = Duration::from_secs(60 * 60);

/// The time after a check that found something, which somebody may be mending, or that failed in a way that may pass.
const CHECK_AGAIN: Duration = Duration::from_secs(5 * 60);

/// Checks the feed, and leaves what is wrong with it to be told at each look.
pub struct FeedWatch<W> {
    event_source: W,
    settings: Settings,
    standing: StandingFindings,
    log: Log,
    clock: SharedClock,
    failures: u32,
    /// The last check, and how long after it the next is due.
    checked: Option<(Moment, Duration)>,
}

impl<W: EventSource> FeedWatch<W> {
    /// A watch that hasn't checked yet.
    pub fn new(event_source: W, settings: &Settings, standing: StandingFindings, log: Log, clock: SharedClock) -> Self {
        Self { event_source, settings: settings.clone(), standing, log, clock, failures: 0, checked: None }
    }

    /// Checks now, and again whenever a check is due, for as long as it is polled.
    pub async fn keep_checking(mut self) -> Infallible {
        loop {
            let wait = self.check().await;
            tokio::time::sleep(wait).await;
        }
    }

    /// Checks if a check is due.
    pub async fn check_if_due(&mut self) {
        let is_due = self.checked.is_none_or(|(checked, wait)| checked.elapsed(&*self.clock) >= wait);
        if is_due {
            let began = Moment::now(&*self.clock);
            // One that is cut off is not repeated at once.
            self.checked = Some((began, CHECK_AGAIN));
            let wait = self.check().await;
            self.checked = Some((began, wait));
        }
    }

    /// Checks, and says how long after it the next check is due. A check that fails says nothing of the feed: what stood
    /// before it stands on, and the worker works on.
    async fn check(&mut self) -> Duration {
        let Settings { scope, queue, .. } = &self.settings;
        match read(&self.event_source, scope, queue).await {
            Ok(feed) => {
                self.failures = 0;
                let findings = findings(&feed, queue);
                let wait = if findings.is_empty() { CHECK_EVERY } else { CHECK_AGAIN };
                self.standing.set(findings);
                wait
            }
            Err(error) => {
                self.failures += 1;
                let wait = match prospect(error.kind) {
                    Prospect::Lasting => CHECK_EVERY,
                    Prospect::Passing => CHECK_AGAIN,
                };
                self.log.emit(&Event::FeedCheckFailed { failure: Failure::new(&error, self.failures, wait) });
                wait
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::aws::client::Connection;
    use crate::aws::event_source::{
        Caller, DeletionProtection, QueueDescription, Rule, RuleState, RuleTarget, TaskNetwork, Trial,
    };
    use crate::aws::fake::{FakeClock, Lines};
    use crate::aws::{AwsError, ErrorKind};
    use crate::controller::reconcile::Scope;
    use crate::event_source::samples;
    use crate::telemetry::log::Identity;
    use jvb_watcher_rules::finding::FindingName;

    /// A feed in memory: what its rule is, and what asking for it meets.
    #[derive(Clone)]
    struct FakeFeed(Arc<Mutex<(RuleState, Option<ErrorKind>, u32)>>);

    impl FakeFeed {
        fn new() -> Self {
            Self(Arc::new(Mutex::new((RuleState::Enabled, None, 0))))
        }

        fn set(&self, state: RuleState, failure: Option<ErrorKind>) {
            let mut feed = self.0.lock().expect("not poisoned");
            (feed.0, feed.1) = (state, failure);
        }

        fn checks(&self) -> u32 {
            self.0.lock().expect("not poisoned").2
        }
    }

    impl EventSource for FakeFeed {
        async fn queue(&self, _: &str) -> Result<Option<QueueDescription>, AwsError> {
            Ok(Some(samples::queue()))
        }

        async fn rules_with_target(&self, _: &str) -> Result<Vec<String>, AwsError> {
            let mut feed = self.0.lock().expect("not poisoned");
            feed.2 += 1;
            let error = |kind| AwsError {
                kind,
                service: "events",
                operation: "ListRuleNamesByTarget",
                resource: samples::QUEUE.to_owned(),
                code: None,
                message: "no".to_owned(),
                request_id: None,
            };
            feed.1.map_or_else(|| Ok(vec!["p-jvb-watcher".to_owned()]), |kind| Err(error(kind)))
        }

        async fn rule(&self, _: &str) -> Result<Option<Rule>, AwsError> {
            let state = self.0.lock().expect("not poisoned").0;
            Ok(Some(Rule { state, ..samples::rule().rule }))
        }

        async fn matches(&self, _: &str, _: &str) -> Result<bool, AwsError> {
            Ok(true)
        }

        async fn caller(&self) -> Result<Caller, AwsError> {
            panic!("the check doesn't ask for it")
        }

        async fn rule_targets(&self, _: &str) -> Result<Vec<RuleTarget>, AwsError> {
            panic!("the check doesn't ask for it")
        }

        async fn task_network(&self, _: &str, _: &str) -> Result<Option<TaskNetwork>, AwsError> {
            panic!("the check doesn't ask for it")
        }

        async fn deletion_protection(&self, _: &str) -> Result<DeletionProtection, AwsError> {
            panic!("the check doesn't ask for it")
        }

        async fn attempt(&self, _: &Trial) -> Result<(), AwsError> {
            panic!("the check tries nothing")
        }
    }

    struct Bench {
        feed: FakeFeed,
        standing: StandingFindings,
        lines: Lines,
        watch: FeedWatch<FakeFeed>,
    }

    fn bench() -> Bench {
        let (feed, standing, lines, clock) =
            (FakeFeed::new(), StandingFindings::default(), Lines::default(), FakeClock::noon());
        let settings = Settings {
            identity: Identity { project: "p".into(), cluster: "p-cluster".into(), service: "p-service".into() },
            scope: Scope { cluster: "p-cluster".into(), service: "p-service".into() },
            load_balancer: "p-jvb-nlb".into(),
            queue: "p-jvb-watcher".into(),
            connection: Connection::default(),
        };
        let watch = FeedWatch::new(feed.clone(), &settings, standing.clone(), lines.log(clock.clone()), clock);
        Bench { feed, standing, lines, watch }
    }

    fn names(standing: &StandingFindings) -> Vec<FindingName> {
        standing.get().into_iter().map(|finding| finding.name).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_rule_that_is_disabled_meanwhile_is_found_within_the_hour_and_mended_within_minutes() {
        let Bench { feed, standing, watch, .. } = bench();
        tokio::spawn(watch.keep_checking());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((feed.checks(), names(&standing)), (1, vec![]), "at the start");
        feed.set(RuleState::Disabled, None);
        tokio::time::sleep(CHECK_EVERY).await;
        assert_eq!((feed.checks(), names(&standing)), (2, vec![FindingName::RuleDisabled]));
        feed.set(RuleState::Enabled, None);
        tokio::time::sleep(CHECK_AGAIN).await;
        assert_eq!((feed.checks(), names(&standing)), (3, vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_fails_leaves_what_stood_and_says_so() {
        let Bench { feed, standing, lines, mut watch } = bench();
        feed.set(RuleState::Disabled, None);
        watch.check_if_due().await;
        for (kind, retry_in_ms) in [(ErrorKind::Unavailable, 300_000), (ErrorKind::AccessDenied, 3_600_000)] {
            feed.set(RuleState::Enabled, Some(kind));
            tokio::time::sleep(CHECK_EVERY).await;
            watch.check_if_due().await;
            assert_eq!(names(&standing), [FindingName::RuleDisabled], "{kind:?}");
            assert_eq!(lines.of("feed_check_failed").pop().expect("a line")["retry_in_ms"], retry_in_ms);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_function_that_is_called_every_minute_checks_every_hour() {
        let Bench { feed, mut watch, .. } = bench();
        for _ in 0..=120 {
            watch.check_if_due().await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(feed.checks(), 3);
    }
}
