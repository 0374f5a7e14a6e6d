//! A model of the teardown protocol, explored to closure: every order of the steps of watchers, operators, AWS and time.
//!
//! - [`model`]: the states, the steps and the properties; [`scenario`] has who acts.
//! - [`aws`], [`write`], [`time`]: AWS as far as the protocol can tell its states apart, writes on their way, instants.
//! - [`reading`], [`decision`], [`reconciler`]: a watcher. It observes call by call, and decides by the real rules.
//! - [`operator`]: `up`, `down`, `hold` and Terraform, call by call.
//! - [`guarantees`]: the check of every write; it reads no marks, observations or plans.
//! - [`exploration`], [`progress`], [`story`]: explores, follows the graph backwards, tells a path.
//! - [`bug`]: deliberate bugs, which show what the model catches.
//!
//! docs/model.md states what is left out, and why that loses nothing.

#![warn(missing_docs)]

pub mod aws;
pub mod bug;
mod canonical;
pub mod decision;
pub mod exploration;
pub mod guarantees;
pub mod model;
pub mod operator;
pub mod progress;
pub mod reading;
pub mod reconciler;
pub mod scenario;
pub mod story;
pub mod time;
pub mod write;
