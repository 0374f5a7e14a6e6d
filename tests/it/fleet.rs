//! One watcher for many services: listed in a file, or discovered by their tags.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::platform::{LoadBalancer, LoadBalancerSpec, Platform, TargetGroupSpec, udp};
use crate::stage::Aws;
use crate::wait::eventually;
use crate::watcher::{Finished, Launch, Line, Watcher};

/// The second service of the cluster.
pub const MEET: &str = "meet";

const TAG: &str = "jvb-watcher:load-balancer";

/// The rules of services whose teardown a test waits for.
const QUICK: &str = "resync-interval = \"1s\"\nidle-grace = \"2s\"\nunused-grace = \"3s\"\n";

fn meet_load_balancer(platform: &Platform) -> String {
    format!("{}-meet-nlb", platform.project)
}

/// Creates a load balancer for the second service.
pub async fn create_meet_load_balancer(platform: &Platform) -> LoadBalancer {
    let groups = vec![TargetGroupSpec { suffix: "meet-udp", ..udp() }];
    let plan = LoadBalancerSpec { groups, ..LoadBalancerSpec::default() };
    platform.create_load_balancer_named(&meet_load_balancer(platform), plan).await
}

pub async fn scale(platform: &Platform, service: &str, count: i32) {
    let update = platform.ecs.update_service().cluster(platform.cluster()).service(service);
    update.desired_count(count).send().await.expect("the desired count is set");
}

/// Waits until the target groups of a load balancer have exactly the running tasks of a service as targets.
pub async fn wait_until_registered(platform: &Platform, service: &str, load_balancer: &LoadBalancer) {
    let group = format!("service:{service}");
    eventually(&format!("the tasks of {service} are registered"), async || {
        let tasks = platform.sandbox().with_world(|world, _| world.tasks());
        let running = tasks.iter().filter(|task| task.group == group && task.last_status == "RUNNING");
        let addresses: BTreeSet<String> = running.filter_map(|task| Some(task.address?.to_string())).collect();
        for group in &load_balancer.groups {
            let targets = platform.targets(group).await.into_iter().map(|(ip, _)| ip);
            if addresses.is_empty() || targets.collect::<BTreeSet<_>>() != addresses {
                return None;
            }
        }
        Some(())
    })
    .await;
}

async fn exists(platform: &Platform, load_balancer: &LoadBalancer) -> bool {
    let found = platform.elb.describe_load_balancers().names(&load_balancer.name).send().await;
    found.is_ok_and(|found| !found.load_balancers().is_empty())
}

/// A configuration file.
pub struct ConfigFile {
    directory: TempDir,
}

impl ConfigFile {
    pub fn new(text: &str) -> Self {
        let file = Self { directory: tempfile::tempdir().expect("the directory for temporary files is writable") };
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("fleet.toml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).expect("the file can be written");
    }
}

/// Returns the part of a configuration that lists the platform's own service.
pub fn own(platform: &Platform) -> String {
    format!("[[service]]\nproject = \"{}\"\n", platform.project)
}

/// Returns the part of a configuration that lists the second service.
pub fn meet(platform: &Platform) -> String {
    format!("[[service]]\nservice = \"{MEET}\"\nload-balancer = \"{}\"\n", meet_load_balancer(platform))
}

pub fn defaults(platform: &Platform, rules: &str) -> String {
    format!("[defaults]\ncluster = \"{}\"\n{rules}", platform.cluster())
}

pub fn with_config(platform: &Platform, file: &ConfigFile) -> Launch {
    Launch::run(platform).env("JVB_WATCHER_CONFIG", file.path().to_str().expect("a path is text"))
}

fn is_about(line: &Line, service: &str) -> bool {
    line.text("service") == service
}

/// Waits for a further event about a service.
async fn wait_for_event_of(watcher: &Watcher, position: usize, event: &str, service: &str) -> Line {
    watcher.wait_for_after(position, event, |line| is_about(line, service)).await
}

#[tokio::test]
async fn serves_two_services_of_one_file_by_one_queue() {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    let (own_nlb, meet_nlb) = (platform.create_load_balancer().await, create_meet_load_balancer(&platform).await);
    platform.create_service_as(MEET, 1, &[]).await;
    scale(&platform, &platform.service(), 1).await;
    let file = ConfigFile::new(&format!("{}{}{}", defaults(&platform, QUICK), own(&platform), meet(&platform)));
    let watcher = with_config(&platform, &file).start();

    let started = watcher.wait_for("watcher_started").await;
    assert_eq!((started.number("services"), started.get("load_balancer")), (2, None));
    assert_eq!(["project", "cluster", "service"].map(|field| started.text(field)), [&platform.project, "*", "*"]);
    for (service, project, load_balancer) in
        [(MEET.to_owned(), MEET, &meet_nlb), (platform.service(), platform.project.as_str(), &own_nlb)]
    {
        let added = wait_for_event_of(&watcher, 0, "service_added", &service).await;
        assert_eq!((added.text("project"), added.text("cluster")), (project, platform.cluster().as_str()));
        assert_eq!(added.text("load_balancer"), load_balancer.name);
        assert_eq!(added["idle_grace_seconds"].as_f64(), Some(2.0));
        wait_until_registered(&platform, &service, load_balancer).await;
        wait_for_event_of(&watcher, 0, "target_registered", &service).await;
    }
    platform.wait_until_queue_empty().await;

    scale(&platform, MEET, 0).await;
    let deleted = watcher.wait_for("load_balancer_deleted").await;
    assert_eq!((deleted.text("service"), deleted.text("load_balancer")), (MEET, meet_nlb.name.as_str()));
    wait_for_event_of(&watcher, 0, "teardown_completed", MEET).await;
    assert!(platform.is_whole(&own_nlb).await, "the other service is in use");
    watcher.assert_no_trouble();
    watcher.signal("TERM");
    let stopped = watcher.wait_for("watcher_stopped").await;
    assert_eq!(stopped.text("service"), "*");
    assert!(stopped.number("reconciliations") > 2 && stopped.number("messages") >= 2, "{stopped:?}");
    assert!(stopped.number("aws_calls") > stopped.number("reconciliations"), "{stopped:?}");
}

#[tokio::test]
async fn reads_its_file_again_at_sighup() {
    let platform = Platform::on(Aws::Sandbox).await;
    let (own_nlb, meet_nlb) = (platform.create_load_balancer().await, create_meet_load_balancer(&platform).await);
    platform.create_service_as(MEET, 1, &[]).await;
    scale(&platform, &platform.service(), 1).await;
    let slow = "resync-interval = \"1s\"\nidle-grace = \"1h\"\n";
    let file = ConfigFile::new(&format!("{}{}", defaults(&platform, slow), own(&platform)));
    let watcher = with_config(&platform, &file).start();
    wait_until_registered(&platform, &platform.service(), &own_nlb).await;

    // A wrong file changes nothing.
    let position = watcher.position();
    file.write(&format!("{}idle-grace = \"soon\"\nqueue = \"q\"\n", meet(&platform)));
    watcher.signal("HUP");
    let rejected = watcher.wait_for_after(position, "config_rejected", |line| line.number("line") == 4).await;
    assert!(rejected.text("error").starts_with("idle-grace: \"soon\": "), "{rejected:?}");
    assert_eq!((rejected.text("level"), rejected.text("service")), ("ERROR", "*"));
    assert_eq!(rejected.text("file"), file.path().to_str().expect("text"));
    watcher.wait_for_after(position, "config_rejected", |line| line.number("line") == 5).await;
    std::fs::remove_file(file.path()).expect("the file exists");
    watcher.signal("HUP");
    watcher.wait_for_after(position, "config_rejected", |line| line.get("line").is_none()).await;
    watcher.wait_for_reconciliations(&platform.proxy, 2).await;
    assert!(watcher.events("service_removed").is_empty());

    // A good one replaces one service and adds the other.
    let stop = "stop-when-unused = \"12h\"\n";
    file.write(&format!("{}{}{stop}{}{stop}", defaults(&platform, QUICK), own(&platform), meet(&platform)));
    watcher.signal("HUP");
    let reloaded = watcher.wait_for("config_reloaded").await;
    assert_eq!(["services", "added", "replaced", "removed"].map(|field| reloaded.number(field)), [2, 1, 1, 0]);
    let replaced = watcher.wait_for("service_replaced").await;
    assert!(is_about(&replaced, &platform.service()), "{replaced:?}");
    assert_eq!(replaced["idle_grace_seconds"].as_f64(), Some(2.0));
    wait_for_event_of(&watcher, position, "service_added", MEET).await;
    wait_until_registered(&platform, MEET, &meet_nlb).await;

    // A service that is no longer listed is left alone.
    file.write(&format!("{}{}", defaults(&platform, QUICK), meet(&platform)));
    watcher.signal("HUP");
    let removed = watcher.wait_for("service_removed").await;
    assert!(is_about(&removed, &platform.service()), "{removed:?}");
    assert_eq!((removed.text("reason"), removed.text("load_balancer")), ("not_configured", own_nlb.name.as_str()));
    scale(&platform, &platform.service(), 0).await;
    scale(&platform, MEET, 0).await;
    wait_for_event_of(&watcher, position, "teardown_completed", MEET).await;
    assert!(exists(&platform, &own_nlb).await && !exists(&platform, &meet_nlb).await);
    assert_eq!(watcher.stop().await, Some(0));
}

#[tokio::test]
async fn a_file_that_became_a_pipe_is_rejected_and_the_worker_goes_on() {
    let platform = Platform::on(Aws::Sandbox).await;
    let file = ConfigFile::new(&own(&platform));
    let watcher = with_config(&platform, &file).start();
    watcher.wait_for("reconciled").await;
    std::fs::remove_file(file.path()).expect("the file exists");
    let made = std::process::Command::new("mkfifo").arg(file.path()).status().expect("mkfifo runs");
    assert!(made.success());
    watcher.signal("HUP");
    let rejected = watcher.wait_for("config_rejected").await;
    assert!(rejected.text("error").contains("it is not a regular file"), "{rejected:?}");
    assert_eq!(watcher.stop().await, Some(0));
}

#[tokio::test]
async fn the_findings_of_a_service_outlast_its_settings_and_are_cleared_when_it_is_removed() {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.create_service_as(MEET, 0, &[]).await;
    let groups = vec![TargetGroupSpec { suffix: "meet-udp", ..udp() }];
    let foreign = LoadBalancerSpec { groups, tags: Vec::new(), ..LoadBalancerSpec::default() };
    platform.create_load_balancer_named(&meet_load_balancer(&platform), foreign).await;
    let list = |rules: &str| format!("{}{}{}", defaults(&platform, rules), own(&platform), meet(&platform));
    let file = ConfigFile::new(&list(QUICK));
    let watcher = with_config(&platform, &file).start();
    watcher.wait_for_finding("load_balancer_not_owned", "raised").await;

    file.write(&list(&QUICK.replace("\"2s\"", "\"4s\"")));
    watcher.signal("HUP");
    wait_for_event_of(&watcher, 0, "service_replaced", MEET).await;
    let position = watcher.position();
    wait_for_event_of(&watcher, position, "reconciled", MEET).await;

    file.write(&format!("{}{}", defaults(&platform, QUICK), own(&platform)));
    watcher.signal("HUP");
    wait_for_event_of(&watcher, position, "service_removed", MEET).await;
    let lines = watcher.lines();
    let of_meet = lines.iter().filter(|line| is_about(line, MEET) && line.event() == "finding");
    let states: Vec<_> = of_meet.map(|line| line.text("state")).collect();
    assert_eq!(states, ["raised", "cleared"]);
    let place = |event: &str| lines.iter().rposition(|line| is_about(line, MEET) && line.event() == event);
    assert!(place("finding") < place("service_removed"));
    assert_eq!(watcher.stop().await, Some(0));
}

#[tokio::test]
async fn a_cluster_that_was_never_found_leaves_the_messages_on_the_queue() {
    let platform = Platform::on(Aws::Sandbox).await;
    let watcher = Launch::quick(&platform).args(["--discover", "mistyped"]).start();
    let failed = watcher.wait_for("discovery_failed").await;
    assert_eq!((failed.text("level"), failed.text("cluster")), ("ERROR", "mistyped"));
    let remedy = "correct --discover (JVB_WATCHER_DISCOVER), or create the cluster";
    assert!(failed.text("error").ends_with(remedy), "{failed:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(platform.proxy.count("sqs:ReceiveMessage"), 0);
    assert!(watcher.events("watcher_started").is_empty());
    watcher.stop().await;
}

#[tokio::test]
async fn discovers_services_by_their_tags_as_they_appear() {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    let arn = platform.service_arn();
    let set_tag = async |key: &str, value: &str| {
        let tag = aws_sdk_ecs::types::Tag::builder().key(key).value(value).build();
        platform.ecs.tag_resource().resource_arn(&arn).tags(tag).send().await.expect("the tag is set");
    };
    let own_nlb = platform.create_load_balancer().await;
    set_tag(TAG, &own_nlb.name).await;
    scale(&platform, &platform.service(), 1).await;
    // The SDK makes three attempts of a call.
    platform.proxy.on("ecs:ListServices").times(3).error(400, "ThrottlingException", "Rate exceeded");
    let watcher = Launch::quick(&platform).args(["--discover", &platform.cluster()]).start();
    let failed = watcher.wait_for("discovery_failed").await;
    assert_eq!(["cluster", "service"].map(|field| failed.text(field)), [platform.cluster().as_str(), "*"]);
    let started = watcher.wait_for("watcher_started").await;
    assert_eq!(started.number("services"), 1, "it waits for the first read");
    let added = wait_for_event_of(&watcher, 0, "service_added", &platform.service()).await;
    assert_eq!(added.text("project"), platform.service());
    wait_until_registered(&platform, &platform.service(), &own_nlb).await;

    // A service that appears, with an option of its own.
    let meet_nlb = create_meet_load_balancer(&platform).await;
    let options = [(TAG, meet_nlb.name.as_str()), ("jvb-watcher:idle-grace", "1h"), ("jvb-watcher:project", "p")];
    platform.create_service_as(MEET, 1, &options).await;
    platform.create_service_as("untagged", 0, &[("team", "x")]).await;
    let added = wait_for_event_of(&watcher, 0, "service_added", MEET).await;
    assert_eq!((added.text("project"), added["idle_grace_seconds"].as_f64()), ("p", Some(3600.0)));
    wait_until_registered(&platform, MEET, &meet_nlb).await;

    // A wrong tag is a finding of its service, which goes on with its last good settings.
    set_tag("jvb-watcher:idle-grace", "soon").await;
    let finding = watcher.wait_for_finding("tag_invalid", "raised").await;
    assert!(is_about(&finding, &platform.service()), "{finding:?}");
    assert!(finding.text("detail").contains("the tag jvb-watcher:idle-grace: \"soon\""), "{finding:?}");
    set_tag("jvb-watcher:idle-grace", "2m").await;
    watcher.wait_for_finding("tag_invalid", "cleared").await;
    let replaced = watcher.wait_for("service_replaced").await;
    assert_eq!(replaced["idle_grace_seconds"].as_f64(), Some(120.0));

    // Two services with one load balancer are both given up, until they have one each.
    set_tag(TAG, &meet_nlb.name).await;
    watcher.wait_for_finding("load_balancer_shared", "raised").await;
    for service in [MEET, &platform.service()] {
        let removed = wait_for_event_of(&watcher, 0, "service_removed", service).await;
        assert_eq!((removed.text("reason"), removed.text("level")), ("load_balancer_shared", "WARN"));
    }
    let position = watcher.position();
    set_tag(TAG, &own_nlb.name).await;
    wait_for_event_of(&watcher, position, "service_added", MEET).await;
    wait_for_event_of(&watcher, position, "service_added", &platform.service()).await;

    // A service without the tag is given up.
    platform.ecs.untag_resource().resource_arn(&arn).tag_keys(TAG).send().await.expect("the tag is removed");
    let removed = wait_for_event_of(&watcher, position, "service_removed", &platform.service()).await;
    assert_eq!(removed.text("reason"), "tag_removed");
    assert_eq!(watcher.events("discovery_failed").len(), 1);
    assert_eq!(watcher.stop().await, Some(0));
}

#[tokio::test]
async fn a_discovered_service_that_is_deleted_is_watched_until_its_load_balancer_is_gone() {
    let platform = Platform::on(Aws::Sandbox).await;
    let meet_nlb = create_meet_load_balancer(&platform).await;
    platform.create_service_as(MEET, 0, &[(TAG, &meet_nlb.name)]).await;
    // In use by no task for the time of the test, so that only the operator deletes it.
    let watcher = Launch::quick(&platform)
        .args(["--discover", &platform.cluster()])
        .env("JVB_WATCHER_UNUSED_GRACE", "1h")
        .start();
    wait_for_event_of(&watcher, 0, "service_added", MEET).await;
    let delete = platform.ecs.delete_service().cluster(platform.cluster()).service(MEET);
    delete.send().await.expect("the service is deleted");
    let finding = watcher.wait_for_finding("service_missing", "raised").await;
    assert!(is_about(&finding, MEET), "{finding:?}");
    let reads = platform.proxy.count("ecs:ListServices");
    platform.proxy.wait_for_calls("ecs:ListServices", reads + 3).await;
    assert!(watcher.events("service_removed").is_empty());
    platform.delete_load_balancer(&meet_nlb).await;
    let removed = wait_for_event_of(&watcher, 0, "service_removed", MEET).await;
    assert_eq!(removed.text("reason"), "service_deleted");
}

/// Asserts that the program ended with exit code 2 and a message with these parts.
fn assert_usage_error(finished: &Finished, parts: &[&str]) {
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    for part in parts {
        assert!(finished.stderr.contains(part), "{part:?} is not in: {}", finished.stderr);
    }
    assert!(finished.lines.is_empty(), "the program did not stop at once: {:?}", finished.stdout);
}

#[tokio::test]
async fn a_wrong_configuration_is_a_usage_error_with_all_its_lines() {
    let platform = Platform::on(Aws::Sandbox).await;
    let file = ConfigFile::new("[[service]]\nproject = \"a\"\nidle-grac = \"1m\"\n[[service]]\nteardown = \"some\"\n");
    let path = file.path().to_str().expect("text").to_owned();
    let finished = with_config(&platform, &file).finish().await;
    let lines = [format!("error: {path}:3: idle-grac: "), format!("\n{path}:5: teardown: ")];
    assert_usage_error(&finished, &lines.each_ref().map(String::as_str));

    file.write(&own(&platform));
    let contradictions: [(Launch, &[&str]); 6] = [
        (with_config(&platform, &file).args(["--service", "s"]), &["--service: it names one service", "--config"]),
        (with_config(&platform, &file).env("JVB_WATCHER_LOAD_BALANCER", "x"), &["--load-balancer: it names one"]),
        (with_config(&platform, &file).args(["--discover", "c"]), &["JVB_WATCHER_CONFIG", "--discover"]),
        (with_config(&platform, &file).without_env("JITSI_PROJECT"), &["--queue: it is missing", "JVB_WATCHER_QUEUE"]),
        (Launch::run(&platform).args(["--discover", "a,b/c"]), &["--discover: \"b/c\""]),
        (
            Launch::run(&platform).env("JVB_WATCHER_CONFIG_TEXT", "service = 1"),
            &["JVB_WATCHER_CONFIG_TEXT:1: service:"],
        ),
    ];
    for (launch, parts) in contradictions {
        assert_usage_error(&launch.finish().await, parts);
    }
    assert_eq!(platform.proxy.writes(), [""; 0]);
}

#[cfg(feature = "lambda")]
#[tokio::test]
async fn the_function_takes_its_services_from_a_variable() {
    use crate::runtime_api::{Outcome, RuntimeApi};

    let (platform, api) = (Platform::on(Aws::Sandbox).await, RuntimeApi::start().await);
    let (own_nlb, meet_nlb) = (platform.create_load_balancer().await, create_meet_load_balancer(&platform).await);
    platform.create_service_as(MEET, 1, &[]).await;
    scale(&platform, &platform.service(), 1).await;
    let text = format!("{}{}{}", defaults(&platform, QUICK), own(&platform), meet(&platform));
    let watcher = crate::lambda::launch(&platform, &api).env("JVB_WATCHER_CONFIG_TEXT", &text).start();
    for (service, load_balancer) in [(MEET.to_owned(), &meet_nlb), (platform.service(), &own_nlb)] {
        eventually(&format!("a tick has registered the task of {service}"), async || {
            let outcome = api.invoke(&crate::lambda::tick(), Duration::from_secs(60)).await;
            assert!(matches!(outcome, Outcome::Response(_)), "{outcome:?}");
            (!platform.targets(&load_balancer.groups[0]).await.is_empty()).then_some(())
        })
        .await;
    }
    assert_eq!(watcher.wait_for("watcher_started").await.number("services"), 2);
    watcher.assert_no_trouble();
}

#[cfg(feature = "lambda")]
#[tokio::test]
async fn the_function_discovers_services_and_fails_until_it_can() {
    use crate::runtime_api::{Outcome, RuntimeApi};

    let (platform, api) = (Platform::on(Aws::Sandbox).await, RuntimeApi::start().await);
    let denied = platform.proxy.on("ecs:ListServices").error(400, "AccessDeniedException", "not allowed");
    let watcher = crate::lambda::launch(&platform, &api)
        .env("JVB_WATCHER_DISCOVER", &platform.cluster())
        .env("JVB_WATCHER_RESYNC_INTERVAL", "1s")
        .start();
    let tick = async || api.invoke(&crate::lambda::tick(), Duration::from_secs(60)).await;
    let outcome = tick().await;
    assert!(matches!(&outcome, Outcome::Error(error) if error.to_string().contains("ecs:ListServices")), "{outcome:?}");
    assert_eq!(watcher.wait_for("watcher_started").await.number("services"), 0);
    denied.lift();

    let meet_nlb = create_meet_load_balancer(&platform).await;
    platform.create_service_as(MEET, 1, &[(TAG, &meet_nlb.name)]).await;
    eventually("a tick has registered the task", async || {
        let outcome = tick().await;
        assert!(matches!(outcome, Outcome::Response(_)), "{outcome:?}");
        (!platform.targets(&meet_nlb.groups[0]).await.is_empty()).then_some(())
    })
    .await;
    wait_for_event_of(&watcher, 0, "service_added", MEET).await;
}

#[cfg(feature = "lambda")]
#[tokio::test]
async fn the_function_reconciles_the_services_of_the_other_clusters_while_the_read_of_one_hangs() {
    use crate::runtime_api::{Outcome, RuntimeApi};

    let (platform, api) = (Platform::on(Aws::Sandbox).await, RuntimeApi::start().await);
    let meet_nlb = create_meet_load_balancer(&platform).await;
    platform.create_service_as(MEET, 1, &[(TAG, &meet_nlb.name)]).await;
    platform.proxy.on("ecs:ListServices").containing("hanging").hang();
    let watcher = crate::lambda::launch(&platform, &api)
        .env("JVB_WATCHER_DISCOVER", &format!("hanging,{}", platform.cluster()))
        .env("JVB_WATCHER_RESYNC_INTERVAL", "1s")
        .start();
    eventually("a tick has registered the task", async || {
        let outcome = api.invoke(&crate::lambda::tick(), Duration::from_secs(10)).await;
        assert!(matches!(outcome, Outcome::Response(_)), "{outcome:?}");
        (!platform.targets(&meet_nlb.groups[0]).await.is_empty()).then_some(())
    })
    .await;
    let failed = watcher.wait_for("discovery_failed").await;
    assert_eq!((failed.text("cluster"), failed.text("level")), ("hanging", "WARN"));
    assert!(failed.text("error").contains("its share of the invocation's time"), "{failed:?}");
}

mod views;
