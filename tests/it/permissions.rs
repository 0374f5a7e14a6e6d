//! The watcher's IAM policy: it allows everything that the watcher does, every action in it is needed, and it allows
//! nothing else. terraform renders the policy, and ministack's IAM evaluates it.

use std::collections::BTreeSet;
use std::path::Path;
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

use crate::wait::eventually;
use crate::watcher::{Launch, Line, Watcher};

mod authorization;
mod evaluator;
mod gate;
mod policy;

use authorization::{Authorization, HERE};
use evaluator::Evaluator;
use gate::{Decision, Gate};

/// The first half of a short scenario that involves registration, deregistration, marking and teardown.
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

/// The second half of the scenario.
const CALL_ENDS: &str = "title = \"The call ends\"\n[[step]]\nat = \"0s\"\nscale = 0\n";

/// A load balancer that is used again within its grace period. An evening shows that only where the watcher is quick.
const USED_AGAIN: &str = r#"
title = "Used again"
time-scale = 300
watcher = { idle-grace = "10m", unused-grace = "1s", resync-interval = "1s" }

[[step]]
at = "0s"
create-load-balancer = true
"#;

/// The use.
const USE: &str = "title = \"The use\"\n[[step]]\nat = \"0s\"\nscale = 1\n";

/// The number of watchers that run at the same time. More would slow each other down.
const CONCURRENCY: usize = 4;

/// A watcher on a sandbox, with a policy enforced between them.
struct Stage {
    sandbox: Arc<Sandbox>,
    gate: Gate,
    watcher: Watcher,
}

impl Stage {
    async fn start(scenario: &Scenario, policy: Value) -> Self {
        let world = World::new(scenario.scaled_world(), 1, Timestamp::now());
        let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
        sandbox.with_world(platform::set_up).expect("the platform can be created");
        let sandbox = Arc::new(sandbox);
        let gate = Gate::start(Arc::clone(&sandbox), policy).await;
        let format = |duration: Duration| humantime::format_duration(duration).to_string();
        let watcher = Launch::bare("run")
            .env("AWS_ENDPOINT_URL", &gate.endpoint())
            .env("JITSI_PROJECT", PROJECT)
            .env("JITSI_AWS_REGION", "eu-west-1")
            // A URL, as in the terraform module: with it the watcher doesn't call sqs:GetQueueUrl.
            .env("JVB_WATCHER_QUEUE", &format!("{}/111122223333/{PROJECT}-jvb-watcher", sandbox.endpoint()))
            .env("JVB_WATCHER_IDLE_GRACE", &format(scenario.watcher.idle_grace))
            .env("JVB_WATCHER_UNUSED_GRACE", &format(scenario.watcher.unused_grace))
            .env("JVB_WATCHER_RESYNC_INTERVAL", &format(scenario.watcher.resync_interval))
            // Minutes pass in a second, so during a wait of seconds the visibility of messages would sometimes be extended.
            .args(["--ecs-lag", "0s"])
            .start();
        Self { sandbox, gate, watcher }
    }

    fn is_torn_down(&self) -> bool {
        self.sandbox.with_world(|world, _| world.load_balancers().is_empty() && world.groups().is_empty())
    }

    /// Returns whether the watcher's queue has no message, received ones included.
    fn is_drained(&self) -> bool {
        let queues = self.sandbox.with_world(|world, now| {
            world.step(now);
            world.queues()
        });
        queues
            .iter()
            .filter(|queue| queue.name.ends_with("-jvb-watcher"))
            .all(|queue| queue.visible + queue.in_flight == 0)
    }

    /// Returns whether both target groups have a target.
    fn is_registered(&self) -> bool {
        let groups = self.sandbox.with_world(|world, _| world.groups());
        groups.len() == 2 && groups.iter().all(|group| !group.targets.is_empty())
    }

    /// Returns the first missing action that the watcher has logged.
    fn missing_action(&self) -> Option<String> {
        self.watcher.lines().iter().find_map(missing_action)
    }
}

#[tokio::test]
async fn the_policy_allows_every_call_of_the_demo_and_needs_every_action() {
    let policy = policy::on_fargate();
    let scenario = evening();
    let stage = Stage::start(&scenario, policy.clone()).await;
    play(&scenario, &stage.sandbox, |_| Ok(())).await.expect("every step succeeds");
    eventually("everything is torn down", async || stage.is_torn_down().then_some(())).await;
    stage.watcher.wait_for("teardown_completed").await;
    // At its end the watcher would change the visibility of those that it has received.
    eventually("no message is left", async || stage.is_drained().then_some(())).await;
    let Stage { gate, watcher, .. } = stage;
    assert_eq!(watcher.stop().await, Some(0));
    let mut decisions = gate.decisions();
    decisions.extend(use_again(policy).await);

    let unknown: BTreeSet<_> =
        decisions.iter().filter(|decision| decision.required.is_empty()).map(|decision| &decision.call).collect();
    assert!(unknown.is_empty(), "the tests don't know the permissions that these calls need: {unknown:?}");
    let denied: Vec<_> = decisions.iter().filter_map(|decision| decision.denied.as_ref()).collect();
    assert!(denied.is_empty(), "denied: {denied:#?}");

    let unneeded = &allowed(policy) - &actions_in(&decisions);
    // The watcher extends the visibility of messages while reconciling fails, which the next test covers.
    assert_eq!(unneeded, BTreeSet::from(["sqs:ChangeMessageVisibility".to_owned()]));
}

/// Lets a marked load balancer be used again, and returns the decisions about the watcher's calls.
async fn use_again(policy: &Value) -> Vec<Decision> {
    let [idle, used] = [USED_AGAIN, USE].map(|text| Scenario::parse("used.toml", text).expect("the scenario is valid"));
    let stage = Stage::start(&idle, policy.clone()).await;
    play(&idle, &stage.sandbox, |_| Ok(())).await.expect("every step succeeds");
    stage.watcher.wait_for("idle_marked").await;
    play(&used, &stage.sandbox, |_| Ok(())).await.expect("every step succeeds");
    stage.watcher.wait_for("idle_unmarked").await;
    assert_eq!(stage.watcher.stop().await, Some(0));
    stage.gate.decisions()
}

/// The evening with incidents, and without a stop for disuse, which needs a permission of its own.
fn evening() -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios/evening.toml");
    Scenario::read(&file).expect("the scenario is valid")
}

/// Returns the actions that a policy allows.
fn allowed(policy: &Value) -> BTreeSet<String> {
    policy::statements(policy).iter().flat_map(policy::actions).map(str::to_owned).collect()
}

/// Returns the actions that calls required.
fn actions_in(decisions: &[Decision]) -> BTreeSet<String> {
    decisions.iter().flat_map(|decision| &decision.required).map(|required| required.action.clone()).collect()
}

/// Returns the missing action that a line names.
fn missing_action(line: &Line) -> Option<String> {
    let failures = ["poll_failed", "reconcile_failed", "feed_check_failed", "finding_check_failed", "publish_failed"];
    let is_failure = failures.contains(&line.event());
    let text = is_failure.then(|| line.text("error"))?;
    let action = text.split_once("; allow the action ")?.1.split_once(" on it")?.0;
    Some(action.to_owned())
}

#[tokio::test]
async fn without_any_statement_the_watcher_keeps_running_and_names_the_missing_action() {
    let statements = policy::statements(policy::on_fargate());
    let needed = stream::iter(statements).map(run_without).buffer_unordered(CONCURRENCY);
    let needed = needed.collect::<Vec<_>>().await.into_iter().flatten().collect::<BTreeSet<_>>();
    // The watcher extends the visibility of its messages while reconciling fails, and returns them when it stops.
    assert!(needed.contains("sqs:ChangeMessageVisibility"), "{needed:?}");
}

/// Plays the short scenario without a statement, and returns the actions that the watcher required.
async fn run_without(statement: &Value) -> BTreeSet<String> {
    let sid = statement["Sid"].as_str().expect("every statement has an ID");
    let [begins, ends] =
        [CALL_BEGINS, CALL_ENDS].map(|text| Scenario::parse("short.toml", text).expect("the scenario is valid"));
    let mut stage = Stage::start(&begins, policy::without(policy::on_fargate(), sid)).await;
    play(&begins, &stage.sandbox, |_| Ok(())).await.expect("every step succeeds");
    eventually(&format!("the watcher without {sid} registers the task or names an action"), async || {
        (stage.is_registered() || stage.missing_action().is_some()).then_some(())
    })
    .await;
    play(&ends, &stage.sandbox, |_| Ok(())).await.expect("every step succeeds");
    let missing =
        eventually(&format!("the watcher without {sid} names an action"), async || stage.missing_action()).await;
    // A batch operation requires the action of the single operation.
    let missing = missing.trim_end_matches("Batch");
    assert!(policy::actions(statement).contains(&missing), "without {sid} the watcher names {missing}");
    assert!(stage.watcher.is_running(), "the watcher has ended without {sid}");
    assert_eq!(stage.watcher.stop().await, Some(0), "without {sid}");
    let decisions = stage.gate.decisions();
    for denied in decisions.iter().filter_map(|decision| decision.denied.as_ref()) {
        assert!(policy::actions(statement).contains(&denied.action.as_str()), "without {sid}: {denied:?} is denied");
    }
    actions_in(&decisions)
}

/// Returns the actions that `doctor` reports as denied under a policy.
async fn denied_to_doctor(policy: Value) -> BTreeSet<String> {
    let world = World::new(evening().scaled_world(), 1, Timestamp::now());
    let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
    sandbox.with_world(platform::set_up).expect("the platform can be created");
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
    let checks = diagnosis["checks"].as_array().expect("the diagnosis has checks");
    let failed = checks.iter().filter(|check| check["check"] == "permission" && check["result"] == "failed");
    let action = |check: &Value| Some(check["detail"].as_str()?.split_once(" is denied on ")?.0.to_owned());
    failed.map(|check| action(check).expect("the detail names an action")).collect()
}

#[tokio::test]
async fn doctor_accepts_the_policy_and_names_the_missing_actions() {
    assert_eq!(denied_to_doctor(policy::on_fargate().clone()).await, BTreeSet::new());
    let missing = |actions: &[&str]| actions.iter().map(|action| (*action).to_owned()).collect::<BTreeSet<_>>();
    for (sid, actions) in [
        (
            "ChangeTargets",
            ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"].as_slice(),
        ),
        ("ListItsTasks", &["ecs:ListTasks"]),
        ("ReadItsTasks", &["ecs:DescribeTasks"]),
        ("ReadTaskDefinitions", &["ecs:DescribeTaskDefinition"]),
    ] {
        assert_eq!(denied_to_doctor(policy::without(policy::on_fargate(), sid)).await, missing(actions), "{sid}");
    }
}

fn load_balancer(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{HERE}:loadbalancer/net/{name}/50dc6c495c0c9188")
}

fn group(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{HERE}:targetgroup/{name}/73e2d6bc24d8a067")
}

fn elb(operation: &str, arn: String) -> Authorization {
    Authorization::new(&format!("elasticloadbalancing:{operation}"), arn)
}

/// Returns the authorization for a resource with the owner tag.
fn owned(required: Authorization) -> Authorization {
    required.with("aws:ResourceTag/Lifecycle", "on-demand")
}

/// Returns the authorization for a resource with the watcher's mark.
fn marked(required: Authorization) -> Authorization {
    required.with(&format!("aws:ResourceTag/{MARK}"), "x")
}

/// Returns the authorization for a request that writes these tags.
fn tagging(required: Authorization, keys: &[&str]) -> Authorization {
    required.with("aws:TagKeys", json!(keys))
}

const MARK: &str = "jvb-watcher:idle-since";

#[test]
fn the_policy_denies_everything_else() {
    let evaluator = Evaluator::start();
    let sqs = |operation: &str, queue: &str| Authorization::new(operation, format!("arn:aws:sqs:{HERE}:{queue}"));
    let ecs = |operation: &str, resource: &str| Authorization::new(operation, format!("arn:aws:ecs:{HERE}:{resource}"));
    let list_tasks = |cluster: &str| {
        Authorization::new("ecs:ListTasks", "*").with("ecs:cluster", format!("arn:aws:ecs:{HERE}:cluster/{cluster}"))
    };
    let elsewhere = |required: Authorization, here: &str, there: &str| Authorization {
        resource: required.resource.replace(here, there),
        ..required
    };
    let delete_load_balancer = || owned(elb("DeleteLoadBalancer", load_balancer("jitsi-jvb-nlb")));
    let denied = [
        // The load balancer and target groups of another project, with and without owner tag and mark.
        owned(elb("DeleteLoadBalancer", load_balancer("other-jvb-nlb"))),
        owned(elb("DeleteLoadBalancer", load_balancer("jitsi-jvb-nlb-2"))),
        owned(elb("DeleteLoadBalancer", load_balancer("jitsi-jvb-nlb").replace("/net/", "/app/"))),
        owned(marked(elb("DeleteTargetGroup", group("other-jvb-udp")))),
        elb("RegisterTargets", group("other-jvb-udp")),
        elb("DeregisterTargets", group("other-jvb-udp")),
        tagging(owned(elb("AddTags", load_balancer("other-jvb-nlb"))), &[MARK]),
        tagging(owned(elb("RemoveTags", load_balancer("other-jvb-nlb"))), &[MARK]),
        tagging(elb("AddTags", group("other-jvb-udp")), &[MARK]),
        tagging(elb("RemoveTags", group("other-jvb-udp")), &[MARK]),
        // Another account or region.
        elsewhere(delete_load_balancer(), "111122223333", "444455556666"),
        elsewhere(delete_load_balancer(), "eu-west-1", "us-east-1"),
        elsewhere(elb("RegisterTargets", group("jitsi-jvb-udp")), "111122223333", "444455556666"),
        // The project's own resources without the owner tag, with another owner, or without a mark.
        elb("DeleteLoadBalancer", load_balancer("jitsi-jvb-nlb")),
        elb("DeleteLoadBalancer", load_balancer("jitsi-jvb-nlb")).with("aws:ResourceTag/Lifecycle", "permanent"),
        elb("DeleteTargetGroup", group("jitsi-jvb-udp")),
        owned(elb("DeleteTargetGroup", group("jitsi-jvb-udp"))),
        // The watcher may write its mark itself.
        marked(elb("DeleteTargetGroup", group("jitsi-jvb-udp"))),
        tagging(elb("AddTags", load_balancer("jitsi-jvb-nlb")), &[MARK]),
        // Taking ownership of a load balancer, and other tags than the marks.
        tagging(elb("AddTags", load_balancer("jitsi-jvb-nlb")), &["Lifecycle"]),
        tagging(owned(elb("AddTags", load_balancer("jitsi-jvb-nlb"))), &[MARK, "Name"]),
        tagging(owned(elb("RemoveTags", load_balancer("jitsi-jvb-nlb"))), &["Lifecycle"]),
        tagging(owned(elb("AddTags", load_balancer("jitsi-jvb-nlb"))), &["jvb-watcher:hold-until"]),
        tagging(elb("AddTags", group("jitsi-jvb-udp")), &["Lifecycle"]),
        // Other changes of the project's own resources.
        owned(elb("CreateLoadBalancer", load_balancer("jitsi-jvb-nlb"))),
        owned(elb("ModifyLoadBalancerAttributes", load_balancer("jitsi-jvb-nlb"))),
        owned(elb("SetSecurityGroups", load_balancer("jitsi-jvb-nlb"))),
        elb("ModifyTargetGroup", group("jitsi-jvb-udp")),
        elb("DeleteListener", load_balancer("jitsi-jvb-nlb").replace(":loadbalancer/", ":listener/") + "/a1b2"),
        // Other queues, the dead-letter queue, and other operations than consuming.
        sqs("sqs:ReceiveMessage", "other-jvb-watcher"),
        sqs("sqs:ReceiveMessage", "jitsi-jvb-watcher-dead"),
        sqs("sqs:DeleteMessage", "other-jvb-watcher"),
        sqs("sqs:ChangeMessageVisibility", "other-jvb-watcher"),
        sqs("sqs:PurgeQueue", "other-jvb-watcher"),
        sqs("sqs:PurgeQueue", "jitsi-jvb-watcher"),
        sqs("sqs:DeleteQueue", "jitsi-jvb-watcher"),
        sqs("sqs:SendMessage", "jitsi-jvb-watcher"),
        sqs("sqs:SetQueueAttributes", "jitsi-jvb-watcher"),
        // Other services, and changes of any service.
        ecs("ecs:DescribeServices", "service/jitsi-cluster/other-service"),
        ecs("ecs:DescribeServices", "service/other-cluster/jitsi-service"),
        ecs("ecs:DescribeTasks", "task/other-cluster/0f9de17a6465404e8b1b2356dc13c2f8"),
        list_tasks("other-cluster"),
        Authorization::new("ecs:ListTasks", "*"),
        ecs("ecs:UpdateService", "service/jitsi-cluster/jitsi-service"),
        ecs("ecs:DeleteService", "service/jitsi-cluster/jitsi-service"),
        ecs("ecs:StopTask", "task/jitsi-cluster/0f9de17a6465404e8b1b2356dc13c2f8"),
        ecs("ecs:RunTask", "task-definition/jitsi-jvb:1"),
        ecs("ecs:RegisterTaskDefinition", "task-definition/jitsi-jvb:1"),
        ecs("ecs:DeregisterTaskDefinition", "task-definition/jitsi-jvb:1"),
        ecs("ecs:ExecuteCommand", "task/jitsi-cluster/0f9de17a6465404e8b1b2356dc13c2f8"),
        // The rest of the account.
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
    let policies = [
        policy::on_fargate(),
        policy::on_lambda(),
        policy::with_groups_kept(),
        policy::with_teardown_off(),
        policy::of_list(),
    ];
    for policy in policies {
        for required in &denied {
            assert!(!evaluator.allows(policy, required), "{required:?} is allowed by {policy:#}");
        }
    }

    // Denials are meaningful only if the corresponding request for the project's own resources is allowed.
    let lifecycle = [
        elb("RegisterTargets", group("jitsi-jvb-udp")),
        elb("DeregisterTargets", group("jitsi-jvb-tcp-tg")),
        sqs("sqs:ReceiveMessage", "jitsi-jvb-watcher"),
        ecs("ecs:DescribeServices", "service/jitsi-cluster/jitsi-service"),
        ecs("ecs:DescribeTasks", "task/jitsi-cluster/0f9de17a6465404e8b1b2356dc13c2f8"),
        list_tasks("jitsi-cluster"),
        Authorization::new("ecs:DescribeTaskDefinition", "*"),
    ];
    let teardown = [
        delete_load_balancer(),
        tagging(owned(elb("AddTags", load_balancer("jitsi-jvb-nlb"))), &[MARK]),
        // Also with teardown load-balancer: the target groups may carry marks from before that setting, which must be
        // removed when the service is used again.
        tagging(elb("RemoveTags", group("jitsi-jvb-udp")), &[MARK, "jvb-watcher:load-balancer"]),
    ];
    let delete_group =
        ["jitsi-jvb-tcp-tg", "jitsi-jvb-web"].map(|name| owned(marked(elb("DeleteTargetGroup", group(name)))));
    for (policy, deletes, deletes_groups) in [
        (policy::on_fargate(), true, true),
        (policy::on_lambda(), true, true),
        (policy::with_groups_kept(), true, false),
        (policy::with_teardown_off(), false, false),
        (policy::of_list(), true, true),
    ] {
        let expected = [(lifecycle.as_slice(), true), (&teardown, deletes), (&delete_group, deletes_groups)];
        for (required, is_allowed) in expected {
            for required in required {
                assert_eq!(evaluator.allows(policy, required), is_allowed, "{required:?} by {policy:#}");
            }
        }
    }
}

#[test]
fn discovery_is_limited_to_tagged_services_of_the_cluster_and_to_owned_load_balancers() {
    let evaluator = Evaluator::start();
    let on = |action: &str, cluster: &str| {
        Authorization::new(action, format!("arn:aws:ecs:{HERE}:service/{cluster}/any-service"))
    };
    let list = |cluster: &str| {
        Authorization::new("ecs:ListServices", "*").with("ecs:cluster", format!("arn:aws:ecs:{HERE}:cluster/{cluster}"))
    };
    let tagged = |required: Authorization, options: &[&str]| {
        options
            .iter()
            .fold(required, |required, option| required.with(&format!("aws:ResourceTag/jvb-watcher:{option}"), "x"))
    };
    let both = ["load-balancer", "stop-when-unused"];
    let lease = |cluster: &str, key: &str| tagging(tagged(on("ecs:TagResource", cluster), &both), &[key]);
    let allowed = [
        list("jitsi-cluster"),
        on("ecs:DescribeServices", "jitsi-cluster"),
        tagged(on("ecs:UpdateService", "jitsi-cluster"), &both),
        lease("jitsi-cluster", "jvb-watcher:operation"),
        owned(elb("RegisterTargets", group("any-group"))),
        owned(elb("DeleteLoadBalancer", load_balancer("any-nlb"))),
        owned(marked(elb("DeleteTargetGroup", group("any-group")))),
    ];
    let denied = [
        list("other-cluster"),
        on("ecs:DescribeServices", "other-cluster"),
        on("ecs:UpdateService", "jitsi-cluster"),
        tagged(on("ecs:UpdateService", "jitsi-cluster"), &both[..1]),
        tagged(on("ecs:UpdateService", "other-cluster"), &both),
        lease("other-cluster", "jvb-watcher:operation"),
        // With one of these the watcher could give itself the permission.
        lease("jitsi-cluster", "jvb-watcher:stop-when-unused"),
        tagging(on("ecs:TagResource", "jitsi-cluster"), &["jvb-watcher:load-balancer"]),
        tagging(owned(elb("AddTags", load_balancer("any-nlb"))), &["Lifecycle"]),
        elb("RegisterTargets", group("any-group")),
        elb("DeleteLoadBalancer", load_balancer("any-nlb")),
        marked(elb("DeleteTargetGroup", group("any-group"))),
    ];
    for required in &allowed {
        assert!(evaluator.allows(policy::of_discovery(), required), "{required:?} is denied");
    }
    for required in &denied {
        assert!(!evaluator.allows(policy::of_discovery(), required), "{required:?} is allowed");
    }
}

#[test]
fn a_stop_may_change_the_one_service_and_its_announcement_only() {
    let evaluator = Evaluator::start();
    let on = |action: &str, service: &str| {
        Authorization::new(action, format!("arn:aws:ecs:{HERE}:service/jitsi-cluster/{service}"))
    };
    let lease = |action: &str, service: &str| tagging(on(action, service), &["jvb-watcher:operation"]);
    let announce = |operation: &str, name: &str, key: &str| tagging(owned(elb(operation, load_balancer(name))), &[key]);
    const STOP_AT: &str = "jvb-watcher:stop-at";
    let allowed = [
        on("ecs:UpdateService", "jitsi-service"),
        on("ecs:ListTagsForResource", "jitsi-service"),
        lease("ecs:TagResource", "jitsi-service"),
        lease("ecs:UntagResource", "jitsi-service"),
        announce("AddTags", "jitsi-jvb-nlb", STOP_AT),
        announce("RemoveTags", "jitsi-jvb-nlb", STOP_AT),
    ];
    let denied = [
        on("ecs:UpdateService", "other-service"),
        on("ecs:DeleteService", "jitsi-service"),
        on("ecs:ListTagsForResource", "other-service"),
        lease("ecs:TagResource", "other-service"),
        tagging(on("ecs:TagResource", "jitsi-service"), &["Name"]),
        tagging(on("ecs:UntagResource", "jitsi-service"), &["Name"]),
        announce("AddTags", "other-jvb-nlb", STOP_AT),
        announce("AddTags", "jitsi-jvb-nlb", "jvb-watcher:hold-until"),
        tagging(elb("AddTags", load_balancer("jitsi-jvb-nlb")), &[STOP_AT]),
        Authorization::new("iam:PassRole", "arn:aws:iam::111122223333:role/jitsi-jvb"),
    ];
    for required in &allowed {
        assert!(evaluator.allows(policy::with_stop(), required), "{required:?}");
        assert!(!evaluator.allows(policy::on_fargate(), required), "{required:?}, without the option");
    }
    for required in &denied {
        assert!(!evaluator.allows(policy::with_stop(), required), "{required:?}");
    }
}

#[test]
fn dangerous_writes_have_conditions_and_no_write_applies_to_all_resources() {
    let owner = json!({ "aws:ResourceTag/Lifecycle": "on-demand" });
    let marks = json!({ "aws:TagKeys": [MARK, "jvb-watcher:load-balancer"] });
    for policy in [policy::on_fargate(), policy::on_lambda()] {
        let conditions: Vec<_> = policy::statements(policy)
            .iter()
            .filter(|statement| !statement["Condition"].is_null())
            .map(|statement| (statement["Sid"].as_str().expect("every statement has an ID"), &statement["Condition"]))
            .collect();
        let expected = [
            (
                "ListItsTasks",
                json!({ "ArnEquals": { "ecs:cluster": format!("arn:aws:ecs:{HERE}:cluster/jitsi-cluster") } }),
            ),
            ("MarkTheLoadBalancer", json!({ "StringEquals": owner, "ForAllValues:StringEquals": marks })),
            ("MarkTargetGroups", json!({ "ForAllValues:StringEquals": marks })),
            ("DeleteTheLoadBalancer", json!({ "StringEquals": owner })),
            (
                "DeleteMarkedTargetGroups",
                json!({ "StringEquals": owner, "Null": { format!("aws:ResourceTag/{MARK}"): "false" } }),
            ),
        ];
        assert_eq!(conditions, expected.iter().map(|(sid, condition)| (*sid, condition)).collect::<Vec<_>>());
        for statement in policy::statements(policy) {
            assert_eq!(statement["Effect"], "Allow");
            let applies_to_all = statement["Resource"] == "*";
            for action in policy::actions(statement) {
                assert!(!action.contains('*'), "{action} has a wildcard");
                let operation = action.split(':').nth(1).expect("an action has an operation");
                let reads = ["Describe", "Get", "List", "Test"].iter().any(|read| operation.starts_with(read));
                assert!(reads || !applies_to_all, "{action} applies to all resources");
            }
        }
    }
}

#[test]
fn the_functions_permissions_differ_from_the_workers_only_for_the_queue() {
    let [function, worker] = [policy::on_lambda(), policy::on_fargate()].map(policy::statements);
    assert_eq!(function[1..], worker[1..]);
    assert_eq!(policy::actions(&function[0]), ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]);
    assert_eq!(function[0]["Resource"], worker[0]["Resource"]);
}
