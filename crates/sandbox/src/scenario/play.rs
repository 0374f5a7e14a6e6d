//! A scenario at work: each step at its time, done to a sandbox past its wire and its faults.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::{Action, Scenario, Step, load_balancer};
use crate::api::{ApiError, Request, ecs};
use crate::patch::patched;
use crate::platform::PROJECT;
use crate::wire::Sandbox;
use crate::world::Settings;

/// How often to ask whether target groups can be deleted.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Why a scenario wasn't played to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The world refused a step.
    #[error("the scenario's step at {} failed: {problem}", humantime::format_duration(*at))]
    Refused {
        /// When the step was.
        at: Duration,
        /// What was wrong.
        problem: String,
    },
    /// A step couldn't be told.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Plays a scenario to its last step; each is told as it begins.
///
/// # Errors
///
/// When the world refuses a step, or it couldn't be told.
pub async fn play(
    scenario: &Scenario,
    sandbox: &Sandbox,
    mut tell: impl FnMut(&Step) -> io::Result<()>,
) -> Result<(), PlayError> {
    let began = Instant::now();
    // Parts of the settings go over what was written, not over what was scaled, so that they are scaled once.
    let mut unscaled = scenario.world.clone();
    for step in &scenario.steps {
        tokio::time::sleep_until(began + step.at).await;
        tell(step)?;
        if let Some(action) = &step.action {
            let done = perform(action, scenario.time_scale, &mut unscaled, sandbox).await;
            done.map_err(|problem| PlayError::Refused { at: step.at, problem })?;
        }
    }
    Ok(())
}

async fn perform(action: &Action, time_scale: f64, unscaled: &mut Settings, sandbox: &Sandbox) -> Result<(), String> {
    match action {
        Action::CreateLoadBalancer => sandbox.with_world(load_balancer::create).map_err(|error| error.to_string()),
        Action::DeleteLoadBalancer => delete(sandbox).await.map_err(|error| error.to_string()),
        Action::Scale(tasks) => scale(*tasks, sandbox).map_err(|error| error.to_string()),
        Action::Incident(incident) => {
            sandbox.with_world(|world, now| world.inject(incident.clone(), now)).map_err(|error| error.to_string())
        }
        Action::Faults(plan) => sandbox.faults(|faults| faults.set(plan.clone())).map_err(|error| error.to_string()),
        Action::Settings(patch) => {
            *unscaled = patched(unscaled, patch.clone()).map_err(|error| error.to_string())?;
            let scaled = unscaled.clone().scaled(time_scale);
            sandbox.with_world(|world, _| {
                let endpoint = world.settings_mut().endpoint.clone();
                *world.settings_mut() = Settings { endpoint, ..scaled };
            });
            Ok(())
        }
    }
}

async fn delete(sandbox: &Sandbox) -> Result<(), ApiError> {
    sandbox.with_world(load_balancer::delete)?;
    loop {
        match sandbox.with_world(load_balancer::delete_groups) {
            // For a while after its listener has gone.
            Err(error) if error.code == "ResourceInUse" => tokio::time::sleep(BETWEEN_TRIES).await,
            done => return done,
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
