//! Explores the scenarios of the model, and prints their sizes and the stories of the windows.

use std::process::ExitCode;
use std::time::Duration;

use jvb_watcher_model::bug::Bug;
use jvb_watcher_model::exploration::{explore, explore_for};
use jvb_watcher_model::model::TeardownModel;
use jvb_watcher_model::progress;
use jvb_watcher_model::scenario::Scenario;

const USAGE: &str = "usage: jvb-watcher-model [--limit SECONDS] [SCENARIO…] | bugs | progress SCENARIO…";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["bugs"] => bugs(),
        ["progress", names @ ..] if !names.is_empty() => each(names, check_progress),
        ["--limit", seconds, names @ ..] => match seconds.parse() {
            Ok(seconds) => scenarios(names, Duration::from_secs(seconds)),
            Err(_) => usage(),
        },
        names => scenarios(names, Duration::MAX),
    }
}

/// Does something with each of the scenarios that are named, or with all.
fn each(names: &[&str], mut run: impl FnMut(Scenario) -> bool) -> ExitCode {
    let named: Option<Vec<_>> = names.iter().map(|name| Scenario::named(name)).collect();
    let Some(named) = named else { return usage() };
    let scenarios = if named.is_empty() { Scenario::all() } else { named };
    let failed = scenarios.into_iter().map(&mut run).filter(|succeeds| !succeeds).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}\n");
    for scenario in Scenario::all() {
        eprintln!("  {:<10} {}", scenario.name, scenario.about);
    }
    ExitCode::from(2)
}

fn scenarios(names: &[&str], limit: Duration) -> ExitCode {
    each(names, |scenario| {
        println!("{}: {}", scenario.name, scenario.about);
        let found = explore_for(TeardownModel { scenario, bug: None }, limit);
        let end = if found.is_closed { "closed" } else { "not closed" };
        println!("  {end}: {} states, depth {}, {:.1} s", found.states, found.depth, found.took.as_secs_f64());
        for (window, story) in &found.windows {
            println!("\n  {window}:\n{story}");
        }
        if let Some(story) = &found.violation {
            println!("\n  A guarantee is broken:\n{story}");
        }
        found.violation.is_none()
    })
}

fn bugs() -> ExitCode {
    let mut exit = ExitCode::SUCCESS;
    for bug in Bug::ALL.iter().copied() {
        let Some(scenario) = Scenario::named(bug.scenario()) else { continue };
        let model = TeardownModel { scenario, bug: Some(bug) };
        let name = model.scenario.name;
        let found = explore(model.clone());
        let (states, depth, seconds) = (found.states, found.depth, found.took.as_secs_f64());
        match found.violation {
            Some(story) => {
                let end = story.lines().last().unwrap_or_default().trim().to_owned();
                println!("{bug} in {name}: depth {depth}, {states} states, {seconds:.1} s: {end}");
            }
            None => {
                let stuck = progress::check(&model).stuck;
                println!("{bug} in {name}: {states} states, {seconds:.1} s: {stuck} states without progress");
                if stuck == 0 {
                    exit = ExitCode::FAILURE;
                }
            }
        }
    }
    exit
}

fn check_progress(scenario: Scenario) -> bool {
    let name = scenario.name;
    let found = progress::check(&TeardownModel { scenario, bug: None });
    println!("{name}: {} states, {} ends, {} stuck", found.states, found.ends, found.stuck);
    if let Some(example) = &found.example {
        println!("{example:#?}");
    }
    found.stuck == 0
}
