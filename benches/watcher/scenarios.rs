//! The scenarios. Each measures one thing and can be run alone.

use std::path::PathBuf;

use crate::report::Section;

mod drain;
mod fleet;
mod idle;
mod karpenter;
mod latency;
mod memory;
mod peers;
mod reconcile;
mod round_trips;
mod size;
mod start;

/// What every scenario needs.
pub struct Bench {
    /// The program to measure.
    pub program: PathBuf,
    /// The number of times that figures which vary are measured.
    pub rounds: usize,
    /// The directory for what is installed and written.
    pub target: PathBuf,
}

/// A scenario.
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it measures.
    pub about: &'static str,
    /// Measures it.
    pub run: fn(&Bench, &mut Section<'_>),
}

/// All scenarios, in the order of the table.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "drain", about: "10,000 events of 100 tasks, beside bare consumers in turn", run: drain::rate },
    Scenario { name: "calls", about: "the AWS calls for 10,000 events of 100 tasks", run: drain::calls },
    Scenario {
        name: "round-trips",
        about: "calls in sequence between the receipt of an event and RegisterTargets",
        run: round_trips::run,
    },
    Scenario { name: "latency", about: "from a message's visibility to its task's registration", run: latency::run },
    Scenario {
        name: "reconcile",
        about: "one reconciliation of 1,000 tasks and 2 groups with nothing to do",
        run: reconcile::run,
    },
    Scenario { name: "memory", about: "resident memory, idle, with one service and with 1,000", run: memory::run },
    Scenario { name: "size", about: "the size of the deployed program", run: size::run },
    Scenario { name: "start", about: "from the start of the process to the first AWS request", run: start::run },
    Scenario { name: "idle", about: "AWS calls an hour without a load balancer; takes seven minutes", run: idle::run },
    Scenario { name: "fleet", about: "1,000 services and 100 events a second", run: fleet::run },
    Scenario {
        name: "karpenter",
        about: "5,000 and 15,000 messages about 5,000 tasks, the sizes of Karpenter's interruption benchmark",
        run: karpenter::run,
    },
    Scenario { name: "peers", about: "a boto3 consumer and a script with the AWS CLI", run: peers::run },
];
