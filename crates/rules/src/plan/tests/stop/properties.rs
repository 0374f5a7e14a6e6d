//! Scale to zero by use, by property.

use proptest::prelude::*;

use super::*;

/// Flows of the hour before noon: each minute unknown, without a healthy target, or with some flows.
fn any_flows() -> impl Strategy<Value = FlowHistory> {
    let minute = prop_oneof![
        40 => Just(Some(MinuteFlows { flows: 0, healthy: Some(1) })),
        1 => Just(Some(MinuteFlows { flows: 1, healthy: Some(1) })),
        1 => (2..50u64).prop_map(|flows| Some(MinuteFlows { flows, healthy: Some(1) })),
        1 => Just(Some(MinuteFlows { flows: 0, healthy: Some(0) })),
        1 => Just(Some(MinuteFlows { flows: 0, healthy: None })),
        1 => Just(None),
    ];
    prop::collection::vec(minute, 60).prop_map(|minutes| {
        let starts = (0..60).map(|minute| at("11:00:00") + minute * MINUTE);
        let known = starts.zip(minutes).filter_map(|(start, minute)| Some((start, minute?)));
        FlowHistory { minutes: known.collect(), problem: None }
    })
}

proptest! {
    #[test]
    fn stops_only_after_a_window_of_known_minutes_without_use(
        flows in any_flows(),
        window in 5..40i64,
        threshold in 0..3u64,
        second in 0..60i64,
        is_announced in any::<bool>(),
    ) {
        let now = noon() + Duration::from_secs(second.unsigned_abs());
        let stop = StopWhenUnused { after: minutes(window), ..rule() };
        let usage = UsagePolicy { threshold, stop: Some(stop), ..stopping().usage };
        let observed = unused_but(|observed| observed.flows = Some(flows.clone()));
        let observed = if is_announced { announced(observed) } else { observed };
        let action = plan(&observed, &Policy { usage, ..policy() }, now).stop;
        // The window has `window` full minutes, the last of which ended three minutes ago or up to a minute more.
        let end = at("11:57:00");
        let is_unused = (1..=window).all(|back| {
            let minute = flows.minutes.get(&(end - minutes(back)));
            minute.is_some_and(|minute| minute.flows <= threshold && minute.healthy.is_some_and(|healthy| healthy > 0))
        });
        let is_unused_since = (0..3).all(|minute| {
            flows.minutes.get(&(end + minutes(minute))).is_none_or(|minute| minute.flows <= threshold)
        });
        // The task has served since 11:10, and no first call is waited for any more.
        let expected = is_unused && is_unused_since;
        let acts = matches!(action, StopAction::Announce { .. } | StopAction::ScaleToZero { .. });
        prop_assert_eq!(acts, expected);
        if let StopAction::ScaleToZero { .. } = action {
            prop_assert!(is_announced);
        }
    }

    #[test]
    fn a_stop_follows_an_announcement_after_the_notice(
        flows in any_flows(),
        notice in 1..600u64,
    ) {
        let policy = Policy {
            usage: UsagePolicy { stop: Some(StopWhenUnused { notice: seconds(notice), ..rule() }), ..stopping().usage },
            ..policy()
        };
        let observed = unused_but(|observed| observed.flows = Some(flows));
        if let StopAction::Announce { stop_at, .. } = plan(&observed, &policy, noon()).stop {
            prop_assert_eq!(stop_at, noon() + seconds(notice));
            let announced = announced_for(observed, stop_at);
            let early = plan(&announced, &policy, stop_at - Duration::from_millis(1)).stop;
            let stops_early = matches!(early, StopAction::ScaleToZero { .. });
            prop_assert!(!stops_early);
        }
    }
}
