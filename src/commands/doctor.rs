//! `doctor`: reads what the watcher depends on, and checks it, for one service or many.

use std::future::Future;
use std::io::{self, Write};

use clap::Args;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde::Serialize;

use super::fleet::WatchedService;
use super::fleet::view::{Found, View, ViewOptions};
use super::help::{Group, Help, USAGE_ERROR};
use super::options::fleet::{FleetOptions, GivenValues};
use super::options::{LogOptions, OutputFormat, OutputOptions, OwnerTagOptions, PlatformOptions, QueueOptions};
use super::{CommandError, connect};
use crate::aws::client::{AwsDiagnostics, AwsEventSource, AwsPlatform};
use crate::aws::diagnostics::{Diagnostics, PermissionProbe};
use crate::aws::event_source::{EventSource, QueueDescription};
use crate::aws::{AwsError, LoadBalancerDescription, Platform, TargetGroupDescription};
use crate::doctor::fleet::{FleetDiagnosis, fleet_text};
use crate::doctor::{
    Check, Diagnosis, Evidence, ProbeResult, ProbedResources, RuleTargets, SharedEvidence, probes, shared_checks, text,
};
use crate::event_source::location::Location;
use crate::event_source::remembered::Remembered;
use crate::event_source::{self, EventSourceState};
use crate::telemetry::log::Log;
use crate::text::Style;
use jvb_watcher_rules::model::{LoadBalancer, TargetGroup};
use remembered::RememberedDiagnostics;

mod remembered;

/// The most services of a fleet that are examined at a time. Each takes some ten calls side by side.
const AT_A_TIME: usize = 8;

/// The options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorOptions {
    /// The options of a service that are given, as they are written. First, because the fields after it take their values
    /// out of the matches.
    #[command(flatten)]
    pub given: GivenValues,
    /// The owner tag.
    #[command(flatten)]
    pub owner: OwnerTagOptions,
    /// The result.
    #[command(flatten)]
    pub output: OutputOptions,
    /// The platform.
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// The queue.
    #[command(flatten)]
    pub queue: QueueOptions,
    /// The fleet.
    #[command(flatten)]
    pub fleet: FleetOptions,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
}

/// The help of `doctor`.
pub const HELP: Help = Help {
    group: Group::Inspect,
    examples: &[
        ("Check an installation", "jvb-watcher doctor --project jitsi"),
        (
            "List the failed checks",
            "jvb-watcher doctor --project jitsi -o json | jq '.checks[] | select(.result == \"failed\")'",
        ),
        ("Check many services", "jvb-watcher doctor --config /etc/jvb-watcher.toml --queue jvb-watcher"),
    ],
    exit_status: &[(0, "no check failed; some may be skipped"), (1, "a check failed"), USAGE_ERROR],
    see_also: &["status", "run"],
};

impl DoctorOptions {
    /// Returns the options that tell which services are checked.
    pub fn view(&self) -> ViewOptions<'_> {
        let Self { given, platform, queue, fleet, .. } = self;
        ViewOptions { given, platform, queue, fleet, policy: None }
    }
}

/// Checks everything that the watcher depends on, and prints one line a check; of many services only what is wrong, and what
/// they share.
///
/// # Errors
///
/// Returns an error if a check failed.
pub async fn doctor(
    view: &View,
    options: &DoctorOptions,
    log: &Log,
    no_color: Option<&str>,
) -> Result<(), CommandError> {
    let sdk = connect(&view.watched.connection, log).await?;
    let doctor = Doctor {
        queue: &view.watched.queue,
        region: sdk.region().map(ToString::to_string).unwrap_or_default(),
        platform: view.watched.connections(&sdk, log.clock()),
        event_source: Remembered::new(AwsEventSource::new(&sdk)),
        diagnostics: RememberedDiagnostics::new(AwsDiagnostics::new(&sdk)),
    };
    let found = view.read(doctor.platform.clone()).await;
    let (output, style) = (options.output.output, Style::of_stdout(no_color));
    let failed = match view.only(&found)? {
        Some(service) => {
            let diagnosis = doctor.examine(service).await;
            print(output, &diagnosis, |diagnosis| text(diagnosis, style))?;
            diagnosis.tally.failed
        }
        None => {
            let diagnosis = doctor.examine_all(&found).await;
            print(output, &diagnosis, |diagnosis| fleet_text(diagnosis, style))?;
            diagnosis.tally.failed
        }
    };
    match failed {
        0 => Ok(()),
        1 => Err(CommandError::Failed("a check failed".to_owned())),
        count => Err(CommandError::Failed(format!("{count} checks failed"))),
    }
}

fn print<T: Serialize>(output: OutputFormat, diagnosis: &T, text: impl Fn(&T) -> String) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match output {
        OutputFormat::Text => stdout.write_all(text(diagnosis).as_bytes())?,
        OutputFormat::Json => {
            serde_json::to_writer(&mut stdout, diagnosis)?;
            writeln!(stdout)?;
        }
    }
    stdout.flush()
}

/// Reads the evidence for the checks.
struct Doctor<'a> {
    queue: &'a str,
    region: String,
    platform: AwsPlatform,
    event_source: Remembered<AwsEventSource>,
    diagnostics: RememberedDiagnostics<AwsDiagnostics>,
}

impl Doctor<'_> {
    /// Examines the services of a list.
    async fn examine_all(&self, Found { services, not_watched, failures }: &Found) -> FleetDiagnosis {
        let clusters = failures.iter().map(|(cluster, error)| Check::unread_cluster(cluster, error));
        let findings =
            not_watched.iter().flat_map(|(key, findings)| findings.iter().map(move |finding| (key, finding)));
        let not_watched = findings.map(|(key, finding)| {
            let detail = format!("{}/{}: {}", key.cluster, key.service, finding.detail);
            Check::not_watched(detail, finding.name.advice())
        });
        let mut list: Vec<_> = clusters.chain(not_watched).collect();
        if list.is_empty() && services.is_empty() {
            list.push(Check::no_service());
        }
        if services.is_empty() {
            let shared = self.shared(event_source::read_untested(&self.event_source, self.queue)).await;
            list.extend(shared_checks(&shared, None));
        }
        let diagnoses = stream::iter(services)
            .map(async |(key, service)| ((key.cluster.clone(), key.service.clone()), self.examine(service).await))
            .buffer_unordered(AT_A_TIME)
            .collect::<Vec<_>>();
        FleetDiagnosis::new(list, diagnoses.await)
    }

    /// Reads what services share, with the queue and its rules by this read.
    async fn shared(
        &self,
        event_source: impl Future<Output = Result<EventSourceState, AwsError>>,
    ) -> SharedEvidence<'_> {
        let (caller, event_source) = tokio::join!(self.diagnostics.caller(), event_source);
        let queue = match &event_source {
            Ok(state) => state.queue().cloned(),
            // Reading the queue alone takes fewer permissions.
            Err(_) => self.event_source.queue(self.queue).await.ok().flatten(),
        };
        let (dead_letter_queue, rule_targets) =
            tokio::join!(self.dead_letter_queue(queue.as_ref()), self.rule_targets(event_source.as_ref().ok()));
        SharedEvidence {
            queue_option: self.queue,
            caller,
            clock_ahead: self.platform.clock().ahead_of_machine(),
            event_source,
            queue,
            dead_letter_queue,
            rule_targets,
        }
    }

    async fn examine(&self, service: &WatchedService) -> Diagnosis {
        let scope = &service.names.scope;
        let load_balancer_name = &service.names.load_balancer;
        let (shared, task_network, load_balancer) = tokio::join!(
            self.shared(event_source::read(&self.event_source, scope, self.queue)),
            self.diagnostics.task_network(&scope.cluster, &scope.service),
            self.load_balancer(load_balancer_name),
        );
        let account = shared.caller.as_ref().map(|caller| caller.account.clone()).unwrap_or_default();
        let here = || Location { partition: "aws".to_owned(), region: self.region.clone(), account };
        let location = shared.queue.as_ref().map_or_else(here, |queue| Location::of_arn(&queue.arn));
        let found = load_balancer.as_ref().ok().and_then(Option::as_ref);
        let (deletion_protection, probes) = tokio::join!(
            async { Some(self.diagnostics.deletion_protection(&found?.arn).await) },
            self.probe(service, shared.queue.as_ref(), found, &location),
        );
        Diagnosis::new(&Evidence {
            shared,
            scope,
            load_balancer_name,
            owner_tag: &service.policy.owner_tag,
            task_network,
            load_balancer,
            deletion_protection,
            probes,
        })
    }

    /// Reads the load balancer and the groups behind it, without their targets, which no check needs.
    async fn load_balancer(&self, name: &str) -> Result<Option<LoadBalancer>, AwsError> {
        let Some(description) = self.platform.load_balancer(name).await? else { return Ok(None) };
        let LoadBalancerDescription { arn, name, kind, state, created_at, .. } = description;
        let groups = self.platform.target_groups(Some(&arn)).await?;
        let arns: Vec<_> = std::iter::once(&arn).chain(groups.iter().map(|group| &group.arn)).cloned().collect();
        let mut tags = self.platform.tags(&arns).await?;
        let mut group = |group: TargetGroupDescription| {
            let TargetGroupDescription { arn, name, protocol, target_type, .. } = group;
            let tags = tags.remove(&arn).unwrap_or_default();
            TargetGroup { arn, name, protocol, target_type, tags, targets: Vec::new(), healthy_others: 0 }
        };
        let target_groups = groups.into_iter().map(&mut group).collect();
        let tags = tags.remove(&arn).unwrap_or_default();
        Ok(Some(LoadBalancer { arn, name, kind, state, created_at, tags, target_groups }))
    }

    async fn dead_letter_queue(
        &self,
        queue: Option<&QueueDescription>,
    ) -> Option<Result<Option<QueueDescription>, AwsError>> {
        let redrive_policy = queue?.redrive_policy.as_ref()?;
        Some(self.event_source.queue(redrive_policy.dead_letter_queue_name()).await)
    }

    async fn rule_targets(&self, state: Option<&EventSourceState>) -> Vec<RuleTargets> {
        let Some(EventSourceState::Queue { rules, .. }) = state else { return Vec::new() };
        let read = async |rule: String| RuleTargets { targets: self.diagnostics.rule_targets(&rule).await, rule };
        join_all(rules.iter().map(|rule| read(rule.rule.name.clone()))).await
    }

    async fn probe(
        &self,
        service: &WatchedService,
        queue: Option<&QueueDescription>,
        load_balancer: Option<&LoadBalancer>,
        location: &Location,
    ) -> Vec<ProbeResult> {
        let derived = format!("{}-jvb-udp", service.names.identity.project);
        let first_group = load_balancer.and_then(|load_balancer| load_balancer.target_groups.first());
        let probes = probes(ProbedResources {
            scope: &service.names.scope,
            queue_url: queue.map_or("", |queue| &queue.url),
            load_balancer: &service.names.load_balancer,
            target_group: first_group.map_or(&derived, |group| &group.name),
            location,
        });
        let probe = async |probe: PermissionProbe| {
            let lacks_queue = queue.is_none() && probe.operation().service() == "sqs";
            let answer = if lacks_queue { None } else { Some(self.diagnostics.probe(&probe).await) };
            ProbeResult { probe, answer }
        };
        join_all(probes.into_iter().map(probe)).await
    }
}
