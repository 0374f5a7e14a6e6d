//! The rules of `jvb-watcher`, pure: from what AWS shows to what to change.
//!
//! - [`model`]: the part of AWS that the rules know, free of any SDK type.
//! - [`plan`]: the decision, [`plan::plan`]: registrations, and the lifecycle of the load balancer.
//! - [`hold`]: a hold on a load balancer, as tags.
//! - [`lease`]: the lease on a service, as a tag.
//! - [`bounds`]: the promised bounds, and what is overdue by them.
//! - [`current_use`]: the present use of a load balancer, as `down` judges it.
//! - [`finding`]: conditions that an operator must resolve.
//!
//! Nothing here does I/O, reads a clock or writes a log.

#![warn(missing_docs)]

pub mod bounds;
pub mod current_use;
pub mod finding;
pub mod hold;
mod idle;
pub mod lease;
pub mod model;
pub mod plan;
mod policy;
pub mod timestamp;
