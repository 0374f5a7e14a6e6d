//! Tests of the built program from the outside, against moto's server, which the tests install and start, or against the
//! AWS sandbox. They assert on its exit status, its output and log, its AWS API calls, and the resources on AWS.

#[cfg(feature = "report")]
mod audit;
#[cfg(any(feature = "report", feature = "sandbox"))]
mod browser;
#[cfg(feature = "sandbox")]
mod callers;
mod command_line;
#[cfg(feature = "sandbox")]
mod demo;
#[cfg(feature = "sandbox")]
mod disuse;
mod doctor;
#[cfg(all(feature = "sandbox", feature = "lambda", feature = "report", feature = "manual"))]
mod documentation;
mod event_source;
mod failures;
mod findings;
#[cfg(feature = "sandbox")]
mod fleet;
mod harness;
mod incidents;
mod jitsi_scripts;
#[cfg(feature = "sandbox")]
mod jitsi_service;
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
mod microburst;
#[cfg(feature = "sandbox")]
mod monitoring;
mod moto;
mod name_server;
#[cfg(feature = "otlp")]
mod opentelemetry;
mod performance;
#[cfg(feature = "sandbox")]
mod permissions;
mod platform;
#[cfg(feature = "sandbox")]
mod processes;
mod proxy;
mod publish;
#[cfg(feature = "sandbox")]
mod questions;
#[cfg(feature = "sandbox")]
mod recording;
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
mod seed;
mod shipping_logs;
mod stage;
mod status;
#[cfg(feature = "sandbox")]
mod status_page;
#[cfg(feature = "sandbox")]
mod terraform;
mod up_down;
mod wait;
mod watcher;
#[cfg(all(feature = "sandbox", feature = "lambda", feature = "otlp"))]
mod whole_log;
