//! The rules of `jvb-watcher`, pure: what a load balancer and its targets need, given what AWS shows.
//!
//! - [`model`]: the part of AWS that the rules know, free of any SDK type.
//! - [`plan`]: the decision, [`plan::plan`]: registrations, and the load balancer's lifecycle.
//! - [`hold`]: an operator's hold on a load balancer, as tags.
//! - [`finding`]: conditions that an operator must know about.
//!
//! Nothing here does I/O, reads a clock or writes a log.

#![warn(missing_docs)]

pub mod finding;
pub mod hold;
pub mod model;
pub mod plan;
pub mod timestamp;
