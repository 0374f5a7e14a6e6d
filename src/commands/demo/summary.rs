//! The evening in figures.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::record::Record;
use crate::telemetry::log::millis;
use jvb_watcher_sandbox::scenario::Scenario;
use jvb_watcher_sandbox::wire::Sandbox;

/// What a network load balancer costs an hour in US East, its capacity units aside (see AWS's price list).
const DOLLARS_PER_HOUR: f64 = 0.0225;

/// The hours of a month, as AWS reckons.
const HOURS_PER_MONTH: f64 = 730.0;

/// The evenings of a month.
const EVENINGS_PER_MONTH: f64 = 30.0;

/// The evening in figures.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// What was played.
    title: String,
    /// Whether the world itself shows that the watcher did its whole job.
    verified: bool,
    /// What is left of what should be gone.
    left: Vec<String>,
    /// The tasks that served and never were registered.
    unregistered_tasks: Vec<String>,
    /// How long it took.
    duration_seconds: f64,
    /// How many times faster than on AWS things went.
    time_scale: f64,
    /// How many events ECS emitted.
    events_made: u64,
    /// How many messages they became on the queue.
    events_in: u64,
    /// How many calls the watcher made, refused ones and retries included.
    calls: u64,
    /// The same by operation.
    calls_by_operation: BTreeMap<String, u64>,
    /// How many tasks served.
    tasks: usize,
    /// How long it took from a task's RUNNING to its being in every target group.
    running_to_registered_ms: Option<Times>,
    /// The load balancer.
    load_balancer: Balancer,
}

/// Times of several, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Times {
    median: u64,
    worst: u64,
}

/// What became of the load balancer, and of the money.
#[derive(Debug, Serialize)]
struct Balancer {
    /// Whether none is left.
    gone: bool,
    /// How many there were.
    created: usize,
    /// How long they were there, on this machine's clock.
    uptime_seconds: f64,
    /// How long that would have been on AWS.
    scaled_uptime_seconds: f64,
    /// What that would have cost.
    cost_usd: f64,
    /// What it costs to leave one on for a month.
    always_on_month_usd: f64,
    /// What is saved of that with an evening like this on every day.
    saved_month_usd: f64,
}

impl Summary {
    /// Puts the figures together.
    pub fn new(scenario: &Scenario, sandbox: &Sandbox, record: &Record, left: Vec<String>, duration: Duration) -> Self {
        let (counts, gone) = sandbox.with_world(|world, _| (world.event_counts(), world.load_balancers().is_empty()));
        let calls = sandbox.calls();
        let unregistered_tasks: Vec<String> = record.unregistered().into_iter().map(str::to_owned).collect();
        let (created, uptime) = record.balancers();
        let scaled_uptime_seconds = uptime.as_secs_f64() * scenario.time_scale;
        let cost_usd = scaled_uptime_seconds / 3600.0 * DOLLARS_PER_HOUR;
        let always_on_month_usd = HOURS_PER_MONTH * DOLLARS_PER_HOUR;
        Self {
            title: scenario.title.clone(),
            verified: left.is_empty() && unregistered_tasks.is_empty(),
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
            load_balancer: Balancer {
                gone,
                created,
                uptime_seconds: uptime.as_secs_f64(),
                scaled_uptime_seconds,
                cost_usd,
                always_on_month_usd,
                saved_month_usd: always_on_month_usd - EVENINGS_PER_MONTH * cost_usd,
            },
        }
    }

    /// Prints it: for a person, or as one JSON object on a line.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub fn print(&self, json: bool) -> io::Result<()> {
        let mut output = io::stdout().lock();
        if json {
            serde_json::to_writer(&mut output, self)?;
            writeln!(output)?;
        } else {
            self.tell(&mut output)?;
        }
        output.flush()
    }

    fn tell(&self, output: &mut impl Write) -> io::Result<()> {
        writeln!(output, "\n{}, in figures\n", self.title)?;
        let mut row = |name: &str, value: String| writeln!(output, "  {name:<27} {value}");
        row("events in", format!("{} on the queue, from {} that ECS emitted", self.events_in, self.events_made))?;
        row("calls by the watcher", self.calls.to_string())?;
        row("tasks that served", self.tasks.to_string())?;
        let times = self
            .running_to_registered_ms
            .map_or("-".to_owned(), |Times { median, worst }| format!("median {median} ms, worst {worst} ms"));
        row("RUNNING to registered", times)?;
        let Balancer { uptime_seconds, scaled_uptime_seconds, cost_usd, always_on_month_usd, saved_month_usd, .. } =
            self.load_balancer;
        let scaled = humantime::format_duration(Duration::from_secs(scaled_uptime_seconds.round() as u64));
        row("load balancer was up", format!("{uptime_seconds:.1} s, which stand for {scaled} on AWS"))?;
        row("which costs", format!("${cost_usd:.4} at ${DOLLARS_PER_HOUR} an hour"))?;
        let a_month = format!("${saved_month_usd:.2} of ${always_on_month_usd:.2} a month, one evening a day");
        row("saved by not leaving it on", a_month)?;
        match self.verdict() {
            Ok(()) => writeln!(
                output,
                "\nVerified against the small AWS itself:\nevery task that served was registered, and nothing is left."
            ),
            Err(why) => writeln!(output, "\nNot verified: {why}."),
        }
    }

    /// Whether the watcher did its whole job.
    ///
    /// # Errors
    ///
    /// What it left undone.
    pub fn verdict(&self) -> Result<(), String> {
        let missed = self.unregistered_tasks.iter().map(|task| format!("task {task} served and never was registered"));
        let faults: Vec<String> = self.left.iter().cloned().chain(missed).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }
}

/// The median and the worst of times in rising order.
fn times(rising: &[Duration]) -> Option<Times> {
    let (middle, worst) = (rising.get(rising.len() / 2)?, rising.last()?);
    Some(Times { median: millis(*middle), worst: millis(*worst) })
}
