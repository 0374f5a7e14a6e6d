//! The page of one service.

use askama::Template;
use jiff::Timestamp;

use super::{Frame, Known, Reconciliation, StatusPage, Subject, Verdict, names, status};
use crate::status::fleet::{ServiceNames, State};
use crate::status::next::intents;
use crate::status::{Status, text};
use crate::text::Severity;

/// The page of one service.
#[derive(Template)]
#[template(path = "status/page/service.html", config = "src/status/page/askama.toml")]
pub(super) struct ServicePage {
    frame: Frame,
    names: ServiceNames,
    verdict: Verdict,
    /// The error of the latest reconciliation, and how long ago it was.
    failure: Option<(String, String)>,
    /// What the latest reconciliation that observed the service has shown.
    observed: Option<Observed>,
}

/// What a reconciliation has shown.
struct Observed {
    at: Timestamp,
    /// How long ago that was.
    ago: String,
    status: Status,
    facts: Vec<[String; 2]>,
    tasks: Vec<[String; 5]>,
    stopped: Option<String>,
    groups: Vec<Group>,
    /// True if all actions were taken.
    is_complete: bool,
    /// The actions of the reconciliation.
    actions: Vec<String>,
    /// What follows by time alone.
    expected: Vec<String>,
}

/// A target group.
struct Group {
    heading: String,
    targets: Vec<[String; 3]>,
}

impl ServicePage {
    pub(super) fn new(frame: Frame, (subject, known): &(Subject, Known), page: &StatusPage) -> Self {
        let observed = known.reconciliation.as_ref().map(|of| Observed::new(subject, of, page, &frame));
        let verdict = match (&known.failure, &observed) {
            (Some(_), _) => (Severity::Error, "Not well: the last reconciliation failed".to_owned()),
            (None, Some(observed)) => text::verdict(&observed.status),
            (None, None) => (Severity::Neutral, "Not reconciled yet".to_owned()),
        };
        let failure = known.failure.as_ref().map(|(error, at)| (error.with_remedy(), frame.ago(*at)));
        Self { frame, names: names(subject), verdict: verdict.into(), failure, observed }
    }
}

impl Observed {
    fn new(subject: &Subject, reconciliation: &Reconciliation, page: &StatusPage, frame: &Frame) -> Self {
        let status = status(subject, reconciliation, &page.costs);
        let (tasks, stopped) = text::task_rows(&status);
        let groups = status
            .target_groups
            .iter()
            .map(|group| Group { heading: text::group_heading(group), targets: text::target_rows(group) });
        Self {
            at: reconciliation.at,
            ago: frame.ago(reconciliation.at),
            facts: text::service_facts(&status),
            tasks,
            stopped,
            groups: groups.collect(),
            is_complete: reconciliation.is_complete,
            actions: intents(&reconciliation.plan, &subject.policy).into_iter().map(|intent| intent.text).collect(),
            expected: text::expected(&status),
            status,
        }
    }

    fn state(&self) -> &'static str {
        State::of(&self.status).as_str()
    }
}
