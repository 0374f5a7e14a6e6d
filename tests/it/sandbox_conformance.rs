//! The sandbox compared with moto: boto3 sends the same requests to both, and the responses are compared by member.
//!
//! The tables below list every known difference with its reason, decided by AWS's documentation. A difference that isn't
//! listed fails the test, and so does a listed one that no longer occurs.

use std::time::Duration;

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
    /// Step of the script; a `*` matches anything.
    step: &'static str,
    /// Path in the step's response; a `*` matches anything, and `[]` any index of a list.
    path: &'static str,
    /// Reason for the sandbox's behaviour.
    reason: &'static str,
}

const fn differs(step: &'static str, path: &'static str, reason: &'static str) -> Difference {
    Difference { step, path, reason }
}

const NOT_MODELLED: &str = "the sandbox doesn't model this member";

const NOT_IN_MOTO: &str = "AWS's Task has it (ECS API reference, Task); moto's doesn't";

const AT_ONCE: &str =
    "moto's tasks run and stop at once; AWS's go through their statuses (ECS developer guide, task lifecycle)";

const ECS: &[Difference] = &[
    differs("cluster/*", "*.settings", NOT_MODELLED),
    differs("definition/*", "*.compatibilities", NOT_MODELLED),
    differs("definition/*", "*.containerDefinitions[].*", NOT_MODELLED),
    differs("definition/*", "*.placementConstraints", NOT_MODELLED),
    differs("definition/*", "*.volumes", NOT_MODELLED),
    differs("service/*", "*.deploymentController", NOT_MODELLED),
    differs("service/*", "*.deployments[].launchType", NOT_MODELLED),
    differs("service/*", "*.deployments[].networkConfiguration", NOT_MODELLED),
    differs("service/*", "*.deployments[].platformFamily", NOT_MODELLED),
    differs("service/*", "*.deployments[].rolloutStateReason", "moto's deployments are completed at once"),
    differs(
        "service/create",
        "response.service.deployments[].rolloutState",
        "AWS: a deployment begins IN_PROGRESS (Deployment, rolloutState)",
    ),
    differs("service/*", "*.events[]", "moto's scheduler has no messages (Service, events)"),
    differs("service/*", "*.propagateTags", NOT_MODELLED),
    differs("service/*", "*.serviceRegistries", NOT_MODELLED),
    differs("service/*", "*.service.tags", NOT_MODELLED),
    differs("service/*", "*.taskSets", NOT_MODELLED),
    differs("service/*", "*.createdAt", "AWS's Service has it (ECS API reference, Service); moto's doesn't"),
    differs("service/create again", "outcome", "AWS: Creation of service was not idempotent; moto creates another one"),
    differs("service/describe eleven", "outcome", "AWS accepts ten services a request (DescribeServices, services)"),
    differs("service/describe empty", "outcome", "AWS requires services (DescribeServices, services)"),
    differs("task/list of unknown", "outcome", "AWS: ServiceNotFoundException (ListTasks); moto lists all tasks"),
    differs("service/describe in deleted", "outcome", "AWS: ClusterNotFoundException for an inactive cluster too"),
    differs(
        "service/delete",
        "response.service.status",
        "AWS responds with DRAINING, then describes INACTIVE (DeleteService)",
    ),
    differs("service/describe deleted", "response.services[].deployments[]", "a deleted service has no deployments"),
    differs("task/*", "*.attachments[].status", AT_ONCE),
    differs("task/run", "*.attachments[].details*", AT_ONCE),
    differs("task/*", "*.lastStatus", AT_ONCE),
    differs("task/*", "*.containers[].healthStatus", "AWS returns UNKNOWN for containers without a health check"),
    differs("task/*", "*.containers[].containerArn", "moto returns the task definition's ARN"),
    differs("task/*", "*.containers[].taskArn", "moto returns the task definition's ARN"),
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
    differs("task/*", "*.startedBy", "AWS omits an empty startedBy"),
    differs("task/*", "*.stoppedReason", "AWS has it once the task stops"),
    differs("task/*", "*.availabilityZone", NOT_IN_MOTO),
    differs("task/*", "*.capacityProviderName", NOT_IN_MOTO),
    differs("task/*", "*.connectivity", NOT_IN_MOTO),
    differs("task/*", "*.connectivityAt", NOT_IN_MOTO),
    differs("task/*", "*[].cpu", NOT_IN_MOTO),
    differs("task/stop", "response.task.cpu", NOT_IN_MOTO),
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
        "task/describe unknown",
        "response.failures[]",
        "AWS: an unknown task is a failure, MISSING (API failure reasons)",
    ),
    differs("task/stop unknown", "error.*", "moto has an internal error; AWS: InvalidParameterException (StopTask)"),
];

const NLB_ATTRIBUTE: &str = "AWS's NLBs have this attribute (LoadBalancerAttribute)";

const ELB: &[Difference] = &[
    differs("load-balancer/*", "*.CanonicalHostedZoneId", NOT_MODELLED),
    differs("*", "*Arn", "an NLB's ARN says net/ (Elastic Load Balancing, ARNs); moto's says app/"),
    differs(
        "target-group/describe by load balancer",
        "*.LoadBalancerArns[]",
        "an NLB's ARN says net/; moto's says app/",
    ),
    differs("load-balancer/*", "*.Scheme", "AWS's default is internet-facing (CreateLoadBalancer, Scheme)"),
    differs("load-balancer/create conflicting", "outcome", "AWS: DuplicateLoadBalancerName when the settings differ"),
    differs(
        "load-balancer/create with long name",
        "outcome",
        "AWS: a name has at most 32 characters (CreateLoadBalancer, Name)",
    ),
    differs("load-balancer/delete protected", "outcome", "AWS: OperationNotPermitted (DeleteLoadBalancer)"),
    differs("listener/*", "*.ForwardConfig", "AWS describes both forms of an action; moto only the requested one"),
    differs("attributes/modify", "*.ipv6.deny_all_igw_traffic", NLB_ATTRIBUTE),
    differs("attributes/modify", "*.secondary_ips.auto_assigned.per_subnet", NLB_ATTRIBUTE),
    differs("attributes/modify", "*.zonal_shift.config.enabled", NLB_ATTRIBUTE),
    differs("listener/modify back", "*.ForwardConfig.*", NOT_MODELLED),
    differs("listener/describe attributes", "response.Attributes", "a UDP listener has none (ListenerAttribute)"),
    differs("load-balancer/subnets", "outcome", "an NLB may be in one subnet (SetSubnets, Subnets); moto requires two"),
    differs("load-balancer/capacity", "response.*", "nothing is reserved (DescribeCapacityReservation)"),
    differs("target-group/describe by invalid", "error.Code", "AWS: ValidationError for an invalid ARN"),
    differs(
        "target-group/modify",
        "*.LoadBalancerArns[]",
        "moto repeats the load balancer for each request about its listener",
    ),
    differs(
        "target-group/* attributes",
        "response.Attributes.*",
        "moto has an ALB's attributes (TargetGroupAttribute)",
    ),
    differs("target-group/create", "*.LoadBalancerArns", "AWS returns an empty list"),
    differs("target-group/create web", "*.LoadBalancerArns", "AWS returns an empty list"),
    differs(
        "target-group/create web",
        "*.HealthCheckTimeoutSeconds",
        "the default is 6 s for HTTP (Network Load Balancers, health checks)",
    ),
    differs("target-group/delete again", "outcome", "AWS's DeleteTargetGroup succeeds for an unknown group"),
    differs("listener/*", "*.AlpnPolicy", "AWS has it on TLS listeners only"),
    differs("listener/*", "*.SslPolicy", "AWS has it on HTTPS and TLS listeners only"),
    differs("tls/*", "*.AlpnPolicy", "AWS describes the policy that a request has set"),
    differs("tls/*", "*.ForwardConfig", "AWS describes both forms of an action; moto only the requested one"),
    differs("tls/create without certificate", "outcome", "AWS: ValidationError, a certificate must be specified"),
    differs(
        "tls/create with two certificates",
        "outcome",
        "AWS: exactly one certificate (CreateListener, Certificates)",
    ),
    differs("tls/create with unknown policy", "outcome", "AWS: SSLPolicyNotFound (CreateListener)"),
    differs("tls/create for udp", "outcome", "AWS: IncompatibleProtocols (CreateListener)"),
    differs("tls/create with tcp", "outcome", "AWS: ValidationError, an SSL policy cannot be specified"),
    differs("targets/register invalid", "outcome", "AWS: InvalidTarget for an id that isn't an address"),
    differs("targets/health of unregistered", "*.TargetHealth.*", "AWS: unused, Target.NotRegistered (TargetHealth)"),
    differs(
        "targets/deregister unregistered",
        "outcome",
        "AWS: deregistering an unregistered target succeeds (DeregisterTargets)",
    ),
    differs("tags/describe unknown", "outcome", "AWS: LoadBalancerNotFound (DescribeTags)"),
    differs("attributes/modify", "*.access_logs.s3.enabled", NLB_ATTRIBUTE),
    differs("attributes/modify", "*.dns_record.client_routing_policy", NLB_ATTRIBUTE),
];

const SQS: &[Difference] = &[
    differs("queue/create unknown attribute", "outcome", "AWS: InvalidAttributeName (CreateQueue)"),
    differs("message/send empty", "outcome", "AWS: a message has at least one character (SendMessage, MessageBody)"),
    differs("message/receive wait too long", "outcome", "AWS: WaitTimeSeconds is from 0 to 20"),
    differs("message/visibility negative", "outcome", "AWS: VisibilityTimeout is from 0 to 43200"),
    differs(
        "message/visibility missing",
        "error.*",
        "moto has an internal error; AWS's model requires VisibilityTimeout",
    ),
    differs("message/delete missing", "outcome", "AWS's model requires ReceiptHandle"),
    differs("message/receive negative", "outcome", "AWS: VisibilityTimeout is from 0 to 43200"),
    differs(
        "batch/visibility",
        "response.Failed[].Message",
        "the wording differs on AWS too, and clients don't depend on it",
    ),
    differs("batch/delete same id", "outcome", "AWS: BatchEntryIdsNotDistinct (DeleteMessageBatch)"),
];

const EVENTS: &[Difference] = &[
    differs("rule/*", "response.CreatedBy", NOT_MODELLED),
    differs(
        "events/arrived",
        "response.Body.account",
        "an event has its account (EventBridge user guide, event structure)",
    ),
    differs(
        "events/put as aws",
        "response.*",
        "AWS reserves sources that begin with aws.: NotAuthorizedForSourceException (PutEventsResultEntry)",
    ),
    differs("targets/put empty", "outcome", "AWS: PutTargets requires at least one target"),
    differs("events/put empty", "outcome", "AWS: PutEvents accepts one to ten entries"),
    differs(
        "pattern/*",
        "response.Result",
        "moto's TestEventPattern returns no result; the sandbox's own tests cover it",
    ),
    differs("pattern/invalid", "outcome", "AWS: InvalidEventPatternException (TestEventPattern)"),
];

#[tokio::test]
async fn ecs_responds_as_moto_does_but_for_known_differences() {
    compare("ecs", ECS).await;
}

#[tokio::test]
async fn elb_responds_as_moto_does_but_for_known_differences() {
    compare("elb", ELB).await;
}

#[tokio::test]
async fn sqs_responds_as_moto_does_but_for_known_differences() {
    compare("sqs", SQS).await;
}

#[tokio::test]
async fn eventbridge_responds_as_moto_does_but_for_known_differences() {
    compare("events", EVENTS).await;
}

const STS: &[Difference] = &[
    differs("caller", "response.Arn", "a user's ARN belongs to IAM (GetCallerIdentity), and the user's name differs"),
    differs(
        "caller",
        "response.UserId",
        "a user's id begins with AIDA (IAM identifiers); moto's is the format of access keys",
    ),
];

#[tokio::test]
async fn sts_responds_as_moto_does_but_for_known_differences() {
    compare("sts", STS).await;
}

const NOT_CHECKED: &str = "moto doesn't check this; the sandbox's own tests cover it";

const CLOUDWATCH: &[Difference] = &[
    differs("get/default label", "*.Label", "GetMetricStatistics' examples have the metric's name as its label"),
    differs("page/first", "response.Next", "AWS: at most MaxDatapoints in a page (GetMetricData); moto returns all"),
    differs("page/invalid token", "outcome", "AWS: InvalidNextToken (GetMetricData, errors)"),
    differs("invalid/no queries", "outcome", NOT_CHECKED),
    differs("invalid/many queries", "outcome", "AWS: at most 500 queries (GetMetricData, MetricDataQueries)"),
    differs("invalid/id", "outcome", "AWS: an id begins with a lowercase letter (MetricDataQuery, Id)"),
    differs("invalid/ids", "outcome", "AWS: an id is unique within a request (MetricDataQuery, Id)"),
    differs("invalid/both", "outcome", "AWS: either Expression or MetricStat, but not both (MetricDataQuery)"),
    differs("invalid/expression", "outcome", "the sandbox evaluates no expressions"),
    differs("invalid/period", "outcome", "AWS: 1, 5, 10, 20, 30 or a multiple of 60 (MetricStat, Period)"),
    differs("invalid/order", "outcome", NOT_CHECKED),
];

#[tokio::test]
async fn cloudwatch_responds_as_moto_does_but_for_known_differences() {
    compare("cloudwatch", CLOUDWATCH).await;
}

#[tokio::test]
async fn required_members_match_awss_models() {
    let models = run_script("http://127.0.0.1:1", "", "", "models").await;
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
    let from_moto = run_script(&proxy.endpoint(), &vpc, &subnets[0], service).await;

    let mut settings = Settings { region: REGION.to_owned(), ..Settings::default().scaled(1000.0) };
    // CloudWatch's minutes keep their length when the rest is scaled; here a data point comes each second, at once.
    settings.metrics.interval = Duration::from_secs(1);
    (settings.metrics.earliest, settings.metrics.latest) = (Duration::ZERO, Duration::ZERO);
    let world = World::new(settings, 1, Timestamp::now());
    let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let from_sandbox = run_script(sandbox.endpoint(), "vpc-0a1b2c3d", "subnet-0a1b2c3d", service).await;
    sandbox.stop().await;

    let mut used = vec![false; known.len()];
    let mut unknown = Vec::new();
    let steps: Vec<&String> = from_moto.iter().map(|(step, _)| step).collect();
    assert_eq!(steps, from_sandbox.iter().map(|(step, _)| step).collect::<Vec<_>>(), "the steps are the same");
    for ((step, moto), (_, sandbox)) in from_moto.iter().zip(&from_sandbox) {
        for (path, moto, sandbox) in differences(moto, sandbox) {
            match known.iter().position(|known| matches(known.step, step) && matches(known.path, &path)) {
                Some(index) => used[index] = true,
                None => {
                    unknown.push(format!("{step} | {path} | moto: {} | sandbox: {}", display(moto), display(sandbox)))
                }
            }
        }
    }
    let unused = known.iter().zip(used).filter(|(_, used)| !used);
    let unused: Vec<String> =
        unused.map(|(known, _)| format!("{} | {} ({})", known.step, known.path, known.reason)).collect();
    assert!(unknown.is_empty() && unused.is_empty(), "not listed: {unknown:#?}\nno longer occurring: {unused:#?}");
}

/// Runs the script and returns the response or error of each step.
async fn run_script(endpoint: &str, vpc: &str, subnet: &str, service: &str) -> Vec<(String, Value)> {
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

/// A difference between two responses: its path, with `[]` for an index of a list, and both values.
type Found<'a> = (String, Option<&'a Value>, Option<&'a Value>);

/// Returns the differences between two results. A response and an error are one difference, `outcome`.
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
        (Value::Object(from_moto), Value::Object(from_sandbox)) => {
            for name in from_moto.keys().chain(from_sandbox.keys().filter(|name| !from_moto.contains_key(*name))) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match (from_moto.get(name), from_sandbox.get(name)) {
                    (Some(moto), Some(sandbox)) => compare_values(&path, moto, sandbox, found),
                    (moto, sandbox) => found.push((path, moto, sandbox)),
                }
            }
        }
        (Value::Array(from_moto), Value::Array(from_sandbox)) => {
            let path = format!("{path}[]");
            for index in 0..from_moto.len().max(from_sandbox.len()) {
                match (from_moto.get(index), from_sandbox.get(index)) {
                    (Some(moto), Some(sandbox)) => compare_values(&path, moto, sandbox, found),
                    (moto, sandbox) => found.push((path.clone(), moto, sandbox)),
                }
            }
        }
        (moto, sandbox) if moto != sandbox => found.push((path.to_owned(), Some(moto), Some(sandbox))),
        _ => {}
    }
}

/// Returns whether a text matches a pattern, in which a `*` matches anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|text| rest.is_empty() || text.char_indices().any(|(index, _)| matches(rest, &text[index..]))),
    }
}

fn display(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), ToString::to_string)
}

#[test]
fn differences_are_found_by_path() {
    let moto =
        serde_json::json!({ "response": { "list": [{ "a": 1 }, { "a": 2 }], "same": true, "gone": { "x": 1 } } });
    let sandbox = serde_json::json!({ "response": { "list": [{ "a": 1 }, { "a": 3 }, {}], "same": true } });
    let paths = |moto, sandbox| differences(moto, sandbox).into_iter().map(|found| found.0).collect::<Vec<_>>();
    assert_eq!(paths(&moto, &sandbox), ["response.gone", "response.list[].a", "response.list[]"]);
    assert_eq!(paths(&moto, &serde_json::json!({ "error": {} })), ["outcome"]);
    assert!(
        matches("*.a", "response.list[].a")
            && matches("response.*", "response.list[].a")
            && matches("*[].*", "response.list[].a")
    );
    assert!(!matches("response.list", "response.list[].a") && !matches("*.b", "response.list[].a"));
}
