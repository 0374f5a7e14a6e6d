//! Incidents that tests, scenarios and the control API inject into the world: what happens on AWS without a request, and
//! what happens outside the modelled services.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;

/// An incident to inject into the world.
///
/// In JSON and TOML the member `act` names the incident: `{"act": "crash-task", "service": "jvb"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Incident {
    /// The essential container of a running task exits.
    CrashTask {
        /// Name of the service, or `CLUSTER/NAME` when several clusters have one of that name.
        service: String,
        /// Id or ARN of the task; any running one when absent.
        #[serde(default)]
        task: Option<String>,
        /// Exit code of the container.
        #[serde(default = "one")]
        exit_code: i32,
    },
    /// A running task gets a Fargate Spot interruption notice.
    SpotNotice {
        /// Name of the service, or `CLUSTER/NAME` when several clusters have one of that name.
        service: String,
        /// Id or ARN of the task; any running one when absent.
        #[serde(default)]
        task: Option<String>,
    },
    /// The next tasks of any service fail to start.
    FailToStart {
        /// Number of tasks.
        n: u32,
    },
    /// Fargate has no capacity: the schedulers' next attempts to place a task fail.
    NoCapacity {
        /// Number of attempts.
        n: u32,
    },
    /// Targets with an address fail their health checks from now on.
    TargetUnhealthy {
        /// The address.
        ip: IpAddr,
        /// Port of the targets; any when absent.
        #[serde(default)]
        port: Option<u16>,
    },
    /// Targets with an address pass their health checks again, provided that the task behind it serves.
    TargetHealthy {
        /// The address.
        ip: IpAddr,
        /// Port of the targets; any when absent.
        #[serde(default)]
        port: Option<u16>,
    },
    /// A load balancer fails to provision.
    #[serde(rename = "fail-balancer")]
    FailLoadBalancer {
        /// Name of the load balancer.
        name: String,
    },
    /// The last events that match a rule are delivered again.
    Replay {
        /// Number of events.
        n: usize,
    },
    /// A message that isn't an event arrives in a queue.
    MalformedMessage {
        /// Name of the queue.
        queue: String,
        /// Body of the message.
        body: String,
    },
    /// The alias record of a name is created or replaced, as Terraform does when it creates a load balancer.
    PutRecord {
        /// The name.
        name: String,
        /// DNS name of the load balancer.
        target: String,
    },
    /// The alias record of a name is deleted.
    DeleteRecord {
        /// The name.
        name: String,
    },
    /// This many callers are in the call of the platform's domain, or try to join it.
    Callers {
        /// Number of callers.
        n: usize,
    },
    /// Callers come to the call of the platform's domain: one, two or a conference, as many as there is room for.
    Join {
        /// Number of callers.
        n: usize,
        /// Time after which they come. Default: none; they come at once.
        #[serde(default, with = "duration")]
        after: Duration,
        /// Time for which they stay; until `leave` or `callers` when absent.
        #[serde(default, with = "duration::optional", skip_serializing_if = "Option::is_none")]
        stay: Option<Duration>,
    },
    /// A caller leaves.
    Leave {
        /// Number of the caller.
        caller: u32,
        /// The caller's machine is gone without a word: its connection stays in the load balancer's table until the idle
        /// timeout is over. Default: no.
        #[serde(default)]
        silently: bool,
    },
    /// Bots send a packet to each UDP listener, and connect to each TCP and TLS listener, of every load balancer.
    PortScan {
        /// Number of bots.
        n: usize,
    },
    /// CloudWatch gets no data points of the minutes that end within a time from now; they never come.
    MetricsGap {
        /// The time.
        #[serde(with = "duration")]
        lasts: Duration,
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
        assert_eq!(
            read(r#"{"act": "fail-balancer", "name": "nlb"}"#).unwrap(),
            Incident::FailLoadBalancer { name: "nlb".to_owned() }
        );
        assert_eq!(read(r#"{"act": "replay", "n": 3}"#).unwrap(), Incident::Replay { n: 3 });
        let stay = Some(Duration::from_secs(600));
        assert_eq!(
            read(r#"{"act": "join", "n": 2, "stay": "10m"}"#).unwrap(),
            Incident::Join { n: 2, after: Duration::ZERO, stay }
        );
        assert!(read(r#"{"act": "replay", "n": 3, "m": 4}"#).is_err());
        assert!(read(r#"{"act": "explode"}"#).is_err());
    }
}
