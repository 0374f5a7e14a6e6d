//! What is masked, and what is recorded of a call.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::line::RecordedCall;
use super::mask::Masks;
use super::operation::operation;
use super::{Recorder, body, create, write_head};
use crate::aws::operation::ApiOperation;

fn masked(value: Value) -> Value {
    Masks::default().value(value)
}

#[test]
fn account_ids_are_replaced_by_the_same_number_wherever_they_stand() {
    let mut masks = Masks::default();
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/p-jvb-udp/1a2b3c4d5e6f7081";
    let replaced = "arn:aws:elasticloadbalancing:eu-west-1:000000000001:targetgroup/p-jvb-udp/1a2b3c4d5e6f7081";
    assert_eq!(masks.text(arn), replaced);
    assert_eq!(
        masks.text("https://sqs.eu-west-1.amazonaws.com/123456789012/q"),
        "https://sqs.eu-west-1.amazonaws.com/000000000001/q"
    );
    assert_eq!(masks.text("of 210987654321, not of 123456789012."), "of 000000000002, not of 000000000001.");
    // Neither the times of SQS nor the ids of tasks and requests are account ids.
    let id = "id:0a1b2c3d-0000-4000-8000-123456789012:x";
    for kept in [id, "1764529951123", "3f8a123456789012b0c1d2e3f4a5b6c7", "12345678901"] {
        assert_eq!(masks.text(kept), kept);
    }
}

#[test]
fn public_addresses_are_replaced_and_private_ones_stay() {
    let mut masks = Masks::default();
    assert_eq!(
        masks.text("3.250.1.2 10.0.1.2 3.250.1.2:443, 52.1.1.1."),
        "198.18.0.1 10.0.1.2 198.18.0.1:443, 198.18.0.2."
    );
    assert_eq!(masks.text("2a05:d018::1 and fd00::1"), "2001:db8::3 and fd00::1");
    assert_eq!(masks.text("172.31.4.5,192.0.2.1 127.0.0.1"), "172.31.4.5,192.0.2.1 127.0.0.1");
    // A version is no address.
    assert_eq!(masks.text("1.4.0"), "1.4.0");
}

#[test]
fn keys_tokens_and_the_names_of_people_are_replaced() {
    let mut masks = Masks::default();
    let denied = "User: arn:aws:sts::123456789012:assumed-role/Admin/jane.doe@example.org is not authorized";
    assert_eq!(masks.text(denied), "User: arn:aws:sts::000000000001:assumed-role/masked is not authorized");
    assert_eq!(masks.text("arn:aws:iam::123456789012:user/jane"), "arn:aws:iam::000000000001:user/masked");
    assert_eq!(masks.text("key AKIAIOSFODNN7EXAMPLE"), "key masked");
    assert_eq!(masks.text(&format!("token {} end", "a".repeat(500))), "token masked end");
    let receipts =
        masks.value(json!([{ "ReceiptHandle": "AQEB1" }, { "ReceiptHandle": "AQEB2" }, { "ReceiptHandle": "AQEB1" }]));
    assert_eq!(
        receipts,
        json!([{ "ReceiptHandle": "token-1" }, { "ReceiptHandle": "token-2" }, { "ReceiptHandle": "token-1" }])
    );
}

#[test]
fn an_account_id_is_replaced_within_a_word_and_in_the_consoles_form() {
    let mut masks = Masks::default();
    assert_eq!(masks.text("acct123456789012"), "acct000000000001");
    assert_eq!(masks.text("a_123456789012z"), "a_000000000001z");
    assert_eq!(masks.text("of 1234-5678-9012."), "of 000000000001.");
    assert_eq!(
        masks.value(json!({ "owner": 123_456_789_012_u64, "at": 1_764_529_951_123_u64 })),
        json!({ "owner": 1, "at": 1_764_529_951_123_u64 })
    );
    // The ids of tasks, load balancers, subnets and requests have such digits by chance.
    for kept in [
        "/3f8a123456789012b0c1d2e3f4a5b6c7",
        "subnet-0123456789012abcd",
        "0a1b2c3d-0000-4000-8000-123456789012",
        "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/PlatformJvbLoadBalancer/a123456789012bcd",
    ] {
        assert_eq!(masks.text(kept), kept);
    }
}

#[test]
fn an_address_is_replaced_whatever_stands_around_it_and_however_it_is_written() {
    let mut masks = Masks::default();
    for (text, expected) in [
        ("from 2a05:d018:1:2::3.", "from 2001:db8::1."),
        ("2a05:d018:1:2::3: no", "2001:db8::1: no"),
        ("address:2a05:d018:1:2::3,", "address:2001:db8::1,"),
        ("[2a05:d018:1:2::3]:443", "[2001:db8::1]:443"),
        ("::ffff:54.12.3.4", "::ffff:198.18.0.2"),
        ("::ffff:360c:304", "::ffff:198.18.0.2"),
        ("64:ff9b::54.12.3.4", "64:ff9b::c612:2"),
        ("::54.12.3.4", "::c612:2"),
        ("ip-54-12-3-4.compute", "ip-198-18-0-2.compute"),
        ("v54.12.3.4/32", "v198.18.0.2/32"),
        ("054.12.3.4", "198.18.0.2"),
    ] {
        assert_eq!(masks.text(text), expected);
    }
    for kept in
        ["::1", "fd00::1.", "fe80::1:", "::ffff:10.0.0.1", "ip-10-0-0-1", "arn:aws:iam::aws:policy/x", "18:00:54"]
    {
        assert_eq!(masks.text(kept), kept);
    }
}

#[test]
fn keys_and_tokens_are_replaced_with_what_follows_them() {
    let mut masks = Masks::default();
    let token = format!("FwoGZXIvYXdz{}", "aB3/".repeat(86));
    for (text, expected) in [
        (format!("x-amz-security-token:{token}"), "x-amz-security-token:masked"),
        ("secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(), "secret masked"),
        ("AROAEXAMPLEID12345:alice@example.com".to_owned(), "masked"),
        ("AROAEXAMPLEID12345:alice next".to_owned(), "masked next"),
        ("keyAKIAIOSFODNN7EXAMPLE/20260101".to_owned(), "keymasked"),
        ("https://user:pw@registry/jvb".to_owned(), "masked"),
        ("https://host/path?token=hunter2 next".to_owned(), "https://host/path?masked next"),
    ] {
        assert_eq!(masks.text(&text), expected);
    }
    let queue = "https://sqs.eu-west-1.amazonaws.com/000000000001/PlatformJvbEventsQueueA1B2C3D4";
    for kept in [queue, "targetgroup/PlatformJvbTargetGroup/a1b2c3d4e5f60718", "asiapacific-ASIApacificTargetGroup"] {
        assert_eq!(masks.text(kept), kept);
    }
}

#[test]
fn the_names_of_principals_are_replaced_in_every_kind_of_arn_and_encoded() {
    let mut masks = Masks::default();
    assert_eq!(masks.text("arn:aws:iam::123456789012:mfa/carol"), "arn:aws:iam::000000000001:mfa/masked");
    assert_eq!(masks.text("assumed-role/Dev/alice"), "assumed-role/masked");
    let encoded = "arn%3Aaws%3Asts%3A%3A123456789012%3Aassumed-role%2FDev%2Falice";
    assert_eq!(masks.text(&format!("by {encoded} x")), "by masked x");
    assert_eq!(masks.text(&encoded.replace('%', "%25")), "masked");
    assert_eq!(masks.text("a%20b 5%"), "a%20b 5%");
}

#[test]
fn an_event_that_a_topic_has_wrapped_is_masked_like_an_event() {
    let event = json!({ "detail": { "containers": [{
        "name": "jvb",
        "reason": "CannotPullContainerError: failed to resolve ref https://user:pw@registry/jvb",
        "environment": [{ "name": "DB_PASSWORD", "value": "hunter2" }],
    }] } });
    let envelope = json!({ "Type": "Notification", "Message": event.to_string(), "Name": "{\"torn\": \"hunter2" });
    let masked = masked(json!({ "Messages": [{ "Body": envelope.to_string() }] }));
    let body: Value = serde_json::from_str(masked["Messages"][0]["Body"].as_str().expect("text")).expect("JSON");
    let message: Value = serde_json::from_str(body["Message"].as_str().expect("text")).expect("JSON");
    let reason = "CannotPullContainerError: failed to resolve ref masked";
    let containers = json!([{ "name": "jvb", "reason": reason, "environment": [] }]);
    assert_eq!(message, json!({ "detail": { "containers": containers } }));
    assert_eq!((&body["Type"], &body["Name"]), (&json!("Notification"), &json!("masked")));
}

#[test]
fn a_name_that_is_text_is_masked() {
    let expected = json!({ "detail-type": "x", "masked": 1 });
    for name in ["password hunter2", "{\"p\":\"hunter2\"}", "alice@example.com"] {
        assert_eq!(masked(json!({ "detail-type": "x", name: 1 })), expected);
    }
}

#[test]
fn text_in_json_is_not_read_without_end() {
    let mut text = json!("hunter2").to_string();
    for _ in 0..12 {
        text = json!({ "Message": text }).to_string();
    }
    let masked = masked(json!({ "Message": text })).to_string();
    assert!(!masked.contains("hunter2") && masked.contains("masked"), "{masked}");
}

#[test]
fn sentences_keep_the_code_and_known_words() {
    let denied = json!({
        "__type": "AccessDeniedException",
        "message": "User: arn:aws:sts::123456789012:assumed-role/Dev/alice is not authorized to perform: ecs:ListTasks",
        "Reason": "Target.ResponseCodeMismatch",
    });
    let expected = json!({
        "__type": "AccessDeniedException",
        "message": "User: masked is not authorized to perform: ecs:ListTasks",
        "Reason": "Target.ResponseCodeMismatch",
    });
    assert_eq!(masked(denied), expected);
    let mut masks = Masks::default();
    let document = "<Error><Code>SignatureDoesNotMatch</Code><Message>The request is&#10;x-amz-security-token:FwoG</Message></Error>";
    let expected = "<Error><Code>SignatureDoesNotMatch</Code><Message>The request masked</Message></Error>";
    assert_eq!(masks.xml(document), expected);
}

#[test]
fn only_the_text_of_members_that_are_read_is_kept() {
    let definition = json!({ "taskDefinition": {
        "family": "p-jvb",
        "revision": 7,
        "registeredAt": 1_764_529_951.5,
        "taskRoleArnOfTomorrow": "arn:aws:iam::123456789012:role/secret",
        "containerDefinitions": [{
            "name": "jvb",
            "image": "registry.example.org/jvb:secret",
            "essential": true,
            "environment": [
                { "name": "JVB_ADVERTISE_IPS", "value": "3.250.1.2" },
                { "name": "JICOFO_AUTH_PASSWORD", "value": "hunter2" },
            ],
            "secrets": [{ "name": "PASSWORD", "valueFrom": "arn:aws:ssm:eu-west-1:123456789012:parameter/p" }],
            "dockerLabels": { "status": "hunter2" },
        }],
        "tags": [{ "key": "Owner", "value": "jane.doe" }, { "key": "jvb-watcher:hold-until", "value": "2026-01-01T00:00:00Z" }],
    }});
    assert_eq!(
        masked(definition),
        json!({ "taskDefinition": {
            "family": "p-jvb",
            "revision": 7,
            "registeredAt": 1_764_529_951.5,
            "taskRoleArnOfTomorrow": "masked",
            "containerDefinitions": [{
                "name": "jvb",
                "image": "masked",
                "essential": true,
                "environment": [{ "name": "JVB_ADVERTISE_IPS", "value": "198.18.0.1" }],
                "secrets": [{ "name": "masked", "valueFrom": "masked" }],
                "dockerLabels": { "status": "masked" },
            }],
            "tags": [{ "key": "Owner", "value": "masked" }, { "key": "jvb-watcher:hold-until", "value": "2026-01-01T00:00:00Z" }],
        }})
    );
}

#[test]
fn an_event_in_a_message_is_masked_like_an_answer() {
    let event = json!({
        "account": "123456789012",
        "detail-type": "ECS Task State Change",
        "detail": {
            "taskArn": "arn:aws:ecs:eu-west-1:123456789012:task/c/1",
            "version": 3,
            "overrides": { "containerOverrides": [{ "name": "jvb", "environment": [{ "name": "P", "value": "hunter2" }] }] },
        },
    });
    let message = masked(json!({ "Messages": [{ "Body": event.to_string() }, { "Body": "hunter2" }] }));
    let body: Value = serde_json::from_str(message["Messages"][0]["Body"].as_str().expect("text")).expect("JSON");
    assert_eq!(body["account"], "000000000001");
    assert_eq!(body["detail"]["taskArn"], "arn:aws:ecs:eu-west-1:000000000001:task/c/1");
    assert_eq!(body["detail"]["overrides"]["containerOverrides"][0], json!({ "name": "jvb", "environment": [] }));
    assert_eq!(message["Messages"][1]["Body"], "masked");
}

#[test]
fn the_text_of_xml_is_masked_by_its_element() {
    let mut masks = Masks::default();
    let document = "<?xml version=\"1.0\"?>\n<DescribeTagsResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
        <Tags><member><Key>Owner</Key><Value>jane &amp; co</Value></member></Tags>\
        <LoadBalancerArns><member>arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/n/1</member></LoadBalancerArns>\
        <AvailabilityZones/><NextMarker>abc</NextMarker><Unknown>5</Unknown></DescribeTagsResponse>";
    let masked = document
        .replace("jane &amp; co", "masked")
        .replace("123456789012", "000000000001")
        .replace("abc", "token-1")
        .replace(">5<", ">0<");
    assert_eq!(masks.xml(document), masked);
    assert_eq!(masks.xml("<A><Secret>hunter2"), "<A><Secret>masked");
    assert_eq!(masks.xml("<A key=\"hunter2"), "<");
}

#[test]
fn a_form_is_masked_by_the_names_of_its_fields() {
    let form = "Action=AddTags&Version=2015-12-01&ResourceArns.member.1=arn%3Aaws%3Aecs%3A%3A123456789012%3Ax\
                &Tags.member.1.Key=Owner&Tags.member.1.Value=jane&Targets.member.1.Id=10.0.0.1&Targets.member.1.Port=80";
    let kind = Some("application/x-www-form-urlencoded");
    assert_eq!(
        body::masked(kind, form.as_bytes(), &mut Masks::default()),
        json!({
            "Action": "AddTags",
            "Version": "2015-12-01",
            "ResourceArns.member.1": "arn:aws:ecs::000000000001:x",
            "Tags.member.1.Key": "Owner",
            "Tags.member.1.Value": "masked",
            "Targets.member.1.Id": "10.0.0.1",
            "Targets.member.1.Port": "80",
        })
    );
}

#[test]
fn cbor_becomes_json() {
    let mut encoder = aws_smithy_cbor::Encoder::new(Vec::new());
    encoder.begin_map().str("Id").str("m1").str("Values").array(1).double(1.5).str("StartTime");
    encoder.timestamp(&aws_smithy_types::DateTime::from_secs(60)).str("Secret").str("hunter2").end();
    let value = body::masked(Some("application/cbor"), &encoder.into_writer(), &mut Masks::default());
    assert_eq!(value, json!({ "Id": "m1", "Values": [1.5], "StartTime": 60.0, "Secret": "masked" }));
}

#[test]
fn a_body_that_cannot_be_read_is_recorded_by_its_length() {
    for (kind, body) in
        [("application/x-amz-json-1.1", "{\"a\":"), ("application/cbor", "\u{7f}"), ("text/html", "<html>")]
    {
        let length = body.len();
        assert_eq!(
            body::masked(Some(kind), body.as_bytes(), &mut Masks::default()),
            format!("unreadable, {length} bytes")
        );
    }
    assert_eq!(body::masked(None, b"", &mut Masks::default()), Value::Null);
}

#[test]
fn operations_are_recognized_in_each_protocol() {
    let request = |uri: &str, target: Option<&'static str>, body: &'static str| {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_uri(uri.to_owned()).expect("a URI");
        if let Some(target) = target {
            request.headers_mut().insert("x-amz-target", target);
        }
        operation(&request)
    };
    let json = request("https://ecs/", Some("AmazonEC2ContainerServiceV20141113.DescribeTasks"), "{}");
    assert_eq!(json, Some(ApiOperation::DescribeTasks));
    let cbor = request("https://monitoring/service/GraniteServiceVersion20100801/operation/GetMetricData", None, "");
    assert_eq!(cbor, Some(ApiOperation::GetMetricData));
    let query = request("https://elb/", None, "Action=DescribeTags&Version=2015-12-01");
    assert_eq!(query, Some(ApiOperation::DescribeTags));
    // The calls for credentials are none of the product's.
    assert_eq!(request("https://sts/", None, "Action=AssumeRole&Version=2011-06-15"), None);
    assert_eq!(request("http://169.254.169.254/latest/meta-data/", None, ""), None);
}

#[test]
fn a_recording_that_cannot_be_created_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("the directory is writable");
    let error = Recorder::start(&file, "run").expect_err("it is a file").to_string();
    assert!(error.starts_with("--record: ") && error.contains("file can't be created"), "{error}");
}

#[test]
fn processes_with_the_same_id_have_files_of_their_own() {
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let names: Vec<_> = (0..3)
        .map(|_| create(directory.path(), "run-1").expect("the directory is writable").1)
        .map(|path| path.file_name().expect("a name").to_owned())
        .collect();
    assert_eq!(names, ["run-1.jsonl", "run-1-2.jsonl", "run-1-3.jsonl"]);
}

#[test]
fn a_file_whose_first_line_cannot_be_written_is_removed() {
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let (_, path) = create(directory.path(), "run-1").expect("the directory is writable");
    // It is open for reading alone: a write fails, as on a full disk.
    let file = std::fs::File::open(&path).expect("it exists");
    write_head(&file, &path, "{}").expect_err("it can't be written");
    assert!(!path.exists());
}

#[test]
fn the_last_calls_are_written_before_the_recorder_ends() {
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let recorder = Recorder::start(directory.path(), "run").expect("the directory is writable");
    for _ in 0..100 {
        recorder.calls.record(call(b"{}"));
    }
    drop(recorder);
    let file = std::fs::read_dir(directory.path()).expect("a directory").next().expect("a file").expect("an entry");
    let text = std::fs::read_to_string(file.path()).expect("text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines[0]["recording"].as_u64(), lines.len()), (Some(1), 101));
    assert_eq!(lines[100]["operation"], "ecs:DescribeTasks");
}

fn call(answer: &[u8]) -> RecordedCall {
    RecordedCall {
        operation: ApiOperation::DescribeTasks,
        request_type: Some("application/x-amz-json-1.1".to_owned()),
        request: b"{\"cluster\": \"c\"}".to_vec(),
        sent: Timestamp::UNIX_EPOCH,
        ended: Timestamp::from_second(1).expect("a time"),
        status: Some(200),
        headers: vec![
            ("Content-Type".to_owned(), "application/x-amz-json-1.1".to_owned()),
            ("Set-Cookie".to_owned(), "hunter2".to_owned()),
        ],
        answer: answer.to_vec(),
        failure: None,
    }
}

#[test]
fn a_line_has_the_request_the_answer_and_the_times() {
    assert_eq!(
        call(b"{\"tasks\": []}").to_json(&mut Masks::default()),
        json!({
            "operation": "ecs:DescribeTasks",
            "sent": "1970-01-01T00:00:00Z",
            "ended": "1970-01-01T00:00:01Z",
            "input": { "cluster": "c" },
            "status": 200,
            "headers": { "content-type": "application/x-amz-json-1.1", "set-cookie": "masked" },
            "output": { "tasks": [] },
        })
    );
}

proptest! {
    #[test]
    fn no_body_makes_the_recorder_panic(body in prop::collection::vec(any::<u8>(), 0..300), kind in 0_usize..4) {
        let kinds = ["application/x-amz-json-1.1", "application/cbor", "application/x-www-form-urlencoded", "text/xml"];
        let _ = body::masked(Some(kinds[kind]), &body, &mut Masks::default());
    }

    #[test]
    fn no_account_id_gets_past_the_masks(account in "[0-9]{12}", before in "[ -~]{0,20}", after in "[ -~]{0,20}") {
        // Within the id of a task or a request, the digits stay.
        let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_hexdigit());
        prop_assume!(edge(before.chars().last()) && edge(after.chars().next()));
        prop_assume!(account != "000000000001");
        let text = Masks::default().text(&format!("{before}{account}{after}"));
        prop_assert!(!text.contains(&account), "{text}");
    }

    #[test]
    fn no_public_address_gets_past_the_masks(bits in any::<u32>(), before in "[ -~]{0,20}", after in "[ -~]{0,20}") {
        let address = std::net::Ipv4Addr::from_bits(0x3600_0000 | (bits & 0xff_ffff));
        let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_digit());
        prop_assume!(edge(before.chars().last()) && edge(after.chars().next()));
        for address in [address.to_string(), address.to_string().replace('.', "-"), format!("::ffff:{address}")] {
            let text = Masks::default().text(&format!("{before}{address}{after}"));
            prop_assert!(!text.contains(&address), "{text}");
        }
    }

    #[test]
    fn text_of_xml_that_is_not_kept_never_shows(text in "[a-z]{7,20}", document in "[<>/a-zA-Z \"=]{0,60}") {
        let masked = Masks::default().xml(&format!("<A>{document}</A><Secret>{text}</Secret>"));
        prop_assert!(!masked.contains(&format!("<Secret>{text}")), "{masked}");
    }
}
