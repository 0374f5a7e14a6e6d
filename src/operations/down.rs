//! `down`: from the last call to nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::bill::{Bill, Prices};
use super::phase::{Bounded, Completed};
use super::{Course, Latest, Operation, SHORT, SHOWS_WITHIN, Setting, Step, Stop, owned_tags};
use crate::aws::{Deadline, Platform, Scaling};
use crate::controller::message::Hints;
use crate::controller::reconciler::{OBSERVATION_VALID_FOR, Reconciler};
use crate::telemetry::log::{Phase, Verb, rfc3339_millis};
use jvb_watcher_rules::finding::FindingName;
use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::model::{LastStatus, LoadBalancer, LoadBalancerKind, OPERATION_TAG, Observation, Service};
use jvb_watcher_rules::plan::{self, Teardown};

/// How the platform is to be taken away.
pub struct Aim {
    /// How much of the balancer is deleted; never nothing.
    pub extent: Extent,
    /// What becomes of a hold by hand.
    pub hold: HoldByHand,
    /// The prices for the bill.
    pub prices: Prices,
    /// Until every task has stopped.
    pub drain_limit: Duration,
    /// Until the balancer is gone.
    pub teardown_limit: Duration,
}

/// How much of the balancer is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The balancer, its listeners and its target groups.
    All,
    /// The balancer and its listeners; the target groups stay.
    LoadBalancer,
}

/// What becomes of a hold that a person has placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldByHand {
    /// Nothing is done while it is in force.
    Obey,
    /// It is taken away.
    Break,
}

/// The way down.
pub struct Down<P> {
    course: Course<P>,
    aim: Aim,
    /// The watcher's own teardown, without its grace.
    teardown: Reconciler<P>,
    /// Deregisters what stops, and leaves the balancer to the command.
    registrar: Reconciler<P>,
    /// What was there at the beginning.
    found: Option<Found>,
    /// What the desired count was, if this set it to zero.
    scaled_from: Option<i32>,
    /// When the balancer command ended.
    command_ended: Option<Instant>,
    /// When the balancer was found gone.
    gone_at: Option<Timestamp>,
}

/// The balancer that was there at the beginning.
struct Found {
    arn: String,
    created_at: Timestamp,
    /// The groups behind it: names by ARN.
    groups: BTreeMap<String, String>,
}

impl<P: Platform + Scaling + Clone> Down<P> {
    /// The way from here.
    pub fn new(setting: Setting<P>, aim: Aim) -> Self {
        // Somebody has said that nobody calls any more.
        let reconciler = |teardown| setting.reconciler(teardown, Duration::ZERO, Duration::ZERO);
        let extent = match aim.extent {
            Extent::All => Teardown::All,
            Extent::LoadBalancer => Teardown::LoadBalancer,
        };
        Self {
            teardown: reconciler(extent),
            registrar: reconciler(Teardown::Off),
            course: Course::new(Verb::Down, setting),
            aim,
            found: None,
            scaled_from: None,
            command_ended: None,
            gone_at: None,
        }
    }

    fn name(&self) -> &str {
        &self.course.setting.load_balancer
    }

    /// What keeps the balancer from being deleted, whatever the service does.
    fn hindrance(&self, balancer: &LoadBalancer) -> Option<String> {
        let name = &balancer.name;
        if let LoadBalancerKind::Other(kind) = &balancer.kind {
            return Some(format!("load balancer {name} is of type {kind}, not network; give another --load-balancer"));
        }
        let owner = &self.course.setting.owner_tag;
        if !owner.is_among(&balancer.tags) {
            return Some(format!(
                "load balancer {name} has no tag {owner}, without which it is not deleted; tag it, or give its tag as \
                 --owner-tag"
            ));
        }
        let hold = Hold::of(&balancer.tags).filter(|hold| hold.is_in_force(self.course.now()));
        match (hold, self.aim.hold) {
            (Some(Hold { until, holder: Holder::Hand }), HoldByHand::Obey) => Some(format!(
                "load balancer {name} is held by hand until {}; release it (jvb-watcher hold --release), or give --force",
                rfc3339_millis(until)
            )),
            _ => None,
        }
    }

    /// Whether there is a hold that this may take away.
    async fn break_hold(&self, observation: &Observation, deadline: &Deadline) -> Result<bool, Stop> {
        let Some((arn, tags)) = owned_tags(observation, &self.course.setting.owner_tag) else { return Ok(false) };
        let hold = Hold::of(tags).filter(|hold| match hold.holder {
            Holder::Up(_) => true,
            Holder::Hand => self.aim.hold == HoldByHand::Break,
        });
        match hold {
            Some(hold) => {
                self.course.release_hold(arn, &hold.holder, deadline).await?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn note(&mut self, observation: &Observation) {
        match &observation.load_balancer {
            Some(balancer) => {
                let groups = balancer.target_groups.iter().map(|group| (group.arn.clone(), group.name.clone()));
                let known = self.found.take().filter(|known| known.arn == balancer.arn);
                let mut found = known.unwrap_or_else(|| Found {
                    arn: balancer.arn.clone(),
                    created_at: balancer.created_at,
                    groups: BTreeMap::new(),
                });
                found.groups.extend(groups);
                self.found = Some(found);
                self.gone_at = None;
            }
            None => {
                self.gone_at.get_or_insert(self.course.setting.clock.now());
            }
        }
    }

    // ---- the phases ----

    async fn lease(&mut self) -> Result<Step, Stop> {
        let deadline = self.course.deadline();
        let service = self.course.service().await?;
        let look = self.registrar.observe(&Hints::default()).await?;
        if let Some(why) = look.observation.load_balancer.as_ref().and_then(|balancer| self.hindrance(balancer)) {
            return Err(Stop::Refused(why));
        }
        let detail = self.course.lease(&service, &deadline).await?;
        self.note(&look.observation);
        Ok(Step::Done(detail))
    }

    async fn set_to_zero(&mut self, latest: &Latest) -> Result<Step, Stop> {
        let from = latest.service.counts.desired;
        let scope = &self.course.setting.scope;
        self.course.setting.platform.scale(&scope.cluster, &scope.service, 0, &latest.deadline).await?;
        self.scaled_from.get_or_insert(from);
        Ok(Step::Waiting(format!("desired count from {from} to 0")))
    }

    async fn scale(&mut self) -> Result<Step, Stop> {
        let latest = self.course.latest().await?;
        if latest.service.counts.desired > 0 {
            return self.set_to_zero(&latest).await;
        }
        Ok(match self.scaled_from {
            Some(from) => Step::Done(format!("desired count from {from} to 0")),
            None => Step::AlreadySo("desired count is 0".to_owned()),
        })
    }

    /// Whether nobody has scaled up since; what an operation that was taken over from still had on its way is undone.
    async fn still_down(&mut self) -> Result<Option<Step>, Stop> {
        let latest = self.course.latest().await?;
        let desired = latest.service.counts.desired;
        if desired == 0 {
            return Ok(None);
        }
        if self.course.took_over().is_some_and(|since| since < 2 * OBSERVATION_VALID_FOR) {
            return self.set_to_zero(&latest).await.map(Some);
        }
        Err(Stop::Refused(format!("somebody set the desired count to {desired} meanwhile; find out who scales up")))
    }

    async fn drain(&mut self) -> Result<Step, Stop> {
        if let Some(step) = self.still_down().await? {
            return Ok(step);
        }
        // The teardown may begin with the same look that finds the service idle.
        let observation = match self.course.setting.command {
            None => self.teardown.reconcile(&Hints::default()).await?.observed.observation,
            Some(_) => {
                let look = self.registrar.observe(&Hints::default()).await?;
                if !plan::is_idle(&look.observation, self.course.now()) {
                    self.registrar.reconcile(&Hints::default()).await?;
                }
                look.observation
            }
        };
        self.note(&observation);
        if plan::is_idle(&observation, self.course.now()) {
            let tasks = observation.tasks.len();
            return Ok(Step::Done(format!("none of {tasks} task(s) runs any more")));
        }
        let Service::Found(counts) = observation.service else {
            let service = &self.course.setting.scope.service;
            return Err(Stop::Refused(format!("service {service} was deleted meanwhile; its load balancer is left")));
        };
        let stopping = observation.tasks.iter().filter(|task| task.last_status != LastStatus::Stopped);
        let ids: Vec<_> = stopping.map(|task| task.id.to_string()).collect();
        let others = plan::targets_of_others(&observation, self.course.now()).map(|(group, target)| {
            format!("; {} port {} in {} is healthy and no task's: deregister it", target.ip, target.port, group.name)
        });
        let groups = plan::groups_of_others(&observation).map(|group| {
            format!("; {} target(s) in {} are healthy: deregister them", group.healthy_others, group.name)
        });
        let (running, pending) = (counts.running, counts.pending);
        Ok(Step::Waiting(format!(
            "{running} running, {pending} pending; not stopped yet: {}{}",
            if ids.is_empty() { "none".to_owned() } else { ids.join(", ") },
            others.chain(groups).collect::<String>()
        )))
    }

    async fn tear_down(&mut self) -> Result<Step, Stop> {
        if let Some(step) = self.still_down().await? {
            return Ok(step);
        }
        let deadline = self.course.deadline();
        let look = self.teardown.observe(&Hints::default()).await?;
        self.note(&look.observation);
        if let Some(why) = look.observation.load_balancer.as_ref().and_then(|balancer| self.hindrance(balancer)) {
            return Err(Stop::Refused(why));
        }
        if self.break_hold(&look.observation, &deadline).await? {
            return Ok(Step::Waiting("a hold is released".to_owned()));
        }
        let name = self.name().to_owned();
        let left = look.observation.load_balancer.is_some() || !look.observation.orphaned_target_groups.is_empty();
        if !left {
            return Ok(match &self.found {
                Some(found) => Step::Done(format!("{name} and {} target group(s) are gone", found.groups.len())),
                None => Step::AlreadySo(format!("there is no load balancer {name}")),
            });
        }
        if !plan::is_idle(&look.observation, self.course.now()) {
            return Err(Stop::Refused(format!("{name} is in use again; find out by whom")));
        }
        if self.course.setting.command.is_some() && look.observation.load_balancer.is_some() {
            return match self.command_ended {
                None => Ok(Step::Command),
                Some(at) if at.elapsed() < SHOWS_WITHIN => Ok(Step::Waiting(format!("{name} still shows"))),
                Some(_) => {
                    let command = self.course.setting.command.as_ref().map(|command| command.text());
                    Err(Stop::Refused(format!(
                        "`{}` succeeded, but load balancer {name} is still there",
                        command.unwrap_or_default()
                    )))
                }
            };
        }
        let outcome = self.teardown.reconcile(&Hints::default()).await?;
        if let Some(finding) = outcome.findings.iter().find(|finding| finding.name == FindingName::DeletionProtected) {
            return Err(Stop::Refused(format!("{name}: {}. {}", finding.detail, finding.name.advice())));
        }
        Ok(Step::Waiting(match &look.observation.load_balancer {
            Some(_) => format!("{name} is being deleted"),
            None => {
                let groups = look.observation.orphaned_target_groups.iter().map(|group| group.name.as_str());
                format!("AWS lets go of {}", groups.collect::<Vec<_>>().join(", "))
            }
        }))
    }

    /// Looks for what is left with eyes of its own: by the names of the project, and by what was there before.
    async fn verify(&mut self) -> Result<Step, Stop> {
        self.course.latest().await?;
        let setting = &self.course.setting;
        let name = self.name();
        if let Some(balancer) = setting.platform.load_balancer(name).await? {
            let why =
                format!("load balancer {name} is there again, or still ({}); find out who makes it", balancer.arn);
            return Err(Stop::Refused(why));
        }
        if self.aim.extent == Extent::LoadBalancer {
            return Ok(Step::Done(format!("no load balancer {name}, no listener; the target groups stay")));
        }
        let prefix = format!("{}-jvb-", setting.project);
        let known = |arn: &str| self.found.as_ref().is_some_and(|found| found.groups.contains_key(arn));
        let groups = setting.platform.target_groups(None).await?;
        let left = groups.iter().filter(|group| {
            known(&group.arn) || group.load_balancer_arns.is_empty() && group.name.starts_with(&prefix)
        });
        let left: Vec<_> = left.map(|group| group.name.as_str()).collect();
        match left.as_slice() {
            [] => Ok(Step::Done("no load balancer, listener or target group".to_owned())),
            // What the watcher hasn't marked it can't tell from somebody's; AWS also shows a deleted one for a moment.
            left => Ok(Step::Waiting(format!(
                "left: target group(s) {}; if they stay, delete them (terraform destroy, or aws elbv2 \
                 delete-target-group)",
                left.join(", ")
            ))),
        }
    }

    // ---- what came of it ----

    /// What there was, and what it cost.
    pub fn report(&self, completed: Vec<Completed>) -> DownReport {
        let up = self
            .found
            .as_ref()
            .and_then(|found| Duration::try_from(self.gone_at?.duration_since(found.created_at)).ok());
        let groups = self.found.iter().flat_map(|found| found.groups.values().cloned());
        DownReport {
            operation: Verb::Down,
            project: self.course.setting.project.clone(),
            cluster: self.course.setting.scope.cluster.clone(),
            service: self.course.setting.scope.service.clone(),
            load_balancer: self.name().to_owned(),
            load_balancer_arn: self.found.as_ref().map(|found| found.arn.clone()),
            target_groups: groups.collect(),
            bill: Bill::new(up, self.aim.prices),
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
        let mut steps = vec![format!("sign the tag {OPERATION_TAG} on the service")];
        steps.push(match service.counts.desired {
            0 => "leave the desired count at 0".to_owned(),
            from => format!("set the desired count from {from} to 0"),
        });
        steps.push(format!("wait until every task has stopped, for {} at most", time(self.aim.drain_limit)));
        match &look.observation.load_balancer {
            None => steps.push(format!("find no load balancer {name}")),
            Some(balancer) => {
                if let Some(why) = self.hindrance(balancer) {
                    return Err(Stop::Refused(why));
                }
                if Hold::of(&balancer.tags).is_some() {
                    steps.push("release the hold".to_owned());
                }
                let limit = time(self.aim.teardown_limit);
                let groups: Vec<_> = balancer.target_groups.iter().map(|group| group.name.as_str()).collect();
                steps.push(match (&self.course.setting.command, self.aim.extent) {
                    (Some(command), _) => format!("run `{}`, for {limit} at most", command.text()),
                    (None, Extent::All) => {
                        format!("delete {name}, its listeners and {}, for {limit} at most", groups.join(", "))
                    }
                    (None, Extent::LoadBalancer) => format!("delete {name} and its listeners, for {limit} at most"),
                });
            }
        }
        steps.push("make sure that nothing is left, and take the signature away".to_owned());
        Ok(steps)
    }
}

impl<P: Platform + Scaling + Clone> Operation for Down<P> {
    type Platform = P;

    fn course(&self) -> &Course<P> {
        &self.course
    }

    fn course_mut(&mut self) -> &mut Course<P> {
        &mut self.course
    }

    fn phases(&self) -> Vec<Bounded> {
        vec![
            Bounded { phase: Phase::Claimed, limit: SHORT },
            Bounded { phase: Phase::ServiceScaled, limit: SHORT },
            Bounded { phase: Phase::TasksDrained, limit: self.aim.drain_limit },
            Bounded { phase: Phase::LoadBalancerGone, limit: self.aim.teardown_limit },
            Bounded { phase: Phase::NothingLeft, limit: SHORT },
        ]
    }

    async fn attempt(&mut self, phase: Phase) -> Result<Step, Stop> {
        match phase {
            Phase::Claimed => self.lease().await,
            Phase::ServiceScaled => self.scale().await,
            Phase::TasksDrained => self.drain().await,
            Phase::LoadBalancerGone => self.tear_down().await,
            Phase::NothingLeft => self.verify().await,
            Phase::LoadBalancerMade
            | Phase::LoadBalancerActive
            | Phase::TasksServing
            | Phase::TargetsRegistered
            | Phase::TargetsHealthy
            | Phase::UrlAnswering => Ok(Step::AlreadySo("not on the way down".to_owned())),
        }
    }

    async fn beside_command(&self) -> Result<(), Stop> {
        self.course.latest().await?;
        Ok(())
    }

    fn command_done(&mut self) {
        self.command_ended = Some(Instant::now());
    }
}

/// What `down` prints with `--output json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the README lists these fields")]
pub struct DownReport {
    pub operation: Verb,
    pub project: String,
    pub cluster: String,
    pub service: String,
    pub load_balancer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_arn: Option<String>,
    pub target_groups: Vec<String>,
    #[serde(flatten)]
    pub bill: Bill,
    pub phases: Vec<Completed>,
}
