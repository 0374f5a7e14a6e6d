//! What happens when in a sandbox, as a TOML file says it:
//!
//! ```toml
//! title = "One task"
//! time-scale = 20            # what takes a minute on AWS takes three seconds
//!
//! [world]                    # how this AWS differs from AWS's usual ways, before the scale (see `Settings`)
//! tasks = { pending = "10s" }
//!
//! [watcher]                  # how patient the watcher is; its times are not scaled
//! idle-grace = "2s"
//!
//! [[step]]
//! at = "0s"                  # since the beginning, not scaled either
//! say = "Somebody opens a room."
//! create-load-balancer = true
//!
//! [[step]]
//! at = "500ms"
//! say = "One task is wanted."
//! scale = 1
//! ```
//!
//! A step says a sentence, does one thing, or both. What it may do: `create-load-balancer = true`,
//! `delete-load-balancer = true`, `scale = N`, `act = { … }` (see [`Incident`]), `faults = { … }` (a whole [`FaultPlan`];
//! an empty one ends all faults), `settings = { … }` (a part of [`Settings`]; the rest stays).

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use toml::Spanned;

use super::faults::{FaultPlan, Faults};
use super::patch::patched;
use super::world::{Incident, Settings};

mod load_balancer;
mod play;
#[cfg(test)]
mod tests;

pub use play::{PlayError, play};

/// The evening that the demo plays.
const EVENING: &str = include_str!("../../../fixtures/scenarios/evening.toml");

/// The options of the watcher take no shorter and no longer times.
const WATCHERS: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(24 * 60 * 60 + 1);

/// The service can't be told to run more: so many ECS allows a service to have.
const MOST_TASKS: u32 = 5_000;

/// What happens when.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is about, in a few words.
    pub title: String,
    /// How many times faster than on AWS everything goes that takes its time there.
    pub time_scale: f64,
    /// How this AWS behaves, before the scale.
    pub world: Settings,
    /// How patient the watcher is.
    pub watcher: WatcherSettings,
    /// What happens, in the order of time.
    pub steps: Vec<Step>,
}

/// How patient the watcher is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct WatcherSettings {
    /// As `--idle-grace`. Default: 60 s.
    #[serde(deserialize_with = "duration")]
    pub idle_grace: Duration,
    /// As `--unused-grace`. Default: 15 min.
    #[serde(deserialize_with = "duration")]
    pub unused_grace: Duration,
    /// As `--resync-interval`. Default: 60 s.
    #[serde(deserialize_with = "duration")]
    pub resync_interval: Duration,
}

impl Default for WatcherSettings {
    fn default() -> Self {
        Self {
            idle_grace: Duration::from_secs(60),
            unused_grace: Duration::from_secs(15 * 60),
            resync_interval: Duration::from_secs(60),
        }
    }
}

/// Something that is said or done at some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When, since the beginning.
    pub at: Duration,
    /// A sentence for those who watch.
    pub say: Option<String>,
    /// What is done.
    pub action: Option<Action>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Makes the load balancer, its target groups and its listeners, as a scale-up does.
    CreateLoadBalancer,
    /// Deletes them, as a person might.
    DeleteLoadBalancer,
    /// Sets how many tasks the service should have.
    Scale(u32),
    /// Has something befall the world.
    Incident(Incident),
    /// Puts another plan of faults to work.
    Faults(FaultPlan),
    /// Changes how the world behaves from now on.
    Settings(Value),
}

/// What is wrong with a scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file can't be read.
    #[error("{file}: it can't be read: {error}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// Something in it won't do.
    #[error("{file}, line {line}: {problem}")]
    Invalid {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl Scenario {
    /// The evening that is built in.
    ///
    /// # Errors
    ///
    /// None, as a test shows.
    pub fn evening() -> Result<Self, ScenarioError> {
        Self::parse("evening.toml", EVENING)
    }

    /// Reads a scenario from a file.
    ///
    /// # Errors
    ///
    /// When it can't be read, or something in it won't do.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&file, &text),
            Err(error) => Err(ScenarioError::Unreadable { file, error }),
        }
    }

    /// Reads a scenario from the text of a file of that name.
    ///
    /// # Errors
    ///
    /// When something in it won't do.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        understand(text).map_err(|Problem { at, problem }| ScenarioError::Invalid {
            file: file.to_owned(),
            line: line_of(text, at),
            problem,
        })
    }

    /// How this AWS behaves, with the scale.
    pub fn scaled_world(&self) -> Settings {
        self.world.clone().scaled(self.time_scale)
    }

    /// When the last step happens.
    pub fn length(&self) -> Duration {
        self.steps.last().map_or(Duration::ZERO, |step| step.at)
    }
}

/// Something that won't do, and at which byte it stands.
struct Problem {
    at: usize,
    problem: String,
}

impl Problem {
    fn new<T>(at: &Spanned<T>, problem: impl Into<String>) -> Self {
        Self { at: at.span().start, problem: problem.into() }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    title: String,
    #[serde(default = "unscaled")]
    time_scale: Spanned<f64>,
    #[serde(default)]
    world: Settings,
    #[serde(default = "default_watcher")]
    watcher: Spanned<WatcherSettings>,
    #[serde(default)]
    step: Vec<Spanned<WrittenStep>>,
}

fn unscaled() -> Spanned<f64> {
    Spanned::new(0..0, 1.0)
}

fn default_watcher() -> Spanned<WatcherSettings> {
    Spanned::new(0..0, WatcherSettings::default())
}

/// A step as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenStep {
    #[serde(deserialize_with = "duration")]
    at: Duration,
    say: Option<String>,
    create_load_balancer: Option<Spanned<bool>>,
    delete_load_balancer: Option<Spanned<bool>>,
    scale: Option<Spanned<u32>>,
    act: Option<Incident>,
    faults: Option<Spanned<FaultPlan>>,
    settings: Option<Spanned<Value>>,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}; write it like \"500ms\" or \"2s\"")))
}

fn understand(text: &str) -> Result<Scenario, Problem> {
    let written: Written = toml::from_str(text).map_err(|error| Problem {
        at: error.span().map_or(0, |span| span.start),
        problem: error.message().trim_end().replace('\n', "; "),
    })?;
    let time_scale = *written.time_scale.get_ref();
    if !(0.001..=1e8).contains(&time_scale) {
        return Err(Problem::new(&written.time_scale, "the time-scale must be from 0.001 to 100000000"));
    }
    let watcher = *written.watcher.get_ref();
    if [watcher.idle_grace, watcher.unused_grace, watcher.resync_interval].iter().any(|time| !WATCHERS.contains(time)) {
        return Err(Problem::new(&written.watcher, "the watcher's times must be from 1s to 24h"));
    }
    let mut steps: Vec<Step> = Vec::with_capacity(written.step.len());
    for step in written.step {
        let at = step.span().start;
        let step = understand_step(step.into_inner(), at)?;
        if let Some(before) = steps.last().filter(|before| step.at < before.at) {
            let [this, that] = [step.at, before.at].map(humantime::format_duration);
            let problem = format!("this step is at {this}, the one before it at {that}; put them in the order of time");
            return Err(Problem { at, problem });
        }
        steps.push(step);
    }
    if steps.is_empty() {
        return Err(Problem { at: text.len(), problem: "nothing happens; add a [[step]]".to_owned() });
    }
    Ok(Scenario { title: written.title, time_scale, world: written.world, watcher, steps })
}

fn understand_step(step: WrittenStep, at: usize) -> Result<Step, Problem> {
    let create = step.create_load_balancer.map(|yes| only_true(&yes, Action::CreateLoadBalancer)).transpose()?;
    let delete = step.delete_load_balancer.map(|yes| only_true(&yes, Action::DeleteLoadBalancer)).transpose()?;
    let scale = step.scale.map(scale).transpose()?;
    let faults = step.faults.map(faults).transpose()?;
    let settings = step.settings.map(settings).transpose()?;
    let actions = [create, delete, scale, step.act.map(Action::Incident), faults, settings];
    let mut actions = actions.into_iter().flatten();
    let action = actions.next();
    if actions.next().is_some() {
        return Err(Problem { at, problem: "a step does one thing; make two steps at the same time of it".to_owned() });
    }
    if action.is_none() && step.say.is_none() {
        let problem = "this step neither says nor does anything; give it say, create-load-balancer, \
                       delete-load-balancer, scale, act, faults or settings";
        return Err(Problem { at, problem: problem.to_owned() });
    }
    Ok(Step { at: step.at, say: step.say, action })
}

fn only_true(yes: &Spanned<bool>, action: Action) -> Result<Action, Problem> {
    match yes.get_ref() {
        true => Ok(action),
        false => Err(Problem::new(yes, "it can only be true; leave it out where nothing is to be done")),
    }
}

fn scale(tasks: Spanned<u32>) -> Result<Action, Problem> {
    if *tasks.get_ref() > MOST_TASKS {
        return Err(Problem::new(&tasks, format!("a service has at most {MOST_TASKS} tasks")));
    }
    Ok(Action::Scale(tasks.into_inner()))
}

fn faults(plan: Spanned<FaultPlan>) -> Result<Action, Problem> {
    // Only a plan that is put to work is checked as a whole; this one is thrown away.
    let checked = Faults::new(0).set(plan.get_ref().clone());
    checked.map_err(|error| Problem::new(&plan, error.to_string()))?;
    Ok(Action::Faults(plan.into_inner()))
}

fn settings(patch: Spanned<Value>) -> Result<Action, Problem> {
    let checked = patched(&Settings::default(), patch.get_ref().clone());
    checked.map_err(|error| Problem::new(&patch, error.to_string()))?;
    Ok(Action::Settings(patch.into_inner()))
}

/// The number, from 1, of the line in which a byte stands.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
