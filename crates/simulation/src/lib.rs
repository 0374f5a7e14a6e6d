//! Simulated days of `jvb-watcher`: the real worker on virtual time, in one process, over the sandbox's world.
//!
//! A [`day::Day`] is drawn from a seed: when operators scale, what they change by hand, how AWS fails, and which process is
//! killed or suspended at which call. Real workers, an [`operator::Operator`] and the real commands `up` and `down` go
//! through it in an [`environment::Environment`]. The [`checker`] observes every write and every step of the world for
//! violations of the guarantees. The same seed gives the same day, to the byte.
//!
//! [`bugs`] are deliberate bugs, each of which must be caught.

#![warn(missing_docs)]

mod budget;
pub mod bugs;
pub mod checker;
pub mod checkers;
pub mod command;
pub mod connection;
pub mod coverage;
pub mod day;
pub mod environment;
mod faults;
pub mod intercept;
pub mod operator;
pub mod process;
mod recorder;
mod snapshot;

/// A simulated day is mostly allocations: glibc's allocator takes a fifth more time. Only test binaries link this crate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
