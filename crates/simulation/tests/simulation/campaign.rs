//! Plays days from a range of seeds on all cores, and shows how to replay one that breaks a guarantee.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jvb_watcher_simulation::coverage::Coverage;
use jvb_watcher_simulation::day::{Day, Options, Report};

pub const WITH_HISTORY: Options = Options { history: true, bug: None, log: false };

/// A day that a seed determines: of one platform, or of a fleet.
pub trait Playable: Sized + Send {
    /// The environment variable that selects the day to replay.
    const REPLAY: &str;
    /// The test that replays it.
    const TEST: &str;

    fn draw(seed: u64) -> Self;
    fn seed(&self) -> u64;
    /// The number of actions in the schedule.
    fn actions(&self) -> usize;
    fn with_only(&self, kept: &[usize]) -> Self;
    fn play(&self, options: Options) -> Report;
    /// What distinguishes the day.
    fn title(&self) -> String;
}

impl Playable for Day {
    const REPLAY: &str = "JVB_WATCHER_SIMULATION_REPLAY";
    const TEST: &str = "days::replay";

    fn draw(seed: u64) -> Self {
        Self::draw(seed)
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn actions(&self) -> usize {
        self.schedule.len()
    }

    fn with_only(&self, kept: &[usize]) -> Self {
        self.with_only(kept)
    }

    fn play(&self, options: Options) -> Report {
        self.play(options)
    }

    fn title(&self) -> String {
        format!("seed {} ({:?})", self.seed, self.severity)
    }
}

/// The variables of a campaign, and what its days must reach.
pub struct Campaign {
    /// The variable that gives the number of days, and its default.
    pub days: (&'static str, u64),
    /// The variable that gives the first seed.
    pub first: &'static str,
    /// The moments and log lines that the days must reach: without them they prove little.
    pub required: &'static [&'static str],
}

impl Campaign {
    /// Plays the days.
    ///
    /// # Panics
    ///
    /// If one breaks a guarantee, or if the days by default don't reach all that is required.
    pub fn run<D: Playable>(&self) {
        let (variable, default) = self.days;
        let days = number(variable, default);
        let first = number(self.first, 1);
        let coverage = match play::<D>(first..first + days) {
            Ok(coverage) => coverage,
            Err(day) => {
                let (kept, report) = shorten(&*day);
                panic!("{} breaks a guarantee\n{}", day.title(), history(&*day, &kept, &report));
            }
        };
        println!("{coverage}");
        let missed: Vec<_> = self.required.iter().filter(|name| !coverage.includes(name)).collect();
        // Of as few days, not all reach every rare moment; those that run by default do.
        assert!(first > 1 || days < default || missed.is_empty(), "not covered: {missed:?}");
    }
}

/// Replays the day that the environment selects.
///
/// # Panics
///
/// If it breaks a guarantee.
pub fn replay<D: Playable>() {
    let text = std::env::var(D::REPLAY).unwrap_or_else(|_| "1".to_owned());
    let (seed, keep) = text.split_once("keep").map_or((text.as_str(), None), |(seed, keep)| (seed, Some(keep)));
    let day = D::draw(seed.trim().parse().expect("a seed, and optionally `keep` and the numbers of actions"));
    let all: Vec<usize> = (0..day.actions()).collect();
    let kept = keep.map_or(all, |keep| keep.split_whitespace().map(|n| n.parse().expect("a number")).collect());
    let report = day.with_only(&kept).play(WITH_HISTORY);
    println!("{}", history(&day, &kept, &report));
    assert!(report.violations.is_empty(), "{}", violations(&report));
}

/// Checks that a seed gives the same day twice.
///
/// # Panics
///
/// If it doesn't.
pub fn check_determinism<D: Playable>(seed: u64) {
    let (first, second) = (D::draw(seed).play(WITH_HISTORY), D::draw(seed).play(WITH_HISTORY));
    assert!(first.history.len() > 100, "hardly anything happened: {} lines", first.history.len());
    assert_eq!(first.history, second.history);
    assert_eq!(first.coverage, second.coverage);
}

pub fn violations(report: &Report) -> String {
    report.violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, not a number")),
        Err(_) => default,
    }
}

/// Plays days on all cores, until one breaks a guarantee.
fn play<D: Playable>(seeds: Range<u64>) -> Result<Coverage, Box<D>> {
    let next = AtomicU64::new(seeds.start);
    let outcome = Mutex::new((Coverage::default(), None::<D>));
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let day = D::draw(seed);
                    let report = day.play(Options::default());
                    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    outcome.0.add(&report.coverage);
                    if !report.violations.is_empty() {
                        next.store(seeds.end, Ordering::Relaxed);
                        // The lowest seed, so that a failing run names the same day again.
                        if outcome.1.as_ref().is_none_or(|day| day.seed() > seed) {
                            outcome.1 = Some(day);
                        }
                    }
                }
            });
        }
    });
    let (coverage, broken) = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    broken.map_or(Ok(coverage), |day| Err(Box::new(day)))
}

/// Removes actions from the schedule of a day that breaks a guarantee, as long as it still does.
fn shorten<D: Playable>(day: &D) -> (Vec<usize>, Report) {
    let mut kept: Vec<usize> = (0..day.actions()).collect();
    let mut report = day.play(WITH_HISTORY);
    let mut part = kept.len().div_ceil(2).max(1);
    loop {
        let mut begin = 0;
        while begin < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(begin..(begin + part).min(kept.len()));
            let shorter = day.with_only(&fewer).play(WITH_HISTORY);
            if shorter.violations.is_empty() {
                begin += part;
            } else {
                (kept, report) = (fewer, shorter);
            }
        }
        if part == 1 {
            return (kept, report);
        }
        part = part.div_ceil(2);
    }
}

fn history<D: Playable>(day: &D, kept: &[usize], report: &Report) -> String {
    let keep: String = kept.iter().map(|index| format!(" {index}")).collect();
    format!(
        "{}\n\n{}\n\nReplay it:\n{}=\"{} keep{keep}\" cargo test -p jvb-watcher-simulation {} -- --nocapture",
        report.history.join("\n"),
        violations(report),
        D::REPLAY,
        day.seed(),
        D::TEST,
    )
}
