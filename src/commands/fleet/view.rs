//! The services that `status` and `doctor` show: one that the command line names, those of a list, or one of a list.

use std::collections::BTreeMap;

use super::super::CommandError;
use super::super::options::fleet::{FleetOptions, GivenValues, Values};
use super::super::options::{PlatformOptions, PolicyOptions, QueueOptions};
use super::super::settings::{ConfigError, ProcessSettings, Settings};
use super::discovery::Discovery;
use super::values::OptionParser;
use super::{List, ServiceKey, Services, Watched, WatchedService, given_defaults};
use crate::aws::AwsError;
use crate::aws::directory::ServiceDirectory;
use jvb_watcher_rules::finding::Finding;
use jvb_watcher_rules::model::cluster_name;

/// The most services that an error names.
const NAMED: usize = 5;

/// The options that tell which services are shown.
#[derive(Clone, Copy, Debug)]
pub struct ViewOptions<'a> {
    /// The options of a service that are given.
    pub given: &'a GivenValues,
    /// The platform.
    pub platform: &'a PlatformOptions,
    /// The queue.
    pub queue: &'a QueueOptions,
    /// The list.
    pub fleet: &'a FleetOptions,
    /// The rules; `None` for a command that takes few of them.
    pub policy: Option<&'a PolicyOptions>,
}

/// What a command shows.
#[derive(Clone, Debug)]
pub struct View {
    /// The services, their queue and the connection.
    pub watched: Watched,
    selection: Selection,
}

/// The services of a list that are shown.
#[derive(Clone, Debug, Default)]
struct Selection {
    /// Those of this cluster, by name or ARN.
    cluster: Option<String>,
    /// The one of this name.
    service: Option<String>,
}

/// The services of a list, as it was read.
#[derive(Debug, Default)]
pub struct Found {
    /// The services.
    pub services: Services,
    /// The findings of services that can't be watched.
    pub not_watched: BTreeMap<ServiceKey, Vec<Finding>>,
    /// The clusters that could not be read.
    pub failures: Vec<(String, AwsError)>,
}

impl View {
    /// Derives and checks what is shown. With a list, `--service` and `--cluster` select from it.
    ///
    /// # Errors
    ///
    /// An option that is missing or wrong, or the errors of a configuration file.
    pub fn new(options: ViewOptions<'_>, environment: impl Fn(&str) -> Option<String>) -> Result<Self, CommandError> {
        let ViewOptions { given, platform, queue, fleet, policy } = options;
        let Some(list) = fleet.name() else {
            let settings = Settings::new(platform, queue, environment)?;
            let watched = match policy {
                Some(policy) => Watched::one(settings, policy)?,
                None => {
                    let given = OptionParser::new().parse(&[&given.0]).map_err(CommandError::Usage)?;
                    Watched::one(settings, &given.policy)?
                }
            };
            return Ok(Self { watched, selection: Selection::default() });
        };
        let mut given: Values = given.0.clone();
        let selection = Selection { cluster: given.remove("cluster"), service: given.remove("service") };
        let given = given_defaults(&given, list)?;
        let settings = ProcessSettings::new(platform, queue, environment)?;
        let watched = Watched::listed(settings, fleet, given)?;
        if let Some(cluster) = &selection.cluster
            && !watched.has_cluster(cluster)
        {
            let problem = format!("the list has no cluster {cluster:?}; leave out --cluster to see all");
            return Err(ConfigError { option: "cluster", problem }.into());
        }
        Ok(Self { watched, selection })
    }

    /// Reads the list.
    pub async fn read<D: ServiceDirectory>(&self, directory: D) -> Found {
        let mut found = match &self.watched.list {
            List::One(service) => {
                Found { services: Services::from([(service.key(), (**service).clone())]), ..Found::default() }
            }
            List::Text(services) | List::File { services, .. } => {
                Found { services: services.clone(), ..Found::default() }
            }
            List::Clusters { clusters, given } => {
                let mut discovery = Discovery::new(directory, clusters.clone(), given.clone());
                let (discovered, failures) = discovery.read().await;
                let not_watched = discovered.findings.into_iter();
                let not_watched = not_watched.filter(|(key, _)| !discovered.services.contains_key(key)).collect();
                Found { services: discovered.services, not_watched, failures }
            }
        };
        found.services.retain(|key, _| self.selection.has(key));
        found.not_watched.retain(|key, _| self.selection.has(key));
        found
    }

    /// Returns the service to show, if one is named.
    ///
    /// # Errors
    ///
    /// The list has no such service, or several.
    pub fn only<'f>(&self, found: &'f Found) -> Result<Option<&'f WatchedService>, CommandError> {
        let names_one = self.selection.service.is_some() || !self.watched.is_fleet();
        if !names_one {
            return Ok(None);
        }
        let service = self.selection.service.as_deref().unwrap_or_default();
        let keys: Vec<_> = found.services.keys().chain(found.not_watched.keys()).collect();
        match (keys.as_slice(), found.failures.first()) {
            ([key], _) => match (found.services.get(key), found.not_watched.get(key)) {
                (Some(service), _) => Ok(Some(service)),
                (None, findings) => {
                    let details: Vec<_> = findings.into_iter().flatten().map(|of| of.detail.clone()).collect();
                    Err(CommandError::Failed(format!("{service} can't be watched: {}", details.join("; "))))
                }
            },
            ([], Some((cluster, error))) => {
                Err(CommandError::Failed(format!("reading cluster {cluster} failed: {}", error.with_remedy())))
            }
            ([], None) => Err(CommandError::Usage(format!(
                "--service: the list has no service {service:?}; leave out --service to see all"
            ))),
            (several, _) => {
                let clusters: Vec<_> = several.iter().take(NAMED).map(|key| key.cluster.as_str()).collect();
                Err(CommandError::Usage(format!(
                    "--service: {} services have the name {service:?}; give --cluster, too: {}",
                    several.len(),
                    clusters.join(", ")
                )))
            }
        }
    }
}

impl Selection {
    fn has(&self, key: &ServiceKey) -> bool {
        self.cluster.as_deref().is_none_or(|cluster| cluster_name(cluster) == key.cluster)
            && self.service.as_ref().is_none_or(|service| *service == key.service)
    }
}
