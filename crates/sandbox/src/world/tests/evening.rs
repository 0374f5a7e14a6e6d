//! An evening of the ready-made platform, with a manual clock.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Request, ecs, elb};
use crate::platform::{self, load_balancer};
use crate::world::timers::after;
use crate::world::{CallEvent, Incident, LoadBalancerView, RecordView, Settings, TaskView, World};

/// Domain of the platform.
pub const DOMAIN: &str = "meet.jitsi.test";

/// The ready-made platform with a domain, and a manual clock. A stand-in for the watcher registers the tasks.
pub struct Evening {
    pub world: World,
    pub now: Timestamp,
}

impl Evening {
    pub fn new() -> Self {
        let now = "2026-11-20T18:00:00Z".parse().unwrap();
        let mut settings = Settings::default();
        settings.calls.domain = Some(DOMAIN.to_owned());
        let mut world = World::new(settings, 1, now);
        platform::set_up(&mut world, now).unwrap();
        Self { world, now }
    }

    /// Creates a platform with an active load balancer and this number of healthy tasks.
    pub fn with_tasks(tasks: usize) -> Self {
        let mut evening = Self::new();
        evening.create_load_balancer();
        evening.advance(120);
        evening.scale(tasks);
        evening.advance(60);
        evening.register_all();
        evening.advance(200);
        evening
    }

    pub fn advance(&mut self, seconds: u64) {
        self.now = after(self.now, Duration::from_secs(seconds));
        self.world.step(self.now);
    }

    pub fn create_load_balancer(&mut self) {
        load_balancer::create(&mut self.world, self.now).unwrap();
    }

    /// Deletes the load balancer with its target groups.
    pub fn delete_load_balancer(&mut self) {
        load_balancer::delete(&mut self.world, self.now).unwrap();
        self.advance(5);
        load_balancer::delete_groups(&mut self.world, self.now).unwrap();
    }

    pub fn ecs(&mut self, request: ecs::Request) {
        self.world.call(Request::Ecs(request), self.now).unwrap();
    }

    pub fn elb(&mut self, request: elb::Request) {
        self.world.call(Request::Elb(request), self.now).unwrap();
    }

    pub fn scale(&mut self, desired: usize) {
        self.ecs(ecs::Request::UpdateService(ecs::UpdateServiceInput {
            cluster: Some("jitsi-cluster".to_owned()),
            service: "jitsi-service".to_owned(),
            desired_count: Some(i32::try_from(desired).unwrap()),
            ..ecs::UpdateServiceInput::default()
        }));
    }

    /// Makes a revision of the task definition with another definition of the bridge's container, for the next tasks.
    pub fn change_bridge(&mut self, change: impl FnOnce(&mut ecs::ContainerDefinition)) {
        let mut bridge = ecs::ContainerDefinition { name: "jvb".to_owned(), ..ecs::ContainerDefinition::default() };
        change(&mut bridge);
        let web = ecs::ContainerDefinition { name: "web".to_owned(), ..ecs::ContainerDefinition::default() };
        self.ecs(ecs::Request::RegisterTaskDefinition(ecs::RegisterTaskDefinitionInput {
            family: "changed".to_owned(),
            container_definitions: vec![web, bridge],
            ..ecs::RegisterTaskDefinitionInput::default()
        }));
        self.ecs(ecs::Request::UpdateService(ecs::UpdateServiceInput {
            cluster: Some("jitsi-cluster".to_owned()),
            service: "jitsi-service".to_owned(),
            task_definition: Some("changed".to_owned()),
            ..ecs::UpdateServiceInput::default()
        }));
    }

    /// Registers the running tasks in every target group, and deregisters the others.
    pub fn register_all(&mut self) {
        let running: Vec<String> =
            self.running().iter().filter_map(|task| task.address).map(|address| address.to_string()).collect();
        for group in self.world.groups() {
            let target = |id: &String| elb::TargetDescription { id: id.clone(), ..elb::TargetDescription::default() };
            let input = |targets| elb::TargetsInput { target_group_arn: group.arn.clone(), targets };
            let stale: Vec<String> = group.targets.iter().map(|target| target.id.clone()).collect();
            let stale: elb::Members<_> = stale.iter().filter(|id| !running.contains(id)).map(target).collect();
            if !stale.member.is_empty() {
                self.elb(elb::Request::DeregisterTargets(input(stale)));
            }
            if !running.is_empty() {
                self.elb(elb::Request::RegisterTargets(input(running.iter().map(target).collect())));
            }
        }
    }

    pub fn running(&self) -> Vec<TaskView> {
        let is_running = |task: &TaskView| task.last_status == "RUNNING" && task.desired_status == "RUNNING";
        self.world.tasks().into_iter().filter(is_running).collect()
    }

    pub fn address(&self) -> Ipv4Addr {
        self.running()[0].address.unwrap()
    }

    pub fn inject(&mut self, incident: Incident) {
        self.world.inject(incident, self.now).unwrap();
    }

    pub fn callers(&mut self, n: usize) {
        self.inject(Incident::Callers { n });
    }

    pub fn crash(&mut self) {
        self.inject(Incident::CrashTask { service: "jitsi-service".to_owned(), task: None, exit_code: 1 });
    }

    /// Returns the state of each caller.
    pub fn states(&self) -> Vec<CallEvent> {
        self.world.callers().into_iter().map(|caller| caller.state).collect()
    }

    /// Returns the events of the calls so far.
    pub fn history(&self) -> Vec<CallEvent> {
        self.world.call_history().iter().map(|change| change.event).collect()
    }

    pub fn load_balancer(&self) -> LoadBalancerView {
        self.world.load_balancers().remove(0)
    }

    pub fn record(&self) -> RecordView {
        self.world.records().remove(0)
    }

    /// Returns the state of the targets in a group, by the suffix of its name.
    pub fn health(&self, group: &str) -> Vec<&'static str> {
        let groups = self.world.groups();
        let group = groups.iter().find(|found| found.name.ends_with(group)).unwrap();
        group.targets.iter().map(|target| target.state).collect()
    }
}
