//! What somebody sees who can look at the whole of it: for a live display, and for checking an end state.
//!
//! This is how things are, whatever lag the APIs show.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceView {
    /// Its cluster's name.
    pub cluster: String,
    /// Its name.
    pub name: String,
    /// ACTIVE, DRAINING or INACTIVE.
    pub status: &'static str,
    /// How many tasks are desired.
    pub desired: i32,
    /// How many tasks are RUNNING.
    pub running: i32,
    /// How many tasks have yet to come to RUNNING.
    pub pending: i32,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// Its cluster's name.
    pub cluster: String,
    /// `service:NAME` or `family:NAME`.
    pub group: String,
    /// lastStatus.
    pub last_status: &'static str,
    /// desiredStatus.
    pub desired_status: String,
    /// The number of its last change.
    pub version: i64,
    /// Its address, once it has one.
    pub address: Option<Ipv4Addr>,
    /// When it came to RUNNING.
    pub started_at: Option<Timestamp>,
    /// When it had stopped.
    pub stopped_at: Option<Timestamp>,
    /// Why it stops or stopped, as a code.
    pub stop_code: Option<String>,
}

/// A load balancer that hasn't been deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancerView {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// provisioning, active or failed.
    pub state: &'static str,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// A target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The ARNs of the load balancers in front of it.
    pub load_balancers: Vec<String>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Its targets.
    pub targets: Vec<TargetView>,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView {
    /// Its address.
    pub id: String,
    /// Its port.
    pub port: u16,
    /// initial, healthy, unhealthy, draining or unused.
    pub state: &'static str,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// How many messages could be received at once.
    pub visible: usize,
    /// How many messages have been received, and are hidden.
    pub in_flight: usize,
    /// How many messages are yet to appear.
    pub delayed: usize,
    /// How old the oldest message is.
    pub oldest: Option<Duration>,
}
