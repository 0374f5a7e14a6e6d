//! The lifecycle of a task, from PROVISIONING to STOPPED.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use super::addresses::{Addresses, addresses_of, v6_of};
use super::event::task_state_change;
use super::{ServiceKey, Timer};
use crate::api::ecs as api;
use crate::world::history::History;
use crate::world::settings::TaskSettings;
use crate::world::timers::{TimerId, before};
use crate::world::{Context, Effect, Timer as WorldTimer};

/// lastStatus of a task, in the order of the lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "AWS's developer guide documents the statuses")]
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
    /// Returns AWS's name of the status.
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

    /// Returns how long a task stays in the status by itself; `None` when it stays until something else happens.
    fn duration(self, settings: &TaskSettings) -> Option<Duration> {
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

/// Specification of a task to launch.
#[derive(Clone, Debug)]
pub struct LaunchSpec {
    /// Name of the cluster.
    pub cluster: String,
    /// Service that launches the task; none for RunTask.
    pub service: Option<ServiceKey>,
    /// `service:NAME` or `family:NAME`.
    pub group: String,
    /// startedBy.
    pub started_by: Option<String>,
    /// Task definition.
    pub definition: api::TaskDefinition,
    /// Subnet of the network interface.
    pub subnet: Subnet,
}

/// A subnet with its availability zone.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// Id of the subnet.
    pub id: String,
    /// Name of the availability zone.
    pub zone: String,
}

/// A task.
#[derive(Debug)]
pub struct Task {
    /// Id, with which the ARN ends.
    pub id: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Service whose scheduler launched the task.
    pub service: Option<ServiceKey>,
    /// lastStatus.
    pub status: Status,
    /// Private address, from PENDING on. Another task can get it once this one is STOPPED.
    pub address: Option<Ipv4Addr>,
    /// Descriptions of the task, current and past.
    pub history: History<api::Task>,
    /// Time at which desiredStatus became STOPPED.
    stop_requested_at: Option<Timestamp>,
    /// Container definitions.
    containers: Vec<api::ContainerDefinition>,
    /// Exit code of the containers.
    exit_code: i32,
    /// Begin and end of the image pull, which the API shows from RUNNING on.
    image_pull: Option<(Timestamp, Timestamp)>,
    /// Reason for which the task will fail to start.
    start_failure: Option<String>,
    timer: Option<TimerId>,
}

impl Task {
    /// Launches a task. With a failure reason it stops instead of reaching ACTIVATING.
    pub fn launch(spec: LaunchSpec, start_failure: Option<String>, context: &mut Context<'_>) -> Self {
        let id = context.random.hex(32);
        let description = initial_description(&id, &spec, context);
        let mut task = Self {
            id,
            cluster: spec.cluster,
            service: spec.service,
            status: Status::Provisioning,
            address: None,
            history: History::new(context.now, description),
            stop_requested_at: None,
            containers: spec.definition.container_definitions,
            exit_code: 0,
            image_pull: None,
            start_failure,
            timer: None,
        };
        task.emit_event(context);
        task.advance_in(context.settings.tasks.provisioning, context);
        task
    }

    /// Returns the current description, as DescribeTasks returns it.
    pub fn description(&self) -> &api::Task {
        self.history.current()
    }

    /// Returns whether desiredStatus is RUNNING.
    pub fn should_run(&self) -> bool {
        self.stop_requested_at.is_none()
    }

    /// Returns whether the containers run.
    fn has_running_containers(&self) -> bool {
        (Status::Activating..=Status::Stopping).contains(&self.status)
    }

    /// Sets desiredStatus to STOPPED. Has no effect on a task that is stopping already.
    pub fn stop(&mut self, code: &str, reason: &str, context: &mut Context<'_>) {
        self.stop_in(code, reason, context.settings.tasks.told_to_stop, context);
    }

    /// Gives the task a Spot interruption notice: desiredStatus becomes STOPPED now, and the task stops two minutes
    /// later.
    pub fn spot_notice(&mut self, context: &mut Context<'_>) {
        self.exit_code = 143;
        self.stop_in(
            "TerminationNotice",
            "Your Spot Task was interrupted.",
            context.settings.tasks.spot_notice,
            context,
        );
    }

    /// Makes the essential container exit. The task ceases to serve at once, without an earlier event.
    pub fn crash(&mut self, exit_code: i32, addresses: &mut Addresses, context: &mut Context<'_>) {
        self.exit_code = exit_code;
        if self.should_run() {
            self.request_stop("EssentialContainerExited", "Essential container in task exited", context.now);
        }
        self.enter(Status::Deprovisioning, addresses, context);
    }

    /// Moves the task to its next status.
    pub fn advance(&mut self, addresses: &mut Addresses, context: &mut Context<'_>) {
        self.timer = None;
        let next = match self.status {
            Status::Provisioning | Status::Pending if !self.should_run() => Status::Deprovisioning,
            Status::Provisioning => Status::Pending,
            Status::Pending => match self.start_failure.take() {
                Some(reason) => {
                    self.request_stop("TaskFailedToStart", &reason, context.now);
                    Status::Deprovisioning
                }
                None => Status::Activating,
            },
            Status::Activating | Status::Running if !self.should_run() => Status::Deactivating,
            Status::Activating => Status::Running,
            // Both last until something else happens.
            Status::Running | Status::Stopped => return,
            Status::Deactivating => Status::Stopping,
            Status::Stopping => Status::Deprovisioning,
            Status::Deprovisioning => Status::Stopped,
        };
        self.enter(next, addresses, context);
    }

    fn stop_in(&mut self, code: &str, reason: &str, delay: Duration, context: &mut Context<'_>) {
        if !self.should_run() {
            return;
        }
        self.request_stop(code, reason, context.now);
        self.update(context, |_| ());
        self.advance_in(delay, context);
    }

    /// Records desiredStatus STOPPED and its reason. The caller makes the change that raises the version.
    fn request_stop(&mut self, code: &str, reason: &str, now: Timestamp) {
        self.stop_requested_at = Some(now);
        let mut description = self.description().clone();
        description.desired_status = "STOPPED".to_owned();
        description.stop_code = Some(code.to_owned());
        description.stopped_reason = Some(reason.to_owned());
        // The change that follows at the same time replaces this state, so no reader sees it with the old version.
        self.history.record(now, description);
    }

    fn advance_in(&mut self, delay: Duration, context: &mut Context<'_>) {
        if let Some(timer) = self.timer.take() {
            context.timers.cancel(timer);
        }
        let timer = Timer::AdvanceTask { id: self.id.clone() };
        self.timer = Some(context.start_timer(delay, WorldTimer::Ecs(timer)));
    }

    /// Enters a status: updates the description, the address and the timer.
    fn enter(&mut self, status: Status, addresses: &mut Addresses, context: &mut Context<'_>) {
        let had_running_containers = self.has_running_containers();
        self.status = status;
        if status == Status::Pending {
            let address = addresses.take();
            self.address = Some(address);
            self.attach_network_interface(address, context);
        }
        if status == Status::Activating {
            self.image_pull = Some((before(context.now, context.settings.tasks.pending), context.now));
        }
        let (stop_requested_at, exit_code) = (self.stop_requested_at, self.exit_code);
        let (image_pull, now) = (self.image_pull, context.now);
        let runtime_id = format!("{}-{}", self.id, context.random.decimal(10));
        self.update(context, |description| {
            description.last_status = status.as_str().to_owned();
            match status {
                Status::Activating => {
                    for container in &mut description.containers {
                        container.last_status = "RUNNING".to_owned();
                        container.runtime_id = Some(runtime_id.clone());
                        container.health_status = Some("UNKNOWN".to_owned());
                    }
                }
                Status::Running => {
                    description.started_at = Some(now);
                    description.pull_started_at = image_pull.map(|(begin, _)| begin);
                    description.pull_stopped_at = image_pull.map(|(_, end)| end);
                }
                Status::Deactivating => description.stopping_at = stop_requested_at,
                Status::Deprovisioning => {
                    description.stopping_at = stop_requested_at;
                    if had_running_containers {
                        description.execution_stopped_at = Some(now);
                    }
                    for container in &mut description.containers {
                        container.last_status = "STOPPED".to_owned();
                        container.exit_code = had_running_containers.then_some(exit_code);
                        container.runtime_id = None;
                        container.health_status = None;
                    }
                }
                Status::Stopped => {
                    description.stopped_at = Some(now);
                    for attachment in &mut description.attachments {
                        attachment.status = "DELETED".to_owned();
                    }
                    if description.stop_code.as_deref() == Some("TerminationNotice") {
                        description.stop_code = Some("SpotInterruption".to_owned());
                    }
                }
                Status::Provisioning | Status::Pending | Status::Stopping => (),
            }
        });
        if let Some(address) = self.address {
            if had_running_containers != self.has_running_containers() {
                addresses.set_serving(address, self.has_running_containers());
                context.effects.push(if had_running_containers {
                    Effect::ContainersStopped(address)
                } else {
                    Effect::ContainersStarted { task: self.id.clone(), address, containers: self.containers.clone() }
                });
                context.effects.extend(addresses_of(address).map(Effect::AddressChanged));
            }
            if status == Status::Stopped {
                addresses.release(address);
            }
        }
        if let Some(delay) = status.duration(&context.settings.tasks) {
            self.advance_in(delay, context);
        } else if let Some(timer) = self.timer.take() {
            context.timers.cancel(timer);
        }
    }

    /// Adds the details of the network interface to the description.
    fn attach_network_interface(&mut self, address: Ipv4Addr, context: &mut Context<'_>) {
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
        let mut description = self.description().clone();
        description.connectivity = Some("CONNECTED".to_owned());
        description.connectivity_at = Some(context.now);
        for attachment in &mut description.attachments {
            attachment.status = "ATTACHED".to_owned();
            let detail =
                |(name, value): &(&str, String)| api::KeyValuePair { name: (*name).to_owned(), value: value.clone() };
            attachment.details.extend(details.iter().map(detail));
            for container in &mut description.containers {
                container.network_interfaces = vec![api::NetworkInterface {
                    attachment_id: attachment.id.clone(),
                    private_ipv4_address: Some(address.to_string()),
                    ipv6_address: ipv6.clone(),
                }];
            }
        }
        self.history.record(context.now, description);
    }

    /// Makes a change to the description: raises the version by one and emits an event.
    fn update(&mut self, context: &mut Context<'_>, change: impl FnOnce(&mut api::Task)) {
        let mut description = self.description().clone();
        change(&mut description);
        description.version += 1;
        self.history.record(context.now, description);
        self.emit_event(context);
    }

    fn emit_event(&self, context: &mut Context<'_>) {
        let event = task_state_change(self.description(), context);
        context.effects.push(Effect::Event(event));
    }
}

/// Returns the description of a new task.
fn initial_description(id: &str, spec: &LaunchSpec, context: &mut Context<'_>) -> api::Task {
    let arn = |kind: &str, rest: &str| super::arn(context.settings, &format!("{kind}/{rest}"));
    let task_arn = arn("task", &format!("{}/{id}", spec.cluster));
    let cluster_arn = arn("cluster", &spec.cluster);
    let memory = spec.definition.memory.clone().unwrap_or_else(|| "4096".to_owned());
    let container_arns: Vec<String> = spec
        .definition
        .container_definitions
        .iter()
        .map(|_| super::arn(context.settings, &format!("container/{}/{id}/{}", spec.cluster, context.random.uuid())))
        .collect();
    let containers = spec.definition.container_definitions.iter().zip(container_arns);
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
    let attachment = api::Attachment {
        id: context.random.uuid(),
        r#type: "ElasticNetworkInterface".to_owned(),
        status: "PRECREATED".to_owned(),
        details: vec![api::KeyValuePair { name: "subnetId".to_owned(), value: spec.subnet.id.clone() }],
    };
    api::Task {
        containers: containers.map(container).collect(),
        cluster_arn,
        task_definition_arn: spec.definition.task_definition_arn.clone(),
        group: spec.group.clone(),
        started_by: spec.started_by.clone(),
        launch_type: "FARGATE".to_owned(),
        capacity_provider_name: Some(context.settings.tasks.capacity_provider.clone()),
        last_status: Status::Provisioning.as_str().to_owned(),
        desired_status: "RUNNING".to_owned(),
        version: 1,
        availability_zone: spec.subnet.zone.clone(),
        cpu: spec.definition.cpu.clone().unwrap_or_else(|| "2048".to_owned()),
        memory: memory.clone(),
        platform_version: "1.4.0".to_owned(),
        attachments: vec![attachment],
        health_status: "UNKNOWN".to_owned(),
        created_at: Some(context.now),
        task_arn,
        ..api::Task::default()
    }
}
