//! The watcher's IAM policy is true: it allows what the watcher does, nothing of it is there for nothing, and it
//! allows nothing else. The policy is the one that terraform renders, the judge is ministack's IAM.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform::{self, PROJECT};
use jvb_watcher_sandbox::scenario::{Scenario, play};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::World;
use serde_json::{Value, json};

use crate::wait::{eventually, within};
use crate::watcher::{Launch, Line, Watcher};

mod authorization;
mod gate;
mod judge;
mod policy;

use authorization::{Authorization, HERE};
use gate::{Gate, Judged};
use judge::Judge;

/// The first half of the shortest evening that has everything in it: registering, deregistering, marking and teardown.
const CALL_BEGINS: &str = r#"
title = "A call begins"
time-scale = 300
watcher = { idle-grace = "1s", unused-grace = "10s", resync-interval = "1s" }

[[step]]
at = "0s"
create-load-balancer = true

[[step]]
at = "200ms"
scale = 1
"#;

/// And its second half.
const CALL_ENDS: &str = "title = \"The call ends\"\n[[step]]\nat = \"0s\"\nscale = 0\n";

/// How many watchers are without a statement at a time: all at once would keep each other from their looks.
const AT_ONCE: usize = 4;

/// The watcher at a sandbox, with a policy between them.
struct Stage {
    sandbox: Arc<Sandbox>,
    gate: Gate,
    watcher: Watcher,
}

impl Stage {
    async fn set(scenario: &Scenario, policy: Value) -> Self {
        let world = World::new(scenario.scaled_world(), 1, Timestamp::now());
        let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
        sandbox.with_world(platform::set_up).expect("the platform can be made");
        let sandbox = Arc::new(sandbox);
        let gate = Gate::start(Arc::clone(&sandbox), policy).await;
        let patience = |duration: Duration| humantime::format_duration(duration).to_string();
        let watcher = Launch::bare("run")
            .env("AWS_ENDPOINT_URL", &gate.endpoint())
            .env("JITSI_PROJECT", PROJECT)
            .env("JITSI_AWS_REGION", "eu-west-1")
            // As the module has it: with the URL nobody needs sqs:GetQueueUrl.
            .env("JVB_WATCHER_QUEUE", &format!("{}/111122223333/{PROJECT}-jvb-watcher", sandbox.endpoint()))
            .env("JVB_WATCHER_IDLE_GRACE", &patience(scenario.watcher.idle_grace))
            .env("JVB_WATCHER_UNUSED_GRACE", &patience(scenario.watcher.unused_grace))
            .env("JVB_WATCHER_RESYNC_INTERVAL", &patience(scenario.watcher.resync_interval))
            .start();
        Self { sandbox, gate, watcher }
    }

    fn is_torn_down(&self) -> bool {
        self.sandbox.with_world(|world, _| world.load_balancers().is_empty() && world.groups().is_empty())
    }

    /// Whether both groups have a target.
    fn is_registered(&self) -> bool {
        let groups = self.sandbox.with_world(|world, _| world.groups());
        groups.len() == 2 && groups.iter().all(|group| !group.targets.is_empty())
    }

    /// The action that the watcher first said it lacked.
    fn named(&self) -> Option<String> {
        self.watcher.lines().iter().find_map(lacking)
    }
}

#[tokio::test]
async fn everything_that_the_watcher_does_in_the_demos_evening_is_allowed_and_nothing_is_there_for_nothing() {
    let policy = policy::on_fargate();
    let scenario = Scenario::evening().expect("the built-in evening is right");
    let stage = Stage::set(&scenario, policy.clone()).await;
    play(&scenario, &stage.sandbox, |_| Ok(())).await.expect("the world takes every step");
    within(Duration::from_secs(40), "nothing is left", async || stage.is_torn_down().then_some(())).await;
    stage.watcher.wait_for("teardown_completed").await;
    let Stage { gate, watcher, .. } = stage;
    assert_eq!(watcher.stop().await, Some(0));

    let judged = gate.judged();
    let unknown: BTreeSet<_> =
        judged.iter().filter(|judged| judged.asked.is_empty()).map(|judged| &judged.call).collect();
    assert!(unknown.is_empty(), "what these calls need isn't known to the tests: {unknown:?}");
    let denied: Vec<_> = judged.iter().filter_map(|judged| judged.denied.as_ref()).collect();
    assert!(denied.is_empty(), "denied: {denied:#?}");

    let unneeded = &allowed(policy) - &actions_in(&judged);
    // That is for messages in hand while looks fail; the next test shows it.
    assert_eq!(unneeded, BTreeSet::from(["sqs:ChangeMessageVisibility".to_owned()]));
}

/// The actions that a policy names.
fn allowed(policy: &Value) -> BTreeSet<String> {
    policy::statements(policy).iter().flat_map(policy::actions).map(str::to_owned).collect()
}

/// The actions that calls needed.
fn actions_in(judged: &[Judged]) -> BTreeSet<String> {
    judged.iter().flat_map(|judged| &judged.asked).map(|asked| asked.action.clone()).collect()
}

/// The action that a line names as lacking.
fn lacking(line: &Line) -> Option<String> {
    let is_failure =
        matches!(line.event(), "poll_failed" | "reconcile_failed" | "feed_check_failed" | "publish_failed");
    let text = is_failure.then(|| line.text("error"))?;
    let action = text.split_once("; allow the action ")?.1.split_once(" on it")?.0;
    Some(action.to_owned())
}

#[tokio::test]
async fn without_any_one_statement_the_watcher_runs_on_and_names_the_action_that_it_lacks() {
    let statements = policy::statements(policy::on_fargate());
    let needed = stream::iter(statements).map(run_without).buffer_unordered(AT_ONCE);
    let needed = needed.collect::<Vec<_>>().await.into_iter().flatten().collect::<BTreeSet<_>>();
    // Messages in hand are kept hidden while a look fails, and let go of when the worker stops then.
    assert!(needed.contains("sqs:ChangeMessageVisibility"), "{needed:?}");
}

/// Plays the short evening without a statement; gives what the watcher needed, allowed or not.
async fn run_without(statement: &Value) -> BTreeSet<String> {
    let sid = statement["Sid"].as_str().expect("every statement has a name");
    let [begins, ends] =
        [CALL_BEGINS, CALL_ENDS].map(|text| Scenario::parse("short.toml", text).expect("the scenario is right"));
    let mut stage = Stage::set(&begins, policy::without(policy::on_fargate(), sid)).await;
    play(&begins, &stage.sandbox, |_| Ok(())).await.expect("the world takes every step");
    eventually(&format!("without {sid} the watcher registers the task or names an action"), async || {
        (stage.is_registered() || stage.named().is_some()).then_some(())
    })
    .await;
    play(&ends, &stage.sandbox, |_| Ok(())).await.expect("the world takes every step");
    let named = eventually(&format!("without {sid} the watcher names an action"), async || stage.named()).await;
    // The program calls a batch by its own name; the action is the single one's.
    let named = named.trim_end_matches("Batch");
    assert!(policy::actions(statement).contains(&named), "without {sid} it says that it lacks {named}");
    assert!(stage.watcher.is_running(), "without {sid}");
    assert_eq!(stage.watcher.stop().await, Some(0), "without {sid}");
    let judged = stage.gate.judged();
    for denied in judged.iter().filter_map(|judged| judged.denied.as_ref()) {
        assert!(policy::actions(statement).contains(&denied.action.as_str()), "without {sid}: {denied:?} is denied");
    }
    actions_in(&judged)
}

/// The actions that `doctor` says are denied, by a policy.
async fn denied_to_doctor(policy: Value) -> BTreeSet<String> {
    let world = World::new(Scenario::evening().expect("it is right").scaled_world(), 1, Timestamp::now());
    let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
    sandbox.with_world(platform::set_up).expect("the platform can be made");
    let sandbox = Arc::new(sandbox);
    let gate = Gate::start(Arc::clone(&sandbox), policy).await;
    let doctor = Launch::bare("doctor")
        .env("AWS_ENDPOINT_URL", &gate.endpoint())
        .env("JITSI_PROJECT", PROJECT)
        .env("JITSI_AWS_REGION", "eu-west-1")
        .env("JVB_WATCHER_QUEUE", &format!("{}/111122223333/{PROJECT}-jvb-watcher", sandbox.endpoint()))
        .args(["--output", "json"])
        .finish()
        .await;
    let diagnosis: Value = serde_json::from_str(&doctor.stdout).unwrap_or_else(|error| panic!("{error}: {doctor:#?}"));
    let checks = diagnosis["checks"].as_array().expect("checks");
    let failed = checks.iter().filter(|check| check["check"] == "permission" && check["result"] == "failed");
    let action = |check: &Value| Some(check["detail"].as_str()?.split_once(" is denied on ")?.0.to_owned());
    failed.map(|check| action(check).expect("an action")).collect()
}

#[tokio::test]
async fn doctor_finds_the_watchers_policy_enough_and_names_what_one_lacks() {
    assert_eq!(denied_to_doctor(policy::on_fargate().clone()).await, BTreeSet::new());
    let lacking = |actions: &[&str]| actions.iter().map(|action| (*action).to_owned()).collect::<BTreeSet<_>>();
    for (sid, actions) in [
        (
            "ChangeTargets",
            ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"].as_slice(),
        ),
        ("ListItsTasks", &["ecs:ListTasks"]),
        ("ReadItsTasks", &["ecs:DescribeTasks"]),
    ] {
        assert_eq!(denied_to_doctor(policy::without(policy::on_fargate(), sid)).await, lacking(actions), "{sid}");
    }
}

fn balancer(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{HERE}:loadbalancer/net/{name}/50dc6c495c0c9188")
}

fn group(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{HERE}:targetgroup/{name}/73e2d6bc24d8a067")
}

fn elb(operation: &str, arn: String) -> Authorization {
    Authorization::new(&format!("elasticloadbalancing:{operation}"), arn)
}

/// On a resource that carries the owner tag.
fn owned(asked: Authorization) -> Authorization {
    asked.with("aws:ResourceTag/Lifecycle", "on-demand")
}

fn tagging(asked: Authorization, keys: &[&str]) -> Authorization {
    asked.with("aws:TagKeys", json!(keys))
}

const MARK: &str = "jvb-watcher:idle-since";

#[test]
fn what_the_watcher_has_no_business_with_is_denied() {
    let judge = Judge::start();
    let sqs = |operation: &str, queue: &str| Authorization::new(operation, format!("arn:aws:sqs:{HERE}:{queue}"));
    let ecs = |operation: &str, resource: &str| Authorization::new(operation, format!("arn:aws:ecs:{HERE}:{resource}"));
    let list_tasks = |cluster: &str| {
        Authorization::new("ecs:ListTasks", "*").with("ecs:cluster", format!("arn:aws:ecs:{HERE}:cluster/{cluster}"))
    };
    let elsewhere = |asked: Authorization, here: &str, there: &str| Authorization {
        resource: asked.resource.replace(here, there),
        ..asked
    };
    let delete_balancer = || owned(elb("DeleteLoadBalancer", balancer("jitsi-jvb-nlb")));
    let denied = [
        // Another project's balancer and groups, owner tag and mark or not.
        owned(elb("DeleteLoadBalancer", balancer("other-jvb-nlb"))),
        owned(elb("DeleteLoadBalancer", balancer("jitsi-jvb-nlb-2"))),
        owned(elb("DeleteLoadBalancer", balancer("jitsi-jvb-nlb").replace("/net/", "/app/"))),
        elb("DeleteTargetGroup", group("other-jvb-udp")).with(&format!("aws:ResourceTag/{MARK}"), "x"),
        elb("RegisterTargets", group("other-jvb-udp")),
        elb("DeregisterTargets", group("other-jvb-udp")),
        tagging(owned(elb("AddTags", balancer("other-jvb-nlb"))), &[MARK]),
        tagging(owned(elb("RemoveTags", balancer("other-jvb-nlb"))), &[MARK]),
        tagging(elb("AddTags", group("other-jvb-udp")), &[MARK]),
        tagging(elb("RemoveTags", group("other-jvb-udp")), &[MARK]),
        // Another account's and another region's.
        elsewhere(delete_balancer(), "111122223333", "444455556666"),
        elsewhere(delete_balancer(), "eu-west-1", "us-east-1"),
        elsewhere(elb("RegisterTargets", group("jitsi-jvb-udp")), "111122223333", "444455556666"),
        // Its own, but for what makes them its own: no owner tag, another owner, no mark.
        elb("DeleteLoadBalancer", balancer("jitsi-jvb-nlb")),
        elb("DeleteLoadBalancer", balancer("jitsi-jvb-nlb")).with("aws:ResourceTag/Lifecycle", "permanent"),
        elb("DeleteTargetGroup", group("jitsi-jvb-udp")),
        owned(elb("DeleteTargetGroup", group("jitsi-jvb-udp"))),
        tagging(elb("AddTags", balancer("jitsi-jvb-nlb")), &[MARK]),
        // It may not make a balancer its own, or write any tag but its marks.
        tagging(elb("AddTags", balancer("jitsi-jvb-nlb")), &["Lifecycle"]),
        tagging(owned(elb("AddTags", balancer("jitsi-jvb-nlb"))), &[MARK, "Name"]),
        tagging(owned(elb("RemoveTags", balancer("jitsi-jvb-nlb"))), &["Lifecycle"]),
        tagging(owned(elb("AddTags", balancer("jitsi-jvb-nlb"))), &["jvb-watcher:hold-until"]),
        tagging(elb("AddTags", group("jitsi-jvb-udp")), &["Lifecycle"]),
        // What it never does, even to its own.
        owned(elb("CreateLoadBalancer", balancer("jitsi-jvb-nlb"))),
        owned(elb("ModifyLoadBalancerAttributes", balancer("jitsi-jvb-nlb"))),
        owned(elb("SetSecurityGroups", balancer("jitsi-jvb-nlb"))),
        elb("ModifyTargetGroup", group("jitsi-jvb-udp")),
        elb("DeleteListener", balancer("jitsi-jvb-nlb").replace(":loadbalancer/", ":listener/") + "/a1b2"),
        // Queues: another's, its own dead letters, and what isn't reading.
        sqs("sqs:ReceiveMessage", "other-jvb-watcher"),
        sqs("sqs:ReceiveMessage", "jitsi-jvb-watcher-dead"),
        sqs("sqs:DeleteMessage", "other-jvb-watcher"),
        sqs("sqs:ChangeMessageVisibility", "other-jvb-watcher"),
        sqs("sqs:PurgeQueue", "other-jvb-watcher"),
        sqs("sqs:PurgeQueue", "jitsi-jvb-watcher"),
        sqs("sqs:DeleteQueue", "jitsi-jvb-watcher"),
        sqs("sqs:SendMessage", "jitsi-jvb-watcher"),
        sqs("sqs:SetQueueAttributes", "jitsi-jvb-watcher"),
        // ECS: reading another service, and changing any.
        ecs("ecs:DescribeServices", "service/jitsi-cluster/other-service"),
        ecs("ecs:DescribeServices", "service/other-cluster/jitsi-service"),
        ecs("ecs:DescribeTasks", "task/other-cluster/0f9de17a6465404e8b1b2356dc13c2f8"),
        list_tasks("other-cluster"),
        Authorization::new("ecs:ListTasks", "*"),
        ecs("ecs:UpdateService", "service/jitsi-cluster/jitsi-service"),
        ecs("ecs:DeleteService", "service/jitsi-cluster/jitsi-service"),
        ecs("ecs:StopTask", "task/jitsi-cluster/0f9de17a6465404e8b1b2356dc13c2f8"),
        ecs("ecs:RunTask", "task-definition/jitsi-jvb:1"),
        ecs("ecs:ExecuteCommand", "task/jitsi-cluster/0f9de17a6465404e8b1b2356dc13c2f8"),
        // And the rest of the account.
        Authorization::new(
            "logs:DeleteLogGroup",
            format!("arn:aws:logs:{HERE}:log-group:/aws/lambda/jitsi-jvb-watcher"),
        ),
        Authorization::new("events:PutRule", format!("arn:aws:events:{HERE}:rule/jitsi-jvb-watcher")),
        Authorization::new("events:DisableRule", format!("arn:aws:events:{HERE}:rule/jitsi-jvb-watcher")),
        Authorization::new("iam:PutRolePolicy", "arn:aws:iam::111122223333:role/jitsi-jvb-watcher"),
        Authorization::new("iam:PassRole", "arn:aws:iam::111122223333:role/jitsi-jvb-watcher"),
        Authorization::new("sts:AssumeRole", "arn:aws:iam::111122223333:role/admin"),
        Authorization::new("ec2:TerminateInstances", format!("arn:aws:ec2:{HERE}:instance/i-0123456789abcdef0")),
        Authorization::new("s3:GetObject", "arn:aws:s3:::bucket/key"),
    ];
    for policy in [policy::on_fargate(), policy::on_lambda(), policy::with_groups_left(), policy::with_teardown_off()] {
        for asked in &denied {
            assert!(!judge.allows(policy, asked), "allowed: {asked:?}\nby {policy:#}");
        }
    }

    // A denial shows something only where its neighbour is allowed.
    let lifecycle = [
        elb("RegisterTargets", group("jitsi-jvb-udp")),
        elb("DeregisterTargets", group("jitsi-jvb-tcp-tg")),
        sqs("sqs:ReceiveMessage", "jitsi-jvb-watcher"),
        ecs("ecs:DescribeServices", "service/jitsi-cluster/jitsi-service"),
        ecs("ecs:DescribeTasks", "task/jitsi-cluster/0f9de17a6465404e8b1b2356dc13c2f8"),
        list_tasks("jitsi-cluster"),
    ];
    let teardown = [
        delete_balancer(),
        tagging(owned(elb("AddTags", balancer("jitsi-jvb-nlb"))), &[MARK]),
        // Also where the groups are left: they may carry marks from a time when they weren't, and these must go when
        // the service is used again.
        tagging(elb("RemoveTags", group("jitsi-jvb-udp")), &[MARK, "jvb-watcher:load-balancer"]),
    ];
    let delete_group =
        [elb("DeleteTargetGroup", group("jitsi-jvb-tcp-tg")).with(&format!("aws:ResourceTag/{MARK}"), "x")];
    for (policy, deletes, deletes_groups) in [
        (policy::on_fargate(), true, true),
        (policy::on_lambda(), true, true),
        (policy::with_groups_left(), true, false),
        (policy::with_teardown_off(), false, false),
    ] {
        let expected = [(lifecycle.as_slice(), true), (&teardown, deletes), (&delete_group, deletes_groups)];
        for (asked, is_allowed) in expected {
            for asked in asked {
                assert_eq!(judge.allows(policy, asked), is_allowed, "{asked:?}\nby {policy:#}");
            }
        }
    }
}

#[test]
fn every_write_that_could_hurt_stands_under_a_condition_and_none_on_everything() {
    let owner = json!({ "aws:ResourceTag/Lifecycle": "on-demand" });
    let marks = json!({ "aws:TagKeys": [MARK, "jvb-watcher:load-balancer"] });
    for policy in [policy::on_fargate(), policy::on_lambda()] {
        let conditions: Vec<_> = policy::statements(policy)
            .iter()
            .filter(|statement| !statement["Condition"].is_null())
            .map(|statement| (statement["Sid"].as_str().expect("a name"), &statement["Condition"]))
            .collect();
        let expected = [
            (
                "ListItsTasks",
                json!({ "ArnEquals": { "ecs:cluster": format!("arn:aws:ecs:{HERE}:cluster/jitsi-cluster") } }),
            ),
            ("MarkTheLoadBalancer", json!({ "StringEquals": owner, "ForAllValues:StringEquals": marks })),
            ("MarkTargetGroups", json!({ "ForAllValues:StringEquals": marks })),
            ("DeleteTheLoadBalancer", json!({ "StringEquals": owner })),
            ("DeleteMarkedTargetGroups", json!({ "Null": { format!("aws:ResourceTag/{MARK}"): "false" } })),
        ];
        assert_eq!(conditions, expected.iter().map(|(sid, condition)| (*sid, condition)).collect::<Vec<_>>());
        for statement in policy::statements(policy) {
            assert_eq!(statement["Effect"], "Allow");
            let is_on_everything = statement["Resource"] == "*";
            for action in policy::actions(statement) {
                assert!(!action.contains('*'), "{action}");
                let operation = action.split(':').nth(1).expect("an action has an operation");
                let reads = ["Describe", "List", "Test"].iter().any(|read| operation.starts_with(read));
                assert!(reads || !is_on_everything, "{action} on everything");
            }
        }
    }
}

#[test]
fn the_function_has_the_workers_permissions_but_for_what_its_event_source_does() {
    let [function, worker] = [policy::on_lambda(), policy::on_fargate()].map(policy::statements);
    assert_eq!(function[1..], worker[1..]);
    assert_eq!(policy::actions(&function[0]), ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]);
    assert_eq!(function[0]["Resource"], worker[0]["Resource"]);
}
