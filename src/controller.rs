//! The controller: reconciles the service whenever a message, a deadline or the resync interval says so.
//!
//! - [`message`]: what a message of the queue says.
//! - [`reconcile`]: observes, plans and acts, once.
//! - [`worker`]: the queue loop of `run`.
//! - [`function`]: the same on AWS Lambda.
//! - [`liveness`]: what `/healthz` and `/readyz` report.

#[cfg(feature = "lambda")]
pub mod function;
pub mod liveness;
pub mod message;
pub mod reconcile;
pub mod worker;
