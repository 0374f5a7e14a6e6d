//! The latest reconciliation of each service, for a page that shows the state without asking AWS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use jiff::Timestamp;

use crate::aws::AwsError;
use crate::controller::scope::Scope;
use crate::telemetry::log::Identity;
use jvb_watcher_rules::finding::Finding;
use jvb_watcher_rules::model::Observation;
use jvb_watcher_rules::plan::{Plan, Policy};

/// The latest reconciliations of the services of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LatestReconciliations(Arc<Mutex<Vec<Weak<Slot>>>>);

/// The latest reconciliation of one service. By default it is not kept.
#[derive(Clone, Debug, Default)]
pub struct LatestReconciliation(Option<Arc<Slot>>);

#[derive(Debug)]
struct Slot {
    subject: Subject,
    known: Mutex<Known>,
}

/// A service, and the rules by which it is reconciled.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its names in the log.
    pub identity: Identity,
    /// The cluster and the service.
    pub scope: Scope,
    /// The rules.
    pub policy: Policy,
}

/// The result of a reconciliation.
#[derive(Clone, Debug)]
pub struct Reconciliation {
    /// The time at which its writes had been made.
    pub at: Timestamp,
    /// The observation, with the changes that the writes made.
    pub observation: Observation,
    /// The plan. Its findings include the writes that AWS refused.
    pub plan: Plan,
    /// True if all of the plan's writes were made.
    pub is_complete: bool,
    /// The findings about the event source.
    pub event_source_findings: Vec<Finding>,
}

/// What the reconciliations of a service have shown.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The latest one that observed the service; `None` before the first.
    pub reconciliation: Option<Arc<Reconciliation>>,
    /// The error of the latest one, and its time; `None` if it succeeded.
    pub failure: Option<(AwsError, Timestamp)>,
}

impl LatestReconciliations {
    /// Keeps the latest reconciliation of a service as long as a clone of the result exists.
    pub fn of(&self, subject: Subject) -> LatestReconciliation {
        let slot = Arc::new(Slot { subject, known: Mutex::default() });
        let mut slots = lock(&self.0);
        slots.retain(|slot| slot.strong_count() > 0);
        slots.push(Arc::downgrade(&slot));
        LatestReconciliation(Some(slot))
    }

    /// Returns the services, in the order of their clusters and names.
    pub fn all(&self) -> Vec<(Subject, Known)> {
        let slots: Vec<_> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        // While a service gets other rules it is there twice, and the later one is current.
        let current: BTreeMap<_, _> = slots
            .iter()
            .map(|slot| ((slot.subject.scope.cluster_name(), slot.subject.scope.service.as_str()), slot))
            .collect();
        current.values().map(|slot| (slot.subject.clone(), lock(&slot.known).clone())).collect()
    }
}

impl LatestReconciliation {
    /// Keeps a reconciliation that observed the service.
    pub fn observed(&self, reconciliation: impl FnOnce() -> Reconciliation) {
        if let Some(slot) = &self.0 {
            let reconciliation = Some(Arc::new(reconciliation()));
            *lock(&slot.known) = Known { reconciliation, failure: None };
        }
    }

    /// Keeps the error of a reconciliation that failed.
    pub fn failed(&self, error: &AwsError, at: Timestamp) {
        if let Some(slot) = &self.0 {
            lock(&slot.known).failure = Some((error.clone(), at));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
