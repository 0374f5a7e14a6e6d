//! What the scheduler reports about a service: its messages in DescribeServices, and its events.
//!
//! The messages are those of "Amazon ECS service event messages", the events those of "Amazon ECS service action events"
//! and "Amazon ECS service deployment state change events" in the developer guide.

use serde_json::{Value, json};

use super::services::{Deployment, DesiredState, RolloutState, ServiceKey, new_deployment, service_arn};
use super::{Ecs, Status, arn};
use crate::api::ecs as api;
use crate::world::eventbridge::Envelope;
use crate::world::{Context, Effect};

/// Number of messages that DescribeServices returns.
const MAX_MESSAGES: usize = 100;

/// Number of tasks in a row that fail to start before the scheduler reports it.
const IMPAIRED_AFTER: i32 = 3;

impl Ecs {
    /// Adds a message to those of a service.
    pub(super) fn message(&mut self, key: &ServiceKey, text: &str, context: &mut Context<'_>) {
        let Some(service) = self.services.get_mut(key) else { return };
        let id = context.random.uuid();
        let message = format!("(service {}) {text}", key.name);
        service.messages.push_front(api::ServiceEvent { id, created_at: Some(context.now), message });
        service.messages.truncate(MAX_MESSAGES);
    }

    /// Reports that a deployment has begun.
    pub(super) fn report_deployment(&mut self, key: &ServiceKey, context: &mut Context<'_>) {
        let Some(service) = self.services.get_mut(key) else { return };
        (service.is_steady, service.is_impaired) = (false, false);
        if let Some(primary) = service.desired_state.current().deployments.last() {
            deployment_event(key, primary, "INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS", context);
        }
    }

    /// Counts a task of a deployment that started or failed to start; reports failures.
    pub(super) fn note_start(&mut self, id: &str, context: &mut Context<'_>) {
        let Some(task) = self.tasks.get(id) else { return };
        let Some(key) = task.service.clone() else { return };
        let deployment = task.description().started_by.clone().unwrap_or_default();
        let description = task.description();
        match task.status {
            Status::Running => {
                let Some(service) = self.services.get_mut(&key) else { return };
                service.is_impaired = false;
                let deployments = &service.desired_state.current().deployments;
                if deployments.iter().any(|of| of.id == deployment && of.failed_tasks > 0) {
                    self.change_deployment(&key, &deployment, context, |deployment| deployment.failed_tasks = 0);
                }
            }
            // Before the scheduler launches the next task.
            Status::Deprovisioning if description.stop_code.as_deref() == Some("TaskFailedToStart") => {
                self.note_failure(&key, &deployment, context);
            }
            _ => (),
        }
    }

    /// Counts a task that failed to start or could not be placed.
    pub(super) fn note_failure(&mut self, key: &ServiceKey, deployment: &str, context: &mut Context<'_>) {
        self.change_deployment(key, deployment, context, |deployment| deployment.failed_tasks += 1);
        let Some(service) = self.services.get_mut(key) else { return };
        let desired = service.desired_state.current();
        let Some(primary) = desired.deployments.last().filter(|primary| primary.id == deployment).cloned() else {
            return;
        };
        let threshold = (desired.count / 2).clamp(3, 200);
        let breaker = service.circuit_breaker.filter(|breaker| breaker.enable);
        let is_over = primary.rollout == RolloutState::InProgress && primary.failed_tasks >= threshold;
        let is_impaired = primary.failed_tasks >= IMPAIRED_AFTER && !service.is_impaired;
        service.is_impaired |= is_impaired;
        if is_impaired {
            self.message(key, "is unable to consistently start tasks successfully.", context);
            service_event(key, "WARN", "SERVICE_TASK_START_IMPAIRED", json!({}), context);
        }
        if let Some(breaker) = breaker.filter(|_| is_over) {
            self.fail_deployment(key, &primary, breaker.rollback, context);
        }
    }

    /// Ends a deployment whose tasks don't start, as the circuit breaker does.
    fn fail_deployment(&mut self, key: &ServiceKey, failed: &Deployment, rollback: bool, context: &mut Context<'_>) {
        self.change_deployment(key, &failed.id, context, |deployment| {
            deployment.rollout = RolloutState::Failed;
            deployment.rollout_reason = "ECS deployment circuit breaker: tasks failed to start.".to_owned();
        });
        self.message(key, &format!("(deployment {}) deployment failed: tasks failed to start.", failed.id), context);
        let event = Deployment {
            rollout_reason: "ECS deployment circuit breaker: task failed to start.".to_owned(),
            ..failed.clone()
        };
        deployment_event(key, &event, "ERROR", "SERVICE_DEPLOYMENT_FAILED", context);
        let Some(service) = self.services.get_mut(key) else { return };
        let Some(definition) = service.completed_definition.clone().filter(|_| rollback) else { return };
        let mut back = new_deployment(definition, context);
        back.rollout_reason = format!("ECS deployment circuit breaker: rolling back to deploymentId {}.", back.id);
        service.change(|desired| desired.deployments.push(back), context);
        self.report_deployment(key, context);
        self.wake_scheduler(key, context);
    }

    /// Reports a task that could not be placed.
    pub(super) fn report_no_capacity(&mut self, key: &ServiceKey, deployment: &str, context: &mut Context<'_>) {
        let reason =
            "Capacity is unavailable at this time. Please try again later or in a different availability zone.";
        self.message(key, &format!("was unable to place a task. Reason: {reason}"), context);
        let provider = format!("capacity-provider/{}", context.settings.tasks.capacity_provider);
        let detail =
            json!({ "capacityProviderArns": [arn(context.settings, &provider)], "reason": "RESOURCE:FARGATE" });
        service_event(key, "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", detail, context);
        self.note_failure(key, deployment, context);
    }

    /// Reports a service that has as many tasks as desired, all of the primary deployment.
    pub(super) fn report_steady_state(&mut self, key: &ServiceKey, context: &mut Context<'_>) {
        let (all, now) = (self.task_counts(key, None, context.now), context.now);
        let Some(primary) =
            self.services.get(key).and_then(|service| service.desired_state.current().deployments.last().cloned())
        else {
            return;
        };
        let own = self.task_counts(key, Some(&primary.id), now);
        let Some(service) = self.services.get_mut(key) else { return };
        let is_steady = own.running == service.desired_state.current().count && all == own && own.pending == 0;
        if std::mem::replace(&mut service.is_steady, is_steady) || !is_steady {
            return;
        }
        if primary.rollout == RolloutState::InProgress {
            service.completed_definition = Some(primary.definition.clone());
            let reason = format!("ECS deployment {} completed.", primary.id);
            let completed =
                Deployment { rollout: RolloutState::Completed, rollout_reason: reason.clone(), ..primary.clone() };
            self.change_deployment(key, &primary.id, context, |deployment| {
                (deployment.rollout, deployment.rollout_reason) = (RolloutState::Completed, reason);
            });
            self.message(key, &format!("(deployment {}) deployment completed.", primary.id), context);
            deployment_event(key, &completed, "INFO", "SERVICE_DEPLOYMENT_COMPLETED", context);
        }
        self.message(key, "has reached a steady state.", context);
        service_event(key, "INFO", "SERVICE_STEADY_STATE", json!({}), context);
    }

    fn change_deployment(
        &mut self,
        key: &ServiceKey,
        id: &str,
        context: &Context<'_>,
        change: impl FnOnce(&mut Deployment),
    ) {
        let Some(service) = self.services.get_mut(key) else { return };
        let change = |desired: &mut DesiredState| {
            if let Some(deployment) = desired.deployments.iter_mut().find(|deployment| deployment.id == id) {
                change(deployment);
            }
        };
        service.change(change, context);
    }
}

/// Emits an ECS Service Action event. It has no version, other than the event of a task.
fn service_event(key: &ServiceKey, kind: &str, name: &str, mut detail: Value, context: &mut Context<'_>) {
    detail["eventType"] = json!(kind);
    detail["eventName"] = json!(name);
    detail["clusterArn"] = json!(arn(context.settings, &format!("cluster/{}", key.cluster)));
    detail["createdAt"] = json!(format!("{:.3}", context.now));
    emit(key, "ECS Service Action", detail, context);
}

/// Emits an ECS Deployment State Change event. It names no cluster.
fn deployment_event(key: &ServiceKey, deployment: &Deployment, kind: &str, name: &str, context: &mut Context<'_>) {
    let detail = json!({
        "eventType": kind,
        "eventName": name,
        "deploymentId": deployment.id,
        "updatedAt": format!("{:.0}", context.now),
        "reason": deployment.rollout_reason,
    });
    emit(key, "ECS Deployment State Change", detail, context);
}

fn emit(key: &ServiceKey, detail_type: &str, detail: Value, context: &mut Context<'_>) {
    let resources = [service_arn(key, context.settings)];
    let time = context.now;
    let envelope = Envelope { source: "aws.ecs", detail_type, resources: &resources, detail, time };
    let event = envelope.into_event(context.settings, context.random);
    context.effects.push(Effect::Event(event));
}
