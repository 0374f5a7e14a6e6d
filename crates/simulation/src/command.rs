//! The commands `up` and `down`, run beside the workers by somebody who may be cut off: the real operations over a way to
//! AWS of their own, with the operator's terraform as their balancer command.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use tokio::sync::oneshot;

use super::cloud::Cloud;
use super::operator::Operator;
use super::process::{Ear, OffClock, Setup};
use super::stage::Actor;
use jvb_watcher::clock::{AwsClock, SharedClock};
use jvb_watcher::operations::bill::Prices;
use jvb_watcher::operations::command::BalancerCommand;
use jvb_watcher::operations::down::{self, Down, Extent, HoldByHand};
use jvb_watcher::operations::progress::Lines;
use jvb_watcher::operations::up::{self, Up};
use jvb_watcher::operations::{Failure, Setting, Stop, perform};
use jvb_watcher::retry::Jitter;
use jvb_watcher::shutdown;
use jvb_watcher::telemetry::log::{Format, Identity, Level, Log, LogConfig, Output, Verb};
use jvb_watcher_sandbox::platform;

const MINUTE: Duration = Duration::from_secs(60);

/// What somebody runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `up --desired N`, with a terraform of this pace.
    Up {
        /// How many tasks.
        tasks: i32,
        /// How long terraform takes from step to step.
        pace: Duration,
    },
    /// `down`.
    Down,
}

impl Command {
    /// Runs it to its end, as the n-th of the day, on a machine whose clock is off. It comes to `Err` with what it says.
    pub async fn run(self, setup: Setup, number: u32, off: SignedDuration) -> Result<(), String> {
        let stage = setup.stage.clone();
        let verb = match &self {
            Self::Up { .. } => Verb::Up,
            Self::Down => Verb::Down,
        };
        let result = match self {
            Self::Up { tasks, pace } => {
                let operator = Operator::new(stage.clone(), platform::PROJECT);
                let terraform: Arc<dyn BalancerCommand> = Arc::new(Terraform { operator, pace });
                let aim = up::Aim {
                    desired: tasks,
                    probe: None,
                    make_limit: 30 * MINUTE,
                    active_limit: 10 * MINUTE,
                    serving_limit: 10 * MINUTE,
                    registered_limit: 3 * MINUTE,
                    healthy_limit: 10 * MINUTE,
                    answer_limit: MINUTE,
                };
                perform(&mut Up::new(setting(&setup, number, off, verb, Some(terraform)), aim)).await
            }
            Self::Down => {
                let aim = down::Aim {
                    extent: Extent::All,
                    hold: HoldByHand::Obey,
                    prices: Prices::default(),
                    drain_limit: 10 * MINUTE,
                    teardown_limit: 15 * MINUTE,
                };
                perform(&mut Down::new(setting(&setup, number, off, verb, None), aim)).await
            }
        };
        let end = match (verb, &result) {
            (Verb::Up, Ok(_)) => "up came to its end",
            (Verb::Up, Err(Failure { stop: Stop::Superseded(_), .. })) => "up was superseded",
            (Verb::Up, Err(Failure { stop: Stop::Refused(_), .. })) => "up refused",
            (Verb::Up, Err(_)) => "up failed",
            (Verb::Down, Ok(_)) => "down came to its end",
            (Verb::Down, Err(Failure { stop: Stop::Superseded(_), .. })) => "down was superseded",
            (Verb::Down, Err(Failure { stop: Stop::Refused(_), .. })) => "down refused",
            (Verb::Down, Err(_)) => "down failed",
        };
        stage.note(|| format!("Command({number}) {end}"));
        stage.with(|inner, _| inner.tally.moment(end));
        result.map(drop).map_err(|failure| failure.to_string())
    }
}

fn setting(
    setup: &Setup,
    number: u32,
    off: SignedDuration,
    verb: Verb,
    command: Option<Arc<dyn BalancerCommand>>,
) -> Setting<Cloud> {
    let Setup { stage, scope, policy, queue_url, .. } = setup.clone();
    let machine: SharedClock = Arc::new(OffClock::new(stage.clone(), off));
    let clock = Arc::new(AwsClock::new(machine.clone()));
    let actor = Actor::Command(number);
    let identity = Identity { project: String::new(), cluster: scope.cluster.clone(), service: scope.service.clone() };
    let ear = stage.clone();
    let log = Log::new(LogConfig {
        identity,
        format: Format::Json,
        level: Level::Info,
        clock: machine,
        output: Output::discarded(),
    });
    log.subscribe(Arc::new(Ear { stage: ear, actor }));
    let (_, shutdown) = shutdown::channel();
    Setting {
        platform: Cloud::new(stage, actor, clock.clone(), queue_url),
        scope,
        project: platform::PROJECT.to_owned(),
        load_balancer: policy.load_balancer,
        owner_tag: policy.owner_tag,
        command,
        progress: Arc::new(Lines { verb, log: log.clone() }),
        log,
        clock,
        shutdown,
        id: format!("{number:08x}"),
        jitter: Jitter::NONE,
    }
}

/// The operator's terraform. It goes on when the command that started it is killed.
struct Terraform {
    operator: Operator,
    pace: Duration,
}

impl BalancerCommand for Terraform {
    fn text(&self) -> String {
        "terraform apply".to_owned()
    }

    fn run<'a>(
        &'a self,
        _: &'a (dyn Fn(&str) + Sync),
        interrupted: oneshot::Receiver<()>,
    ) -> BoxFuture<'a, Result<(), String>> {
        let (operator, pace) = (self.operator.clone(), self.pace);
        let mut running = tokio::spawn(async move { operator.terraform_apply(pace).await });
        Box::pin(async move {
            let ended = tokio::select! {
                ended = &mut running => ended,
                Ok(()) = interrupted => {
                    running.abort();
                    running.await
                }
            };
            match ended {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("interrupted".to_owned()),
            }
        })
    }
}
