//! What the calls mean: a pure state machine with no I/O, no clock of its own, and seeded randomness.

use jiff::Timestamp;

use super::api::{ApiError, Request, Response};

/// All that this AWS holds.
#[derive(Debug)]
pub struct World {}

impl World {
    /// Answers a call, after everything that was due before it.
    ///
    /// # Errors
    ///
    /// What AWS would refuse, with its code.
    pub fn call(&mut self, request: Request, now: Timestamp) -> Result<Response, ApiError> {
        let _ = now;
        Err(ApiError::new("NotImplemented", request.operation()))
    }
}
