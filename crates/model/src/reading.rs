//! An observation, call by call.
//!
//! The calls are the product's (`src/controller/observer.rs`), in the product's order: ListTasks, then
//! DescribeTasks, then DescribeServices; beside them DescribeLoadBalancers, DescribeTags and DescribeTargetHealth. Each is
//! a step of its own, and answers what AWS shows at that step.
//!
//! A call commutes with every step that doesn't change its answer. So the model makes a call either right before a step
//! that changes its answer, or at the end of the observation: every other order has the same effect as one of these. What
//! is stored of an unfinished observation is therefore what AWS doesn't show any more.

use crate::aws::{Aws, Ecs, Group, Hold, LoadBalancer, Status, TASKS, Task};
use crate::time::LONG_AGO;

/// The answers of an unfinished observation's calls, as far as they are outdated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reading {
    /// The calls about the service, one after the other.
    pub service: ServiceCalls,
    /// DescribeLoadBalancers: the load balancer, if there is one.
    pub load_balancer: Option<Option<LoadBalancer>>,
    /// DescribeTargetGroups and DescribeTags.
    pub tags: Option<TagsAnswer>,
    /// DescribeTargetHealth.
    pub health: Option<Health>,
}

/// The calls about the service that have been made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceCalls {
    /// None.
    #[default]
    None,
    /// ListTasks, for both desired statuses: which tasks there are.
    Listed([bool; TASKS]),
    /// DescribeTasks, too.
    Described([Option<Task>; TASKS]),
    /// DescribeServices, too.
    Counted([Option<Task>; TASKS], Counts),
}

/// The answer of DescribeServices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counts {
    /// True unless the service is missing.
    pub exists: bool,
    /// True if a task is desired.
    pub desired: bool,
    /// The number of running tasks.
    pub running: u8,
    /// The number of starting tasks.
    pub pending: u8,
}

/// The answer of DescribeTags, for the load balancer and its target group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagsAnswer {
    /// The load balancer with its tags.
    pub load_balancer: Option<LoadBalancer>,
    /// The target group with its tags.
    pub group: Option<Group>,
}

/// The answer of DescribeTargetHealth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Health {
    /// The registered addresses, each with whether it is healthy.
    pub targets: [Option<bool>; TASKS],
    /// True if a target of another owner is healthy.
    pub others: bool,
}

/// The answers of a finished observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Answers {
    /// The tasks.
    pub tasks: [Option<Task>; TASKS],
    /// The service.
    pub counts: Counts,
    /// The load balancer, and whether the target group is behind it.
    pub load_balancer: Option<LoadBalancer>,
    /// The target group: the load balancer's, or one that is left of an earlier one.
    pub group: Option<Group>,
    /// The targets.
    pub health: Health,
}

fn listed(ecs: &Ecs) -> [bool; TASKS] {
    ecs.tasks.map(|task| task.is_some())
}

fn counts(ecs: &Ecs) -> Counts {
    let count = |status| {
        let is_counted = |task: &&Option<Task>| task.is_some_and(|task| task.status == status);
        u8::try_from(ecs.tasks.iter().filter(is_counted).count()).unwrap_or(u8::MAX)
    };
    Counts {
        exists: ecs.exists,
        desired: ecs.desired,
        running: count(Status::Running),
        pending: count(Status::Starting),
    }
}

fn tags(aws: &Aws) -> TagsAnswer {
    // What only the checks know is no part of the answer.
    let load_balancer = aws.load_balancer.map(|found| LoadBalancer {
        not_owned_since: found.not_owned_since.map(|_| LONG_AGO),
        hold: found.hold.map(|hold| Hold { placed_at: LONG_AGO, ..hold }),
        touched_at: None,
        released: None,
        ..found
    });
    let group = aws.group.map(|group| Group { touched_at: None, is_lost: false, targets: Default::default(), ..group });
    TagsAnswer { load_balancer, group }
}

fn load_balancer(aws: &Aws) -> Option<LoadBalancer> {
    aws.load_balancer.map(|found| LoadBalancer {
        not_owned_since: None,
        mark: None,
        hold: None,
        released: None,
        stop_at: None,
        touched_at: None,
        ..found
    })
}

fn health(aws: &Aws) -> Health {
    let Some(group) = aws.group else { return Health::default() };
    let is_running = |task: Option<Task>| task.is_some_and(|task| task.status == Status::Running);
    let mut targets = [None; TASKS];
    for (place, target) in targets.iter_mut().enumerate() {
        // The health checks of a new target take minutes.
        *target = group.targets[place].then(|| place == 0 && is_running(aws.ecs.tasks[place]));
    }
    Health { targets, others: aws.others_since.is_some() }
}

impl Answers {
    /// Returns the answers of an observation whose calls are all made now, while ECS shows this state.
    pub fn at_once(aws: &Aws, ecs: &Ecs) -> Self {
        let TagsAnswer { load_balancer, group } = tags(aws);
        Self { tasks: ecs.tasks, counts: counts(ecs), load_balancer, group, health: health(aws) }
    }
}

impl Reading {
    /// Returns whether no call has been made whose answer is outdated.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the readings that are possible right before a step from one state of AWS to another: this one, and those
    /// with further calls whose answers the step changes.
    pub fn before_step(&self, before: &Aws, after: &Aws) -> Vec<Self> {
        let services = self.service.before_step(before, after);
        let load_balancers = options(self.load_balancer, load_balancer(before), load_balancer(after));
        let tags = options(self.tags, tags(before), tags(after));
        let healths = options(self.health, health(before), health(after));
        let mut readings = Vec::new();
        for service in services {
            for load_balancer in &load_balancers {
                for tags in &tags {
                    for health in &healths {
                        // What was read of a load balancer's contents is read again after an answer that shows none.
                        let shows_none = self.load_balancer.is_none() && *load_balancer == Some(None);
                        let tags = tags.filter(|tags| !(shows_none && tags.load_balancer.is_some()));
                        let reading = Self { service, load_balancer: *load_balancer, tags, health: *health };
                        if !reading.can_finish(after) || !reading.is_dangerous() {
                            continue;
                        }
                        if !readings.contains(&reading) {
                            readings.push(reading);
                        }
                    }
                }
            }
        }
        readings
    }

    /// Returns whether outdated answers can lead to a write that does harm when it is late.
    ///
    /// Of an observation that shows the service in use, tasks are registered and marks removed: a late write of these costs
    /// another reconciliation. Of one that shows neither a load balancer nor a marked target group, nothing follows.
    fn is_dangerous(&self) -> bool {
        let is_stopped = |task: &Option<Task>| task.is_none_or(|task| task.status == Status::Stopped);
        let is_idle = match self.service {
            ServiceCalls::None | ServiceCalls::Listed(_) => true,
            ServiceCalls::Described(tasks) => tasks.iter().all(is_stopped),
            ServiceCalls::Counted(tasks, counts) => {
                let is_zero = (counts.running, counts.pending) == (0, 0) && !counts.desired;
                tasks.iter().all(is_stopped) && is_zero && counts.exists
            }
        };
        let has_group = || self.tags.is_none_or(|tags| tags.group.is_some_and(|group| group.mark.is_some()));
        is_idle && (self.load_balancer != Some(None) || has_group())
    }

    /// Returns whether the calls about the load balancer agree, or still can: an observation fails if it has changed meanwhile.
    fn can_finish(&self, aws: &Aws) -> bool {
        let number = |found: Option<LoadBalancer>| found.map(|found| found.number);
        let found = self.load_balancer.map_or_else(|| number(aws.load_balancer), number);
        let of_tags = self.tags.map_or_else(|| number(aws.load_balancer), |tags| number(tags.load_balancer));
        found == of_tags || found.is_none() && self.load_balancer.is_some()
    }

    /// Returns the answers that are possible when the remaining calls are made now; none if the load balancer has gone or
    /// changed meanwhile, so that the observation fails.
    pub fn finished(&self, aws: &Aws) -> Vec<Answers> {
        let found = self.load_balancer.unwrap_or_else(|| load_balancer(aws));
        // An earlier answer counts only if it belongs to the load balancer that DescribeLoadBalancers shows.
        let is_of_found = |answer: &TagsAnswer| match found {
            Some(found) => answer.load_balancer.is_some_and(|other| other.number == found.number),
            None => self.load_balancer.is_some() || answer.load_balancer.is_none(),
        };
        let Some(tags) = self.tags.filter(is_of_found).or_else(|| Some(tags(aws)).filter(is_of_found)) else {
            return Vec::new();
        };
        let (load_balancer, group) = (found.and(tags.load_balancer), tags.group);
        let health = self.health.unwrap_or_else(|| health(aws));
        let answers = |(tasks, counts)| Answers { tasks, counts, load_balancer, group, health };
        self.service.finished(aws).into_iter().map(answers).collect()
    }
}

/// Returns the answers that a call can have right before a step: the one from before, none, or one that the step outdates.
fn options<T: Copy + PartialEq>(current: Option<T>, before: T, after: T) -> Vec<Option<T>> {
    match current {
        Some(answer) if answer == after => vec![None],
        None if before != after => vec![None, Some(before)],
        unchanged => vec![unchanged],
    }
}

impl ServiceCalls {
    fn before_step(self, before: &Aws, after: &Aws) -> Vec<Self> {
        if (before.ecs, before.outdated) == (after.ecs, after.outdated) {
            return vec![self];
        }
        let mut reached = vec![self];
        let mut place = 0;
        while let Some(calls) = reached.get(place) {
            for next in calls.next(before) {
                if !reached.contains(&next) {
                    reached.push(next);
                }
            }
            place += 1;
        }
        let mut options = Vec::new();
        for calls in reached {
            let needed = calls.without_repeatable(after);
            if !options.contains(&needed) {
                options.push(needed);
            }
        }
        options
    }

    /// Returns the calls after one more of them.
    fn next(&self, aws: &Aws) -> Vec<Self> {
        let visible = aws.visible();
        match *self {
            Self::None => visible.map(|ecs| Self::Listed(listed(&ecs))).collect(),
            Self::Listed(listed) => visible
                .map(|ecs| {
                    let mut tasks = ecs.tasks;
                    for (task, is_listed) in tasks.iter_mut().zip(listed) {
                        *task = task.filter(|_| is_listed);
                    }
                    Self::Described(tasks)
                })
                .collect(),
            Self::Described(tasks) => visible.map(|ecs| Self::Counted(tasks, counts(&ecs))).collect(),
            Self::Counted(..) => Vec::new(),
        }
    }

    /// Returns the calls without those at the end that would have the same answers now.
    fn without_repeatable(self, aws: &Aws) -> Self {
        match self {
            Self::Counted(tasks, answer) if aws.visible().any(|ecs| counts(&ecs) == answer) => {
                Self::Described(tasks).without_repeatable(aws)
            }
            Self::Described(tasks) if aws.visible().any(|ecs| ecs.tasks == tasks) => Self::None,
            Self::Listed(answer) if aws.visible().any(|ecs| listed(&ecs) == answer) => Self::None,
            other => other,
        }
    }

    fn finished(self, aws: &Aws) -> Vec<([Option<Task>; TASKS], Counts)> {
        let mut reached = vec![self];
        let mut finished = Vec::new();
        while let Some(calls) = reached.pop() {
            match calls {
                Self::Counted(tasks, counts) if !finished.contains(&(tasks, counts)) => finished.push((tasks, counts)),
                Self::Counted(..) => {}
                unfinished => reached.extend(unfinished.next(aws)),
            }
        }
        finished
    }
}
