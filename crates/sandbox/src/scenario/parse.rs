//! Parser of scenario files: TOML, with errors that name their line.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use super::{Action, Scenario, Step, WatcherSettings};
use crate::duration;
use crate::faults::FaultPlan;
use crate::world::{Incident, Settings};

/// Range of the watcher's settings, which the options of the program share.
const WATCHER_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

/// Shortest time without use after which the program under test stops a service.
const SHORTEST_STOP_WINDOW: Duration = Duration::from_secs(5 * 60);

/// ECS's quota of tasks of a service.
const MAX_TASKS: u32 = 5_000;

/// An error in the text, at a byte offset.
pub(super) struct ParseError {
    at: usize,
    pub(super) problem: String,
}

impl ParseError {
    fn new<T>(at: &Spanned<T>, problem: impl Into<String>) -> Self {
        Self { at: at.span().start, problem: problem.into() }
    }

    /// Returns the line of the error in the text, from 1.
    pub(super) fn line(&self, text: &str) -> usize {
        text.bytes().take(self.at).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// The members of a scenario file.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawScenario {
    title: String,
    #[serde(default = "unscaled")]
    time_scale: Spanned<f64>,
    #[serde(default)]
    world: Settings,
    #[serde(default = "default_watcher")]
    watcher: Spanned<WatcherSettings>,
    #[serde(default)]
    step: Vec<Spanned<RawStep>>,
}

fn unscaled() -> Spanned<f64> {
    Spanned::new(0..0, 1.0)
}

fn default_watcher() -> Spanned<WatcherSettings> {
    Spanned::new(0..0, WatcherSettings::default())
}

/// The members of a step.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawStep {
    #[serde(with = "duration")]
    at: Duration,
    say: Option<String>,
    create_load_balancer: Option<Spanned<bool>>,
    delete_load_balancer: Option<Spanned<bool>>,
    scale: Option<Spanned<u32>>,
    act: Option<Incident>,
    faults: Option<Spanned<FaultPlan>>,
    settings: Option<Spanned<Value>>,
    #[serde(with = "duration::optional", default)]
    advance: Option<Duration>,
}

pub(super) fn scenario(text: &str) -> Result<Scenario, ParseError> {
    let raw: RawScenario = toml::from_str(text).map_err(|error| ParseError {
        at: error.span().map_or(0, |span| span.start),
        problem: error.message().trim_end().replace('\n', "; "),
    })?;
    let time_scale = *raw.time_scale.get_ref();
    if !(0.001..=1e8).contains(&time_scale) {
        return Err(ParseError::new(&raw.time_scale, "the time-scale must be from 0.001 to 100000000"));
    }
    let watcher = *raw.watcher.get_ref();
    let WatcherSettings { idle_grace, unused_grace, resync_interval, stop_when_unused, stop_notice, first_call_grace } =
        watcher;
    let durations = [idle_grace, unused_grace, resync_interval, stop_notice, first_call_grace];
    if !durations.into_iter().chain(stop_when_unused).all(|duration| WATCHER_RANGE.contains(&duration)) {
        return Err(ParseError::new(&raw.watcher, "the watcher's settings must be from 1s to 24h"));
    }
    if stop_when_unused.is_some_and(|window| window < SHORTEST_STOP_WINDOW) {
        return Err(ParseError::new(&raw.watcher, "stop-when-unused must be from 5m to 24h"));
    }
    let mut steps: Vec<Step> = Vec::with_capacity(raw.step.len());
    for raw in raw.step {
        let at = raw.span().start;
        let step = step(raw.into_inner(), at)?;
        if let Some(before) = steps.last().filter(|before| step.at < before.at) {
            let [this, that] = [step.at, before.at].map(humantime::format_duration);
            let problem = format!("this step is at {this}, the one before it at {that}; sort the steps by time");
            return Err(ParseError { at, problem });
        }
        if let Some(ends_at) = steps.last().map(Step::ends_at).filter(|ends_at| step.at < *ends_at) {
            let [this, ends_at] = [step.at, ends_at].map(humantime::format_duration);
            let problem = format!("this step is at {this}, and the minutes of the one before it pass until {ends_at}");
            return Err(ParseError { at, problem });
        }
        steps.push(step);
    }
    if steps.is_empty() {
        return Err(ParseError { at: text.len(), problem: "the scenario has no steps; add a [[step]]".to_owned() });
    }
    Ok(Scenario { title: raw.title, time_scale, world: raw.world, watcher, steps })
}

fn step(raw: RawStep, at: usize) -> Result<Step, ParseError> {
    let create = raw.create_load_balancer.map(|flag| flag_action(&flag, Action::CreateLoadBalancer)).transpose()?;
    let delete = raw.delete_load_balancer.map(|flag| flag_action(&flag, Action::DeleteLoadBalancer)).transpose()?;
    let scale = raw.scale.map(scale).transpose()?;
    let faults = raw.faults.map(faults).transpose()?;
    let settings = raw.settings.map(settings).transpose()?;
    let actions =
        [create, delete, scale, raw.act.map(Action::Incident), faults, settings, raw.advance.map(Action::Advance)];
    let mut actions = actions.into_iter().flatten();
    let action = actions.next();
    if actions.next().is_some() {
        let problem = "a step takes one action; split it into two steps at the same time";
        return Err(ParseError { at, problem: problem.to_owned() });
    }
    if action.is_none() && raw.say.is_none() {
        let problem = "the step has neither a sentence nor an action; add say, create-load-balancer, \
                       delete-load-balancer, scale, act, faults, settings or advance";
        return Err(ParseError { at, problem: problem.to_owned() });
    }
    Ok(Step { at: raw.at, say: raw.say, action })
}

fn flag_action(flag: &Spanned<bool>, action: Action) -> Result<Action, ParseError> {
    if *flag.get_ref() {
        Ok(action)
    } else {
        Err(ParseError::new(flag, "only true is valid; remove the line for no action"))
    }
}

fn scale(tasks: Spanned<u32>) -> Result<Action, ParseError> {
    if *tasks.get_ref() > MAX_TASKS {
        return Err(ParseError::new(&tasks, format!("a service has at most {MAX_TASKS} tasks")));
    }
    Ok(Action::Scale(tasks.into_inner()))
}

fn faults(plan: Spanned<FaultPlan>) -> Result<Action, ParseError> {
    plan.get_ref().check().map_err(|error| ParseError::new(&plan, error.to_string()))?;
    Ok(Action::Faults(plan.into_inner()))
}

fn settings(patch: Spanned<Value>) -> Result<Action, ParseError> {
    let patched = Settings::default().patched(patch.get_ref().clone());
    patched.map_err(|error| ParseError::new(&patch, error.to_string()))?;
    Ok(Action::Settings(patch.into_inner()))
}
