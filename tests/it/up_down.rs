//! `up`, `down` and `hold` as an operator uses them, with a terraform on the PATH that creates the load balancer over the
//! same endpoint. Every phase's failure and every interruption is in src/operations/tests, on virtual time.

#[cfg(feature = "sandbox")]
use std::collections::BTreeMap;
#[cfg(feature = "sandbox")]
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

#[cfg(feature = "sandbox")]
use jvb_watcher_sandbox::world::{Advertised, CallEvent, Incident};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::moto;
use crate::platform::{Group, HOLD, LoadBalancer, MARK_LOAD_BALANCER, MARK_SINCE, Platform, REGION};
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::wait::eventually;
use crate::watcher::{Finished, Launch, Watcher};
#[cfg(feature = "sandbox")]
use crate::{jitsi_service, terraform::examples};

on_moto_and_sandbox!(
    up_and_down_complete,
    up_and_down_complete_beside_a_watcher,
    down_runs_a_command_that_destroys_the_load_balancer,
    further_arguments_reach_terraform,
    a_dry_run_writes_nothing,
    a_failed_terraform_is_reported_and_a_second_run_completes,
    a_reader_that_stalls_does_not_keep_up_from_ending,
    a_load_balancer_that_does_not_become_active_is_reported_and_a_second_run_completes,
    unhealthy_targets_are_reported_and_a_second_run_completes,
    tasks_that_do_not_start_are_reported_and_a_second_run_completes,
    what_cannot_succeed_is_refused_before_anything_is_written,
    an_unreachable_aws_is_waited_for,
    throttled_calls_are_retried_in_every_phase,
    an_operators_hold_prevents_deletion_until_it_is_released,
    a_watcher_continues_when_a_hold_expires,
    what_cannot_be_held_is_reported,
    the_last_phase_waits_until_the_url_answers,
);

/// An operator's terraform configuration, and the stand-in for terraform on the PATH.
struct Desk<'a> {
    platform: &'a Platform,
    directory: TempDir,
}

impl<'a> Desk<'a> {
    fn new(platform: &'a Platform) -> Self {
        let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
        let terraform = directory.path().join("terraform");
        std::fs::write(&terraform, include_str!("terraform_stand_in.py")).expect("the directory is writable");
        std::fs::set_permissions(&terraform, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
        std::fs::write(directory.path().join("main.tf"), "").expect("the directory is writable");
        let desk = Self { platform, directory };
        desk.plan(json!({}));
        desk
    }

    /// Sets what terraform creates, and how it misbehaves.
    fn plan(&self, misbehaviour: Value) {
        let (vpc, subnets) = self.platform.vpc_and_subnets();
        let mut plan = json!({ "project": self.platform.project, "vpc": vpc, "subnets": subnets });
        let Value::Object(misbehaviour) = misbehaviour else { panic!("an object") };
        plan.as_object_mut().expect("an object").extend(misbehaviour);
        std::fs::write(self.directory.path().join("jvb.json"), plan.to_string()).expect("the directory is writable");
    }

    fn terraform_dir(&self) -> &str {
        self.directory.path().to_str().expect("a path in Unicode")
    }

    /// Runs terraform by hand.
    #[cfg(feature = "sandbox")]
    async fn apply(&self) -> std::process::Output {
        let chdir = format!("-chdir={}", self.terraform_dir());
        tokio::process::Command::new(self.directory.path().join("terraform"))
            .args([chdir.as_str(), "apply", "-auto-approve"])
            .env("AWS_ENDPOINT_URL", self.platform.proxy.endpoint())
            .output()
            .await
            .expect("the stand-in can be run")
    }

    /// Returns the DNS record that terraform has created.
    #[cfg(feature = "sandbox")]
    fn record(&self) -> Value {
        let text = std::fs::read_to_string(self.directory.path().join("record.json")).expect("there is a record");
        serde_json::from_str(&text).expect("it is JSON")
    }

    fn launch(&self, command: &str) -> Launch {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = std::iter::once(PathBuf::from(self.directory.path()));
        let path = std::env::join_paths(own.chain(std::env::split_paths(&path))).expect("a PATH");
        Launch::new(self.platform, command).env("PATH", path.to_str().expect("a PATH in Unicode"))
    }

    fn up(&self) -> Launch {
        self.launch("up").args(["--terraform-dir", self.terraform_dir()])
    }

    /// Launches `down`. Neither emulator's CloudWatch shows these short evenings: see tests/it/callers.rs.
    fn down(&self) -> Launch {
        self.launch("down").args(["--now"])
    }

    /// Runs a command to its end, beside the service's scheduler.
    async fn finish(&self, launch: Launch) -> Finished {
        tokio::select! {
            finished = launch.finish() => finished,
            () = self.platform.schedule() => unreachable!("it never ends"),
        }
    }

    async fn came_up(&self) -> LoadBalancer {
        let finished = self.finish(self.up()).await;
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        self.platform.load_balancer().await
    }
}

/// The state of a caller while no load balancer is active.
#[cfg(feature = "sandbox")]
const NO_NAME: CallEvent = CallEvent::NoSignIn("the name does not resolve");

/// Parses the log on standard error, which has nothing else.
fn events(stderr: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?} is not JSON in:\n{stderr}"));
    stderr.lines().map(parse).collect()
}

fn phases(stderr: &str, event: &str) -> Vec<String> {
    let lines = events(stderr);
    let of_event = lines.iter().filter(|line| line["event"] == event);
    of_event.map(|line| line["phase"].as_str().expect("a phase").to_owned()).collect()
}

/// Waits until the phase starts.
async fn until(phase: &str, watcher: &Watcher) {
    let what = format!("the phase {phase} starts");
    let begun = async || {
        watcher
            .stderr()
            .contains(&format!("\"phase_started\",\"operation\":\"up\",\"phase\":\"{phase}\""))
            .then_some(())
    };
    eventually(&what, begun).await;
}

fn assert_failed(finished: &Finished, phase: &str, reason: &str) {
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    let events = events(&finished.stderr);
    let last = events.last().expect("a line");
    assert_eq!((&last["event"], &last["phase"]), (&json!("operation_failed"), &json!(phase)), "{last}");
    assert!(last["error"].as_str().is_some_and(|error| error.contains(reason)), "{reason}: {last}");
    assert!(last["state"].as_str().is_some_and(|state| !state.is_empty()), "{last}");
    assert!(last["advice"].as_str().is_some_and(|advice| advice.contains("jvb-watcher ")), "{last}");
}

impl Platform {
    /// Describes the load balancer.
    async fn load_balancer(&self) -> LoadBalancer {
        let found =
            self.elb.describe_load_balancers().names(self.load_balancer_name()).send().await.expect("a load balancer");
        let arn = found.load_balancers()[0].load_balancer_arn().expect("an ARN").to_owned();
        let groups = self.elb.describe_target_groups().load_balancer_arn(&arn).send().await.expect("groups");
        let group = |group: &aws_sdk_elasticloadbalancingv2::types::TargetGroup| Group {
            name: group.target_group_name().expect("a name").to_owned(),
            arn: group.target_group_arn().expect("an ARN").to_owned(),
            port: group.port().expect("a port"),
        };
        LoadBalancer {
            name: self.load_balancer_name(),
            arn,
            groups: groups.target_groups().iter().map(group).collect(),
        }
    }

    /// Lets the next tasks of the service be those that the module jitsi-service plans, and gives their domain to the callers.
    #[cfg(feature = "sandbox")]
    fn run_conferences(&self, domain: &str) {
        use jvb_watcher_sandbox::api::{Request, ecs};

        let definition = ecs::RegisterTaskDefinitionInput {
            family: self.project.clone(),
            container_definitions: serde_json::from_value(jitsi_service::container_definitions()).expect("containers"),
            ..Default::default()
        };
        let update = ecs::UpdateServiceInput {
            cluster: Some(self.cluster()),
            service: self.service(),
            task_definition: Some(self.project.clone()),
            ..Default::default()
        };
        self.sandbox().with_world(|world, now| {
            world.settings_mut().calls.domain = Some(domain.to_owned());
            for request in [ecs::Request::RegisterTaskDefinition(definition), ecs::Request::UpdateService(update)] {
                world.call(Request::Ecs(request), now).expect("the sandbox accepts the planned task");
            }
        });
    }

    /// Waits until the only caller is in a state.
    #[cfg(feature = "sandbox")]
    async fn wait_for_caller(&self, state: CallEvent) {
        eventually(&format!("the caller is in the state {state:?}"), async || {
            let callers = self.sandbox().with_world(|world, _| world.callers());
            callers.iter().all(|caller| caller.state == state).then_some(())
        })
        .await;
    }

    #[cfg(feature = "sandbox")]
    fn has_no_listeners(&self) -> bool {
        self.sandbox().with_world(|world, _| world.listeners().is_empty())
    }

    /// Returns the addresses of the load balancer, and those that the bridge of each running task advertises.
    #[cfg(feature = "sandbox")]
    fn addresses(&self) -> (Vec<Ipv4Addr>, Vec<Advertised>) {
        self.sandbox().with_world(|world, _| {
            let load_balancers = world.load_balancers().into_iter().flat_map(|found| found.addresses).collect();
            (load_balancers, world.tasks().into_iter().filter_map(|task| task.advertised).collect())
        })
    }

    /// Returns protocol and port of each listener.
    #[cfg(feature = "sandbox")]
    async fn listeners(&self, load_balancer: &LoadBalancer) -> Vec<String> {
        let found =
            self.elb.describe_listeners().load_balancer_arn(&load_balancer.arn).send().await.expect("listeners");
        let listener = |listener: &aws_sdk_elasticloadbalancingv2::types::Listener| {
            let protocol = listener.protocol().expect("a protocol").as_str();
            format!("{protocol} {}", listener.port().expect("a port"))
        };
        let mut listeners: Vec<_> = found.listeners().iter().map(listener).collect();
        listeners.sort();
        listeners
    }

    /// Asserts that neither mark nor hold remains, and no lease but that of an `up` that has ended.
    async fn assert_tidy(&self, load_balancer: &LoadBalancer) {
        let tags = self.tags(&load_balancer.arn).await;
        for key in [HOLD, "jvb-watcher:held-by", MARK_SINCE, MARK_LOAD_BALANCER] {
            assert!(!tags.contains_key(key), "{tags:?}");
        }
        let leases = self.service_tags().await;
        assert!(leases.values().all(|lease| lease.starts_with("up ") && lease.ends_with(" ended")), "{leases:?}");
    }
}

async fn up_and_down_complete(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let finished = desk.finish(desk.up().args(["--output", "json"])).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let load_balancer = platform.load_balancer().await;
    let result: Value = serde_json::from_str(finished.stdout.trim()).expect("one JSON object");
    assert_eq!(result["load_balancer_arn"], load_balancer.arn.as_str());
    assert!(result["dns_name"].as_str().expect("a name").contains("elb"), "{result}");
    assert_eq!(result["target_groups"].as_array().map(Vec::len), Some(2));
    let address = result["tasks"][0]["ipv4"].as_str().expect("an address").to_owned();
    platform.wait_for_targets(&load_balancer, &[&address]).await;
    let expected = [
        "claimed",
        "load_balancer_made",
        "load_balancer_active",
        "service_scaled",
        "tasks_serving",
        "targets_registered",
        "targets_healthy",
    ];
    assert_eq!(phases(&finished.stderr, "phase_completed"), expected);
    let phases_of = |result: &Value| -> Vec<Value> {
        result["phases"].as_array().expect("phases").iter().map(|phase| phase["phase"].clone()).collect()
    };
    assert_eq!(phases_of(&result), expected);
    assert!(finished.stderr.contains("Apply complete!"), "terraform's output is passed on");
    platform.assert_tidy(&load_balancer).await;

    // A second run completes at once.
    let finished = desk.finish(desk.up()).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout.trim(), result["dns_name"]);
    assert!(!finished.stderr.contains("Apply complete!"), "the load balancer existed");

    let finished = desk.finish(desk.down().args(["--output", "json"])).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(platform.is_torn_down(&load_balancer).await);
    let result: Value = serde_json::from_str(finished.stdout.trim()).expect("one JSON object");
    assert!(result["hours_up"].as_f64().expect("hours") >= 0.0 && result["idle_monthly"] == 0.5, "{result}");
    assert_eq!((&result["billed_hours"], &result["cost_items"][0]["item"]), (&json!(1.0), &json!("load_balancer")));
    assert_eq!(platform.desired().await, 0);
    assert!(platform.service_tags().await.is_empty());
    let finished = desk.finish(desk.down()).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains("isn't known") && finished.stdout.contains("$0.50"), "{}", finished.stdout);
}

async fn up_and_down_complete_beside_a_watcher(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    // A proxy of its own counts the watcher's calls.
    let way = platform.another_proxy().await;
    let watcher = Launch::quick(&platform).endpoint(&way).args(["--unused-grace", "1s"]).start();
    watcher.wait_for("watcher_started").await;
    let desk = Desk::new(&platform);
    // Without the hold, this grace period would end before terraform does.
    desk.plan(json!({ "pause": 6 }));
    let load_balancer = desk.came_up().await;
    let finding = watcher.events("finding").into_iter().find(|line| line.text("finding") == "hold_active");
    assert!(finding.is_some_and(|line| line.text("detail").contains("by up")), "the watcher reports the hold");
    platform.assert_tidy(&load_balancer).await;
    let finished = desk.finish(desk.down()).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(platform.is_torn_down(&load_balancer).await);
    watcher.assert_no_trouble();
    assert_eq!(watcher.stop().await, Some(0));
}

async fn down_runs_a_command_that_destroys_the_load_balancer(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let load_balancer = desk.came_up().await;
    let destroy = format!("terraform -chdir={} destroy -target=module.jvb_nlb -auto-approve", desk.terraform_dir());
    let finished = desk.finish(desk.down().args(["--balancer-command", &destroy])).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("Destroy complete!"), "{}", finished.stderr);
    assert!(platform.is_torn_down(&load_balancer).await);
}

/// In the design's layout, one configuration contains the whole platform, and a variable enables the load balancer.
async fn further_arguments_reach_terraform(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let arguments = ["-target=module.jvb_nlb", "-var=nlb_enabled=true"];
    desk.plan(json!({ "arguments": arguments }));
    let up =
        desk.up().args(["--terraform-arg", arguments[0]]).args([format!("--terraform-arg={}", arguments[1]).as_str()]);
    let finished = desk.finish(up).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let finished = desk.finish(desk.launch("up").args(["--terraform-arg=-target=module.jvb_nlb"])).await;
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("--terraform-dir"), "{}", finished.stderr);
}

/// The complete example as terraform plans it, over two evenings: one with `up` and `down`, and one that is scaled by hand
/// and ends with the watcher's own teardown. On both a caller joins by name.
#[cfg(feature = "sandbox")]
#[tokio::test]
async fn the_calls_that_terraform_plans_come_and_go() {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    let watcher = Launch::quick(&platform).args(["--unused-grace", "1m"]).start();
    watcher.wait_for("watcher_started").await;
    let desk = Desk::new(&platform);
    let mut plan = examples::calls_of(&platform);
    plan["sandbox"] = json!(platform.sandbox().endpoint());
    platform.run_conferences(plan["record"].as_str().expect("a name"));
    desk.plan(plan);
    platform
        .sandbox()
        .with_world(|world, now| world.inject(Incident::Callers { n: 1 }, now))
        .expect("there is a domain");
    platform.wait_for_caller(NO_NAME).await;

    let load_balancer = desk.came_up().await;
    platform.wait_for_caller(CallEvent::Joined).await;
    let (first_addresses, advertised) = platform.addresses();
    assert_eq!((first_addresses.len(), advertised), (1, vec![Advertised::Addresses(first_addresses.clone())]));
    let ports = |load_balancer: &LoadBalancer| -> BTreeMap<String, i32> {
        let strip = |group: &Group| group.name.trim_start_matches(&platform.project).to_owned();
        load_balancer.groups.iter().map(|group| (strip(group), group.port)).collect()
    };
    assert_eq!(ports(&load_balancer), BTreeMap::from([("-jvb-udp".to_owned(), 10000), ("-jvb-web".to_owned(), 8000)]));
    assert_eq!(platform.listeners(&load_balancer).await, ["TLS 443", "UDP 10000"]);
    let first = desk.record();
    let finished = desk.finish(desk.down()).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(platform.is_torn_down(&load_balancer).await);
    assert!(platform.has_no_listeners());
    assert_eq!(desk.record(), first, "the record stays, and costs nothing");
    platform.wait_for_caller(NO_NAME).await;

    // The next evening: terraform and the service's scale, both by hand.
    let applied = desk.apply().await;
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let load_balancer = platform.load_balancer().await;
    assert_ne!(desk.record(), first, "the record leads to the new load balancer");
    let task = platform.scale_to_one().await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    platform.wait_for_caller(CallEvent::Joined).await;
    let (addresses, advertised) = platform.addresses();
    assert_eq!(advertised, [Advertised::Addresses(addresses.clone())]);
    assert_ne!(addresses, first_addresses, "the bridge has found the new address by itself");
    platform.scale_to_zero(&[&task]).await;
    platform.wait_until_torn_down(&load_balancer).await;
    assert!(platform.has_no_listeners());
    platform.wait_for_caller(NO_NAME).await;
    watcher.assert_no_trouble();
    assert_eq!(watcher.stop().await, Some(0));
}

async fn a_dry_run_writes_nothing(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let finished = desk.finish(desk.up().args(["--dry-run"])).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains("2. run `terraform -chdir="), "{}", finished.stdout);
    assert!(finished.stdout.contains("set the desired count from 0 to 1"), "{}", finished.stdout);
    let finished = desk.finish(desk.down().args(["--dry-run", "--output", "json"])).await;
    let result: Value = serde_json::from_str(finished.stdout.trim()).expect("one JSON object");
    assert!(result["would"].as_array().is_some_and(|steps| steps.len() > 3), "{result}");
    let finished = desk.finish(desk.up().args(["--desired", "2"])).await;
    assert_failed(&finished, "claimed", "one UDP listener can serve one bridge");
    // Without terraform files, the steps could not be taken.
    std::fs::remove_file(desk.directory.path().join("main.tf")).expect("the file exists");
    let finished = desk.finish(desk.up().args(["--dry-run"])).await;
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("has no terraform files"), "{}", finished.stderr);
    // A dry run fails as the operation would.
    let finished = desk.finish(desk.launch("up").args(["--dry-run"])).await;
    assert_failed(&finished, "claimed", "give --terraform-dir or --balancer-command");
    assert_eq!(platform.proxy.writes(), Vec::<String>::new());
}

async fn a_failed_terraform_is_reported_and_a_second_run_completes(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    desk.plan(json!({ "fail": "no free addresses in subnet-1" }));
    let finished = desk.finish(desk.up().args(["--output", "json"])).await;
    // Terraform's colours are stripped.
    assert_failed(&finished, "load_balancer_made", "| Error: no free addresses in subnet-1");
    assert!(!finished.stderr.contains("[31m"), "{}", finished.stderr);
    let result: Value = serde_json::from_str(finished.stdout.trim()).expect("one JSON object");
    assert_eq!(result["failed_phase"], "load_balancer_made");
    assert_eq!(platform.desired().await, 0, "tasks that can't be reached would cost money");
    desk.plan(json!({}));
    desk.came_up().await;
}

async fn a_reader_that_stalls_does_not_keep_up_from_ending(aws: Aws) {
    let platform = Platform::on(aws).await;
    // The command writes more than a pipe takes, and the test doesn't read the program's standard error.
    let mut up = std::process::Command::new(env!("CARGO_BIN_EXE_jvb-watcher"))
        .args(["up", "--make-timeout", "2s", "--balancer-command", "yes load-balancer"])
        .args(["--project", &platform.project, "--region", REGION, "--endpoint-url", &platform.proxy.endpoint()])
        .envs([("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is built");
    let status = eventually("up ends", async || up.try_wait().expect("a child")).await;
    assert_eq!(status.code(), Some(1));
}

async fn a_load_balancer_that_does_not_become_active_is_reported_and_a_second_run_completes(aws: Aws) {
    for (state, why) in [("provisioning", "is provisioning"), ("failed", "is in state failed")] {
        let platform = Platform::on(aws).await;
        let desk = Desk::new(&platform);
        let rewritten = format!("<State><Code>{state}</Code></State>");
        let fault = platform.proxy.on("elasticloadbalancing:DescribeLoadBalancers").rewrite(move |_, body| {
            match (body.find("<State>"), body.find("</State>")) {
                (Some(from), Some(to)) => format!("{}{rewritten}{}", &body[..from], &body[to + "</State>".len()..]),
                _ => body,
            }
        });
        let finished = desk.finish(desk.up().args(["--active-timeout", "3s"])).await;
        assert_failed(&finished, "load_balancer_active", why);
        fault.lift();
        desk.came_up().await;
    }
}

async fn unhealthy_targets_are_reported_and_a_second_run_completes(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let fault = platform.proxy.on("elasticloadbalancing:DescribeTargetHealth").rewrite(|_, body| {
        body.replace("<State>initial</State>", "<State>unhealthy</State>")
            .replace("<State>healthy</State>", "<State>unhealthy</State>")
    });
    let finished = desk.finish(desk.up().args(["--healthy-timeout", "3s"])).await;
    assert_failed(&finished, "targets_healthy", "2 unhealthy");
    fault.lift();
    let load_balancer = desk.came_up().await;
    platform.assert_tidy(&load_balancer).await;
}

async fn tasks_that_do_not_start_are_reported_and_a_second_run_completes(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let fault = platform.proxy.on("ecs:DescribeTasks").rewrite_json(|answer| {
        for task in answer["tasks"].as_array_mut().expect("tasks") {
            task["lastStatus"] = json!("PENDING");
        }
    });
    let finished = desk.finish(desk.up().args(["--serving-timeout", "3s"])).await;
    assert_failed(&finished, "tasks_serving", "0 of 1 task(s) serve");
    fault.lift();
    desk.came_up().await;
}

async fn what_cannot_succeed_is_refused_before_anything_is_written(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let finished = desk.finish(desk.up().args(["--service", "another"])).await;
    assert_failed(&finished, "claimed", "service another doesn't exist in cluster");
    let finished = desk.finish(desk.down().args(["--service", "another"])).await;
    assert_failed(&finished, "claimed", "service another doesn't exist in cluster");
    let finished = desk.finish(desk.launch("up")).await;
    assert_failed(&finished, "claimed", "give --terraform-dir or --balancer-command");
    assert_eq!(platform.proxy.writes(), Vec::<String>::new());
    assert!(!platform.load_balancer_exists().await);
}

async fn an_unreachable_aws_is_waited_for(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let load_balancer = platform.create_load_balancer().await;
    let up = desk.up().start();
    until("load_balancer_made", &up).await;
    platform.proxy.go_down().await;
    eventually("a call fails", async || up.stderr().contains("failed").then_some(())).await;
    platform.proxy.come_back().await;
    let mut up = up;
    let status = tokio::select! {
        status = up.wait_exit() => status,
        () = platform.schedule() => unreachable!("it never ends"),
    };
    assert_eq!(status.code(), Some(0), "{}", up.stderr());
    platform.assert_tidy(&load_balancer).await;
}

async fn throttled_calls_are_retried_in_every_phase(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    platform.create_load_balancer().await;
    let operations = [
        "ecs:DescribeServices",
        "ecs:ListTagsForResource",
        "ecs:TagResource",
        "ecs:UpdateService",
        "ecs:DescribeTasks",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:AddTags",
        "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:RemoveTags",
    ];
    // The SDK tries three times; so each phase fails once, and is retried.
    let faults: Vec<_> = operations.iter().map(|operation| platform.proxy.on(operation).times(3).throttle()).collect();
    let load_balancer = desk.came_up().await;
    platform.assert_tidy(&load_balancer).await;
    for (operation, fault) in operations.iter().zip(&faults) {
        assert_eq!(fault.hits(), 3, "{operation}");
    }
}

async fn an_operators_hold_prevents_deletion_until_it_is_released(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let load_balancer = platform.create_load_balancer().await;
    let finished = desk.launch("hold").args(["2h"]).finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let until = platform.tags(&load_balancer.arn).await[HOLD].clone();
    assert_eq!(finished.stdout.trim(), format!("{} is held until {until}", load_balancer.name));
    let ahead = until.parse::<jiff::Timestamp>().expect("an instant").duration_since(jiff::Timestamp::now());
    assert!((7100..=7260).contains(&ahead.as_secs()), "{ahead:?}");
    let lines = events(&finished.stderr);
    assert_eq!((lines[0]["event"].as_str(), lines[0]["held_by"].as_str()), (Some("hold_placed"), Some("hand")));
    let finished = desk.launch("hold").args(["30m"]).finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains(&format!("is already held until {until}")), "{}", finished.stdout);
    assert_eq!(platform.tags(&load_balancer.arn).await[HOLD], until);

    let watcher = Launch::quick(&platform).args(["--unused-grace", "1s"]).start();
    watcher.wait_for_finding("hold_active", "raised").await;
    let finished = desk.finish(desk.down()).await;
    assert_failed(&finished, "claimed", "held by hand until");
    assert!(platform.is_whole(&load_balancer).await);

    let finished = desk.launch("hold").args(["--release"]).finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains("no longer held"), "{}", finished.stdout);
    platform.wait_until_torn_down(&load_balancer).await;
    assert_eq!(watcher.stop().await, Some(0));

    let load_balancer = platform.create_load_balancer().await;
    desk.launch("hold").args(["2h"]).finish().await;
    let finished = desk.finish(desk.down().args(["--force"])).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(platform.is_torn_down(&load_balancer).await);
}

async fn a_watcher_continues_when_a_hold_expires(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let load_balancer = platform.create_load_balancer().await;
    let finished = desk.launch("hold").args(["1h"]).finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let watcher = Launch::quick(&platform).args(["--unused-grace", "1s"]).start();
    watcher.wait_for_finding("hold_active", "raised").await;
    assert!(platform.is_whole(&load_balancer).await);
    let soon = jiff::Timestamp::now() + Duration::from_secs(2);
    platform.add_tag(&[&load_balancer.arn], HOLD, &soon.to_string()).await;
    watcher.wait_for_finding("hold_active", "cleared").await;
    platform.wait_until_torn_down(&load_balancer).await;
    assert_eq!(watcher.stop().await, Some(0));
}

async fn what_cannot_be_held_is_reported(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let finished = desk.launch("hold").args(["2h"]).finish().await;
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("doesn't exist"), "{}", finished.stderr);
    let finished = desk.launch("hold").args(["--release"]).finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let load_balancer = platform.create_load_balancer().await;
    platform.remove_tag(&[&load_balancer.arn], "Lifecycle").await;
    let finished = desk.launch("hold").args(["2h"]).finish().await;
    assert!(finished.stderr.contains("doesn't have the tag Lifecycle=on-demand"), "{}", finished.stderr);
    for wrong in [&[][..], &["25h"], &["2h", "--release"], &["soon"]] {
        let finished = desk.launch("hold").args(wrong.iter().copied()).finish().await;
        assert_eq!(finished.code, Some(2), "{wrong:?}: {}", finished.stderr);
    }
    assert!(platform.proxy.writes().is_empty(), "{:?}", platform.proxy.writes());
}

/// Serves one page over TLS, and prints the port and the file with the certificate that signed its own.
const PAGE: &str = include_str!("https_page.py");

async fn the_last_phase_waits_until_the_url_answers(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    platform.create_load_balancer().await;
    let python = tokio::task::spawn_blocking(moto::installed_python).await.expect("Python is installed");
    let home = tempfile::tempdir().expect("the directory for temporary files is writable");
    let mut page = tokio::process::Command::new(python)
        .args(["-c", PAGE])
        .current_dir(home.path())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python runs");
    let mut line = String::new();
    let mut output = tokio::io::BufReader::new(page.stdout.take().expect("the output is piped"));
    tokio::io::AsyncBufReadExt::read_line(&mut output, &mut line).await.expect("it says its port");
    let url = format!("https://localhost:{}/", line.trim());
    let authority = home.path().join("authority.pem");
    let with_page = |launch: Launch| {
        launch.env("SSL_CERT_FILE", authority.to_str().expect("a path in Unicode")).args(["--verify-url", &url])
    };
    let finished = desk.finish(with_page(desk.up())).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(phases(&finished.stderr, "phase_completed").last().map(String::as_str), Some("url_answering"));
    assert!(finished.stderr.contains("it answers 503"), "the first answer is a 503: {}", finished.stderr);
    // Without the authority the certificate isn't trusted.
    let finished = desk.finish(desk.up().args(["--verify-url", &url, "--answer-timeout", "2s"])).await;
    assert_failed(&finished, "url_answering", &url);
    // Nothing listens on the port of a dropped listener.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let refused = format!("http://{port}/");
    let finished = desk.finish(desk.up().args(["--verify-url", &refused, "--answer-timeout", "2s"])).await;
    assert_failed(&finished, "url_answering", &format!("{refused}: "));
    assert!(finished.stderr.contains("Connection refused"), "{}", finished.stderr);
    drop(page.kill().await);
}

// ---- several operations at once, and interrupted ones: in the sandbox, where transitions take their time ----

#[cfg(feature = "sandbox")]
mod in_the_sandbox {
    use super::*;

    #[tokio::test]
    async fn an_up_that_is_killed_in_any_phase_can_be_repeated() {
        let kill_in = [
            "load_balancer_made",
            "load_balancer_active",
            "service_scaled",
            "tasks_serving",
            "targets_registered",
            "targets_healthy",
        ];
        let runs = kill_in.map(|phase| async move {
            let platform = Platform::on(Aws::Sandbox).await;
            let desk = Desk::new(&platform);
            desk.plan(json!({ "pause": 1 }));
            let up = desk.up().start();
            until(phase, &up).await;
            up.kill().await;
            // The terraform of a killed program continues.
            eventually("terraform ends", async || (!desk.directory.path().join("lock").exists()).then_some(())).await;
            let load_balancer = desk.came_up().await;
            let hold = platform.tags(&load_balancer.arn).await;
            assert!(!hold.contains_key(HOLD), "{phase}: {hold:?}");
            let finished = desk.finish(desk.down()).await;
            assert_eq!(finished.code, Some(0), "{phase}: {}", finished.stderr);
            assert!(platform.is_torn_down(&load_balancer).await, "{phase}");
        });
        futures_util::future::join_all(runs).await;
    }

    #[tokio::test]
    async fn a_signal_interrupts_terraform_and_a_second_run_completes() {
        // A program in the background of a script ignores SIGINT; its terraform must not.
        let runs = ["INT", "TERM"].map(|signal| async move {
            let platform = Platform::on(Aws::Sandbox).await;
            let desk = Desk::new(&platform);
            desk.plan(json!({ "pause": 120 }));
            let up = if signal == "TERM" { desk.up().ignoring_sigint() } else { desk.up() };
            let mut up = up.start();
            let created = async || up.stderr().contains("Creation complete").then_some(());
            eventually("terraform has created the load balancer", created).await;
            up.signal(signal);
            let status = up.wait_exit().await;
            let stderr = up.stderr();
            assert_eq!(status.code(), Some(130), "SIG{signal}: {stderr}");
            assert!(stderr.contains("interrupted; the state is saved"), "SIG{signal}: {stderr}");
            desk.plan(json!({}));
            let load_balancer = desk.came_up().await;
            assert_eq!(load_balancer.groups.len(), 2, "the second run creates what the first had not");
        });
        futures_util::future::join_all(runs).await;
    }

    #[tokio::test]
    async fn phases_are_drawn_on_a_terminal() {
        let platform = Platform::on(Aws::Sandbox).await;
        let desk = Desk::new(&platform);
        for (no_color, mark) in [("", "\u{1b}[32m✓\u{1b}[0m"), ("1", "✓")] {
            let finished = desk.finish(desk.up().env("NO_COLOR", no_color).at_a_terminal()).await;
            assert_eq!(finished.code, Some(0), "{}", finished.stdout);
            for phase in ["load balancer active", "tasks serving", "targets healthy"] {
                assert!(finished.stdout.contains(&format!("{mark} {phase} (")), "{phase}: {}", finished.stdout);
            }
            assert!(!finished.stdout.contains("phase_started"), "no log lines: {}", finished.stdout);
            let last = finished.stdout.lines().last().expect("a line");
            assert!(last.ends_with(".amazonaws.com") && !last.contains(is_spinner), "{last:?}");
        }
        // A command without phases draws nothing.
        for (arguments, lines) in [(["2h"], 2), (["30m"], 1), (["--release"], 2)] {
            let finished = desk.finish(desk.launch("hold").args(arguments).at_a_terminal()).await;
            assert_eq!(finished.code, Some(0), "{}", finished.stdout);
            assert!(!finished.stdout.contains(is_spinner), "{:?}", finished.stdout);
            assert_eq!(finished.stdout.lines().count(), lines, "{:?}", finished.stdout);
        }
    }

    /// The spinner is drawn in Braille patterns.
    fn is_spinner(c: char) -> bool {
        ('\u{2800}'..='\u{28ff}').contains(&c)
    }

    #[tokio::test]
    async fn the_later_of_two_ups_wins() {
        let platform = Platform::on(Aws::Sandbox).await;
        let desk = Desk::new(&platform);
        desk.plan(json!({ "pause": 120 }));
        let mut first = desk.up().start();
        eventually("terraform is running", async || first.stderr().contains("Creation complete").then_some(())).await;
        desk.plan(json!({}));
        let second = desk.finish(desk.up()).await;
        assert_eq!(second.code, Some(0), "{}", second.stderr);
        let status = first.wait_exit().await;
        assert_eq!(status.code(), Some(1), "{}", first.stderr());
        assert!(first.stderr().contains("superseded by another `up`"), "{}", first.stderr());
        assert_eq!(platform.load_balancer().await.groups.len(), 2);
        assert_eq!(platform.desired().await, 1);
    }

    #[tokio::test]
    async fn the_later_of_up_and_down_wins() {
        let platform = Platform::on(Aws::Sandbox).await;
        let desk = Desk::new(&platform);
        // However fast tasks start, `up` waits for them.
        platform.proxy.on("ecs:DescribeTasks").rewrite_json(|answer| {
            for task in answer["tasks"].as_array_mut().expect("tasks") {
                if task["lastStatus"] == "RUNNING" {
                    task["lastStatus"] = json!("PENDING");
                }
            }
        });
        let mut up = desk.up().start();
        until("tasks_serving", &up).await;
        let down = desk.finish(desk.down()).await;
        assert_eq!(down.code, Some(0), "{}", down.stderr);
        assert!(down.stderr.contains("supersedes the `up`"), "{}", down.stderr);
        let status = up.wait_exit().await;
        assert_eq!(status.code(), Some(1), "{}", up.stderr());
        assert!(up.stderr().contains("superseded by another `down`"), "{}", up.stderr());
        assert!(!platform.load_balancer_exists().await);
        assert_eq!(platform.desired().await, 0);
    }

    #[tokio::test]
    async fn up_completes_during_a_pending_and_during_a_running_teardown() {
        // `up` cancels the first within its grace period; the second has begun before `up`.
        let runs = ["idle_marked", "load_balancer_deleted"].map(|moment| async move {
            let platform = Platform::on(Aws::Sandbox).await;
            let desk = Desk::new(&platform);
            desk.came_up().await;
            let way = platform.another_proxy().await;
            let watcher = Launch::quick(&platform).endpoint(&way).start();
            watcher.wait_for("watcher_started").await;
            platform.set_desired(0).await;
            eventually(moment, async || watcher.events(moment).first().cloned()).await;
            let load_balancer = desk.came_up().await;
            platform.assert_tidy(&load_balancer).await;
            assert_eq!(load_balancer.groups.len(), 2, "{moment}");
            watcher.wait_for_reconciliations(&way, 1).await;
            assert!(platform.is_whole(&load_balancer).await, "{moment}");
            assert_eq!(watcher.stop().await, Some(0));
        });
        futures_util::future::join_all(runs).await;
    }
}
