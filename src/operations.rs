//! `up`, `down` and `hold`: operations that scale the platform, phase by phase.
//!
//! An operation's state is in AWS alone. So it may be interrupted anywhere, and the same command, or the opposite one,
//! continues from what it finds. Of several operations at once the latest wins (see [`lease`](jvb_watcher_rules::lease)). A
//! [`Hold`](jvb_watcher_rules::hold::Hold) keeps watchers from deleting a load balancer that is about to be used.
//!
//! - [`up`], [`down`]: the two operations, each a list of phases and a check for each of them.
//! - [`callers`]: the callers that `down` would cut off.
//! - [`engine`]: takes an operation from phase to phase.
//! - [`run`]: the lease, the holds and the end of one run.
//! - [`command`]: the load balancer command, e.g. terraform.
//! - [`hold`]: an operator's hold.

pub mod callers;
pub mod command;
pub mod context;
pub mod cost;
pub mod down;
pub mod engine;
pub mod failure;
pub mod hold;
pub mod phase;
pub mod progress;
mod registration;
pub mod report;
pub mod run;
pub mod up;

use std::time::Duration;

/// The limit of a phase that is a read and a write: most of it is for an AWS that fails.
const SHORT_PHASE_LIMIT: Duration = Duration::from_secs(5 * 60);

/// The time between two checks beside the load balancer command.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The most that DescribeLoadBalancers may lag behind the load balancer command that has ended.
const CONSISTENCY_DELAY: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
