//! Observes several services side by side.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt};

use crate::aws::ControllerPlatform;
use crate::aws::event_source::{EventSource, QueueDescription};
use crate::clock::SharedClock;
use crate::commands::fleet::view::Found;
use crate::commands::fleet::{ServiceKey, Services, WatchedService};
use crate::controller::context::Context;
use crate::controller::message::Hints;
use crate::controller::orphans::OrphanIndex;
use crate::controller::reconciler::{Reconciler, ReconcilerParts};
use crate::controller::scope::Scope;
use crate::event_source;
use crate::event_source::remembered::Remembered;
use crate::status::fleet::{FleetSnapshot, FleetStatus, ServiceNames, ServiceReading};
use crate::telemetry::log::Log;
use jvb_watcher_cost::Model;
use jvb_watcher_rules::finding::Finding;

/// The most services that are observed at a time.
const AT_A_TIME: usize = 32;

/// Observes several services and their event source.
pub(super) struct FleetObserver<P, E> {
    platform: P,
    event_source: E,
    queue: String,
    costs: Model,
    log: Log,
    clock: SharedClock,
    /// The reconcilers of the last observation, with the settings that they were made for: they remember what changes
    /// seldom.
    reconcilers: Mutex<BTreeMap<ServiceKey, Remembering<P>>>,
    /// The search for orphaned target groups, which all services share.
    orphan_index: OrphanIndex,
}

type Remembering<P> = (WatchedService, Arc<Reconciler<P>>);

/// The event source of a service, as far as it could be read.
type EventSourceReading = (Vec<Finding>, Option<String>);

impl<P: ControllerPlatform + Clone, E: EventSource + Clone> FleetObserver<P, E> {
    /// Creates an observer that has observed nothing.
    pub(super) fn new(platform: P, event_source: E, queue: String, costs: Model, log: Log, clock: SharedClock) -> Self {
        let reconcilers = Mutex::default();
        Self { platform, event_source, queue, costs, log, clock, reconcilers, orphan_index: OrphanIndex::default() }
    }

    /// Returns the connections to AWS.
    pub(super) fn platform(&self) -> P {
        self.platform.clone()
    }

    /// Observes the services. One that can't be observed is part of the status, and keeps no other from being observed.
    pub(super) async fn observe(&self, found: Found) -> FleetStatus {
        let Found { services, not_watched, failures } = found;
        let event_source = Remembered::new(self.event_source.clone());
        let has_services = !services.is_empty();
        let observed = stream::iter(self.reconcilers(services))
            .map(|(service, reconciler)| self.observe_one(service, reconciler, &event_source))
            .buffer_unordered(AT_A_TIME)
            .collect::<Vec<_>>();
        let (observed, queues) = tokio::join!(observed, self.read_queues(&event_source));
        let (queue, dead_letter_queue, mut unread) = queues;
        let mut readings = Vec::with_capacity(observed.len());
        for (reading, of_event_source) in observed {
            unread.extend(of_event_source);
            readings.push(reading);
        }
        let mut event_source_findings = Vec::new();
        if !has_services {
            match event_source::read_untested(&event_source, &self.queue).await {
                Ok(state) => event_source_findings = event_source::findings(&state, &self.queue),
                Err(error) => unread.push(error.with_remedy()),
            }
        }
        unread.sort();
        unread.dedup();
        let not_watched = not_watched.into_iter().map(|(ServiceKey { cluster, service }, findings)| {
            (ServiceNames { cluster, project: service.clone(), service, load_balancer: None }, findings)
        });
        FleetStatus::new(FleetSnapshot {
            services: readings,
            not_watched: not_watched.collect(),
            unread_clusters: failures,
            event_source_findings,
            queue: queue.as_ref(),
            dead_letter_queue: dead_letter_queue.as_ref(),
            unread,
            costs: &self.costs,
            now: self.clock.now(),
        })
    }

    async fn observe_one(
        &self,
        service: WatchedService,
        reconciler: Arc<Reconciler<P>>,
        event_source: &Remembered<E>,
    ) -> (ServiceReading, Option<String>) {
        let WatchedService { names, policy } = service;
        let hints = Hints::default();
        let (observed, (event_source_findings, unread)) =
            tokio::join!(reconciler.observe(&hints), self.read_event_source(event_source, &names.scope));
        let reading = ServiceReading {
            names: ServiceNames {
                cluster: names.identity.cluster,
                service: names.identity.service,
                project: names.identity.project,
                load_balancer: Some(names.load_balancer),
            },
            scope: names.scope,
            policy,
            observed: observed.map(|observed| (observed.observation, observed.plan)),
            observed_at: self.clock.now(),
            event_source_findings,
        };
        (reading, unread)
    }

    /// Reads the event source of a service as far as the credentials allow.
    async fn read_event_source(&self, event_source: &Remembered<E>, scope: &Scope) -> EventSourceReading {
        match event_source::read(event_source, scope, &self.queue).await {
            Ok(state) => (event_source::findings(&state, &self.queue), None),
            Err(error) => (Vec::new(), Some(error.with_remedy())),
        }
    }

    /// Reads the queue and its dead-letter queue, and returns the errors of what can't be read.
    async fn read_queues(
        &self,
        event_source: &Remembered<E>,
    ) -> (Option<QueueDescription>, Option<QueueDescription>, Vec<String>) {
        let mut unread = Vec::new();
        let mut read = async |name: &str| match event_source.queue(name).await {
            Ok(queue) => queue,
            Err(error) => {
                unread.push(error.with_remedy());
                None
            }
        };
        let queue = read(&self.queue).await;
        let dead_letter_queue = match queue.as_ref().and_then(|queue| queue.redrive_policy.as_ref()) {
            Some(redrive_policy) => read(redrive_policy.dead_letter_queue_name()).await,
            None => None,
        };
        (queue, dead_letter_queue, unread)
    }

    /// Returns the services with their reconcilers, and forgets those of services that are no longer listed, or have other
    /// settings. All that are new are created before the first one observes, so that one search for orphaned target groups
    /// answers all of them.
    fn reconcilers(&self, services: Services) -> Vec<Remembering<P>> {
        let mut reconcilers = self.reconcilers.lock().unwrap_or_else(PoisonError::into_inner);
        reconcilers.retain(|key, (made_for, _)| services.get(key).is_some_and(|service| service == made_for));
        for (key, service) in services {
            reconcilers.entry(key).or_insert_with(|| {
                let WatchedService { names, policy } = &service;
                let log = self.log.about(names.identity.clone());
                let context = Context::new(names.scope.clone(), log, self.clock.clone());
                let parts = ReconcilerParts::new(self.platform.clone(), context, policy.clone());
                let orphan_index = self.orphan_index.clone();
                let reconciler = Reconciler::new(ReconcilerParts { orphan_index, ..parts });
                (service, Arc::new(reconciler))
            });
        }
        reconcilers.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
