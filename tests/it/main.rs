//! The built program, driven from outside: by messages on a queue, by what it finds on AWS (moto's server, which
//! these tests install and start, or the sandbox), by its command line; judged by its log and by what it leaves on AWS.

#[cfg(feature = "report")]
mod browser;
mod command_line;
#[cfg(feature = "sandbox")]
mod demo;
mod doctor;
mod failures;
mod feed;
mod harness;
mod incidents;
#[cfg(feature = "lambda")]
mod lambda;
mod life;
mod listen;
mod log_queries;
mod log_schema;
#[cfg(feature = "manual")]
mod manual;
mod messages;
mod metrics;
mod moto;
#[cfg(feature = "sandbox")]
mod permissions;
mod platform;
#[cfg(feature = "sandbox")]
mod processes;
mod proxy;
mod publish;
#[cfg(feature = "sandbox")]
mod questions;
#[cfg(feature = "report")]
mod report;
#[cfg(feature = "lambda")]
mod runtime_api;
#[cfg(feature = "sandbox")]
mod sandbox;
#[cfg(feature = "sandbox")]
mod sandbox_by_hand;
#[cfg(feature = "sandbox")]
mod sandbox_conformance;
#[cfg(feature = "sandbox")]
mod sandbox_life;
mod scale;
mod stage;
mod status;
#[cfg(feature = "sandbox")]
mod terraform;
mod up_down;
mod wait;
mod watcher;
#[cfg(all(feature = "sandbox", feature = "lambda"))]
mod whole_log;
