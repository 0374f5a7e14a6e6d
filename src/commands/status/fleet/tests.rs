use std::time::Duration;

use super::*;
use crate::aws::event_source::Rule;
use crate::aws::fake::{FakeAws, FakeClock};
use crate::aws::{AwsError, ErrorKind};
use crate::commands::fleet::samples::service;
use crate::event_source::samples::{queue, rule};
use crate::status::{Extent, fleet_text};
use crate::telemetry::log::fake::LogLines;
use crate::text::Style;
use jvb_watcher_rules::plan::samples::{counts, observation};

/// An event source whose rule matches everything; it counts its calls.
#[derive(Clone, Default)]
struct EverythingMatches(Arc<Mutex<Vec<&'static str>>>);

impl EverythingMatches {
    fn count(&self, call: &'static str) {
        self.0.lock().expect("not poisoned").push(call);
    }
}

impl EventSource for EverythingMatches {
    async fn queue(&self, _: &str) -> Result<Option<QueueDescription>, AwsError> {
        self.count("queue");
        Ok(Some(queue()))
    }

    async fn rules_with_target(&self, _: &str) -> Result<Vec<String>, AwsError> {
        self.count("rules");
        Ok(vec![rule().rule.name])
    }

    async fn rule(&self, _: &str) -> Result<Option<Rule>, AwsError> {
        self.count("rule");
        Ok(Some(Rule { pattern: Some(r#"{"source":["aws.ecs"]}"#.to_owned()), ..rule().rule }))
    }

    async fn matches(&self, _: &str, _: &str) -> Result<bool, AwsError> {
        self.count("matches");
        Ok(true)
    }
}

fn observer(aws: &FakeAws, event_source: &EverythingMatches) -> FleetObserver<FakeAws, EverythingMatches> {
    let clock: SharedClock = FakeClock::noon();
    let log = LogLines::default().log(clock.clone());
    FleetObserver::new(aws.clone(), event_source.clone(), "q".to_owned(), Model::default(), log, clock)
}

fn thousand() -> Found {
    let services = (0..1_000).map(|number| {
        let name = format!("s{number:04}");
        service("shared", &name, &format!("{name}-nlb"), &[])
    });
    let services: Services = services.map(|service| (service.key(), service)).collect();
    Found { services, ..Found::default() }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_services_are_observed_side_by_side_and_failures_stay_alone() {
    let aws = FakeAws::new(observation(counts(0, 0, 0), Vec::new(), None));
    aws.delay("DescribeServices", Duration::from_secs(1));
    // Three calls of the thousand.
    aws.fail("DescribeServices", ErrorKind::AccessDenied, 3);
    let event_source = EverythingMatches::default();
    let began = tokio::time::Instant::now();
    let status = observer(&aws, &event_source).observe(thousand()).await;
    assert!(began.elapsed() < Duration::from_secs(40), "32 at a time: {:?}", began.elapsed());
    assert!(began.elapsed() >= Duration::from_secs(31), "not all at once: {:?}", began.elapsed());
    assert_eq!((status.summary.services, status.summary.failed, status.summary.well), (1_000, 3, 997));
    let text = fleet_text(&status, Extent::NotWell, Style::Plain);
    assert!(text.starts_with("3 of 1,000 services could not be observed\n"), "{text}");
    assert!(text.contains("997 well: 997 idle without a load balancer"), "{text}");
    assert!(text.lines().count() <= 24, "{text}");
    let asked = event_source.0.lock().expect("not poisoned").clone();
    let count = |call| asked.iter().filter(|asked| **asked == call).count();
    assert_eq!(["rules", "rule"].map(count), [1, 1]);
    assert!(count("queue") <= 2, "the queue and its dead-letter queue");
    assert_eq!(aws.count("DescribeTargetGroups"), 1, "one search for orphaned target groups answers all");
    assert_eq!(count("matches"), 1, "the pattern looks at nothing that tells the services or events apart");
}

#[tokio::test(start_paused = true)]
async fn reconcilers_are_kept_while_the_settings_of_their_service_stay() {
    let aws = FakeAws::new(observation(counts(0, 0, 0), Vec::new(), None));
    let observer = observer(&aws, &EverythingMatches::default());
    let fleet = |options: &[(&str, &str)]| {
        let (one, other) = (service("c", "one", "one-nlb", &[]), service("c", "other", "other-nlb", options));
        Found { services: Services::from([(one.key(), one), (other.key(), other)]), ..Found::default() }
    };
    let kept = || -> Vec<Arc<Reconciler<FakeAws>>> {
        observer.reconcilers.lock().expect("not poisoned").values().map(|(_, reconciler)| reconciler.clone()).collect()
    };
    observer.observe(fleet(&[])).await;
    let before = kept();
    observer.observe(fleet(&[("idle-grace", "5m")])).await;
    let after = kept();
    assert!(Arc::ptr_eq(&before[0], &after[0]) && !Arc::ptr_eq(&before[1], &after[1]));
    observer.observe(Found::default()).await;
    assert_eq!(kept().len(), 0);
}
