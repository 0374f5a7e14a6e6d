//! The sandbox held against moto: the same calls, made by boto3 at both, and their answers compared field by field.
//!
//! Where the two differ, AWS's documentation judges; every difference stands in the table below with the reason. One
//! that doesn't stand there fails the test, and so does one that stands there and no longer occurs.

use jiff::Timestamp;
use jvb_watcher_sandbox::api::Service;
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Settings, World};
use serde_json::Value;

use crate::moto;
use crate::platform::{REGION, default_network, new_account};
use crate::proxy::Proxy;

const SCRIPT: &str = include_str!("sandbox_conformance.py");

/// A known difference.
struct Difference {
    /// The step, as the script names it; a `*` stands for anything.
    step: &'static str,
    /// Where in the step's answer; a `*` stands for anything, and `[]` for any place in a list.
    path: &'static str,
    /// Why the sandbox is as it is.
    reason: &'static str,
}

const fn differs(step: &'static str, path: &'static str, reason: &'static str) -> Difference {
    Difference { step, path, reason }
}

/// Members of AWS's that say nothing about the watcher's world, so the sandbox has none of them.
const NOT_MODELLED: &str = "the sandbox has no use for this member";

const NOT_IN_MOTO: &str = "AWS's Task has it (ECS API reference, Task); moto's doesn't";

const AT_ONCE: &str =
    "moto's tasks run and stop at once; AWS's walk through their statuses (ECS developer guide, task lifecycle)";

const ECS: &[Difference] = &[
    differs("cluster/*", "*.settings", NOT_MODELLED),
    differs("definition/*", "*.compatibilities", NOT_MODELLED),
    differs("definition/*", "*.containerDefinitions[].*", NOT_MODELLED),
    differs("definition/*", "*.placementConstraints", NOT_MODELLED),
    differs("definition/*", "*.volumes", NOT_MODELLED),
    differs("service/*", "*.deploymentController", NOT_MODELLED),
    differs("service/*", "*.deployments[].failedTasks", NOT_MODELLED),
    differs("service/*", "*.deployments[].launchType", NOT_MODELLED),
    differs("service/*", "*.deployments[].networkConfiguration", NOT_MODELLED),
    differs("service/*", "*.deployments[].platformFamily", NOT_MODELLED),
    differs("service/*", "*.deployments[].rolloutStateReason", NOT_MODELLED),
    differs("service/*", "*.events", NOT_MODELLED),
    differs("service/*", "*.loadBalancers", NOT_MODELLED),
    differs("service/*", "*.propagateTags", NOT_MODELLED),
    differs("service/*", "*.schedulingStrategy", NOT_MODELLED),
    differs("service/*", "*.serviceRegistries", NOT_MODELLED),
    differs("service/*", "*.service.tags", NOT_MODELLED),
    differs("service/*", "*.taskSets", NOT_MODELLED),
    differs("service/*", "*.createdAt", "AWS's Service has it (ECS API reference, Service); moto's doesn't"),
    differs("service/create again", "outcome", "AWS: Creation of service was not idempotent; moto makes another one"),
    differs("service/describe eleven", "outcome", "AWS takes ten services a call (DescribeServices, services)"),
    differs("service/describe nothing", "outcome", "AWS asks for services (DescribeServices, services)"),
    differs("task/list of none", "outcome", "AWS: ServiceNotFoundException (ListTasks); moto lists all tasks"),
    differs("service/describe in deleted", "outcome", "AWS: ClusterNotFoundException for an inactive cluster too"),
    differs("service/delete", "answer.service.status", "AWS answers DRAINING, then shows INACTIVE (DeleteService)"),
    differs(
        "service/describe deleted",
        "answer.services[].deployments[]",
        "a deleted service deploys nothing any more",
    ),
    differs("task/*", "*.attachments[].status", AT_ONCE),
    differs("task/run", "*.attachments[].details*", AT_ONCE),
    differs("task/*", "*.lastStatus", AT_ONCE),
    differs("task/*", "*.containers[].healthStatus", "AWS says UNKNOWN of containers without a health check"),
    differs("task/*", "*.containers[].containerArn", "moto puts the task definition's ARN into it"),
    differs("task/*", "*.containers[].taskArn", "moto puts the task definition's ARN into it"),
    differs("task/*", "*.containers[].cpu", "the sandbox doesn't model what a container reserves within its task"),
    differs("task/*", "*.containers[].exitCode", "AWS has it once the container has stopped"),
    differs(
        "task/*",
        "*.containers[].networkInterfaces[]",
        "AWS has the addresses there too (Container, networkInterfaces)",
    ),
    differs("task/*", "*.containers[].runtimeId", "AWS has it once the container runs (Container)"),
    differs("task/*", "*.overrides", NOT_MODELLED),
    differs("task/*", "*.tags", NOT_MODELLED),
    differs("task/*", "*.startedBy", "AWS leaves out what wasn't given"),
    differs("task/*", "*.stoppedReason", "AWS has it once the task is to stop"),
    differs("task/*", "*.availabilityZone", NOT_IN_MOTO),
    differs("task/*", "*.capacityProviderName", NOT_IN_MOTO),
    differs("task/*", "*.connectivity", NOT_IN_MOTO),
    differs("task/*", "*.connectivityAt", NOT_IN_MOTO),
    differs("task/*", "*[].cpu", NOT_IN_MOTO),
    differs("task/stop", "answer.task.cpu", NOT_IN_MOTO),
    differs("task/*", "*.memory", NOT_IN_MOTO),
    differs("task/*", "*.healthStatus", NOT_IN_MOTO),
    differs("task/*", "*.platformVersion", NOT_IN_MOTO),
    differs("task/*", "*.createdAt", NOT_IN_MOTO),
    differs("task/*", "*.pullStartedAt", NOT_IN_MOTO),
    differs("task/*", "*.pullStoppedAt", NOT_IN_MOTO),
    differs("task/*", "*.startedAt", NOT_IN_MOTO),
    differs("task/*", "*.stoppingAt", NOT_IN_MOTO),
    differs("task/*", "*.executionStoppedAt", NOT_IN_MOTO),
    differs("task/*", "*.stoppedAt", NOT_IN_MOTO),
    differs("task/*", "*.stopCode", NOT_IN_MOTO),
    differs("task/*", "*.version", NOT_IN_MOTO),
    differs(
        "task/describe none",
        "answer.failures[]",
        "AWS: a task that isn't there is a failure, MISSING (API failure reasons)",
    ),
    differs("task/stop none", "error.*", "moto fails within; AWS: InvalidParameterException (StopTask)"),
];

const NLB_ATTRIBUTE: &str = "AWS's NLBs have this attribute (LoadBalancerAttribute)";

const ELB: &[Difference] = &[
    differs("balancer/*", "*.CanonicalHostedZoneId", NOT_MODELLED),
    differs("*", "*Arn", "an NLB's ARN says net/ (Elastic Load Balancing, ARNs); moto's says app/"),
    differs("group/describe by balancer", "*.LoadBalancerArns[]", "an NLB's ARN says net/; moto's says app/"),
    differs("balancer/*", "*.Scheme", "AWS's default is internet-facing (CreateLoadBalancer, Scheme)"),
    differs("balancer/create another", "outcome", "AWS: DuplicateLoadBalancerName when the settings differ"),
    differs("balancer/create nameless", "outcome", "AWS: a name has at most 32 characters (CreateLoadBalancer, Name)"),
    differs("balancer/delete protected", "outcome", "AWS: OperationNotPermitted (DeleteLoadBalancer)"),
    differs("listener/*", "*.ForwardConfig", "AWS shows a group in both of the ways to name it; moto as it was given"),
    differs("attributes/modify", "*.ipv6.deny_all_igw_traffic", NLB_ATTRIBUTE),
    differs("attributes/modify", "*.secondary_ips.auto_assigned.per_subnet", NLB_ATTRIBUTE),
    differs("attributes/modify", "*.zonal_shift.config.enabled", NLB_ATTRIBUTE),
    differs("listener/modify back", "*.ForwardConfig.*", NOT_MODELLED),
    differs("listener/describe attributes", "answer.Attributes", "a UDP listener has none (ListenerAttribute)"),
    differs("balancer/subnets", "outcome", "an NLB may be in one subnet (SetSubnets, Subnets); moto asks for two"),
    differs("balancer/capacity", "answer.*", "nothing is reserved (DescribeCapacityReservation)"),
    differs("group/describe by nonsense", "error.Code", "AWS: ValidationError for what is no target group's ARN"),
    differs("group/modify", "*.LoadBalancerArns[]", "moto names the load balancer once more for each listener call"),
    differs("group/* attributes", "answer.Attributes.*", "moto has an ALB's attributes (TargetGroupAttribute)"),
    differs("group/create", "*.LoadBalancerArns", "AWS answers with the empty list"),
    differs("group/delete again", "outcome", "AWS's DeleteTargetGroup has no error for a group that isn't there"),
    differs("listener/*", "*.AlpnPolicy", "AWS has it on TLS listeners only"),
    differs("listener/*", "*.SslPolicy", "AWS has it on HTTPS and TLS listeners only"),
    differs("targets/register nonsense", "outcome", "AWS: InvalidTarget for an id that is no address"),
    differs("targets/health of another", "*.TargetHealth.*", "AWS: unused, Target.NotRegistered (TargetHealth)"),
    differs(
        "targets/deregister another",
        "outcome",
        "AWS: deregistering what isn't registered succeeds (DeregisterTargets)",
    ),
    differs("tags/describe none", "outcome", "AWS: LoadBalancerNotFound (DescribeTags)"),
    differs("attributes/modify", "*.access_logs.s3.enabled", NLB_ATTRIBUTE),
    differs("attributes/modify", "*.dns_record.client_routing_policy", NLB_ATTRIBUTE),
];

const SQS: &[Difference] = &[
    differs("queue/create unknown attribute", "outcome", "AWS: InvalidAttributeName (CreateQueue)"),
    differs("message/send nothing", "outcome", "AWS: a message has at least one character (SendMessage, MessageBody)"),
    differs("message/receive longest", "outcome", "AWS: WaitTimeSeconds is from 0 to 20"),
    differs("message/visibility below nothing", "outcome", "AWS: VisibilityTimeout is from 0 to 43200"),
    differs("message/visibility unsaid", "error.*", "moto fails within; AWS's model asks for VisibilityTimeout"),
    differs("message/delete unsaid", "outcome", "AWS's model asks for ReceiptHandle"),
    differs("message/receive below nothing", "outcome", "AWS: VisibilityTimeout is from 0 to 43200"),
    differs("batch/visibility", "answer.Failed[].Message", "AWS's own words differ too; nobody goes by them"),
    differs("batch/delete same id", "outcome", "AWS: BatchEntryIdsNotDistinct (DeleteMessageBatch)"),
];

const EVENTS: &[Difference] = &[
    differs("rule/*", "answer.CreatedBy", NOT_MODELLED),
    differs(
        "events/arrived",
        "answer.Body.account",
        "an event has its account (EventBridge user guide, event structure)",
    ),
    differs(
        "events/put as aws",
        "answer.*",
        "AWS keeps sources that begin with aws. to itself: NotAuthorizedForSourceException (PutEventsResultEntry)",
    ),
    differs("targets/put none", "outcome", "AWS: PutTargets takes one target at least"),
    differs("events/put none", "outcome", "AWS: PutEvents takes one to ten entries"),
    differs("pattern/*", "answer.Result", "moto's TestEventPattern answers nothing; the sandbox's own tests judge it"),
    differs("pattern/nonsense", "outcome", "AWS: InvalidEventPatternException (TestEventPattern)"),
];

#[tokio::test]
async fn ecs_answers_as_moto_does_but_for_the_known_differences() {
    compare("ecs", ECS).await;
}

#[tokio::test]
async fn elb_answers_as_moto_does_but_for_the_known_differences() {
    compare("elb", ELB).await;
}

#[tokio::test]
async fn sqs_answers_as_moto_does_but_for_the_known_differences() {
    compare("sqs", SQS).await;
}

#[tokio::test]
async fn eventbridge_answers_as_moto_does_but_for_the_known_differences() {
    compare("events", EVENTS).await;
}

const STS: &[Difference] = &[
    differs("caller", "answer.Arn", "a user's ARN is of IAM (GetCallerIdentity); and nobody is called moto here"),
    differs(
        "caller",
        "answer.UserId",
        "a user's id begins with AIDA (IAM identifiers); moto's is that of an access key",
    ),
];

#[tokio::test]
async fn sts_answers_as_moto_does_but_for_the_known_differences() {
    compare("sts", STS).await;
}

#[tokio::test]
async fn the_sandbox_asks_for_the_members_that_awss_models_ask_for() {
    let models = answers("http://127.0.0.1:1", "", "", "models").await;
    for (prefix, model) in models {
        let service = Service::ALL.into_iter().find(|service| service.prefix() == prefix).expect("a service");
        for (operation, required) in service.operations() {
            let mut required = required.to_vec();
            required.sort_unstable();
            assert_eq!(model["required"][operation], serde_json::json!(required), "{prefix}:{operation}");
        }
    }
}

async fn compare(service: &'static str, known: &[Difference]) {
    let proxy = Proxy::start(new_account()).await;
    let (vpc, subnets) = default_network(&proxy).await;
    let of_moto = answers(&proxy.endpoint(), &vpc, &subnets[0], service).await;

    let settings = Settings { region: REGION.to_owned(), ..Settings::default().scaled(1000.0) };
    let world = World::new(settings, 1, Timestamp::now());
    let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let of_sandbox = answers(sandbox.endpoint(), "vpc-0a1b2c3d", "subnet-0a1b2c3d", service).await;
    sandbox.stop().await;

    let mut used = vec![false; known.len()];
    let mut unknown = Vec::new();
    let steps: Vec<&String> = of_moto.iter().map(|(step, _)| step).collect();
    assert_eq!(steps, of_sandbox.iter().map(|(step, _)| step).collect::<Vec<_>>(), "both made the same calls");
    for ((step, moto), (_, sandbox)) in of_moto.iter().zip(&of_sandbox) {
        for (path, moto, sandbox) in differences(moto, sandbox) {
            match known.iter().position(|known| fits(known.step, step) && fits(known.path, &path)) {
                Some(index) => used[index] = true,
                None => unknown.push(format!("{step} | {path} | moto: {} | sandbox: {}", shown(moto), shown(sandbox))),
            }
        }
    }
    let idle = known.iter().zip(used).filter(|(_, used)| !used);
    let idle: Vec<String> =
        idle.map(|(known, _)| format!("{} | {} ({})", known.step, known.path, known.reason)).collect();
    assert!(unknown.is_empty() && idle.is_empty(), "not listed: {unknown:#?}\nlisted in vain: {idle:#?}");
}

/// What came of each step of the script, in its order.
async fn answers(endpoint: &str, vpc: &str, subnet: &str, service: &str) -> Vec<(String, Value)> {
    let python = tokio::task::spawn_blocking(moto::installed_python).await.expect("moto is installed");
    let output = tokio::process::Command::new(python)
        .args(["-c", SCRIPT, endpoint, REGION, vpc, subnet, service])
        .env_remove("AWS_PROFILE")
        .kill_on_drop(true)
        .output()
        .await
        .expect("Python runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines = String::from_utf8(output.stdout).expect("the script prints text");
    assert!(output.status.success(), "the script failed at {endpoint}: {errors}\n{lines}");
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("the script prints JSON"));
    lines
        .map(|mut line| {
            let step = line["step"].as_str().expect("a line names its step").to_owned();
            line.as_object_mut().expect("a line is an object").remove("step");
            (step, line)
        })
        .collect()
}

/// A place where two answers differ: its path, with `[]` for any place in a list, and what is there.
type Found<'a> = (String, Option<&'a Value>, Option<&'a Value>);

/// An answer here and an error there is one difference, and so is a member that only one of the two has.
fn differences<'a>(moto: &'a Value, sandbox: &'a Value) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    if moto.get("error").is_some() == sandbox.get("error").is_some() {
        compare_values("", moto, sandbox, &mut found);
    } else {
        found.push(("outcome".to_owned(), Some(moto), Some(sandbox)));
    }
    found
}

fn compare_values<'a>(path: &str, moto: &'a Value, sandbox: &'a Value, found: &mut Vec<Found<'a>>) {
    match (moto, sandbox) {
        (Value::Object(of_moto), Value::Object(of_sandbox)) => {
            for name in of_moto.keys().chain(of_sandbox.keys().filter(|name| !of_moto.contains_key(*name))) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match (of_moto.get(name), of_sandbox.get(name)) {
                    (Some(moto), Some(sandbox)) => compare_values(&path, moto, sandbox, found),
                    (moto, sandbox) => found.push((path, moto, sandbox)),
                }
            }
        }
        (Value::Array(of_moto), Value::Array(of_sandbox)) => {
            let path = format!("{path}[]");
            for place in 0..of_moto.len().max(of_sandbox.len()) {
                match (of_moto.get(place), of_sandbox.get(place)) {
                    (Some(moto), Some(sandbox)) => compare_values(&path, moto, sandbox, found),
                    (moto, sandbox) => found.push((path.clone(), moto, sandbox)),
                }
            }
        }
        (moto, sandbox) if moto != sandbox => found.push((path.to_owned(), Some(moto), Some(sandbox))),
        _ => {}
    }
}

/// A `*` in the pattern stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|text| rest.is_empty() || text.char_indices().any(|(index, _)| fits(rest, &text[index..]))),
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), ToString::to_string)
}

#[test]
fn differences_are_found_by_path() {
    let moto = serde_json::json!({ "answer": { "list": [{ "a": 1 }, { "a": 2 }], "same": true, "gone": { "x": 1 } } });
    let sandbox = serde_json::json!({ "answer": { "list": [{ "a": 1 }, { "a": 3 }, {}], "same": true } });
    let paths = |moto, sandbox| differences(moto, sandbox).into_iter().map(|found| found.0).collect::<Vec<_>>();
    assert_eq!(paths(&moto, &sandbox), ["answer.gone", "answer.list[].a", "answer.list[]"]);
    assert_eq!(paths(&moto, &serde_json::json!({ "error": {} })), ["outcome"]);
    assert!(fits("*.a", "answer.list[].a") && fits("answer.*", "answer.list[].a") && fits("*[].*", "answer.list[].a"));
    assert!(!fits("answer.list", "answer.list[].a") && !fits("*.b", "answer.list[].a"));
}
