//! What ECS says about starting the service's tasks.

use jiff::Timestamp;

/// What tells why tasks don't start, beside the counts and the tasks themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Startup {
    /// The service's primary deployment.
    pub deployment: Option<Deployment>,
    /// The latest message of the service's scheduler.
    pub message: Option<SchedulerMessage>,
    /// The latest event about the service that a message brought. It explains a finding and causes none.
    pub event: Option<ServiceEvent>,
    /// Since when each observation has found fewer running tasks than desired.
    pub short_since: Option<Timestamp>,
}

/// The primary deployment of a service, as DescribeServices shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The id (`ecs-svc/…`), which is the `startedBy` of the deployment's tasks.
    pub id: String,
    /// The time of its creation.
    pub created_at: Option<Timestamp>,
    /// The state of its rollout.
    pub rollout: Rollout,
    /// ECS's reason for that state.
    pub rollout_reason: Option<String>,
    /// `failedTasks`: the number of tasks in a row that did not start. A task that runs resets it to zero.
    pub failed_tasks: i32,
}

/// The state of a rollout (`rolloutState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// The service hasn't reached a steady state.
    InProgress,
    /// The service has reached a steady state.
    Completed,
    /// The deployment circuit breaker has ended it: ECS launches no more tasks (see `Deployment` in the ECS API
    /// reference).
    Failed,
    /// ECS shows no state, or one that this version doesn't know.
    Unknown,
}

impl Rollout {
    /// Parses the API's name of the state.
    pub fn parse(word: &str) -> Self {
        match word {
            "IN_PROGRESS" => Self::InProgress,
            "COMPLETED" => Self::Completed,
            "FAILED" => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// A message of the service's scheduler (`events` of DescribeServices).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulerMessage {
    /// The time of the message.
    pub at: Timestamp,
    /// The message.
    pub text: String,
}

impl SchedulerMessage {
    /// Returns whether the message says that the scheduler can't start a task.
    ///
    /// "Amazon ECS service event messages" in the ECS developer guide has the messages: "was unable to place a task",
    /// "is unable to consistently start tasks successfully", "was unable to stop or start tasks during a deployment".
    pub fn tells_of_failure(&self) -> bool {
        self.text.contains(" unable to ")
    }
}

/// An event about the service, from EventBridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEvent {
    /// The kind of event.
    pub name: ServiceEventName,
    /// ECS's reason, if the event has one.
    pub reason: Option<String>,
    /// The time of the event.
    pub time: Option<Timestamp>,
}

impl ServiceEvent {
    /// Puts the event in the place of a known one, unless that is later.
    pub fn replace_older(self, known: &mut Option<Self>) {
        if known.as_ref().is_none_or(|known| known.time <= self.time) {
            *known = Some(self);
        }
    }
}

/// The events about a service that explain why its tasks don't start (`eventName`).
///
/// The first three have the detail type ECS Service Action, the last one ECS Deployment State Change (see "Amazon ECS
/// service action events" and "Amazon ECS service deployment state change events" in the ECS developer guide).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceEventName {
    /// Tasks repeatedly fail to reach RUNNING.
    TaskStartImpaired,
    /// The scheduler can't place a task.
    TaskPlacementFailure,
    /// The scheduler can't place a task because of a wrong configuration.
    TaskConfigurationFailure,
    /// The deployment circuit breaker has ended a deployment.
    DeploymentFailed,
}

impl ServiceEventName {
    /// All names.
    pub const ALL: [Self; 4] =
        [Self::TaskStartImpaired, Self::TaskPlacementFailure, Self::TaskConfigurationFailure, Self::DeploymentFailed];

    /// Returns AWS's name of the event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaskStartImpaired => "SERVICE_TASK_START_IMPAIRED",
            Self::TaskPlacementFailure => "SERVICE_TASK_PLACEMENT_FAILURE",
            Self::TaskConfigurationFailure => "SERVICE_TASK_CONFIGURATION_FAILURE",
            Self::DeploymentFailed => "SERVICE_DEPLOYMENT_FAILED",
        }
    }

    /// Parses AWS's name; returns `None` for an event that tells of no failure to start tasks.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == word)
    }
}
