//! `down` with a command that destroys the load balancer.

use super::*;

struct Destroy {
    cloud: FakeAws,
    leaves: Vec<TargetGroup>,
}

impl LoadBalancerCommand for Destroy {
    fn text(&self) -> String {
        "terraform destroy".to_owned()
    }

    fn run<'a>(&'a self, _: &'a (dyn Fn(&str) + Sync), _: oneshot::Receiver<()>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async {
            tokio::time::sleep(seconds(20)).await;
            let mut world = self.cloud.world();
            world.observed.load_balancer = None;
            world.observed.orphaned_target_groups.clone_from(&self.leaves);
            Ok(())
        })
    }
}

/// A command that destroys everything.
pub(super) fn command(platform: &Platform) -> Arc<dyn LoadBalancerCommand> {
    Arc::new(Destroy { cloud: platform.cloud.clone(), leaves: Vec::new() })
}

#[tokio::test(start_paused = true)]
async fn down_runs_its_command_after_every_task_has_stopped() {
    let platform = Platform::new(nothing());
    platform.bring_up().await;
    let mut down = platform.down_with("d", Some(command(&platform)), HoldPolicy::Respect);
    execute(&mut down).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
    assert_eq!(platform.cloud.count("DeleteLoadBalancer"), 0);
    assert!(platform.log.of("target_deregistered").len() >= 2, "a target is deregistered when its task stops");
}

#[tokio::test(start_paused = true)]
async fn target_groups_that_the_command_leaves_are_named() {
    let platform = Platform::new(nothing());
    platform.bring_up().await;
    let left =
        platform.cloud.world().observed.load_balancer.as_ref().expect("a load balancer").target_groups[0].clone();
    let command = Arc::new(Destroy { cloud: platform.cloud.clone(), leaves: vec![left] });
    let failure = failed(execute(&mut platform.down_with("d", Some(command), HoldPolicy::Respect)).await);
    assert_eq!(failure.phase, Phase::NothingLeft);
    assert!(failure.reason.contains("target group(s) p-jvb-udp"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn phases_are_logged() {
    let platform = Platform::new(nothing());
    platform.bring_up().await;
    let names =
        |event: &str| -> Vec<Value> { platform.log.of(event).iter().map(|line| line["phase"].clone()).collect() };
    assert_eq!(names("phase_started"), names("phase_completed"));
    assert_eq!(names("phase_started")[1], "load_balancer_made");
    assert_eq!(platform.log.of("command_output")[0]["text"], "Creating...");
    assert!(!platform.log.of("phase_waiting").is_empty());
}
