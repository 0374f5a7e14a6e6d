//! A task's life, from PROVISIONING to STOPPED.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use super::addresses::{Addresses, v6_of};
use super::{Due, ServiceKey};
use crate::api::ecs as api;
use crate::world::agenda::{Ticket, before};
use crate::world::history::History;
use crate::world::settings::TaskSettings;
use crate::world::{Context, Due as WorldDue, Effect, event};

/// What a task does (lastStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the statuses are AWS's")]
pub enum Status {
    Provisioning,
    Pending,
    Activating,
    Running,
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
}

impl Status {
    /// AWS's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Activating => "ACTIVATING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }

    /// How long a task stays in it that isn't told to stop meanwhile.
    fn lasts(self, settings: &TaskSettings) -> Option<Duration> {
        match self {
            Self::Provisioning => Some(settings.provisioning),
            Self::Pending => Some(settings.pending),
            Self::Activating => Some(settings.activating),
            Self::Running | Self::Stopped => None,
            Self::Deactivating => Some(settings.deactivating),
            Self::Stopping => Some(settings.stopping),
            Self::Deprovisioning => Some(settings.deprovisioning),
        }
    }
}

/// What a task is started with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cluster's name.
    pub cluster: String,
    /// The service that starts it; none for RunTask.
    pub service: Option<ServiceKey>,
    /// `service:NAME` or `family:NAME`.
    pub group: String,
    /// Who starts it.
    pub started_by: Option<String>,
    /// What it runs.
    pub definition: api::TaskDefinition,
    /// The subnet, and the zone that it is in.
    pub subnet: (String, String),
}

/// A task.
#[derive(Debug)]
pub struct Task {
    /// Its id: what its ARN ends in.
    pub id: String,
    /// Its cluster's name.
    pub cluster: String,
    /// The service whose scheduler started it.
    pub service: Option<ServiceKey>,
    /// What it does.
    pub status: Status,
    /// Its address, from PENDING on; another task may have it once this one is STOPPED.
    pub address: Option<Ipv4Addr>,
    /// As it is described, now and at earlier instants.
    pub history: History<api::Task>,
    /// When it was told to stop.
    told_at: Option<Timestamp>,
    /// The code that its containers leave with.
    exit_code: i32,
    /// From when to when its image was pulled, which is told with RUNNING only.
    pulled: Option<(Timestamp, Timestamp)>,
    /// Why it will not come to RUNNING, if so.
    fails_with: Option<String>,
    next: Option<Ticket>,
}

impl Task {
    /// Starts a task.
    pub fn start(plan: Plan, fails_with: Option<String>, context: &mut Context<'_>) -> Self {
        let id = context.random.hex(32);
        let shown = first_look(&id, &plan, context);
        let mut task = Self {
            id,
            cluster: plan.cluster,
            service: plan.service,
            status: Status::Provisioning,
            address: None,
            history: History::new(context.now, shown),
            told_at: None,
            exit_code: 0,
            pulled: None,
            fails_with,
            next: None,
        };
        task.tell(context);
        task.go_on_in(context.settings.tasks.provisioning, context);
        task
    }

    /// As it is described now.
    pub fn shown(&self) -> &api::Task {
        self.history.newest()
    }

    /// Whether it is to run: nobody has told it to stop.
    pub fn is_wanted(&self) -> bool {
        self.told_at.is_none()
    }

    /// Whether its containers run.
    fn has_containers(&self) -> bool {
        (Status::Activating..=Status::Stopping).contains(&self.status)
    }

    /// Tells it to stop. Nothing changes for one that has been told already.
    pub fn stop(&mut self, code: &str, reason: &str, context: &mut Context<'_>) {
        self.tell_to_stop(code, reason, context.settings.tasks.told_to_stop, context);
    }

    /// A Spot notice: it is told to stop now, and stopped two minutes later.
    pub fn spot_notice(&mut self, context: &mut Context<'_>) {
        self.exit_code = 143;
        self.tell_to_stop(
            "TerminationNotice",
            "Your Spot Task was interrupted.",
            context.settings.tasks.spot_notice,
            context,
        );
    }

    /// Its essential container exits: nothing is announced, and nothing serves from now on.
    pub fn crash(&mut self, exit_code: i32, addresses: &mut Addresses, context: &mut Context<'_>) {
        self.exit_code = exit_code;
        if self.is_wanted() {
            self.end("EssentialContainerExited", "Essential container in task exited", context.now);
        }
        self.turn(Status::Deprovisioning, addresses, context);
    }

    /// Goes on to the next status.
    pub fn go_on(&mut self, addresses: &mut Addresses, context: &mut Context<'_>) {
        self.next = None;
        let next = match self.status {
            Status::Provisioning | Status::Pending if !self.is_wanted() => Status::Deprovisioning,
            Status::Provisioning => Status::Pending,
            Status::Pending => match self.fails_with.take() {
                Some(reason) => {
                    self.end("TaskFailedToStart", &reason, context.now);
                    Status::Deprovisioning
                }
                None => Status::Activating,
            },
            Status::Activating | Status::Running if !self.is_wanted() => Status::Deactivating,
            Status::Activating => Status::Running,
            // What runs, and is wanted, goes on running; what has stopped stays so.
            Status::Running | Status::Stopped => return,
            Status::Deactivating => Status::Stopping,
            Status::Stopping => Status::Deprovisioning,
            Status::Deprovisioning => Status::Stopped,
        };
        self.turn(next, addresses, context);
    }

    fn tell_to_stop(&mut self, code: &str, reason: &str, delay: Duration, context: &mut Context<'_>) {
        if !self.is_wanted() {
            return;
        }
        self.end(code, reason, context.now);
        self.change(context, |_| ());
        self.go_on_in(delay, context);
    }

    /// Notes why it ends; the change that shows it is still to come.
    fn end(&mut self, code: &str, reason: &str, now: Timestamp) {
        self.told_at = Some(now);
        let mut shown = self.shown().clone();
        shown.desired_status = "STOPPED".to_owned();
        shown.stop_code = Some(code.to_owned());
        shown.stopped_reason = Some(reason.to_owned());
        // It is of the same instant as the change that follows, which hides it.
        self.history.record(now, shown);
    }

    fn go_on_in(&mut self, delay: Duration, context: &mut Context<'_>) {
        if let Some(ticket) = self.next.take() {
            context.agenda.strike(ticket);
        }
        let due = Due::Task { id: self.id.clone() };
        self.next = Some(context.due_in(delay, WorldDue::Ecs(due)));
    }

    /// Turns to a status, with all that goes with it.
    fn turn(&mut self, status: Status, addresses: &mut Addresses, context: &mut Context<'_>) {
        let had_containers = self.has_containers();
        self.status = status;
        if status == Status::Pending {
            let address = addresses.take();
            self.address = Some(address);
            self.attach(address, context);
        }
        if status == Status::Activating {
            self.pulled = Some((before(context.now, context.settings.tasks.pending), context.now));
        }
        let (told_at, exit_code, pulled, now) = (self.told_at, self.exit_code, self.pulled, context.now);
        let runtime_id = format!("{}-{}", self.id, context.random.decimal(10));
        self.change(context, |shown| {
            shown.last_status = status.as_str().to_owned();
            match status {
                Status::Activating => {
                    for container in &mut shown.containers {
                        container.last_status = "RUNNING".to_owned();
                        container.runtime_id = Some(runtime_id.clone());
                        container.health_status = Some("UNKNOWN".to_owned());
                    }
                }
                Status::Running => {
                    shown.started_at = Some(now);
                    shown.pull_started_at = pulled.map(|(from, _)| from);
                    shown.pull_stopped_at = pulled.map(|(_, to)| to);
                }
                Status::Deactivating => shown.stopping_at = told_at,
                Status::Deprovisioning => {
                    shown.stopping_at = told_at;
                    if had_containers {
                        shown.execution_stopped_at = Some(now);
                    }
                    for container in &mut shown.containers {
                        container.last_status = "STOPPED".to_owned();
                        container.exit_code = had_containers.then_some(exit_code);
                        container.runtime_id = None;
                        container.health_status = None;
                    }
                }
                Status::Stopped => {
                    shown.stopped_at = Some(now);
                    for attachment in &mut shown.attachments {
                        attachment.status = "DELETED".to_owned();
                    }
                    if shown.stop_code.as_deref() == Some("TerminationNotice") {
                        shown.stop_code = Some("SpotInterruption".to_owned());
                    }
                }
                Status::Provisioning | Status::Pending | Status::Stopping => (),
            }
        });
        if let Some(address) = self.address {
            if had_containers != self.has_containers() {
                addresses.set_serving(address, self.has_containers());
                context.effects.push(Effect::Address(address.into()));
                context.effects.push(Effect::Address(v6_of(address).into()));
            }
            if status == Status::Stopped {
                addresses.release(address);
            }
        }
        if let Some(delay) = status.lasts(&context.settings.tasks) {
            self.go_on_in(delay, context);
        } else if let Some(ticket) = self.next.take() {
            context.agenda.strike(ticket);
        }
    }

    /// The network interface is there.
    fn attach(&mut self, address: Ipv4Addr, context: &mut Context<'_>) {
        let ipv6 = context.settings.tasks.dual_stack.then(|| v6_of(address).to_string());
        let dashed = address.to_string().replace('.', "-");
        let mac = context.random.hex(10);
        let mac: Vec<&str> = (0..5).map(|byte| &mac[byte * 2..byte * 2 + 2]).collect();
        let mut details = vec![
            ("networkInterfaceId", format!("eni-{}", context.random.hex(17))),
            ("macAddress", format!("06:{}", mac.join(":"))),
            ("privateDnsName", format!("ip-{dashed}.{}.compute.internal", context.settings.region)),
            ("privateIPv4Address", address.to_string()),
        ];
        details.extend(ipv6.clone().map(|ipv6| ("ipv6Address", ipv6)));
        let mut shown = self.shown().clone();
        shown.connectivity = Some("CONNECTED".to_owned());
        shown.connectivity_at = Some(context.now);
        for attachment in &mut shown.attachments {
            attachment.status = "ATTACHED".to_owned();
            let detail =
                |(name, value): &(&str, String)| api::KeyValuePair { name: (*name).to_owned(), value: value.clone() };
            attachment.details.extend(details.iter().map(detail));
            for container in &mut shown.containers {
                container.network_interfaces = vec![api::NetworkInterface {
                    attachment_id: attachment.id.clone(),
                    private_ipv4_address: Some(address.to_string()),
                    ipv6_address: ipv6.clone(),
                }];
            }
        }
        self.history.record(context.now, shown);
    }

    /// Makes one change of it: a version more, and an event.
    fn change(&mut self, context: &mut Context<'_>, change: impl FnOnce(&mut api::Task)) {
        let mut shown = self.shown().clone();
        change(&mut shown);
        shown.version += 1;
        self.history.record(context.now, shown);
        self.tell(context);
    }

    fn tell(&self, context: &mut Context<'_>) {
        let event = event::task_state_change(self.shown(), context);
        context.effects.push(Effect::Event(event));
    }
}

/// A new task as it is described.
fn first_look(id: &str, plan: &Plan, context: &mut Context<'_>) -> api::Task {
    let arn = |kind: &str, rest: &str| super::arn(context.settings, &format!("{kind}/{rest}"));
    let task_arn = arn("task", &format!("{}/{id}", plan.cluster));
    let cluster_arn = arn("cluster", &plan.cluster);
    let memory = plan.definition.memory.clone().unwrap_or_else(|| "4096".to_owned());
    let container_arns: Vec<String> = plan
        .definition
        .container_definitions
        .iter()
        .map(|_| super::arn(context.settings, &format!("container/{}/{id}/{}", plan.cluster, context.random.uuid())))
        .collect();
    let containers = plan.definition.container_definitions.iter().zip(container_arns);
    let container = |(definition, container_arn): (&api::ContainerDefinition, String)| api::Container {
        container_arn,
        task_arn: task_arn.clone(),
        name: definition.name.clone(),
        image: definition.image.clone(),
        last_status: "PENDING".to_owned(),
        cpu: "0".to_owned(),
        memory: memory.clone(),
        ..api::Container::default()
    };
    let (subnet, zone) = &plan.subnet;
    let attachment = api::Attachment {
        id: context.random.uuid(),
        r#type: "ElasticNetworkInterface".to_owned(),
        status: "PRECREATED".to_owned(),
        details: vec![api::KeyValuePair { name: "subnetId".to_owned(), value: subnet.clone() }],
    };
    api::Task {
        containers: containers.map(container).collect(),
        cluster_arn,
        task_definition_arn: plan.definition.task_definition_arn.clone(),
        group: plan.group.clone(),
        started_by: plan.started_by.clone(),
        launch_type: "FARGATE".to_owned(),
        capacity_provider_name: Some(context.settings.tasks.capacity_provider.clone()),
        last_status: Status::Provisioning.as_str().to_owned(),
        desired_status: "RUNNING".to_owned(),
        version: 1,
        availability_zone: zone.clone(),
        cpu: plan.definition.cpu.clone().unwrap_or_else(|| "2048".to_owned()),
        memory: memory.clone(),
        platform_version: "1.4.0".to_owned(),
        attachments: vec![attachment],
        health_status: "UNKNOWN".to_owned(),
        created_at: Some(context.now),
        task_arn,
        ..api::Task::default()
    }
}
