//! What `status`, `doctor`, `/metrics` and `report` show of several services.

use std::process::Stdio;

use hyper::Method;
use serde_json::Value;

use super::{
    ConfigFile, MEET, QUICK, TAG, create_meet_load_balancer, defaults, meet, meet_load_balancer, own, scale,
    wait_for_event_of, wait_until_registered, with_config,
};
use crate::listen::request;
use crate::metrics::scrape;
use crate::platform::{LoadBalancerSpec, Platform, TargetGroupSpec, udp};
use crate::stage::Aws;
use crate::wait::eventually;
use crate::watcher::{Finished, Launch};

/// A service of the list that doesn't exist.
const ABSENT: &str = "absent";

fn absent() -> String {
    format!("[[service]]\nservice = \"{ABSENT}\"\nload-balancer = \"{ABSENT}-nlb\"\n")
}

/// Runs a command for a list of services.
async fn ask(platform: &Platform, command: &str, list: &ConfigFile, arguments: &[&str]) -> Finished {
    let launch = Launch::new(platform, command).env("JVB_WATCHER_CONFIG", list.path().to_str().expect("text"));
    launch.args(arguments.iter().copied()).finish().await
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:#?}"))
}

/// Returns the entry of a service in the answer of `status` or `doctor`.
fn entry(answer: &Value, is_it: impl Fn(&Value) -> bool) -> &Value {
    let services = answer["services"].as_array().expect("services");
    services.iter().find(|service| is_it(service)).unwrap_or_else(|| panic!("it is not in {answer:#}"))
}

fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

/// Creates the load balancer of the second service without its owner tag, which is a finding.
async fn create_foreign_load_balancer(platform: &Platform) {
    let groups = vec![TargetGroupSpec { suffix: "meet-udp", ..udp() }];
    let plan = LoadBalancerSpec { groups, tags: Vec::new(), ..LoadBalancerSpec::default() };
    platform.create_load_balancer_named(&meet_load_balancer(platform), plan).await;
}

#[tokio::test]
async fn status_leads_with_the_services_of_a_list_that_aren_t_well() {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    create_foreign_load_balancer(&platform).await;
    platform.create_service_as(MEET, 0, &[]).await;
    let list = ConfigFile::new(&format!("{}{}{}", defaults(&platform, ""), own(&platform), meet(&platform)));
    let finished = ask(&platform, "status", &list, &[]).await;
    assert_eq!(finished.code, Some(3), "{finished:#?}");
    let text = &finished.stdout;
    assert!(text.starts_with("1 of 2 services is not well\n"), "{text}");
    assert!(text.contains("load_balancer_not_owned") && text.contains("next:"), "{text}");
    assert!(text.contains("1 well: 1 idle without a load balancer"), "{text}");
    assert!(!text.contains(&platform.service()) && text.contains(MEET), "{text}");
    assert_eq!(finished.stderr, "");
    assert_fits(text);
    let all = ask(&platform, "status", &list, &["--all"]).await;
    assert!(all.stdout.contains(&platform.service()), "{}", all.stdout);

    let finished = ask(&platform, "status", &list, &["-o", "json"]).await;
    let answer = json(&finished);
    assert_eq!((finished.code, &answer["well"]), (Some(3), &Value::Bool(false)));
    assert_eq!((&answer["summary"]["services"], &answer["summary"]["not_well"]), (&2.into(), &1.into()));
    assert_eq!(answer["queue"]["name"], platform.queue_name());
    let of_meet = entry(&answer, |of| of["names"]["service"] == MEET);
    assert_eq!((&of_meet["well"], &of_meet["state"]), (&Value::Bool(false), &"idle".into()));
    assert_eq!(of_meet["names"]["load_balancer"], meet_load_balancer(&platform));
    assert_eq!(of_meet["findings"][0]["finding"], "load_balancer_not_owned");
    let of_own = entry(&answer, |of| of["names"]["project"] == platform.project.as_str());
    assert_eq!((&of_own["well"], &of_own["service"]["desired"]), (&Value::Bool(true), &0.into()));
    assert_eq!(platform.proxy.count("events:ListRuleNamesByTarget"), 3, "once for each run");

    let one = ask(&platform, "status", &list, &["--service", MEET]).await;
    assert_eq!(one.code, Some(3), "{one:#?}");
    assert!(one.stdout.starts_with("Not well: 1 finding\n  load_balancer_not_owned: "), "{}", one.stdout);
    assert!(one.stdout.contains("\nNext\n"), "{}", one.stdout);
    let none = ask(&platform, "status", &list, &["--service", "other"]).await;
    assert_eq!(none.code, Some(2), "{none:#?}");
    assert!(none.stderr.contains("the list has no service \"other\""), "{}", none.stderr);
    assert_eq!(platform.proxy.writes(), [""; 0]);
}

#[tokio::test]
async fn a_service_that_can_t_be_observed_fails_no_other() {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    platform.create_service_as(MEET, 0, &[]).await;
    let list = ConfigFile::new(&format!("{}{}{}", defaults(&platform, ""), own(&platform), meet(&platform)));
    let well = ask(&platform, "status", &list, &[]).await;
    assert_eq!(well.code, Some(0), "{well:#?}");
    assert!(well.stdout.starts_with("Well: 2 services\n\n2 idle without a load balancer\n"), "{}", well.stdout);

    let of_meet = |text: &str| text.contains(&format!("\"{MEET}\""));
    platform.proxy.on("ecs:ListTasks").matching(of_meet).error(400, "AccessDeniedException", "not allowed");
    let finished = ask(&platform, "status", &list, &[]).await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stdout.starts_with("1 of 2 services could not be observed\n"), "{}", finished.stdout);
    assert!(finished.stdout.contains("ecs:ListTasks") && finished.stdout.contains("1 well: 1 idle"), "{finished:#?}");
    let answer = json(&ask(&platform, "status", &list, &["-o", "json"]).await);
    let failed = entry(&answer, |of| of["state"] == "failed");
    assert_eq!((&failed["names"]["service"], &failed["well"]), (&MEET.into(), &Value::Bool(false)));
    assert!(failed["error"].as_str().expect("an error").contains("ecs:ListTasks"), "{failed}");
}

#[tokio::test]
async fn status_discovers_services_by_their_tags() {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    let discover = ["--discover", &platform.cluster()];
    platform.create_service_as(MEET, 0, &[(TAG, "meet-nlb")]).await;
    platform.create_service_as("wrong", 0, &[(TAG, "wrong-nlb"), ("jvb-watcher:idle-grace", "soon")]).await;
    platform.create_service_as("untagged", 0, &[]).await;
    let status = async |arguments: &[&str]| {
        let launch = Launch::new(&platform, "status").args(discover).args(arguments.iter().copied());
        launch.finish().await
    };
    let finished = status(&[]).await;
    assert_eq!(finished.code, Some(3), "{finished:#?}");
    assert!(finished.stdout.starts_with("1 of 2 services is not well\n"), "{}", finished.stdout);
    assert!(finished.stdout.contains("tag_invalid") && !finished.stdout.contains("untagged"), "{}", finished.stdout);
    let one = status(&["--service", MEET]).await;
    assert!(one.stdout.starts_with("Well: no findings\n"), "{one:#?}");
    platform.proxy.on("ecs:ListServices").error(400, "AccessDeniedException", "not allowed");
    let blind = status(&[]).await;
    assert_eq!(blind.code, Some(1), "{blind:#?}");
    assert!(blind.stdout.starts_with("1 cluster could not be read\n"), "{}", blind.stdout);
}

#[tokio::test]
async fn a_view_of_no_service_is_not_well() {
    let platform = Platform::on(Aws::Sandbox).await;
    let list = ConfigFile::new(&own(&platform));
    for command in ["status", "doctor"] {
        let mistyped = ask(&platform, command, &list, &["--cluster", "mistyped"]).await;
        assert_eq!(mistyped.code, Some(2), "{mistyped:#?}");
        assert!(mistyped.stderr.contains("--cluster: the list has no cluster \"mistyped\""), "{mistyped:#?}");
        let cluster = platform.cluster();
        let arguments = ["--discover", cluster.as_str(), "--queue", "nope"];
        let nothing = Launch::new(&platform, command).args(arguments).finish().await;
        assert_eq!(nothing.code, Some(if command == "status" { 3 } else { 1 }), "{nothing:#?}");
        assert!(nothing.stdout.contains("nope"), "{}", nothing.stdout);
        assert_fits(&nothing.stdout);
    }
}

#[tokio::test]
async fn doctor_lists_what_is_wrong_by_service_and_counts_the_rest() {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.create_service_as(MEET, 0, &[]).await;
    // Of the whole cluster, and so of all listed services.
    let pattern = serde_json::json!({ "source": ["aws.ecs"], "detail": { "clusterArn": [platform.cluster_arn()] } });
    platform.route_by(&pattern.to_string()).await;
    let text = format!("{}{}{}{}", defaults(&platform, ""), own(&platform), meet(&platform), absent());
    let list = ConfigFile::new(&text);
    let finished = ask(&platform, "doctor", &list, &[]).await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let text = &finished.stdout;
    assert!(text.contains(&format!("{}/{ABSENT}: ", platform.cluster())), "{text}");
    assert!(text.contains("\nServices\n") && text.contains("1 check failed, for 1 of 3 services: "), "{text}");
    assert_eq!(text.matches("credentials").count(), 1, "{text}");
    assert!(!text.contains(&format!("{}/{MEET}: ", platform.cluster())), "{text}");
    assert_fits(text);
    assert_eq!(platform.proxy.count("sts:GetCallerIdentity"), 1);

    let answer = json(&ask(&platform, "doctor", &list, &["-o", "json"]).await);
    assert_eq!((&answer["wired_up"], &answer["failed"]), (&Value::Bool(false), &1.into()));
    assert!(answer["checks"].as_array().expect("checks").iter().any(|check| check["check"] == "queue"));
    let of_absent = entry(&answer, |of| of["service"] == ABSENT);
    assert_eq!(of_absent["wired_up"], false);
    let has_failed = |check: &Value| check["check"] == "service" && check["result"] == "failed";
    assert!(of_absent["checks"].as_array().expect("checks").iter().any(has_failed), "{of_absent:#}");
    assert_eq!(entry(&answer, |of| of["service"] == MEET)["wired_up"], true);

    let one = ask(&platform, "doctor", &list, &["--service", MEET]).await;
    assert_eq!(one.code, Some(0), "{one:#?}");
    assert!(one.stdout.contains("\nNo check failed: "), "{}", one.stdout);
}

#[tokio::test]
async fn metrics_and_report_of_two_services() {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    let (own_nlb, meet_nlb) = (platform.create_load_balancer().await, create_meet_load_balancer(&platform).await);
    platform.create_service_as(MEET, 1, &[]).await;
    scale(&platform, &platform.service(), 1).await;
    let list = ConfigFile::new(&format!("{}{}{}", defaults(&platform, QUICK), own(&platform), meet(&platform)));
    let mut watcher = with_config(&platform, &list).args(["--listen", "127.0.0.1:0"]).start();
    let address = watcher.wait_for("listening").await.text("address").to_owned();
    wait_until_registered(&platform, &platform.service(), &own_nlb).await;
    wait_until_registered(&platform, MEET, &meet_nlb).await;
    platform.send(&serde_json::json!({ "source": "aws.ec2", "detail-type": "x" })).await;
    eventually("both services and the foreign message are exposed", async || {
        let text = request(&address, Method::GET, "/metrics").await.into_body();
        let serving = |line: &&str| line.starts_with("jvb_watcher_serving_tasks{") && line.ends_with(" 1.0");
        let foreign = format!("jvb_watcher_events_foreign_total{{project=\"{}\"}} 1", platform.project);
        (text.lines().filter(serving).count() == 2 && text.contains(&foreign)).then_some(())
    })
    .await;
    // Prometheus's own parser rejects a family that is there twice.
    let families = scrape(&address).await;
    let samples = |family: &str| families[format!("jvb_watcher_{family}")]["samples"].as_array().expect("samples");
    let services: Vec<_> = samples("serving_tasks").iter().map(|sample| sample["labels"].clone()).collect();
    let labels = |project: &str, service: &str| serde_json::json!({ "project": project, "cluster": platform.cluster(), "service": service });
    assert!(services.contains(&labels(&platform.project, &platform.service())), "{services:?}");
    assert!(services.contains(&labels(MEET, MEET)), "{services:?}");
    for family in ["aws_calls", "throttles", "events_foreign", "messages_rejected", "queue_age_seconds"] {
        let labels: Vec<_> = samples(family).iter().map(|sample| &sample["labels"]).collect();
        assert_eq!(labels, [&serde_json::json!({ "project": platform.project })], "{family}");
    }

    scale(&platform, MEET, 0).await;
    wait_for_event_of(&watcher, 0, "teardown_completed", MEET).await;
    platform.proxy.wait_for_waiting_poll().await;
    watcher.signal("TERM");
    assert_eq!(watcher.wait_exit().await.code(), Some(0));
    let of = |service: &str| watcher.events("metrics").into_iter().filter(|of| of.text("Service") == service).collect();
    let (process, services): (Vec<_>, Vec<_>) = (of("*"), [of(MEET), of(&platform.service())].concat());
    assert!(!process.is_empty() && services.len() >= 2);
    for line in &services {
        assert!(line.get("AwsCalls").is_none() && line.get("EventsForeign").is_none(), "{line:?}");
    }
    let sum = |metric: &str| process.iter().filter_map(|line| line[metric].as_i64()).sum::<i64>();
    assert_eq!(sum("EventsForeign"), 1);
    let sent = i64::try_from(platform.proxy.calls().len()).expect("a small number");
    assert!(sum("AwsCalls") > sent / 2 && sum("AwsCalls") <= sent, "{} of {sent} calls", sum("AwsCalls"));

    let log = list.directory.path().join("watcher.log");
    std::fs::write(&log, watcher.stdout()).expect("the directory is writable");
    let report = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_jvb-watcher"));
        command.env_clear().arg("report").arg(&log).args(arguments).stdin(Stdio::null());
        command.output().await.expect("the program was built")
    };
    let page = String::from_utf8(report(&[]).await.stdout).expect("text");
    assert!(page.contains("The load balancers of 2 services were up for "), "{page:.2000}");
    assert!(page.contains("<table class=\"services\">") && page.matches("<h2 id=\"service-").count() == 2);
    let page = String::from_utf8(report(&["--service", MEET]).await.stdout).expect("text");
    assert!(page.contains("The load balancer was up for ") && !page.contains(&platform.service()), "{page:.2000}");
    let unknown = report(&["--service", "other"]).await;
    let error = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(unknown.status.code(), Some(2), "{error}");
    assert!(error.contains("no line about a service \"other\"; the logs have "), "{error}");
}
