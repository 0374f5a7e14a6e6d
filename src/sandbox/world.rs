//! What the calls mean: a pure state machine with no I/O, no clock of its own, and seeded randomness.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::api::{ApiError, Request, Response};

/// How it behaves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// What queue URLs begin with.
    pub endpoint: String,
    /// Who owns it all.
    pub account: String,
    /// Where it all is.
    pub region: String,
}

impl Settings {
    /// The same, faster.
    #[must_use]
    pub fn scaled(self, _factor: f64) -> Self {
        self
    }
}

/// What befalls it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum Act {
    /// Nothing.
    Nothing,
}

/// All that this AWS holds.
#[derive(Debug)]
pub struct World {
    settings: Settings,
}

impl World {
    /// A new one.
    pub fn new(settings: Settings, _seed: u64, _now: Timestamp) -> Self {
        Self { settings }
    }

    /// Answers a call, after everything that was due before it.
    ///
    /// # Errors
    ///
    /// What AWS would refuse, with its code.
    pub fn call(&mut self, request: Request, now: Timestamp) -> Result<Response, ApiError> {
        let _ = now;
        Err(ApiError::new("NotImplemented", request.operation()))
    }

    /// Does what is due.
    pub fn step(&mut self, _now: Timestamp) {}

    /// When something is due next.
    pub fn next_step_at(&self) -> Option<Timestamp> {
        None
    }

    /// Has something befall it.
    ///
    /// # Errors
    ///
    /// When it can't.
    pub fn act(&mut self, _act: Act, _now: Timestamp) -> Result<(), ApiError> {
        Ok(())
    }

    /// How it behaves.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }
}
