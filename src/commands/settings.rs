//! Settings: names derived from the project, every value checked.

use super::options::{ConnectionOptions, PlatformOptions, QueueOptions, ServiceOptions};
use crate::aws::client::{Connection, is_region_name};
use crate::controller::scope::Scope;
use crate::telemetry::log::Identity;
use jvb_watcher_rules::model::cluster_name;

/// The platform to work on, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The identity in every log line.
    pub identity: Identity,
    /// The cluster and the service.
    pub scope: Scope,
    /// The load balancer's name.
    pub load_balancer: String,
    /// The queue's name or URL.
    pub queue: String,
    /// Region, credentials and endpoint.
    pub connection: Connection,
}

/// A wrong value: the option, and what a good value looks like.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{option}: {problem}")]
pub struct ConfigError {
    /// The option's name.
    pub option: &'static str,
    /// The error in its value.
    pub problem: String,
}

/// One option's value, and where it came from.
struct Value {
    option: &'static str,
    text: String,
    origin: Origin,
}

enum Origin {
    Given,
    Derived,
}

/// The names of one service, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The identity in every log line.
    pub identity: Identity,
    /// The cluster and the service.
    pub scope: Scope,
    /// The load balancer's name.
    pub load_balancer: String,
}

/// The settings of a process that watches many services, checked.
#[derive(Clone, Debug)]
pub struct ProcessSettings {
    /// The project, if one is given.
    pub project: Option<String>,
    /// The queue's name or URL.
    pub queue: String,
    /// Region, credentials and endpoint.
    pub connection: Connection,
}

impl Settings {
    /// Derives and checks the settings; `environment` looks up the variables that the platform's scripts read.
    ///
    /// # Errors
    ///
    /// The first value that is missing or wrong.
    pub fn new(
        options: &PlatformOptions,
        queue: &QueueOptions,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let project = given("project", &options.service.project, "JITSI_PROJECT", &environment)?;
        let project = project.ok_or_else(|| ConfigError {
            option: "project",
            problem: "it is missing; give --project, JVB_WATCHER_PROJECT or JITSI_PROJECT".to_owned(),
        })?;
        let project = Value { option: "project", text: project, origin: Origin::Given }.hyphenated(80)?;
        let Names { identity, scope, load_balancer } = Names::of_project(&project, &options.service, &environment)?;
        let queue = queue_of(Some(&project), queue)?;
        let connection = connection(&options.connection, &environment)?;
        Ok(Self { identity, scope, load_balancer, queue, connection })
    }
}

impl Names {
    /// Derives and checks the names of a service of a fleet. Without a project, its own name takes the project's place.
    ///
    /// # Errors
    ///
    /// The first name that is missing or wrong.
    pub fn new(options: &ServiceOptions) -> Result<Self, ConfigError> {
        let no_environment = |_: &str| None;
        let project = match given("project", &options.project, "", &no_environment)? {
            Some(text) => Value { option: "project", text, origin: Origin::Given }.hyphenated(80)?,
            None => given("service", &options.service, "", &no_environment)?.ok_or_else(|| ConfigError {
                option: "service",
                problem: "it is missing; give the service's name, or the project from which it derives".to_owned(),
            })?,
        };
        Self::of_project(&project, options, &no_environment)
    }

    fn of_project(
        project: &str,
        options: &ServiceOptions,
        environment: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let value = |option, value, variable, suffix: &str| {
            given(option, value, variable, environment).map(|given| match given {
                Some(text) => Value { option, text, origin: Origin::Given },
                None => Value { option, text: format!("{project}-{suffix}"), origin: Origin::Derived },
            })
        };
        let cluster = value("cluster", &options.cluster, "JITSI_CLUSTER", "cluster")?.cluster()?;
        let service = value("service", &options.service, "JITSI_SERVICE", "service")?.ecs_name()?;
        let load_balancer = value("load-balancer", &options.load_balancer, "JITSI_NLB", "jvb-nlb")?.load_balancer()?;
        Ok(Self {
            identity: Identity {
                project: project.to_owned(),
                cluster: cluster_name(&cluster).to_owned(),
                service: service.clone(),
            },
            scope: Scope { cluster, service },
            load_balancer,
        })
    }
}

impl ProcessSettings {
    /// Derives and checks the settings; `environment` looks up the variables that the platform's scripts read.
    ///
    /// # Errors
    ///
    /// The first value that is missing or wrong.
    pub fn new(
        options: &PlatformOptions,
        queue: &QueueOptions,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let project = given("project", &options.service.project, "JITSI_PROJECT", &environment)?;
        let project =
            project.map(|text| Value { option: "project", text, origin: Origin::Given }.hyphenated(80)).transpose()?;
        let queue = queue_of(project.as_deref(), queue)?;
        Ok(Self { queue, connection: connection(&options.connection, &environment)?, project })
    }

    /// Returns the identity in the log lines that are about no service.
    pub fn identity(&self) -> Identity {
        let any = || Identity::ANY.to_owned();
        Identity { project: self.project.clone().unwrap_or_else(any), cluster: any(), service: any() }
    }
}

impl From<Settings> for ProcessSettings {
    fn from(Settings { identity, queue, connection, .. }: Settings) -> Self {
        Self { project: Some(identity.project), queue, connection }
    }
}

/// Checks the name or ARN of a cluster that `--discover` names.
///
/// # Errors
///
/// It can't be one.
pub fn cluster_to_discover(text: &str) -> Result<String, ConfigError> {
    Value { option: "discover", text: text.to_owned(), origin: Origin::Given }.cluster()
}

/// Returns the value of an option, or else that of a variable.
///
/// An empty argument is as a rule a shell variable that isn't set. The default in its place would be another platform than
/// the one meant, and `down` deletes it.
fn given(
    option: &'static str,
    value: &Option<String>,
    variable: &str,
    environment: &impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, ConfigError> {
    match value.as_deref() {
        Some("") => Err(ConfigError { option, problem: "it is empty; give a value, or leave it out".to_owned() }),
        Some(value) => Ok(Some(value.to_owned())),
        None => Ok(environment(variable).filter(|value| !value.is_empty())),
    }
}

fn queue_of(project: Option<&str>, options: &QueueOptions) -> Result<String, ConfigError> {
    let value = match (given("queue", &options.queue, "", &|_| None)?, project) {
        (Some(text), _) => Value { option: "queue", text, origin: Origin::Given },
        (None, Some(project)) => {
            Value { option: "queue", text: format!("{project}-jvb-watcher"), origin: Origin::Derived }
        }
        (None, None) => {
            let problem = "it is missing; give --queue or JVB_WATCHER_QUEUE, or the project from which it derives";
            return Err(ConfigError { option: "queue", problem: problem.to_owned() });
        }
    };
    value.queue()
}

fn connection(
    options: &ConnectionOptions,
    environment: &impl Fn(&str) -> Option<String>,
) -> Result<Connection, ConfigError> {
    let region = given("region", &options.region, "JITSI_AWS_REGION", environment)?;
    let region = region.map(|text| Value { option: "region", text, origin: Origin::Given }.region()).transpose()?;
    let endpoint_url = given("endpoint-url", &options.endpoint_url, "", environment)?;
    let endpoint_url =
        endpoint_url.map(|text| Value { option: "endpoint-url", text, origin: Origin::Given }.url()).transpose()?;
    let profile = given("profile", &options.profile, "JITSI_AWS_PROFILE", environment)?;
    Ok(Connection { region, profile, endpoint_url })
}

impl Value {
    fn wrong<T>(&self, problem: &str) -> Result<T, ConfigError> {
        let Self { option, text, origin } = self;
        let problem = match origin {
            Origin::Given => format!("{text:?} {problem}"),
            Origin::Derived => format!("{text:?}, derived from the project, {problem}; give the name itself"),
        };
        Err(ConfigError { option, problem })
    }

    fn is_made_of(&self, others: &str) -> bool {
        !self.text.is_empty() && self.text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    }

    fn has_at_most(&self, most: usize) -> Result<(), ConfigError> {
        match self.text.chars().count() {
            count if count > most => self.wrong(&format!("has {count} characters; it may have at most {most}")),
            _ => Ok(()),
        }
    }

    /// Letters, digits and hyphens, without a hyphen at either end.
    fn hyphenated(self, most: usize) -> Result<String, ConfigError> {
        self.has_at_most(most)?;
        if !self.is_made_of("-") || self.text.starts_with('-') || self.text.ends_with('-') {
            return self.wrong("must be made of letters, digits and inner hyphens");
        }
        Ok(self.text)
    }

    /// Elastic Load Balancing: at most 32 letters, digits and inner hyphens, not beginning with `internal-`
    /// (see CreateLoadBalancer in its API reference).
    fn load_balancer(self) -> Result<String, ConfigError> {
        if self.text.starts_with("internal-") {
            return self.wrong("must not begin with internal-");
        }
        self.hyphenated(32)
    }

    /// ECS: at most 255 letters, digits, hyphens and underscores (see CreateCluster and CreateService in its API
    /// reference).
    fn ecs_name(self) -> Result<String, ConfigError> {
        self.has_at_most(255)?;
        if !self.is_made_of("-_") {
            return self.wrong("must be made of letters, digits, hyphens and underscores");
        }
        Ok(self.text)
    }

    fn cluster(self) -> Result<String, ConfigError> {
        if !self.text.starts_with("arn:") {
            return self.ecs_name();
        }
        if !self.text.contains(":ecs:") || !self.text.contains(":cluster/") || cluster_name(&self.text).is_empty() {
            return self.wrong("is not the ARN of a cluster, like arn:aws:ecs:eu-west-1:111122223333:cluster/NAME");
        }
        Ok(self.text)
    }

    /// SQS: at most 80 letters, digits, hyphens and underscores, or the whole URL (see CreateQueue in its API
    /// reference).
    fn queue(self) -> Result<String, ConfigError> {
        if self.text.contains("://") {
            return self.url();
        }
        self.has_at_most(80)?;
        if self.text.ends_with(".fifo") {
            return self.wrong("is a FIFO queue; the rule's events need a standard one");
        }
        if !self.is_made_of("-_") {
            return self.wrong("must be a URL, or made of letters, digits, hyphens and underscores");
        }
        Ok(self.text)
    }

    fn region(self) -> Result<String, ConfigError> {
        if !is_region_name(&self.text) {
            return self.wrong("is not a region, like eu-west-1");
        }
        Ok(self.text)
    }

    fn url(self) -> Result<String, ConfigError> {
        let uri = self.text.parse::<http::Uri>();
        let good = uri.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
        if !good {
            return self.wrong("is not a URL, like http://127.0.0.1:4566");
        }
        Ok(self.text)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        platform: PlatformOptions,
        #[command(flatten)]
        queue: QueueOptions,
    }

    fn settings(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let arguments = Arguments::try_parse_from(["jvb-watcher"].iter().chain(arguments)).expect("good options");
        let variable = |name: &str| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        Settings::new(&arguments.platform, &arguments.queue, variable)
    }

    #[test]
    fn derives_names_from_the_project() {
        let settings = settings(&["--project", "p"], &[]).expect("enough");
        assert_eq!(settings.scope.cluster, "p-cluster");
        assert_eq!(settings.scope.service, "p-service");
        assert_eq!(settings.load_balancer, "p-jvb-nlb");
        assert_eq!(settings.queue, "p-jvb-watcher");
    }

    #[test]
    fn reads_the_variables_of_the_platforms_scripts_after_its_own() {
        let variables = [
            ("JITSI_PROJECT", "j"),
            ("JITSI_CLUSTER", "c"),
            ("JITSI_SERVICE", "s"),
            ("JITSI_NLB", "n"),
            ("JITSI_AWS_REGION", "eu-west-1"),
            ("JITSI_AWS_PROFILE", "f"),
        ];
        let all = settings(&[], &variables).expect("enough");
        assert_eq!((all.identity.project.as_str(), all.queue.as_str()), ("j", "j-jvb-watcher"));
        assert_eq!((all.scope.cluster.as_str(), all.scope.service.as_str()), ("c", "s"));
        assert_eq!(all.load_balancer, "n");
        assert_eq!(all.connection.region.as_deref(), Some("eu-west-1"));
        assert_eq!(all.connection.profile.as_deref(), Some("f"));
        let flags = settings(&["--project", "p", "--cluster", "pc", "--region", "us-east-1"], &variables);
        let flags = flags.expect("enough");
        assert_eq!((flags.identity.project.as_str(), flags.scope.cluster.as_str()), ("p", "pc"));
        assert_eq!(flags.connection.region.as_deref(), Some("us-east-1"));
    }

    #[test]
    fn takes_empty_variables_for_unset() {
        let empty = settings(&["--project", "p"], &[("JITSI_CLUSTER", ""), ("JITSI_NLB", "")]).expect("enough");
        assert_eq!((empty.scope.cluster.as_str(), empty.load_balancer.as_str()), ("p-cluster", "p-jvb-nlb"));
        assert_eq!(settings(&[], &[("JITSI_PROJECT", "")]).expect_err("no project").option, "project");
    }

    #[test]
    fn rejects_an_empty_argument_even_if_its_variable_is_set() {
        let variables = [("JITSI_PROJECT", "j"), ("JITSI_NLB", "n"), ("JITSI_AWS_REGION", "eu-west-1")];
        for option in ["project", "cluster", "service", "load-balancer", "region", "profile", "endpoint-url", "queue"] {
            let argument = format!("--{option}=");
            let error = settings(&[&argument], &variables).expect_err(&argument);
            assert_eq!(error.to_string(), format!("--{option}: it is empty; give a value, or leave it out"));
        }
    }

    #[test]
    fn accepts_the_arn_of_a_cluster() {
        let arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/shared";
        let settings = settings(&["--project", "p", "--cluster", arn], &[]).expect("enough");
        assert_eq!((settings.scope.cluster.as_str(), settings.identity.cluster.as_str()), (arn, "shared"));
    }

    #[test]
    fn names_the_option_of_a_wrong_value_and_a_good_one() {
        let long = "x".repeat(33);
        let too_long = "y".repeat(25);
        for (arguments, option, says) in [
            (vec!["--project", "a b"], "project", "letters, digits"),
            (vec!["--project=-a"], "project", "inner hyphens"),
            (vec!["--project", &too_long], "load-balancer", "at most 32; give the name itself"),
            (vec!["--project", "p", "--load-balancer", &long], "load-balancer", "at most 32"),
            (vec!["--project", "p", "--load-balancer", "internal-x"], "load-balancer", "internal-"),
            (vec!["--project", "p", "--load-balancer", "x_y"], "load-balancer", "letters, digits"),
            (vec!["--project", "p", "--cluster", "a/b"], "cluster", "underscores"),
            (vec!["--project", "p", "--cluster", "arn:aws:ecs:x:1:service/y"], "cluster", "ARN of a cluster"),
            (vec!["--project", "p", "--service", "a b"], "service", "underscores"),
            (vec!["--project", "p", "--queue", "a b"], "queue", "a URL, or"),
            (vec!["--project", "p", "--queue", "events.fifo"], "queue", "standard"),
            (vec!["--project", "p", "--queue", "ftp://x/y"], "queue", "not a URL"),
            (vec!["--project", "p", "--region", "Ireland"], "region", "like eu-west-1"),
            (vec!["--project", "p", "--endpoint-url", "localhost:4566"], "endpoint-url", "like http://"),
            (vec!["--project", "p", "--endpoint-url", "http://"], "endpoint-url", "like http://"),
        ] {
            let error = settings(&arguments, &[]).expect_err(&format!("{arguments:?}"));
            assert_eq!(error.option, option, "{arguments:?}");
            assert!(error.to_string().contains(says), "{arguments:?} gives {error}");
        }
    }
}
