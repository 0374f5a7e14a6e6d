//! The hold on the load balancer.

use super::*;

#[tokio::test(start_paused = true)]
async fn up_holds_a_new_load_balancer_and_again_after_terraform_has_reset_its_tags() {
    let platform = Platform::new(nothing());
    let mut up = platform.up("u");
    execute(&mut up).await.unwrap_or_else(|failure| panic!("{failure}"));
    let placed = platform.log.of("hold_placed");
    assert_eq!(placed.len(), 2, "once while terraform ran, once after it had reset the tags: {placed:?}");
    assert_eq!(placed[0]["held_by"], "up");
    assert_eq!(platform.log.of("hold_released").len(), 1);
    platform.assert_up();
}

#[tokio::test(start_paused = true)]
async fn an_operators_hold_stays_unless_down_is_forced() {
    let platform = Platform::new(nothing());
    platform.bring_up().await;
    let until = "2026-11-20T20:00:00.000Z".to_owned();
    let hold = |world: &mut World| {
        let load_balancer = world.observed.load_balancer.as_mut().expect("a load balancer");
        load_balancer.tags.insert(HOLD_UNTIL_TAG.into(), until.clone());
    };
    hold(&mut platform.cloud.world());
    execute(&mut platform.up("again")).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(platform.tags().get(HOLD_UNTIL_TAG), Some(&until));

    let failure = failed(execute(&mut platform.down("d")).await);
    assert!(failure.reason.contains("held by hand until 2026-11-20T20:00:00.000Z"), "{failure}");
    let mut forced = platform.down_with("f", None, HoldPolicy::Release);
    execute(&mut forced).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
}

#[tokio::test(start_paused = true)]
async fn down_releases_the_hold_of_a_killed_up() {
    let platform = Platform::new(nothing());
    // Killed while it waits for the tasks to serve.
    let killed = tokio::time::timeout(seconds(180), async { execute(&mut platform.up("u")).await }).await;
    assert!(killed.is_err(), "it was running");
    assert!(platform.tags().contains_key(HOLD_UNTIL_TAG));
    let completed = execute(&mut platform.down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(completed[0].detail.contains("supersedes the `up`"), "{completed:?}");
    platform.assert_down();
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_without_the_owner_tag_is_used_but_never_tagged() {
    let mut foreign = load_balancer(&[]);
    foreign.tags.clear();
    let platform = Platform::new(observation(Service::Found(Counts::default()), Vec::new(), Some(foreign)));
    platform.bring_up().await;
    assert_eq!(platform.tags(), Tags::new());
    assert_eq!(platform.cloud.count("AddTags"), 0);
}
