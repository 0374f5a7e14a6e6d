//! A fleet: the services that one process watches, and where they are listed.
//!
//! - [`values`]: the options of a service outside of the command line, parsed by the command line's definition.
//! - [`config_file`]: a file that lists the services.
//! - [`discovery`]: the services of ECS clusters that have a tag.
//! - [`view`]: the services that `status` and `doctor` show.

use std::collections::BTreeMap;

use std::path::PathBuf;

use super::CommandError;
use super::options::fleet::{FleetOptions, OneServiceOptions, Values};
use super::options::{PolicyOptions, WatchOptions};
use super::settings::{ConfigError, Names, ProcessSettings, Settings, cluster_to_discover};
use crate::aws::client::{AwsPlatform, Connection, QuotaShare, SdkConfig};
use crate::clock::SharedClock;
use crate::telemetry::log::Identity;
use jvb_watcher_rules::model::cluster_name;
use jvb_watcher_rules::plan::Policy;

pub mod config_file;
pub mod discovery;
pub mod values;
pub mod view;

use config_file::{InvalidConfig, Source};

/// The option and the variable that give a configuration as text.
const TEXT: &str = "JVB_WATCHER_CONFIG_TEXT";

/// What `run` and `lambda` watch, checked as far as it can be before they connect to AWS.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The identity in the log lines that are about no service of a fleet; else that of the service.
    pub identity: Identity,
    /// The queue's name or URL.
    pub queue: String,
    /// Region, credentials and endpoint.
    pub connection: Connection,
    /// The share of the API quotas that several services may use together.
    pub quota_share: QuotaShare,
    /// The services.
    pub list: List,
}

/// Where the services are listed.
#[derive(Clone, Debug)]
pub enum List {
    /// Nowhere: the command line names one.
    One(Box<WatchedService>),
    /// In a text.
    Text(Services),
    /// In a file, which can be read again.
    File {
        /// The file.
        path: PathBuf,
        /// The options of the command line and the environment.
        given: Values,
        /// Its services.
        services: Services,
    },
    /// In the tags of the services of clusters.
    Clusters {
        /// The clusters, by name or ARN.
        clusters: Vec<String>,
        /// The options of the command line and the environment.
        given: Values,
    },
}

impl Watched {
    /// Derives and checks what `run` and `lambda` watch; `environment` looks up the variables that the platform's scripts
    /// read.
    ///
    /// # Errors
    ///
    /// An option that is missing or wrong, or the errors of a configuration file.
    pub fn new(options: &WatchOptions, environment: impl Fn(&str) -> Option<String>) -> Result<Self, CommandError> {
        let Some(list) = options.fleet.name() else {
            return Ok(Self::one(Settings::new(&options.platform, &options.queue, environment)?, &options.policy)?);
        };
        let given = given_defaults(&options.given.0, list)?;
        let settings = ProcessSettings::new(&options.platform, &options.queue, environment)?;
        Self::listed(settings, &options.fleet, given)
    }

    /// Checks the list of the services; `given` are the values of the command line and the environment.
    fn listed(settings: ProcessSettings, fleet: &FleetOptions, given: Values) -> Result<Self, CommandError> {
        let list = match (&fleet.config, &fleet.config_text) {
            (Some(path), _) => {
                let services = config_file::read(path, &given)?;
                List::File { path: path.clone(), given, services }
            }
            (None, Some(text)) => List::Text(config_file::parse(Source { name: TEXT, text }, &given)?),
            (None, None) => {
                let mut clusters: Vec<String> = Vec::new();
                for cluster in &fleet.discover {
                    let cluster = cluster_to_discover(cluster.trim())?;
                    if !clusters.iter().any(|other| cluster_name(other) == cluster_name(&cluster)) {
                        clusters.push(cluster);
                    }
                }
                // Their own tags override them; a wrong pair is better reported once and now.
                values::OptionParser::new()
                    .parse(&[&given])
                    .map_err(CommandError::Usage)
                    .and_then(|options| Ok(options.policy.usage.policy()?))?;
                List::Clusters { clusters, given }
            }
        };
        let (identity, quota_share) = (settings.identity(), fleet.quota_share);
        Ok(Self { identity, queue: settings.queue, connection: settings.connection, quota_share, list })
    }

    /// Checks the rules of one service.
    ///
    /// # Errors
    ///
    /// Two options contradict each other.
    pub fn one(settings: Settings, options: &PolicyOptions) -> Result<Self, ConfigError> {
        let Settings { identity, scope, load_balancer, queue, connection } = settings;
        let names = Names { identity: identity.clone(), scope, load_balancer };
        let service = WatchedService::with_names(names, options)?;
        let quota_share = QuotaShare::default();
        Ok(Self { identity, queue, connection, quota_share, list: List::One(Box::new(service)) })
    }

    /// Returns whether many services are watched, or as many as are listed.
    pub fn is_fleet(&self) -> bool {
        !matches!(self.list, List::One(_))
    }

    /// Returns the connections to AWS, on a machine with this clock.
    pub fn connections(&self, sdk: &SdkConfig, machine: SharedClock) -> AwsPlatform {
        match self.is_fleet() {
            true => AwsPlatform::for_several_services(sdk, machine, self.quota_share),
            false => AwsPlatform::on_machine(sdk, machine),
        }
    }

    /// Returns whether the list has services of a cluster, given by name or ARN, or those of it with a tag.
    fn has_cluster(&self, cluster: &str) -> bool {
        let name = cluster_name(cluster);
        match &self.list {
            List::One(service) => service.key().cluster == name,
            List::Text(services) | List::File { services, .. } => services.keys().any(|key| key.cluster == name),
            List::Clusters { clusters, .. } => clusters.iter().any(|of_list| cluster_name(of_list) == name),
        }
    }

    /// Returns whether the list can be read again.
    pub fn can_change(&self) -> bool {
        matches!(self.list, List::File { .. } | List::Clusters { .. })
    }
}

impl From<InvalidConfig> for CommandError {
    fn from(error: InvalidConfig) -> Self {
        Self::Usage(error.to_string())
    }
}

/// A service to watch, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedService {
    /// Its names.
    pub names: Names,
    /// Its rules.
    pub policy: Policy,
}

impl WatchedService {
    /// Derives and checks the settings of a service of a fleet.
    ///
    /// # Errors
    ///
    /// The first option that is missing or wrong, or that contradicts another one.
    pub fn new(options: &OneServiceOptions) -> Result<Self, ConfigError> {
        Self::with_names(Names::new(&options.service)?, &options.policy)
    }

    /// Checks the rules of a service.
    ///
    /// # Errors
    ///
    /// Two options contradict each other.
    pub fn with_names(names: Names, options: &PolicyOptions) -> Result<Self, ConfigError> {
        let policy = super::policy(&names.scope, &names.load_balancer, options)?;
        Ok(Self { names, policy })
    }

    /// Returns what distinguishes the service from all others.
    pub fn key(&self) -> ServiceKey {
        let scope = &self.names.scope;
        ServiceKey { cluster: cluster_name(&scope.cluster).to_owned(), service: scope.service.clone() }
    }
}

/// What distinguishes a service from all others: a process works in one account and region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceKey {
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub service: String,
}

/// The services of a fleet.
pub type Services = BTreeMap<ServiceKey, WatchedService>;

/// A change of a fleet.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The service is watched no longer.
    Remove(WatchedService),
    /// The service has other settings.
    Replace(WatchedService),
    /// The service is watched from now on.
    Add(WatchedService),
}

/// Returns the changes from one fleet to another. Removals come first: a load balancer may pass to another service.
pub fn changes(before: &Services, after: &Services) -> Vec<Change> {
    let removed = before.iter().filter(|(key, _)| !after.contains_key(key)).map(|(_, service)| service);
    let replaced = after.iter().filter(|(key, service)| before.get(key).is_some_and(|before| before != *service));
    let added = after.iter().filter(|(key, _)| !before.contains_key(key));
    let removed = removed.cloned().map(Change::Remove);
    let replaced = replaced.map(|(_, service)| Change::Replace(service.clone()));
    removed.chain(replaced).chain(added.map(|(_, service)| Change::Add(service.clone()))).collect()
}

/// The options of the command line that name one service, and so contradict a list of services.
const OF_ONE_SERVICE: [&str; 3] = ["cluster", "service", "load-balancer"];

/// Returns the values that the command line and the environment give as defaults of all services.
///
/// # Errors
///
/// One of them names one service.
pub fn given_defaults(given: &Values, list: &str) -> Result<Values, ConfigError> {
    for option in OF_ONE_SERVICE {
        if given.contains_key(option) {
            let variable = option.replace('-', "_").to_uppercase();
            let problem = format!(
                "it names one service, and --{list} lists the services; leave out --{option} (JVB_WATCHER_{variable}) or --{list}"
            );
            return Err(ConfigError { option, problem });
        }
    }
    // The project of the process is that of its queue and of its own log lines.
    Ok(given.iter().filter(|(option, _)| *option != "project").map(|(a, b)| (a.clone(), b.clone())).collect())
}

#[cfg(test)]
pub mod samples {
    //! Services of tests.

    use super::values::OptionParser;
    use super::*;

    /// Returns a service of a cluster with a load balancer and options.
    pub fn service(cluster: &str, service: &str, load_balancer: &str, options: &[(&str, &str)]) -> WatchedService {
        let names = [("cluster", cluster), ("service", service), ("load-balancer", load_balancer)];
        let pairs = names.iter().chain(options).map(|(option, value)| ((*option).to_owned(), (*value).to_owned()));
        let options = OptionParser::new().parse(&[&pairs.collect()]).expect("good values");
        WatchedService::new(&options).expect("good settings")
    }
}

#[cfg(test)]
mod tests {
    use super::samples::service;
    use super::*;

    fn fleet(services: &[&WatchedService]) -> Services {
        services.iter().map(|service| (service.key(), (*service).clone())).collect()
    }

    #[test]
    fn changes_remove_before_they_replace_and_add() {
        let (kept, gone) = (service("c", "kept", "kept-nlb", &[]), service("c", "gone", "nlb", &[]));
        let (changed, new) = (service("c", "changed", "changed-nlb", &[]), service("c", "a-new-one", "nlb", &[]));
        let changed_to = service("c", "changed", "changed-nlb", &[("idle-grace", "5m")]);
        let before = fleet(&[&kept, &gone, &changed]);
        let after = fleet(&[&kept, &new, &changed_to]);
        assert_eq!(changes(&before, &after), [Change::Remove(gone), Change::Replace(changed_to), Change::Add(new)]);
        assert_eq!(changes(&after, &after), []);
    }

    #[test]
    fn a_cluster_is_the_same_by_name_and_by_arn() {
        let arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/c";
        assert_eq!(service("c", "s", "nlb", &[]).key(), service(arn, "s", "nlb", &[]).key());
    }

    #[test]
    fn a_service_without_a_project_has_its_own_name_in_its_place() {
        let names = service("c", "meet", "nlb", &[]).names;
        assert_eq!((names.identity.project.as_str(), names.scope.service.as_str()), ("meet", "meet"));
        let names = service("c", "meet", "nlb", &[("project", "p")]).names;
        assert_eq!(names.identity.project, "p");
    }

    #[test]
    fn an_option_of_one_service_contradicts_a_list() {
        let given = |option: &str| Values::from([(option.to_owned(), "x".to_owned())]);
        for option in OF_ONE_SERVICE {
            let error = given_defaults(&given(option), "config").expect_err(option).to_string();
            assert!(error.starts_with(&format!("--{option}: it names one service, and --config lists")), "{error}");
        }
        assert_eq!(given_defaults(&given("project"), "config"), Ok(Values::new()), "the process's own");
        assert_eq!(given_defaults(&given("teardown"), "config"), Ok(given("teardown")));
    }
}
