//! Scenarios: timed steps that a TOML file describes, played on a running sandbox.
//!
//! ```toml
//! title = "One task"
//! time-scale = 20            # what takes a minute on AWS takes three seconds
//!
//! [world]                    # settings that differ from AWS's, before scaling (see `Settings`)
//! tasks = { pending = "10s" }
//!
//! [watcher]                  # settings of the program under test; not scaled
//! idle-grace = "2s"
//!
//! [[step]]
//! at = "0s"                  # since the start of the scenario; not scaled
//! say = "An operator opens a room."
//! create-load-balancer = true
//!
//! [[step]]
//! at = "500ms"
//! say = "The service scales to one task."
//! scale = 1
//! ```
//!
//! A step prints a sentence (`say`), takes one action, or both. The actions are `create-load-balancer = true`,
//! `delete-load-balancer = true`, `scale = N`, `act = { … }` (see [`Incident`]), `faults = { … }` (a whole
//! [`FaultPlan`]; an empty one removes all faults), `settings = { … }` (members of [`Settings`] to change) and
//! `advance = "10m"` (sets the clock ahead, a minute each second: the minutes of CloudWatch aren't scaled).

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::duration;
use crate::faults::FaultPlan;
use crate::world::{Incident, Settings};

mod parse;
mod play;
#[cfg(test)]
mod tests;

pub use play::{PlayError, play};

/// The built-in scenario, which the demo plays.
const DEMO: &str = include_str!("../demo.toml");

/// Time by which [`Action::Advance`] sets the clock ahead at once, and how often it does: clients see every minute.
const ADVANCE_STEP: Duration = Duration::from_secs(60);
const ADVANCE_INTERVAL: Duration = Duration::from_secs(1);

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Title, in a few words.
    pub title: String,
    /// Factor by which AWS's delays are divided.
    pub time_scale: f64,
    /// Settings of the world, before scaling.
    pub world: Settings,
    /// Settings of the program under test.
    pub watcher: WatcherSettings,
    /// Steps, in order of time.
    pub steps: Vec<Step>,
}

/// Settings that a scenario passes on to the program under test. The sandbox itself doesn't use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct WatcherSettings {
    /// `--idle-grace`. Default: 60 s.
    #[serde(with = "duration")]
    pub idle_grace: Duration,
    /// `--unused-grace`. Default: 15 min.
    #[serde(with = "duration")]
    pub unused_grace: Duration,
    /// `--resync-interval`. Default: 60 s.
    #[serde(with = "duration")]
    pub resync_interval: Duration,
    /// `--stop-when-unused`. Default: never.
    #[serde(with = "duration::optional")]
    pub stop_when_unused: Option<Duration>,
    /// `--stop-notice`. Default: 2 min.
    #[serde(with = "duration")]
    pub stop_notice: Duration,
    /// `--first-call-grace`. Default: 30 min.
    #[serde(with = "duration")]
    pub first_call_grace: Duration,
}

impl Default for WatcherSettings {
    fn default() -> Self {
        Self {
            idle_grace: Duration::from_secs(60),
            unused_grace: Duration::from_secs(15 * 60),
            resync_interval: Duration::from_secs(60),
            stop_when_unused: None,
            stop_notice: Duration::from_secs(2 * 60),
            first_call_grace: Duration::from_secs(30 * 60),
        }
    }
}

/// A step of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Time since the start of the scenario.
    pub at: Duration,
    /// Sentence for the audience.
    pub say: Option<String>,
    /// Action on the sandbox.
    pub action: Option<Action>,
}

/// Action of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Creates the load balancer with its target groups and listeners, as a scale-up does.
    CreateLoadBalancer,
    /// Deletes the load balancer and its target groups, as an operator does by hand.
    DeleteLoadBalancer,
    /// Sets the desired count of the service.
    Scale(u32),
    /// Injects an incident.
    Incident(Incident),
    /// Replaces the fault plan.
    Faults(FaultPlan),
    /// Changes settings of the world.
    Settings(Value),
    /// Lets minutes pass, one a second.
    Advance(Duration),
}

impl Step {
    /// Returns the time of the step's end since the start of the scenario.
    fn ends_at(&self) -> Duration {
        match self.action {
            Some(Action::Advance(by)) => {
                let steps = u32::try_from(by.as_nanos().div_ceil(ADVANCE_STEP.as_nanos())).unwrap_or(u32::MAX);
                self.at.saturating_add(ADVANCE_INTERVAL.saturating_mul(steps))
            }
            _ => self.at,
        }
    }
}

/// Error of a scenario file.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file can't be read.
    #[error("{file}: it can't be read: {error}")]
    Unreadable {
        /// Path of the file.
        file: String,
        /// Cause.
        error: std::io::Error,
    },
    /// The file is invalid.
    #[error("{file}, line {line}: {problem}")]
    Invalid {
        /// Path of the file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// The problem and its remedy.
        problem: String,
    },
}

impl Scenario {
    /// Returns the built-in scenario.
    ///
    /// # Errors
    ///
    /// Never returns an error, as a test asserts.
    pub fn demo() -> Result<Self, ScenarioError> {
        Self::parse("demo.toml", DEMO)
    }

    /// Reads a scenario from a file.
    ///
    /// # Errors
    ///
    /// Returns an error when the file can't be read or is invalid.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&file, &text),
            Err(error) => Err(ScenarioError::Unreadable { file, error }),
        }
    }

    /// Parses the text of a scenario file.
    ///
    /// # Errors
    ///
    /// Returns an error when the text is invalid.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        parse::scenario(text).map_err(|error| ScenarioError::Invalid {
            file: file.to_owned(),
            line: error.line(text),
            problem: error.problem,
        })
    }

    /// Returns the settings of the world, scaled.
    pub fn scaled_world(&self) -> Settings {
        self.world.clone().scaled(self.time_scale)
    }

    /// Returns the time of the end of the last step.
    pub fn length(&self) -> Duration {
        self.steps.last().map_or(Duration::ZERO, Step::ends_at)
    }
}
