//! The result of an audit.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::entry::Entry;
use crate::fields::MESSAGE_CHARACTERS;
use crate::logs::LineCounts;

/// The most characters of a cited line: no more are kept of its message.
const CITED_CHARACTERS: usize = MESSAGE_CHARACTERS;

/// The most lines that are cited for a reason why something is unknown.
const CITED_UNKNOWN: usize = 3;

macro_rules! claims {
    ($($(#[doc = $doc:literal])* $claim:ident: $guarantee:expr,)*) => {
        /// A claim about what the watchers did, which a log can refute.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Claim {
            $($(#[doc = $doc])* $claim,)*
        }

        impl Claim {
            /// All claims.
            pub const ALL: &[Self] = &[$(Self::$claim,)*];

            /// Returns the claim as a sentence.
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$claim => concat!($($doc,)*).trim(),)*
                }
            }

            /// Returns the number of the guarantee that it is a part of, if it is of one.
            pub fn guarantee(self) -> Option<u8> {
                match self {
                    $(Self::$claim => $guarantee,)*
                }
            }
        }
    };
}

claims! {
    /// Every deleted load balancer had a mark, and no mark is older than its observation
    Mark: Some(1),
    /// Every deletion waited for the grace period
    GracePeriod: Some(1),
    /// Every deletion rests on a second observation
    SecondObservation: Some(1),
    /// The second observation found the service idle, the load balancer owned and no hold
    Idle: Some(1),
    /// Nothing used a deleted load balancer after its mark
    UnusedSinceMark: Some(1),
    /// Every idle load balancer was deleted within the bound
    NothingIdle: Some(2),
    /// Every teardown was completed within the bound, or resumed
    Teardown: Some(2),
    /// Every task was registered within the bound of its start, and none beside one that served
    Registration: Some(3),
    /// Only the targets of stopped tasks were deregistered
    Deregistration: Some(3),
    /// Every stop was announced with notice, not withdrawn, not held, and rests on known disuse
    Stop: Some(6),
    /// The calls to AWS stayed within their bound
    Calls: Some(7),
    /// Findings were raised before they were repeated or cleared
    Findings: None,
}

/// The result of an audit.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    /// The lines that were read.
    pub lines: LineCounts,
    /// The time of the first line.
    pub from: Option<Timestamp>,
    /// The time of the last line.
    pub until: Option<Timestamp>,
    /// The number of services.
    pub services: usize,
    /// The checks.
    pub checks: Vec<Check>,
    /// The findings that are current at the end.
    pub current_findings: Vec<CurrentFinding>,
    /// The times in which no watcher ran, or none logged.
    pub gaps: Vec<Gap>,
    /// What the logs as a whole leave open.
    pub limits: Vec<String>,
}

impl Verdict {
    /// Returns what does not hold.
    pub fn breaches(&self) -> impl Iterator<Item = (Claim, &Breach)> {
        self.checks.iter().flat_map(|check| check.broken.iter().map(|breach| (check.claim, breach)))
    }

    /// Returns whether nothing is refuted.
    pub fn holds(&self) -> bool {
        self.breaches().next().is_none()
    }

    /// Returns the check of a claim.
    pub(crate) fn check(&mut self, claim: Claim) -> &mut Check {
        let index = Claim::ALL.iter().position(|other| *other == claim).unwrap_or_default();
        &mut self.checks[index]
    }
}

/// The cases of one claim.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The claim.
    pub claim: Claim,
    /// The claim as a sentence.
    pub sentence: &'static str,
    /// The number of the guarantee.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<u8>,
    /// The result.
    pub state: State,
    /// The number of cases in which it holds.
    pub held: u64,
    /// The cases in which it doesn't.
    pub broken: Vec<Breach>,
    /// The cases that the logs can't tell, by reason.
    pub unknown: BTreeMap<String, Unknown>,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It holds in each case that the logs can tell.
    Holds,
    /// It doesn't hold in a case.
    Broken,
    /// The logs can't tell it in any case.
    Unknown,
    /// The logs have no case of it.
    NoCase,
}

/// A case in which a claim doesn't hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// The service.
    pub service: String,
    /// What is wrong.
    pub what: String,
    /// The lines that show it.
    pub lines: Vec<Citation>,
}

/// Cases that the logs can't tell for the same reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The number of cases.
    pub count: u64,
    /// The first of the lines.
    pub lines: Vec<Citation>,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Citation {
    /// The name of the log.
    pub log: String,
    /// The number of the line.
    pub line: u64,
    /// The line, shortened.
    pub text: String,
}

/// A finding that is current at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CurrentFinding {
    /// The service.
    pub service: String,
    /// The kind of finding.
    pub finding: String,
    /// The resource.
    pub subject: String,
    /// Its last line.
    pub line: Citation,
}

/// A time in which no watcher ran, or none logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The service.
    pub service: String,
    /// The time of the last line before.
    pub from: Timestamp,
    /// The time of the first line after.
    pub until: Timestamp,
    /// Whether the last watcher said that it stopped.
    pub is_announced: bool,
    /// The last line before.
    pub line: Citation,
}

impl Check {
    /// A check without a case.
    pub(crate) fn new(claim: Claim) -> Self {
        Self {
            claim,
            sentence: claim.sentence(),
            guarantee: claim.guarantee(),
            state: State::NoCase,
            held: 0,
            broken: Vec::new(),
            unknown: BTreeMap::new(),
        }
    }

    /// Counts a case in which it holds.
    pub(crate) fn hold(&mut self) {
        self.held += 1;
        if self.state != State::Broken {
            self.state = State::Holds;
        }
    }

    /// Adds a case in which it doesn't hold.
    pub(crate) fn breach(&mut self, service: &str, what: String, lines: &[&Entry]) {
        let lines = lines.iter().map(|entry| Citation::of(entry)).collect();
        self.broken.push(Breach { service: service.to_owned(), what, lines });
        self.state = State::Broken;
    }

    /// Counts a case that the logs can't tell.
    pub(crate) fn unknown(&mut self, why: &str, line: &Entry) {
        let unknown = self.unknown.entry(why.to_owned()).or_default();
        unknown.count += 1;
        if unknown.lines.len() < CITED_UNKNOWN {
            unknown.lines.push(Citation::of(line));
        }
        if self.state == State::NoCase {
            self.state = State::Unknown;
        }
    }
}

impl Citation {
    pub(crate) fn of(entry: &Entry) -> Self {
        let text = format!("{:.3} {}: {}", entry.at, entry.event, entry.text("message").unwrap_or_default());
        let mut shortened: String = text.chars().take(CITED_CHARACTERS).collect();
        if shortened.len() < text.len() {
            shortened.push('…');
        }
        Self { log: entry.log.to_string(), line: entry.line, text: shortened }
    }
}
