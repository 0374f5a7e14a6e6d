//! The commands `up` and `down`, run by operators beside the workers: the real operations over a connection of their own,
//! with the operator's Terraform as their load balancer command.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use tokio::sync::oneshot;

use crate::connection::Connection;
use crate::environment::Actor;
use crate::operator::Operator;
use crate::process::{Setup, Tools};
use jvb_watcher::operations::callers::CallPolicy;
use jvb_watcher::operations::command::LoadBalancerCommand;
use jvb_watcher::operations::context::Context;
use jvb_watcher::operations::cost::Model;
use jvb_watcher::operations::down::{self, Down, Extent, HoldPolicy};
use jvb_watcher::operations::engine::execute;
use jvb_watcher::operations::failure::{Failure, OperationError};
use jvb_watcher::operations::progress::LoggedProgress;
use jvb_watcher::operations::up::{self, Up};
use jvb_watcher::retry::Jitter;
use jvb_watcher::shutdown;
use jvb_watcher::telemetry::log::Verb;
use jvb_watcher_rules::plan::UsagePolicy;

const MINUTE: Duration = Duration::from_secs(60);

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `up --desired N`.
    Up {
        /// The desired count.
        tasks: i32,
        /// The time between Terraform's steps.
        pace: Duration,
    },
    /// `down`.
    Down,
}

impl Command {
    /// Runs the command, the n-th of the day, on a machine whose clock is wrong.
    ///
    /// # Errors
    ///
    /// The command's error message.
    pub async fn run(self, setup: Setup, number: u32, clock_error: SignedDuration) -> Result<(), String> {
        let environment = setup.environment.clone();
        let verb = match &self {
            Self::Up { .. } => Verb::Up,
            Self::Down => Verb::Down,
        };
        let result = match self {
            Self::Up { tasks, pace } => {
                let operator = Operator::new(environment.clone(), &setup.project);
                let terraform: Arc<dyn LoadBalancerCommand> = Arc::new(Terraform { operator, pace });
                let aim = up::Spec {
                    desired: tasks,
                    probe: None,
                    create_limit: 30 * MINUTE,
                    active_limit: 10 * MINUTE,
                    serving_limit: 10 * MINUTE,
                    registered_limit: 3 * MINUTE,
                    healthy_limit: 10 * MINUTE,
                    answer_limit: MINUTE,
                };
                execute(&mut Up::new(context(&setup, number, clock_error, verb, Some(terraform)), aim)).await
            }
            Self::Down => {
                let aim = down::Spec {
                    extent: Extent::All,
                    hold_policy: HoldPolicy::Respect,
                    // The operators' days have no callers.
                    call_policy: CallPolicy::CutOff,
                    usage: UsagePolicy::OFF,
                    costs: Model::default(),
                    drain_limit: 10 * MINUTE,
                    teardown_limit: 15 * MINUTE,
                };
                execute(&mut Down::new(context(&setup, number, clock_error, verb, None), aim)).await
            }
        };
        let end = match (verb, &result) {
            (Verb::Up, Ok(_)) => "up succeeded",
            (Verb::Up, Err(Failure { error: OperationError::Superseded(_), .. })) => "up was superseded",
            (Verb::Up, Err(Failure { error: OperationError::Refused(_), .. })) => "up refused",
            (Verb::Up, Err(_)) => "up failed",
            (Verb::Down, Ok(_)) => "down succeeded",
            (Verb::Down, Err(Failure { error: OperationError::Superseded(_), .. })) => "down was superseded",
            (Verb::Down, Err(Failure { error: OperationError::Refused(_), .. })) => "down refused",
            (Verb::Down, Err(_)) => "down failed",
        };
        environment.note(|| format!("Command({number}) {end}"));
        environment.with(|state, _| state.coverage.moment(end));
        result.map(drop).map_err(|failure| failure.to_string())
    }
}

/// Returns the context of a command, the n-th of the day, on a machine whose clock is wrong.
pub fn context(
    setup: &Setup,
    number: u32,
    clock_error: SignedDuration,
    verb: Verb,
    command: Option<Arc<dyn LoadBalancerCommand>>,
) -> Context<Connection> {
    let Tools { clock, connection, log } = Tools::new(setup, Actor::Command(number), clock_error);
    let Setup { project, scope, policy, .. } = setup.clone();
    let (_, shutdown) = shutdown::channel();
    Context {
        platform: connection,
        scope,
        project,
        load_balancer: policy.load_balancer,
        owner_tag: policy.owner_tag,
        allow_several_bridges: policy.allow_several_bridges,
        command,
        progress: Arc::new(LoggedProgress { verb, log: log.clone() }),
        log,
        clock,
        shutdown,
        id: format!("{number:08x}"),
        jitter: Jitter::NONE,
    }
}

/// The operator's Terraform. It continues when the command that started it is killed.
pub struct Terraform {
    /// The operator.
    pub operator: Operator,
    /// The time between Terraform's steps.
    pub pace: Duration,
}

impl LoadBalancerCommand for Terraform {
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
