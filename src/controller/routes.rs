//! Finds the service that an event is about.

use std::collections::HashMap;

use crate::controller::message::{EventBridgeEvent, Hint, Subject};
use crate::controller::scope::Scope;

/// The services of a controller by cluster and name: an event costs two look-ups, however many services there are.
#[derive(Debug)]
pub struct Routes<K> {
    clusters: HashMap<String, HashMap<String, K>>,
}

impl<K> Default for Routes<K> {
    fn default() -> Self {
        Self { clusters: HashMap::new() }
    }
}

impl<K: Copy> Routes<K> {
    /// Adds a service. Returns the key that it replaces.
    pub fn insert(&mut self, scope: &Scope, key: K) -> Option<K> {
        self.clusters.entry(scope.cluster_name().to_owned()).or_default().insert(scope.service.clone(), key)
    }

    /// Removes a service. Returns its key.
    pub fn remove(&mut self, scope: &Scope) -> Option<K> {
        let services = self.clusters.get_mut(scope.cluster_name())?;
        let key = services.remove(&scope.service);
        if services.is_empty() {
            self.clusters.remove(scope.cluster_name());
        }
        key
    }

    /// Returns the key of a service.
    pub fn get(&self, scope: &Scope) -> Option<K> {
        self.clusters.get(scope.cluster_name())?.get(&scope.service).copied()
    }

    /// Returns the service that an event is about, and the event's hint; `None` if the event is foreign.
    ///
    /// An event without a `group` may be about any service of its cluster. It belongs to the cluster's service if the
    /// controller has one there, and is foreign if it has several: no hint is better than one for each of them, which would
    /// make a message cost more with each service, and the resync covers it. ECS's own events of a service's tasks have a
    /// group, which can't be changed (see "Group related Amazon ECS tasks" in the ECS developer guide).
    pub fn route(&self, event: EventBridgeEvent) -> Option<(K, Hint)> {
        let Subject { cluster, service } = event.subject()?;
        let services = self.clusters.get(cluster)?;
        let key = match service {
            Some(service) => *services.get(service)?,
            None if services.len() == 1 => *services.values().next()?,
            None => return None,
        };
        Some((key, event.into_hint()?))
    }
}

#[cfg(any(test, fuzzing))]
impl EventBridgeEvent {
    /// Returns the hint for a service that is its controller's only one; `None` if the event is foreign.
    pub fn hint_for(self, scope: &Scope) -> Option<Hint> {
        let mut routes = Routes::default();
        routes.insert(scope, ());
        routes.route(self).map(|((), hint)| hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(cluster: &str, service: &str) -> Scope {
        Scope { cluster: cluster.to_owned(), service: service.to_owned() }
    }

    fn routes(services: &[(&str, &str)]) -> Routes<usize> {
        let mut routes = Routes::default();
        for (key, (cluster, service)) in services.iter().enumerate() {
            assert_eq!(routes.insert(&scope(cluster, service), key), None);
        }
        routes
    }

    fn event(cluster: &str, group: Option<&str>) -> EventBridgeEvent {
        let mut event = serde_json::json!({
            "source": "aws.ecs",
            "detail-type": "ECS Task State Change",
            "detail": {
                "clusterArn": format!("arn:aws:ecs:eu-west-1:111122223333:cluster/{cluster}"),
                "taskArn": format!("arn:aws:ecs:eu-west-1:111122223333:task/{cluster}/0123456789abcdef0123456789abcdef"),
            },
        });
        if let Some(group) = group {
            event["detail"]["group"] = group.into();
        }
        EventBridgeEvent::parse(&event.to_string()).expect("well-formed")
    }

    fn key(routes: &Routes<usize>, cluster: &str, group: Option<&str>) -> Option<usize> {
        routes.route(event(cluster, group)).map(|(key, _)| key)
    }

    #[test]
    fn finds_the_service_by_its_cluster_and_its_name() {
        let arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/b";
        let routes = routes(&[("a", "x"), ("a", "y"), (arn, "x")]);
        assert_eq!(key(&routes, "a", Some("service:x")), Some(0));
        assert_eq!(key(&routes, "a", Some("service:y")), Some(1));
        assert_eq!(key(&routes, "b", Some("service:x")), Some(2));
        for (cluster, group) in [("b", "service:y"), ("c", "service:x"), ("a", "family:x"), ("a", "x")] {
            assert_eq!(key(&routes, cluster, Some(group)), None, "{cluster} {group}");
        }
    }

    #[test]
    fn an_event_without_a_group_belongs_to_the_only_service_of_its_cluster() {
        let mut routes = routes(&[("a", "x"), ("a", "y"), ("b", "x")]);
        assert_eq!(key(&routes, "b", None), Some(2));
        assert_eq!(key(&routes, "a", None), None, "it may be about either");
        assert_eq!(routes.remove(&scope("a", "x")), Some(0));
        assert_eq!(key(&routes, "a", None), Some(1));
    }

    #[test]
    fn a_removed_service_is_foreign() {
        let mut routes = routes(&[("a", "x")]);
        assert_eq!(routes.get(&scope("a", "x")), Some(0));
        assert_eq!(routes.remove(&scope("a", "x")), Some(0));
        assert_eq!(routes.remove(&scope("a", "x")), None);
        assert_eq!((routes.get(&scope("a", "x")), key(&routes, "a", Some("service:x"))), (None, None));
        assert_eq!(key(&routes, "a", None), None);
    }
}
