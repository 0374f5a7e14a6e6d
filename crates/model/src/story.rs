//! A path through the model as a story: who does what, and when.

use std::fmt::Write as _;

use stateright::Path;

use crate::aws::Status;
use crate::guarantees::{Event, Window};
use crate::model::{Action, Change, Process, State};
use crate::operator::Move;
use crate::reading::{Answers, Reading, ServiceCalls};
use crate::reconciler::{Reconciler, StopStep};
use crate::time::{Instant, UNIT};
use crate::write::{Author, Effect, Registration, Write};

/// Tells a path, a line a step, each with the time since the beginning.
pub fn tell(path: Path<State, Action>) -> String {
    let mut story = String::new();
    let mut units = 0_u32;
    let steps = path.into_vec();
    for (place, (state, action)) in steps.iter().enumerate() {
        let Some(action) = action else { continue };
        let Some((next, _)) = steps.get(place + 1) else { continue };
        let mut lines = calls(state, action);
        lines.extend(step(state, action));
        lines.extend(next.event.map(|event| event_line(&event)));
        for line in lines {
            let seconds = UNIT.as_secs() * u64::from(units);
            let _ = writeln!(story, "{seconds:>4} s  {line}");
        }
        if action.change == Change::Tick {
            units += 1;
        }
    }
    story
}

/// Returns the name of a reconciler.
fn name(reconciler: &Reconciler) -> String {
    match reconciler.name.0 {
        u8::MAX => "`down`".to_owned(),
        number => format!("watcher {number}"),
    }
}

/// Returns the calls that come right before a step, because the step changes their answers.
fn calls(state: &State, action: &Action) -> Vec<String> {
    let readings = state.reconcilers().zip(&action.readings);
    readings.filter_map(|(reconciler, after)| calls_of(reconciler, &reconciler.reading, after)).collect()
}

fn calls_of(reconciler: &Reconciler, before: &Reading, after: &Reading) -> Option<String> {
    let mut made = Vec::new();
    if before.service != after.service {
        made.extend(match &after.service {
            ServiceCalls::None => None,
            ServiceCalls::Listed(_) => Some("ListTasks".to_owned()),
            ServiceCalls::Described(described) => Some(format!("DescribeTasks ({})", statuses(&described.tasks))),
            ServiceCalls::Counted(described, counts) => {
                let desired = u8::from(counts.desired);
                Some(format!("DescribeTasks ({}), DescribeServices ({desired} desired)", statuses(&described.tasks)))
            }
        });
    }
    if before.load_balancer.is_none() && after.load_balancer.is_some() {
        made.push("DescribeLoadBalancers".to_owned());
    }
    if let (None, Some(tags)) = (before.tags, after.tags) {
        let is_marked = tags.load_balancer.is_some_and(|found| found.mark.is_some());
        let is_held = tags.load_balancer.is_some_and(|found| found.hold.is_some());
        let words = [(is_marked, "a mark"), (is_held, "a hold")];
        let words: Vec<_> = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
        made.push(format!(
            "DescribeTags ({})",
            if words.is_empty() { "no mark, no hold".to_owned() } else { words.join(", ") }
        ));
    }
    if before.health.is_none() && after.health.is_some() {
        made.push("DescribeTargetHealth".to_owned());
    }
    if made.is_empty() {
        return None;
    }
    Some(format!("{} calls, for its next observation: {}", name(reconciler), made.join(", ")))
}

fn statuses(tasks: &[Option<crate::aws::Task>]) -> String {
    let words: Vec<_> = tasks.iter().flatten().map(|task| status(task.status)).collect();
    if words.is_empty() { "no task".to_owned() } else { words.join(", ") }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Starting => "PENDING",
        Status::Running => "RUNNING",
        Status::Stopping => "STOPPING",
        Status::Stopped => "STOPPED",
    }
}

fn step(state: &State, action: &Action) -> Option<String> {
    Some(match &action.change {
        Change::Tick => return None,
        Change::TaskStarts(_) => "ECS starts a task".to_owned(),
        Change::TaskProceeds(place) => {
            let desired = state.aws.ecs.desired;
            let task = state.aws.ecs.tasks[*place]?;
            match task.status {
                Status::Starting if desired => "the task is RUNNING".to_owned(),
                Status::Starting | Status::Running => "ECS begins to stop the task".to_owned(),
                Status::Stopping | Status::Stopped => "the task is STOPPED".to_owned(),
            }
        }
        Change::Effect { reconciler, write } => {
            let reconciler = state.reconcilers().nth(*reconciler)?;
            format!("{}: {}", name(reconciler), effect(&reconciler.writes.get(*write)?.effect))
        }
        Change::Adrift(place) => {
            let Write { effect: of, by, .. } = state.adrift.get(*place)?;
            let by = match by {
                Author::Watcher => "a watcher",
                Author::Up => "`up`",
                Author::Down => "`down`",
                Author::Hand => "an operator",
            };
            format!("what {by} had sent before its crash takes effect: {}", effect(of))
        }
        Change::Finish(place, answers) => {
            let reconciler = state.reconcilers().nth(*place)?;
            format!("{} ends an observation: {}", name(reconciler), shown(answers))
        }
        Change::Stop { reconciler, .. } => {
            let reconciler = state.reconcilers().nth(*reconciler)?;
            let what = match reconciler.stop?.step {
                StopStep::Read => "reads the lease before the stop",
                StopStep::TakeLease => "takes the lease",
                StopStep::Verify => "reads the lease again",
                StopStep::Scale => "sets the desired count to 0",
                StopStep::ReadAgain => "reads the lease once more",
                StopStep::Release => "releases the lease",
            };
            format!("{} {what}", name(reconciler))
        }
        Change::Crash(Process::Watcher(place)) => format!("{} crashes", name(state.watchers.get(*place)?)),
        Change::Crash(Process::Up) => "`up` is killed".to_owned(),
        Change::Crash(Process::Down) => "`down` is killed".to_owned(),
        Change::Up(Move { what, .. }) | Change::Down(Move { what, .. }) | Change::Hand(Move { what, .. }) => {
            (*what).to_owned()
        }
    })
}

fn shown(answers: &Answers) -> String {
    let counts = if answers.counts.exists {
        format!("{} desired", u8::from(answers.counts.desired))
    } else {
        "no service".to_owned()
    };
    let load_balancer = match answers.load_balancer {
        None => "no load balancer".to_owned(),
        Some(found) => {
            let mut words = vec!["a load balancer"];
            words.extend(found.mark.map(|_| "marked"));
            words.extend(found.hold.map(|_| "held"));
            words.extend(found.stop_at.map(|_| "announced to stop"));
            words.join(", ")
        }
    };
    format!("{counts}; {}; {load_balancer}", statuses(&answers.tasks))
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Mark { .. } => "AddTags marks the load balancer".to_owned(),
        Effect::Unmark { .. } => "RemoveTags removes the mark".to_owned(),
        Effect::DeleteLoadBalancer { .. } => "DeleteLoadBalancer deletes it".to_owned(),
        Effect::DeleteGroup { .. } => "DeleteTargetGroup deletes the target group".to_owned(),
        Effect::Target { registration: Registration::Register, .. } => "RegisterTargets registers the task".to_owned(),
        Effect::Target { registration: Registration::Deregister, .. } => {
            "DeregisterTargets deregisters the task".to_owned()
        }
        Effect::Announce { stop_at: Some(_), .. } => "AddTags announces a stop".to_owned(),
        Effect::Announce { stop_at: None, .. } => "RemoveTags withdraws the announced stop".to_owned(),
        Effect::Hold { .. } => "AddTags places a hold".to_owned(),
        Effect::Scale(true) => "UpdateService sets the desired count to 1".to_owned(),
        Effect::Scale(false) => "UpdateService sets the desired count to 0".to_owned(),
        Effect::Lease(_) => "TagResource writes the lease".to_owned(),
        Effect::ReleaseLease => "UntagResource removes the lease".to_owned(),
        Effect::Release { .. } => "RemoveTags releases the hold".to_owned(),
        Effect::CreateGroup => "CreateTargetGroup creates the target group".to_owned(),
        Effect::CreateLoadBalancer => "CreateLoadBalancer creates the load balancer".to_owned(),
        Effect::CreateListener => "CreateListener creates the listener".to_owned(),
        Effect::ResetGroup | Effect::ResetLoadBalancer | Effect::Disown => "RemoveTags removes tags".to_owned(),
        Effect::DeleteByHand { .. } => "DeleteLoadBalancer deletes it by hand".to_owned(),
        Effect::DeleteService => "DeleteService deletes the service".to_owned(),
        Effect::RegisterOthers => "RegisterTargets registers another owner's target".to_owned(),
    }
}

fn event_line(event: &Event) -> String {
    let seconds = |units: &Instant| UNIT.as_secs() * u64::from(*units);
    match event {
        Event::Violation(violation) => format!("→ guarantee {} is broken: {violation}", violation.guarantee()),
        Event::Window(Window::BetweenObservationAndDeletion(age)) => {
            format!("→ the deletion misses what began {} s before", seconds(age))
        }
        Event::Window(Window::BetweenObservationAndMark(early)) => {
            format!("→ the grace period after the last use is {} s short", seconds(early))
        }
        Event::Window(Window::AfterDeletionByHand) => {
            "→ the target group has no grace period after the scale-up".to_owned()
        }
    }
}
