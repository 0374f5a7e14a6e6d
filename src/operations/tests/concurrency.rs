//! Several operations at once, and interrupted ones.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_later_of_two_ups_wins() {
    for apart in [0, 3, 20, 60, 150, 190] {
        let platform = Platform::new(nothing());
        let (mut first, mut second) = (platform.up("first"), platform.up("second"));
        let later = async {
            tokio::time::sleep(seconds(apart) + Duration::from_millis(1)).await;
            execute(&mut second).await
        };
        let (first, second) = tokio::join!(execute(&mut first), later);
        second.unwrap_or_else(|failure| panic!("{apart} s apart: {failure}"));
        let failure = failed(first);
        assert!(matches!(failure.error, OperationError::Superseded(_)), "{apart} s apart: {failure}");
        assert!(failure.reason.contains("superseded by another `up`"), "{failure}");
        platform.assert_up();
    }
}

#[tokio::test(start_paused = true)]
async fn the_later_of_up_and_down_wins() {
    for apart in [0, 3, 6, 20, 60, 150, 190] {
        assert_later_down_wins(&Platform::new(nothing()), apart).await;
    }
    for apart in [0, 3, 10, 30, 34, 36, 40] {
        let platform = Platform::new(nothing());
        platform.bring_up().await;
        let (mut up, mut down) = (platform.up("u"), platform.down("d"));
        let later = async {
            tokio::time::sleep(seconds(apart) + Duration::from_millis(1)).await;
            execute(&mut up).await
        };
        let (down, up) = tokio::join!(execute(&mut down), later);
        up.unwrap_or_else(|failure| panic!("{apart} s apart: {failure}"));
        platform.assert_up();
        // It may have completed before.
        if let Err(failure) = down {
            assert!(matches!(failure.error, OperationError::Superseded(_)), "{apart} s apart: {failure}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_fails_when_an_operator_scales_the_service() {
    let platform = Platform::new(nothing());
    platform.bring_up().await;
    let by_hand = |desired: i32, after: u64| {
        let cloud = platform.cloud.clone();
        tokio::spawn(async move {
            tokio::time::sleep(seconds(after)).await;
            let mut world = cloud.world();
            if let Service::Found(counts) = &mut world.observed.service {
                counts.desired = desired;
            }
        });
    };
    by_hand(2, 10);
    let failure = failed(execute(&mut platform.down("d")).await);
    assert!(failure.reason.contains("desired count was set to 2"), "{failure}");
    assert_eq!(platform.cloud.count("DeleteLoadBalancer"), 0);
    platform.set(Behaviour::TasksNeverStart);
    by_hand(0, 20);
    platform.cloud.world().observed.service = Service::Found(Counts { desired: 3, running: 2, pending: 0 });
    let failure = failed(execute(&mut platform.up("u")).await);
    assert!(failure.reason.contains("desired count was set to 0"), "{failure}");
}

/// A watcher that has announced the stop of an unused service can have sent its last write before the lease of `up`.
#[tokio::test(start_paused = true)]
async fn up_starts_again_what_a_stop_in_progress_scales_to_zero() {
    let platform = Platform::new(nothing());
    platform.bring_up().await;
    let announced = (jvb_watcher_rules::model::STOP_AT_TAG.to_owned(), "2026-11-20T12:00:00.000000001Z".to_owned());
    platform.cloud.world().observed.load_balancer.as_mut().expect("a load balancer").tags.extend([announced]);
    let cloud = platform.cloud.clone();
    tokio::spawn(async move {
        tokio::time::sleep(seconds(8)).await;
        if let Service::Found(counts) = &mut cloud.world().observed.service {
            counts.desired = 0;
        }
    });
    execute(&mut platform.up("u")).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_up();
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_terraform_removes_is_written_again() {
    let platform = Platform::new(nothing());
    let cloud = platform.cloud.clone();
    tokio::spawn(async move {
        for _ in 0..30 {
            tokio::time::sleep(seconds(7)).await;
            cloud.world().service_tags.clear();
        }
    });
    platform.bring_up().await;
    platform.assert_up();
    assert!(platform.cloud.count("TagResource") > 10);
}

#[tokio::test(start_paused = true)]
async fn up_killed_at_any_call_can_be_repeated_or_reverted() {
    let calls = {
        let platform = Platform::new(nothing());
        platform.bring_up().await;
        platform.cloud.world().calls.len()
    };
    assert!(calls > 200, "{calls}");
    // Alternately: each kind of call occurs many times.
    for (cut, onward) in (1..calls).step_by(5).zip([Verb::Up, Verb::Down].into_iter().cycle()) {
        let platform = Platform::new(nothing());
        kill_before_call(&platform, execute(&mut platform.up("killed")), cut).await;
        match onward {
            Verb::Up => {
                execute(&mut platform.up("b")).await.unwrap_or_else(|failure| panic!("{cut}: {failure}"));
                platform.assert_up();
            }
            Verb::Down => {
                let mut down = platform.down("b");
                let ended = execute(&mut down).await;
                ended.unwrap_or_else(|failure| panic!("{cut}: {failure}"));
                platform.assert_down();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn down_killed_at_any_call_can_be_repeated_or_reverted() {
    let calls = {
        let platform = Platform::new(nothing());
        platform.bring_up().await;
        let before = platform.cloud.world().calls.len();
        execute(&mut platform.down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
        platform.cloud.world().calls.len() - before
    };
    assert!(calls > 50, "{calls}");
    for (cut, onward) in (1..calls).step_by(3).zip([Verb::Up, Verb::Down].into_iter().cycle()) {
        let platform = Platform::new(nothing());
        platform.bring_up().await;
        kill_before_call(&platform, execute(&mut platform.down("killed")), cut).await;
        match onward {
            Verb::Up => {
                execute(&mut platform.up("b")).await.unwrap_or_else(|failure| panic!("{cut}: {failure}"));
                platform.assert_up();
            }
            Verb::Down => {
                execute(&mut platform.down("b")).await.unwrap_or_else(|failure| panic!("{cut}: {failure}"));
                platform.assert_down();
            }
        }
    }
}

/// Drops the work before its n-th call to AWS, as SIGKILL would.
async fn kill_before_call<T>(platform: &Platform, work: impl Future<Output = T>, nth: usize) {
    let reached = Arc::new(tokio::sync::Notify::new());
    {
        let mut world = platform.cloud.world();
        let calls = world.calls.len() + nth;
        world.silent_after = Some((calls, reached.clone()));
    }
    tokio::select! {
        () = reached.notified() => {}
        _ = work => {}
    }
    platform.cloud.world().silent_after = None;
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_up_stops_terraform_and_can_be_repeated() {
    for after in [1, 8, 30, 60, 180] {
        let platform = Platform::new(nothing());
        let (context, order) = platform.context("u", platform.terraform());
        let mut up = Up::new(context, spec(None));
        tokio::spawn(async move {
            tokio::time::sleep(seconds(after)).await;
            order.stop(StopReason::Sigint);
        });
        let failure = failed(execute(&mut up).await);
        assert!(matches!(failure.error, OperationError::Interrupted), "{failure}");
        assert!(!failure.advice.contains("fix"), "nothing is broken: {}", failure.advice);
        assert_over(&platform.cloud.world().service_tags);
        if let Some(load_balancer) = &platform.cloud.world().observed.load_balancer {
            assert!(!load_balancer.tags.contains_key(HOLD_UNTIL_TAG), "after {after} s");
        }
        execute(&mut platform.up("again")).await.unwrap_or_else(|failure| panic!("after {after} s: {failure}"));
        platform.assert_up();
    }
}
