use super::*;
use crate::aws::ErrorKind;
use crate::aws::diagnostics::{PermissionProbe, TargetInput};
use crate::aws::event_source::{RedrivePolicy, Rule, RuleState};
use crate::aws::operation::ApiOperation;
use crate::event_source::Sample;
use crate::event_source::location::Location;
use crate::event_source::rule::ObservedRule;
use crate::event_source::samples::{DEAD, QUEUE, RULE, event_source, policy, queue, rule};
use crate::text::{Style, WIDTH};
use jvb_watcher_rules::model::{LoadBalancerKind, TargetType};
use jvb_watcher_rules::plan::samples::load_balancer;

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

    /// Returns evidence without any fault.
    fn evidence(&self) -> Evidence<'_> {
        let caller = Caller { arn: "arn:aws:iam::111122223333:user/o".to_owned(), account: "111122223333".to_owned() };
        let dead = QueueDescription { arn: DEAD.to_owned(), redrive_policy: None, policy: None, ..queue() };
        let target = RuleTarget { arn: QUEUE.to_owned(), input: TargetInput::MatchedEvent };
        let probes = probes(ProbedResources {
            scope: &self.scope,
            queue_url: "https://q",
            load_balancer: "p-jvb-nlb",
            target_group: "p-jvb-udp",
            location: &Location::of_arn(QUEUE),
        });
        let shared = SharedEvidence {
            queue_option: "p-jvb-watcher",
            caller: Ok(caller),
            clock_ahead: Some(SignedDuration::from_secs(1)),
            event_source: Ok(event_source(queue(), vec![rule()])),
            queue: Some(queue()),
            dead_letter_queue: Some(Ok(Some(dead))),
            rule_targets: vec![RuleTargets { rule: "p-jvb-watcher".to_owned(), targets: Ok(vec![target]) }],
        };
        Evidence {
            shared,
            scope: &self.scope,
            load_balancer_name: "p-jvb-nlb",
            owner_tag: &self.owner_tag,
            task_network: Ok(Some(TaskNetwork::Awsvpc)),
            load_balancer: Ok(Some(load_balancer(&[]))),
            deletion_protection: Some(Ok(DeletionProtection::Off)),
            probes: probes.into_iter().map(|probe| ProbeResult { probe, answer: Some(Ok(())) }).collect(),
        }
    }
}

/// Evidence of an account in which no call has an answer.
fn without_an_answer(evidence: &mut Evidence<'_>) {
    let refused = || error(ErrorKind::Unavailable);
    evidence.shared.caller = Err(refused());
    evidence.shared.clock_ahead = None;
    (evidence.shared.event_source, evidence.shared.queue, evidence.shared.dead_letter_queue) =
        (Err(refused()), None, None);
    evidence.shared.rule_targets.clear();
    evidence.task_network = Err(refused());
    (evidence.load_balancer, evidence.deletion_protection) = (Err(refused()), None);
    for ProbeResult { probe, answer } in &mut evidence.probes {
        *answer = (probe.operation().service() != "sqs").then(|| Err(refused()));
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

/// Returns the results of the checks, by name, after a change to the evidence.
fn results(change: impl FnOnce(&mut Evidence<'_>)) -> Vec<(&'static str, CheckResult)> {
    let fixture = Fixture::new();
    let mut evidence = fixture.evidence();
    change(&mut evidence);
    let diagnosis = Diagnosis::new(&evidence);
    for check in &diagnosis.checks {
        let needs_advice = matches!(check.result, CheckResult::Warning | CheckResult::Failed);
        assert!(check.advice.is_some() || !needs_advice, "{check:?}");
        assert!(check.advice.is_none() || check.result != CheckResult::Ok, "{check:?}");
    }
    diagnosis.checks.into_iter().map(|check| (check.check, check.result)).collect()
}

/// Returns the warnings and failures after a change to the evidence.
fn faults(change: impl FnOnce(&mut Evidence<'_>)) -> Vec<(&'static str, CheckResult)> {
    let is_fault = |result| matches!(result, CheckResult::Warning | CheckResult::Failed);
    results(change).into_iter().filter(|(_, result)| is_fault(*result)).collect()
}

/// Returns the names of the checks that are skipped after a change to the evidence.
fn skipped(change: impl FnOnce(&mut Evidence<'_>)) -> Vec<&'static str> {
    results(change).into_iter().filter(|(_, result)| *result == CheckResult::Skipped).map(|(check, _)| check).collect()
}

fn in_queue(change: impl FnOnce(&mut QueueDescription)) -> impl FnOnce(&mut Evidence<'_>) {
    let mut queue = queue();
    change(&mut queue);
    move |evidence| evidence.shared.event_source = Ok(event_source(queue, vec![rule()]))
}

#[test]
fn evidence_without_a_fault_passes_every_check() {
    assert_eq!(faults(|_| {}), []);
    let fixture = Fixture::new();
    let diagnosis = Diagnosis::new(&fixture.evidence());
    assert!(diagnosis.tally.wired_up);
    assert!(diagnosis.checks.len() > 20, "{:#?}", diagnosis.checks);
}

#[test]
fn each_fault_is_the_result_of_one_check() {
    use CheckResult::{Failed, Warning};
    let disabled = |rule: Rule| Rule { state: RuleState::Disabled, ..rule };
    type Change = Box<dyn FnOnce(&mut Evidence<'_>)>;
    let cases: Vec<(Change, (&str, CheckResult))> = vec![
        (Box::new(|evidence| evidence.shared.caller = Err(error(ErrorKind::Unauthenticated))), ("credentials", Failed)),
        (Box::new(|evidence| evidence.shared.clock_ahead = Some(SignedDuration::from_secs(-40))), ("clock", Warning)),
        (Box::new(|evidence| evidence.shared.clock_ahead = Some(SignedDuration::from_secs(400))), ("clock", Failed)),
        (
            Box::new(|evidence| {
                (evidence.shared.event_source, evidence.shared.queue) = (Ok(EventSourceState::QueueMissing), None)
            }),
            ("queue", Failed),
        ),
        (Box::new(in_queue(|queue| queue.redrive_policy = None)), ("redrive policy", Warning)),
        (
            Box::new(in_queue(|queue| {
                queue.redrive_policy =
                    Some(RedrivePolicy { dead_letter_queue_arn: DEAD.to_owned(), max_receive_count: 1 });
            })),
            ("redrive policy", Warning),
        ),
        (Box::new(|evidence| evidence.shared.dead_letter_queue = Some(Ok(None))), ("dead-letter queue", Failed)),
        (
            Box::new(|evidence| {
                evidence.shared.dead_letter_queue = Some(Ok(Some(QueueDescription { waiting: 2, ..queue() })))
            }),
            ("dead-letter queue", Warning),
        ),
        (Box::new(in_queue(|queue| queue.policy = None)), ("queue policy", Failed)),
        (Box::new(in_queue(|queue| queue.policy = Some(policy(EVENTS, "{}")))), ("queue policy", Warning)),
        (Box::new(in_queue(|queue| queue.policy = Some(policy("\"*\"", "{}")))), ("queue policy", Warning)),
        (Box::new(|evidence| evidence.shared.event_source = Ok(event_source(queue(), Vec::new()))), ("rule", Failed)),
        (
            Box::new(move |evidence| {
                let disabled = ObservedRule { rule: disabled(rule().rule), ..rule() };
                evidence.shared.event_source = Ok(event_source(queue(), vec![disabled]));
            }),
            ("rule", Failed),
        ),
        (
            Box::new(|evidence| {
                let mismatched = ObservedRule { unmatched: vec![Sample::TaskRunning], ..rule() };
                evidence.shared.event_source = Ok(event_source(queue(), vec![mismatched]));
            }),
            ("event pattern", Failed),
        ),
        (
            Box::new(|evidence| {
                let unmatched = vec![Sample::TasksImpaired, Sample::DeploymentFailed];
                evidence.shared.event_source = Ok(event_source(queue(), vec![ObservedRule { unmatched, ..rule() }]));
            }),
            ("event pattern", Warning),
        ),
        (
            Box::new(|evidence| {
                let target = RuleTarget { arn: QUEUE.to_owned(), input: TargetInput::Transformed };
                evidence.shared.rule_targets[0].targets = Ok(vec![target]);
            }),
            ("rule target", Failed),
        ),
        (Box::new(|evidence| evidence.shared.rule_targets[0].targets = Ok(Vec::new())), ("rule target", Failed)),
        (Box::new(|evidence| evidence.task_network = Ok(None)), ("service", Failed)),
        (Box::new(|evidence| evidence.task_network = Ok(Some(TaskNetwork::Other))), ("task network", Failed)),
        (
            Box::new(|evidence| {
                let kind = LoadBalancerKind::Other("application".to_owned());
                evidence.load_balancer = Ok(Some(LoadBalancer { kind, ..load_balancer(&[]) }));
            }),
            ("load balancer", Failed),
        ),
        (
            Box::new(|evidence| {
                evidence.load_balancer = Ok(Some(LoadBalancer { tags: Default::default(), ..load_balancer(&[]) }));
            }),
            ("owner tag", Failed),
        ),
        (
            Box::new(|evidence| {
                let mut load_balancer = load_balancer(&[]);
                load_balancer.target_groups[1].tags.clear();
                evidence.load_balancer = Ok(Some(load_balancer));
            }),
            ("owner tag", Warning),
        ),
        (
            Box::new(|evidence| evidence.deletion_protection = Some(Ok(DeletionProtection::On))),
            ("deletion protection", Failed),
        ),
        (
            Box::new(|evidence| {
                evidence.load_balancer = Ok(Some(LoadBalancer { target_groups: Vec::new(), ..load_balancer(&[]) }));
            }),
            ("target groups", Failed),
        ),
        (
            Box::new(|evidence| {
                let mut load_balancer = load_balancer(&[]);
                load_balancer.target_groups[1].target_type = TargetType::Other("instance".to_owned());
                evidence.load_balancer = Ok(Some(load_balancer));
            }),
            ("target groups", Failed),
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(faults(change), [expected]);
    }
}

#[test]
fn two_rules_can_match_the_events_together() {
    let tasks = || ObservedRule { unmatched: vec![Sample::TasksImpaired, Sample::DeploymentFailed], ..rule() };
    let failures = || ObservedRule { unmatched: vec![Sample::TaskRunning, Sample::TaskStopped], ..rule() };
    let with =
        |rules: Vec<ObservedRule>| faults(|evidence| evidence.shared.event_source = Ok(event_source(queue(), rules)));
    assert_eq!(with(vec![tasks(), failures()]), []);
    let mut off = failures();
    off.rule.state = RuleState::Disabled;
    assert_eq!(with(vec![tasks(), off]), [("event pattern", CheckResult::Warning), ("rule", CheckResult::Failed)]);
}

#[test]
fn an_absent_load_balancer_is_no_fault_and_its_checks_are_skipped() {
    let absent = |evidence: &mut Evidence<'_>| {
        (evidence.load_balancer, evidence.deletion_protection) = (Ok(None), None);
    };
    assert_eq!(faults(absent), []);
    assert_eq!(skipped(absent), ["owner tag", "deletion protection", "target groups", "permission"]);
}

#[test]
fn without_an_answer_of_aws_no_check_is_ok() {
    let results = results(without_an_answer);
    assert!(results.iter().all(|(_, result)| *result != CheckResult::Ok), "{results:#?}");
    let result_of = |name| results.iter().find(|(check, _)| *check == name).expect("the check").1;
    for failed in ["credentials", "queue", "service", "load balancer"] {
        assert_eq!(result_of(failed), CheckResult::Failed, "{failed}");
    }
    for skipped in ["clock", "redrive policy", "queue policy", "rule", "task network", "owner tag", "permission"] {
        assert_eq!(result_of(skipped), CheckResult::Skipped, "{skipped}");
    }
}

#[test]
fn every_check_has_a_result_whatever_could_be_read() {
    let names = |change: fn(&mut Evidence<'_>)| results(change).into_iter().map(|(check, _)| check).collect::<Vec<_>>();
    let all = names(|_| {});
    let missing: fn(&mut Evidence<'_>) = |evidence| {
        (evidence.shared.event_source, evidence.shared.queue) = (Ok(EventSourceState::QueueMissing), None);
        evidence.task_network = Ok(None);
        (evidence.load_balancer, evidence.deletion_protection) = (Ok(None), None);
    };
    assert_eq!(names(missing), all);
    assert_eq!(names(without_an_answer), all);
}

#[test]
fn a_call_that_only_doctor_makes_is_skipped_when_denied() {
    assert_eq!(
        skipped(|evidence| evidence.shared.event_source = Err(error(ErrorKind::AccessDenied))),
        ["queue policy", "rule", "event pattern", "rule target", "permission"]
    );
    let denied = |evidence: &mut Evidence<'_>| {
        evidence.shared.dead_letter_queue = Some(Err(error(ErrorKind::AccessDenied)));
        evidence.deletion_protection = Some(Err(error(ErrorKind::AccessDenied)));
    };
    assert_eq!(skipped(denied), ["dead-letter queue", "deletion protection", "permission"]);
    assert_eq!(faults(denied), []);
}

#[test]
fn a_denied_call_names_its_action_and_resource() {
    let fixture = Fixture::new();
    let mut evidence = fixture.evidence();
    for ProbeResult { probe, answer } in &mut evidence.probes {
        *answer = Some(Err(error(match probe {
            PermissionProbe::RegisterTargets { .. } => ErrorKind::AccessDenied,
            // The call was allowed, and the resource doesn't exist.
            _ => ErrorKind::NotFound,
        })));
    }
    let diagnosis = Diagnosis::new(&evidence);
    let failed: Vec<_> = diagnosis.checks.iter().filter(|check| check.result == CheckResult::Failed).collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert!(failed[0].detail.contains("elasticloadbalancing:RegisterTargets is denied on"), "{failed:#?}");
    assert_eq!(diagnosis.tally.failed, 1);
}

#[test]
fn an_unanswered_probe_is_skipped() {
    let unanswered = |evidence: &mut Evidence<'_>| {
        evidence.probes[0].answer = Some(Err(error(ErrorKind::Unavailable)));
    };
    assert_eq!(faults(unanswered), []);
    assert_eq!(skipped(unanswered), ["permission", "permission"]);
}

#[test]
fn every_permission_of_the_worker_is_probed_or_listed_as_not_probed() {
    let role = include_str!("../../terraform/modules/watcher/role.tf");
    let is_action = |word: &&str| {
        ApiOperation::ALL.iter().any(|operation| operation.iam_action() == *word && operation.service() != "events")
    };
    let allowed: Vec<_> = role.split('"').filter(is_action).collect();
    assert!(allowed.len() > 10, "{allowed:?}");
    let fixture = Fixture::new();
    let probes = fixture.evidence().probes;
    let probed = probes.iter().map(|result| result.probe.operation());
    // The checks of queue and service make two of these calls; the third lists the services to watch.
    let covered: Vec<_> = probed
        .chain(NOT_PROBED)
        .chain([ApiOperation::GetQueueAttributes, ApiOperation::DescribeServices, ApiOperation::ListServices])
        .map(ApiOperation::iam_action)
        .collect();
    for action in allowed {
        assert!(covered.contains(&action), "{action} is neither probed nor listed");
    }
}

#[test]
fn names_other_senders_that_the_queue_policy_allows() {
    let detail = |policy: String| {
        let fixture = Fixture::new();
        let mut evidence = fixture.evidence();
        in_queue(|queue| queue.policy = Some(policy))(&mut evidence);
        let diagnosis = Diagnosis::new(&evidence);
        diagnosis.checks.into_iter().find(|check| check.check == "queue policy").expect("the check").detail
    };
    let account = r#"{"StringEquals": {"aws:SourceAccount": "111122223333"}}"#;
    assert_eq!(detail(policy(EVENTS, account)), "it allows other rules of this account to send, too");
    let rule = format!(r#"{{"ArnEquals": {{"aws:SourceArn": "{RULE}"}}}}"#);
    assert_eq!(detail(policy("\"*\"", &rule)), "only the rule may send");
    assert!(detail(policy("\"*\"", "{}")).contains("other services"));
}

#[test]
fn every_line_fits_and_begins_with_its_result() {
    let fixture = Fixture::new();
    let mut evidence = fixture.evidence();
    evidence.shared.event_source = Ok(event_source(queue(), Vec::new()));
    evidence.shared.dead_letter_queue = Some(Ok(Some(QueueDescription { waiting: 2, ..queue() })));
    let diagnosis = Diagnosis::new(&evidence);
    let plain = text(&diagnosis, Style::Plain);
    for line in plain.lines() {
        assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
    }
    assert!(plain.contains("\n  failed   rule "), "{plain}");
    assert!(plain.ends_with("1 check failed: 23 ok, 1 warning, 3 skipped\n"), "{plain}");
    let coloured = text(&diagnosis, Style::Coloured);
    assert!(coloured.contains("\n  \x1b[31m✗ failed\x1b[0m"), "{coloured}");
}
