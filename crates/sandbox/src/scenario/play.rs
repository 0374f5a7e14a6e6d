//! Player of scenarios. Steps change the world directly, past the wire protocols and the faults.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::{ADVANCE_INTERVAL, ADVANCE_STEP, Action, Scenario, Step};
use crate::api::{ApiError, Request, ecs};
use crate::platform::{PROJECT, load_balancer};
use crate::wire::Sandbox;
use crate::world::{Settings, TaskView};

/// Time without requests after which clients are taken to wait. A client that is at work sends its next request sooner.
const QUIET: Duration = Duration::from_millis(100);

/// Longest wait for that.
const QUIET_LIMIT: Duration = Duration::from_secs(5);

/// Interval between attempts to delete target groups that are still in use.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Error of [`play`].
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The world refused a step.
    #[error("the scenario's step at {} failed: {problem}", humantime::format_duration(*at))]
    Refused {
        /// Time of the step.
        at: Duration,
        /// The world's error.
        problem: String,
    },
    /// The callback failed to report a step.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Plays a scenario to its last step. The callback reports each step as it begins.
///
/// # Errors
///
/// Returns an error when the world refuses a step or the callback fails.
pub async fn play(
    scenario: &Scenario,
    sandbox: &Sandbox,
    mut report: impl FnMut(&Step) -> io::Result<()>,
) -> Result<(), PlayError> {
    let began = Instant::now();
    // Patches apply to the unscaled settings, so that each value is scaled once.
    let mut unscaled = scenario.world.clone();
    for step in &scenario.steps {
        tokio::time::sleep_until(began + step.at).await;
        report(step)?;
        if let Some(action) = &step.action {
            let result = perform(action, scenario.time_scale, &mut unscaled, sandbox).await;
            result.map_err(|problem| PlayError::Refused { at: step.at, problem })?;
        }
    }
    Ok(())
}

async fn perform(action: &Action, time_scale: f64, unscaled: &mut Settings, sandbox: &Sandbox) -> Result<(), String> {
    match action {
        Action::CreateLoadBalancer => sandbox.with_world(load_balancer::create).map_err(|error| error.to_string()),
        Action::DeleteLoadBalancer => delete_load_balancer(sandbox).await.map_err(|error| error.to_string()),
        Action::Scale(tasks) => scale(*tasks, sandbox).map_err(|error| error.to_string()),
        Action::Incident(incident) => {
            sandbox.with_world(|world, now| world.inject(incident.clone(), now)).map_err(|error| error.to_string())
        }
        Action::Faults(plan) => sandbox.faults(|faults| faults.set(plan.clone())).map_err(|error| error.to_string()),
        Action::Advance(by) => {
            advance(*by, sandbox).await;
            Ok(())
        }
        Action::Settings(patch) => {
            *unscaled = unscaled.patched(patch.clone()).map_err(|error| error.to_string())?;
            let scaled = unscaled.clone().scaled(time_scale);
            sandbox.with_world(|world, _| {
                let endpoint = world.settings_mut().endpoint.clone();
                *world.settings_mut() = Settings { endpoint, ..scaled };
            });
            Ok(())
        }
    }
}

/// Sets the clock ahead minute by minute, while no client is in the middle of something: the answers that it rests on would
/// be a minute old. Nor while tasks start or stop, which a minute at once would cut short.
async fn advance(by: Duration, sandbox: &Sandbox) {
    let mut left = by;
    while !left.is_zero() {
        let next = Instant::now() + ADVANCE_INTERVAL;
        let _ = tokio::time::timeout(QUIET_LIMIT, until_quiet(sandbox)).await;
        let step = left.min(ADVANCE_STEP);
        sandbox.advance(step);
        left -= step;
        tokio::time::sleep_until(next).await;
    }
}

/// Waits until no request has arrived for a while, and no task is starting or stopping.
async fn until_quiet(sandbox: &Sandbox) {
    let count = || sandbox.calls().values().sum::<u64>();
    let is_settled = |task: &TaskView| task.last_status == task.desired_status;
    let mut before = count();
    loop {
        tokio::time::sleep(QUIET).await;
        let now = count();
        if now == before && sandbox.with_world(|world, _| world.tasks().iter().all(is_settled)) {
            return;
        }
        before = now;
    }
}

async fn delete_load_balancer(sandbox: &Sandbox) -> Result<(), ApiError> {
    sandbox.with_world(load_balancer::delete)?;
    loop {
        match sandbox.with_world(load_balancer::delete_groups) {
            // For a while after the deletion of the listener.
            Err(error) if error.code == "ResourceInUse" => tokio::time::sleep(RETRY_INTERVAL).await,
            result => return result,
        }
    }
}

fn scale(tasks: u32, sandbox: &Sandbox) -> Result<(), ApiError> {
    let input = ecs::UpdateServiceInput {
        cluster: Some(format!("{PROJECT}-cluster")),
        service: format!("{PROJECT}-service"),
        desired_count: Some(i32::try_from(tasks).unwrap_or(i32::MAX)),
        ..ecs::UpdateServiceInput::default()
    };
    let request = Request::Ecs(ecs::Request::UpdateService(input));
    sandbox.with_world(|world, now| world.call(request, now)).map(|_| ())
}
