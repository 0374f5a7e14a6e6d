//! Operations that complete.

use super::*;

#[tokio::test(start_paused = true)]
async fn up_then_down_restores_the_initial_state() {
    let platform = Platform::new(nothing());
    let mut up = platform.up("u");
    let completed = execute(&mut up).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_up();
    let lease = Lease::of(&platform.cloud.world().service_tags).expect("the lease of an `up` stays");
    assert_eq!((lease.holder, lease.state), (LeaseHolder::Up, LeaseState::Ended));
    let phases: Vec<_> = completed.iter().map(|completed| completed.phase).collect();
    assert_eq!(phases, up.phases().iter().map(|bounded| bounded.phase).collect::<Vec<_>>());
    let report = up.report(completed);
    assert_eq!(report.dns_name, "p-jvb-nlb.elb.example");
    assert_eq!((report.tasks.len(), report.target_groups.len()), (1, 2));

    tokio::time::sleep(minutes(60)).await;
    let mut down = platform.down("d");
    let completed = execute(&mut down).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
    assert_eq!(platform.cloud.world().service_tags, Tags::new());
    let cost = down.report(completed).cost;
    let hours = cost.hours_up.expect("it was observed");
    assert!((1.0..1.2).contains(&hours), "{hours}");
}

#[tokio::test(start_paused = true)]
async fn a_second_run_completes_at_once_and_writes_nothing() {
    let platform = Platform::new(nothing());
    platform.bring_up().await;
    let writes = ["UpdateService", "RegisterTargets", "DeregisterTargets", "DeleteLoadBalancer"];
    let before = platform.cloud.calls_of(&writes).len();
    let began = Instant::now();
    let completed = execute(&mut platform.up("again")).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(began.elapsed() < seconds(5), "{:?}", began.elapsed());
    assert!(completed.iter().any(|completed| completed.phase == Phase::ServiceScaled && completed.skipped));
    platform.assert_up();
    assert_eq!(platform.cloud.calls_of(&writes).len(), before);

    execute(&mut platform.down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
    let completed = execute(&mut platform.down("e")).await.unwrap_or_else(|failure| panic!("{failure}"));
    let gone = completed.iter().find(|completed| completed.phase == Phase::LoadBalancerGone).expect("a phase");
    assert!(gone.skipped, "{gone:?}");
    platform.assert_down();
}

#[tokio::test(start_paused = true)]
async fn up_keeps_a_higher_desired_count() {
    let platform = Platform::new(nothing());
    platform.bring_up().await;
    platform.cloud.world().observed.service = Service::Found(Counts { desired: 3, running: 1, pending: 0 });
    execute(&mut platform.up("again")).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(platform.cloud.world().observed.readiness().desired, 3);
    assert_eq!(platform.cloud.world().observed.readiness().serving, 3, "up waits for all of them");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_lists_every_step_and_writes_nothing() {
    let platform = Platform::new(nothing());
    let steps = platform.up("u").dry_run().await.expect("it can succeed").join("\n");
    for step in ["run `terraform apply`", "desired count from 0 to 1", "healthy", "release the hold"] {
        assert!(steps.contains(step), "{steps}");
    }
    platform.bring_up().await;
    let writes = ["UpdateService", "TagResource", "AddTags", "RemoveTags", "DeleteLoadBalancer"];
    let before = platform.cloud.calls_of(&writes).len();
    let steps = platform.down("d").dry_run().await.expect("it can succeed").join("\n");
    for step in ["desired count from 1 to 0", "delete p-jvb-nlb", "p-jvb-udp"] {
        assert!(steps.contains(step), "{steps}");
    }
    assert_eq!(platform.cloud.calls_of(&writes).len(), before);
}

#[tokio::test(start_paused = true)]
async fn down_waits_for_a_task_that_was_stopping_when_it_began_and_is_in_neither_list() {
    for command in [false, true] {
        let platform = Platform::new(nothing());
        platform.bring_up().await;
        let stopping = {
            let mut world = platform.cloud.world();
            world.observed.service = Service::Found(Counts::default());
            let task = &mut world.observed.tasks[0];
            (task.desired_status, task.last_status) = (DesiredStatus::Stopped, LastStatus::Stopping);
            task.stopping_at = Some(crate::clock::Clock::now(&*platform.clock));
            let id = task.id.clone();
            world.unlisted.push(id.clone());
            id
        };
        let command = command.then(|| destroy::command(&platform));
        let mut down = platform.down_with("d", command, HoldPolicy::Respect);
        let shown_after_the_lag = async {
            tokio::time::sleep(seconds(8)).await;
            platform.cloud.world().unlisted.clear();
        };
        let stopped_first = async {
            loop {
                let (is_stopped, exists) = {
                    let world = platform.cloud.world();
                    let of_task = world.observed.tasks.iter().find(|task| task.id == stopping);
                    let is_stopped = of_task.is_none_or(|task| task.last_status == LastStatus::Stopped);
                    (is_stopped, world.observed.load_balancer.is_some())
                };
                if is_stopped || !exists {
                    return exists;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let (result, (), stopped_first) = tokio::join!(execute(&mut down), shown_after_the_lag, stopped_first);
        result.unwrap_or_else(|failure| panic!("{failure}"));
        assert!(stopped_first, "the load balancer is there until the task has stopped");
        platform.assert_down();
    }
}
