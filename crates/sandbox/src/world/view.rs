//! Views of the whole state, for displays and for tests that check an end state.
//!
//! Views are always current, unlike the APIs, which can lag.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use super::{
    Advertised, CallChange, CallCounts, CallEvent, Connection, EventCounts, FlowProtocol, World, cloudwatch, ecs, elb,
    sqs,
};

/// View of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceView {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the service.
    pub name: String,
    /// ACTIVE, DRAINING or INACTIVE.
    pub status: &'static str,
    /// Desired number of tasks.
    pub desired: i32,
    /// Number of tasks in RUNNING.
    pub running: i32,
    /// Number of tasks on their way to RUNNING.
    pub pending: i32,
}

/// View of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Id of the task, with which its ARN ends.
    pub id: String,
    /// Name of the cluster.
    pub cluster: String,
    /// `service:NAME` or `family:NAME`.
    pub group: String,
    /// lastStatus.
    pub last_status: &'static str,
    /// desiredStatus.
    pub desired_status: String,
    /// Version, which rises by one with each change.
    pub version: i64,
    /// Private address, from PENDING on.
    pub address: Option<Ipv4Addr>,
    /// Time at which the task reached RUNNING.
    pub started_at: Option<Timestamp>,
    /// Time at which the task reached STOPPED.
    pub stopped_at: Option<Timestamp>,
    /// Reason for which the task stops or stopped, as AWS's code.
    pub stop_code: Option<String>,
    /// What the task's bridge advertises while its containers run.
    pub advertised: Option<Advertised>,
}

/// View of a load balancer that hasn't been deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancerView {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// provisioning, active or failed.
    pub state: &'static str,
    /// DNS name.
    pub dns_name: String,
    /// Public addresses, to which the DNS name resolves while the load balancer is active.
    pub addresses: Vec<Ipv4Addr>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Tags, sorted by key.
    pub tags: Vec<(String, String)>,
}

/// View of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerView {
    /// ARN of the load balancer.
    pub load_balancer: String,
    /// Protocol.
    pub protocol: String,
    /// Port.
    pub port: u16,
    /// ARNs of the groups that the listener forwards to.
    pub groups: Vec<String>,
}

/// View of a target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// ARNs of the load balancers that forward to the group.
    pub load_balancers: Vec<String>,
    /// Tags, sorted by key.
    pub tags: Vec<(String, String)>,
    /// Targets, draining ones included.
    pub targets: Vec<TargetView>,
}

/// View of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView {
    /// Address.
    pub id: String,
    /// Port.
    pub port: u16,
    /// initial, healthy, unhealthy, draining or unused.
    pub state: &'static str,
}

/// View of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// Name.
    pub name: String,
    /// Number of messages that can be received.
    pub visible: usize,
    /// Number of messages in flight.
    pub in_flight: usize,
    /// Number of delayed messages.
    pub delayed: usize,
    /// Age of the oldest message.
    pub oldest: Option<Duration>,
}

/// View of an alias record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordView {
    /// Name.
    pub name: String,
    /// DNS name of the load balancer.
    pub target: String,
    /// Addresses to which the name resolves.
    pub addresses: Vec<Ipv4Addr>,
}

/// View of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerView {
    /// Number, from 1.
    pub number: u32,
    /// Event of the present state: joined, no sign-in or no media.
    pub state: CallEvent,
}

/// View of a data point of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataPointView {
    /// Beginning of the minute.
    pub at: Timestamp,
    /// Time from which GetMetricData returns the point.
    pub visible_at: Timestamp,
    /// Average of the minute.
    pub average: f64,
}

impl World {
    /// Returns every service that can still be described.
    pub fn services(&self) -> Vec<ServiceView> {
        let view = |(key, service): (&ecs::ServiceKey, &ecs::Service)| {
            let (desired, counts) = (service.desired_state.current(), self.ecs.task_counts(key, None, self.now));
            ServiceView {
                cluster: key.cluster.clone(),
                name: key.name.clone(),
                status: desired.status.as_str(),
                desired: desired.count,
                running: counts.running,
                pending: counts.pending,
            }
        };
        self.ecs.services().map(view).collect()
    }

    /// Returns every task that can still be described.
    pub fn tasks(&self) -> Vec<TaskView> {
        let view = |task: &ecs::Task| {
            let description = task.description();
            TaskView {
                id: task.id.clone(),
                cluster: task.cluster.clone(),
                group: description.group.clone(),
                last_status: task.status.as_str(),
                desired_status: description.desired_status.clone(),
                version: description.version,
                address: task.address,
                started_at: description.started_at,
                stopped_at: description.stopped_at,
                stop_code: description.stop_code.clone(),
                advertised: self.advertised(task).cloned(),
            }
        };
        self.ecs.tasks().map(view).collect()
    }

    /// Returns every load balancer that hasn't been deleted.
    pub fn load_balancers(&self) -> Vec<LoadBalancerView> {
        let view = |load_balancer: &elb::LoadBalancer| LoadBalancerView {
            arn: load_balancer.arn.clone(),
            name: load_balancer.name.clone(),
            state: load_balancer.state.as_str(),
            dns_name: load_balancer.dns_name().to_owned(),
            addresses: load_balancer.addresses().to_vec(),
            created_at: load_balancer.created_at,
            tags: load_balancer.tags.clone().into_iter().collect(),
        };
        self.elb.load_balancers().map(view).collect()
    }

    /// Returns every listener, sorted by load balancer and port.
    pub fn listeners(&self) -> Vec<ListenerView> {
        let view = |listener: &elb::Listener| ListenerView {
            load_balancer: listener.load_balancer.clone(),
            protocol: listener.protocol.clone(),
            port: listener.port,
            groups: listener.groups().map(str::to_owned).collect(),
        };
        let mut listeners: Vec<ListenerView> = self.elb.listeners().map(view).collect();
        listeners.sort_by(|a, b| (&a.load_balancer, a.port).cmp(&(&b.load_balancer, b.port)));
        listeners
    }

    /// Returns every target group with its targets.
    pub fn groups(&self) -> Vec<GroupView> {
        let view = |group: &elb::TargetGroup| {
            let target = |(key, target): (&elb::TargetKey, &elb::Target)| TargetView {
                id: key.id.clone(),
                port: key.port,
                state: self.elb.target_state(group, target).as_str(),
            };
            GroupView {
                arn: group.arn.clone(),
                name: group.name.clone(),
                load_balancers: self.elb.load_balancers_of(&group.arn).into_iter().map(str::to_owned).collect(),
                tags: group.tags.clone().into_iter().collect(),
                targets: group.targets.iter().map(target).collect(),
            }
        };
        self.elb.groups().map(view).collect()
    }

    /// Returns every queue.
    pub fn queues(&self) -> Vec<QueueView> {
        let view = |queue: &sqs::Queue| QueueView {
            name: queue.name.clone(),
            visible: queue.visible(),
            in_flight: queue.in_flight(),
            delayed: queue.delayed(),
            // The conversion only fails for a negative age, and no message was sent after `now`.
            oldest: queue.oldest_sent_at().and_then(|sent| Duration::try_from(self.now.duration_since(sent)).ok()),
        };
        self.sqs.queues().map(view).collect()
    }

    /// Returns every alias record.
    pub fn records(&self) -> Vec<RecordView> {
        let view = |(name, target): (&str, &str)| RecordView {
            name: name.to_owned(),
            target: target.to_owned(),
            addresses: self.calls.names.resolve(name, &self.elb),
        };
        self.calls.names.records().map(view).collect()
    }

    /// Returns every caller who has not left.
    pub fn callers(&self) -> Vec<CallerView> {
        self.calls.callers.states().map(|(number, state)| CallerView { number, state }).collect()
    }

    /// Returns all events of the calls so far, oldest first.
    pub fn call_history(&self) -> &[CallChange] {
        self.calls.callers.history()
    }

    /// Returns the number of each event of the calls so far.
    pub fn call_counts(&self) -> CallCounts {
        self.calls.callers.counts()
    }

    /// Returns the data points of a metric of a load balancer, or of one of its target groups, by their ARNs, oldest first.
    /// Those that are not visible yet are among them.
    pub fn data_points(&self, metric: &str, load_balancer: &str, target_group: Option<&str>) -> Vec<DataPointView> {
        let points = self.cloudwatch.data_points(metric, load_balancer, target_group);
        let view = |point: &cloudwatch::DataPoint| DataPointView {
            at: point.at,
            visible_at: point.visible_at,
            average: point.average(),
        };
        points.map(view).collect()
    }

    /// Returns all connections of callers to tasks so far, oldest first. Those of present calls have no end.
    pub fn connections(&self) -> &[Connection] {
        self.calls.callers.connections()
    }

    /// Returns the connections of present calls.
    pub fn present_connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections().iter().filter(|connection| connection.ended_at.is_none())
    }

    /// Returns the number of callers who are in a call on a task.
    pub fn callers_on_task(&self, task: &str) -> usize {
        self.present_connections().filter(|connection| connection.task == task).count()
    }

    /// Returns the number of callers who are in a call through a load balancer.
    pub fn callers_through(&self, load_balancer: &str) -> usize {
        self.present_connections().filter(|connection| connection.load_balancer == load_balancer).count()
    }

    /// Returns the number of flows of a protocol in a load balancer's table, those of bots included.
    pub fn flows(&self, load_balancer: &str, protocol: FlowProtocol) -> usize {
        let flows = self.flows.of(load_balancer);
        flows.filter(|flow| flow.protocol == protocol && flow.is_tracked_at(self.now)).count()
    }

    /// Returns the time of the last packet of a protocol through a load balancer, which is now while a caller's flow is open.
    /// It outlives the load balancer.
    pub fn last_packet_at(&self, load_balancer: &str, protocol: FlowProtocol) -> Option<Timestamp> {
        self.flows.last_packet_at(load_balancer, protocol, self.now)
    }

    fn advertised(&self, task: &ecs::Task) -> Option<&Advertised> {
        // Another task can have taken the address of a stopped one.
        let is_running = task.status != ecs::Status::Stopped;
        task.address.filter(|_| is_running).and_then(|address| self.calls.advertised(address))
    }

    /// Returns the counts of events so far.
    pub fn event_counts(&self) -> EventCounts {
        self.eventbridge.counts()
    }
}
