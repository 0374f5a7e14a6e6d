//! Examples that catch the bugs which no day shows: each holds without a bug, and fails with its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use jvb_watcher::controller::context::Context;
use jvb_watcher::controller::message::Hints;
use jvb_watcher::controller::reconciler::{Reconciler, ReconcilerParts};
use jvb_watcher_rules::lease::{Lease, LeaseHolder, LeaseReading, LeaseState};
use jvb_watcher_rules::model::{
    DesiredStatus, FlowHistory, LOAD_BALANCER_TAG, LastStatus, LoadBalancer, MinuteFlows, Observation, Target,
    TargetState, TargetType, Task,
};
use jvb_watcher_rules::plan::samples::{
    UDP, counts, group, idle, ip, load_balancer, marked, marked_load_balancer, minutes, noon, observation, owner_tags,
    policy, running, seconds, stopped, target, task,
};
use jvb_watcher_rules::plan::{CLOUDWATCH_LAG, LifecycleAction, Plan, Policy, StopAction, StopWhenUnused, UsagePolicy};
use jvb_watcher_sandbox::platform::PROJECT;
use jvb_watcher_simulation::bugs::{Bug, ecs_lag, planner};
use jvb_watcher_simulation::day::fleet::{Failing, FailureKind, Fleet};
use jvb_watcher_simulation::day::{Action, Day, Options, on_virtual_time};
use jvb_watcher_simulation::environment::{Actor, Environment};
use jvb_watcher_simulation::intercept::{Intercepted, Interceptor, Operation};
use jvb_watcher_simulation::operator::Operator;
use jvb_watcher_simulation::process::{Setup, Tools};

/// An example: plays with a bug or without one; `Err` says what is wrong.
pub type Example = fn(Option<Bug>) -> Result<(), String>;

/// The examples with their names and the bug that each catches.
pub const EXAMPLES: &[(Bug, &str, Example)] = &[
    (Bug::DeleteAfterOneObservation, "keeps_what_is_used_between_the_observations", used_between_the_observations),
    (Bug::DeleteWithoutWaiting, "keeps_what_a_task_in_neither_list_uses", in_neither_list),
    (Bug::KeepForeignMessages, "deletes_a_foreign_message", foreign_message),
    (Bug::DeregisterAfterOneObservation, "keeps_a_target_after_one_observation", target_without_task),
    (Bug::KeepTargetsThatNeverRan, "deregisters_a_task_that_never_ran", task_that_never_ran),
    (Bug::IgnoreDesiredCount, "keeps_what_tasks_are_desired_for", desired_tasks),
    (Bug::IgnoreStoppingTasks, "keeps_what_a_stopping_task_uses", stopping_task),
    (Bug::IgnoreAddressReuse, "keeps_what_a_task_at_a_reused_address_uses", reused_address),
    (Bug::CountEarlierTasksAsUse, "keeps_what_only_an_earlier_task_is_registered_in", earlier_task),
    (Bug::IgnoreOtherTargetTypes, "keeps_what_instances_use", other_target_type),
    (Bug::KeepMarkInUse, "unmarks_what_is_used_again", used_again),
    (Bug::RestoreLostMark, "restarts_the_grace_period_after_a_lost_mark", lost_mark),
    (Bug::TrustCopiedMark, "distrusts_a_copied_mark", copied_mark),
    (Bug::TrustOutdatedMark, "distrusts_a_mark_before_the_last_use", outdated_mark),
    (Bug::DeleteOrphansOfOthers, "keeps_orphans_of_others", orphan_of_others),
    (Bug::StopAfterOneObservation, "keeps_up_what_is_held_between_the_observations", held_between_the_observations),
    (Bug::ForgetInterruptedStop, "begins_a_window_after_an_interrupted_stop", interrupted_stop),
    (Bug::ReconcileOneAtATime, "registers_promptly_beside_a_slow_service", beside_a_slow_service),
];

#[test]
fn every_example_holds_without_a_bug() {
    for (_, name, example) in EXAMPLES {
        assert_eq!(example(None), Ok(()), "{name}");
    }
}

fn plan(observation: &Observation, bug: Option<Bug>) -> Plan {
    planner(bug)(observation, &policy(), noon())
}

fn expect(holds: bool, plan: &Plan) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{plan:?}")) }
}

/// The load balancer, marked long enough ago to be deleted.
fn due(targets: &[u8]) -> LoadBalancer {
    marked_load_balancer(targets, noon() - minutes(10))
}

fn keeps(observation: &Observation, bug: Option<Bug>) -> Result<(), String> {
    let plan = plan(observation, bug);
    expect(!matches!(plan.lifecycle, LifecycleAction::DeleteLoadBalancer { .. }), &plan)
}

fn desired_tasks(bug: Option<Bug>) -> Result<(), String> {
    keeps(&observation(counts(2, 0, 0), vec![stopped(1)], Some(due(&[]))), bug)
}

fn stopping_task(bug: Option<Bug>) -> Result<(), String> {
    let stopping =
        Task { stopping_at: Some(noon() - minutes(15)), ..task(1, LastStatus::Stopping, DesiredStatus::Stopped) };
    keeps(&observation(counts(0, 0, 0), vec![stopping], Some(due(&[]))), bug)
}

fn reused_address(bug: Option<Bug>) -> Result<(), String> {
    keeps(&idle(due(&[1])), bug)
}

/// A new load balancer, in whose target groups a task of an earlier one is still registered.
fn earlier_task(bug: Option<Bug>) -> Result<(), String> {
    let mut load_balancer = LoadBalancer { created_at: noon() - minutes(5), ..load_balancer(&[1]) };
    for group in &mut load_balancer.target_groups {
        group.targets[0].state = TargetState::Unhealthy;
    }
    let plan = plan(&idle(load_balancer), bug);
    expect(plan.lifecycle == LifecycleAction::Keep, &plan)
}

fn other_target_type(bug: Option<Bug>) -> Result<(), String> {
    let mut load_balancer = due(&[]);
    load_balancer.target_groups[0].target_type = TargetType::Other("instance".to_owned());
    load_balancer.target_groups[0].healthy_others = 1;
    keeps(&idle(load_balancer), bug)
}

fn copied_mark(bug: Option<Bug>) -> Result<(), String> {
    let mut load_balancer = due(&[]);
    let copied = load_balancer.arn.replace("p-jvb-nlb", "q-jvb-nlb");
    load_balancer.tags.insert(LOAD_BALANCER_TAG.to_owned(), copied);
    keeps(&idle(load_balancer), bug)
}

fn outdated_mark(bug: Option<Bug>) -> Result<(), String> {
    let stopping_at = Some(noon() - minutes(5));
    let stopped = Task { stopping_at, stopped_at: stopping_at, ..stopped(1) };
    keeps(&observation(counts(0, 0, 0), vec![stopped], Some(due(&[]))), bug)
}

fn orphan_of_others(bug: Option<Bug>) -> Result<(), String> {
    let mut orphan = group(UDP, 10000, vec![]);
    orphan.tags = marked(orphan.tags, noon() - minutes(10));
    if let Some(arn) = orphan.tags.get_mut(LOAD_BALANCER_TAG) {
        *arn = arn.replace("p-jvb-nlb", "q-jvb-nlb");
    }
    let mut observation = observation(counts(0, 0, 0), vec![stopped(1)], None);
    observation.orphaned_target_groups.push(orphan);
    let plan = plan(&observation, bug);
    expect(plan.lifecycle == LifecycleAction::Keep, &plan)
}

fn used_again(bug: Option<Bug>) -> Result<(), String> {
    let plan = plan(&observation(counts(1, 1, 0), vec![running(1)], Some(due(&[1]))), bug);
    expect(matches!(&plan.lifecycle, LifecycleAction::Unmark { resources, .. } if resources.len() == 3), &plan)
}

fn lost_mark(bug: Option<Bug>) -> Result<(), String> {
    let mut load_balancer = due(&[]);
    load_balancer.target_groups[0].tags = owner_tags();
    let plan = plan(&idle(load_balancer), bug);
    expect(matches!(plan.lifecycle, LifecycleAction::Mark { idle_since, .. } if idle_since == noon()), &plan)
}

/// An unused service with the lease of a stop whose watcher was killed: it can have replaced that of an `up`.
fn interrupted_stop(bug: Option<Bug>) -> Result<(), String> {
    let begun_at = noon() - minutes(1);
    let lease =
        Lease { holder: LeaseHolder::Stop, begun_at, id: "worker-000001".to_owned(), state: LeaseState::Active };
    let end = noon() - CLOUDWATCH_LAG;
    let unused = (1..=60).map(|ago| (end - minutes(ago), MinuteFlows { flows: 0, healthy: Some(1) }));
    let observation = Observation {
        flows: Some(FlowHistory { minutes: unused.collect(), problem: None }),
        lease: LeaseReading::Read(Some(lease)),
        ..observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1])))
    };
    let stop = StopWhenUnused { after: minutes(10), notice: minutes(2), first_call_grace: Duration::ZERO };
    let usage = UsagePolicy { observe: true, stop: Some(stop), ..UsagePolicy::OFF };
    let plan = planner(bug)(&observation, &Policy { usage, ..policy() }, noon());
    expect(plan.stop == StopAction::None, &plan)
}

fn target_without_task(bug: Option<Bug>) -> Result<(), String> {
    let mut load_balancer = load_balancer(&[1]);
    load_balancer.target_groups[0].targets.push(Target { state: TargetState::Unhealthy, ..target(9, 10000) });
    let plan = plan(&observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer)), bug);
    expect(plan.registrations.is_empty() && plan.unmatched.iter().any(|key| key.ip == ip(9)), &plan)
}

/// A task that was registered while it started, and stopped before it ran.
fn task_that_never_ran(bug: Option<Bug>) -> Result<(), String> {
    let mut load_balancer = load_balancer(&[1]);
    for group in &mut load_balancer.target_groups {
        group.targets[0].state = TargetState::Unhealthy;
    }
    let failed = Task { started_at: None, stopped_at: Some(noon()), ..stopped(1) };
    let plan = plan(&observation(counts(1, 0, 1), vec![failed], Some(load_balancer)), bug);
    let deregistered: usize = plan.registrations.iter().map(|group| group.deregister.len()).sum();
    expect(deregistered == 2, &plan)
}

/// A message about another service, which must not reach the dead-letter queue.
fn foreign_message(bug: Option<Bug>) -> Result<(), String> {
    let schedule = vec![(Duration::from_secs(60 * 60), Action::SendForeignMessage)];
    let report = Day { schedule, ..Day::quiet() }.play(Options { bug, ..Options::default() });
    report.violations.first().map_or(Ok(()), |violation| Err(violation.to_string()))
}

/// The environment of a day in which everything has been created, and its operator.
fn platform(day: &Day) -> Result<(Arc<Environment>, Operator), String> {
    let (environment, _process_faults) = Environment::new(day, Options::default());
    let environment = Arc::new(environment);
    let operator = Operator::new(environment.clone(), PROJECT);
    operator.create_all().map_err(|error| error.to_string())?;
    Ok((environment, operator))
}

/// A load balancer whose deletion is due, and a scale-up when the second observation begins.
fn used_between_the_observations(bug: Option<Bug>) -> Result<(), String> {
    on_virtual_time(async {
        let day = Day::quiet();
        let (environment, operator) = platform(&day)?;
        // Older than the unused grace.
        tokio::time::sleep(minutes(20)).await;
        let setup = Setup::new(environment, &day, bug);
        let Tools { clock, connection, log } = Tools::new(&setup, Actor::Worker(1), SignedDuration::ZERO);
        let observations = Arc::new(AtomicU32::new(0));
        let scaling = ScaleUpAtSecondObservation { operator: operator.clone(), observations: observations.clone() };
        let platform = Intercepted::new(connection, scaling);
        let context = Context::new(setup.scope, log, clock);
        let mut reconciler = Reconciler::new(ReconcilerParts {
            planner: planner(bug),
            ..ReconcilerParts::new(platform, context, setup.policy)
        });
        let marked = reconciler.reconcile(&Hints::default()).await;
        marked.map_err(|error| error.to_string())?;
        tokio::time::sleep(day.policy.idle_grace + seconds(1)).await;
        observations.store(0, Ordering::Relaxed);
        let reconciled = reconciler.reconcile(&Hints::default()).await;
        reconciled.map_err(|error| error.to_string())?;
        match operator.load_balancer() {
            Ok(Some(_)) if observations.load(Ordering::Relaxed) == 2 => Ok(()),
            found => Err(format!("{found:?} after {observations:?} observation(s)")),
        }
    })
}

/// A mark from before the last use, and a process that starts when the task begins to stop. The list of stopped tasks lags.
fn in_neither_list(bug: Option<Bug>) -> Result<(), String> {
    on_virtual_time(async {
        let day = Day::quiet();
        let (environment, operator) = platform(&day)?;
        // Older than the unused grace.
        tokio::time::sleep(minutes(20)).await;
        let setup = Setup::new(environment.clone(), &day, bug);
        let reconcile = || async {
            let Tools { clock, connection, log } = Tools::new(&setup, Actor::Worker(1), SignedDuration::ZERO);
            let context = Context::new(setup.scope.clone(), log, clock);
            let parts = ReconcilerParts::new(connection, context, setup.policy.clone());
            let lag = ecs_lag(bug, parts.ecs_lag);
            let mut reconciler = Reconciler::new(ReconcilerParts { ecs_lag: lag, ..parts });
            reconciler.reconcile(&Hints::default()).await.map_err(|error| error.to_string())
        };
        reconcile().await?;
        operator.scale(1).map_err(|error| error.to_string())?;
        tokio::time::sleep(minutes(10)).await;
        environment.with(|state, _| state.world.settings_mut().stopped_list_lag = seconds(9));
        operator.scale(0).map_err(|error| error.to_string())?;
        let runs = || {
            let services = environment.with(|state, _| state.world.services());
            services.iter().any(|service| service.name == day.policy.service && service.running > 0)
        };
        while runs() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        reconcile().await?;
        match operator.load_balancer() {
            Ok(Some(_)) => Ok(()),
            found => Err(format!("{found:?} after an observation while the task stops")),
        }
    })
}

/// An unused service whose announced stop is due, and a hold when the first observation ends.
fn held_between_the_observations(bug: Option<Bug>) -> Result<(), String> {
    on_virtual_time(async {
        let mut day = Day::quiet();
        let (after, notice, first_call_grace) = (minutes(5), minutes(1), minutes(5));
        let stop = Some(StopWhenUnused { after, notice, first_call_grace });
        day.policy.usage = UsagePolicy { observe: true, stop, ..UsagePolicy::OFF };
        let (environment, operator) = platform(&day)?;
        // The load balancer is active by then.
        tokio::time::sleep(minutes(5)).await;
        operator.scale(1).map_err(|error| error.to_string())?;
        let setup = Setup::new(environment.clone(), &day, bug);
        let Tools { clock, connection, log } = Tools::new(&setup, Actor::Worker(1), SignedDuration::ZERO);
        let observations = Arc::new(AtomicU32::new(u32::MAX / 2));
        let until = environment.now() + minutes(60);
        let holding = HoldAfterFirstObservation { operator, until, observations: observations.clone() };
        let context = Context::new(setup.scope, log, clock);
        let mut reconciler = Reconciler::new(ReconcilerParts {
            planner: planner(bug),
            ..ReconcilerParts::new(Intercepted::new(connection, holding), context, setup.policy)
        });
        let mut is_announced = false;
        for _ in 0..30 {
            let outcome = reconciler.reconcile(&Hints::default()).await.map_err(|error| error.to_string())?;
            is_announced = matches!(outcome.observed.plan.stop, StopAction::Announce { .. });
            if is_announced {
                break;
            }
            tokio::time::sleep(minutes(1)).await;
        }
        tokio::time::sleep(notice + seconds(1)).await;
        observations.store(0, Ordering::Relaxed);
        reconciler.reconcile(&Hints::default()).await.map_err(|error| error.to_string())?;
        let services = environment.with(|state, _| state.world.services());
        let desired = services.iter().find(|service| service.name == day.policy.service).map(|service| service.desired);
        match desired {
            Some(1) if is_announced && observations.load(Ordering::Relaxed) == 2 => Ok(()),
            found => Err(format!("{found:?} desired after {observations:?} observation(s), announced: {is_announced}")),
        }
    })
}

/// A task starts eight times, while each read of another service takes as long as it may.
fn beside_a_slow_service(bug: Option<Bug>) -> Result<(), String> {
    let (slow, used) = (0, 1);
    let kind = FailureKind::Slow;
    let mut schedule = vec![
        (minutes(1), slow, Action::Scale { tasks: 1 }),
        (minutes(1), used, Action::ScaleUp { tasks: 0, pace: seconds(1) }),
        (minutes(10), used, Action::Hold { time: minutes(5 * 60) }),
        (minutes(15), slow, Action::SetPlatformFaults(kind.plan())),
    ];
    for index in 0..8 {
        // At other times within the minute between two reconciliations of the slow service.
        let at = minutes(20) + (minutes(10) + seconds(7)) * index;
        schedule.push((at, used, Action::Scale { tasks: 1 }));
        schedule.push((at + minutes(5), used, Action::Scale { tasks: 0 }));
    }
    let platforms = vec![Day::quiet(), Day::quiet_of("meet")];
    let fleet = Fleet { seed: 1, platforms, failing: Failing { platform: slow, kind }, schedule };
    let history = fleet.play(Options { history: true, bug, ..Options::default() }).history;
    let times = |part: &str| -> Vec<Timestamp> {
        let lines = history.iter().filter(|line| line.contains(part));
        lines.map(|line| line.split(' ').next().expect("a time").parse().expect("an instant")).collect()
    };
    let registered = times("registered target");
    let starts = times("Scale { tasks: 1 } (meet)");
    // A task has its address after 14 seconds.
    let is_prompt = |at: &&Timestamp| registered.iter().any(|found| (**at..**at + seconds(20)).contains(found));
    match starts.iter().filter(is_prompt).count() {
        8 => Ok(()),
        prompt => Err(format!("{prompt} of {} tasks were registered within 20 s", starts.len())),
    }
}

struct HoldAfterFirstObservation {
    operator: Operator,
    until: Timestamp,
    observations: Arc<AtomicU32>,
}

impl Interceptor for HoldAfterFirstObservation {
    async fn before(&self, operation: Operation) {
        if operation == Operation::ListTasks && self.observations.fetch_add(1, Ordering::Relaxed) == 1 {
            self.operator.hold_until(self.until).expect("a load balancer");
        }
    }
}

struct ScaleUpAtSecondObservation {
    operator: Operator,
    observations: Arc<AtomicU32>,
}

impl Interceptor for ScaleUpAtSecondObservation {
    async fn before(&self, operation: Operation) {
        if operation == Operation::DescribeService && self.observations.fetch_add(1, Ordering::Relaxed) == 1 {
            self.operator.scale(1).expect("a service");
        }
    }
}
