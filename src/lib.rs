//! `jvb-watcher` converges an on-demand network load balancer to the ECS service behind it.
//!
//! Events from a queue are hints that name a service to reconcile; the APIs are the source of truth; one pure function,
//! [`jvb_watcher_rules::plan::plan`], decides. ARCHITECTURE.md follows a message to a registration.
//!
//! The modules, each of which depends only on those above it:
//!
//! - [`trace`]: spans, for OpenTelemetry.
//! - [`clock`], [`aws`], [`retry`]: the port to AWS and its adapter, AWS's time, and the waits between retries.
//! - [`telemetry`]: the log, the metrics, their export, and the events published on a bus.
//! - [`controller`]: observes, plans and acts; the worker's loop and the Lambda function.
//! - [`event_source`]: whether events can reach the queue: queue, rule and permission.
//! - [`operations`]: `up`, `down` and `hold`.
//! - [`status`], [`doctor`], [`listen`]: what operators and probes see.
//! - [`commands`]: the command line, one file a command.

#![warn(missing_docs)]

pub mod aws;
pub mod clock;
pub mod commands;
pub mod controller;
pub mod doctor;
pub mod event_source;
pub mod listen;
pub mod name_resolution;
pub mod operations;
pub mod retry;
pub mod shutdown;
pub mod status;
pub mod telemetry;
pub mod text;
#[cfg_attr(not(feature = "otlp"), path = "trace/off.rs")]
pub mod trace;
