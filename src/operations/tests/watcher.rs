//! Operations beside a watcher.

use super::*;

/// Runs a watcher beside the work, which reconciles every five seconds.
async fn beside_a_watcher<T>(platform: &Platform, work: impl Future<Output = T>) -> T {
    let mut watcher = platform.watcher();
    let watch = async {
        loop {
            let _ = watcher.reconcile(&Hints::default()).await;
            tokio::time::sleep(seconds(5)).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = watch => unreachable!("the watcher never ends"),
    }
}

#[tokio::test(start_paused = true)]
async fn up_and_down_complete_beside_a_watcher() {
    let platform = Platform::new(nothing());
    beside_a_watcher(&platform, async {
        platform.bring_up().await;
        platform.assert_up();
        tokio::time::sleep(minutes(30)).await;
        platform.assert_up();
        execute(&mut platform.down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
        platform.assert_down();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_teardown_that_is_due_during_up_is_prevented_or_completed_first() {
    // The grace period ends within the first half minute of `up`.
    for due_in in (0..30).step_by(2) {
        let platform = Platform::new(nothing());
        platform.bring_up().await;
        platform.cloud.world().observed.service = Service::Found(Counts::default());
        tokio::time::sleep(minutes(2)).await;
        let marked_at = crate::clock::Clock::now(&*platform.clock) - seconds(60) + seconds(due_in);
        {
            let mut world = platform.cloud.world();
            let load_balancer = world.observed.load_balancer.as_mut().expect("a load balancer");
            let mark = Tags::from([
                (IDLE_SINCE_TAG.to_owned(), rfc3339_millis(marked_at)),
                (LOAD_BALANCER_TAG.to_owned(), load_balancer.arn.clone()),
            ]);
            load_balancer.tags.extend(mark.clone());
            load_balancer.target_groups.iter_mut().for_each(|group| group.tags.extend(mark.clone()));
        }
        // A deletion takes nearly as long as an observation is valid.
        platform.cloud.delay("DeleteLoadBalancer", seconds(8));
        beside_a_watcher(&platform, async {
            execute(&mut platform.up("u")).await.unwrap_or_else(|failure| panic!("due in {due_in}: {failure}"));
            platform.assert_up();
            tokio::time::sleep(minutes(10)).await;
            platform.assert_up();
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_continues_when_a_hold_expires() {
    let platform = Platform::new(nothing());
    platform.bring_up().await;
    {
        let mut world = platform.cloud.world();
        world.observed.service = Service::Found(Counts::default());
        let hold =
            Hold::for_duration(minutes(20), crate::clock::Clock::now(&*platform.clock), Holder::Up("dead".into()));
        world.observed.load_balancer.as_mut().expect("a load balancer").tags.extend(hold.tags());
    }
    beside_a_watcher(&platform, async {
        tokio::time::sleep(minutes(19)).await;
        assert!(platform.cloud.world().observed.load_balancer.is_some(), "it is held");
        tokio::time::sleep(minutes(3)).await;
        assert!(platform.cloud.world().observed.load_balancer.is_none(), "the hold and the grace period are over");
    })
    .await;
}
