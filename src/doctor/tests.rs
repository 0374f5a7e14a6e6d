use super::*;
use crate::aws::ErrorKind;
use crate::aws::event_source::{DeadLetters, Rule, RuleState, Sends, Trial};
use crate::event_source::samples::{DEAD, QUEUE, RULE, feed, policy, queue, rule};
use crate::event_source::{FeedingRule, Made, Place};
use crate::text::{Style, WIDTH};
use jvb_watcher_rules::model::{LoadBalancerKind, TargetType};
use jvb_watcher_rules::plan::samples::balancer;

const EVENTS: &str = r#"{"Service": "events.amazonaws.com"}"#;

struct Fixture {
    scope: Scope,
    owner_tag: OwnerTag,
}

impl Fixture {
    fn new() -> Self {
        Self {
            scope: Scope { cluster: "p-cluster".to_owned(), service: "p-service".to_owned() },
            owner_tag: OwnerTag { key: "Lifecycle".to_owned(), value: "on-demand".to_owned() },
        }
    }

    /// Everything as it should be.
    fn sight(&self) -> Sight<'_> {
        let caller = Caller { arn: "arn:aws:iam::111122223333:user/o".to_owned(), account: "111122223333".to_owned() };
        let dead = QueueDescription { arn: DEAD.to_owned(), dead_letters: None, policy: None, ..queue() };
        let target = RuleTarget { arn: QUEUE.to_owned(), sends: Sends::WholeEvents };
        let trials = trials(&self.scope, Some("https://q"), "p-jvb-nlb", "p-jvb-udp", &Place::of_queue(QUEUE));
        Sight {
            scope: &self.scope,
            queue_option: "p-jvb-watcher",
            load_balancer_name: "p-jvb-nlb",
            owner_tag: &self.owner_tag,
            caller: Ok(caller),
            clock_ahead: SignedDuration::from_secs(1),
            feed: Ok(feed(queue(), vec![rule()])),
            queue: Some(queue()),
            dead_letter_queue: Some(Ok(Some(dead))),
            rule_targets: vec![("p-jvb-watcher".to_owned(), Ok(vec![target]))],
            task_network: Ok(Some(TaskNetwork::Awsvpc)),
            load_balancer: Ok(Some(balancer(&[]))),
            deletion_protection: Some(Ok(DeletionProtection::Off)),
            attempts: trials.into_iter().map(|trial| Attempt { trial, answer: Ok(()) }).collect(),
        }
    }
}

fn error(kind: ErrorKind) -> AwsError {
    AwsError {
        kind,
        service: "events",
        operation: "DescribeRule",
        resource: "p-jvb-watcher".to_owned(),
        code: None,
        message: "no".to_owned(),
        request_id: None,
    }
}

/// What isn't ok, by name and result, once something is broken.
fn broken(breaking: impl FnOnce(&mut Sight<'_>)) -> Vec<(&'static str, CheckResult)> {
    let fixture = Fixture::new();
    let mut sight = fixture.sight();
    breaking(&mut sight);
    let diagnosis = Diagnosis::new(&sight);
    for check in &diagnosis.checks {
        assert_eq!(check.advice.is_some(), check.result != CheckResult::Ok, "{check:?}");
    }
    let wrong = diagnosis.checks.into_iter().filter(|check| check.result != CheckResult::Ok);
    wrong.map(|check| (check.check, check.result)).collect()
}

fn in_queue(change: impl FnOnce(&mut QueueDescription)) -> impl FnOnce(&mut Sight<'_>) {
    let mut queue = queue();
    change(&mut queue);
    move |sight| sight.feed = Ok(feed(queue, vec![rule()]))
}

#[test]
fn a_watcher_that_is_wired_up_passes_every_check() {
    assert_eq!(broken(|_| {}), []);
    let fixture = Fixture::new();
    let diagnosis = Diagnosis::new(&fixture.sight());
    assert!(diagnosis.wired_up);
    assert!(diagnosis.checks.len() > 20, "{:#?}", diagnosis.checks);
}

#[test]
fn each_broken_part_fails_the_check_of_its_name() {
    use CheckResult::{Failed, Warning};
    let disabled = |rule: Rule| Rule { state: RuleState::Disabled, ..rule };
    type Breaking = Box<dyn FnOnce(&mut Sight<'_>)>;
    let cases: Vec<(Breaking, (&str, CheckResult))> = vec![
        (Box::new(|sight| sight.caller = Err(error(ErrorKind::Unauthenticated))), ("credentials", Failed)),
        (Box::new(|sight| sight.clock_ahead = SignedDuration::from_secs(-40)), ("clock", Warning)),
        (Box::new(|sight| sight.clock_ahead = SignedDuration::from_secs(400)), ("clock", Failed)),
        (Box::new(|sight| (sight.feed, sight.queue) = (Ok(Feed::NoQueue), None)), ("queue", Failed)),
        (Box::new(in_queue(|queue| queue.dead_letters = None)), ("redrive policy", Warning)),
        (
            Box::new(in_queue(|queue| {
                queue.dead_letters = Some(DeadLetters { queue_arn: DEAD.to_owned(), max_receives: 1 });
            })),
            ("redrive policy", Warning),
        ),
        (Box::new(|sight| sight.dead_letter_queue = Some(Ok(None))), ("dead-letter queue", Failed)),
        (
            Box::new(|sight| sight.dead_letter_queue = Some(Ok(Some(QueueDescription { waiting: 2, ..queue() })))),
            ("dead-letter queue", Warning),
        ),
        (Box::new(in_queue(|queue| queue.policy = None)), ("queue policy", Failed)),
        (Box::new(in_queue(|queue| queue.policy = Some(policy(EVENTS, "{}")))), ("queue policy", Warning)),
        (Box::new(in_queue(|queue| queue.policy = Some(policy("\"*\"", "{}")))), ("queue policy", Warning)),
        (Box::new(|sight| sight.feed = Ok(feed(queue(), Vec::new()))), ("rule", Failed)),
        (
            Box::new(move |sight| {
                sight.feed = Ok(feed(queue(), vec![FeedingRule { rule: disabled(rule().rule), ..rule() }]));
            }),
            ("rule", Failed),
        ),
        (Box::new(|sight| sight.feed = Err(error(ErrorKind::AccessDenied))), ("rule", Warning)),
        (
            Box::new(|sight| {
                sight.feed = Ok(feed(queue(), vec![FeedingRule { unmatched: vec![Made::Running], ..rule() }]));
            }),
            ("event pattern", Failed),
        ),
        (
            Box::new(|sight| {
                let target = RuleTarget { arn: QUEUE.to_owned(), sends: Sends::SomethingElse };
                sight.rule_targets = vec![("p-jvb-watcher".to_owned(), Ok(vec![target]))];
            }),
            ("rule target", Failed),
        ),
        (
            Box::new(|sight| sight.rule_targets = vec![("p-jvb-watcher".to_owned(), Ok(Vec::new()))]),
            ("rule target", Failed),
        ),
        (Box::new(|sight| sight.task_network = Ok(None)), ("service", Failed)),
        (Box::new(|sight| sight.task_network = Ok(Some(TaskNetwork::Other))), ("task network", Failed)),
        (
            Box::new(|sight| {
                let kind = LoadBalancerKind::Other("application".to_owned());
                sight.load_balancer = Ok(Some(LoadBalancer { kind, ..balancer(&[]) }));
            }),
            ("load balancer", Failed),
        ),
        (
            Box::new(|sight| {
                sight.load_balancer = Ok(Some(LoadBalancer { tags: Default::default(), ..balancer(&[]) }));
            }),
            ("owner tag", Failed),
        ),
        (
            Box::new(|sight| sight.deletion_protection = Some(Ok(DeletionProtection::On))),
            ("deletion protection", Failed),
        ),
        (
            Box::new(|sight| {
                sight.load_balancer = Ok(Some(LoadBalancer { target_groups: Vec::new(), ..balancer(&[]) }));
            }),
            ("target groups", Failed),
        ),
        (
            Box::new(|sight| {
                let mut balancer = balancer(&[]);
                balancer.target_groups[1].target_type = TargetType::Other("instance".to_owned());
                sight.load_balancer = Ok(Some(balancer));
            }),
            ("target groups", Failed),
        ),
    ];
    for (breaking, expected) in cases {
        assert_eq!(broken(breaking), [expected]);
    }
}

#[test]
fn a_balancer_that_is_not_there_is_as_it_should_be() {
    let wrong = broken(|sight| (sight.load_balancer, sight.deletion_protection) = (Ok(None), None));
    assert_eq!(wrong, []);
}

#[test]
fn a_denied_call_names_its_action_and_what_it_was_denied_on() {
    let fixture = Fixture::new();
    let mut sight = fixture.sight();
    for attempt in &mut sight.attempts {
        attempt.answer = Err(error(match attempt.trial {
            Trial::RegisterTargets { .. } => ErrorKind::AccessDenied,
            // What isn't there shows that the call was let through.
            _ => ErrorKind::NotFound,
        }));
    }
    let diagnosis = Diagnosis::new(&sight);
    let failed: Vec<_> = diagnosis.checks.iter().filter(|check| check.result == CheckResult::Failed).collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert!(failed[0].detail.contains("elasticloadbalancing:RegisterTargets is denied on"), "{failed:#?}");
    assert_eq!(diagnosis.failed, 1);
}

#[test]
fn an_answer_that_never_came_says_nothing_of_a_permission() {
    let wrong = broken(|sight| sight.attempts[0].answer = Err(error(ErrorKind::Unavailable)));
    assert_eq!(wrong, [("permission", CheckResult::Warning)]);
}

#[test]
fn exactly_the_rule_may_send_or_it_is_said_who_may() {
    let detail = |policy: String| {
        let fixture = Fixture::new();
        let mut sight = fixture.sight();
        in_queue(|queue| queue.policy = Some(policy))(&mut sight);
        let diagnosis = Diagnosis::new(&sight);
        diagnosis.checks.into_iter().find(|check| check.check == "queue policy").expect("the check").detail
    };
    let account = r#"{"StringEquals": {"aws:SourceAccount": "111122223333"}}"#;
    assert_eq!(detail(policy(EVENTS, account)), "it lets other rules of this account send, too");
    let rule = format!(r#"{{"ArnEquals": {{"aws:SourceArn": "{RULE}"}}}}"#);
    assert_eq!(detail(policy("\"*\"", &rule)), "exactly the rule may send");
    assert!(detail(policy("\"*\"", "{}")).contains("other services"));
}

#[test]
fn every_line_fits_and_begins_with_its_result() {
    let fixture = Fixture::new();
    let mut sight = fixture.sight();
    sight.feed = Ok(feed(queue(), Vec::new()));
    sight.dead_letter_queue = Some(Ok(Some(QueueDescription { waiting: 2, ..queue() })));
    let diagnosis = Diagnosis::new(&sight);
    let plain = text(&diagnosis, Style::Plain);
    for line in plain.lines() {
        assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
    }
    assert!(plain.contains("\n  failed   rule "), "{plain}");
    assert!(plain.ends_with("1 check failed, with 1 warning\n"), "{plain}");
    let coloured = text(&diagnosis, Style::Coloured);
    assert!(coloured.contains("\n  \x1b[31m✗ failed\x1b[0m"), "{coloured}");
}
