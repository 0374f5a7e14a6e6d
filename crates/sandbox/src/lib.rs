//! A small AWS on loopback, just as large as the watcher's world: for the demo, the tests and the benchmarks.
//!
//! - [`api`]: the shapes of calls and answers, with the names of AWS's API references.
//! - [`world`]: what they mean: a pure state machine with no I/O, no clock of its own, and seeded randomness.
//! - [`wire`]: how they travel: the real protocols over HTTP.
//! - [`platform`]: what the watcher runs beside, ready-made.
//! - [`faults`]: what goes wrong on the way.
//! - [`scenario`]: what happens when, as a file says it.
//!
//! The `winterbaume` crates have such wire types too, generated from AWS's models. They come with states and handlers
//! of their own, each on a core that brings the AWS SDK's mocks, a regex engine and all of tokio; every field of theirs
//! is optional, and an answer that can't be serialized becomes an empty one. What is wanted here is a tenth of their
//! operations, with members that are always there typed so, on crates that the watcher has anyway.

pub mod api;
pub mod faults;
pub mod patch;
pub mod platform;
pub mod scenario;
pub mod wire;
pub mod world;
