//! `doctor`: is the watcher wired up?

use clap::Args;

use super::help::{Group, Help, USAGE_ERROR};
use super::options::{LogOptions, OutputFormat, OutputOptions, OwnerTagOptions, PlatformOptions, QueueOptions};
use super::settings::Settings;
use std::io::{self, Write};

use futures_util::future::join_all;
use jiff::SignedDuration;

use super::{CommandError, connect};
use crate::aws::client::{AwsEventSource, AwsPlatform};
use crate::aws::event_source::{EventSource, QueueDescription, RuleTarget};
use crate::aws::{AwsError, LoadBalancerDescription, Platform, TargetGroupDescription};
use crate::clock::Clock;
use crate::doctor::{Attempt, Diagnosis, Sight, text, trials};
use crate::event_source::{self, Feed, Place};
use crate::telemetry::log::Log;
use crate::text::Style;
use jvb_watcher_rules::model::{LoadBalancer, Tags, TargetGroup};

/// The options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorOptions {
    /// The platform.
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// The queue.
    #[command(flatten)]
    pub queue: QueueOptions,
    /// The owner tag.
    #[command(flatten)]
    pub owner: OwnerTagOptions,
    /// The result.
    #[command(flatten)]
    pub output: OutputOptions,
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
            "jvb-watcher doctor --project jitsi -o json | jq '.checks[] | select(.outcome == \"failed\")'",
        ),
    ],
    exit_status: &[(0, "no check failed"), (1, "a check failed"), USAGE_ERROR],
    see_also: &["status", "run"],
};

/// Checks everything that the watcher stands on, and says so, one line a check.
///
/// # Errors
///
/// When a check failed.
pub async fn doctor(
    settings: &Settings,
    options: &DoctorOptions,
    log: &Log,
    no_color: Option<&str>,
) -> Result<(), CommandError> {
    let sdk = connect(settings, log).await?;
    let region = sdk.region().map(ToString::to_string).unwrap_or_default();
    let diagnosis = examine(settings, options, &AwsPlatform::new(&sdk), &AwsEventSource::new(&sdk), &region).await;
    let mut stdout = io::stdout().lock();
    match options.output.output {
        OutputFormat::Text => stdout.write_all(text(&diagnosis, Style::of_stdout(no_color)).as_bytes())?,
        OutputFormat::Json => {
            serde_json::to_writer(&mut stdout, &diagnosis).map_err(io::Error::from)?;
            writeln!(stdout)?;
        }
    }
    stdout.flush()?;
    match diagnosis.failed {
        0 => Ok(()),
        1 => Err(CommandError::Failed("a check failed".to_owned())),
        count => Err(CommandError::Failed(format!("{count} checks failed"))),
    }
}

/// Reads all that there is to check; what can't be read is a check that fails.
async fn examine(
    settings: &Settings,
    options: &DoctorOptions,
    platform: &AwsPlatform,
    event_source: &AwsEventSource,
    region: &str,
) -> Diagnosis {
    let Settings { scope, queue: queue_option, load_balancer: load_balancer_name, .. } = settings;
    let clock = platform.clock();
    let (caller, feed, task_network, load_balancer) = tokio::join!(
        event_source.caller(),
        event_source::read(event_source, scope, queue_option),
        event_source.task_network(&scope.cluster, &scope.service),
        load_balancer(platform, load_balancer_name),
    );
    let clock_ahead: SignedDuration = clock.now().duration_since(clock.machine_now());
    let queue = match &feed {
        Ok(Feed::Queue { queue, .. }) => Some((**queue).clone()),
        Ok(Feed::NoQueue) => None,
        Err(_) => event_source.queue(queue_option).await.ok().flatten(),
    };
    let account = caller.as_ref().map(|caller| caller.account.clone()).unwrap_or_default();
    let here = || Place { partition: "aws".to_owned(), region: region.to_owned(), account };
    let place = queue.as_ref().map_or_else(here, |queue| Place::of_queue(&queue.arn));
    let balancer = load_balancer.as_ref().ok().and_then(Option::as_ref);
    let (dead_letter_queue, rule_targets, deletion_protection, attempts) = tokio::join!(
        dead_letter_queue(event_source, queue.as_ref()),
        rule_targets(event_source, &feed),
        async { Some(event_source.deletion_protection(&balancer?.arn).await) },
        attempts(settings, event_source, queue.as_ref(), balancer, &place),
    );
    Diagnosis::new(&Sight {
        scope,
        queue_option,
        load_balancer_name,
        owner_tag: &options.owner.owner_tag,
        caller,
        clock_ahead,
        feed,
        queue,
        dead_letter_queue,
        rule_targets,
        task_network,
        load_balancer,
        deletion_protection,
        attempts,
    })
}

/// The load balancer and the groups behind it; without their targets, which no check asks for.
async fn load_balancer(platform: &AwsPlatform, name: &str) -> Result<Option<LoadBalancer>, AwsError> {
    let Some(description) = platform.load_balancer(name).await? else { return Ok(None) };
    let LoadBalancerDescription { arn, name, kind, state, created_at, dns_name: _ } = description;
    let (groups, mut tags) =
        tokio::try_join!(platform.target_groups(Some(&arn)), platform.tags(std::slice::from_ref(&arn)))?;
    let group = |group: TargetGroupDescription| {
        let TargetGroupDescription { arn, name, target_type, .. } = group;
        TargetGroup { arn, name, target_type, tags: Tags::new(), targets: Vec::new(), healthy_others: 0 }
    };
    let target_groups = groups.into_iter().map(group).collect();
    let tags = tags.remove(&arn).unwrap_or_default();
    Ok(Some(LoadBalancer { arn, name, kind, state, created_at, tags, target_groups }))
}

async fn dead_letter_queue(
    event_source: &AwsEventSource,
    queue: Option<&QueueDescription>,
) -> Option<Result<Option<QueueDescription>, AwsError>> {
    let dead_letters = queue?.dead_letters.as_ref()?;
    Some(event_source.queue(dead_letters.queue_name()).await)
}

async fn rule_targets(
    event_source: &AwsEventSource,
    feed: &Result<Feed, AwsError>,
) -> Vec<(String, Result<Vec<RuleTarget>, AwsError>)> {
    let Ok(Feed::Queue { rules, .. }) = feed else { return Vec::new() };
    let targets = |name: &str| {
        let name = name.to_owned();
        async move {
            let targets = event_source.rule_targets(&name).await;
            (name, targets)
        }
    };
    join_all(rules.iter().map(|rule| targets(&rule.rule.name))).await
}

async fn attempts(
    settings: &Settings,
    event_source: &AwsEventSource,
    queue: Option<&QueueDescription>,
    balancer: Option<&LoadBalancer>,
    place: &Place,
) -> Vec<Attempt> {
    // Policies speak of target groups by name: one that is there, or would be.
    let derived = format!("{}-jvb-udp", settings.identity.project);
    let target_group =
        balancer.and_then(|balancer| balancer.target_groups.first()).map_or(derived, |of| of.name.clone());
    let queue_url = queue.map(|queue| queue.url.as_str());
    let trials = trials(&settings.scope, queue_url, &settings.load_balancer, &target_group, place);
    let attempt = async |trial| {
        let answer = event_source.attempt(&trial).await;
        Attempt { trial, answer }
    };
    join_all(trials.into_iter().map(attempt)).await
}
