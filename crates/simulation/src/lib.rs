//! The proof by simulation: the real worker over the sandbox's world, in process and on virtual time, a day at a time.
//!
//! A [`day`] is drawn from a seed: who scales when, what is done by hand, what AWS does wrong, which process is killed or
//! frozen at which call. It is played on a [`stage`] to real workers (each a [`process`] with a clock of its own, which
//! reaches AWS by its [`cloud`]), beside an [`operator`]. The [`checker`] watches every write and every step of the world
//! for the promises of the README. The same seed gives the same day, to the byte.

#![warn(missing_docs)]

pub mod budget;
pub mod checker;
pub mod cloud;
pub mod command;
pub mod day;
pub mod operator;
pub mod process;
pub mod scene;
pub mod stage;
pub mod tally;
#[cfg(test)]
mod tests;

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
