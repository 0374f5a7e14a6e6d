//! The evening's figures.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use jvb_watcher_cost::{Bill, Item, Model, Platform};

use super::record::Record;
use super::usage::{self, Stopped};
use crate::telemetry::log::millis;
use jvb_watcher_sandbox::scenario::Scenario;
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{CallEvent, World};

/// The evenings of a month.
const EVENINGS_PER_MONTH: f64 = 30.0;

/// The evening's figures.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The scenario's title.
    title: String,
    /// True if the sandbox's state shows that the watcher did its whole job.
    verified: bool,
    /// The resources that are left and should not be.
    left: Vec<String>,
    /// The tasks that served and were never registered.
    unregistered_tasks: Vec<String>,
    /// The duration of the evening.
    duration_seconds: f64,
    /// The factor by which everything was faster than on AWS.
    time_scale: f64,
    /// The number of events that ECS emitted.
    events_made: u64,
    /// The number of messages that reached the queue.
    events_in: u64,
    /// The number of calls of the watcher, refused calls and retries included.
    calls: u64,
    /// The same by operation.
    calls_by_operation: BTreeMap<String, u64>,
    /// The number of tasks that served.
    tasks: usize,
    /// The time from a task's RUNNING to its registration in every target group.
    running_to_registered_ms: Option<Times>,
    /// The callers.
    callers: Callers,
    /// The load balancer.
    load_balancer: LoadBalancer,
    /// The stop of the service, if the watcher stopped it because it was unused.
    stop_for_disuse: Option<Stop>,
}

/// A stop of the service for disuse, on AWS's clock.
#[derive(Debug, Serialize)]
struct Stop {
    /// The time without use before it.
    unused_seconds: u64,
    /// The time from its announcement.
    announced_seconds_before: u64,
}

/// The callers and their calls.
#[derive(Debug, Serialize)]
struct Callers {
    /// The number of callers.
    count: usize,
    /// The callers who never joined, by number.
    never_joined: Vec<u32>,
    /// The number of times that a caller joined.
    joined: usize,
    /// The number of calls that ended before the caller left.
    dropped: usize,
    /// The number of times that a caller began to be unable to sign in.
    no_sign_in: usize,
    /// The number of times that a caller began to be without media after the sign-in.
    no_media: usize,
}

impl Callers {
    fn of(world: &World) -> Self {
        let history = world.call_history();
        let all: BTreeSet<u32> = history.iter().map(|change| change.caller).collect();
        let joined = history.iter().filter(|change| change.event == CallEvent::Joined).map(|change| change.caller);
        let joined: BTreeSet<u32> = joined.collect();
        let counts = world.call_counts();
        Self {
            count: all.len(),
            never_joined: all.difference(&joined).copied().collect(),
            joined: counts.joined,
            dropped: counts.dropped,
            no_sign_in: counts.no_sign_in,
            no_media: counts.no_media,
        }
    }
}

/// Statistics of several times, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Times {
    median: u64,
    worst: u64,
}

/// The load balancer's uptime and cost.
#[derive(Debug, Serialize)]
struct LoadBalancer {
    /// True if no load balancer is left.
    gone: bool,
    /// The number of load balancers created.
    created: usize,
    /// The uptime, on this machine's clock.
    uptime_seconds: f64,
    /// The same at AWS's speed.
    scaled_uptime_seconds: f64,
    /// The hours that AWS would bill for each load balancer of that uptime, together.
    billed_hours: f64,
    /// The cost of that uptime, with the load balancer's public IPv4 address.
    cost_usd: f64,
    /// The cost of a load balancer for a month.
    always_on_month_usd: f64,
    /// The part of it that is saved with one such evening a day.
    saved_month_usd: f64,
}

impl Summary {
    /// Computes the figures.
    pub fn new(
        scenario: &Scenario,
        sandbox: &Sandbox,
        record: &Record,
        stopped: Option<Stopped>,
        left: Vec<String>,
        duration: Duration,
    ) -> Self {
        let (counts, callers, gone, region) = sandbox.with_world(|world, _| {
            let gone = world.load_balancers().is_empty();
            (world.event_counts(), Callers::of(world), gone, world.settings().region.clone())
        });
        let calls = sandbox.calls();
        let unregistered_tasks: Vec<String> = record.unregistered().into_iter().map(str::to_owned).collect();
        let (created, uptime) = record.load_balancers();
        // The minutes that passed at once aren't scaled.
        let scaled_uptime_seconds = uptime.played.as_secs_f64() * scenario.time_scale + uptime.advanced.as_secs_f64();
        let model = Model::new(&region, Platform::EXAMPLE);
        // Each is billed for the hours that it began, of the same share of the uptime.
        let each = scaled_uptime_seconds / f64::from(u32::try_from(created.max(1)).unwrap_or(u32::MAX));
        let bill = model.load_balancer(Duration::from_secs_f64(each));
        let bill = (0..created).fold(Bill::default(), |sum, _| sum.and(&bill));
        let cost_usd = bill.total();
        let billed_hours = bill.quantity(Item::LoadBalancer);
        let always_on_month_usd = model.load_balancer_month().total();
        Self {
            title: scenario.title.clone(),
            verified: left.is_empty() && unregistered_tasks.is_empty() && callers.never_joined.is_empty(),
            left,
            unregistered_tasks,
            duration_seconds: duration.as_secs_f64(),
            time_scale: scenario.time_scale,
            events_made: counts.made,
            events_in: counts.delivered,
            calls: calls.values().sum(),
            calls_by_operation: calls,
            tasks: record.tasks(),
            running_to_registered_ms: times(&record.registrations()),
            callers,
            load_balancer: LoadBalancer {
                gone,
                created,
                uptime_seconds: uptime.played.as_secs_f64(),
                scaled_uptime_seconds,
                billed_hours,
                cost_usd,
                always_on_month_usd,
                saved_month_usd: always_on_month_usd - EVENINGS_PER_MONTH * cost_usd,
            },
            stop_for_disuse: stopped.map(|stopped| Stop {
                unused_seconds: stopped.unused_for.as_secs(),
                announced_seconds_before: stopped.announced_ahead.as_secs(),
            }),
        }
    }

    /// Prints the figures, as text or as one JSON object on a line.
    ///
    /// # Errors
    ///
    /// Returns an error if standard output can't be written.
    pub fn print(&self, json: bool) -> io::Result<()> {
        let mut output = io::stdout().lock();
        if json {
            serde_json::to_writer(&mut output, self)?;
            writeln!(output)?;
        } else {
            self.write(&mut output)?;
        }
        output.flush()
    }

    fn write(&self, output: &mut impl Write) -> io::Result<()> {
        writeln!(output, "\n{}: figures\n", self.title)?;
        let mut row = |name: &str, value: String| writeln!(output, "  {name:<27} {value}");
        row("events in", format!("{} on the queue, from {} that ECS emitted", self.events_in, self.events_made))?;
        row("calls by the watcher", self.calls.to_string())?;
        row("tasks that served", self.tasks.to_string())?;
        let times = self
            .running_to_registered_ms
            .map_or("-".to_owned(), |Times { median, worst }| format!("median {median} ms, worst {worst} ms"));
        row("RUNNING to registered", times)?;
        let Callers { count, joined, dropped, no_sign_in, no_media, .. } = self.callers;
        if count > 0 {
            row("callers", format!("{count}, who joined {joined} times by name; {dropped} calls were dropped"))?;
            row("kept out of the call", format!("{no_sign_in} times without sign-in, {no_media} times without media"))?;
        }
        if let Some(Stop { unused_seconds, announced_seconds_before }) = self.stop_for_disuse {
            let [unused, ahead] =
                [unused_seconds, announced_seconds_before].map(|seconds| usage::duration(Duration::from_secs(seconds)));
            row("stopped by the watcher", format!("after {unused} without use, announced {ahead} before"))?;
        }
        let LoadBalancer {
            uptime_seconds,
            scaled_uptime_seconds,
            billed_hours,
            cost_usd,
            always_on_month_usd,
            saved_month_usd,
            ..
        } = self.load_balancer;
        let scaled = humantime::format_duration(Duration::from_secs(scaled_uptime_seconds.round() as u64));
        let uptime = format!("{uptime_seconds:.1} s; {scaled} at AWS's speed, with the minutes that passed at once");
        row("load balancer uptime", uptime)?;
        row("its cost", format!("${cost_usd:.4}: {billed_hours} h billed, and its public address"))?;
        let a_month = format!("${saved_month_usd:.2} of ${always_on_month_usd:.2} a month, one evening a day");
        row("saved by running on demand", a_month)?;
        match self.verdict() {
            Ok(()) => {
                let callers = if count > 0 { " every caller joined," } else { "" };
                writeln!(
                    output,
                    "\nVerified against the sandbox:\nevery task that served was registered,{callers} and nothing is left."
                )
            }
            Err(why) => writeln!(output, "\nNot verified: {why}."),
        }
    }

    /// Judges whether the watcher did its whole job.
    ///
    /// # Errors
    ///
    /// Returns what the watcher missed, as a sentence.
    pub fn verdict(&self) -> Result<(), String> {
        let missed = self.unregistered_tasks.iter().map(|task| format!("task {task} served and was never registered"));
        let kept_out = self.callers.never_joined.iter().map(|caller| format!("caller {caller} never joined the call"));
        let faults: Vec<String> = self.left.iter().cloned().chain(missed).chain(kept_out).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }
}

/// Returns the median and the maximum of sorted times.
fn times(rising: &[Duration]) -> Option<Times> {
    let (middle, worst) = (rising.get(rising.len() / 2)?, rising.last()?);
    Some(Times { median: millis(*middle), worst: millis(*worst) })
}
