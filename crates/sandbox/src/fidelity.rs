//! Recordings of a client's calls, compared with what the sandbox answers.
//!
//! - `recording`: [`Recording`], read from the files of a directory; `document`: the bodies of answers.
//! - `template`: the kinds of requests in a recording, and the same requests about the sandbox's resources.
//! - `evening`: evenings in the sandbox, at each moment of which each kind of request is sent.
//! - `shape`: the members of answers, with their types and values.
//! - `compare`: the differences between the shapes of both.
//! - `times`: how long AWS, and the sandbox, took for what a client waits for.
//! - `text`: a comparison as text.
//!
//! # What is compared
//!
//! The client's evening can't be repeated in the sandbox: what happened in it, such as the start of a task, is in no request.
//! So each kind of request is sent to the sandbox at each moment of evenings of its own, and AWS's answers are compared with
//! all of the sandbox's. A member that AWS returns and the sandbox doesn't is thus a difference whenever AWS returned it; a
//! member that only the sandbox returns is one if the sandbox always returns it.

use std::path::Path;

use serde::Serialize;

mod compare;
mod document;
mod evening;
mod recording;
mod shape;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod times;

pub use compare::{Difference, DifferenceKind};
pub use recording::{Call, ReadError, Recording};
pub use times::{Distribution, Wait};

/// What a recording and the sandbox have in common, and what not.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The number of files of the recording.
    pub files: usize,
    /// The number of calls in them.
    pub calls: usize,
    /// The number of calls without a whole answer: AWS gave none in time, or a program was stopped.
    pub unanswered: usize,
    /// The number of lines that can't be read. A program that is killed, or whose disk is full, leaves one at most.
    pub unreadable: usize,
    /// The operations, with the number of their calls.
    pub operations: Vec<Operation>,
    /// The differences.
    pub differences: Vec<Difference>,
    /// What could not be compared, with the reason.
    pub not_compared: Vec<String>,
    /// The times.
    pub times: Vec<Times>,
}

/// The calls of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// Service and operation, e.g. `ecs:DescribeTasks`.
    pub operation: String,
    /// In the recording.
    pub recorded: usize,
    /// In the sandbox.
    pub sandbox: usize,
}

/// The times of one kind, in the recording and in the sandbox.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    /// What was waited for.
    pub wait: Wait,
    /// What it means.
    pub meaning: &'static str,
    /// In the recording; `None` if it has none.
    pub recorded: Option<Distribution>,
    /// In the sandbox.
    pub sandbox: Option<Distribution>,
}

/// Reads the recording in a directory, plays evenings in the sandbox, and compares both.
///
/// # Errors
///
/// Returns an error if the directory has no recording, or a file can't be read.
pub async fn replay(directory: &Path) -> Result<Comparison, ReadError> {
    let recording = Recording::read(directory)?;
    Ok(recording.compare_with_sandbox().await)
}

impl Recording {
    /// Plays evenings in the sandbox, and compares the recording with them.
    pub async fn compare_with_sandbox(&self) -> Comparison {
        let evenings = evening::play_all(self).await;
        let sandbox: Vec<&Call> = evenings.iter().flatten().collect();
        let recorded: Vec<&Call> = self.calls().collect();
        let (differences, not_compared) = compare::compare(&recorded, &sandbox);
        Comparison {
            files: self.processes.len(),
            calls: recorded.len(),
            unanswered: recorded.iter().filter(|call| !call.is_answered()).count(),
            unreadable: self.unreadable,
            operations: operations(&recorded, &sandbox),
            differences,
            not_compared,
            times: times::compare(&recorded, &evenings),
        }
    }
}

impl Comparison {
    /// Returns whether no answer of AWS differs from the sandbox's. Times don't count: few of them are no measurement.
    pub fn is_alike(&self) -> bool {
        self.differences.is_empty()
    }
}

fn operations(recorded: &[&Call], sandbox: &[&Call]) -> Vec<Operation> {
    let count = |calls: &[&Call], operation: &str| calls.iter().filter(|call| call.operation == operation).count();
    let mut names: Vec<&str> = recorded.iter().map(|call| call.operation.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let operation = |name: &str| Operation {
        operation: text::printable(name),
        recorded: count(recorded, name),
        sandbox: count(sandbox, name),
    };
    names.into_iter().map(operation).collect()
}
