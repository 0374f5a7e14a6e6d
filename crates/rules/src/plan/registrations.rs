//! Which targets to register and deregister.

use super::{Draft, GroupChange, HEALTH_REQUEUE, TargetChange, TargetReason, UNMATCHED_BEFORE_STALE, holder};
use crate::finding::FindingName;
use crate::model::{
    AddressFamily, LastStatus, LoadBalancerKind, Phase, Service, TargetGroup, TargetKeys, TargetState, TargetType, Task,
};

impl Draft<'_> {
    pub(super) fn registrations(&mut self) -> (Vec<GroupChange>, TargetKeys) {
        let observation = self.observation;
        let (mut changes, mut unmatched) = (Vec::new(), TargetKeys::new());
        let serves = observation.serving().next().is_some();
        if observation.service == Service::Missing {
            // With a wrong service name every target would look like nobody's.
            return (changes, unmatched);
        }
        let Some(balancer) = &observation.load_balancer else {
            if serves {
                let count = observation.serving().count();
                let detail = format!("{count} task(s) of the service run, and no load balancer of this name exists");
                self.find(FindingName::LoadBalancerMissing, &self.policy.load_balancer, detail);
            }
            return (changes, unmatched);
        };
        if balancer.kind != LoadBalancerKind::Network {
            return (changes, unmatched);
        }
        for group in &balancer.target_groups {
            match &group.target_type {
                TargetType::Ip { family, port } => {
                    changes.extend(self.group_change(group, *family, *port, &mut unmatched));
                }
                TargetType::Other(kind) => {
                    let detail = format!("its target type is {kind}; only groups of type ip can take Fargate tasks");
                    self.find(FindingName::TargetGroupUnsupported, &group.name, detail);
                    if group.healthy_others > 0 {
                        let detail = format!("{} target(s) of type {kind} are healthy", group.healthy_others);
                        self.find(FindingName::TargetOfOthers, &group.name, detail);
                    }
                }
            }
        }
        let takes_addresses = |group: &TargetGroup| matches!(group.target_type, TargetType::Ip { .. });
        if serves && !balancer.target_groups.iter().any(takes_addresses) {
            let detail = "tasks of the service run, and no target group of type ip is behind it".to_owned();
            self.find(FindingName::TargetGroupMissing, &balancer.name, detail);
        }
        changes.sort_by(|a, b| a.target_group_arn.cmp(&b.target_group_arn));
        (changes, unmatched)
    }

    /// Whether the look shows as many live tasks as the service counts.
    fn sees_all_tasks(&self) -> bool {
        let Service::Found(counts) = self.observation.service else { return false };
        let live = self.observation.tasks.iter().filter(|task| task.last_status != LastStatus::Stopped).count();
        i64::from(counts.running) + i64::from(counts.pending) <= i64::try_from(live).unwrap_or(i64::MAX)
    }

    /// Matches the serving tasks with the group's targets: missing ones to register, stale ones to deregister.
    fn group_change(
        &mut self,
        group: &TargetGroup,
        family: AddressFamily,
        port: u16,
        unmatched: &mut TargetKeys,
    ) -> Option<GroupChange> {
        let observation = self.observation;
        let mut register = Vec::new();
        for task in observation.serving() {
            let Some(ip) = task.address(family) else {
                let detail = format!("it has no {family} address, which target group {} needs", group.name);
                self.find(FindingName::TaskWithoutAddress, task.id.as_str(), detail);
                continue;
            };
            let registered = |state| state != TargetState::Draining;
            if !group.targets.iter().any(|target| target.ip == ip && target.port == port && registered(target.state)) {
                let reason = TargetReason::TaskRunning;
                register.push(TargetChange { key: group.key(ip, port), task: Some(task.id.clone()), reason });
            }
        }
        // ListTasks that shows less than the service counts is no witness that a task is gone.
        let all_seen = self.sees_all_tasks();
        let mut deregister = Vec::new();
        for target in &group.targets {
            match target.state {
                TargetState::Draining => continue,
                TargetState::Initial => self.requeue_by(self.now + HEALTH_REQUEUE),
                _ => {}
            }
            let key = group.key(target.ip, target.port);
            let holder = holder(observation, target, self.now);
            let reason = match holder.map(Task::phase) {
                Some(Phase::Serving | Phase::Starting) => continue,
                Some(Phase::Stopping) => TargetReason::TaskStopping,
                None => {
                    unmatched.insert(key.clone());
                    let since = observation.unmatched_since.get(&key).copied().unwrap_or(self.now);
                    let stale_at = since + UNMATCHED_BEFORE_STALE;
                    if target.state == TargetState::Healthy {
                        let detail =
                            format!("{} port {} is healthy, and no task of the service has it", target.ip, target.port);
                        self.find(FindingName::TargetOfOthers, &group.name, detail);
                        continue;
                    }
                    if self.now < stale_at {
                        self.requeue_by(stale_at);
                        continue;
                    }
                    if !all_seen {
                        continue;
                    }
                    TargetReason::NoTask
                }
            };
            deregister.push(TargetChange { key, task: holder.map(|task| task.id.clone()), reason });
        }
        if !register.is_empty() {
            self.requeue_by(self.now + HEALTH_REQUEUE);
        }
        // Tasks that briefly share an address (the old one's is used again) must not register it twice.
        register.sort_by(|a, b| (&a.key, &a.task).cmp(&(&b.key, &b.task)));
        register.dedup_by(|a, b| a.key == b.key);
        deregister.sort_by(|a, b| a.key.cmp(&b.key));
        let change =
            GroupChange { target_group_arn: group.arn.clone(), target_group: group.name.clone(), register, deregister };
        (!change.register.is_empty() || !change.deregister.is_empty()).then_some(change)
    }
}
