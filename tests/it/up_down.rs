//! `up`, `down` and `hold` as an operator uses them, with a terraform on the PATH that makes the balancer over the same
//! endpoint. Every phase's failure and every way to cut one off is in src/operation/tests.rs, on virtual time.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::moto;
use crate::platform::{Balancer, Group, HOLD, MARK_BALANCER, MARK_SINCE, Platform};
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::wait::{eventually, within};
use crate::watcher::{Finished, Launch, Watcher};

on_moto_and_sandbox!(
    an_evening_by_up_and_down_alone,
    an_evening_beside_a_watcher,
    an_evening_in_which_terraform_takes_it_away,
    a_dry_run_writes_nothing,
    terraform_that_fails_is_told_and_a_second_run_goes_on,
    a_balancer_that_never_becomes_active_is_told_and_a_second_run_goes_on,
    targets_that_stay_unhealthy_are_told_and_a_second_run_goes_on,
    tasks_that_do_not_come_are_told_and_a_second_run_goes_on,
    a_service_that_is_missing_is_told_before_anything_is_made,
    an_aws_that_is_gone_for_a_while_is_waited_for,
    throttling_throughout_is_waited_out,
    a_hold_by_hand_keeps_watcher_and_down_off_until_it_is_released,
    a_hold_that_ends_lets_the_watcher_go_on,
    what_cannot_be_held_is_told,
    an_address_that_answers_over_https_is_the_last_phase,
);

/// An operator's directory with a terraform configuration, and the stand-in on the PATH.
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
        let desk = Self { platform, directory };
        desk.plan(json!({}));
        desk
    }

    /// What terraform makes, and how it misbehaves.
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

    fn launch(&self, command: &str) -> Launch {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = std::iter::once(PathBuf::from(self.directory.path()));
        let path = std::env::join_paths(own.chain(std::env::split_paths(&path))).expect("a PATH");
        Launch::new(self.platform, command).env("PATH", path.to_str().expect("a PATH in Unicode"))
    }

    fn up(&self) -> Launch {
        self.launch("up").args(["--terraform-dir", self.terraform_dir()])
    }

    fn down(&self) -> Launch {
        self.launch("down")
    }

    /// Runs a command to its end, while the scheduler does its part.
    async fn finish(&self, launch: Launch) -> Finished {
        tokio::select! {
            finished = launch.finish_within(Duration::from_secs(100)) => finished,
            () = self.platform.schedule() => unreachable!("it goes on for ever"),
        }
    }

    async fn came_up(&self) -> Balancer {
        let finished = self.finish(self.up()).await;
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        self.platform.balancer().await
    }
}

/// The log lines on standard error.
fn told(stderr: &str) -> Vec<Value> {
    let lines = stderr.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn phases(stderr: &str, event: &str) -> Vec<String> {
    let lines = told(stderr);
    let of_event = lines.iter().filter(|line| line["event"] == event);
    of_event.map(|line| line["phase"].as_str().expect("a phase").to_owned()).collect()
}

/// Waits until the phase is under way.
async fn until(phase: &str, watcher: &Watcher) {
    let what = format!("the phase {phase} begins");
    let begun = async || {
        watcher
            .stderr()
            .contains(&format!("\"phase_started\",\"operation\":\"up\",\"phase\":\"{phase}\""))
            .then_some(())
    };
    within(Duration::from_secs(60), &what, begun).await;
}

fn assert_failed(finished: &Finished, phase: &str, why: &str) {
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains(&format!("in the phase \"{phase}\"")), "{}", finished.stderr);
    assert!(finished.stderr.contains(why), "{why}: {}", finished.stderr);
    assert!(
        finished.stderr.contains("as it stands: ") && finished.stderr.contains("to go on: "),
        "{}",
        finished.stderr
    );
}

impl Platform {
    /// The balancer as it is now.
    async fn balancer(&self) -> Balancer {
        let found = self.elb.describe_load_balancers().names(self.balancer_name()).send().await.expect("a balancer");
        let arn = found.load_balancers()[0].load_balancer_arn().expect("an ARN").to_owned();
        let groups = self.elb.describe_target_groups().load_balancer_arn(&arn).send().await.expect("groups");
        let group = |group: &aws_sdk_elasticloadbalancingv2::types::TargetGroup| Group {
            name: group.target_group_name().expect("a name").to_owned(),
            arn: group.target_group_arn().expect("an ARN").to_owned(),
            port: group.port().expect("a port"),
        };
        Balancer { name: self.balancer_name(), arn, groups: groups.target_groups().iter().map(group).collect() }
    }

    /// No mark, no hold and no signature are left.
    async fn assert_tidy(&self, balancer: &Balancer) {
        let tags = self.tags(&balancer.arn).await;
        for key in [HOLD, "jvb-watcher:held-by", MARK_SINCE, MARK_BALANCER] {
            assert!(!tags.contains_key(key), "{tags:?}");
        }
        assert!(self.service_tags().await.is_empty(), "{:?}", self.service_tags().await);
    }
}

async fn an_evening_by_up_and_down_alone(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let finished = desk.finish(desk.up().args(["--output", "json"])).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let balancer = platform.balancer().await;
    let result: Value = serde_json::from_str(finished.stdout.trim()).expect("one JSON object");
    assert_eq!(result["load_balancer_arn"], balancer.arn.as_str());
    assert!(result["dns_name"].as_str().expect("a name").contains("elb"), "{result}");
    assert_eq!(result["target_groups"].as_array().map(Vec::len), Some(2));
    let address = result["tasks"][0]["ipv4"].as_str().expect("an address").to_owned();
    platform.wait_for_targets(&balancer, &[&address]).await;
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
    assert!(finished.stderr.contains("Apply complete!"), "terraform's words are told");
    platform.assert_tidy(&balancer).await;

    // Again, at once.
    let finished = desk.finish(desk.up()).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout.trim(), result["dns_name"]);
    assert!(!finished.stderr.contains("Apply complete!"), "it was there");

    let finished = desk.finish(desk.down().args(["--output", "json"])).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(platform.is_torn_down(&balancer).await);
    let result: Value = serde_json::from_str(finished.stdout.trim()).expect("one JSON object");
    assert!(result["hours_up"].as_f64().expect("hours") >= 0.0 && result["idle_monthly"] == 0.73, "{result}");
    assert_eq!(platform.desired().await, 0);
    assert!(platform.service_tags().await.is_empty());
    let finished = desk.finish(desk.down()).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains("isn't known") && finished.stdout.contains("$0.73"), "{}", finished.stdout);
}

async fn an_evening_beside_a_watcher(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    // A way of its own, so that each one's calls are its own.
    let way = platform.another_proxy().await;
    let watcher = Launch::quick(&platform).endpoint(&way).args(["--unused-grace", "1s"]).start();
    watcher.wait_for("watcher_started").await;
    let desk = Desk::new(&platform);
    // A grace that short would be over before terraform has come to its end, but for the hold.
    desk.plan(json!({ "pause": 6 }));
    let balancer = desk.came_up().await;
    let finding = watcher.events("finding").into_iter().find(|line| line.text("finding") == "hold_active");
    assert!(finding.is_some_and(|line| line.text("detail").contains("by up")), "the watcher reports the hold");
    platform.assert_tidy(&balancer).await;
    let finished = desk.finish(desk.down()).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(platform.is_torn_down(&balancer).await);
    watcher.assert_no_trouble();
    assert_eq!(watcher.stop().await, Some(0));
}

async fn an_evening_in_which_terraform_takes_it_away(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let balancer = desk.came_up().await;
    let destroy = format!("terraform -chdir={} destroy -target=module.jvb_nlb -auto-approve", desk.terraform_dir());
    let finished = desk.finish(desk.down().args(["--balancer-command", &destroy])).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("Destroy complete!"), "{}", finished.stderr);
    assert!(platform.is_torn_down(&balancer).await);
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
    assert_eq!(platform.proxy.writes(), Vec::<String>::new());
}

async fn terraform_that_fails_is_told_and_a_second_run_goes_on(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    desk.plan(json!({ "fail": "no free addresses in subnet-1" }));
    let finished = desk.finish(desk.up().args(["--output", "json"])).await;
    assert_failed(&finished, "load balancer created", "Error: no free addresses in subnet-1");
    let result: Value = serde_json::from_str(finished.stdout.trim()).expect("one JSON object");
    assert_eq!(result["failed_phase"], "load_balancer_made");
    assert_eq!(platform.desired().await, 0, "nobody is to pay for tasks that can't be reached");
    desk.plan(json!({}));
    desk.came_up().await;
}

async fn a_balancer_that_never_becomes_active_is_told_and_a_second_run_goes_on(aws: Aws) {
    for (state, why) in [("provisioning", "is provisioning"), ("failed", "its state is failed")] {
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
        assert_failed(&finished, "load balancer active", why);
        fault.lift();
        desk.came_up().await;
    }
}

async fn targets_that_stay_unhealthy_are_told_and_a_second_run_goes_on(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let fault = platform.proxy.on("elasticloadbalancing:DescribeTargetHealth").rewrite(|_, body| {
        body.replace("<State>initial</State>", "<State>unhealthy</State>")
            .replace("<State>healthy</State>", "<State>unhealthy</State>")
    });
    let finished = desk.finish(desk.up().args(["--healthy-timeout", "3s"])).await;
    assert_failed(&finished, "targets healthy", "2 unhealthy");
    fault.lift();
    let balancer = desk.came_up().await;
    platform.assert_tidy(&balancer).await;
}

async fn tasks_that_do_not_come_are_told_and_a_second_run_goes_on(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let fault = platform.proxy.on("ecs:DescribeTasks").rewrite_json(|answer| {
        for task in answer["tasks"].as_array_mut().expect("tasks") {
            task["lastStatus"] = json!("PENDING");
        }
    });
    let finished = desk.finish(desk.up().args(["--serving-timeout", "3s"])).await;
    assert_failed(&finished, "tasks serving", "0 of 1 task(s) serve");
    fault.lift();
    desk.came_up().await;
}

async fn a_service_that_is_missing_is_told_before_anything_is_made(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let finished = desk.finish(desk.up().args(["--service", "another"])).await;
    assert_failed(&finished, "lease acquired", "there is no service another in cluster");
    let finished = desk.finish(desk.down().args(["--service", "another"])).await;
    assert_failed(&finished, "lease acquired", "there is no service another in cluster");
    let finished = desk.finish(desk.launch("up")).await;
    assert_failed(&finished, "lease acquired", "give --terraform-dir or --balancer-command");
    assert_eq!(platform.proxy.writes(), Vec::<String>::new());
    assert!(!platform.balancer_exists().await);
}

async fn an_aws_that_is_gone_for_a_while_is_waited_for(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let balancer = platform.create_balancer().await;
    let up = desk.up().start();
    until("load_balancer_made", &up).await;
    platform.proxy.go_down().await;
    eventually("it notices", async || up.stderr().contains("failed").then_some(())).await;
    platform.proxy.come_back().await;
    let mut up = up;
    let status = tokio::select! {
        status = up.wait_exit_within(Duration::from_secs(100)) => status,
        () = platform.schedule() => unreachable!("it goes on for ever"),
    };
    assert_eq!(status.code(), Some(0), "{}", up.stderr());
    platform.assert_tidy(&balancer).await;
}

async fn throttling_throughout_is_waited_out(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    platform.create_balancer().await;
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
    // The SDK tries three times; so each phase fails once, and is tried again.
    let faults: Vec<_> = operations.iter().map(|operation| platform.proxy.on(operation).times(3).throttle()).collect();
    let balancer = desk.came_up().await;
    platform.assert_tidy(&balancer).await;
    for (operation, fault) in operations.iter().zip(&faults) {
        assert_eq!(fault.hits(), 3, "{operation}");
    }
}

async fn a_hold_by_hand_keeps_watcher_and_down_off_until_it_is_released(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let balancer = platform.create_balancer().await;
    let finished = desk.launch("hold").args(["2h"]).finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let until = platform.tags(&balancer.arn).await[HOLD].clone();
    assert_eq!(finished.stdout.trim(), format!("{} is held until {until}", balancer.name));
    let ahead = until.parse::<jiff::Timestamp>().expect("an instant").duration_since(jiff::Timestamp::now());
    assert!((7100..=7260).contains(&ahead.as_secs()), "{ahead:?}");
    let lines = told(&finished.stderr);
    assert_eq!((lines[0]["event"].as_str(), lines[0]["held_by"].as_str()), (Some("hold_placed"), Some("hand")));

    let watcher = Launch::quick(&platform).args(["--unused-grace", "1s"]).start();
    watcher.wait_for_finding("hold_active", "raised").await;
    let finished = desk.finish(desk.down()).await;
    assert_failed(&finished, "lease acquired", "held by hand until");
    assert!(platform.is_whole(&balancer).await);

    let finished = desk.launch("hold").args(["--release"]).finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains("no longer held"), "{}", finished.stdout);
    platform.wait_until_torn_down(&balancer).await;
    assert_eq!(watcher.stop().await, Some(0));

    let balancer = platform.create_balancer().await;
    desk.launch("hold").args(["2h"]).finish().await;
    let finished = desk.finish(desk.down().args(["--force"])).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(platform.is_torn_down(&balancer).await);
}

async fn a_hold_that_ends_lets_the_watcher_go_on(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let balancer = platform.create_balancer().await;
    let finished = desk.launch("hold").args(["6s"]).finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let watcher = Launch::quick(&platform).args(["--unused-grace", "1s"]).start();
    watcher.wait_for_finding("hold_active", "raised").await;
    assert!(platform.is_whole(&balancer).await);
    watcher.wait_for_finding("hold_active", "cleared").await;
    platform.wait_until_torn_down(&balancer).await;
    assert_eq!(watcher.stop().await, Some(0));
}

async fn what_cannot_be_held_is_told(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    let finished = desk.launch("hold").args(["2h"]).finish().await;
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("there is no load balancer"), "{}", finished.stderr);
    let finished = desk.launch("hold").args(["--release"]).finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let balancer = platform.create_balancer().await;
    platform.remove_tag(&[&balancer.arn], "Lifecycle").await;
    let finished = desk.launch("hold").args(["2h"]).finish().await;
    assert!(finished.stderr.contains("has no tag Lifecycle=on-demand"), "{}", finished.stderr);
    for wrong in [&[][..], &["25h"], &["2h", "--release"], &["soon"]] {
        let finished = desk.launch("hold").args(wrong.iter().copied()).finish().await;
        assert_eq!(finished.code, Some(2), "{wrong:?}: {}", finished.stderr);
    }
    assert!(platform.proxy.writes().is_empty(), "{:?}", platform.proxy.writes());
}

/// Serves one page over TLS, and prints the port and the file with the certificate that signed its own.
const PAGE: &str = include_str!("https_page.py");

async fn an_address_that_answers_over_https_is_the_last_phase(aws: Aws) {
    let platform = Platform::on(aws).await;
    let desk = Desk::new(&platform);
    platform.create_balancer().await;
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
    assert!(finished.stderr.contains("it answers 503"), "the first answer was no good: {}", finished.stderr);
    // Nobody vouches for its certificate.
    let finished = desk.finish(desk.up().args(["--verify-url", &url, "--answer-timeout", "2s"])).await;
    assert_failed(&finished, "URL reachable", &url);
    drop(page.kill().await);
}

// ---- several at once, and cut off: where tasks and balancers take their time ----

#[cfg(feature = "sandbox")]
mod in_the_sandbox {
    use super::*;

    #[tokio::test]
    async fn killed_in_every_phase_it_goes_on_when_run_again() {
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
            // A killed program's terraform goes on, and ends.
            eventually("terraform ends", async || (!desk.directory.path().join("lock").exists()).then_some(())).await;
            let balancer = desk.came_up().await;
            let hold = platform.tags(&balancer.arn).await;
            assert!(!hold.contains_key(HOLD), "{phase}: {hold:?}");
            let finished = desk.finish(desk.down()).await;
            assert_eq!(finished.code, Some(0), "{phase}: {}", finished.stderr);
            assert!(platform.is_torn_down(&balancer).await, "{phase}");
        });
        futures_util::future::join_all(runs).await;
    }

    #[tokio::test]
    async fn a_ctrl_c_stops_terraform_decently_and_leaves_what_a_second_run_takes_over() {
        let platform = Platform::on(Aws::Sandbox).await;
        let desk = Desk::new(&platform);
        desk.plan(json!({ "pause": 30 }));
        let mut up = desk.up().start();
        eventually("terraform has made the balancer", async || up.stderr().contains("Creation complete").then_some(()))
            .await;
        up.signal("INT");
        let status = up.wait_exit_within(Duration::from_secs(20)).await;
        let stderr = up.stderr();
        assert_eq!(status.code(), Some(130), "{stderr}");
        assert!(stderr.contains("interrupted; the state is saved"), "{stderr}");
        desk.plan(json!({}));
        let balancer = desk.came_up().await;
        assert_eq!(balancer.groups.len(), 2, "what terraform hadn't made is made");
    }

    #[tokio::test]
    async fn at_a_terminal_the_phases_are_drawn() {
        let platform = Platform::on(Aws::Sandbox).await;
        let desk = Desk::new(&platform);
        for (no_color, mark) in [("", "\u{1b}[32m✓\u{1b}[0m"), ("1", "✓")] {
            let finished = desk.finish(desk.up().env("NO_COLOR", no_color).at_a_terminal()).await;
            assert_eq!(finished.code, Some(0), "{}", finished.stdout);
            for phase in ["load balancer created", "tasks serving", "targets healthy"] {
                assert!(finished.stdout.contains(&format!("{mark} {phase} (")), "{phase}: {}", finished.stdout);
            }
            assert!(!finished.stdout.contains("phase_started"), "no log lines: {}", finished.stdout);
        }
    }

    #[tokio::test]
    async fn of_two_ups_the_later_wins() {
        let platform = Platform::on(Aws::Sandbox).await;
        let desk = Desk::new(&platform);
        desk.plan(json!({ "pause": 4 }));
        let mut first = desk.up().start();
        eventually("terraform is under way", async || first.stderr().contains("Creation complete").then_some(())).await;
        let second = desk.finish(desk.up()).await;
        assert_eq!(second.code, Some(0), "{}", second.stderr);
        let status = first.wait_exit_within(Duration::from_secs(60)).await;
        assert_eq!(status.code(), Some(1), "{}", first.stderr());
        assert!(first.stderr().contains("superseded by another `up`"), "{}", first.stderr());
        assert_eq!(platform.balancer().await.groups.len(), 2);
        assert_eq!(platform.desired().await, 1);
    }

    #[tokio::test]
    async fn of_up_and_down_the_later_wins() {
        let platform = Platform::on(Aws::Sandbox).await;
        let desk = Desk::new(&platform);
        let mut up = desk.up().start();
        until("tasks_serving", &up).await;
        let down = desk.finish(desk.down()).await;
        assert_eq!(down.code, Some(0), "{}", down.stderr);
        assert!(down.stderr.contains("taking over from the `up`"), "{}", down.stderr);
        let status = up.wait_exit_within(Duration::from_secs(60)).await;
        assert_eq!(status.code(), Some(1), "{}", up.stderr());
        assert!(up.stderr().contains("superseded by another `down`"), "{}", up.stderr());
        assert!(!platform.balancer_exists().await);
        assert_eq!(platform.desired().await, 0);
    }

    #[tokio::test]
    async fn up_during_a_pending_and_during_a_running_teardown_ends_with_calls_that_can_come() {
        // The first is called off within the grace; the second has begun when `up` comes.
        let runs = ["idle_marked", "load_balancer_deleted"].map(|moment| async move {
            let platform = Platform::on(Aws::Sandbox).await;
            let desk = Desk::new(&platform);
            desk.came_up().await;
            let way = platform.another_proxy().await;
            let watcher = Launch::quick(&platform).endpoint(&way).start();
            watcher.wait_for("watcher_started").await;
            platform.set_desired(0).await;
            within(Duration::from_secs(60), moment, async || watcher.events(moment).first().cloned()).await;
            let balancer = desk.came_up().await;
            platform.assert_tidy(&balancer).await;
            assert_eq!(balancer.groups.len(), 2, "{moment}");
            watcher.wait_for_looks(&way, 1).await;
            assert!(platform.is_whole(&balancer).await, "{moment}");
            assert_eq!(watcher.stop().await, Some(0));
        });
        futures_util::future::join_all(runs).await;
    }
}
