//! The discovery of a fleet: the services of ECS clusters that have the tag `jvb-watcher:load-balancer`.
//!
//! Every worker that reads the same tags finds the same fleet, whatever it has found before, with two exceptions that keep
//! a service from being given up by mistake: a read that fails, or a tag that has become wrong, leaves a service as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::options::fleet::Values;
use super::values::{Kind, OptionParser};
use super::{ServiceKey, Services, WatchedService};
use crate::aws::directory::{ServiceDirectory, TaggedService};
use crate::aws::{AwsError, ErrorKind};
use crate::telemetry::log::RemovalReason;
use jvb_watcher_rules::finding::{Finding, FindingName};
use jvb_watcher_rules::model::{OPERATION_TAG, Tags, cluster_name};

/// The tags of a service's options: this, and the option's name.
///
/// ECS accepts letters, digits, blanks and `_ . : / = + - @` in keys and values (see Tag in its API reference), so that a
/// tag can have any value of an option, except a list with commas.
const PREFIX: &str = "jvb-watcher:";

/// The option whose tag makes a service one of the fleet.
const LOAD_BALANCER: &str = "load-balancer";

/// The options that a service has without a tag.
const NAMED: [&str; 2] = ["cluster", "service"];

/// The most services that one step of a read describes, which is one call to ECS (see DescribeServices in its API reference).
const PER_STEP: usize = 10;

/// Discovers the services of clusters.
///
/// The clusters are read one after the other. A read that its caller cancels loses no more than the call in progress: the
/// next read begins with another cluster, and continues this one where it was cancelled.
pub struct Discovery<D> {
    directory: D,
    clusters: Vec<String>,
    /// The options of the command line and the environment.
    given: Values,
    /// The place of the cluster that is read next.
    turn: usize,
    /// The services of the clusters that were read.
    known: BTreeMap<String, BTreeMap<String, Known>>,
    /// The clusters whose read was cancelled, with what it had found.
    unfinished: BTreeMap<String, Unfinished>,
    /// The reasons why services are no longer watched, since they were last taken.
    removed: BTreeMap<ServiceKey, RemovalReason>,
    /// The last failure of each cluster that could not be read.
    #[cfg_attr(not(feature = "lambda"), allow(dead_code, reason = "only the function reads it"))]
    failures: BTreeMap<String, AwsError>,
}

/// The read of a cluster that was cancelled.
struct Unfinished {
    /// The services that are yet to be described.
    names: Vec<String>,
    described: Vec<TaggedService>,
}

/// A service that is, or was, tagged.
#[derive(Clone, Debug)]
struct Known {
    /// The settings by its last good tags.
    service: Option<WatchedService>,
    /// What is wrong with its tags now.
    problem: Option<String>,
    /// True if the service was deleted.
    is_deleted: bool,
}

/// What the reads of the clusters have found.
#[derive(Debug, Default)]
pub struct Discovered {
    /// The services to watch.
    pub services: Services,
    /// The findings of services that can't be watched, or not by their current tags.
    pub findings: BTreeMap<ServiceKey, Vec<Finding>>,
    /// Why services are no longer watched.
    pub removed: BTreeMap<ServiceKey, RemovalReason>,
}

impl<D: ServiceDirectory> Discovery<D> {
    /// Creates a discovery that has read nothing.
    pub fn new(directory: D, clusters: Vec<String>, given: Values) -> Self {
        Self {
            directory,
            clusters,
            given,
            turn: 0,
            known: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            removed: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Returns the number of clusters.
    pub fn cluster_count(&self) -> usize {
        self.clusters.len()
    }

    /// Returns whether a cluster was ever read.
    pub fn has_read(&self) -> bool {
        !self.known.is_empty()
    }

    /// Returns the reason why no cluster was ever read.
    #[cfg(feature = "lambda")]
    pub fn unread(&self) -> AwsError {
        let failure = self.failures.values().next().cloned();
        failure.unwrap_or_else(|| cut_off(&self.clusters.join(", "), Duration::ZERO))
    }

    /// Returns the cluster that [`Self::read_next`] reads next.
    pub fn next_cluster(&self) -> &str {
        &self.clusters[self.turn]
    }

    /// Reads the cluster whose turn it is. What can't be read stays as it was. `before_call` is called before each call, or
    /// before the pages of a list.
    ///
    /// # Errors
    ///
    /// The call that failed; for a cluster that was read before and has been deleted since, too, whose services were deleted
    /// with it.
    pub async fn read_next(&mut self, before_call: impl Fn()) -> Result<(), AwsError> {
        let cluster = self.clusters[self.turn].clone();
        // At once, so that a read that hangs and is cancelled isn't the first of the next round, too.
        self.turn = (self.turn + 1) % self.clusters.len();
        let result = self.read_cluster(&cluster, before_call).await;
        match &result {
            Ok(()) => drop(self.failures.remove(&cluster)),
            Err(error) => drop(self.failures.insert(cluster, error.clone())),
        }
        result
    }

    /// Notes that the caller has cancelled the read of a cluster after this time, and returns the failure.
    pub fn cancelled(&mut self, cluster: &str, after: Duration) -> AwsError {
        let error = cut_off(cluster, after);
        self.failures.insert(cluster.to_owned(), error.clone());
        error
    }

    /// Reads all clusters once. Returns what was found, and the reads that failed, each with its cluster.
    pub async fn read(&mut self) -> (Discovered, Vec<(String, AwsError)>) {
        let mut failures = Vec::new();
        for _ in 0..self.cluster_count() {
            let cluster = self.next_cluster().to_owned();
            if let Err(error) = self.read_next(|| ()).await {
                failures.push((cluster, error));
            }
        }
        (self.found(), failures)
    }

    /// Returns what the reads have found so far. Each reason for a removal is returned once.
    pub fn found(&mut self) -> Discovered {
        let mut found = Discovered { removed: std::mem::take(&mut self.removed), ..Discovered::default() };
        self.collect(&mut found);
        found
    }

    async fn read_cluster(&mut self, cluster: &str, before_call: impl Fn()) -> Result<(), AwsError> {
        let before = self.known.get(cluster).cloned().unwrap_or_default();
        let mut is_missing = None;
        if !self.unfinished.contains_key(cluster) {
            before_call();
            let mut names: BTreeSet<String> = match self.directory.services(cluster).await {
                Ok(names) => names.into_iter().collect(),
                // The services of a deleted cluster are deleted, too.
                Err(error) if error.is(ErrorKind::NotFound) && self.known.contains_key(cluster) => {
                    is_missing = Some(error);
                    BTreeSet::new()
                }
                Err(error) if error.is(ErrorKind::NotFound) => return Err(mistyped(error)),
                Err(error) => return Err(error),
            };
            // A list of several pages may lack one that exists.
            names.extend(before.keys().cloned());
            let unfinished = Unfinished { names: names.into_iter().collect(), described: Vec::new() };
            self.unfinished.insert(cluster.to_owned(), unfinished);
        }
        while let Some(Unfinished { names, described }) = self.unfinished.get_mut(cluster)
            && !names.is_empty()
        {
            let rest = names.len().saturating_sub(PER_STEP);
            before_call();
            match self.directory.describe(cluster, &names[rest..]).await {
                Ok(services) => {
                    described.extend(services);
                    names.truncate(rest);
                }
                Err(error) => {
                    self.unfinished.remove(cluster);
                    return Err(error);
                }
            }
        }
        let described = self.unfinished.remove(cluster).map(|of| of.described).unwrap_or_default();
        let mut removed = BTreeMap::new();
        let mut options = OptionParser::new();
        let mut after = BTreeMap::new();
        let mut deleted = before.clone();
        for TaggedService { name, tags } in described {
            deleted.remove(&name);
            let known = before.get(&name);
            if !tags.contains_key(&format!("{PREFIX}{LOAD_BALANCER}")) {
                if known.is_some() {
                    removed.insert(key(cluster, &name), RemovalReason::TagRemoved);
                }
                continue;
            }
            let known = match self.settings(&mut options, cluster, &name, &tags) {
                Ok(service) => Known { service: Some(service), problem: None, is_deleted: false },
                Err(problem) => {
                    let service = known.and_then(|known| known.service.clone());
                    Known { service, problem: Some(problem), is_deleted: false }
                }
            };
            after.insert(name, known);
        }
        for (name, known) in deleted {
            let Some(service) = &known.service else { continue };
            before_call();
            // Otherwise nothing would report the load balancer that a deleted service leaves behind.
            if self.directory.has_load_balancer(&service.names.load_balancer).await? {
                after.insert(name, Known { problem: None, is_deleted: true, ..known });
            } else {
                removed.insert(key(cluster, &name), RemovalReason::ServiceDeleted);
            }
        }
        self.known.insert(cluster.to_owned(), after);
        self.removed.extend(removed);
        is_missing.map_or(Ok(()), Err)
    }

    /// Returns the settings of a service by its tags.
    ///
    /// # Errors
    ///
    /// What is wrong with the tags.
    fn settings(
        &self,
        options: &mut OptionParser,
        cluster: &str,
        name: &str,
        tags: &Tags,
    ) -> Result<WatchedService, String> {
        let mut values = Values::new();
        let mut problems = Vec::new();
        for (tag, value) in tags.iter().filter(|(tag, _)| *tag != OPERATION_TAG) {
            let Some(option) = tag.strip_prefix(PREFIX) else { continue };
            match check(options, option, value) {
                Ok(()) => drop(values.insert(option.to_owned(), value.clone())),
                Err(problem) => problems.push(format!("the tag {tag}: {problem}")),
            }
        }
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        values.insert("cluster".to_owned(), cluster.to_owned());
        values.insert("service".to_owned(), name.to_owned());
        let options = options.parse(&[&self.given, &values])?;
        WatchedService::new(&options).map_err(|error| format!("the tag {PREFIX}{}: {}", error.option, error.problem))
    }

    /// Collects the services of all clusters, and checks them against each other.
    fn collect(&self, found: &mut Discovered) {
        let of_clusters = self
            .known
            .iter()
            .flat_map(|(cluster, services)| services.iter().map(move |(name, known)| (key(cluster, name), known)));
        let mut holders: BTreeMap<&str, Vec<(ServiceKey, &Known)>> = BTreeMap::new();
        for (key, known) in of_clusters {
            if let Some(problem) = &known.problem {
                let state = match known.service {
                    Some(_) => "the service keeps its last good settings",
                    None => "the service isn't watched",
                };
                let detail = format!("{problem}; {state}");
                let finding = Finding { name: FindingName::TagInvalid, subject: key.service.clone(), detail };
                found.findings.entry(key.clone()).or_default().push(finding);
            }
            if let Some(service) = &known.service {
                holders.entry(&service.names.load_balancer).or_default().push((key, known));
            }
        }
        for (load_balancer, mut holders) in holders {
            // A service that was deleted yields to the one that has taken its place.
            if holders.iter().any(|(_, known)| !known.is_deleted) {
                for (key, _) in holders.iter().filter(|(_, known)| known.is_deleted) {
                    found.removed.insert(key.clone(), RemovalReason::ServiceDeleted);
                }
                holders.retain(|(_, known)| !known.is_deleted);
            }
            if let [(key, Known { service: Some(service), .. })] = holders.as_slice() {
                found.services.insert(key.clone(), service.clone());
                continue;
            }
            // Each would delete the load balancer of the others when it is idle itself, so none of them is watched.
            for (key, _) in &holders {
                let others = holders.iter().filter(|(other, _)| other != key);
                let others: Vec<_> = others.map(|(other, _)| format!("{}/{}", other.cluster, other.service)).collect();
                let detail = format!(
                    "the tag {PREFIX}{LOAD_BALANCER} of {} names {load_balancer}, too; none of them is watched",
                    others.join(", ")
                );
                let finding = Finding { name: FindingName::LoadBalancerShared, subject: key.service.clone(), detail };
                found.findings.entry(key.clone()).or_default().push(finding);
                found.removed.insert(key.clone(), RemovalReason::LoadBalancerShared);
            }
        }
    }
}

/// Checks the value of an option in a tag.
fn check(options: &mut OptionParser, option: &str, value: &str) -> Result<(), String> {
    if NAMED.contains(&option) {
        return Err(format!("a discovered service has its own {option}"));
    }
    match options.kind(option).map_err(|none| none.to_string())? {
        Kind::Switch if !["true", "false"].contains(&value) => Err(format!("{value:?}: it must be true or false")),
        Kind::Switch => Ok(()),
        Kind::Value => options.check(option, value),
    }
}

/// Returns the error of a cluster that was never read because AWS knows no cluster of that name: more likely the name is
/// wrong than that the cluster was deleted, and only an operator knows.
fn mistyped(error: AwsError) -> AwsError {
    let message = format!("{}; correct --discover (JVB_WATCHER_DISCOVER), or create the cluster", error.message);
    AwsError { kind: ErrorKind::Rejected, message, ..error }
}

/// Returns the failure of a read that was cancelled after this time.
fn cut_off(cluster: &str, after: Duration) -> AwsError {
    AwsError {
        kind: ErrorKind::Unavailable,
        service: "ecs",
        operation: "ListServices",
        resource: cluster.to_owned(),
        code: None,
        message: format!(
            "its services were not read within {:.1} s, its share of the invocation's time; the next read continues. If \
             this repeats, give the function a longer timeout",
            after.as_secs_f64()
        ),
        request_id: None,
    }
}

fn key(cluster: &str, service: &str) -> ServiceKey {
    ServiceKey { cluster: cluster_name(cluster).to_owned(), service: service.to_owned() }
}

#[cfg(test)]
mod tests;
