//! Recordings, shapes and times, by example.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::recording::{Call, Recording};
use super::shape::Shape;
use super::{Difference, DifferenceKind, Distribution, Wait, compare, document, evening, times};

const ELB: &str = "elasticloadbalancing";
const LOAD_BALANCER: &str = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/n/1";
const GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/g/1";

fn at(seconds: i64) -> Timestamp {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().expect("a time") + SignedDuration::from_secs(seconds)
}

/// An answered call, with a Date header.
fn call(operation: &str, seconds: i64, input: Value, output: Value) -> Call {
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at(seconds)).expect("a date");
    Call {
        operation: operation.to_owned(),
        sent: at(seconds),
        ended: at(seconds),
        input,
        status: Some(200),
        headers: [("date".to_owned(), date)].into(),
        output,
        failure: None,
    }
}

fn refused(operation: &str, seconds: i64, input: Value, code: &str) -> Call {
    Call { status: Some(400), ..call(operation, seconds, input, json!({ "Error": { "Code": code } })) }
}

fn differences(recorded: &[Value], sandbox: &[Value]) -> Vec<(DifferenceKind, String, String)> {
    let calls = |answers: &[Value]| {
        answers.iter().map(|answer| call("ecs:DescribeTasks", 0, json!({}), answer.clone())).collect::<Vec<_>>()
    };
    let (recorded, sandbox) = (calls(recorded), calls(sandbox));
    let (differences, _) = compare::compare(&recorded.iter().collect::<Vec<_>>(), &sandbox.iter().collect::<Vec<_>>());
    let parts = |Difference { kind, path, recorded, .. }: Difference| (kind, path, recorded);
    differences.into_iter().map(parts).collect()
}

#[test]
fn answers_of_the_same_shape_do_not_differ_whatever_their_values() {
    let recorded = [json!({ "tasks": [{ "taskArn": "a", "lastStatus": "RUNNING", "version": 1 }] })];
    let sandbox = [
        json!({ "tasks": [] }),
        json!({ "tasks": [{ "taskArn": "b", "lastStatus": "RUNNING", "version": 7, "startedAt": 1.5 }] }),
        json!({ "tasks": [{ "taskArn": "b", "lastStatus": "PENDING", "version": 7 }] }),
    ];
    assert_eq!(differences(&recorded, &sandbox), []);
}

#[test]
fn members_that_one_side_lacks_are_named_by_their_path() {
    let recorded = [json!({ "tasks": [{ "arn": "a", "new": { "inner": 1 } }, { "arn": "a", "some": 1 }] })];
    let sandbox = [json!({ "tasks": [{ "arn": "b", "own": 1, "some": 1 }] })];
    assert_eq!(
        differences(&recorded, &sandbox),
        [
            (DifferenceKind::OnlyRecorded, "tasks[].new".to_owned(), "object".to_owned()),
            (DifferenceKind::OnlySandbox, "tasks[].own".to_owned(), "never".to_owned()),
            (DifferenceKind::NotAlways, "tasks[].some".to_owned(), "1 of 2 times".to_owned()),
        ]
    );
}

#[test]
fn types_and_values_of_enumerations_are_compared() {
    let recorded = [json!({ "tasks": [{ "version": "7", "lastStatus": "DELETED", "name": "other" }] })];
    let sandbox = [json!({ "tasks": [{ "version": 7, "lastStatus": "RUNNING", "name": "jvb" }] })];
    assert_eq!(
        differences(&recorded, &sandbox),
        [
            (DifferenceKind::Type, "tasks[].version".to_owned(), "number in text".to_owned()),
            (DifferenceKind::Value, "tasks[].lastStatus".to_owned(), "DELETED".to_owned()),
        ]
    );
}

#[test]
fn the_event_in_a_message_is_compared_as_well() {
    let message = |detail: Value| json!({ "Messages": [{ "Body": json!({ "detail": detail }).to_string() }] });
    let differences = differences(&[message(json!({ "new": 1 }))], &[message(json!({}))]);
    assert_eq!(differences[0].1, "Messages[].Body(json).detail.new");
}

#[test]
fn an_error_that_the_sandbox_never_gives_is_a_difference() {
    let recorded = [refused("elasticloadbalancing:DescribeTags", 0, json!({}), "Throttling")];
    let sandbox = [refused("elasticloadbalancing:DescribeTags", 0, json!({}), "LoadBalancerNotFound")];
    let (found, _) = compare::compare(&[&recorded[0]], &[&sandbox[0]]);
    assert_eq!((found[0].kind, found[0].outcome.as_str()), (DifferenceKind::Outcome, "Throttling"));
    let status = Call { status: Some(404), ..sandbox[0].clone() };
    let (found, _) = compare::compare(&[&status], &[&sandbox[0]]);
    assert_eq!((found[0].kind, found[0].recorded.as_str()), (DifferenceKind::Status, "404"));
    let unmodelled = refused("elasticloadbalancing:Unknown", 0, json!({}), "InvalidAction");
    let (found, _) =
        compare::compare(&[&call("elasticloadbalancing:Unknown", 0, json!({}), json!({}))], &[&unmodelled]);
    assert_eq!(found[0].kind, DifferenceKind::Operation);
}

#[test]
fn headers_that_clients_read_are_compared() {
    let with = |headers: &[(&str, &str)]| Call {
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..call("sqs:GetQueueUrl", 0, json!({}), json!({}))
    };
    let recorded = with(&[("content-type", "application/json; charset=utf-8"), ("retry-after", "1"), ("server", "x")]);
    let sandbox = with(&[("content-type", "application/json"), ("date", "now")]);
    let (found, _) = compare::compare(&[&recorded], &[&sandbox]);
    let found: Vec<_> = found.iter().map(|it| (it.path.as_str(), it.recorded.as_str(), it.sandbox.as_str())).collect();
    assert_eq!(found, [("date", "never", "always"), ("retry-after", "always", "never")]);
}

#[test]
fn a_list_that_is_always_empty_in_the_sandbox_is_not_compared() {
    let recorded = call("ecs:DescribeTasks", 0, json!({}), json!({ "failures": [{ "reason": "MISSING" }] }));
    let sandbox = call("ecs:DescribeTasks", 0, json!({}), json!({ "failures": [] }));
    let (found, not_compared) = compare::compare(&[&recorded], &[&sandbox]);
    assert_eq!((found.len(), not_compared.len()), (0, 1), "{found:?} {not_compared:?}");
}

#[test]
fn xml_is_read_as_lists_objects_and_text() {
    let document = "<?xml version=\"1.0\"?><R xmlns=\"u\"><Tags>\n <member><Key>a &amp; b&#33;</Key></member>\n \
                    <member><Key>c</Key></member></Tags><Empty/><Port>80</Port></R>";
    let expected = json!({ "Tags": [{ "Key": "a & b!" }, { "Key": "c" }], "Empty": null, "Port": "80" });
    assert_eq!(document::from_xml(document), Some(expected));
    for torn in ["", "<R><Tags>", "text", "<R></R><S></S>", "<R></S>"] {
        assert_eq!(document::from_xml(torn), None, "{torn}");
    }
}

fn waits(calls: &[Call]) -> Vec<(Wait, Distribution)> {
    let times = times::compare(&calls.iter().collect::<Vec<_>>(), &[]);
    times.into_iter().filter_map(|times| Some((times.wait, times.recorded?))).collect()
}

fn one(seconds: f64) -> Distribution {
    Distribution { count: 1, min: seconds, median: seconds, max: seconds }
}

fn described(seconds: i64, state: &str) -> Call {
    let load_balancer =
        json!({ "LoadBalancerArn": LOAD_BALANCER, "CreatedTime": at(0).to_string(), "State": { "Code": state } });
    let output = json!({ "DescribeLoadBalancersResult": { "LoadBalancers": [load_balancer] } });
    call("elasticloadbalancing:DescribeLoadBalancers", seconds, json!({ "Names.member.1": "n" }), output)
}

#[test]
fn a_load_balancer_is_active_at_the_first_answer_that_says_so() {
    let calls = [
        described(10, "provisioning"),
        described(100, "provisioning"),
        described(120, "active"),
        described(130, "active"),
    ];
    assert_eq!(waits(&calls), [(Wait::Active, one(120.0))]);
    // A minute without a call: the time is unknown.
    assert_eq!(waits(&[described(10, "provisioning"), described(90, "active")]), []);
}

#[test]
fn a_deleted_load_balancer_is_waited_for_until_it_is_not_found() {
    let gone = |seconds, name: &str| {
        refused(
            "elasticloadbalancing:DescribeLoadBalancers",
            seconds,
            json!({ "Names.member.1": name }),
            "LoadBalancerNotFound",
        )
    };
    let delete =
        call(&format!("{ELB}:DeleteLoadBalancer"), 200, json!({ "LoadBalancerArn": LOAD_BALANCER }), json!({}));
    let unknown = call(&format!("{ELB}:DeleteLoadBalancer"), 180, json!({ "LoadBalancerArn": "other" }), json!({}));
    let calls =
        [unknown, described(190, "active"), delete, described(205, "active"), gone(208, "other"), gone(210, "n")];
    assert_eq!(waits(&calls).into_iter().find(|(wait, _)| *wait == Wait::Deleted), Some((Wait::Deleted, one(10.0))));
}

fn targets(operation: &str, seconds: i64) -> Call {
    let input = json!({ "TargetGroupArn": GROUP, "Targets.member.1.Id": "10.0.0.1", "Targets.member.1.Port": "80" });
    call(&format!("{ELB}:{operation}"), seconds, input, json!({}))
}

fn health(seconds: i64, state: Option<&str>) -> Call {
    let description =
        state.map(|state| json!({ "Target": { "Id": "10.0.0.1", "Port": "80" }, "TargetHealth": { "State": state } }));
    let output = json!({ "DescribeTargetHealthResult": {
        "TargetHealthDescriptions": description.into_iter().collect::<Vec<_>>(),
    }});
    call(&format!("{ELB}:DescribeTargetHealth"), seconds, json!({ "TargetGroupArn": GROUP }), output)
}

#[test]
fn targets_are_followed_from_registration_to_the_end_of_draining() {
    let calls = [
        targets("RegisterTargets", 0),
        health(1, Some("initial")),
        health(20, Some("healthy")),
        targets("DeregisterTargets", 100),
        health(101, Some("draining")),
        health(120, Some("draining")),
        health(130, None),
    ];
    assert_eq!(waits(&calls), [(Wait::Healthy, one(20.0)), (Wait::Drained, one(30.0))]);
}

#[test]
fn ecs_lags_behind_its_events() {
    let event = json!({ "id": "e", "time": at(8).to_string(), "detail": { "taskArn": "t", "version": 3 } });
    let message = call("sqs:ReceiveMessage", 10, json!({}), json!({ "Messages": [{ "Body": event.to_string() }] }));
    let shown = |seconds, version| {
        call("ecs:DescribeTasks", seconds, json!({}), json!({ "tasks": [{ "taskArn": "t", "version": version }] }))
    };
    let listed = call("ecs:ListTasks", 14, json!({}), json!({ "taskArns": ["t"] }));
    let calls = [shown(9, 2), message.clone(), message, shown(11, 2), shown(12, 3), listed, shown(15, 4)];
    assert_eq!(waits(&calls), [(Wait::Event, one(2.0)), (Wait::TaskShown, one(2.0)), (Wait::TaskListed, one(4.0)),]);
}

const HEAD: &str = r#"{"recording": 1}"#;

#[test]
fn a_recording_that_ends_within_a_line_is_read_up_to_it() {
    let line = r#"{"operation": "sqs:GetQueueUrl", "sent": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:01Z", "status": 200}"#;
    let mut recording = Recording::default();
    assert_eq!(recording.add(&format!("{HEAD}\n{line}\n{}", &line[..40])), Some(()));
    assert_eq!((recording.calls().count(), recording.unreadable), (1, 1));
    assert_eq!(Recording::default().add("{\"recording\": 2}\n"), None);
}

#[test]
fn a_recording_without_its_first_line_does_not_keep_the_others_from_being_read() {
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let line = r#"{"operation": "sqs:GetQueueUrl", "sent": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:01Z"}"#;
    std::fs::write(directory.path().join("a.jsonl"), "").expect("the folder is writable");
    std::fs::write(directory.path().join("b.jsonl"), &HEAD[..9]).expect("the folder is writable");
    let error = Recording::read(directory.path()).expect_err("there is nothing to compare").to_string();
    assert!(error.contains("has a whole first line"), "{error}");
    std::fs::write(directory.path().join("c.jsonl"), format!("{HEAD}\n{line}\n")).expect("the folder is writable");
    let recording = Recording::read(directory.path()).expect("the third can be read");
    assert_eq!((recording.processes.len(), recording.calls().count(), recording.unreadable), (1, 1, 2));
}

#[test]
fn only_regular_files_are_read() {
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    // It comes first: reading it is an error, where reading a pipe would wait for its writer.
    let _socket =
        std::os::unix::net::UnixListener::bind(directory.path().join("a.jsonl")).expect("the folder is writable");
    let pipe = std::process::Command::new("mkfifo").arg(directory.path().join("b.jsonl")).status();
    assert!(pipe.expect("mkfifo is part of POSIX").success());
    let error = Recording::read(directory.path()).expect_err("no file is regular").to_string();
    assert!(error.contains("has no recording"), "{error}");
    std::fs::write(directory.path().join("c.jsonl"), HEAD).expect("the folder is writable");
    assert_eq!(Recording::read(directory.path()).expect("it can be read").processes.len(), 1);
}

#[tokio::test]
async fn no_control_character_of_a_recording_gets_into_the_output() {
    let bad = "\u{1b}[2J\u{9b}\u{202e}\u{2066}\n";
    let calls = ["ecs:DescribeTasks", "ecs:DescribeServices", &format!("ecs:{bad}")].map(|operation| {
        let failures = json!([{ bad: 1 }]);
        let output = json!({ "failures": failures, bad: { "a": 1 }, "status": bad, "services": [{ "status": bad }] });
        call(operation, 0, json!({ "services": ["s"], "tasks": ["t"] }), output)
    });
    let refused = refused("ecs:DescribeTasks", 0, json!({ "tasks": ["t"] }), bad);
    let recording = Recording { processes: vec![calls.into(), vec![refused]], unreadable: 0 };
    let comparison = recording.compare_with_sandbox().await;
    assert!(comparison.differences.len() >= 4, "{comparison}");
    for output in [comparison.to_string(), serde_json::to_string(&comparison).expect("JSON")] {
        let is_bad = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{2066}".contains(c));
        assert!(!output.contains(is_bad) && !output.contains("u001b"), "{output:?}");
    }
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    std::fs::write(directory.path().join("\u{1b}[2J.jsonl"), "1").expect("the folder is writable");
    let error = Recording::read(directory.path()).expect_err("it is no recording").to_string();
    assert!(!error.contains(char::is_control), "{error:?}");
}

#[tokio::test]
async fn an_evening_of_the_sandbox_has_no_differences_from_another() {
    // The requests of a client: by their kinds, whatever the resources that they name.
    let requests = [
        ("ecs:DescribeServices", json!({ "cluster": "c", "services": ["s"], "include": ["TAGS"] })),
        ("ecs:DescribeServices", json!({ "cluster": "c", "services": ["s"] })),
        ("ecs:ListTasks", json!({ "cluster": "c", "serviceName": "s", "desiredStatus": "RUNNING" })),
        ("ecs:ListTasks", json!({ "cluster": "c", "serviceName": "s", "desiredStatus": "STOPPED" })),
        ("ecs:DescribeTasks", json!({ "cluster": "c", "tasks": ["t"] })),
        ("ecs:DescribeTaskDefinition", json!({ "taskDefinition": "d" })),
        ("elasticloadbalancing:DescribeLoadBalancers", json!({ "Names.member.1": "n" })),
        ("elasticloadbalancing:DescribeTags", json!({ "ResourceArns.member.1": "a" })),
        ("elasticloadbalancing:DescribeTargetGroups", json!({ "LoadBalancerArn": "a" })),
        ("elasticloadbalancing:DescribeTargetHealth", json!({ "TargetGroupArn": "a" })),
        ("sqs:ReceiveMessage", json!({ "QueueUrl": "q", "MaxNumberOfMessages": 10 })),
        ("sqs:DeleteMessageBatch", json!({ "QueueUrl": "q", "Entries": [{ "Id": "0", "ReceiptHandle": "r" }] })),
    ];
    let calls = requests.map(|(operation, input)| call(operation, 0, input, json!({})));
    let recording = Recording { processes: vec![calls.into()], unreadable: 0 };
    let evenings = evening::play_all(&recording).await;
    for evening in &evenings {
        let seen: Vec<Wait> = waits(evening).into_iter().map(|(wait, _)| wait).collect();
        assert!([Wait::Active, Wait::Healthy, Wait::Deleted].iter().all(|wait| seen.contains(wait)), "{seen:?}");
    }
    let played = Recording { processes: evenings, unreadable: 0 };
    let comparison = played.compare_with_sandbox().await;
    assert!(comparison.is_alike(), "{comparison}");
    for times in &comparison.times {
        // There is no query of metrics among the requests.
        let is_seen = times.recorded.is_some_and(|recorded| recorded.count > 0);
        assert_eq!(is_seen, times.wait != Wait::DataPoint, "{:?}: {comparison}", times.wait);
        assert_eq!(times.recorded.map(|it| it.count), times.sandbox.map(|it| it.count), "{:?}", times.wait);
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_or_the_comparison_panic(text in "\\PC{0,200}", document in "[<>/a-c&;#x0-9 \"=\n]{0,80}") {
        let _ = document::from_xml(&text);
        let _ = document::from_xml(&document);
        let mut recording = Recording::default();
        let _ = recording.add(&text);
        let _ = recording.add(&format!("{HEAD}\n{text}\n{document}"));
    }

    #[test]
    fn every_answer_has_the_shape_of_itself(numbers in prop::collection::vec(0_u8..8, 0..20), text in "[a-z.\\[\\]() ]{0,12}") {
        let mut answer = json!({});
        for number in numbers {
            answer = match number {
                0 => json!({ text.as_str(): answer }),
                1 => json!([answer]),
                2 => json!({ "Body": json!({ "detail": answer }).to_string() }),
                3 => json!({ "State": text, "a": answer }),
                4 => json!([answer, 1, null, true, text]),
                5 => json!([]),
                _ => json!({ "a": answer, "b": 1.5, "c": "2026-01-01T00:00:00Z" }),
            };
        }
        Shape::default().add(&answer);
        let call = call("ecs:DescribeTasks", 0, json!({}), answer);
        let (differences, not_compared) = compare::compare(&[&call], &[&call]);
        prop_assert_eq!((differences, not_compared), (vec![], vec![]));
    }

    #[test]
    fn no_calls_make_the_times_panic(operations in prop::collection::vec((0_usize..8, 0_i64..100, 0_u8..4), 0..40)) {
        let calls = operations.into_iter().map(|(operation, seconds, kind)| match operation {
            0 => described(seconds, ["active", "provisioning", "", "failed"][usize::from(kind)]),
            1 => targets("RegisterTargets", seconds),
            2 => targets("DeregisterTargets", seconds),
            3 => health(seconds, ["healthy", "initial", "draining"].get(usize::from(kind)).copied()),
            4 => call("sqs:ReceiveMessage", seconds, json!(kind), json!({ "Messages": [{ "Body": kind.to_string() }] })),
            5 => call("ecs:DescribeTasks", seconds, json!([]), json!({ "tasks": [kind, {}, { "version": kind }] })),
            6 => call("cloudwatch:GetMetricData", seconds, json!({}), json!({ "MetricDataResults": [kind, {}] })),
            _ => call("elasticloadbalancing:DeleteLoadBalancer", seconds, json!({ "LoadBalancerArn": LOAD_BALANCER }), json!(null)),
        });
        let calls: Vec<Call> = calls.collect();
        for (_, distribution) in waits(&calls) {
            prop_assert!(distribution.min >= 0.0 && distribution.min <= distribution.median && distribution.median <= distribution.max);
        }
    }
}
