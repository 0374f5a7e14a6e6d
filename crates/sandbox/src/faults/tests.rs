//! Tests of fault plans and of the decisions made under them.

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn faults(plan: serde_json::Value) -> Faults {
    let mut faults = Faults::new(7);
    faults.set(serde_json::from_value(plan).expect("a plan")).expect("a valid plan");
    faults
}

fn refused(plan: serde_json::Value) -> String {
    match serde_json::from_value::<FaultPlan>(plan) {
        Ok(plan) => Faults::new(7).set(plan).expect_err("an invalid plan").to_string(),
        Err(error) => error.to_string(),
    }
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_millis(milliseconds)
}

#[test]
fn without_a_plan_every_request_passes() {
    let verdict = Faults::new(1).decide(Service::Ecs, "DescribeTasks", at(0));
    assert_eq!(verdict, Verdict { latency: Duration::ZERO, outcome: Outcome::Pass });
}

#[test]
fn patterns_match_everything_a_service_a_prefix_or_one_operation() {
    let matches = |pattern: &str, service, operation| Pattern(pattern.to_owned()).matches(service, operation);
    for pattern in ["*", "*:*", "ecs:*", "ecs:Describe*", "ecs:DescribeTasks", "*:DescribeTasks"] {
        assert!(matches(pattern, Service::Ecs, "DescribeTasks"), "{pattern}");
    }
    for pattern in ["sqs:*", "ecs:DescribeServices", "ecs:Describe", "DescribeTasks", "elb:*", ""] {
        assert!(!matches(pattern, Service::Ecs, "DescribeTasks"), "{pattern}");
    }
}

#[test]
fn a_rule_with_times_affects_that_many_matching_requests() {
    let effect = json!({ "kind": "error", "code": "ServerException", "status": 500 });
    let mut faults = faults(json!({ "rules": [{ "on": "ecs:DescribeTasks", "times": 2, "effect": effect }] }));
    let mut is_affected = |operation| faults.decide(Service::Ecs, operation, at(0)).outcome != Outcome::Pass;
    assert!(!is_affected("DescribeServices"));
    assert_eq!(
        [is_affected("DescribeTasks"), is_affected("DescribeTasks"), is_affected("DescribeTasks")],
        [true, true, false]
    );
    assert_eq!(faults.plan().rules[0].times, Some(0));
}

#[test]
fn latencies_add_up_and_the_first_other_effect_applies() {
    let mut faults = faults(json!({ "rules": [
        { "on": "sqs:*", "effect": { "kind": "latency", "least": "1s" } },
        { "on": "sqs:*", "effect": { "kind": "drop", "when": "after" } },
        { "on": "sqs:*", "times": 1, "effect": { "kind": "error", "code": "AccessDenied", "status": 403 } },
        { "on": "*", "effect": { "kind": "latency", "least": "500ms" } },
    ] }));
    let verdict = faults.decide(Service::Sqs, "SendMessage", at(0));
    assert_eq!(verdict.latency, Duration::from_millis(1500));
    assert_eq!(verdict.outcome, Outcome::Drop(Moment::After));
    assert_eq!(faults.plan().rules[2].times, Some(1), "a rule without effect doesn't count down");
}

#[test]
fn each_operation_is_throttled_separately_with_its_services_error_code() {
    let throttle = |on: &str| json!({ "throttles": [{ "on": on, "capacity": 2, "refill-per-second": 1.0 }] });
    for (service, code) in [
        (Service::Ecs, "ThrottlingException"),
        (Service::EventBridge, "ThrottlingException"),
        (Service::Elb, "Throttling"),
        (Service::Sqs, "RequestThrottled"),
    ] {
        let mut faults = faults(throttle("*"));
        let mut outcome = |operation, now| faults.decide(service, operation, now).outcome;
        assert_eq!(outcome("A", at(0)), Outcome::Pass);
        assert_eq!(outcome("A", at(0)), Outcome::Pass);
        let Outcome::Refuse(refusal) = outcome("A", at(0)) else { panic!("the third request of a burst passed") };
        assert_eq!(refusal.code, code);
        assert_eq!(outcome("B", at(0)), Outcome::Pass);
        assert_ne!(outcome("A", at(900)), Outcome::Pass);
        assert_eq!(outcome("A", at(1000)), Outcome::Pass);
        assert_ne!(outcome("A", at(1000)), Outcome::Pass);
    }
}

#[test]
fn invalid_plans_are_refused_with_a_message() {
    let rule = |on: &str, rate: f64, effect: serde_json::Value| json!({ "rules": [{ "on": on, "rate": rate, "effect": effect }] });
    let latency = json!({ "kind": "latency", "least": "1s" });
    let cases = [
        (rule("ecs:DescribeTask", 1.0, latency.clone()), "\"ecs:DescribeTask\" names no operation"),
        (rule("*", 1.5, latency), "the rate 1.5 is not from 0 to 1"),
        (rule("*", 1.0, json!({ "kind": "latency", "least": "2s", "most": "1s" })), "the latency is empty"),
        (rule("*", 1.0, json!({ "kind": "latency", "least": "2 parsecs" })), "write it like \"500ms\" or \"2s\""),
        (rule("*", 1.0, json!({ "kind": "error", "code": "X", "status": 200 })), "not from 400 to 599"),
        (rule("*", 1.0, json!({ "kind": "flood" })), "unknown variant `flood`"),
        (json!({ "throttles": [{ "on": "*", "capacity": 0, "refill-per-second": 1.0 }] }), "at least 1"),
        (json!({ "throttles": [{ "on": "*", "capacity": 1, "refill-per-second": 0.0 }] }), "above 0"),
        (json!({ "rule": [] }), "unknown field `rule`"),
    ];
    for (plan, expected) in cases {
        let message = refused(plan.clone());
        assert!(message.contains(expected), "{plan} gives {message:?}");
    }
}

#[test]
fn a_refused_plan_leaves_the_active_plan_in_place() {
    let effect = json!({ "kind": "drop", "when": "before" });
    let mut faults = faults(json!({ "rules": [{ "on": "*", "effect": effect }] }));
    let invalid: FaultPlan =
        serde_json::from_value(json!({ "rules": [{ "on": "none", "effect": effect }] })).expect("a plan");
    faults.set(invalid).expect_err("a pattern that matches no operation");
    assert_eq!(faults.decide(Service::Ecs, "ListTasks", at(0)).outcome, Outcome::Drop(Moment::Before));
    faults.clear();
    assert_eq!(faults.decide(Service::Ecs, "ListTasks", at(0)).outcome, Outcome::Pass);
}

proptest! {
    #[test]
    fn the_same_seed_gives_the_same_verdicts(seed: u64, rate in 0.0..=1.0, calls in 1..200usize) {
        let plan = json!({ "rules": [
            { "on": "*", "rate": rate, "effect": { "kind": "latency", "least": "1ms", "most": "1s" } },
            { "on": "ecs:*", "rate": rate, "effect": { "kind": "drop", "when": "after" } },
        ] });
        let plan: FaultPlan = serde_json::from_value(plan).expect("a plan");
        let verdicts = || {
            let mut faults = Faults::new(seed);
            faults.set(plan.clone()).expect("a valid plan");
            (0..calls).map(|_| faults.decide(Service::Ecs, "ListTasks", at(0))).collect::<Vec<_>>()
        };
        prop_assert_eq!(verdicts(), verdicts());
    }

    #[test]
    fn a_latency_is_within_its_bounds(seed: u64, least in 0..5_000u64, spread in 0..5_000u64) {
        let least = Duration::from_millis(least);
        let most = least + Duration::from_millis(spread);
        let mut faults = Faults::new(seed);
        let effect = Effect::Latency { least, most: Some(most) };
        let rule = Rule { on: Pattern("*".to_owned()), rate: 1.0, times: None, effect };
        faults.set(FaultPlan { throttles: Vec::new(), rules: vec![rule] }).expect("a valid plan");
        for _ in 0..20 {
            let latency = faults.decide(Service::Elb, "DescribeTags", at(0)).latency;
            prop_assert!((least..=most).contains(&latency));
        }
    }

    #[test]
    fn a_rate_of_zero_affects_no_request_and_a_rate_of_one_all(seed: u64) {
        for (rate, affected) in [(0.0, 0), (1.0, 50)] {
            let mut faults = Faults::new(seed);
            let rule = Rule {
                on: Pattern("*".to_owned()), rate, times: None, effect: Effect::Drop { when: Moment::Before },
            };
            faults.set(FaultPlan { throttles: Vec::new(), rules: vec![rule] }).expect("a valid plan");
            let outcomes = (0..50).map(|_| faults.decide(Service::Sqs, "SendMessage", at(0)).outcome);
            prop_assert_eq!(outcomes.filter(|outcome| *outcome != Outcome::Pass).count(), affected);
        }
    }

    #[test]
    fn a_bucket_passes_no_more_than_its_capacity_and_refill(
        capacity in 1..20u32, refill in 0.5..20.0f64, gaps in prop::collection::vec(-50i64..500, 1..200),
    ) {
        let mut bucket = TokenBucket::full(capacity, refill, at(0));
        let (mut now, mut latest, mut passed) = (0i64, 0i64, 0u32);
        for gap in gaps {
            now += gap;
            latest = latest.max(now);
            passed += u32::from(bucket.take(at(now)));
            let bound = f64::from(capacity) + refill * latest as f64 / 1000.0;
            prop_assert!(f64::from(passed) <= bound + 1e-6, "{} passed within {} ms", passed, latest);
        }
    }

    #[test]
    fn a_plan_survives_serialization(percent in 0..=100u8, times in prop::option::of(0..9u32), least in 0..9_000u64) {
        let effect = Effect::Latency { least: Duration::from_millis(least), most: None };
        let rate = f64::from(percent) / 100.0;
        let plan = FaultPlan {
            throttles: vec![Throttle { on: Pattern("sqs:*".to_owned()), capacity: 3, refill_per_second: 0.5 }],
            rules: vec![Rule { on: Pattern("*".to_owned()), rate, times, effect }],
        };
        let json = serde_json::to_string(&plan).expect("a plan is serializable");
        prop_assert_eq!(serde_json::from_str::<FaultPlan>(&json).expect("a plan"), plan);
    }
}
