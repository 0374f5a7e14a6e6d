//! The state of this AWS, and the effect of each request on it.
//!
//! [`World`] is a pure state machine: no I/O, no clock of its own, seeded randomness. Everything that happens by itself is
//! a timer, and timers fire in order. The same seed and the same requests at the same times therefore give the same
//! world, to the byte.
//!
//! # Modules
//!
//! - `cloudwatch`, `ecs`, `elb`, `eventbridge`, `sqs`, `sts`: the services, with a file for each kind of resource.
//! - `flows`: the load balancers' flow tables, from which CloudWatch's metrics are made.
//! - `names`, `calls`: alias records, Jitsi's containers in the tasks, and the callers who join by name.
//! - `settings`: delays, limits and the reliability of events. `incident`: what a test can make happen.
//! - `view`: the whole state, for tests and displays.
//! - `timers`, `history`, `page`, `random`: what the services build on.
//!
//! # Differences from AWS
//!
//! - The scheduler starts all missing tasks at once, and doesn't slow down for tasks that keep failing. It reports them at
//!   the third in a row; AWS doesn't document at which.
//! - RunTask accepts any group, including `service:NAME`, so that tests can run tasks that only resemble a service's.
//! - Of ECS's events there are Task State Change, only for changes of lastStatus or desiredStatus; Service Action for a
//!   steady state, impaired starts and failed placements; and Deployment State Change. A steady state isn't repeated.
//! - Queues are standard ones and deliver their oldest messages first; the settings for events bring disorder. Messages
//!   have no attributes of their own, any number may be in flight, and a deleted queue's name is free at once.
//! - EventBridge delivers to each target once, without retries. When the target's queue refuses the message or doesn't
//!   exist, the event goes to the target's dead-letter queue, if there is one. Targets receive whole events.
//! - Of the attributes of load balancing, only deletion protection and the deregistration delay have an effect.
//! - There is one event bus, one account, one region and one VPC, and every request is authorized.
//! - Every certificate of the account and the region exists, and every security policy whose name has AWS's form.
//! - A load balancer's name resolves to IPv4 addresses, one in each zone whatever the health of its targets, and it
//!   forwards to healthy targets of any zone. It never fails open.
//! - A change of a record is known everywhere at once, and that a name doesn't resolve is never cached.
//! - A task listens on the ports that its task definition maps, on every port when it maps none.
//! - CloudWatch has metrics of network load balancers alone, none by Availability Zone and of flows none by target group, and
//!   no metric math. A data point counts as one sample; on AWS, each node of a load balancer reports several.
//! - A caller who tries to join in vain keeps one flow, where each attempt would be a new one.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::api::ecs::ContainerDefinition;
use crate::api::{ApiError, Request, Response};

mod calls;
mod cloudwatch;
mod ecs;
mod elb;
mod eventbridge;
mod flows;
mod history;
mod incident;
mod names;
mod page;
mod random;
mod settings;
mod sqs;
mod sts;
#[cfg(test)]
mod tests;
mod timers;
mod view;

pub use calls::{Advertised, CallChange, CallCounts, CallEvent, Connection};
pub use eventbridge::EventCounts;
pub use flows::FlowProtocol;
pub use incident::Incident;
pub use settings::{
    CallSettings, EventSettings, LoadBalancerSettings, MetricSettings, ServiceSettings, Settings, TaskSettings,
};
pub use view::{
    CallerView, DataPointView, GroupView, ListenerView, LoadBalancerView, QueueView, RecordView, ServiceView,
    TargetView, TaskView,
};

use calls::Calls;
use cloudwatch::CloudWatch;
use ecs::Ecs;
use elb::{Elb, HealthCheck};
use eventbridge::EventBridge;
use flows::Flows;
use random::Random;
use sqs::{Sqs, SqsContext};
use timers::{TimerId, Timers, after};

/// Maximum number of callers.
const MAX_CALLERS: usize = 100;

/// Maximum number of bots of a port scan.
const MAX_BOTS: usize = 1000;

/// Exit code of a bridge whose domain did not resolve within the time limit.
const GAVE_UP: i32 = 1;

/// The state of all services.
#[derive(Debug)]
pub struct World {
    settings: Settings,
    random: Random,
    /// The latest time that a caller passed in; time never runs backwards here.
    now: Timestamp,
    timers: Timers<Timer>,
    ecs: Ecs,
    elb: Elb,
    eventbridge: EventBridge,
    sqs: Sqs,
    calls: Calls,
    flows: Flows,
    cloudwatch: CloudWatch,
}

/// A pending timer. SQS has none: a queue keeps its messages sorted by when they change.
#[derive(Debug)]
enum Timer {
    /// A timer of ECS.
    Ecs(ecs::Timer),
    /// A timer of Elastic Load Balancing.
    Elb(elb::Timer),
    /// Delivery of an event.
    Deliver(Value),
    /// A timer of the calls.
    Calls(calls::Timer),
}

/// An effect of a change in one service on the others.
#[derive(Debug)]
enum Effect {
    /// The service emits an event.
    Event(Value),
    /// The containers of a task start.
    ContainersStarted {
        /// Id of the task.
        task: String,
        /// Private address.
        address: Ipv4Addr,
        /// Their definitions.
        containers: Vec<ContainerDefinition>,
    },
    /// The containers of the task with an address stop.
    ContainersStopped(Ipv4Addr),
    /// The task behind an address began or ceased to serve.
    AddressChanged(IpAddr),
}

/// Context in which a service handles a request or a timer.
#[derive(Debug)]
struct Context<'a> {
    now: Timestamp,
    settings: &'a Settings,
    random: &'a mut Random,
    timers: &'a mut Timers<Timer>,
    flows: &'a mut Flows,
    effects: &'a mut Vec<Effect>,
}

impl Context<'_> {
    /// Starts a timer.
    fn start_timer(&mut self, delay: Duration, timer: Timer) -> TimerId {
        self.timers.start(after(self.now, delay), timer)
    }
}

impl World {
    /// Creates an empty AWS.
    pub fn new(settings: Settings, seed: u64, now: Timestamp) -> Self {
        Self {
            settings,
            random: Random::new(seed),
            now,
            timers: Timers::default(),
            ecs: Ecs::default(),
            elb: Elb::default(),
            eventbridge: EventBridge::default(),
            sqs: Sqs::default(),
            calls: Calls::default(),
            flows: Flows::default(),
            cloudwatch: CloudWatch::new(seed, now),
        }
    }

    /// Handles a request, after all that was due before it.
    ///
    /// # Errors
    ///
    /// Returns AWS's error for a request that it would refuse.
    pub fn call(&mut self, request: Request, now: Timestamp) -> Result<Response, ApiError> {
        self.step(now);
        match request {
            Request::CloudWatch(request) => self.cloudwatch.call(&request, self.now).map(Response::CloudWatch),
            Request::Ecs(request) => {
                self.with_context(|services, context| services.ecs.call(request, context)).map(Response::Ecs)
            }
            Request::Elb(request) => {
                self.with_context(|services, context| services.elb.call(request, context)).map(Response::Elb)
            }
            Request::EventBridge(request) => self
                .with_context(|services, context| services.eventbridge.call(request, context))
                .map(Response::EventBridge),
            Request::Sqs(request) => {
                let mut context = SqsContext { now: self.now, settings: &self.settings, random: &mut self.random };
                self.sqs.call(request, &mut context).map(Response::Sqs)
            }
            Request::Sts(request) => Ok(Response::Sts(sts::call(&request, &self.settings))),
        }
    }

    /// Advances to the given time: fires all timers that are due, in order.
    pub fn step(&mut self, now: Timestamp) {
        while let Some(at) = self.next_step_at().filter(|at| *at <= now) {
            self.now = self.now.max(at);
            self.report_metrics();
            if self.timers.next_at() == Some(at)
                && let Some(timer) = self.timers.pop()
            {
                self.fire(timer);
            } else {
                self.sqs.step(at);
            }
        }
        self.now = self.now.max(now);
        self.report_metrics();
    }

    /// Adds the data points of the minutes that have ended. This is no timer: what a minute's data points say is decided when
    /// it ends, and nothing follows from them.
    fn report_metrics(&mut self) {
        self.cloudwatch.report(self.now, &self.elb, &mut self.flows, &self.settings);
    }

    /// Returns when the world next changes by itself.
    pub fn next_step_at(&self) -> Option<Timestamp> {
        self.timers.next_at().into_iter().chain(self.sqs.next_change_at()).min()
    }

    /// Injects an incident, after all that was due before it.
    ///
    /// # Errors
    ///
    /// Returns an error when the resource that the incident names doesn't exist.
    pub fn inject(&mut self, incident: Incident, now: Timestamp) -> Result<(), ApiError> {
        self.step(now);
        match incident {
            Incident::CrashTask { service, task, exit_code } => {
                let service = self.ecs.find_service(&service)?;
                self.with_context(|services, context| {
                    services.ecs.crash_task(&service, task.as_deref(), exit_code, context)
                })
            }
            Incident::SpotNotice { service, task } => {
                let service = self.ecs.find_service(&service)?;
                self.with_context(|services, context| services.ecs.spot_notice(&service, task.as_deref(), context))
            }
            Incident::FailToStart { n } => {
                self.ecs.fail_to_start(n);
                Ok(())
            }
            Incident::NoCapacity { n } => {
                self.ecs.fail_to_place(n);
                Ok(())
            }
            Incident::TargetUnhealthy { ip, port } => self.set_target_failing(ip, port, true),
            Incident::TargetHealthy { ip, port } => self.set_target_failing(ip, port, false),
            Incident::FailLoadBalancer { name } => {
                self.with_context(|services, context| services.elb.fail_load_balancer(&name, context))
            }
            Incident::Replay { n } => {
                self.with_context(|services, context| services.eventbridge.replay(n, context));
                Ok(())
            }
            Incident::MalformedMessage { queue, body } => {
                let mut context = SqsContext { now: self.now, settings: &self.settings, random: &mut self.random };
                self.sqs.put(&queue, body, &mut context)
            }
            Incident::PutRecord { name, target } => {
                self.calls.names.put(&name, &target);
                Ok(())
            }
            Incident::DeleteRecord { name } => self.calls.names.delete(&name),
            Incident::Callers { n } => self.set_callers(n),
            Incident::Join { n, after, stay } if after.is_zero() => self.join(n, stay, self.now).map(drop),
            Incident::Join { n, after, stay } => {
                self.check_callers(n)?;
                self.with_context(|services, context| services.calls.join_later(n, after, stay, context));
                Ok(())
            }
            Incident::Leave { caller, silently } => self.leave(caller, silently, self.now),
            Incident::PortScan { n } => self.scan_ports(n, self.now),
            Incident::MetricsGap { lasts } => {
                self.cloudwatch.leave_gap(lasts, self.now);
                Ok(())
            }
        }
    }

    /// Returns the settings, to change them.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns whether a message can be received from a queue now.
    pub fn has_message(&self, queue_url: &str) -> bool {
        self.sqs.has_message(queue_url)
    }

    fn set_target_failing(&mut self, ip: IpAddr, port: Option<u16>, fails: bool) -> Result<(), ApiError> {
        self.with_context(|Services { ecs, elb, calls, .. }, context| {
            elb.set_failing(ip, port, fails, context, &|ip, check, port| answers(ecs, calls, ip, check, port))
        })
    }

    /// Adds callers, after all that was due: as many as there is room for. They leave after a time, if one is given. Returns
    /// their numbers.
    ///
    /// # Errors
    ///
    /// Returns an error for too many callers, or without a domain.
    pub fn join(&mut self, callers: usize, stay: Option<Duration>, now: Timestamp) -> Result<Vec<u32>, ApiError> {
        self.step(now);
        self.check_callers(callers)?;
        Ok(self.with_context(|services, context| services.calls.join(callers, stay, services.elb, context)))
    }

    /// Lets a caller leave, after all that was due; silently if the caller's machine is gone without closing the connections.
    ///
    /// # Errors
    ///
    /// Returns an error when there is no such caller.
    pub fn leave(&mut self, caller: u32, silently: bool, now: Timestamp) -> Result<(), ApiError> {
        self.step(now);
        if self.with_context(|services, context| services.calls.leave(caller, silently, context)) {
            Ok(())
        } else {
            Err(ApiError::new("InvalidParameter", format!("There is no caller {caller}, or the caller has left")))
        }
    }

    /// Lets bots scan the ports of every load balancer, after all that was due.
    ///
    /// # Errors
    ///
    /// Returns an error for too many bots.
    pub fn scan_ports(&mut self, bots: usize, now: Timestamp) -> Result<(), ApiError> {
        self.step(now);
        if bots > MAX_BOTS {
            return Err(ApiError::new("InvalidParameter", format!("A port scan has at most {MAX_BOTS} bots")));
        }
        self.with_context(|services, context| services.calls.scan(bots, services.elb, context));
        Ok(())
    }

    fn set_callers(&mut self, number: usize) -> Result<(), ApiError> {
        self.check_callers(number)?;
        self.with_context(|services, context| services.calls.set_callers(number, services.elb, context));
        Ok(())
    }

    fn check_callers(&self, number: usize) -> Result<(), ApiError> {
        if number > MAX_CALLERS {
            return Err(ApiError::new("InvalidParameter", format!("The sandbox has at most {MAX_CALLERS} callers")));
        }
        if number > 0 && self.settings.calls.domain.is_none() {
            return Err(ApiError::new("InvalidParameter", "Callers need a domain: set calls.domain in the settings"));
        }
        Ok(())
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Ecs(timer) => self.with_context(|services, context| services.ecs.fire(timer, context)),
            Timer::Elb(timer) => self.with_context(|Services { ecs, elb, calls, .. }, context| {
                elb.fire(timer, context, &|ip, check, port| answers(ecs, calls, ip, check, port));
            }),
            Timer::Calls(timer) => self.with_context(|services, context| {
                if let Some(task) = services.calls.fire(timer, services.elb, context) {
                    services.ecs.exit_containers(&task, GAVE_UP, context);
                }
            }),
            Timer::Deliver(event) => {
                let mut context = SqsContext { now: self.now, settings: &self.settings, random: &mut self.random };
                self.eventbridge.deliver(&event, &mut self.sqs, &mut context);
            }
        }
    }

    /// Runs work in one of the services, then applies its effects on the others.
    fn with_context<T>(&mut self, work: impl FnOnce(&mut Services<'_>, &mut Context<'_>) -> T) -> T {
        let mut effects = Vec::new();
        let mut context = Context {
            now: self.now,
            settings: &self.settings,
            random: &mut self.random,
            timers: &mut self.timers,
            flows: &mut self.flows,
            effects: &mut effects,
        };
        let mut services = Services {
            ecs: &mut self.ecs,
            elb: &mut self.elb,
            eventbridge: &mut self.eventbridge,
            calls: &mut self.calls,
        };
        let outcome = work(&mut services, &mut context);
        // These have no further effects.
        for effect in std::mem::take(context.effects) {
            match effect {
                Effect::Event(event) => services.eventbridge.emit(event, &mut context),
                Effect::ContainersStarted { task, address, containers } => {
                    services.calls.start_containers(task, address, &containers, services.elb, &mut context);
                }
                Effect::ContainersStopped(address) => services.calls.stop_containers(address),
                Effect::AddressChanged(ip) => services.elb.address_changed(ip, &mut context),
            }
        }
        outcome
    }
}

/// The services that use a [`Context`].
struct Services<'a> {
    ecs: &'a mut Ecs,
    elb: &'a mut Elb,
    eventbridge: &'a mut EventBridge,
    calls: &'a mut Calls,
}

/// Returns whether a health check of an address and a port succeeds. An address that never belonged to a task answers.
fn answers(ecs: &Ecs, calls: &Calls, ip: IpAddr, check: &HealthCheck, port: u16) -> bool {
    match (ecs.addresses().serves(ip), ecs::v4_of(ip)) {
        (Some(true), Some(address)) => calls.answers(address, check, port),
        (serves, _) => serves.unwrap_or(true),
    }
}
