//! The scenarios: who acts, and what there is in the beginning.

use crate::aws::{Aws, Ecs, Group, LoadBalancer, Mark, Status, TASKS, Task};
use crate::decision::Decider;
use crate::operator::hand::Call;
use crate::time::{BEGINNING, LONG_AGO};

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The name, as the command line takes it.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// The number of watchers.
    pub watchers: u8,
    /// Their policy.
    pub decider: Decider,
    /// Whether an operator runs `up`.
    pub has_up: bool,
    /// Whether an operator runs `down`.
    pub has_down: bool,
    /// What an operator does by hand, or by Terraform.
    pub calls: &'static [Call],
    /// Whether targets are registered and deregistered. No mark and no deletion depends on a service's own targets, and the
    /// stop of an unused service only on a healthy one of the task that runs in the beginning.
    pub registers: bool,
    /// The number of crashes.
    pub crashes: u8,
    /// AWS in the beginning.
    pub aws: Aws,
}

/// A scale-up with Terraform.
const SCALE_UP: &[Call] = &[Call::ApplyGroup, Call::ApplyLoadBalancer, Call::ApplyListener, Call::ScaleUp];

/// A scale-up and a scale-down with Terraform.
const EVENING_WITH_TERRAFORM: &[Call] =
    &[Call::ApplyGroup, Call::ApplyLoadBalancer, Call::ApplyListener, Call::ScaleUp, Call::ScaleDown];

impl Scenario {
    /// Returns all scenarios.
    pub fn all() -> Vec<Self> {
        let quiet = Self {
            name: "",
            about: "",
            watchers: 1,
            decider: Decider::Watcher,
            has_up: false,
            has_down: false,
            calls: &[],
            registers: true,
            crashes: 0,
            aws: idle(),
        };
        vec![
            Self {
                name: "up",
                about: "two watchers, and `up` with a load balancer that exists",
                watchers: 2,
                has_up: true,
                aws: last(idle()),
                ..quiet.clone()
            },
            Self {
                name: "up-create",
                about: "two watchers, and `up` that creates the load balancer while a teardown ends",
                watchers: 2,
                has_up: true,
                aws: orphaned(),
                ..quiet.clone()
            },
            Self {
                name: "scale",
                about: "a watcher, and an operator who sets the desired count to 1 and back",
                calls: &[Call::ScaleUp, Call::ScaleDown],
                crashes: 1,
                ..quiet.clone()
            },
            Self {
                name: "apply",
                about: "a watcher, a scale-up and scale-down with Terraform, and one crash",
                calls: EVENING_WITH_TERRAFORM,
                crashes: 1,
                ..quiet.clone()
            },
            Self {
                name: "apply-two",
                about: "two watchers, a scale-up with Terraform, and one crash",
                watchers: 2,
                calls: SCALE_UP,
                registers: false,
                crashes: 1,
                ..quiet.clone()
            },
            Self {
                name: "down-crash",
                about: "one watcher, `up` against `down`, and two crashes",
                has_up: true,
                has_down: true,
                registers: false,
                crashes: 2,
                aws: last(without_targets(in_use())),
                ..quiet.clone()
            },
            Self {
                name: "down",
                about: "one watcher, and `up` against `down`, without a crash",
                has_up: true,
                has_down: true,
                registers: false,
                aws: last(without_targets(in_use())),
                ..quiet.clone()
            },
            Self {
                name: "hold",
                about: "two watchers, and a hold that is placed and released around the mark",
                watchers: 2,
                calls: &[Call::Hold, Call::VerifyHold, Call::Release],
                crashes: 1,
                ..quiet.clone()
            },
            Self {
                name: "stop",
                about: "the stop of an unused service against `up`",
                decider: Decider::StoppingWatcher,
                has_up: true,
                aws: last(in_use()),
                ..quiet.clone()
            },
            Self {
                name: "stop-crash",
                about: "the stop of an unused service against `up`, and one crash",
                decider: Decider::StoppingWatcher,
                has_up: true,
                registers: false,
                crashes: 1,
                aws: last(in_use()),
                ..quiet.clone()
            },
            Self {
                name: "stop-hold",
                about: "the stop of an unused service against a hold",
                decider: Decider::StoppingWatcher,
                calls: &[Call::Hold, Call::VerifyHold, Call::Release],
                aws: last(in_use()),
                ..quiet.clone()
            },
            Self {
                name: "by-hand",
                about: "a load balancer that is created by Terraform and deleted by hand",
                calls: &[Call::ApplyLoadBalancerAlone, Call::ApplyListener, Call::Delete],
                aws: orphaned(),
                ..quiet.clone()
            },
            Self {
                name: "disowned",
                about: "two watchers, and an operator who removes the owner tag",
                watchers: 2,
                calls: &[Call::Disown],
                ..quiet.clone()
            },
            Self {
                name: "missing",
                about: "two watchers, and a service that is deleted",
                watchers: 2,
                calls: &[Call::DeleteService],
                ..quiet.clone()
            },
            Self {
                name: "others",
                about: "two watchers, and another owner's target",
                watchers: 2,
                calls: &[Call::RegisterOthers],
                ..quiet
            },
        ]
    }

    /// Returns the scenario of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|scenario| scenario.name == name)
    }
}

fn aws(desired: bool, task: Task) -> Aws {
    let mut tasks = [None; TASKS];
    tasks[0] = Some(task);
    Aws {
        ecs: Ecs { exists: true, desired, tasks },
        outdated: None,
        lease: None,
        load_balancer: Some(LoadBalancer {
            number: 1,
            created_at: LONG_AGO,
            is_complete: true,
            not_owned_since: None,
            mark: None,
            hold: None,
            released: None,
            stop_at: None,
            touched_at: None,
        }),
        group: Some(Group { mark: None, targets: [false; TASKS], is_lost: false, is_left: false, touched_at: None }),
        created: 1,
        has_foreign_group: false,
        desired_since: desired.then_some(LONG_AGO),
        missing_since: None,
        others_since: None,
        deleted_by_hand: false,
    }
}

/// An idle service, whose task has just stopped, with its load balancer.
fn idle() -> Aws {
    let (started_at, stopped_at) = (Some(LONG_AGO), Some(BEGINNING));
    aws(false, Task { status: Status::Stopped, created_at: None, started_at, stopping_at: stopped_at, stopped_at })
}

/// A service in use, with its load balancer.
fn in_use() -> Aws {
    let mut aws = aws(
        true,
        Task {
            status: Status::Running,
            created_at: None,
            started_at: Some(LONG_AGO),
            stopping_at: None,
            stopped_at: None,
        },
    );
    if let Some(group) = &mut aws.group {
        group.targets[0] = true;
    }
    aws
}

/// A target group that a teardown has left, beside one of another platform.
fn orphaned() -> Aws {
    let mark = Some(Mark { since: BEGINNING, load_balancer: 1 });
    Aws {
        load_balancer: None,
        group: Some(Group { mark, targets: [false; TASKS], is_lost: false, is_left: false, touched_at: None }),
        has_foreign_group: true,
        ..idle()
    }
}

fn without_targets(mut aws: Aws) -> Aws {
    if let Some(group) = &mut aws.group {
        group.targets = [false; TASKS];
    }
    aws
}

/// The load balancer is the last one of the scenario.
fn last(mut aws: Aws) -> Aws {
    aws.created = 2;
    aws.load_balancer = aws.load_balancer.map(|found| LoadBalancer { number: 2, ..found });
    aws
}
