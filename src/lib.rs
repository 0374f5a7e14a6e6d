//! `jvb-watcher` keeps an on-demand network load balancer true to the ECS service behind it.
//!
//! Events from a queue say when to look; what is true is read from the APIs; one pure function, [`plan::plan`],
//! decides what follows. See the README for what it does, and the modules for how.

#![warn(missing_docs)]

pub mod cli;
pub mod clock;
pub mod cloud;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod event;
#[cfg(feature = "lambda")]
pub mod function;
pub mod hold;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod name_resolution;
pub mod operation;
pub mod page;
pub mod publish;
pub mod pulse;
pub mod reconcile;
pub mod retry;
pub mod shutdown;
pub mod status;
pub mod wiring;
pub mod worker;
