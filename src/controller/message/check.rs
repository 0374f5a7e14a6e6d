//! Properties of the parser that hold for every message body; the unit tests and the fuzzer use them.

use serde_json::Value;

use super::{EventBridgeEvent, Hint};
use crate::controller::scope::Scope;
use jvb_watcher_rules::model::cluster_name;

/// Clusters and services, those of the fixtures among them.
const SERVICES: [(&str, &str); 4] =
    [("jitsi-cluster", "jitsi-service"), ("jitsi-cluster", "jitsi"), ("default", "jitsi-service"), ("", "")];

/// Parses a body and compares the hint with the body's JSON.
///
/// # Panics
///
/// Panics if the hint is for a service that the event doesn't name, or for a task that isn't in the body.
pub fn body(body: &str) {
    let Ok(event) = EventBridgeEvent::parse(body) else { return };
    // The parser skips fields in which this one still finds half a surrogate pair or a number out of range.
    let Ok(envelope) = serde_json::from_str::<Value>(body) else { return };
    let detail = &envelope["detail"];
    for (cluster, service) in SERVICES {
        let scope = Scope { cluster: cluster.to_owned(), service: service.to_owned() };
        let Some(hint) = event.clone().hint_for(&scope) else { continue };
        assert_eq!(envelope["source"], "aws.ecs");
        let change = match hint {
            Hint::Task(change) => change,
            Hint::Service(event) => {
                let suffixes = [format!(":service/{cluster}/{service}"), format!(":service/{service}")];
                let arns = envelope["resources"].as_array().expect("resources").iter().filter_map(Value::as_str);
                let is_named = |arn: &str| suffixes.iter().any(|suffix| arn.ends_with(suffix));
                assert!(arns.into_iter().any(is_named), "{event:?} is for a service that isn't named");
                assert_eq!(detail["eventName"], event.name.as_str());
                continue;
            }
        };
        assert_eq!(envelope["detail-type"], "ECS Task State Change");
        let named = [&detail["taskArn"], &envelope["resources"][0]].map(|arn| arn.as_str().unwrap_or_default());
        assert!(named.iter().any(|arn| arn.ends_with(&format!("/{}", change.task))), "{change:?} is not named");
        if let Some(group) = detail["group"].as_str().filter(|group| !group.is_empty()) {
            assert_eq!(group, format!("service:{service}"), "a hint for another service");
        }
        match detail["clusterArn"].as_str().filter(|arn| !arn.is_empty()) {
            Some(arn) => assert_eq!(cluster_name(arn), cluster, "a hint for another cluster"),
            None => assert!(named.iter().any(|arn| arn.contains(&format!(":task/{cluster}/"))), "no cluster"),
        }
    }
}
