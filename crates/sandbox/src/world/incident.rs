//! Incidents that tests, scenarios and the control API inject into the world.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// An incident to inject into the world.
///
/// In JSON and TOML the member `act` names the incident: `{"act": "crash-task", "service": "jvb"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Incident {
    /// A running task's essential container exits.
    CrashTask {
        /// The service's name, or `CLUSTER/NAME` where several clusters have one of that name.
        service: String,
        /// The task's id or ARN; any that runs when it isn't said.
        #[serde(default)]
        task: Option<String>,
        /// What the container exits with.
        #[serde(default = "one")]
        exit_code: i32,
    },
    /// Fargate Spot gives a running task two minutes' notice.
    SpotNotice {
        /// The service's name, or `CLUSTER/NAME` where several clusters have one of that name.
        service: String,
        /// The task's id or ARN; any that runs when it isn't said.
        #[serde(default)]
        task: Option<String>,
    },
    /// The next tasks, of whatever service, fail to start.
    FailToStart {
        /// How many.
        n: u32,
    },
    /// Every target with the address fails its health checks from now on.
    TargetUnhealthy {
        /// The address.
        ip: IpAddr,
    },
    /// The targets with the address pass their health checks again, if what is behind it serves.
    TargetHealthy {
        /// The address.
        ip: IpAddr,
    },
    /// A load balancer can't be set up.
    #[serde(rename = "fail-balancer")]
    FailLoadBalancer {
        /// Its name.
        name: String,
    },
    /// The last events come once more.
    Replay {
        /// How many.
        n: usize,
    },
    /// Somebody puts a message of his own into a queue.
    MalformedMessage {
        /// The queue's name.
        queue: String,
        /// What the message says.
        body: String,
    },
}

fn one() -> i32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incidents_are_read_from_json() {
        let read = |text: &str| serde_json::from_str::<Incident>(text);
        assert_eq!(
            read(r#"{"act": "crash-task", "service": "jvb"}"#).unwrap(),
            Incident::CrashTask { service: "jvb".to_owned(), task: None, exit_code: 1 }
        );
        assert_eq!(read(r#"{"act": "replay", "n": 3}"#).unwrap(), Incident::Replay { n: 3 });
        assert!(read(r#"{"act": "replay", "n": 3, "m": 4}"#).is_err());
        assert!(read(r#"{"act": "explode"}"#).is_err());
    }
}
