//! What the calls mean: a pure state machine with no I/O, no clock of its own, and seeded randomness.
//!
//! Everything that happens by itself stands in one agenda and is done in the order in which it falls due; so the same
//! seed and the same calls at the same instants give the same world, to the byte. Where this AWS is simpler than the
//! real one:
//!
//! - The scheduler starts all that is missing at once, and doesn't slow down for tasks that keep failing.
//! - RunTask takes any group, `service:NAME` too, so that tests can make tasks which only look like a service's.
//! - Of ECS's events there is Task State Change alone, and a task changes only where its lastStatus or desiredStatus does.
//! - Queues are standard ones and hand out their oldest messages first; disorder comes from the settings for events.
//!   Messages have no attributes of their own, any number may be in flight, and a deleted queue's name is free at once.
//! - EventBridge tries each target once: a queue that refuses its message, or doesn't exist, never gets it; the target's
//!   dead-letter queue does, if there is one. Targets get whole events.
//! - Of the attributes of load balancing two do something: the protection from deletion, and the deregistration delay.
//! - There is one bus, one account, one region and one VPC, and nobody is denied anything.

use jiff::Timestamp;
use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;

use super::api::{ApiError, Request, Response};

mod agenda;
mod ecs;
mod elb;
mod event;
mod eventbridge;
mod history;
mod incident;
mod page;
mod random;
mod settings;
mod sqs;
mod sts;
#[cfg(test)]
mod tests;
mod view;

pub use eventbridge::EventCounts;
pub use incident::Incident;
pub use settings::{EventSettings, LoadBalancerSettings, ServiceSettings, Settings, TaskSettings};
pub use view::{GroupView, LoadBalancerView, QueueView, ServiceView, TargetView, TaskView};

use agenda::{Agenda, Ticket, after};
use ecs::{Ecs, ServiceKey};
use elb::Elb;
use eventbridge::EventBridge;
use random::Random;
use sqs::{Sqs, Tools};

/// All that this AWS holds.
#[derive(Debug)]
pub struct World {
    settings: Settings,
    random: Random,
    /// The latest instant that was heard of; time doesn't run backwards here.
    now: Timestamp,
    agenda: Agenda<Due>,
    ecs: Ecs,
    elb: Elb,
    events: EventBridge,
    sqs: Sqs,
}

/// What happens by itself, queues aside, which know best what becomes of their messages.
#[derive(Debug)]
enum Due {
    /// In ECS.
    Ecs(ecs::Due),
    /// In load balancing.
    Elb(elb::Due),
    /// An event arrives.
    Deliver(Value),
}

/// What a change in one service means for the others.
#[derive(Debug)]
enum Effect {
    /// An event goes out.
    Event(Value),
    /// Something began or ceased to serve behind an address.
    Address(IpAddr),
}

/// What the services of this AWS work with.
#[derive(Debug)]
struct Context<'a> {
    now: Timestamp,
    settings: &'a Settings,
    random: &'a mut Random,
    agenda: &'a mut Agenda<Due>,
    effects: &'a mut Vec<Effect>,
}

impl Context<'_> {
    /// Enters what is to happen after a while.
    fn due_in(&mut self, delay: Duration, due: Due) -> Ticket {
        self.agenda.enter(after(self.now, delay), due)
    }
}

impl World {
    /// An empty AWS.
    pub fn new(settings: Settings, seed: u64, now: Timestamp) -> Self {
        Self {
            settings,
            random: Random::new(seed),
            now,
            agenda: Agenda::default(),
            ecs: Ecs::default(),
            elb: Elb::default(),
            events: EventBridge::default(),
            sqs: Sqs::default(),
        }
    }

    /// Answers a call, after everything that was due before it.
    ///
    /// # Errors
    ///
    /// What AWS would refuse, with its code.
    pub fn call(&mut self, request: Request, now: Timestamp) -> Result<Response, ApiError> {
        self.step(now);
        match request {
            Request::Ecs(request) => self.with(|world, context| world.ecs.call(request, context)).map(Response::Ecs),
            Request::Elb(request) => self.with(|world, context| world.elb.call(request, context)).map(Response::Elb),
            Request::EventBridge(request) => {
                self.with(|world, context| world.events.call(request, context)).map(Response::EventBridge)
            }
            Request::Sqs(request) => {
                let mut tools = Tools { now: self.now, settings: &self.settings, random: &mut self.random };
                self.sqs.call(request, &mut tools).map(Response::Sqs)
            }
            Request::Sts(request) => Ok(Response::Sts(sts::call(&request, &self.settings))),
        }
    }

    /// Does everything that is due by now, in the order in which it falls due.
    pub fn step(&mut self, now: Timestamp) {
        while let Some(at) = self.next_step_at().filter(|at| *at <= now) {
            self.now = self.now.max(at);
            if self.agenda.next_at() == Some(at)
                && let Some(due) = self.agenda.pop()
            {
                self.perform(due);
            } else {
                self.sqs.step(at);
            }
        }
        self.now = self.now.max(now);
    }

    /// When the next change is due.
    pub fn next_step_at(&self) -> Option<Timestamp> {
        self.agenda.next_at().into_iter().chain(self.sqs.next_change_at()).min()
    }

    /// Injects an incident, after everything that was due before it.
    ///
    /// # Errors
    ///
    /// Returns an error when the resource that the incident names doesn't exist.
    pub fn inject(&mut self, incident: Incident, now: Timestamp) -> Result<(), ApiError> {
        self.step(now);
        match incident {
            Incident::CrashTask { service, task, exit_code } => {
                let service = self.find_service(&service)?;
                self.with(|world, context| world.ecs.crash(&service, task.as_deref(), exit_code, context))
            }
            Incident::SpotNotice { service, task } => {
                let service = self.find_service(&service)?;
                self.with(|world, context| world.ecs.spot_notice(&service, task.as_deref(), context))
            }
            Incident::FailToStart { n } => {
                self.ecs.fail_to_start(n);
                Ok(())
            }
            Incident::TargetUnhealthy { ip } => {
                self.with(|world, context| world.elb.set_failing(ip, true, context, world.ecs.addresses()))
            }
            Incident::TargetHealthy { ip } => {
                self.with(|world, context| world.elb.set_failing(ip, false, context, world.ecs.addresses()))
            }
            Incident::FailLoadBalancer { name } => {
                self.with(|world, context| world.elb.fail_load_balancer(&name, context))
            }
            Incident::Replay { n } => {
                self.with(|world, context| world.events.replay(n, context));
                Ok(())
            }
            Incident::MalformedMessage { queue, body } => {
                let mut tools = Tools { now: self.now, settings: &self.settings, random: &mut self.random };
                self.sqs.put(&queue, body, &mut tools)
            }
        }
    }

    /// How this AWS behaves from now on.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// How this AWS behaves.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What became of the events so far.
    pub fn event_counts(&self) -> EventCounts {
        self.events.counts()
    }

    /// Every service that can still be described.
    pub fn services(&self) -> Vec<ServiceView> {
        let view = |(key, service): (&ServiceKey, &ecs::Service)| {
            let (wanted, counts) = (service.wanted.newest(), self.ecs.counts(key, None, self.now));
            ServiceView {
                cluster: key.cluster.clone(),
                name: key.name.clone(),
                status: wanted.status.as_str(),
                desired: wanted.desired,
                running: counts.running,
                pending: counts.pending,
            }
        };
        self.ecs.services().map(view).collect()
    }

    /// Every task that can still be described.
    pub fn tasks(&self) -> Vec<TaskView> {
        let view = |task: &ecs::Task| {
            let shown = task.shown();
            TaskView {
                id: task.id.clone(),
                cluster: task.cluster.clone(),
                group: shown.group.clone(),
                last_status: task.status.as_str(),
                desired_status: shown.desired_status.clone(),
                version: shown.version,
                address: task.address,
                started_at: shown.started_at,
                stopped_at: shown.stopped_at,
                stop_code: shown.stop_code.clone(),
            }
        };
        self.ecs.tasks().map(view).collect()
    }

    /// Every load balancer that hasn't been deleted.
    pub fn load_balancers(&self) -> Vec<LoadBalancerView> {
        let view = |load_balancer: &elb::LoadBalancer| LoadBalancerView {
            arn: load_balancer.arn.clone(),
            name: load_balancer.name.clone(),
            state: load_balancer.state.as_str(),
            created_at: load_balancer.created_at,
            tags: load_balancer.tags.clone().into_iter().collect(),
        };
        self.elb.load_balancers().map(view).collect()
    }

    /// Every target group with its targets.
    pub fn groups(&self) -> Vec<GroupView> {
        let view = |group: &elb::Group| {
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

    /// Whether a message can be received from the queue of a URL now.
    pub fn has_message(&self, queue_url: &str) -> bool {
        self.sqs.has_message(queue_url)
    }

    /// Every queue.
    pub fn queues(&self) -> Vec<QueueView> {
        let view = |queue: &sqs::Queue| QueueView {
            name: queue.name.clone(),
            visible: queue.visible(),
            in_flight: queue.in_flight(),
            delayed: queue.delayed(),
            // An age below nothing there is not: nothing was sent later than now.
            oldest: queue.oldest_sent_at().and_then(|sent| Duration::try_from(self.now.duration_since(sent)).ok()),
        };
        self.sqs.queues().map(view).collect()
    }

    /// The service of a name, or of a cluster and a name.
    fn find_service(&self, given: &str) -> Result<ServiceKey, ApiError> {
        let (cluster, name) = match given.split_once('/') {
            Some((cluster, name)) => (Some(cluster), name),
            None => (None, given),
        };
        let fits = |key: &&ServiceKey| key.name == name && cluster.is_none_or(|cluster| key.cluster == cluster);
        let mut found = self.ecs.services().map(|(key, _)| key).filter(fits);
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(key.clone()),
            (Some(_), Some(_)) => {
                let message = format!("Several clusters have a service {name}: say CLUSTER/{name}.");
                Err(ApiError::new("InvalidParameterException", message))
            }
            (None, _) => Err(ApiError::new("ServiceNotFoundException", "Service not found.")),
        }
    }

    fn perform(&mut self, due: Due) {
        match due {
            Due::Ecs(due) => self.with(|world, context| world.ecs.perform(due, context)),
            Due::Elb(due) => self.with(|world, context| world.elb.perform(due, context, world.ecs.addresses())),
            Due::Deliver(event) => {
                let mut tools = Tools { now: self.now, settings: &self.settings, random: &mut self.random };
                self.events.deliver(&event, &mut self.sqs, &mut tools);
            }
        }
    }

    /// Does something in one of the services, and then what follows from it in the others.
    fn with<T>(&mut self, work: impl FnOnce(&mut Services<'_>, &mut Context<'_>) -> T) -> T {
        let mut effects = Vec::new();
        let mut context = Context {
            now: self.now,
            settings: &self.settings,
            random: &mut self.random,
            agenda: &mut self.agenda,
            effects: &mut effects,
        };
        let mut services = Services { ecs: &mut self.ecs, elb: &mut self.elb, events: &mut self.events };
        let outcome = work(&mut services, &mut context);
        // What these do has no further effects.
        for effect in std::mem::take(context.effects) {
            match effect {
                Effect::Event(event) => services.events.emit(event, &mut context),
                Effect::Address(ip) => services.elb.address_changed(ip, &mut context),
            }
        }
        outcome
    }
}

/// The services that need a [`Context`].
struct Services<'a> {
    ecs: &'a mut Ecs,
    elb: &'a mut Elb,
    events: &'a mut EventBridge,
}
