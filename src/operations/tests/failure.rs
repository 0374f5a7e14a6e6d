//! Operations that fail.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_failed_phase_reports_its_reason_and_a_second_run_completes() {
    let cases = [
        (Behaviour::NeverActive, Phase::LoadBalancerActive, "p-jvb-nlb is provisioning"),
        (Behaviour::TasksCrash, Phase::TasksServing, "Essential container in task exited"),
        (Behaviour::TasksNeverStart, Phase::TasksServing, "0 of 1 task(s) serve"),
        (Behaviour::TargetsUnhealthy, Phase::TargetsHealthy, "unhealthy (Target.FailedHealthChecks)"),
    ];
    for (behaviour, phase, why) in cases {
        let platform = Platform::new(nothing());
        platform.set(behaviour);
        let failure = failed(execute(&mut platform.up("u")).await);
        assert_eq!(failure.phase, phase, "{failure}");
        assert!(failure.reason.contains(why), "{behaviour:?}: {failure}");
        assert!(
            failure.state.contains("load balancer p-jvb-nlb") && failure.advice.contains("jvb-watcher up"),
            "{failure}"
        );
        assert!(!platform.tags().contains_key(HOLD_UNTIL_TAG), "{behaviour:?}: a watcher may delete it");
        assert_ended(&platform.cloud.world().service_tags);
        platform.set(Behaviour::Good);
        execute(&mut platform.up("again")).await.unwrap_or_else(|failure| panic!("{behaviour:?}: {failure}"));
        platform.assert_up();
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_in_state_failed_can_be_deleted_and_created_again() {
    let platform = Platform::new(nothing());
    platform.set(Behaviour::EndsFailed);
    let failure = failed(execute(&mut platform.up("u")).await);
    assert_eq!(failure.phase, Phase::LoadBalancerActive);
    assert!(failure.reason.contains("jvb-watcher down"), "{failure}");
    platform.set(Behaviour::Good);
    execute(&mut platform.down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
    platform.bring_up().await;
    platform.assert_up();
}

#[tokio::test(start_paused = true)]
async fn a_failed_command_is_reported_with_its_output() {
    let platform = Platform::new(nothing());
    let command = Terraform::failing(&platform, &["no subnets"]);
    let mut up = platform.up_with("u", command.clone(), None);
    let failure = failed(execute(&mut up).await);
    assert_eq!((failure.phase, failure.reason.as_str()), (Phase::LoadBalancerMade, "no subnets"));
    let mut up = platform.up_with("again", command, None);
    execute(&mut up).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_up();
}

/// Records when a command runs, and can make its first run fail at its end.
pub(super) struct Recorded {
    command: Arc<dyn LoadBalancerCommand>,
    first_end: Result<(), &'static str>,
    runs: Mutex<Vec<Instant>>,
}

impl Recorded {
    pub(super) fn new(command: Option<Arc<dyn LoadBalancerCommand>>, first_end: Result<(), &'static str>) -> Arc<Self> {
        Arc::new(Self { command: command.expect("a command"), first_end, runs: Mutex::default() })
    }

    fn runs(&self) -> Vec<Instant> {
        self.runs.lock().expect("not poisoned").clone()
    }
}

impl LoadBalancerCommand for Recorded {
    fn text(&self) -> String {
        self.command.text()
    }

    fn run<'a>(
        &'a self,
        on_line: &'a (dyn Fn(&str) + Sync),
        interrupted: oneshot::Receiver<()>,
    ) -> BoxFuture<'a, Result<(), String>> {
        self.runs.lock().expect("not poisoned").push(Instant::now());
        let is_first = self.runs().len() == 1;
        Box::pin(async move {
            self.command.run(on_line, interrupted).await?;
            if is_first { self.first_end.map_err(str::to_owned) } else { Ok(()) }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_command_the_next_up_runs_it_at_once() {
    let platform = Platform::new(nothing());
    let command = Recorded::new(Terraform::failing(&platform, &["no subnets"]), Ok(()));
    let failure = failed(execute(&mut platform.up_with("u", Some(command.clone()), None)).await);
    assert_eq!(failure.reason, "no subnets");
    assert_over(&platform.cloud.world().service_tags);
    let began = Instant::now();
    let mut up = platform.up_with("again", Some(command.clone()), None);
    let completed = execute(&mut up).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(completed[0].detail, "no other operation is running");
    let waited = command.runs()[1] - began;
    assert!(waited < seconds(5), "{waited:?}");
    platform.assert_up();
}

#[tokio::test(start_paused = true)]
async fn a_command_that_failed_is_run_again_though_the_load_balancer_exists() {
    let platform = Platform::new(nothing());
    let command = Recorded::new(platform.terraform(), Err("no listeners"));
    let failure = failed(execute(&mut platform.up_with("u", Some(command.clone()), None)).await);
    assert_eq!(failure.reason, "no listeners");
    // One that is interrupted before it has run the command leaves that to the next one.
    let (context, order) = platform.context("interrupted", Some(command.clone()));
    tokio::spawn(async move {
        tokio::time::sleep(seconds(3)).await;
        order.stop(StopReason::Sigint);
    });
    let failure = failed(execute(&mut Up::new(context, spec(None))).await);
    assert_eq!((failure.phase, command.runs().len()), (Phase::LoadBalancerMade, 1), "{failure}");
    let mut up = platform.up_with("again", Some(command.clone()), None);
    execute(&mut up).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(command.runs().len(), 2);
    platform.assert_up();
}

#[tokio::test(start_paused = true)]
async fn a_failed_operation_releases_its_lease_though_its_hold_cannot_be_released() {
    let platform = Platform::new(nothing());
    platform.set(Behaviour::TasksNeverStart);
    platform.cloud.fail("RemoveTags", ErrorKind::AccessDenied, 100);
    let failure = failed(execute(&mut platform.up("u")).await);
    assert_eq!(failure.phase, Phase::TasksServing);
    assert!(platform.tags().contains_key(HOLD_UNTIL_TAG), "the hold expires by itself");
    assert_ended(&platform.cloud.world().service_tags);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_does_not_create_the_load_balancer_is_refused() {
    struct Nothing;
    impl LoadBalancerCommand for Nothing {
        fn text(&self) -> String {
            "true".to_owned()
        }
        fn run<'a>(
            &'a self,
            _: &'a (dyn Fn(&str) + Sync),
            _: oneshot::Receiver<()>,
        ) -> BoxFuture<'a, Result<(), String>> {
            Box::pin(async { Ok(()) })
        }
    }
    let platform = Platform::new(nothing());
    let failure = failed(execute(&mut platform.up_with("u", Some(Arc::new(Nothing)), None)).await);
    assert!(failure.reason.contains("`true` succeeded, but load balancer p-jvb-nlb doesn't exist"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn up_refuses_what_cannot_succeed_before_it_writes() {
    let without_service = Observation { service: Service::Missing, ..nothing() };
    let mut application = load_balancer(&[]);
    application.kind = LoadBalancerKind::Other("application".to_owned());
    let with_application = observation(Service::Found(Counts::default()), Vec::new(), Some(application));
    let cases = [
        (without_service, true, "service p-service doesn't exist"),
        (nothing(), false, "no command creates it"),
        (with_application, true, "type application"),
    ];
    for (seen, with_command, why) in cases {
        let platform = Platform::new(seen);
        let command = platform.terraform().filter(|_| with_command);
        let failure = failed(execute(&mut platform.up_with("u", command, None)).await);
        assert_eq!(failure.phase, Phase::Claimed);
        assert!(failure.reason.contains(why), "{failure}");
        assert_eq!(platform.cloud.count("TagResource") + platform.cloud.count("AddTags"), 0);
    }
}

/// Returns an `up` for two tasks, of a service that may have several bridges or not.
fn up_for_two(platform: &Platform, allow_several_bridges: bool) -> Up<FakeAws> {
    let (context, _) = platform.context("u", platform.terraform());
    Up::new(Context { allow_several_bridges, ..context }, up::Spec { desired: 2, ..spec(None) })
}

#[tokio::test(start_paused = true)]
async fn up_refuses_several_bridges_behind_one_udp_listener_before_it_writes() {
    let existing = observation(Service::Found(Counts::default()), Vec::new(), Some(load_balancer(&[])));
    for seen in [nothing(), existing] {
        let platform = Platform::new(seen);
        let failure = failed(execute(&mut up_for_two(&platform, false)).await);
        assert_eq!(failure.phase, Phase::Claimed);
        assert!(failure.reason.contains("one UDP listener can serve one bridge"), "{failure}");
        assert!(failure.reason.contains("--allow-several-bridges"), "{failure}");
        let dry_run = up_for_two(&platform, false).dry_run().await.expect_err("refused, too");
        assert_eq!(dry_run.reason, failure.reason);
        assert_eq!(platform.cloud.count("TagResource") + platform.cloud.count("AddTags"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn up_scales_to_several_tasks_where_they_are_allowed_or_take_no_udp() {
    let mut without_udp = load_balancer(&[]);
    without_udp.target_groups.iter_mut().for_each(|group| group.protocol = Protocol::Other);
    let without_udp = observation(Service::Found(Counts::default()), Vec::new(), Some(without_udp));
    for (seen, allow_several_bridges) in [(nothing(), true), (without_udp, false)] {
        let platform = Platform::new(seen);
        let mut up = up_for_two(&platform, allow_several_bridges);
        execute(&mut up).await.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(platform.cloud.world().observed.readiness().serving, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn up_waits_with_ecss_reason_for_a_task_that_it_cannot_place() {
    let mut seen = nothing();
    let text =
        "(service p-service) was unable to place a task. Reason: Capacity is unavailable at this time.".to_owned();
    seen.startup.message = Some(SchedulerMessage { at: crate::aws::fake::noon() + minutes(60), text });
    let platform = Platform::new(seen);
    platform.set(Behaviour::TasksNeverPlaced);
    let failure = failed(execute(&mut platform.up("u")).await);
    assert_eq!(failure.phase, Phase::TasksServing);
    assert!(failure.reason.contains("Reason: Capacity is unavailable at this time"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn down_refuses_a_foreign_or_held_load_balancer_before_it_writes() {
    let mut foreign = load_balancer(&[]);
    foreign.tags.clear();
    let mut held = load_balancer(&[]);
    held.tags.insert(HOLD_UNTIL_TAG.into(), "2026-11-20T13:00:00Z".into());
    for (load_balancer, why) in [(foreign, "doesn't have the tag Lifecycle=on-demand"), (held, "--force")] {
        let counts = Counts { desired: 1, running: 0, pending: 0 };
        let platform = Platform::new(observation(Service::Found(counts), Vec::new(), Some(load_balancer)));
        let failure = failed(execute(&mut platform.down("d")).await);
        assert_eq!(failure.phase, Phase::Claimed);
        assert!(failure.reason.contains(why), "{failure}");
        assert_eq!(platform.cloud.count("UpdateService") + platform.cloud.count("TagResource"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn down_names_the_tasks_that_do_not_stop() {
    let platform = Platform::new(nothing());
    platform.bring_up().await;
    platform.set(Behaviour::TasksNeverStop);
    let before = platform.cloud.count("ListTasks");
    let failure = failed(execute(&mut platform.down("d")).await);
    assert_eq!(failure.phase, Phase::TasksDrained);
    assert!(failure.reason.contains("not stopped yet: 0000"), "{failure}");
    let polls = platform.cloud.count("ListTasks") - before;
    assert!((30..60).contains(&polls), "the polls of five minutes: {polls}");
    assert_eq!(platform.cloud.count("DeleteLoadBalancer"), 0, "a call may go on");
    platform.set(Behaviour::Good);
    execute(&mut platform.down("again")).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
}

#[test]
fn the_poll_interval_grows_with_the_wait() {
    assert_eq!(
        [0, 10, 20, 50, 100, 600].map(|waited| poll_interval(seconds(waited))),
        [1, 1, 2, 5, 10, 10].map(seconds)
    );
}

#[tokio::test(start_paused = true)]
async fn deletion_protection_fails_at_once() {
    let platform = Platform::new(nothing());
    platform.bring_up().await;
    platform.cloud.fail("DeleteLoadBalancer", ErrorKind::OperationNotPermitted, 1);
    let failure = failed(execute(&mut platform.down("d")).await);
    assert_eq!(failure.phase, Phase::LoadBalancerGone);
    assert!(failure.reason.contains("deletion_protection"), "{failure}");
    execute(&mut platform.down("again")).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
}

#[tokio::test(start_paused = true)]
async fn transient_errors_are_retried_in_every_phase() {
    const OPERATIONS: [&str; 12] = [
        "DescribeServices",
        "ListTasks",
        "DescribeTasks",
        "DescribeLoadBalancers",
        "DescribeTargetGroups",
        "DescribeTags",
        "DescribeTargetHealth",
        "UpdateService",
        "TagResource",
        "AddTags",
        "RegisterTargets",
        "RemoveTags",
    ];
    for kind in [ErrorKind::Throttled, ErrorKind::Unavailable] {
        let platform = Platform::new(nothing());
        for operation in OPERATIONS {
            platform.cloud.fail(operation, kind, 3);
        }
        platform.bring_up().await;
        platform.assert_up();
        for operation in OPERATIONS.iter().chain(&["DeleteLoadBalancer", "DeleteTargetGroup", "UntagResource"]) {
            platform.cloud.fail(operation, kind, 3);
        }
        execute(&mut platform.down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
        platform.assert_down();
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_fails_at_once_and_is_named() {
    let platform = Platform::new(nothing());
    platform.cloud.fail("UpdateService", ErrorKind::AccessDenied, 1);
    let failure = failed(execute(&mut platform.up("u")).await);
    assert_eq!(failure.phase, Phase::ServiceScaled);
    assert!(failure.reason.contains("allow the action fake:UpdateService"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn up_waits_until_the_url_answers() {
    struct Page(Mutex<VecDeque<Result<String, String>>>);
    impl Probe for Page {
        fn url(&self) -> &str {
            "https://meet.example"
        }
        fn send(&self) -> BoxFuture<'_, Result<String, String>> {
            let next = self.0.lock().expect("not poisoned").pop_front();
            Box::pin(async { next.unwrap_or_else(|| Err("it answers 503".to_owned())) })
        }
    }
    let platform = Platform::new(nothing());
    let answers = VecDeque::from([Err("it answers 503".to_owned()), Ok("200".to_owned())]);
    let page: Arc<dyn Probe> = Arc::new(Page(Mutex::new(answers)));
    let mut up = platform.up_with("u", platform.terraform(), Some(page.clone()));
    let completed = execute(&mut up).await.unwrap_or_else(|failure| panic!("{failure}"));
    let last = completed.last().expect("phases");
    assert_eq!((last.phase, last.detail.as_str()), (Phase::UrlAnswering, "https://meet.example answers 200"));
    let failure = failed(execute(&mut platform.up_with("again", None, Some(page))).await);
    assert!(failure.reason.contains("https://meet.example: it answers 503"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn up_recreates_a_load_balancer_that_is_deleted_before_its_use_and_fails_after() {
    let platform = Platform::new(nothing());
    // Just after terraform has ended.
    let cloud = platform.cloud.clone();
    tokio::spawn(async move {
        tokio::time::sleep(seconds(60)).await;
        let mut world = cloud.world();
        world.observed.load_balancer = None;
    });
    platform.bring_up().await;
    platform.assert_up();

    let cloud = platform.cloud.clone();
    platform.set(Behaviour::TasksNeverStart);
    cloud.world().observed.service = Service::Found(Counts { desired: 2, running: 1, pending: 0 });
    tokio::spawn(async move {
        tokio::time::sleep(seconds(60)).await;
        cloud.world().observed.load_balancer = None;
    });
    let failure = failed(execute(&mut platform.up("again")).await);
    assert!(failure.reason.contains("deleted during the operation"), "{failure}");
}
