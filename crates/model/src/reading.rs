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
use crate::time::{DEADLINE, FIRST_OBSERVATION, Instant, LONG_AGO};

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
    /// ListTasks, for both desired statuses.
    Listed(Listed),
    /// DescribeTasks, too.
    Described(Described),
    /// DescribeServices, too.
    Counted(Described, Counts),
}

/// The answers of ListTasks, with what is remembered of those of the first observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Listed {
    /// The tasks that are known.
    pub tasks: [bool; TASKS],
    /// True if the tasks that are missing can be missing from the first observation, too. Then a deletion can follow.
    pub is_confirmed: bool,
}

/// The answer of DescribeTasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Described {
    /// The tasks that were listed.
    pub tasks: [Option<Task>; TASKS],
    /// See [`Listed`].
    pub is_confirmed: bool,
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
    /// True if an earlier observation confirms that there is no further one, so that a deletion can follow.
    pub is_confirmed: bool,
    /// The service.
    pub counts: Counts,
    /// The load balancer, and whether the target group is behind it.
    pub load_balancer: Option<LoadBalancer>,
    /// The target group: the load balancer's, or one that is left of an earlier one.
    pub group: Option<Group>,
    /// The targets.
    pub health: Health,
}

/// The age of the first observation's lists, and the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The present.
    pub now: Instant,
    /// The least age of the first observation, on which a deletion rests too.
    pub least_age: Instant,
}

impl Listing {
    /// Returns the possible answers of ListTasks. The two lists lag one by one: that for RUNNING can show that a task is to
    /// stop, and that for STOPPED the state before.
    fn answers(self, aws: &Aws) -> Vec<Listed> {
        let mut answers = vec![Listed { tasks: [false; TASKS], is_confirmed: true }];
        for (place, task) in aws.ecs.tasks.iter().enumerate() {
            let Some(task) = task else { continue };
            let is_wanted = |ecs: &Ecs| ecs.tasks[place].is_some_and(|task| task.is_wanted());
            let is_to_stop = |ecs: &Ecs| ecs.tasks[place].is_some_and(|task| !task.is_wanted());
            let can_be_in_neither =
                aws.visible().any(|ecs| !is_wanted(&ecs)) && aws.visible().any(|ecs| !is_to_stop(&ecs));
            let mut without = answers.clone();
            answers.iter_mut().for_each(|answer| answer.tasks[place] = true);
            if can_be_in_neither {
                let mut ages = self.least_age..=*FIRST_OBSERVATION.end();
                let is_confirmed = ages.any(|age| self.was_missed(task, age));
                without.iter_mut().for_each(|answer| answer.is_confirmed &= is_confirmed);
                answers.extend(without);
            }
        }
        answers
    }

    /// Returns whether the list of tasks that are to run, of an observation of this age, can have missed a task.
    fn was_missed(self, task: &Task, age: Instant) -> bool {
        let is_at_or_after = |at: Instant| self.now <= at + age;
        let is_new = match (task.created_at, task.started_at) {
            (Some(created_at), _) => is_at_or_after(created_at),
            // It was created this long before, or earlier.
            (None, Some(started_at)) => is_at_or_after(started_at.saturating_sub(DEADLINE)),
            (None, None) => true,
        };
        is_new || task.stopping_at.is_some_and(|at| self.now >= at + age)
    }
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
    let group = aws.group.map(|group| Group {
        touched_at: None,
        is_lost: false,
        is_left: false,
        targets: Default::default(),
        ..group
    });
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
        Self { tasks: ecs.tasks, is_confirmed: true, counts: counts(ecs), load_balancer, group, health: health(aws) }
    }
}

impl Reading {
    /// Returns whether no call has been made whose answer is outdated.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the readings that are possible right before a step from one state of AWS to another: this one, and those
    /// with further calls whose answers the step changes.
    pub fn before_step(&self, before: &Aws, after: &Aws, listing: Listing) -> Vec<Self> {
        let services = self.service.before_step(before, after, listing);
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
    /// another reconciliation. Of one that shows neither a load balancer nor a marked target group, nothing follows. Of one
    /// that can miss a stopping task, no deletion follows, and a mark that is older than the task's stop is not valid.
    fn is_dangerous(&self) -> bool {
        let is_stopped = |task: &Option<Task>| task.is_none_or(|task| task.status == Status::Stopped);
        let is_idle = match self.service {
            ServiceCalls::None => true,
            ServiceCalls::Listed(listed) => listed.is_confirmed,
            ServiceCalls::Described(described) => described.is_confirmed && described.tasks.iter().all(is_stopped),
            ServiceCalls::Counted(described, counts) => {
                let is_zero = (counts.running, counts.pending) == (0, 0) && !counts.desired;
                described.is_confirmed && described.tasks.iter().all(is_stopped) && is_zero && counts.exists
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
    pub fn finished(&self, aws: &Aws, listing: Listing) -> Vec<Answers> {
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
        let answers = |(Described { tasks, is_confirmed }, counts)| Answers {
            tasks,
            is_confirmed,
            counts,
            load_balancer,
            group,
            health,
        };
        self.service.finished(aws, listing).into_iter().map(answers).collect()
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
    fn before_step(self, before: &Aws, after: &Aws, listing: Listing) -> Vec<Self> {
        if (before.ecs, before.outdated) == (after.ecs, after.outdated) {
            return vec![self];
        }
        let mut reached = vec![self];
        let mut place = 0;
        while let Some(calls) = reached.get(place) {
            for next in calls.next(before, listing) {
                if !reached.contains(&next) {
                    reached.push(next);
                }
            }
            place += 1;
        }
        let mut options = Vec::new();
        for calls in reached {
            let needed = calls.without_repeatable(after, listing);
            if !options.contains(&needed) {
                options.push(needed);
            }
        }
        options
    }

    /// Returns the calls after one more of them.
    fn next(&self, aws: &Aws, listing: Listing) -> Vec<Self> {
        let visible = aws.visible();
        match *self {
            Self::None => listing.answers(aws).into_iter().map(Self::Listed).collect(),
            Self::Listed(listed) => visible
                .map(|ecs| {
                    let mut tasks = ecs.tasks;
                    for (task, is_listed) in tasks.iter_mut().zip(listed.tasks) {
                        *task = task.filter(|_| is_listed);
                    }
                    Self::Described(Described { tasks, is_confirmed: listed.is_confirmed })
                })
                .collect(),
            Self::Described(described) => visible.map(|ecs| Self::Counted(described, counts(&ecs))).collect(),
            Self::Counted(..) => Vec::new(),
        }
    }

    /// Returns the calls without those at the end that would have the same answers now.
    fn without_repeatable(self, aws: &Aws, listing: Listing) -> Self {
        match self {
            Self::Counted(described, answer) if aws.visible().any(|ecs| counts(&ecs) == answer) => {
                Self::Described(described).without_repeatable(aws, listing)
            }
            Self::Described(described) if aws.visible().any(|ecs| ecs.tasks == described.tasks) => Self::None,
            Self::Listed(answer) if listing.answers(aws).contains(&answer) => Self::None,
            other => other,
        }
    }

    fn finished(self, aws: &Aws, listing: Listing) -> Vec<(Described, Counts)> {
        let mut reached = vec![self];
        let mut finished = Vec::new();
        while let Some(calls) = reached.pop() {
            match calls {
                Self::Counted(described, counts) if !finished.contains(&(described, counts)) => {
                    finished.push((described, counts));
                }
                Self::Counted(..) => {}
                unfinished => reached.extend(unfinished.next(aws, listing)),
            }
        }
        finished
    }
}
