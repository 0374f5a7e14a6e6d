//! Each check by a log that holds and the smallest change that doesn't.

use serde_json::{Value, json};

use crate::Logs;
use crate::samples::{OTHER, Script, WORKER, at, evening, id};
use crate::verdict::{Claim, State};

#[test]
fn an_evening_holds() {
    let verdict = evening().audit();
    assert_eq!(evening().breaches(), []);
    for check in &verdict.checks {
        assert_eq!(check.unknown.len(), 0, "{:?}: {:?}", check.claim, check.unknown);
        let has_case = ![Claim::Stop, Claim::Findings].contains(&check.claim);
        assert_eq!(check.state, if has_case { State::Holds } else { State::NoCase }, "{:?}", check.claim);
    }
    assert_eq!((verdict.gaps.len(), verdict.limits.len(), verdict.services), (0, 0, 1));
}

#[test]
fn an_empty_log_has_no_case() {
    let verdict = Script::default().audit();
    assert!(verdict.holds());
    assert!(verdict.checks.iter().all(|check| check.state == State::NoCase));
}

/// A line without the fields of this version is no breach: an older version wrote it.
#[test]
fn an_older_log_can_not_be_told() {
    let text = evening().text();
    let old: String = text
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            let fields = line.as_object_mut().expect("an object");
            let is_deletion = fields["event"] == "load_balancer_deleted";
            let new =
                ["observation", "first_observation", "since_start_ms", "live_tasks", "owned", "held", "healthy_others"];
            new.iter().for_each(|field| drop(fields.remove(*field)));
            if is_deletion {
                fields.remove("idle_since");
                fields.remove("desired");
            }
            format!("{line}\n")
        })
        .collect();
    let mut logs = Logs::default();
    logs.add("old.log", old.as_bytes()).expect("memory can be read");
    let verdict = logs.audit();
    let breaches: Vec<_> = verdict.breaches().collect();
    assert!(breaches.is_empty(), "{breaches:?}");
    let unknown = |claim| {
        let check = verdict.checks.iter().find(|check| check.claim == claim).expect("a check");
        (check.state, check.unknown.len())
    };
    for claim in [Claim::GracePeriod, Claim::SecondObservation, Claim::Idle, Claim::UnusedSinceMark, Claim::Calls] {
        assert_eq!(unknown(claim), (State::Unknown, 1), "{claim:?}");
    }
    assert!(verdict.limits[0].contains("a version that doesn't log observations"), "{:?}", verdict.limits);
}

// ---- marks and deletions ----

#[test]
fn a_mark_is_as_new_as_its_observation() {
    let script = evening().but("idle_marked", "idle_since", at(2300.0).into());
    assert_eq!(script.broken(), [Claim::Mark]);
}

#[test]
fn an_unused_load_balancer_is_not_marked_before_its_grace() {
    let of_age = |age: u32| {
        Script::started()
            .seen(100.0, "idle_marked", json!({"idle_since": at(100.1), "reason": "unused"}))
            .reconciled(100.0, &json!({"load_balancer_state": "active", "load_balancer_age_seconds": age}))
    };
    assert_eq!(of_age(901).broken(), []);
    assert_eq!(of_age(600).broken(), [Claim::Mark]);
}

#[test]
fn a_mark_whose_line_is_missing_can_not_be_told() {
    assert_eq!(evening().without("idle_marked").broken(), []);
    assert_eq!(evening().without("idle_marked").unknown(Claim::Mark).len(), 1);
}

#[test]
fn a_mark_that_was_removed_deletes_nothing() {
    let unmarked = |second: f64| {
        evening().seen(
            second,
            "idle_unmarked",
            json!({"load_balancer": "nlb", "idle_since": at(2400.3), "reason": "in_use"}),
        )
    };
    assert_eq!(unmarked(2430.0).broken(), [Claim::Mark]);
    assert_eq!(unmarked(2450.0).broken(), [], "within the window");
}

#[test]
fn a_deletion_waits_for_the_grace_period() {
    let early = evening().but("load_balancer_deleted", "observation", id(2440.0, WORKER).into()).but(
        "load_balancer_deleted",
        "first_observation",
        id(2439.6, WORKER).into(),
    );
    assert_eq!(early.broken(), [Claim::GracePeriod]);
    let by_down = early.but("load_balancer_deleted", "observation", id(2440.0, 0).into()).but(
        "load_balancer_deleted",
        "first_observation",
        id(2439.6, 0).into(),
    );
    assert_eq!(by_down.broken(), [], "`down` doesn't wait");
}

#[test]
fn a_deletion_waits_for_the_end_of_the_paid_hour() {
    let until_paid_hour = evening().but("watcher_started", "idle_grace_until_paid_hour", true.into());
    assert_eq!(until_paid_hour.clone().but("load_balancer_deleted", "uptime_seconds", 7100.into()).broken(), []);
    assert_eq!(
        until_paid_hour.but("load_balancer_deleted", "uptime_seconds", 5000.into()).broken(),
        [Claim::GracePeriod]
    );
}

#[test]
fn a_grace_period_that_no_line_tells_is_unknown() {
    let script = evening().without("watcher_started");
    assert_eq!(script.unknown(Claim::GracePeriod), ["no line tells the grace period"]);
    let two = evening().with(1.0, "watcher_started", json!({"idle_grace_seconds": 600.0}));
    assert_eq!(two.unknown(Claim::GracePeriod), ["watchers with different settings ran"]);
}

#[test]
fn a_deletion_rests_on_two_observations() {
    let first = |value: Value| evening().but("load_balancer_deleted", "first_observation", value).broken();
    assert_eq!(first(Value::Null), [Claim::SecondObservation]);
    assert_eq!(first(id(2461.0, WORKER).into()), [Claim::SecondObservation], "the same");
    assert_eq!(first(id(2470.0, WORKER).into()), [Claim::SecondObservation], "later");
    assert_eq!(first(id(2460.6, OTHER).into()), [Claim::SecondObservation], "another worker's");
}

#[test]
fn the_second_observation_finds_the_load_balancer_idle() {
    for (field, value) in [
        ("desired", json!(1)),
        ("desired", Value::Null),
        ("live_tasks", json!(1)),
        ("healthy_others", json!(1)),
        ("owned", json!(false)),
        ("held", json!(true)),
    ] {
        assert_eq!(
            evening().but("load_balancer_deleted", field, value.clone()).broken(),
            [Claim::Idle],
            "{field}: {value}"
        );
    }
}

#[test]
fn nothing_uses_a_load_balancer_between_mark_and_deletion() {
    let uses = [
        ("reconciled", json!({"desired": 1, "serving": 0})),
        ("reconciled", json!({"desired": 0, "serving": 1})),
        ("finding", json!({"finding": "hold_active", "subject": "nlb", "state": "raised"})),
    ];
    for (event, fields) in uses {
        let used = |second: f64| evening().seen(second, event, fields.clone());
        assert_eq!(used(2430.0).broken(), [Claim::UnusedSinceMark], "{event}");
        let in_window = used(2450.0);
        assert_eq!((in_window.broken(), in_window.unknown(Claim::UnusedSinceMark).len()), (vec![], 1), "{event}");
    }
}

#[test]
fn a_hold_that_a_command_logs_has_the_time_of_its_machine() {
    let held = |second: f64| {
        let later = evening().but("load_balancer_deleted", "observation", id(2600.0, WORKER).into()).but(
            "load_balancer_deleted",
            "first_observation",
            id(2599.0, WORKER).into(),
        );
        later.with(second, "hold_placed", json!({"hold_until": at(9000.0)}))
    };
    assert_eq!(held(2500.0).broken(), [Claim::UnusedSinceMark]);
    assert_eq!(held(2530.0).broken(), [], "within the window, by a clock that is a minute behind");
    assert_eq!(held(2470.0).broken(), [], "before the mark, by a clock that is a minute ahead");
}

// ---- what is idle, and teardowns ----

#[test]
fn an_idle_load_balancer_does_not_stay() {
    let idle = json!({"load_balancer_state": "active", "load_balancer_age_seconds": 9000});
    let until = |second: u32| Script::started().quiet(60, second, &idle);
    // The resync interval, the grace period, two minutes, and the time for which a task may be stopping.
    assert_eq!(until(60 + 360).broken(), []);
    assert_eq!(until(60 + 420).broken(), [Claim::NothingIdle]);
    let held = Script::started()
        .seen(60.0, "finding", json!({"finding": "hold_active", "subject": "nlb", "state": "raised"}))
        .quiet(60, 3600, &idle);
    assert_eq!(held.broken(), []);
    let missing = |state: &str| json!({"finding": "service_missing", "subject": "s", "state": state});
    let hold = |state: &str| json!({"finding": "hold_active", "subject": "nlb", "state": state});
    let also_missing = Script::started()
        .seen(10.0, "finding", missing("raised"))
        .seen(20.0, "finding", hold("raised"))
        .seen(30.0, "finding", hold("cleared"))
        .quiet(60, 3600, &idle);
    assert_eq!(also_missing.broken(), [], "the end of one finding is not that of the other");
    let unmarked =
        Script::started().quiet(60, 900, &json!({"load_balancer_state": "active", "load_balancer_age_seconds": 30}));
    assert_eq!(unmarked.broken(), [], "not used, and younger than the unused grace");
}

/// A killed process clears nothing. The next one of its log raises again what still holds.
#[test]
fn a_finding_of_a_killed_process_keeps_no_load_balancer() {
    let idle = json!({"load_balancer_state": "active", "load_balancer_age_seconds": 9000});
    let held = |state: &str| json!({"finding": "hold_active", "subject": "nlb", "state": state});
    let of_other = |mut script: Script, from: u32, until: u32| {
        for second in (from..=until).step_by(60) {
            script = script.reconciled(second.into(), &idle).by_other("reconciled");
        }
        script
    };
    let killed = || Script::started().seen(70.0, "finding", held("raised")).quiet(130, 600, &idle).and_started(650.0);
    assert_eq!(killed().audit().current_findings.len(), 0);
    assert_eq!(of_other(killed(), 700, 1000).broken(), []);
    assert_eq!(of_other(killed(), 700, 1200).broken(), [Claim::NothingIdle]);
    // By the clocks of AWS and of a machine that is ahead, the finding comes before the start.
    let raised_again = || killed().seen(640.0, "finding", held("raised")).by_other("finding");
    assert_eq!(of_other(raised_again(), 700, 3600).broken(), []);
    assert_eq!(raised_again().audit().current_findings.len(), 1);
    // Another worker with the same log starts, and is killed before it observes anything.
    let goes_on = killed().quiet(700, 3600, &idle);
    assert_eq!((goes_on.broken(), goes_on.audit().current_findings.len()), (vec![], 1));
}

/// No line tells which watcher has which settings, so that the longest bound counts.
#[test]
fn a_watcher_with_other_settings_that_ran_for_a_while_shortens_no_bound() {
    let idle = json!({"load_balancer_state": "active", "load_balancer_age_seconds": 9000});
    let rolled_back = |field: &str, value: Value| {
        let both = Script::started().but("watcher_started", field, value).quiet(1, 61, &idle).and_started(100.0);
        both.with(200.0, "watcher_stopped", json!({"reason": "sigterm"}))
    };
    let longer = || rolled_back("idle_grace_seconds", json!(3600.0));
    assert_eq!(longer().quiet(300, 3900, &idle).broken(), []);
    assert_eq!(longer().quiet(300, 4500, &idle).broken(), [Claim::NothingIdle]);
    let off = rolled_back("teardown", json!("off"));
    assert_eq!(off.quiet(300, 9000, &idle).broken(), []);
    let teardown = |seconds: f64| {
        rolled_back("resync_interval_seconds", json!(1800.0))
            .seen(1000.0, "teardown_started", json!({"load_balancer": "nlb", "idle_since": at(900.0)}))
            .quiet(1001, 3600, &json!({"load_balancer_state": "active", "running": 1}))
            .seen(1000.0 + seconds, "teardown_completed", json!({"load_balancer": "nlb"}))
            .broken()
    };
    assert_eq!(teardown(1700.0), []);
    assert_eq!(teardown(2000.0), [Claim::Teardown]);
    // Once a process that started later is alone, its settings count.
    let mut replaced = longer().and_started(5000.0);
    for second in (5060..5500).step_by(60) {
        let mut fields = json!({"observation": id(second.into(), OTHER), "desired": 0, "running": 0, "pending": 0, "serving": 0, "healthy": 0});
        fields.as_object_mut().expect("an object").extend(idle.as_object().expect("fields").clone());
        replaced = replaced.with(f64::from(second) + 0.2, "reconciled", fields);
    }
    assert_eq!(replaced.broken(), [Claim::NothingIdle]);
}

#[test]
fn a_teardown_is_completed() {
    let incomplete = || evening().without("teardown_completed");
    assert_eq!(incomplete().unknown(Claim::Teardown).len(), 1, "by another worker, perhaps");
    assert_eq!(incomplete().quiet(3606, 30_000, &json!({})).broken(), [Claim::Teardown]);
    let resumed = incomplete()
        .seen(2500.0, "teardown_started", json!({"load_balancer": "nlb", "idle_since": at(2400.3), "resumed": true}))
        .seen(2502.0, "teardown_completed", json!({"load_balancer": "nlb"}));
    assert_eq!((resumed.broken(), resumed.held(Claim::Teardown)), (vec![], 2));
    let late = incomplete().seen(3500.0, "teardown_completed", json!({"load_balancer": "nlb"}));
    assert_eq!(late.broken(), [Claim::Teardown]);
    let by_down = incomplete().but("teardown_started", "observation", id(2461.0, 0).into()).with(
        2470.0,
        "phase_completed",
        json!({"operation": "down", "phase": "load_balancer_gone"}),
    );
    assert_eq!((by_down.broken(), by_down.held(Claim::Teardown)), (vec![], 1));
}

// ---- targets ----

#[test]
fn a_task_is_registered_within_the_bound_of_its_start() {
    let after = |millis: u32| evening().but("target_registered", "since_start_ms", millis.into());
    assert_eq!(after(149_000).broken(), []);
    assert_eq!(after(200_000).broken(), [Claim::Registration]);
    let failed = after(200_000).with(500.0, "reconcile_failed", json!({"error": "e"}));
    assert_eq!((failed.broken(), failed.unknown(Claim::Registration).len()), (vec![], 1));
    assert_eq!(after(700_000).unknown(Claim::Registration), ["the log begins after the start of the registered task"]);
    let again = after(200_000).seen(
        500.0,
        "target_deregistered",
        json!({
            "ip": "10.0.0.1", "target_group": "udp", "reason": "no_task", "unmatched_since": at(400.0),
        }),
    );
    assert_eq!((again.broken(), again.unknown(Claim::Registration).len()), (vec![], 1));
    let not_started = evening().seen(700.0, "target_registered", json!({"task_id": "t2", "reason": "task_running"}));
    assert_eq!(not_started.broken(), [Claim::Registration]);
    let without_starts = evening().but("target_registered", "since_start_ms", Value::Null);
    assert_eq!((without_starts.broken(), without_starts.held(Claim::Registration)), (vec![], 1), "by the latency");
}

#[test]
fn a_registration_counts_from_the_creation_of_the_load_balancer() {
    let new = Script::started()
        .quiet(1, 900, &json!({"desired": 1, "serving": 1}))
        .seen(
            960.0,
            "target_registered",
            json!({"reason": "task_running", "since_start_ms": 900_000, "ip": "i", "target_group": "g"}),
        )
        .reconciled(
            960.0,
            &json!({"desired": 1, "serving": 1, "load_balancer_state": "active", "load_balancer_age_seconds": 70}),
        );
    assert_eq!((new.broken(), new.held(Claim::Registration)), (vec![], 1));
}

#[test]
fn no_task_is_registered_early_beside_one_that_serves() {
    let beside = |serving: u32| {
        Script::started()
            .seen(60.0, "target_registered", json!({"reason": "task_starting"}))
            .reconciled(60.0, &json!({"desired": 1, "serving": serving, "load_balancer_state": "active"}))
    };
    assert_eq!(beside(0).broken(), []);
    assert_eq!(beside(1).broken(), [Claim::Registration]);
}

#[test]
fn only_stopped_tasks_are_deregistered() {
    let again = |second: f64| {
        evening().seen(
            second,
            "target_registered",
            json!({"task_id": "t1", "reason": "task_running", "since_start_ms": 1000}),
        )
    };
    assert_eq!(again(2500.0).broken(), [Claim::Deregistration]);
    assert_eq!(evening().but("target_deregistered", "reason", "task_running".into()).broken(), [Claim::Deregistration]);
}

#[test]
fn a_target_without_a_task_is_deregistered_after_two_observations() {
    let without_task = |fields: Value| Script::started().seen(600.0, "target_deregistered", fields).broken();
    assert_eq!(without_task(json!({"reason": "no_task", "unmatched_since": at(569.0)})), []);
    assert_eq!(without_task(json!({"reason": "no_task", "unmatched_since": at(590.0)})), [Claim::Deregistration]);
    assert_eq!(without_task(json!({"reason": "no_task"})), [Claim::Deregistration]);
}

// ---- stops ----

/// A stop at 30 minutes, announced five minutes before; the service was last used at 8 minutes.
fn stopped() -> Script {
    let unused = |second: f64| {
        json!({
            "desired": 1, "running": 1, "serving": 1, "registered": 1, "healthy": 1, "load_balancer_state": "active",
            "load_balancer_age_seconds": 5000, "flows": 0, "flows_minute": at(second - 240.0), "unused_since": at(480.0),
        })
    };
    Script::started()
        .seen(1500.0, "stop_announced", json!({"stop_at": at(1800.2), "unused_since": at(480.0)}))
        .reconciled(1500.0, &unused(1500.0))
        .seen(
            1801.0,
            "service_stopped",
            json!({
                "desired_before": 1, "unused_since": at(480.0), "held": false, "first_observation": id(1800.5, WORKER),
            }),
        )
        .reconciled(1801.0, &unused(1800.0))
}

#[test]
fn a_stop_is_announced_and_rests_on_disuse() {
    assert_eq!((stopped().broken(), stopped().held(Claim::Stop)), (vec![], 3));
    let cases = [
        ("before the announced time", stopped().but("stop_announced", "stop_at", at(1900.0).into())),
        ("with a short notice", stopped().but("stop_announced", "stop_at", at(1505.0).into())),
        ("while held", stopped().but("service_stopped", "held", true.into())),
        ("after one observation", stopped().but("service_stopped", "first_observation", Value::Null)),
        ("too soon", stopped().but("service_stopped", "unused_since", at(1200.0).into())),
        ("with other use", stopped().but("reconciled", "unused_since", at(540.0).into())),
        ("in use", stopped().but("reconciled", "unused_since", Value::Null)),
        ("with unknown use", stopped().but("reconciled", "flows_minute", Value::Null)),
        ("with an old minute", stopped().but("reconciled", "flows_minute", at(1380.0).into())),
        ("although withdrawn", stopped().seen(1600.0, "stop_withdrawn", json!({"reason": "held"}))),
    ];
    for (case, script) in cases {
        assert_eq!(script.broken(), [Claim::Stop], "{case}");
    }
    // AWS's answer to the stop came ten minutes late, and the next line has no flows of ten minutes ago.
    let late = || {
        let stopped_late = stopped().but("service_stopped", "timestamp", at(2400.0).into());
        stopped_late.but("reconciled", "timestamp", at(2400.2).into()).but("reconciled", "flows_minute", Value::Null)
    };
    assert_eq!((late().broken(), late().unknown(Claim::Stop).len()), (vec![], 1));
    assert_eq!(stopped().without("stop_announced").broken(), []);
    assert_eq!(stopped().without("stop_announced").unknown(Claim::Stop).len(), 1);
    // An announcement that was withdrawn hours before, and one whose worker was killed before it could log it.
    let hours_before = || {
        let announced = stopped().but("stop_announced", "stop_at", at(1180.0).into());
        announced.seen(1600.0, "stop_withdrawn", json!({"reason": "held"}))
    };
    assert_eq!((hours_before().broken(), hours_before().unknown(Claim::Stop).len()), (vec![], 1));
}

/// Each of them begins a new window, as long as the time without use after which the service is stopped.
#[test]
fn a_hold_an_up_and_use_that_was_seen_forbid_a_stop() {
    let held = |state: &str| json!({"finding": "hold_active", "subject": "nlb", "state": state});
    let used = |minute: f64, flows: u32| json!({"desired": 1, "flows": flows, "flows_minute": at(minute)});
    let placed = |until: f64| json!({"hold_until": at(until), "held_by": "hand"});
    let up = |millis: u32| json!({"operation": "up", "duration_ms": millis});
    let claimed = json!({"operation": "up", "phase": "claimed"});
    let by_other = |script: Script| script.by_other("finding").by_other("reconciled");
    let watched = || stopped().quiet(1510, 1790, &used(1260.0, 0));
    assert_eq!(watched().broken(), []);
    let broken = [
        ("hold", stopped().with(1560.0, "hold_placed", placed(9000.0))),
        ("hold that ended in the window", stopped().with(1560.0, "hold_placed", placed(1600.0))),
        ("hold that was seen", watched().seen(1570.0, "finding", held("raised"))),
        ("up", stopped().with(1560.0, "operation_completed", up(20_000))),
        ("lease", stopped().with(1560.0, "phase_completed", claimed.clone())),
        ("use", stopped().reconciled(1620.0, &used(1560.0, 50))),
        ("later use", stopped().reconciled(1740.0, &used(1680.0, 50))),
        ("use that another worker saw", by_other(stopped().reconciled(1620.0, &used(1560.0, 50)))),
        ("use before the announcement", stopped().reconciled(1200.0, &used(900.0, 2))),
    ];
    for (case, script) in broken {
        assert_eq!(script.broken(), [Claim::Stop], "{case}");
    }
    let released = json!({"held_by": "hand"});
    let valid = [
        ("a hold by a clock that is a minute ahead", stopped().with(1730.0, "hold_placed", placed(9000.0))),
        ("a hold in the window before the stop", watched().seen(1785.0, "finding", held("raised"))),
        (
            "a hold that was released",
            stopped().with(1560.0, "hold_placed", placed(9000.0)).with(1580.0, "hold_released", released),
        ),
        (
            "a hold whose end was seen",
            watched().seen(1560.0, "finding", held("raised")).seen(1790.0, "finding", held("cleared")),
        ),
        ("an `up` of another day", stopped().with(600.0, "operation_completed", up(20_000))),
        ("an `up` that began before", stopped().with(900.0, "operation_completed", up(600_000))),
        ("`down`", stopped().with(1560.0, "operation_completed", json!({"operation": "down", "duration_ms": 1}))),
        ("flows below the threshold", stopped().reconciled(1620.0, &used(1560.0, 1))),
        ("use before the window", stopped().reconciled(840.0, &used(660.0, 50))),
        ("use that only another worker knew", by_other(stopped().reconciled(1740.0, &used(1680.0, 50)))),
        (
            "a hold of a killed worker, released by hand",
            by_other(watched().seen(1530.0, "finding", held("raised")).reconciled(1530.0, &used(1260.0, 0))),
        ),
        (
            "a hold before the announcement",
            watched().reconciled(1440.0, &used(1260.0, 0)).seen(1440.0, "finding", held("raised")),
        ),
        ("use that is seen too late", stopped().reconciled(1795.0, &used(1740.0, 50))),
    ];
    for (case, script) in valid {
        assert_eq!(script.broken(), [], "{case}");
    }
}

// ---- large logs ----

/// Lines that are looked up for each other take seconds, not minutes: the time doesn't grow with the square of their number.
#[test]
fn a_large_log_is_judged_in_time() {
    const COUNT: u32 = 20_000;
    let registration = |script: Script, second: f64| {
        let fields = json!({"reason": "task_running", "task_id": at(second), "ip": "i", "target_group": "g"});
        script.seen(second, "target_registered", fields)
    };
    let deletion = |script: Script, second: f64| {
        let fields = json!({"idle_since": at(second), "first_observation": id(second - 1.0, WORKER)});
        script.seen(second, "load_balancer_deleted", fields).seen(second, "idle_marked", json!({"idle_since": "other"}))
    };
    let deregistration = |script: Script, second: f64| {
        script.seen(second, "target_deregistered", json!({"reason": "task_stopping", "task_id": at(second)}))
    };
    let scripts: [&dyn Fn(Script, f64) -> Script; 3] = [&registration, &deletion, &deregistration];
    for (index, line) in scripts.into_iter().enumerate() {
        let script = (1..COUNT).fold(Script::started(), |script, second| line(script, second.into()));
        let mut logs = Logs::default();
        logs.add("large.log", script.text().as_bytes()).expect("memory can be read");
        let begun = std::time::Instant::now();
        logs.audit();
        assert!(begun.elapsed().as_secs() < 5, "{index}: {:?}", begun.elapsed());
    }
}

// ---- calls, findings, gaps ----

#[test]
fn calls_are_bounded() {
    let every = |calls: u32, fields: Value| {
        let mut fields = fields;
        fields["aws_calls"] = calls.into();
        Script::started().quiet(60, 7200, &fields)
    };
    assert_eq!(every(20, json!({})).broken(), []);
    assert_eq!(every(150, json!({})).broken()[..1], [Claim::Calls]);
    assert_eq!(
        every(150, json!({"desired": 1, "registered": 2, "healthy": 1, "load_balancer_state": "active"})).broken(),
        []
    );
    let failing = (0..120).fold(every(150, json!({})), |script, minute| {
        (0..4).fold(script, |script, part| {
            script.with(f64::from(minute * 60 + part * 15), "poll_failed", json!({"error": "e"}))
        })
    });
    assert_eq!(failing.broken(), []);
    let of_fleet = every(150, json!({})).with(1.0, "service_added", json!({"idle_grace_seconds": 60.0}));
    assert_eq!((of_fleet.broken(), of_fleet.unknown(Claim::Calls).len()), (vec![], 1));
}

#[test]
fn a_finding_is_raised_before_it_is_cleared() {
    let of = |state: &str| json!({"finding": "teardown_off", "subject": "nlb", "state": state});
    let raised = || Script::started().seen(60.0, "finding", of("raised"));
    assert_eq!(raised().seen(90.0, "finding", of("repeated")).seen(120.0, "finding", of("cleared")).broken(), []);
    assert_eq!(raised().seen(120.0, "finding", of("raised")).broken(), [Claim::Findings]);
    assert_eq!(Script::started().seen(60.0, "finding", of("cleared")).broken(), [Claim::Findings]);
    let later = Script::default().seen(60.0, "finding", of("cleared"));
    assert_eq!((later.broken(), later.unknown(Claim::Findings).len()), (vec![], 1), "the log begins later");
    let forgotten = raised().with(120.0, "finding", of("cleared"));
    assert_eq!((forgotten.broken(), forgotten.audit().current_findings.len()), (vec![], 0));
    let corrected = raised().seen(70.0, "finding", of("cleared")).with(
        70.5,
        "finding",
        json!({"finding": "teardown_off", "subject": "nlb", "state": "raised", "observation": id(69.0, WORKER)}),
    );
    assert_eq!(corrected.broken(), [], "the clock was corrected between two observations");
    let current = raised().audit().current_findings;
    assert_eq!(current.len(), 1);
    assert_eq!((current[0].finding.as_str(), current[0].line.line), ("teardown_off", 2));
}

#[test]
fn a_time_without_a_watcher_is_a_gap() {
    let gap = |script: Script| {
        let gaps = script.quiet(60, 600, &json!({})).quiet(1200, 1800, &json!({})).audit().gaps;
        gaps.iter().map(|gap| (gap.from.to_string(), gap.is_announced)).collect::<Vec<_>>()
    };
    assert_eq!(gap(Script::started()), [("2026-11-21T00:10:00Z".to_owned(), false)]);
    let stopped = Script::started().with(610.0, "watcher_stopped", json!({"reason": "sigterm"}));
    assert_eq!(gap(stopped), [("2026-11-21T00:10:00Z".to_owned(), true)]);
}
