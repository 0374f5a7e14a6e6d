//! Whatever comes in, an answer goes out, in the shape of the protocol's errors where it is one.

use http_body_util::BodyExt;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::shared::Shared;
use super::{Answer, service};
use crate::sandbox::api::Service;
use crate::sandbox::faults::Faults;
use crate::sandbox::platform;
use crate::sandbox::world::{Settings, World};
use hyper::body::Bytes;

/// Where a call of the JSON protocols goes.
const TARGETS: [&str; 3] = ["AmazonSQS", "AmazonEC2ContainerServiceV20141113", "AWSEvents"];

fn shared() -> Shared {
    let now = Timestamp::now();
    let mut world = World::new(Settings::default().scaled(1e6), 1, now);
    platform::set_up(&mut world, now).unwrap();
    Shared::new(world, Faults::new(1), "http://localhost".to_owned(), watch::channel(false).1)
}

/// Values that calls might mean, and others.
fn scalar() -> impl Strategy<Value = Value> {
    const KNOWN: [&str; 16] = [
        "jitsi-cluster",
        "jitsi-service",
        "jitsi-jvb",
        "http://x/1/jitsi-jvb-watcher",
        "arn:aws:sqs:eu-west-1:111122223333:jitsi-jvb-watcher",
        "arn:aws:ecs:eu-west-1:111122223333:service/jitsi-cluster/jitsi-service",
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/a/0",
        "0123456789abcdef0123456789abcdef",
        "All",
        "STOPPED",
        "network",
        "10.0.0.1",
        "",
        "{\"source\": [{\"prefix\": \"a\"}]}",
        "{}",
        "65536",
    ];
    prop_oneof![
        6 => proptest::sample::select(&KNOWN[..]).prop_map(Value::from),
        2 => any::<String>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

/// The members that the services' calls have, and others.
fn name() -> impl Strategy<Value = String> {
    let members: Vec<&str> = Service::ALL.iter().flat_map(|s| s.operations()).flat_map(|o| o.1).copied().collect();
    let others =
        ["cluster", "desiredCount", "MaxResults", "NextToken", "VisibilityTimeout", "Id", "Arn", "Key", "tags"];
    let members: Vec<String> = members.into_iter().chain(others).map(str::to_owned).collect();
    prop_oneof![9 => proptest::sample::select(members), 1 => any::<String>()]
}

fn members() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name(), inner, 0..4).prop_map(|members| json!(members)),
        ]
    });
    proptest::collection::btree_map(name(), value, 0..8).prop_map(|members| json!(members))
}

/// A body of a JSON protocol: mostly with members of the right names, sometimes anything.
fn json_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => members().prop_map(|members| members.to_string().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => (1..5_000_usize).prop_map(|depth| "[".repeat(depth).into_bytes()),
    ]
}

fn operation(service: Service) -> impl Strategy<Value = String> {
    let known: Vec<String> = service.operations().iter().map(|(name, _)| (*name).to_owned()).collect();
    prop_oneof![20 => proptest::sample::select(known), 1 => any::<String>()]
}

fn json_call() -> impl Strategy<Value = (Option<String>, Vec<u8>)> {
    let services = [Service::Sqs, Service::Ecs, Service::Events];
    (0..services.len()).prop_flat_map(move |index| {
        (operation(services[index]), json_body())
            .prop_map(move |(operation, body)| (Some(format!("{}.{operation}", TARGETS[index])), body))
    })
}

fn form_call() -> impl Strategy<Value = (Option<String>, Vec<u8>)> {
    let suffix = prop_oneof![
        4 => Just(String::new()),
        4 => Just(".member.1".to_owned()),
        2 => Just(".member.1.Key".to_owned()),
        1 => any::<String>(),
    ];
    let field = (name(), suffix, scalar()).prop_map(|(name, suffix, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (format!("{name}{suffix}"), text)
    });
    let version =
        prop_oneof![9 => Just("2015-12-01".to_owned()), 1 => Just("2011-06-15".to_owned()), 1 => any::<String>()];
    (operation(Service::Elb), version, proptest::collection::vec(field, 0..8)).prop_map(
        |(operation, version, fields)| {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("Action", &operation).append_pair("Version", &version).extend_pairs(fields);
            (None, form.finish().into_bytes())
        },
    )
}

fn ask(shared: &Shared, target: Option<&str>, body: Vec<u8>) -> Option<Answer> {
    let mut request = hyper::Request::post("/");
    if let Some(target) = target {
        request = request.header("x-amz-target", target);
    }
    // Some names of operations can stand in no header; those never come.
    let (head, ()) = request.body(()).ok()?.into_parts();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    Some(runtime.block_on(service::answer(shared, &head, &Bytes::from(body))).expect("nothing is dropped"))
}

fn body_of(answer: Answer) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let body = runtime.block_on(answer.into_body().collect()).unwrap().to_bytes();
    String::from_utf8(body.to_vec()).expect("answers are UTF-8")
}

/// An answer is JSON or XML as its call is, and an error says what it is.
fn check(is_form: bool, answer: Answer) {
    let status = answer.status().as_u16();
    let header = answer.headers().get("x-amzn-query-error").cloned();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let body = body_of(answer);
    assert!(matches!(status, 200 | 400 | 403), "{status} {body}");
    if is_form {
        assert_eq!(kind, "text/xml");
        let mut reader = quick_xml::Reader::from_str(&body);
        while reader.read_event().expect("well-formed XML") != quick_xml::events::Event::Eof {}
        assert!(body.chars().all(|c| c >= ' ' || matches!(c, '\t' | '\n' | '\r')), "{body:?}");
        assert_eq!(status != 200, body.contains("<ErrorResponse"), "{body}");
    } else {
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let is_error = body["__type"].is_string() && body["message"].is_string();
        assert_eq!(status != 200, is_error, "{body}");
        assert_eq!(header.is_some(), is_error && kind.ends_with("-1.0"), "{body}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_in_an_answer_goes_out(calls in proptest::collection::vec(prop_oneof![json_call(), form_call()], 1..40)) {
        // One after the other on one world, so that some find what others made.
        let shared = shared();
        for (target, body) in calls {
            if let Some(answer) = ask(&shared, target.as_deref(), body) {
                check(target.is_none(), answer);
            }
        }
    }
}
