//! `up`: from nothing to a call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::phase::{Bounded, Completed};
use super::registration::Registrations;
use super::{Course, Operation, SHORT, SHOWS_WITHIN, Setting, Step, Stop, owned_tags};
use crate::aws::{AwsError, Deadline, LoadBalancerDescription, Platform, Scaling};
use crate::controller::message::Hints;
use crate::controller::reconciler::{OBSERVATION_VALID_FOR, Reconciler};
use crate::telemetry::log::{Phase, Verb};
use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::model::{
    Counts, LoadBalancer, LoadBalancerKind, LoadBalancerState, Observation, Service, TargetGroup, TargetType, Task,
};
use jvb_watcher_rules::plan::{LifecycleAction, Teardown};

/// This many times the desired count of tasks that have stopped again say that the service can't keep them.
const CRASHES_PER_TASK: usize = 3;

/// Asks an address over HTTPS.
pub trait Probe: Send + Sync {
    /// The address.
    fn url(&self) -> &str;

    /// Asks once: what it answered. The error says what came instead.
    fn ask(&self) -> BoxFuture<'_, Result<String, String>>;
}

/// What `up` is to reach, and how long each phase may take.
pub struct Aim {
    /// The desired count; a service that has more keeps them.
    pub desired: i32,
    /// The address that must answer in the end.
    pub probe: Option<Arc<dyn Probe>>,
    /// For the balancer command.
    pub make_limit: Duration,
    /// Until the balancer is active.
    pub active_limit: Duration,
    /// Until as many tasks serve as are desired.
    pub serving_limit: Duration,
    /// Until they are registered.
    pub registered_limit: Duration,
    /// Until they are healthy.
    pub healthy_limit: Duration,
    /// Until the address answers.
    pub answer_limit: Duration,
}

/// The way up.
pub struct Up<P> {
    course: Course<P>,
    aim: Aim,
    /// Registers what serves, and leaves the balancer alone.
    registrar: Reconciler<P>,
    /// Ends the teardown of an earlier balancer that was begun, by the watcher's own rules.
    finisher: Reconciler<P>,
    /// The balancer that was found, or made.
    balancer: Option<LoadBalancerDescription>,
    /// What made it.
    origin: Origin,
    /// When no watcher's look from before the hold can lead to an act any more.
    settled_at: Option<Instant>,
    /// What the desired count was, if this raised it.
    scaled_from: Option<i32>,
    /// Since when the service should keep its tasks.
    scaled_at: Option<Timestamp>,
    /// How many tasks are waited for.
    wanted: i32,
    /// The last look at the registrations.
    seen: Observation,
}

/// Where the balancer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It was there.
    Found,
    /// The balancer command ended then.
    Made(Instant),
}

impl<P: Platform + Scaling + Clone> Up<P> {
    /// The way from here.
    pub fn new(setting: Setting<P>, aim: Aim) -> Self {
        let reconciler = |teardown| setting.reconciler(teardown, Duration::from_secs(60), Duration::from_secs(15 * 60));
        let wanted = aim.desired;
        Self {
            registrar: reconciler(Teardown::Off),
            finisher: reconciler(Teardown::All),
            course: Course::new(Verb::Up, setting),
            aim,
            balancer: None,
            origin: Origin::Found,
            settled_at: None,
            scaled_from: None,
            scaled_at: None,
            wanted,
            seen: Observation {
                service: Service::Missing,
                tasks: Vec::new(),
                load_balancer: None,
                orphaned_target_groups: Vec::new(),
                unmatched_since: BTreeMap::new(),
                teardown_begun_at: None,
            },
        }
    }

    /// How long all phases may take together.
    fn longest(&self) -> Duration {
        self.phases().iter().map(|bounded| bounded.limit).sum()
    }

    fn name(&self) -> &str {
        &self.course.setting.load_balancer
    }

    /// Keeps the watchers off the balancer, unless a person does already.
    async fn hold(&self, observation: &Observation, deadline: &Deadline) -> Result<(), AwsError> {
        match owned_tags(observation, &self.course.setting.owner_tag) {
            Some((arn, tags)) => self.hold_by(arn, Hold::of(tags), deadline).await,
            None => Ok(()),
        }
    }

    async fn hold_by(&self, arn: &str, standing: Option<Hold>, deadline: &Deadline) -> Result<(), AwsError> {
        let now = self.course.now();
        let id = &self.course.setting.id;
        let held = standing.filter(|hold| hold.is_in_force(now)).is_some_and(|hold| match hold.holder {
            Holder::Hand => true,
            Holder::Up(of) => of == *id,
        });
        if held {
            return Ok(());
        }
        let hold = Hold::for_duration(self.longest(), now, Holder::Up(id.clone()));
        self.course.place_hold(arn, &hold, deadline).await
    }

    /// The balancer as it is now, held.
    async fn held_balancer(&self, deadline: &Deadline) -> Result<Option<LoadBalancerDescription>, AwsError> {
        let platform = &self.course.setting.platform;
        let Some(balancer) = platform.load_balancer(self.name()).await? else { return Ok(None) };
        let tags = platform.tags(std::slice::from_ref(&balancer.arn)).await?;
        let owner_tag = &self.course.setting.owner_tag;
        if let Some(tags) = tags.get(&balancer.arn).filter(|tags| owner_tag.is_among(tags)) {
            self.hold_by(&balancer.arn, Hold::of(tags), deadline).await?;
        }
        Ok(Some(balancer))
    }

    /// Refuses what can't come to a good end.
    fn check(&self, balancer: Option<&LoadBalancer>) -> Result<(), Stop> {
        let name = self.name();
        match (balancer.map(|balancer| &balancer.kind), &self.course.setting.command) {
            (Some(LoadBalancerKind::Other(kind)), _) => Err(Stop::Refused(format!(
                "load balancer {name} is of type {kind}, not network; give another --load-balancer"
            ))),
            (None, None) => Err(Stop::Refused(format!(
                "there is no load balancer {name}, and nothing to make it with; give --terraform-dir or \
                 --balancer-command"
            ))),
            (Some(LoadBalancerKind::Network), _) | (None, Some(_)) => Ok(()),
        }
    }

    // ---- the phases ----

    async fn lease(&mut self) -> Result<Step, Stop> {
        let deadline = self.course.deadline();
        let service = self.course.service().await?;
        let look = self.registrar.observe(&Hints::default()).await?;
        self.check(look.observation.load_balancer.as_ref())?;
        let detail = self.course.lease(&service, &deadline).await?;
        Ok(Step::Done(detail))
    }

    async fn make(&mut self) -> Result<Step, Stop> {
        let latest = self.course.latest().await?;
        let look = self.finisher.observe(&Hints::default()).await?;
        let name = self.name().to_owned();
        let Some(balancer) = &look.observation.load_balancer else {
            self.settled_at = None;
            let ending = matches!(look.plan.lifecycle, LifecycleAction::DeleteTargetGroups { .. });
            let marked = !look.observation.orphaned_target_groups.is_empty();
            if ending || marked && jvb_watcher_rules::plan::is_idle(&look.observation, self.course.now()) {
                // Terraform would take the old groups for its own while a watcher deletes them.
                self.finisher.reconcile(&Hints::default()).await?;
                return Ok(Step::Waiting("an earlier teardown is under way; its target groups go first".to_owned()));
            }
            return match self.origin {
                Origin::Made(at) if at.elapsed() < SHOWS_WITHIN => {
                    Ok(Step::Waiting(format!("load balancer {name} doesn't show yet")))
                }
                Origin::Made(_) => {
                    let command = self.course.setting.command.as_ref().map(|command| command.text());
                    Err(Stop::Refused(format!(
                        "`{}` succeeded, but there is no load balancer {name}; check its name in that configuration, or \
                         give --load-balancer",
                        command.unwrap_or_default()
                    )))
                }
                Origin::Found if self.course.took_over().is_some_and(|since| since < OBSERVATION_VALID_FOR) => {
                    Ok(Step::Waiting("the other operation has some seconds to stop".to_owned()))
                }
                Origin::Found => Ok(Step::Command),
            };
        };
        self.hold(&look.observation, &latest.deadline).await?;
        if let Origin::Made(_) = self.origin {
            return Ok(Step::Done(format!("{name} is made")));
        }
        if let LifecycleAction::Unmark { .. } = look.plan.lifecycle {
            // A mark from before is nothing to go by any more.
            self.finisher.reconcile(&Hints::default()).await?;
        }
        let settled_at = *self.settled_at.get_or_insert_with(|| Instant::now() + OBSERVATION_VALID_FOR);
        let Counts { desired, running, .. } = latest.service.counts;
        // Tasks take longer to start than a look is good for.
        let in_use = desired > 0 && running > 0;
        if !in_use && Instant::now() < settled_at {
            // A watcher that looked just before the hold may still delete it.
            return Ok(Step::Waiting(format!("{name} is there; making sure that it stays, which takes ten seconds")));
        }
        let takes_addresses = |group: &TargetGroup| matches!(group.target_type, TargetType::Ip { .. });
        let complete = balancer.target_groups.iter().any(takes_addresses) && !self.course.took_over_from_up();
        if !complete && self.course.setting.command.is_some() {
            // Cut off, it leaves a balancer without some of its listeners; run again, it makes what is missing.
            return Ok(Step::Command);
        }
        let since = balancer.created_at;
        Ok(Step::AlreadySo(format!("{name} is there since {}", crate::telemetry::log::rfc3339_millis(since))))
    }

    async fn activate(&mut self) -> Result<Step, Stop> {
        let latest = self.course.latest().await?;
        let Some(balancer) = self.held_balancer(&latest.deadline).await? else {
            (self.origin, self.settled_at) = (Origin::Found, None);
            return Ok(Step::Back(Phase::LoadBalancerMade));
        };
        let (state, name) = (balancer.state, balancer.name.clone());
        self.balancer = Some(balancer);
        match state {
            LoadBalancerState::Active => Ok(Step::Done(format!("{name} is active"))),
            LoadBalancerState::ActiveImpaired => Ok(Step::Done(format!("{name} is active, but impaired"))),
            LoadBalancerState::Failed => Err(Stop::Refused(format!(
                "load balancer {name} could not be set up: its state is failed; take it away (jvb-watcher down), see \
                 whether its subnets have free addresses, and make it anew"
            ))),
            LoadBalancerState::Provisioning | LoadBalancerState::Unknown => {
                Ok(Step::Waiting(format!("{name} is {}", state.as_str())))
            }
        }
    }

    async fn scale(&mut self) -> Result<Step, Stop> {
        let latest = self.course.latest().await?;
        let (now, desired) = (latest.service.counts.desired, self.aim.desired);
        self.wanted = desired.max(now);
        self.scaled_at.get_or_insert(self.course.setting.clock.now());
        if now >= desired {
            return Ok(match self.scaled_from {
                Some(from) => Step::Done(format!("desired count from {from} to {now}")),
                None => Step::AlreadySo(format!("desired count is {now}")),
            });
        }
        let scope = &self.course.setting.scope;
        self.course.setting.platform.scale(&scope.cluster, &scope.service, desired, &latest.deadline).await?;
        self.scaled_from.get_or_insert(now);
        Ok(Step::Waiting(format!("desired count from {now} to {desired}")))
    }

    /// Registers what serves, and remembers what it saw.
    async fn register(&mut self) -> Result<Option<String>, Stop> {
        self.course.latest().await?;
        let outcome = self.registrar.reconcile(&Hints::default()).await?;
        let observation = outcome.observed.observation;
        if let Service::Found(counts) = observation.service
            && counts.desired < self.wanted
        {
            return Err(Stop::Refused(format!(
                "somebody set the desired count to {} meanwhile; find out who scales down",
                counts.desired
            )));
        }
        if observation.load_balancer.is_none() {
            let name = self.name();
            return Err(Stop::Refused(format!("load balancer {name} was deleted meanwhile; find out who deletes it")));
        }
        self.seen = observation;
        let hindrance = outcome.findings.iter().find(|finding| finding.name.hinders_registration());
        Ok(hindrance.map(|finding| format!("{}: {}. {}", finding.subject, finding.detail, finding.name.advice())))
    }

    /// The tasks that have stopped since the desired count was raised, the latest last.
    fn crashed(&self) -> Vec<&Task> {
        let Some(since) = self.scaled_at else { return Vec::new() };
        let tasks = self.seen.tasks.iter();
        let mut crashed: Vec<_> = tasks.filter(|task| task.stopped_at.is_some_and(|at| at > since)).collect();
        crashed.sort_by_key(|task| task.stopped_at);
        crashed
    }

    async fn serve(&mut self) -> Result<Step, Stop> {
        let hindrance = self.register().await?;
        let serving = self.seen.serving().count();
        let wanted = usize::try_from(self.wanted).unwrap_or(0);
        if serving >= wanted {
            return Ok(Step::Done(format!("{serving} task(s) serve")));
        }
        let crashed = self.crashed();
        let last = crashed.last().map(|task| {
            let reason = task.stopped_reason.as_deref().unwrap_or("ECS gives no reason");
            format!("; the last task that stopped, {}: {reason}", task.id)
        });
        let last = last.unwrap_or_default();
        if serving == 0 && crashed.len() >= CRASHES_PER_TASK * wanted.max(1) {
            return Err(Stop::Refused(format!(
                "{} tasks have stopped again, and none serves{last}; see the service's events and the tasks' logs",
                crashed.len()
            )));
        }
        let hindrance = hindrance.map(|hindrance| format!("; {hindrance}")).unwrap_or_default();
        Ok(Step::Waiting(format!("{serving} of {wanted} task(s) serve{last}{hindrance}")))
    }

    async fn registered(&mut self) -> Result<Step, Stop> {
        let hindrance = self.register().await?;
        let registrations = Registrations::of(&self.seen);
        let Registrations { wanted, registered, .. } = registrations;
        if registrations.is_complete() {
            return Ok(Step::Done(format!("{registered} target(s)")));
        }
        let groups = self.seen.load_balancer.iter().flat_map(|balancer| &balancer.target_groups);
        let takes_addresses = groups.filter(|group| matches!(group.target_type, TargetType::Ip { .. })).count();
        Ok(Step::Waiting(match (takes_addresses, hindrance) {
            (0, _) => format!("no target group of type ip is behind {}", self.name()),
            (_, Some(hindrance)) => hindrance,
            (_, None) => format!("{registered} of {wanted} target(s) are registered"),
        }))
    }

    async fn healthy(&mut self) -> Result<Step, Stop> {
        self.register().await?;
        let registrations = Registrations::of(&self.seen);
        let readiness = self.seen.readiness();
        Ok(match readiness.is_complete() && registrations.is_complete() {
            true => Step::Done(format!("{} target(s) are healthy", readiness.healthy)),
            false => Step::Waiting(format!("of {} target(s): {}", registrations.wanted, registrations.words())),
        })
    }

    async fn answer(&mut self) -> Result<Step, Stop> {
        self.register().await?;
        let Some(probe) = self.aim.probe.clone() else { return Ok(Step::AlreadySo("no URL is given".to_owned())) };
        Ok(match probe.ask().await {
            Ok(answer) => Step::Done(format!("{} answers {answer}", probe.url())),
            Err(why) => Step::Waiting(format!("{}: {why}", probe.url())),
        })
    }

    // ---- what came of it ----

    /// What there is at the end.
    pub fn report(&self, completed: Vec<Completed>) -> UpReport {
        let balancer = self.balancer.as_ref();
        let groups = self.seen.load_balancer.iter().flat_map(|balancer| &balancer.target_groups);
        let group = |group: &TargetGroup| GroupReport { name: group.name.clone(), arn: group.arn.clone() };
        let task = |task: &Task| TaskReport {
            id: task.id.to_string(),
            ipv4: task.ipv4.map(|ip| ip.to_string()),
            ipv6: task.ipv6.map(|ip| ip.to_string()),
        };
        UpReport {
            operation: Verb::Up,
            project: self.course.setting.project.clone(),
            cluster: self.course.setting.scope.cluster.clone(),
            service: self.course.setting.scope.service.clone(),
            load_balancer: self.name().to_owned(),
            load_balancer_arn: balancer.map(|balancer| balancer.arn.clone()).unwrap_or_default(),
            dns_name: balancer.and_then(|balancer| balancer.dns_name.clone()).unwrap_or_default(),
            target_groups: groups.map(group).collect(),
            tasks: self.seen.serving().map(task).collect(),
            phases: completed,
        }
    }

    /// What would be done, looked at from here, in order.
    ///
    /// # Errors
    ///
    /// What would stop it at once.
    pub async fn dry_run(&self) -> Result<Vec<String>, Stop> {
        let service = self.course.service().await?;
        let look = self.registrar.observe(&Hints::default()).await?;
        let name = self.name();
        let time = humantime::format_duration;
        let mut steps = vec![format!("sign the tag {} on the service", jvb_watcher_rules::model::OPERATION_TAG)];
        let balancer = look.observation.load_balancer.as_ref();
        self.check(balancer)?;
        steps.push(match self.course.setting.command.as_ref().filter(|_| balancer.is_none()) {
            None => format!("keep load balancer {name}, which is there, and hold it"),
            Some(command) => {
                format!("run `{}`, for {} at most, and hold {name}", command.text(), time(self.aim.make_limit))
            }
        });
        steps.push(format!("wait until {name} is active, for {} at most", time(self.aim.active_limit)));
        let (from, to) = (service.counts.desired, self.aim.desired);
        steps.push(match from >= to {
            true => format!("leave the desired count at {from}"),
            false => format!("set the desired count from {from} to {to}"),
        });
        let tasks = from.max(to);
        steps.push(format!("wait until {tasks} task(s) serve, for {} at most", time(self.aim.serving_limit)));
        steps.push(format!("register them, if no watcher has, within {}", time(self.aim.registered_limit)));
        steps.push(format!("wait until all targets are healthy, for {} at most", time(self.aim.healthy_limit)));
        if let Some(probe) = &self.aim.probe {
            steps.push(format!("wait until {} answers, for {} at most", probe.url(), time(self.aim.answer_limit)));
        }
        steps.push("release the hold, and take the signature away".to_owned());
        Ok(steps)
    }
}

impl<P: Platform + Scaling + Clone> Operation for Up<P> {
    type Platform = P;

    fn course(&self) -> &Course<P> {
        &self.course
    }

    fn course_mut(&mut self) -> &mut Course<P> {
        &mut self.course
    }

    fn phases(&self) -> Vec<Bounded> {
        let mut phases = vec![
            Bounded { phase: Phase::Claimed, limit: SHORT },
            Bounded { phase: Phase::LoadBalancerMade, limit: self.aim.make_limit },
            Bounded { phase: Phase::LoadBalancerActive, limit: self.aim.active_limit },
            Bounded { phase: Phase::ServiceScaled, limit: SHORT },
            Bounded { phase: Phase::TasksServing, limit: self.aim.serving_limit },
            Bounded { phase: Phase::TargetsRegistered, limit: self.aim.registered_limit },
            Bounded { phase: Phase::TargetsHealthy, limit: self.aim.healthy_limit },
        ];
        if self.aim.probe.is_some() {
            phases.push(Bounded { phase: Phase::UrlAnswering, limit: self.aim.answer_limit });
        }
        phases
    }

    async fn attempt(&mut self, phase: Phase) -> Result<Step, Stop> {
        match phase {
            Phase::Claimed => self.lease().await,
            Phase::LoadBalancerMade => self.make().await,
            Phase::LoadBalancerActive => self.activate().await,
            Phase::ServiceScaled => self.scale().await,
            Phase::TasksServing => self.serve().await,
            Phase::TargetsRegistered => self.registered().await,
            Phase::TargetsHealthy => self.healthy().await,
            Phase::UrlAnswering => self.answer().await,
            Phase::TasksDrained | Phase::LoadBalancerGone | Phase::NothingLeft => {
                Ok(Step::AlreadySo("not on the way up".to_owned()))
            }
        }
    }

    /// Holds the balancer as soon as there is one: terraform goes on for minutes after.
    async fn beside_command(&self) -> Result<(), Stop> {
        let latest = self.course.latest().await?;
        self.held_balancer(&latest.deadline).await?;
        Ok(())
    }

    fn command_done(&mut self) {
        self.origin = Origin::Made(Instant::now());
    }
}

/// What `up` prints with `--output json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the README lists these fields")]
pub struct UpReport {
    pub operation: Verb,
    pub project: String,
    pub cluster: String,
    pub service: String,
    pub load_balancer: String,
    pub load_balancer_arn: String,
    pub dns_name: String,
    pub target_groups: Vec<GroupReport>,
    pub tasks: Vec<TaskReport>,
    pub phases: Vec<Completed>,
}

/// A target group in [`UpReport`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "see UpReport")]
pub struct GroupReport {
    pub name: String,
    pub arn: String,
}

/// A task in [`UpReport`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "see UpReport")]
pub struct TaskReport {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,
}
