//! Property tests: every request gets a response that is valid in its protocol.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::cbor;
use super::check::{self, Client};
use crate::api::Service;

/// Prefixes of the `X-Amz-Target` header.
const TARGETS: [&str; 4] =
    ["AmazonSQS", "AmazonEC2ContainerServiceV20141113", "AWSEvents", "GraniteServiceVersion20100801"];

/// Values that exist in the world, and arbitrary ones.
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

/// Names of members in the services' requests, and arbitrary ones.
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

/// Bodies of the JSON protocols: mostly with known members, sometimes arbitrary.
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

fn json_request() -> impl Strategy<Value = (Option<String>, Vec<u8>)> {
    let services = [Service::Sqs, Service::Ecs, Service::EventBridge, Service::CloudWatch];
    (0..services.len()).prop_flat_map(move |index| {
        (operation(services[index]), json_body())
            .prop_map(move |(operation, body)| (Some(format!("{}.{operation}", TARGETS[index])), body))
    })
}

fn form_request() -> impl Strategy<Value = (Option<String>, Vec<u8>)> {
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

/// Members of a GetMetricData request, of which some are valid.
fn metric_members() -> impl Strategy<Value = Value> {
    let query = (name(), 0..200_i32, any::<bool>()).prop_map(|(name, period, is_valid)| {
        let metric = json!({ "Namespace": "AWS/NetworkELB", "MetricName": name, "Dimensions": [] });
        let stat = if is_valid { "Sum" } else { "p9" };
        json!({ "Id": "a", "MetricStat": { "Metric": metric, "Period": period, "Stat": stat } })
    });
    let time = prop_oneof![any::<f64>(), 0.0..4e9];
    (query, time.clone(), time, members()).prop_map(|(query, start, end, mut members)| {
        members["MetricDataQueries"] = json!([query]);
        members["StartTime"] = start.into();
        members["EndTime"] = end.into();
        members
    })
}

/// A request in CBOR, sometimes with one byte replaced: its path and its body.
fn cbor_request() -> impl Strategy<Value = (String, Vec<u8>)> {
    let members = prop_oneof![members(), metric_members()].prop_map(|members| cbor::to_bytes(&members));
    let damaged = (members.clone(), any::<proptest::sample::Index>(), any::<u8>()).prop_map(|(mut body, at, byte)| {
        let at = at.index(body.len());
        body[at] = byte;
        body
    });
    let body = prop_oneof![4 => members, 4 => damaged, 1 => proptest::collection::vec(any::<u8>(), 0..200)];
    let service = prop_oneof![9 => Just("GraniteServiceVersion20100801".to_owned()), 1 => "[A-Za-z0-9]{1,20}"];
    let operation = prop_oneof![9 => Just("GetMetricData".to_owned()), 1 => "[A-Za-z0-9]{1,20}"];
    (service, operation, body)
        .prop_map(|(service, operation, body)| (format!("/service/{service}/operation/{operation}"), body))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_request_gets_a_valid_response(requests in proptest::collection::vec(prop_oneof![json_request(), form_request()], 1..40)) {
        // All on one world, so that some requests find resources of others.
        let client = Client::start();
        for (target, body) in requests {
            client.request(target.as_deref(), body);
        }
    }

    #[test]
    fn every_request_in_cbor_gets_a_valid_response(requests in proptest::collection::vec(cbor_request(), 1..40)) {
        let client = Client::start();
        for (path, body) in requests {
            client.cbor(&path, body);
        }
    }
}

#[test]
fn conversations_found_by_fuzzing_get_valid_responses() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/fuzz/wire");
    let files: Vec<_> = std::fs::read_dir(folder).expect("fixtures/fuzz/wire exists").collect();
    assert!(!files.is_empty());
    for file in files {
        check::conversation(&std::fs::read(file.expect("a readable folder").path()).expect("a readable fixture"));
    }
    // The smallest set of the fuzzer's corpus with the same coverage. Each character is a byte.
    for line in include_str!("../../../../fixtures/fuzz/conversations.jsonl").lines() {
        let conversation: String = serde_json::from_str(line).expect("a text");
        let bytes: Vec<u8> = conversation.chars().map(|byte| u8::try_from(byte).expect("a byte")).collect();
        check::conversation(&bytes);
    }
}
