//! What operators do: the commands `up` and `down`, and sequences of calls by hand or by Terraform.

use crate::time::{DEADLINE, Instant};
use crate::write::Effect;

pub mod down;
pub mod hand;
pub mod up;

/// One call of an operator's process, and the process after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move<T> {
    /// What happens, for stories.
    pub what: &'static str,
    /// The process after it.
    pub next: T,
    /// The call's effect, if it is a write.
    pub effect: Option<Effect>,
}

impl<T> Move<T> {
    /// A call that reads, or a decision.
    pub fn read(what: &'static str, next: T) -> Self {
        Self { what, next, effect: None }
    }

    /// A call that writes.
    pub fn write(what: &'static str, next: T, effect: Effect) -> Self {
        Self { what, next, effect: Some(effect) }
    }
}

/// A write that a command is about to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pending {
    /// The write.
    pub effect: Effect,
    /// The time of the read that it rests on.
    pub read_at: Instant,
}

impl Pending {
    /// Returns the instant at which it can't take effect any more.
    pub fn deadline(&self) -> Instant {
        self.read_at + DEADLINE
    }
}

/// The end of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It succeeded.
    Succeeded,
    /// It failed, and says why.
    Failed,
    /// A later operation has superseded it, and it says so.
    Superseded,
    /// It was killed.
    Killed,
}
