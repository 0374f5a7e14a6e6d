//! A small AWS on one loopback port, for tests, benchmarks and demos.
//!
//! It models the parts of ECS, Elastic Load Balancing v2, EventBridge, SQS, CloudWatch and STS that an on-demand service
//! behind a network load balancer uses. AWS SDKs, the AWS CLI and Terraform reach it through `AWS_ENDPOINT_URL`. The crate
//! depends on none of the programs that are tested against it.
//!
//! # Layers
//!
//! A module uses only modules above it.
//!
//! | module | role |
//! | --- | --- |
//! | [`api`] | Requests and responses, named as in AWS's API references. |
//! | [`world`] | The state of all services and the effect of each request. A pure state machine: no I/O, no clock of its own, seeded randomness. |
//! | [`faults`] | Injected throttling, latency, errors and lost connections. Pure and seeded as well. |
//! | [`platform`] | Ready-made resources: a cluster, a service, a queue and a rule; and a scale-up's load balancer. |
//! | [`wire`] | The HTTP server: AWS's wire protocols and the control API under `/_sandbox/`. |
//! | [`scenario`] | Timed steps from a TOML file, applied to a running server. |
//! | [`fidelity`] | Recordings of calls, compared with what the sandbox answers. |
//!
//! A request passes through `wire` (HTTP to [`api::Request`]), `faults` and `world`, and its response returns through
//! `wire`. A caller that needs neither sockets nor wall-clock time, such as a simulation, calls [`world::World`] and
//! [`faults::Faults`] directly.
//!
//! # Finding an operation
//!
//! `ecs:DescribeTasks`, for example, has its request and response in `api/ecs.rs` and its behaviour in
//! `world/ecs/tasks.rs`: the directory is the service, the file is the kind of resource. `wire/json.rs`, `wire/query.rs`
//! and `wire/cbor.rs` hold the protocols, which are the same for all operations of a service.
//!
//! # Why the types are written by hand
//!
//! The `winterbaume` crates have such types too, generated from AWS's models. Their handlers share a core that brings
//! the AWS SDK's mocks, a regex engine and all of tokio. Every member there is optional, and a response that can't be
//! serialized becomes an empty one. This crate needs a tenth of the operations, with required members typed as such.

#![warn(missing_docs)]

pub mod api;
mod duration;
pub mod faults;
pub mod fidelity;
pub mod platform;
pub mod scenario;
pub mod wire;
pub mod world;
