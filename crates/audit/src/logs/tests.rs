use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::samples::{OTHER, Script, WORKER, evening, id};
use crate::text;

fn audit(logs: &[(&str, &str)]) -> Verdict {
    let mut all = Logs::default();
    for (name, text) in logs {
        all.add(name, text.as_bytes()).expect("memory can be read");
    }
    all.audit()
}

#[test]
fn cites_the_log_and_the_line() {
    let log = format!("START RequestId: 1\n\n{}", evening().but("load_balancer_deleted", "held", true.into()).text());
    let verdict = audit(&[("a.log", &log)]);
    let (_, breach) = verdict.breaches().next().expect("a breach");
    let number = log.lines().position(|line| line.contains("load_balancer_deleted")).expect("a line") as u64 + 1;
    assert_eq!((breach.lines[0].log.as_str(), breach.lines[0].line), ("a.log", number));
    assert!(text(&verdict).contains(&format!("a.log:{number}: 2026-11-21T00:41:01.200Z load_balancer_deleted")));
    assert_eq!(verdict.lines.foreign, 1);
}

#[test]
fn a_line_of_two_logs_counts_once() {
    let log = evening().text();
    // As `aws logs tail --format short` prints it.
    let prefixed: String = log.lines().map(|line| format!("2026-11-21T00:00:00 {line}\n")).collect();
    let verdict = audit(&[("a.log", &log), ("b.log", &prefixed)]);
    assert_eq!(verdict.lines.duplicate * 2, verdict.lines.watcher);
    assert!(verdict.holds());
}

/// The log is given twice, once it ends early, and another export begins within it.
#[test]
fn lines_without_an_observation_of_overlapping_logs_count_once() {
    let finding = |state: &str| json!({"finding": "teardown_off", "subject": "nlb", "state": state});
    let script = Script::started()
        .seen(60.0, "finding", finding("raised"))
        .with(90.0, "service_replaced", json!({}))
        .with(90.0, "finding", finding("cleared"))
        .seen(91.0, "finding", finding("raised"));
    let log = script.text();
    let (head, tail) = (log.lines().take(4), log.lines().skip(3));
    let cut = |lines: Vec<&str>| lines.join("\n");
    let verdict = audit(&[("a", &log), ("b", &log), ("c", &cut(head.collect())), ("d", &cut(tail.collect()))]);
    assert_eq!((verdict.lines.watcher, verdict.lines.duplicate), (16, 11));
    assert!(verdict.holds(), "{}", text(&verdict));
    let within_one = audit(&[("a", &(log.clone() + &log))]);
    assert_eq!(within_one.lines.duplicate, 5);
}

/// Both clear their findings in the same millisecond, which no line with an observation tells apart.
#[test]
fn equal_lines_of_two_workers_are_two() {
    let finding = |state: &str| json!({"finding": "teardown_off", "subject": "nlb", "state": state});
    let of = |process: u32| {
        let with_observation = |script: Script, second: f64| {
            let mut fields = finding("raised");
            fields["observation"] = id(second, process).into();
            script.with(second + 0.2, "finding", fields)
        };
        let raised = with_observation(Script::started(), 60.0).with(90.0, "finding", finding("cleared"));
        with_observation(raised, 91.0)
    };
    let (one, other) = (of(WORKER).text(), of(OTHER).text());
    let verdict = audit(&[("a", &one), ("b", &other)]);
    assert!(verdict.holds(), "{}", text(&verdict));
    assert_eq!(verdict.lines.duplicate, 0);
}

#[test]
fn judges_each_service_by_its_own_lines() {
    let other = evening().text().replace("\"service\":\"s\"", "\"service\":\"other\"");
    let both = evening().without("idle_marked").text() + &other;
    let verdict = audit(&[("a.log", &both)]);
    assert_eq!((verdict.services, verdict.holds()), (2, true));
    assert!(text(&verdict).contains("2 service(s)"));
}

/// They are of a version that didn't log observations.
#[test]
fn the_logs_of_the_fixtures_break_nothing() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/logs");
    for name in ["evening.jsonl", "unused.jsonl"] {
        let path = std::path::Path::new(directory).join(name);
        let mut logs = Logs::default();
        logs.add("fixture", std::fs::File::open(&path).expect("a file")).expect("a log");
        let verdict = logs.audit();
        assert!(verdict.holds() && !logs.is_empty(), "{}\n{}", path.display(), text(&verdict));
    }
}

#[test]
fn tells_the_limits_of_the_logs() {
    let warnings = Script::default().with(1.0, "lines_dropped", json!({"lines": 7})).text();
    let limits = audit(&[("a.log", &warnings)]).limits;
    assert!(limits[0].contains("dropped 7 line(s)"), "{limits:?}");
    assert!(limits[1].contains("log level"), "{limits:?}");
}

/// A sum of two such numbers has no `i64`.
#[test]
fn adds_up_absurd_numbers_of_dropped_lines() {
    let dropped = |second: f64| Script::default().with(second, "lines_dropped", json!({"lines": i64::MAX})).text();
    let limits = audit(&[("a.log", &(dropped(1.0) + &dropped(2.0)))]).limits;
    assert!(limits[0].contains(&format!("dropped {} line(s)", i64::MAX)), "{limits:?}");
}

#[test]
fn no_control_character_reaches_a_terminal() {
    let hostile = "s\u{1b}[31mX\u{1b}]0;title\u{7}\u{9b}31m\u{202e}\u{2066}\u{2028}\n";
    let with_state = |state: &str| json!({"finding": hostile, "subject": hostile, "state": state, "message": hostile, "service": hostile});
    let script = Script::started()
        .but("watcher_started", "service", hostile.into())
        .seen(5.0, "finding", with_state("cleared"))
        .seen(6.0, "finding", with_state("raised"));
    let verdict = audit(&[(&format!("{hostile}.log"), &script.text())]);
    assert!(!verdict.holds() && !verdict.current_findings.is_empty());
    let text = text(&verdict);
    let is_hostile = |c: &char| hostile.contains(*c) && !c.is_ascii_graphic() && *c != '\n';
    assert_eq!(text.chars().find(is_hostile), None, "{text:?}");
    assert!(text.contains("s [31mX ]0;title  31m"), "{text}");
}

/// A value of any type, as a line of another version could have.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        Just(json!("2026-11-21T00:41:01.200401562Z")),
        Just(json!("-009999-01-02T01:59:59.000000001Z")),
        Just(json!("9999-12-30T22:00:00.999999999Z")),
        Just(json!([{}])),
    ]
}

proptest! {
    #[test]
    fn arbitrary_text_is_judged_without_a_panic(text in "(\\PC|\\n)*") {
        audit(&[("a.log", &text)]);
    }

    #[test]
    fn lines_with_arbitrary_values_are_judged_without_a_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any_value()), 1..8),
    ) {
        let script = evening().text();
        let mut lines: Vec<Value> = script.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for (line, field, value) in changes {
            let fields = line.get_mut(&mut lines).as_object_mut().expect("an object");
            let name = field.get(&fields.keys().cloned().collect::<Vec<_>>()).clone();
            fields.insert(name, value);
        }
        let log: String = lines.iter().map(|line| format!("{line}\n")).collect();
        text(&audit(&[("a.log", &log)]));
    }

    #[test]
    fn a_log_that_is_cut_anywhere_has_no_breach_but_late_ends(from in 0..60_usize, until in 0..60_usize) {
        let log = evening().text();
        let count = log.lines().count();
        let kept: String = log.lines().skip(from).take(count.saturating_sub(from + until)).map(|line| format!("{line}\n")).collect();
        let verdict = audit(&[("a.log", &kept)]);
        let breaches: Vec<_> = verdict.breaches().collect();
        prop_assert!(breaches.is_empty(), "{breaches:?}");
    }
}
