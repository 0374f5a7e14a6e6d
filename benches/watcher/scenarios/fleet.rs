//! One worker for 1,000 services.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use jvb_watcher_benchmarks::journal::percentile;
use jvb_watcher_benchmarks::process::Process;
use jvb_watcher_benchmarks::stage::{Stage, cluster, registered};
use jvb_watcher_benchmarks::wait;
use jvb_watcher_sandbox::platform::PROJECT;

use super::Bench;
use crate::report::{Bar, Section};

const SERVICES: usize = 1_000;

/// Events a second, and how long they come.
const RATE: usize = 100;
const SECONDS: usize = 30;

/// A hundred times AWS's default quotas, which would allow some two events a second about services in use: an account with a
/// thousand load balancers has had its quotas raised, too.
const QUOTA_SHARE: &str = "100";

/// The calls of Elastic Load Balancing that share a quota.
const SHARED_QUOTA: &str = "elasticloadbalancing:Describe";

/// Why nothing of this can be measured.
pub const NO_CONFIG: &str = "this build has no option --config";

/// A worker for a thousand services.
pub struct Fleet {
    pub stage: Stage,
    pub process: Process,
}

impl Fleet {
    /// Starts the worker; none if the program has no `--config`.
    pub fn start(bench: &Bench) -> Option<Self> {
        let help = Command::new(&bench.program).args(["run", "--help"]).output().expect("the program can be run");
        if !String::from_utf8_lossy(&help.stdout).contains("--config") {
            return None;
        }
        let mut stage = Stage::new();
        let projects = stage.add_services(SERVICES);
        stage.register_tasks();
        let file = bench.target.join("benchmarks/fleet.toml");
        std::fs::create_dir_all(bench.target.join("benchmarks")).expect("the target directory is writable");
        std::fs::write(&file, config(&projects)).expect("the target directory is writable");
        let mut command = stage.command(&bench.program);
        // The project names the process; each service has its own.
        command.args(["run", "--project", PROJECT, "--quota-share", QUOTA_SHARE, "--config"]).arg(&file);
        Some(Self { process: Process::start(&mut command), stage })
    }

    /// Waits until each service has been reconciled and the worker polls.
    pub fn wait_until_at_rest(&self) {
        let health = || self.stage.calls("elasticloadbalancing:DescribeTargetHealth");
        wait::until("each service is reconciled", || (health() >= SERVICES as u64).then_some(()));
        let polls = self.stage.calls("sqs:ReceiveMessage");
        wait::until("the worker polls", || (self.stage.calls("sqs:ReceiveMessage") > polls).then_some(()));
    }
}

/// The list of the services in the form of `--config`.
fn config(projects: &[String]) -> String {
    projects.iter().fold(String::new(), |mut text, project| {
        let cluster = cluster();
        let _ = write!(
            text,
            "[[service]]\nproject = \"{project}\"\ncluster = \"{cluster}\"\nservice = \"{project}-service\"\n\
             load-balancer = \"{project}-jvb-nlb\"\n\n"
        );
        text
    })
}

pub fn run(bench: &Bench, section: &mut Section<'_>) {
    let share = format!("share of the machine's processors, {SERVICES} services, {RATE} events/s");
    let latency = "message visible to task registered, the 99th percentile";
    let Some(mut fleet) = Fleet::start(bench) else {
        section.not_measured(share, "%", NO_CONFIG).bar(Bar::AtMost(20.0));
        section.not_measured(latency, "ms", NO_CONFIG).bar(Bar::AtMost(1_000.0));
        return;
    };
    fleet.wait_until_at_rest();
    let before = fleet.process.usage();
    fleet.stage.record();
    let began = Instant::now();
    let mut sent = BTreeMap::new();
    let tasks = fleet.stage.tasks().iter().cycle().step_by(7).take(RATE * SECONDS);
    for (index, task) in tasks.enumerate() {
        let at = began + Duration::from_secs(1) * u32::try_from(index).expect("a small number") / RATE as u32;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        fleet.stage.deregister(task);
        sent.entry(task.address.to_string()).or_insert_with(Vec::new).push(fleet.stage.send_event(task));
    }
    let took = began.elapsed();
    fleet.stage.wait_until_drained();
    fleet.process.assert_running();
    let usage = fleet.process.usage();
    let journal = fleet.stage.journal();
    let mut registrations: BTreeMap<String, Vec<Instant>> = BTreeMap::new();
    for (addresses, ended) in registered(&journal) {
        for address in addresses {
            registrations.entry(address).or_default().push(ended);
        }
    }
    // A task whose event came while an earlier one was handled is registered once for both.
    let mut millis = Vec::new();
    for (address, times) in sent {
        for at in times {
            let ended = registrations.get(&address).and_then(|ends| ends.iter().filter(|ended| **ended >= at).min());
            let ended = ended.unwrap_or_else(|| panic!("{address} was not registered after its event"));
            millis.push(ended.saturating_duration_since(at).as_secs_f64() * 1_000.0);
        }
    }
    let processors = std::thread::available_parallelism().map_or(1, Into::into) as f64;
    let cpu = usage.cpu.saturating_sub(before.cpu).as_secs_f64();
    let described = journal.0.iter().filter(|call| call.operation.starts_with(SHARED_QUOTA)).count() as f64;
    section
        .row(share, cpu / took.as_secs_f64() / processors * 100.0, "%")
        .bar(Bar::AtMost(20.0))
        .note(format!(
            "over {} s, of {processors} processors, with {QUOTA_SHARE} times the default quotas",
            took.as_secs()
        ))
        .detail("peak memory, MiB", usage.peak as f64 / 1024.0)
        .detail("calls per event that share Elastic Load Balancing's quota", described / (RATE * SECONDS) as f64)
        .calls(&journal);
    section
        .row(latency, percentile(&millis, 0.99).unwrap_or_default(), "ms")
        .bar(Bar::AtMost(1_000.0))
        .detail("median, ms", percentile(&millis, 0.5));
}
