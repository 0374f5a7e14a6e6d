//! The differences between recorded answers and the sandbox's.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::recording::Call;
use super::shape::{Shape, parent};
use super::text::printable;

/// A difference between AWS's answers and the sandbox's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// Service and operation, e.g. `ecs:DescribeTasks`.
    pub operation: String,
    /// `success`, or the error code of the answers.
    pub outcome: String,
    /// What differs.
    pub kind: DifferenceKind,
    /// The path of the member, or the name of the header; empty for the answer as a whole.
    pub path: String,
    /// What the recording has.
    pub recorded: String,
    /// What the sandbox has.
    pub sandbox: String,
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// The sandbox doesn't model the operation.
    Operation,
    /// The sandbox has no such answer: success, or an error of this code.
    Outcome,
    /// The HTTP status.
    Status,
    /// A header that only one side has, or another content type.
    Header,
    /// A member that the sandbox doesn't have.
    OnlyRecorded,
    /// A member that the sandbox always has, and the recording never.
    OnlySandbox,
    /// A member that the sandbox always has, and the recording not always.
    NotAlways,
    /// The type of a member.
    Type,
    /// A value of an enumeration that the sandbox never has.
    Value,
}

/// The outcome of answers without an error.
const SUCCESS: &str = "success";

/// The headers that clients read: the clock, the error and the identity of the answer. The connection's own are no answer of
/// a service.
const HEADERS: [&str; 6] =
    ["date", "retry-after", "smithy-protocol", "x-amzn-errortype", "x-amzn-query-error", "x-amzn-requestid"];

/// The answers to an operation with one outcome.
#[derive(Debug, Default)]
struct Answers {
    number: usize,
    statuses: BTreeSet<u16>,
    content_types: BTreeSet<String>,
    /// How many answers have each header.
    headers: BTreeMap<&'static str, usize>,
    shape: Shape,
}

type Grouped = BTreeMap<String, BTreeMap<String, Answers>>;

fn group(calls: &[&Call]) -> Grouped {
    let mut grouped = Grouped::new();
    for call in calls.iter().filter(|call| call.is_answered()) {
        let outcome = call.error_code().unwrap_or(SUCCESS).to_owned();
        let answers = grouped.entry(call.operation.clone()).or_default().entry(outcome).or_default();
        answers.number += 1;
        answers.statuses.extend(call.status);
        answers.content_types.extend(call.headers.get("content-type").map(|kind| content_type(kind)));
        for header in HEADERS.into_iter().filter(|header| call.headers.contains_key(*header)) {
            *answers.headers.entry(header).or_default() += 1;
        }
        answers.shape.add(&call.output);
    }
    grouped
}

/// Returns a content type without its parameters.
fn content_type(value: &str) -> String {
    value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase()
}

/// Returns the differences, and what could not be compared.
pub(super) fn compare(recorded: &[&Call], sandbox: &[&Call]) -> (Vec<Difference>, Vec<String>) {
    let (recorded, sandbox) = (group(recorded), group(sandbox));
    let mut comparison = Compared::default();
    for (operation, outcomes) in &recorded {
        let of_sandbox = sandbox.get(operation);
        // The sandbox refuses operations that it doesn't model with one of these.
        let unknown = ["UnknownOperationException", "InvalidAction"];
        let is_unknown = of_sandbox.is_none_or(|outcomes| outcomes.keys().all(|code| unknown.contains(&code.as_str())));
        if is_unknown {
            comparison.add(operation, "", DifferenceKind::Operation, "", "an answer", "not modelled");
            continue;
        }
        for (outcome, answers) in outcomes {
            match of_sandbox.and_then(|outcomes| outcomes.get(outcome)) {
                Some(of_sandbox) => comparison.compare_answers(operation, outcome, answers, of_sandbox),
                None => {
                    let times = format!("{} answers", answers.number);
                    comparison.add(operation, outcome, DifferenceKind::Outcome, "", &times, "never");
                }
            }
        }
    }
    comparison.differences.sort();
    (comparison.differences, comparison.not_compared)
}

#[derive(Default)]
struct Compared {
    differences: Vec<Difference>,
    not_compared: Vec<String>,
}

impl Compared {
    fn add(&mut self, operation: &str, outcome: &str, kind: DifferenceKind, path: &str, recorded: &str, sandbox: &str) {
        self.differences.push(Difference {
            operation: printable(operation),
            outcome: printable(outcome),
            kind,
            path: printable(path),
            recorded: printable(recorded),
            sandbox: printable(sandbox),
        });
    }

    fn compare_answers(&mut self, operation: &str, outcome: &str, recorded: &Answers, sandbox: &Answers) {
        let mut add = |kind, path: &str, recorded: &str, sandbox: &str| {
            self.add(operation, outcome, kind, path, recorded, sandbox);
        };
        if !recorded.statuses.is_subset(&sandbox.statuses) {
            add(DifferenceKind::Status, "", &join(&recorded.statuses), &join(&sandbox.statuses));
        }
        if !recorded.content_types.is_subset(&sandbox.content_types) {
            let (recorded, sandbox) = (join(&recorded.content_types), join(&sandbox.content_types));
            add(DifferenceKind::Header, "content-type", &recorded, &sandbox);
        }
        for header in HEADERS {
            let count = |answers: &Answers| answers.headers.get(header).copied().unwrap_or_default();
            let (in_recording, in_sandbox) = (count(recorded), count(sandbox));
            if in_recording > 0 && in_sandbox == 0 {
                add(DifferenceKind::Header, header, &share(in_recording, recorded.number), "never");
            } else if in_recording < recorded.number && in_sandbox == sandbox.number {
                add(DifferenceKind::Header, header, &share(in_recording, recorded.number), "always");
            }
        }
        self.compare_shapes(operation, outcome, &recorded.shape, &sandbox.shape);
    }

    fn compare_shapes(&mut self, operation: &str, outcome: &str, recorded: &Shape, sandbox: &Shape) {
        for (path, member) in &recorded.0 {
            let Some(of_sandbox) = sandbox.get(path) else {
                // What is within a member that the sandbox lacks is part of that difference.
                if parent(path).is_some_and(|parent| sandbox.get(parent).is_none()) {
                    continue;
                }
                if path.ends_with("[]") || path.ends_with("(json)") {
                    let why = "the sandbox's is always empty, or of another type";
                    self.not_compared.push(printable(&format!("{operation} {outcome}: {path}: {why}")));
                } else {
                    let kinds = join(&member.kinds.iter().map(|kind| kind.name()).collect());
                    self.add(operation, outcome, DifferenceKind::OnlyRecorded, path, &kinds, "never");
                }
                continue;
            };
            let other: BTreeSet<_> = member.kinds.iter().filter(|kind| !kind.is_among(&of_sandbox.kinds)).collect();
            if !other.is_empty() {
                let recorded = join(&other.into_iter().map(|kind| kind.name()).collect());
                let sandbox = join(&of_sandbox.kinds.iter().map(|kind| kind.name()).collect());
                self.add(operation, outcome, DifferenceKind::Type, path, &recorded, &sandbox);
            }
            let unknown: BTreeSet<_> = member.values.difference(&of_sandbox.values).collect();
            if !unknown.is_empty() {
                let (recorded, sandbox) = (join(&unknown), join(&of_sandbox.values));
                self.add(operation, outcome, DifferenceKind::Value, path, &recorded, &sandbox);
            }
        }
        for (path, of_sandbox) in &sandbox.0 {
            let Some(parent) = parent(path).filter(|_| !path.ends_with("[]") && !path.ends_with("(json)")) else {
                continue;
            };
            let (Some(in_sandbox), Some(in_recording)) = (sandbox.get(parent), recorded.get(parent)) else { continue };
            if in_recording.objects == 0 || of_sandbox.seen < in_sandbox.objects {
                continue;
            }
            let seen = recorded.get(path).map_or(0, |member| member.seen);
            if seen < in_recording.objects {
                let kind = if seen == 0 { DifferenceKind::OnlySandbox } else { DifferenceKind::NotAlways };
                self.add(operation, outcome, kind, path, &share(seen, in_recording.objects), "always");
            }
        }
    }
}

/// Returns how many of all have something.
fn share(number: usize, of: usize) -> String {
    match number {
        0 => "never".to_owned(),
        _ if number == of => "always".to_owned(),
        _ => format!("{number} of {of} times"),
    }
}

fn join<T: ToString>(items: &BTreeSet<T>) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
