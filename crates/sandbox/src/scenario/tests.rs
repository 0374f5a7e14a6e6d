use super::*;

const MINIMAL: &str = "title = \"t\"\n[[step]]\nat = \"0s\"\nsay = \"x\"\n";

fn problem(text: &str) -> String {
    Scenario::parse("s.toml", text).expect_err("an invalid scenario").to_string()
}

#[test]
fn the_built_in_scenario_is_valid() {
    let demo = Scenario::demo().expect("a valid scenario");
    assert!(demo.length() < Duration::from_secs(70));
    assert!(demo.watcher.stop_when_unused.is_some());
    let scales_down = demo.steps.iter().any(|step| step.action == Some(Action::Scale(0)));
    assert!(!scales_down, "the watcher stops the service");
}

#[test]
fn missing_members_have_their_defaults() {
    let minimal = Scenario::parse("s.toml", MINIMAL).expect("a valid scenario");
    assert_eq!(
        (minimal.time_scale, &minimal.world, minimal.watcher),
        (1.0, &Settings::default(), WatcherSettings::default())
    );
    assert_eq!(minimal.steps, [Step { at: Duration::ZERO, say: Some("x".to_owned()), action: None }]);
}

#[test]
fn every_action_is_parsed() {
    let text = r#"
        title = "all"
        time-scale = 10
        world = { tasks = { pending = "10s" } }
        watcher = { idle-grace = "2s", stop-when-unused = "10m" }
        step = [
            { at = "0s", create-load-balancer = true },
            { at = "1s", scale = 2 },
            { at = "1500ms", act = { act = "crash-task", service = "jitsi-service" } },
            { at = "2s", faults = { rules = [{ on = "sqs:*", effect = { kind = "drop", when = "after" } }] } },
            { at = "3s", settings = { events = { lost = 0.5 } } },
            { at = "4s", delete-load-balancer = true },
            { at = "5s", advance = "90s" },
        ]
    "#;
    let all = Scenario::parse("s.toml", text).expect("a valid scenario");
    assert_eq!(all.scaled_world().tasks.pending, Duration::from_secs(1));
    assert_eq!(all.watcher.idle_grace, Duration::from_secs(2));
    assert_eq!(all.watcher.stop_when_unused, Some(Duration::from_secs(600)));
    assert_eq!(all.length(), Duration::from_secs(7), "one second a minute");
    let actions: Vec<_> = all.steps.iter().filter_map(|step| step.action.as_ref()).collect();
    assert!(matches!(
        actions[..],
        [
            Action::CreateLoadBalancer,
            Action::Scale(2),
            Action::Incident(Incident::CrashTask { .. }),
            Action::Faults(_),
            Action::Settings(_),
            Action::DeleteLoadBalancer,
            Action::Advance(_)
        ]
    ));
}

#[test]
fn an_error_names_the_file_the_line_and_the_remedy() {
    let step = |text: &str| format!("{MINIMAL}\n[[step]]\nat = \"1s\"\n{text}\n");
    let cases = [
        ("title = \"t\"\nstep = [".to_owned(), "line 2", ""),
        ("[[step]]\nat = \"0s\"\nsay = \"x\"\n".to_owned(), "line 1", "title"),
        ("title = \"t\"\n".to_owned(), "line 2", "add a [[step]]"),
        (format!("time-scal = 2\n{MINIMAL}"), "line 1", "time-scale"),
        (format!("time-scale = 0\n{MINIMAL}"), "line 1", "from 0.001"),
        (format!("{MINIMAL}[watcher]\nidle-grace = \"10ms\"\n"), "line 5", "from 1s to 24h"),
        (format!("{MINIMAL}[watcher]\nidle-grace = \"long\"\n"), "line 6", "like \"500ms\""),
        (format!("{MINIMAL}[world.tasks]\npendign = \"1s\"\n"), "line 6", "pending"),
        (format!("{MINIMAL}[watcher]\nstop-when-unused = \"1m\"\n"), "line 5", "from 5m to 24h"),
        (format!("{MINIMAL}[watcher]\nstop-notice = \"10ms\"\n"), "line 5", "from 1s to 24h"),
        (step("scale = -1"), "line 8", "integer"),
        (step("scale = 5001"), "line 8", "at most 5000"),
        (step("scale = \"two\""), "line 8", "u32"),
        (step("act = { act = \"explode\" }"), "line 8", "crash-task"),
        (
            step("faults = { rules = [{ on = \"sqs:Nothing\", effect = { kind = \"drop\", when = \"after\" } }] }"),
            "line 8",
            "names no operation",
        ),
        (step("settings = { nonsense = 1 }"), "line 8", "nonsense"),
        (step("create-load-balancer = false"), "line 8", "remove the line"),
        (step("scale = 1\ncreate-load-balancer = true"), "line 6", "takes one action"),
        (step(""), "line 6", "neither a sentence nor an action"),
        (step("advance = \"3m\"\n[[step]]\nat = \"2s\"\nsay = \"y\""), "line 9", "pass until 4s"),
        (step("say = \"x\"\n[[step]]\nat = \"500ms\"\nsay = \"y\""), "line 9", "sort the steps by time"),
    ];
    for (text, line, expected) in cases {
        let problem = problem(&text);
        assert!(problem.starts_with(&format!("s.toml, {line}: ")), "{text}\ngives {problem}");
        assert!(problem.contains(expected) && !problem.contains('\n'), "{text}\ngives {problem}");
    }
}

#[test]
fn an_unreadable_file_is_named() {
    let error = Scenario::read(Path::new("/nowhere/s.toml")).expect_err("a missing file");
    assert!(error.to_string().starts_with("/nowhere/s.toml: it can't be read"), "{error}");
}
