//! Registrations: matches the serving tasks, and the first one while it starts, with the targets of each target group.

use std::collections::BTreeMap;

use super::{GroupChange, HEALTH_REQUEUE, Planner, TargetChange, TargetReason, UNMATCHED_BEFORE_STALE};
use crate::finding::FindingName;
use crate::idle::task_of_target;
use crate::model::{
    AddressFamily, LastStatus, LoadBalancer, Phase, Service, Target, TargetGroup, TargetKeys, TargetState, TargetType,
    Task,
};

impl<'a> Planner<'a> {
    /// Returns the changes to each target group, and the targets without a task.
    pub(super) fn registrations(&mut self) -> (Vec<GroupChange>, TargetKeys) {
        let (mut changes, mut unmatched) = (Vec::new(), TargetKeys::new());
        let Some(load_balancer) = self.load_balancer_to_register_in() else { return (changes, unmatched) };
        let starting = self.starting_tasks_to_register(load_balancer);
        for group in &load_balancer.target_groups {
            match &group.target_type {
                TargetType::Ip { family, port } => {
                    let register = self.targets_to_register(group, *family, *port, &starting);
                    let deregister = self.targets_to_deregister(group, &mut unmatched);
                    self.find_unused_targets(load_balancer, group, *family, *port);
                    if !register.is_empty() || !deregister.is_empty() {
                        let (target_group_arn, target_group) = (group.arn.clone(), group.name.clone());
                        changes.push(GroupChange { target_group_arn, target_group, register, deregister });
                    }
                }
                TargetType::Other(kind) => self.find_unsupported_group(group, kind),
            }
        }
        let takes_addresses = |group: &TargetGroup| matches!(group.target_type, TargetType::Ip { .. });
        if self.observation.serving().next().is_some() && !load_balancer.target_groups.iter().any(takes_addresses) {
            let detail = "tasks of the service serve, and no target group of type ip is behind it".to_owned();
            self.find(FindingName::TargetGroupMissing, &load_balancer.name, detail);
        }
        changes.sort_by(|a, b| a.target_group_arn.cmp(&b.target_group_arn));
        (changes, unmatched)
    }

    fn load_balancer_to_register_in(&mut self) -> Option<&'a LoadBalancer> {
        let observation = self.observation;
        if observation.service == Service::Missing {
            // With a wrong service name every target would look unmatched.
            return None;
        }
        if observation.load_balancer.is_none() {
            let count = observation.serving().count();
            if count > 0 {
                let detail = format!("{count} task(s) of the service serve, and no load balancer of this name exists");
                self.find(FindingName::LoadBalancerMissing, &self.policy.load_balancer, detail);
            }
            return None;
        }
        self.network_load_balancer()
    }

    fn find_unsupported_group(&mut self, group: &TargetGroup, kind: &str) {
        let detail = format!("its target type is {kind}; Fargate tasks need a target group of type ip");
        self.find(FindingName::TargetGroupUnsupported, &group.name, detail);
        if group.healthy_others > 0 {
            let detail = format!("{} target(s) of type {kind} are healthy", group.healthy_others);
            self.find(FindingName::TargetOfOthers, &group.name, detail);
        }
    }

    /// Finds targets of serving tasks that get no traffic.
    ///
    /// The target group is behind the load balancer, so `unused` with the reason Target.NotInUse means that the target's
    /// Availability Zone is not enabled for it (Elastic Load Balancing API Reference, TargetHealth). While the load
    /// balancer is provisioning, a target's state says nothing yet.
    fn find_unused_targets(
        &mut self,
        load_balancer: &LoadBalancer,
        group: &TargetGroup,
        family: AddressFamily,
        port: u16,
    ) {
        if !load_balancer.state.is_active() {
            return;
        }
        let is_unused = |target: &&Target| target.port == port && target.state == TargetState::Unused;
        let unused: BTreeMap<_, _> = group.targets.iter().filter(is_unused).map(|target| (target.ip, target)).collect();
        for task in self.observation.serving() {
            let Some(target) = task.address(family).and_then(|address| unused.get(&address)) else { continue };
            let reason = target.reason.as_deref().unwrap_or("no reason given");
            let detail = format!("its target in {} is unused ({reason}): it gets no traffic", group.name);
            self.find(FindingName::TargetUnused, task.id.as_str(), detail);
        }
    }

    /// Returns the tasks to register before they serve, while the load balancer has no target for its clients.
    ///
    /// A new target gets no traffic for minutes, whatever its health checks say: "It can take a few minutes for the
    /// registration process to complete and health checks to start" (User Guide for Network Load Balancers, "Health checks
    /// for Network Load Balancer target groups"). So these minutes pass while the task's containers start. Once a target is
    /// healthy, or a task serves, the group has a target for its clients, and a starting task would only be in their way:
    /// without a healthy target a load balancer sends flows to all of them.
    ///
    /// Of several starting tasks behind a UDP listener none is registered early, because the listener can serve one bridge.
    fn starting_tasks_to_register(&self, load_balancer: &LoadBalancer) -> Vec<&'a Task> {
        let Service::Found(counts) = self.observation.service else { return Vec::new() };
        let groups = &load_balancer.target_groups;
        let is_healthy = |target: &Target| target.state == TargetState::Healthy;
        let has_healthy = |group: &TargetGroup| group.healthy_others > 0 || group.targets.iter().any(is_healthy);
        // ECS is about to stop the tasks of a service that is scaled to zero.
        if counts.desired <= 0 || self.observation.serving().next().is_some() || groups.iter().any(has_healthy) {
            return Vec::new();
        }
        let starting: Vec<_> = self.observation.tasks.iter().filter(|task| task.is_about_to_serve()).collect();
        let has_one_bridge =
            !self.policy.allow_several_bridges && groups.iter().any(|group| group.protocol.takes_udp());
        if has_one_bridge && starting.len() > 1 { Vec::new() } else { starting }
    }

    fn targets_to_register(
        &mut self,
        group: &TargetGroup,
        family: AddressFamily,
        port: u16,
        starting: &[&Task],
    ) -> Vec<TargetChange> {
        let mut changes = Vec::new();
        // A draining target gets no new flows, so it doesn't count.
        let registered = group.addresses(port, |target| target.state != TargetState::Draining);
        for task in self.observation.serving() {
            let Some(ip) = task.address(family) else {
                let detail = format!("it has no {family} address, which target group {} needs", group.name);
                self.find(FindingName::TaskWithoutAddress, task.id.as_str(), detail);
                continue;
            };
            if !registered.contains(&ip) {
                let (key, task) = (group.key(ip, port), Some(task.id.clone()));
                changes.push(TargetChange { key, task, reason: TargetReason::TaskRunning });
            }
        }
        for task in starting {
            // A task gets its address while it is PROVISIONING or PENDING.
            if let Some(ip) = task.address(family).filter(|ip| !registered.contains(ip)) {
                let (key, task) = (group.key(ip, port), Some(task.id.clone()));
                changes.push(TargetChange { key, task, reason: TargetReason::TaskStarting });
            }
        }
        if !changes.is_empty() {
            self.requeue_by(self.now + HEALTH_REQUEUE);
        }
        // Two tasks share an address for a moment when a VPC assigns it again; it is registered once.
        changes.sort_by(|a, b| (&a.key, &a.task).cmp(&(&b.key, &b.task)));
        changes.dedup_by(|a, b| a.key == b.key);
        changes
    }

    fn targets_to_deregister(&mut self, group: &TargetGroup, unmatched: &mut TargetKeys) -> Vec<TargetChange> {
        let mut changes = Vec::new();
        for target in group.targets.iter().filter(|target| target.state != TargetState::Draining) {
            if target.state == TargetState::Initial {
                self.requeue_by(self.now + HEALTH_REQUEUE);
            }
            let key = group.key(target.ip, target.port);
            let task = task_of_target(&self.tasks, target, self.now);
            let reason = match task.map(Task::phase) {
                Some(Phase::Serving | Phase::Starting) => continue,
                Some(Phase::Stopping) => TargetReason::TaskStopping,
                None => {
                    unmatched.insert(key.clone());
                    if !self.is_stale(group, target) {
                        continue;
                    }
                    TargetReason::NoTask
                }
            };
            changes.push(TargetChange { key, task: task.map(|task| task.id.clone()), reason });
        }
        changes.sort_by(|a, b| a.key.cmp(&b.key));
        changes
    }

    /// Returns whether a target without a task is to be deregistered. A healthy one belongs to another service, and stays.
    fn is_stale(&mut self, group: &TargetGroup, target: &Target) -> bool {
        if target.state == TargetState::Healthy {
            let detail = format!("{} port {} is healthy, and no task of the service has it", target.ip, target.port);
            self.find(FindingName::TargetOfOthers, &group.name, detail);
            return false;
        }
        let since = self.observation.unmatched_since.get(&group.key(target.ip, target.port));
        let stale_at = since.copied().unwrap_or(self.now) + UNMATCHED_BEFORE_STALE;
        if self.now < stale_at {
            self.requeue_by(stale_at);
            return false;
        }
        self.sees_all_tasks()
    }

    /// Returns whether the observation shows as many live tasks as the service counts. A shorter list doesn't prove that
    /// a task is gone.
    fn sees_all_tasks(&self) -> bool {
        let Service::Found(counts) = self.observation.service else { return false };
        let live = self.observation.tasks.iter().filter(|task| task.last_status != LastStatus::Stopped).count();
        i64::from(counts.running) + i64::from(counts.pending) <= i64::try_from(live).unwrap_or(i64::MAX)
    }
}
