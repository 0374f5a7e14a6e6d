//! The controller: reconciles services, each when a message about it arrives, at the time that its plan sets, and at the
//! resync interval.
//!
//! - [`worker`]: the loop of `run`: receive, reconcile, delete.
//! - [`function`]: the same, invocation by invocation, on AWS Lambda.
//! - [`message`], [`routes`], [`inbox`]: what messages say, about which service, and which of them matter.
//! - [`reconciler`]: one reconciliation: observe, plan, execute.
//! - [`observer`]: the reads.
//! - [`execution`]: the order of the writes; [`registrations`], [`marks`], [`teardown`]: the writes.
//! - [`error_policy`]: what follows a reconciliation that failed.
//! - [`missed_events`]: detects an event source that has stopped working.
//! - [`latest`]: the latest reconciliation of each service, for the page of `--listen`.
//! - [`findings`]: the findings that the log shows as current.
//! - [`gate`]: ends the deletions of a service that is no longer watched.
//! - [`target_health`]: logs changes of target health.
//! - [`advertised`]: the addresses that tasks advertise for media, for a finding.
//! - [`liveness`]: what `/healthz` and `/readyz` report.
//! - [`scope`], [`context`], [`totals`], [`writes`], [`basis`]: what the parts share.

pub mod advertised;
mod basis;
pub mod context;
pub mod error_policy;
mod execution;
pub mod findings;
#[cfg(feature = "lambda")]
pub mod function;
pub mod gate;
pub mod inbox;
mod last_seen;
pub mod latest;
pub mod liveness;
mod marks;
pub mod message;
pub mod missed_events;
pub mod observer;
pub mod orphans;
pub mod reconciler;
mod registrations;
pub mod routes;
pub mod scope;
mod stop;
pub mod target_health;
pub mod teardown;
pub mod totals;
mod usage;
pub mod worker;
pub mod writes;
