//! Measurements of the built program from the outside: its process, and the calls that the AWS sandbox records.
//!
//! The benchmark (`watcher/`, with a file for each scenario) and the end-to-end tests of the root package use the
//! same stages and the same counts, so that each count that the benchmark reports can be asserted by a test.
//!
//! - [`stage`]: a sandbox with a platform, its tasks and its messages.
//! - [`journal`]: counts and sequences of recorded calls.
//! - [`measure`]: measurements that both make.
//! - [`process`]: a running program, and what the kernel counts of it.
//! - [`wait`]: waiting for conditions.

#![warn(missing_docs)]

pub mod journal;
pub mod measure;
pub mod process;
pub mod stage;
pub mod wait;
