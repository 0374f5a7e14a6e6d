use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

const CLUSTER: &str = "jitsi-cluster";
const SERVICE: &str = "jitsi-service";
const TASK: &str = "0f3d6c1e8a9b4f27b5d0c4e19a7f6b32";

/// What a fixture must become for the service `jitsi-service` in `jitsi-cluster`.
#[derive(Debug, PartialEq)]
enum Becomes {
    /// A hint at a task, with a version and a time.
    Hint(&'static str, Option<i64>, Option<&'static str>),
    Foreign,
    NotJson,
    NotAnEnvelope,
    NoTask,
}

use Becomes::{Foreign, Hint as At, NoTask, NotAnEnvelope, NotJson};

const TABLE: &[(&str, Becomes)] = &[
    ("life-1-provisioning", At(TASK, Some(1), Some("2026-11-20T18:00:12Z"))),
    ("life-2-pending", At(TASK, Some(2), Some("2026-11-20T18:00:21Z"))),
    ("life-3-activating", At(TASK, Some(3), Some("2026-11-20T18:00:50Z"))),
    ("life-4-running", At(TASK, Some(4), Some("2026-11-20T18:00:52Z"))),
    ("life-5-told-to-stop", At(TASK, Some(5), Some("2026-11-20T20:31:07Z"))),
    ("life-6-deactivating", At(TASK, Some(6), Some("2026-11-20T20:31:12Z"))),
    ("life-7-stopping", At(TASK, Some(7), Some("2026-11-20T20:31:15Z"))),
    ("life-8-deprovisioning", At(TASK, Some(8), Some("2026-11-20T20:31:41Z"))),
    ("life-9-stopped", At(TASK, Some(9), Some("2026-11-20T20:31:58Z"))),
    ("stopped-before-running", At(TASK, Some(4), Some("2026-11-20T18:02:03Z"))),
    ("spot-termination-notice", At(TASK, Some(5), Some("2026-11-20T19:14:30Z"))),
    ("spot-interruption", At(TASK, Some(9), Some("2026-11-20T19:16:42Z"))),
    ("other-attachments", At(TASK, Some(4), Some("2026-11-20T18:00:52Z"))),
    ("dual-stack", At(TASK, Some(4), Some("2026-11-20T18:00:52Z"))),
    ("without-group", At(TASK, Some(4), Some("2026-11-20T18:00:52Z"))),
    ("without-version", At(TASK, None, Some("2026-11-20T18:00:52Z"))),
    ("without-attachments", At(TASK, Some(4), Some("2026-11-20T18:00:52Z"))),
    ("least", At(TASK, None, None)),
    ("least-in-resources", At(TASK, None, None)),
    ("unknown-fields", At(TASK, Some(4), Some("2026-11-20T18:00:52Z"))),
    ("wrong-types", At(TASK, None, None)),
    ("short-task-arn", At("3b1f6f0e-7a52-4f0c-9d7b-0a6d6e6c2f11", Some(4), Some("2026-11-20T18:00:52Z"))),
    ("foreign-standalone-task", Foreign),
    ("foreign-service", Foreign),
    ("foreign-cluster", Foreign),
    ("foreign-detail-type", Foreign),
    ("foreign-source", Foreign),
    ("malformed-not-json", NotJson),
    ("malformed-empty", NotJson),
    ("malformed-plain-text", NotJson),
    ("malformed-nested-too-deep", NotJson),
    ("malformed-array", NotAnEnvelope),
    ("malformed-no-envelope", NotAnEnvelope),
    ("malformed-no-detail-type", NotAnEnvelope),
    ("malformed-no-detail", NoTask),
    ("malformed-no-task", NoTask),
    ("malformed-task-arn", NoTask),
    ("malformed-task-id", NoTask),
    ("malformed-no-cluster", NoTask),
];

static FIXTURES: LazyLock<BTreeMap<String, String>> = LazyLock::new(fixtures);

fn fixtures() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/events");
    let files = std::fs::read_dir(folder).expect("fixtures/events is there");
    files
        .map(|file| {
            let path = file.expect("a readable folder").path();
            let name = path.file_stem().expect("a file's name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).expect("a readable fixture"))
        })
        .collect()
}

fn expected_hint(task: &str, version: Option<i64>, time: Option<&str>) -> Hint {
    let task = TaskId::from_arn(&format!("arn:aws:ecs:eu-west-1:111122223333:task/{CLUSTER}/{task}"));
    Hint { task: task.expect("a task's id"), version, time: time.map(|time| time.parse().expect("a time")) }
}

#[test]
fn every_fixture_becomes_what_the_table_says() {
    for (name, body) in fixtures() {
        let (_, expected) = TABLE.iter().find(|(of, _)| *of == name).unwrap_or_else(|| panic!("{name} is in no row"));
        let notice = Notice::parse(&body);
        match (notice, expected) {
            (Ok(notice), At(task, version, time)) => {
                let hint = notice.concerning(CLUSTER, SERVICE);
                assert_eq!(hint, Some(expected_hint(task, *version, *time)), "{name}");
            }
            (Ok(notice), Foreign) => assert_eq!(notice.concerning(CLUSTER, SERVICE), None, "{name}"),
            (Err(Malformed::NotJson(_)), NotJson)
            | (Err(Malformed::NotAnEnvelope(_)), NotAnEnvelope)
            | (Err(Malformed::NoTask(_)), NoTask) => {}
            (notice, expected) => panic!("{name} became {notice:?}, not {expected:?}"),
        }
    }
}

#[test]
fn every_row_of_the_table_has_its_fixture() {
    let fixtures = fixtures();
    for (name, _) in TABLE {
        assert!(fixtures.contains_key(*name), "fixtures/events/{name}.json is missing");
    }
}

#[test]
fn a_foreign_event_is_still_read_for_what_it_is() {
    let fixtures = fixtures();
    let notice = Notice::parse(&fixtures["foreign-detail-type"]).expect("an envelope");
    assert_eq!(notice, Notice::Other { source: "aws.ecs".into(), detail_type: "ECS Service Action".into() });
}

#[test]
fn a_cluster_may_be_configured_by_its_arn() {
    let fixtures = fixtures();
    let notice = Notice::parse(&fixtures["life-4-running"]).expect("an envelope");
    let arn = format!("arn:aws:ecs:eu-west-1:111122223333:cluster/{CLUSTER}");
    assert!(notice.concerning(&arn, SERVICE).is_some());
}

#[test]
fn a_service_whose_name_begins_like_ours_is_foreign() {
    let fixtures = fixtures();
    let notice = Notice::parse(&fixtures["life-4-running"]).expect("an envelope");
    assert_eq!(notice.concerning(CLUSTER, "jitsi"), None);
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        Just(Value::from("aws.ecs")),
        Just(Value::from("ECS Task State Change")),
        Just(Value::from(format!("arn:aws:ecs:eu-west-1:111122223333:task/{CLUSTER}/{TASK}"))),
    ];
    let key = prop_oneof![
        Just("source".to_owned()),
        Just("detail-type".to_owned()),
        Just("detail".to_owned()),
        Just("taskArn".to_owned()),
        Just("clusterArn".to_owned()),
        Just("group".to_owned()),
        Just("version".to_owned()),
        Just("time".to_owned()),
        Just("resources".to_owned()),
        ".*",
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(body in ".*") {
        check::body(&body);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check::body(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_json_makes_the_parser_panic(json in arbitrary_json()) {
        check::body(&json.to_string());
    }

    #[test]
    fn a_fixture_cut_anywhere_is_malformed_or_well_formed_but_never_a_panic(
        name in prop::sample::select(fixtures().into_keys().collect::<Vec<_>>()),
        cut in any::<prop::sample::Index>(),
    ) {
        let body = &fixtures()[&name];
        let end = cut.index(body.len() + 1);
        if body.is_char_boundary(end) {
            check::body(&body[..end]);
        }
    }

    #[test]
    fn whatever_else_an_event_says_the_hint_stays(extra in arbitrary_json(), field in "[a-z]{4,12}") {
        let mut event: Value = serde_json::from_str(&fixtures()["life-4-running"]).expect("JSON");
        event["detail"]["attachments"] = extra.clone();
        event["detail"][format!("x-{field}")] = extra.clone();
        event[format!("x-{field}")] = extra;
        let notice = Notice::parse(&event.to_string()).expect("an envelope");
        let expected = expected_hint(TASK, Some(4), Some("2026-11-20T18:00:52Z"));
        prop_assert_eq!(notice.concerning(CLUSTER, SERVICE), Some(expected));
    }

    #[test]
    fn task_ids_are_never_longer_or_stranger_than_ecs_takes(arn in "arn:aws:ecs:[a-z0-9-]{0,9}:[0-9]{0,12}:task/[ -~]{0,80}") {
        if let Some(id) = TaskId::from_arn(&arn) {
            prop_assert!(matches!(id.as_str().len(), 32 | 36));
            prop_assert!(id.as_str().chars().all(|c| c.is_ascii_hexdigit() || c == '-'));
        }
    }
}

/// What may be put into a fixture: a byte, or something that stands in one.
fn splinter() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "1e999",
        "\\ud800",
        "service:",
        "jitsi",
        "family:",
        "/",
        "task/",
        "cluster/",
        "arn:aws:ecs:",
        "default",
    ];
    prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_fixture_changed_anywhere_is_no_panic_and_no_hint_for_another_service(
        name in prop::sample::select(fixtures().into_keys().collect::<Vec<_>>()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..30_usize, splinter()), 1..8),
    ) {
        let mut body = FIXTURES[&name].clone().into_bytes();
        for (place, length, splinter) in changes {
            let from = place.index(body.len() + 1);
            let until = (from + length).min(body.len());
            body.splice(from..until, splinter);
        }
        check::body(&String::from_utf8_lossy(&body));
    }
}

#[test]
fn what_the_fuzzing_kept_is_read_or_refused() {
    let kept = include_str!("../../../fixtures/fuzz/event/bodies.jsonl");
    let bodies: Vec<String> = kept.lines().map(|line| serde_json::from_str(line).expect("a text")).collect();
    assert!(
        bodies.iter().any(|body| Notice::parse(body).is_ok()) && bodies.iter().any(|body| Notice::parse(body).is_err())
    );
    for body in &bodies {
        check::body(body);
    }
}
