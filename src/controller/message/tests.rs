use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::controller::scope::Scope;

const CLUSTER: &str = "jitsi-cluster";
const SERVICE: &str = "jitsi-service";
const TASK: &str = "0f3d6c1e8a9b4f27b5d0c4e19a7f6b32";

fn scope() -> Scope {
    Scope { cluster: CLUSTER.into(), service: SERVICE.into() }
}

/// The expected result of a fixture for the service `jitsi-service` in `jitsi-cluster`.
#[derive(Debug, PartialEq)]
enum Expected {
    /// A hint with a task, a version and a time.
    Hint(&'static str, Option<i64>, Option<&'static str>),
    /// A hint with an event about the service, and its reason.
    Service(ServiceEventName, Option<&'static str>),
    Foreign,
    NotJson,
    NotAnEnvelope,
    NoTask,
}

use Expected::{Foreign, Hint as At, NoTask, NotAnEnvelope, NotJson, Service};
use ServiceEventName::{DeploymentFailed, TaskConfigurationFailure, TaskPlacementFailure, TaskStartImpaired};

const TABLE: &[(&str, Expected)] = &[
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
    ("service-task-start-impaired", Service(TaskStartImpaired, None)),
    ("service-task-placement-failure", Service(TaskPlacementFailure, Some("RESOURCE:FARGATE"))),
    (
        "service-task-configuration-failure",
        Service(
            TaskConfigurationFailure,
            Some(
                "ECS was unable to assume the role 'arn:aws:iam::111122223333:role/jitsi-task' that was provided for \
                 this task.",
            ),
        ),
    ),
    (
        "service-deployment-failed",
        Service(DeploymentFailed, Some("ECS deployment circuit breaker: task failed to start.")),
    ),
    ("service-short-arn", Service(TaskStartImpaired, None)),
    ("foreign-service-action", Foreign),
    ("foreign-service-cluster", Foreign),
    ("foreign-deployment-completed", Foreign),
    ("foreign-service-nameless", Foreign),
    ("foreign-standalone-task", Foreign),
    ("foreign-service", Foreign),
    ("foreign-cluster", Foreign),
    ("foreign-detail-type", Foreign),
    ("foreign-source", Foreign),
    ("malformed-not-json", NotJson),
    ("malformed-empty", NotJson),
    ("malformed-plain-text", NotJson),
    ("malformed-nested-too-deep", NotAnEnvelope),
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
    let time = time.map(|time| time.parse().expect("a time"));
    Hint::Task(TaskChange { task: task.expect("a task's id"), version, time })
}

#[test]
fn parses_every_fixture_as_the_table_says() {
    for (name, body) in fixtures() {
        let (_, expected) = TABLE.iter().find(|(of, _)| *of == name).unwrap_or_else(|| panic!("{name} has no row"));
        let event = EventBridgeEvent::parse(&body);
        match (event, expected) {
            (Ok(event), At(task, version, time)) => {
                let hint = event.hint_for(&scope());
                assert_eq!(hint, Some(expected_hint(task, *version, *time)), "{name}");
            }
            (Ok(event), Service(event_name, reason)) => {
                let time = Some("2026-11-20T18:03:40Z".parse().expect("a time"));
                let expected = ServiceEvent { name: *event_name, reason: reason.map(str::to_owned), time };
                assert_eq!(event.hint_for(&scope()), Some(Hint::Service(expected)), "{name}");
            }
            (Ok(event), Foreign) => assert_eq!(event.hint_for(&scope()), None, "{name}"),
            (Err(Malformed::NotJson(_)), NotJson)
            | (Err(Malformed::NotAnEnvelope(_)), NotAnEnvelope)
            | (Err(Malformed::NoTask(_)), NoTask) => {}
            (event, expected) => panic!("{name} is parsed as {event:?}, not {expected:?}"),
        }
    }
}

#[test]
fn has_a_fixture_for_every_row_of_the_table() {
    let fixtures = fixtures();
    for (name, _) in TABLE {
        assert!(fixtures.contains_key(*name), "fixtures/events/{name}.json is missing");
    }
}

#[test]
fn counts_the_last_of_repeated_members() {
    let event = EventBridgeEvent::parse(r#"{"source":"a","source":"b","detail-type":"c","detail-type":"d"}"#);
    assert_eq!(event, Ok(EventBridgeEvent::Other { source: "b".into(), detail_type: "d".into() }));
}

#[test]
fn parses_events_of_other_types() {
    let fixtures = fixtures();
    let event = EventBridgeEvent::parse(&fixtures["foreign-detail-type"]).expect("an envelope");
    assert_eq!(event, EventBridgeEvent::Other { source: "aws.ecs".into(), detail_type: "ECS Service Action".into() });
}

#[test]
fn keeps_the_latest_event_about_the_service() {
    let event = |second: i64| ServiceEvent {
        name: TaskStartImpaired,
        reason: None,
        time: Some(Timestamp::from_second(second).expect("a time")),
    };
    let mut hints = Hints::default();
    for second in [2, 3, 1] {
        hints.add(Hint::Service(event(second)));
    }
    assert_eq!(hints.service_event, Some(event(3)));
    hints.add(Hint::Service(ServiceEvent { time: None, ..event(4) }));
    assert_eq!(hints.service_event, Some(event(3)), "an event without a time may be of any age");
    assert!(hints.tasks.is_empty());
}

#[test]
fn matches_a_cluster_that_is_configured_by_its_arn() {
    let fixtures = fixtures();
    let event = EventBridgeEvent::parse(&fixtures["life-4-running"]).expect("an envelope");
    let arn = format!("arn:aws:ecs:eu-west-1:111122223333:cluster/{CLUSTER}");
    assert!(event.hint_for(&Scope { cluster: arn.clone(), ..scope() }).is_some());
    let event = EventBridgeEvent::parse(&fixtures["service-deployment-failed"]).expect("an envelope");
    assert!(event.hint_for(&Scope { cluster: arn, ..scope() }).is_some());
}

#[test]
fn treats_a_service_whose_name_is_a_prefix_as_foreign() {
    let fixtures = fixtures();
    let event = EventBridgeEvent::parse(&fixtures["life-4-running"]).expect("an envelope");
    assert_eq!(event.hint_for(&Scope { service: "jitsi".into(), ..scope() }), None);
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
        Just(Value::from("ECS Service Action")),
        Just(Value::from("SERVICE_DEPLOYMENT_FAILED")),
        Just(Value::from(format!("arn:aws:ecs:eu-west-1:111122223333:service/{CLUSTER}/{SERVICE}"))),
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
        Just("eventName".to_owned()),
        Just("reason".to_owned()),
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
    fn reads_what_the_whole_body_has(
        values in prop::collection::vec(prop_oneof![arbitrary_json(), "[a-z\\n\"]{0,5}".prop_map(Value::from)], 10)
    ) {
        let [source, detail_type, time, resources, task, cluster, group, version, name, reason] = &values[..] else {
            unreachable!("there are ten values")
        };
        let detail = json!({ "taskArn": task, "x": values, "clusterArn": cluster, "group": group, "version": version,
            "eventName": name, "reason": reason });
        let whole = json!({ "source": source, "detail-type": detail_type, "time": time, "resources": resources,
            "detail": detail, "y": values });
        let body = whole.to_string();
        let envelope: Envelope<'_> = serde_json::from_str(&body).expect("JSON");
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let read = [&envelope.source, &envelope.detail_type, &envelope.time, &envelope.detail.task_arn,
            &envelope.detail.cluster_arn, &envelope.detail.group, &envelope.detail.event_name, &envelope.detail.reason];
        let expected = [source, detail_type, time, task, cluster, group, name, reason].map(text);
        prop_assert_eq!(read.map(|part| part.get().map(str::to_owned)), expected);
        prop_assert_eq!(envelope.detail.version, version.as_i64());
        prop_assert_eq!(envelope.resources.first(), resources[0].as_str());
        let texts: Vec<&str> = resources.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        prop_assert_eq!(envelope.resources.iter().collect::<Vec<_>>(), texts);
    }

    #[test]
    fn does_not_panic_on_any_text(body in ".*") {
        check::body(&body);
    }

    #[test]
    fn does_not_panic_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check::body(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn does_not_panic_on_any_json(json in arbitrary_json()) {
        check::body(&json.to_string());
    }

    #[test]
    fn does_not_panic_on_a_truncated_fixture(
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
    fn ignores_additional_fields(extra in arbitrary_json(), field in "[a-z]{4,12}") {
        let mut event: Value = serde_json::from_str(&fixtures()["life-4-running"]).expect("JSON");
        event["detail"]["attachments"] = extra.clone();
        event["detail"][format!("x-{field}")] = extra.clone();
        event[format!("x-{field}")] = extra;
        let event = EventBridgeEvent::parse(&event.to_string()).expect("an envelope");
        let expected = expected_hint(TASK, Some(4), Some("2026-11-20T18:00:52Z"));
        prop_assert_eq!(event.hint_for(&scope()), Some(expected));
    }

    #[test]
    fn accepts_only_task_ids_that_ecs_accepts(arn in "arn:aws:ecs:[a-z0-9-]{0,9}:[0-9]{0,12}:task/[ -~]{0,80}") {
        if let Some(id) = TaskId::from_arn(&arn) {
            prop_assert!(matches!(id.as_str().len(), 32 | 36));
            prop_assert!(id.as_str().chars().all(|c| c.is_ascii_hexdigit() || c == '-'));
        }
    }
}

/// A fragment to splice into a fixture: a byte, or a word that occurs in fixtures.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
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
    fn gives_no_hint_for_another_service_when_a_fixture_is_mutated(
        name in prop::sample::select(fixtures().into_keys().collect::<Vec<_>>()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..30_usize, fragment()), 1..8),
    ) {
        let mut body = FIXTURES[&name].clone().into_bytes();
        for (place, length, fragment) in changes {
            let from = place.index(body.len() + 1);
            let until = (from + length).min(body.len());
            body.splice(from..until, fragment);
        }
        check::body(&String::from_utf8_lossy(&body));
    }
}

#[test]
fn does_not_panic_on_the_corpus_of_the_fuzzer() {
    let corpus = include_str!("../../../fixtures/fuzz/event/bodies.jsonl");
    let bodies: Vec<String> = corpus.lines().map(|line| serde_json::from_str(line).expect("a text")).collect();
    assert!(
        bodies.iter().any(|body| EventBridgeEvent::parse(body).is_ok())
            && bodies.iter().any(|body| EventBridgeEvent::parse(body).is_err())
    );
    for body in &bodies {
        check::body(body);
    }
}
