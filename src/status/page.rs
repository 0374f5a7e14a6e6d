//! The status as a web page: what the latest reconciliations of a worker have observed, without any call to AWS.
//!
//! The templates in `page/` escape everything that is put into them: names, tags and messages come from outside.

use askama::Template;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::fleet::ServiceNames;
use super::{Snapshot, Status, seconds_between};
use crate::clock::SharedClock;
use crate::controller::latest::{Known, LatestReconciliations, Reconciliation, Subject};
use crate::controller::liveness::{Liveness, Unhealthy};
use crate::text::{Severity, span};
use fleet::FleetPage;
use jvb_watcher_cost::Model;
use jvb_watcher_rules::plan::Plan;
use service::ServicePage;

mod fleet;
mod service;

/// The style sheet.
pub const STYLE: &str = include_str!("page/page.css");

/// The time from one load of the page to the next, in seconds.
pub const REFRESH_SECONDS: u64 = 10;

/// The prefix of the paths of a fleet's services: `/services/CLUSTER/SERVICE`.
pub const SERVICES_PATH: &str = "/services/";

/// The way from the page of a service of a fleet to the first page. It is relative, for a proxy that serves both under a
/// prefix.
const UP: &str = "../../";

/// The status page of a worker.
#[derive(Clone)]
pub struct StatusPage {
    /// The latest reconciliations.
    pub latest: LatestReconciliations,
    /// The worker's state.
    pub liveness: Liveness,
    /// True if the worker watches a list of services, however many it has.
    pub is_fleet: bool,
    /// The queue's name or URL.
    pub queue: String,
    /// The region.
    pub region: String,
    /// The model of the costs.
    pub costs: Model,
    /// The clock of the reconciliations.
    pub clock: SharedClock,
}

impl StatusPage {
    /// Renders the page at a path; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns an error if a template fails, which none does.
    pub fn render(&self, path: &str) -> Result<Option<String>, askama::Error> {
        let now = self.clock.now();
        let services = self.latest.all();
        if let Some(wanted) = path.strip_prefix(SERVICES_PATH).filter(|_| self.is_fleet) {
            let Some((cluster, service)) = wanted.split_once('/').and_then(|(c, s)| decoded(c).zip(decoded(s))) else {
                return Ok(None);
            };
            let found = services.iter().find(|(subject, _)| {
                let identity = &subject.identity;
                (identity.cluster.as_str(), identity.service.as_str()) == (&cluster, &service)
            });
            return found.map(|of| ServicePage::new(Frame::new(self, now, UP), of, self).render()).transpose();
        }
        match (path, services.first()) {
            ("/", Some(only)) if !self.is_fleet => {
                ServicePage::new(Frame::new(self, now, ""), only, self).render().map(Some)
            }
            // Of one service, too, before its controller is built.
            ("/", _) => FleetPage::new(Frame::new(self, now, ""), services, self).render().map(Some),
            _ => Ok(None),
        }
    }
}

/// What all pages show.
struct Frame {
    now: Timestamp,
    /// The way to the first page.
    root: &'static str,
    /// Why the worker isn't live or ready.
    troubles: Vec<String>,
    queue: String,
    region: String,
}

impl Frame {
    fn new(page: &StatusPage, now: Timestamp, root: &'static str) -> Self {
        let troubles = [page.liveness.live(), page.liveness.ready()].into_iter().filter_map(Result::err);
        Self {
            now,
            root,
            troubles: troubles.map(|Unhealthy(why)| why).collect(),
            queue: page.queue.clone(),
            region: page.region.clone(),
        }
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    fn refresh_seconds(&self) -> u64 {
        REFRESH_SECONDS
    }

    /// Returns how long ago something was.
    fn ago(&self, at: Timestamp) -> String {
        format!("{} ago", span(seconds_between(at, self.now)))
    }
}

/// A verdict, or the condition of a service.
struct Verdict {
    severity: Severity,
    words: String,
}

impl From<(Severity, String)> for Verdict {
    fn from((severity, words): (Severity, String)) -> Self {
        Self { severity, words }
    }
}

impl Verdict {
    fn symbol(&self) -> char {
        self.severity.symbol()
    }

    /// Returns the class in the style sheet.
    fn class(&self) -> &'static str {
        match self.severity {
            Severity::Ok => "ok",
            Severity::Neutral => "neutral",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// What a name's path segment encodes: all but RFC 3986's unreserved characters, and the dot, which a path has a meaning for.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// Returns the name in a segment of a path, as a client or a proxy wrote it.
fn decoded(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(Into::into)
}

/// Returns the path of a service below [`SERVICES_PATH`].
fn service_path(subject: &Subject) -> String {
    let encoded = |name: &str| utf8_percent_encode(name, RESERVED).to_string();
    format!("{}/{}", encoded(&subject.identity.cluster), encoded(&subject.identity.service))
}

fn names(subject: &Subject) -> ServiceNames {
    let Subject { identity, policy, .. } = subject;
    ServiceNames {
        cluster: identity.cluster.clone(),
        service: identity.service.clone(),
        project: identity.project.clone(),
        load_balancer: Some(policy.load_balancer.clone()),
    }
}

/// Returns the plan, without the registrations if they have been made: they are not outstanding.
fn outstanding(reconciliation: &Reconciliation) -> Plan {
    let mut plan = reconciliation.plan.clone();
    if reconciliation.is_complete {
        plan.registrations.clear();
    }
    plan
}

/// Returns the status as of a reconciliation. It lacks the queue's depth, which no reconciliation reads.
fn status(subject: &Subject, reconciliation: &Reconciliation, costs: &Model) -> Status {
    Status::new(&Snapshot {
        scope: &subject.scope,
        policy: &subject.policy,
        observation: &reconciliation.observation,
        plan: &outstanding(reconciliation),
        queue: None,
        dead_letter_queue: None,
        event_source_findings: &reconciliation.event_source_findings,
        unread: &[],
        costs,
        now: reconciliation.at,
    })
}

#[cfg(test)]
mod tests;
