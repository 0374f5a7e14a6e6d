//! The periodic check of the event source: a rule that an operator disables causes no error anywhere.

use std::convert::Infallible;
use std::time::Duration;

use super::{findings, read};
use crate::aws::AwsError;
use crate::aws::event_source::EventSource;
use crate::clock::{Moment, SharedClock};
use crate::controller::scope::Scope;
use crate::telemetry::log::{Event, Failure, Log};
use jvb_watcher_rules::finding::StandingFindings;

/// The interval between two checks. A check is five calls; in between, reconciliations notice missing events.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The interval after a check that had findings, which an operator may be correcting, or that met a transient error.
const RECHECK_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The subject of the checks, and the destination of their results.
pub struct MonitorConfig {
    /// The cluster and the service.
    pub scope: Scope,
    /// The queue's name or URL.
    pub queue: String,
    /// The findings that every reconciliation reports beside its own.
    pub standing: StandingFindings,
    /// The log, for checks that fail.
    pub log: Log,
    /// The clock.
    pub clock: SharedClock,
}

/// Checks the event source periodically.
pub struct EventSourceMonitor<E> {
    event_source: E,
    config: MonitorConfig,
    failures: u32,
    last_check: Option<LastCheck>,
}

struct LastCheck {
    began: Moment,
    /// The interval until the next check.
    interval: Duration,
}

impl<E: EventSource> EventSourceMonitor<E> {
    /// Creates a monitor whose first check is due.
    pub fn new(event_source: E, config: MonitorConfig) -> Self {
        Self { event_source, config, failures: 0, last_check: None }
    }

    /// Checks now and whenever a check is due, until the future is dropped.
    pub async fn run(mut self) -> Infallible {
        loop {
            let interval = self.check().await;
            tokio::time::sleep(interval).await;
        }
    }

    /// Checks if a check is due.
    pub async fn check_if_due(&mut self) {
        let clock = self.config.clock.clone();
        let is_due = self.last_check.as_ref().is_none_or(|last| last.began.elapsed(&*clock) >= last.interval);
        if is_due {
            let began = Moment::now(&*clock);
            // A check that the caller cancels isn't repeated at once.
            self.last_check = Some(LastCheck { began, interval: RECHECK_INTERVAL });
            let interval = self.check().await;
            self.last_check = Some(LastCheck { began, interval });
        }
    }

    /// Checks once, and returns the interval until the next check. A check that fails keeps the findings of the one
    /// before.
    async fn check(&mut self) -> Duration {
        let MonitorConfig { scope, queue, standing, .. } = &self.config;
        match read(&self.event_source, scope, queue).await {
            Ok(state) => {
                self.failures = 0;
                let findings = findings(&state, queue);
                let interval = if findings.is_empty() { CHECK_INTERVAL } else { RECHECK_INTERVAL };
                standing.set(findings);
                interval
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &AwsError) -> Duration {
        self.failures += 1;
        let interval = if error.kind.is_transient() { RECHECK_INTERVAL } else { CHECK_INTERVAL };
        self.config.log.emit(&Event::FeedCheckFailed { failure: Failure::new(error, self.failures, interval) });
        interval
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::aws::ErrorKind;
    use crate::aws::event_source::{QueueDescription, Rule, RuleState};
    use crate::aws::fake::FakeClock;
    use crate::event_source::samples;
    use crate::telemetry::log::fake::LogLines;
    use jvb_watcher_rules::finding::FindingName;

    /// An event source in memory. Clones share it.
    #[derive(Clone)]
    struct FakeEventSource(Arc<Mutex<State>>);

    struct State {
        rule: RuleState,
        /// The error of the next calls.
        failure: Option<ErrorKind>,
        checks: u32,
    }

    impl FakeEventSource {
        fn new() -> Self {
            Self(Arc::new(Mutex::new(State { rule: RuleState::Enabled, failure: None, checks: 0 })))
        }

        fn set(&self, rule: RuleState, failure: Option<ErrorKind>) {
            let mut state = self.0.lock().expect("not poisoned");
            (state.rule, state.failure) = (rule, failure);
        }

        fn checks(&self) -> u32 {
            self.0.lock().expect("not poisoned").checks
        }
    }

    impl EventSource for FakeEventSource {
        async fn queue(&self, _: &str) -> Result<Option<QueueDescription>, AwsError> {
            Ok(Some(samples::queue()))
        }

        async fn rules_with_target(&self, _: &str) -> Result<Vec<String>, AwsError> {
            let mut state = self.0.lock().expect("not poisoned");
            state.checks += 1;
            let error = |kind| AwsError {
                kind,
                service: "events",
                operation: "ListRuleNamesByTarget",
                resource: samples::QUEUE.to_owned(),
                code: None,
                message: "no".to_owned(),
                request_id: None,
            };
            state.failure.map_or_else(|| Ok(vec!["p-jvb-watcher".to_owned()]), |kind| Err(error(kind)))
        }

        async fn rule(&self, _: &str) -> Result<Option<Rule>, AwsError> {
            let state = self.0.lock().expect("not poisoned").rule;
            Ok(Some(Rule { state, ..samples::rule().rule }))
        }

        async fn matches(&self, _: &str, _: &str) -> Result<bool, AwsError> {
            Ok(true)
        }
    }

    struct Bench {
        event_source: FakeEventSource,
        standing: StandingFindings,
        lines: LogLines,
        monitor: EventSourceMonitor<FakeEventSource>,
    }

    fn bench() -> Bench {
        let (event_source, standing, lines, clock) =
            (FakeEventSource::new(), StandingFindings::default(), LogLines::default(), FakeClock::noon());
        let config = MonitorConfig {
            scope: Scope { cluster: "p-cluster".into(), service: "p-service".into() },
            queue: "p-jvb-watcher".into(),
            standing: standing.clone(),
            log: lines.log(clock.clone()),
            clock,
        };
        let monitor = EventSourceMonitor::new(event_source.clone(), config);
        Bench { event_source, standing, lines, monitor }
    }

    fn names(standing: &StandingFindings) -> Vec<FindingName> {
        standing.get().into_iter().map(|finding| finding.name).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn finds_a_disabled_rule_within_an_hour_and_clears_the_finding_within_five_minutes() {
        let Bench { event_source, standing, monitor, .. } = bench();
        tokio::spawn(monitor.run());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((event_source.checks(), names(&standing)), (1, vec![]), "at the start");
        event_source.set(RuleState::Disabled, None);
        tokio::time::sleep(CHECK_INTERVAL).await;
        assert_eq!((event_source.checks(), names(&standing)), (2, vec![FindingName::RuleDisabled]));
        event_source.set(RuleState::Enabled, None);
        tokio::time::sleep(RECHECK_INTERVAL).await;
        assert_eq!((event_source.checks(), names(&standing)), (3, vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_check_keeps_the_findings_and_is_logged() {
        let Bench { event_source, standing, lines, mut monitor } = bench();
        event_source.set(RuleState::Disabled, None);
        monitor.check_if_due().await;
        for (kind, retry_in_ms) in [(ErrorKind::Unavailable, 300_000), (ErrorKind::AccessDenied, 3_600_000)] {
            event_source.set(RuleState::Enabled, Some(kind));
            tokio::time::sleep(CHECK_INTERVAL).await;
            monitor.check_if_due().await;
            assert_eq!(names(&standing), [FindingName::RuleDisabled], "{kind:?}");
            assert_eq!(lines.of("feed_check_failed").pop().expect("a line")["retry_in_ms"], retry_in_ms);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn checks_every_hour_when_called_every_minute() {
        let Bench { event_source, mut monitor, .. } = bench();
        for _ in 0..=120 {
            monitor.check_if_due().await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(event_source.checks(), 3);
    }
}
