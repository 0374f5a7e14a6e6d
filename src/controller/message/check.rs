//! What must hold for every message body there is: for the tests and the fuzzing.

use serde_json::Value;

use super::Notice;
use jvb_watcher_rules::model::cluster_name;

/// Clusters and services that may be somebody's, the fixtures' among them.
const SERVICES: [(&str, &str); 4] =
    [("jitsi-cluster", "jitsi-service"), ("jitsi-cluster", "jitsi"), ("default", "jitsi-service"), ("", "")];

/// Reads a body, and holds what comes of it against what stands in it.
///
/// # Panics
///
/// When the notice concerns a service that the event doesn't name, or names a task that isn't in the body.
pub fn body(body: &str) {
    let Ok(notice) = Notice::parse(body) else { return };
    // What was read as a notice is JSON.
    let envelope: Value = serde_json::from_str(body).unwrap_or_default();
    let detail = &envelope["detail"];
    for (cluster, service) in SERVICES {
        let Some(hint) = notice.clone().concerning(cluster, service) else { continue };
        assert_eq!(envelope["source"], "aws.ecs");
        assert_eq!(envelope["detail-type"], "ECS Task State Change");
        let named = [&detail["taskArn"], &envelope["resources"][0]].map(|arn| arn.as_str().unwrap_or_default());
        assert!(named.iter().any(|arn| arn.ends_with(&format!("/{}", hint.task))), "{hint:?} is not named");
        if let Some(group) = detail["group"].as_str().filter(|group| !group.is_empty()) {
            assert_eq!(group, format!("service:{service}"), "a hint for another service");
        }
        match detail["clusterArn"].as_str().filter(|arn| !arn.is_empty()) {
            Some(arn) => assert_eq!(cluster_name(arn), cluster, "a hint for another cluster"),
            None => assert!(named.iter().any(|arn| arn.contains(&format!(":task/{cluster}/"))), "no cluster"),
        }
    }
}
