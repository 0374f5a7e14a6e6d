//! `down`: scales the service to zero, waits until its tasks have stopped, and deletes the load balancer.

use std::io::Write;
use std::sync::Arc;

use tokio::time::Instant;

use super::operation::{Request, print};
use super::{CommandError, Console, connect};
use crate::cli::{DownOptions, ResultFormat, TeardownExtent};
use crate::config::Settings;
use crate::operations::command::{LoadBalancerCommand, Process};
use crate::operations::cost::Prices;
use crate::operations::down::{Down, Extent, HoldPolicy, Spec};
use crate::telemetry::log::Verb;

/// Runs `down`, and prints the cost of the run.
///
/// # Errors
///
/// The phase that failed, the reason, the state that it leaves, and how to continue.
pub async fn down(settings: &Settings, options: &DownOptions, console: &Console) -> Result<(), CommandError> {
    let extent = match (options.teardown, &options.balancer_command) {
        (TeardownExtent::LoadBalancer, _) => Extent::LoadBalancer,
        (TeardownExtent::All, _) | (TeardownExtent::Off, Some(_)) => Extent::All,
        (TeardownExtent::Off, None) => {
            let reason = "--teardown off forbids down to delete the load balancer; give all or load-balancer, or a \
                          --balancer-command that destroys it";
            return Err(CommandError::Usage(reason.to_owned()));
        }
    };
    let spec = Spec {
        extent,
        hold_policy: if options.force { HoldPolicy::Release } else { HoldPolicy::Respect },
        prices: Prices {
            hourly: options.hourly_price,
            idle_monthly: options.idle_monthly_price,
            kept_monthly: options.kept_monthly_price,
        },
        drain_limit: options.drain_timeout,
        teardown_limit: options.teardown_timeout,
    };
    let command = options.balancer_command.as_ref();
    let command = command.map(|line| Arc::new(Process::shell(line)) as Arc<dyn LoadBalancerCommand>);
    let sdk = connect(settings, console.log()).await?;
    let output = options.result.output;
    let request = Request { settings, console, verb: Verb::Down, owner_tag: &options.owner_tag, command, output };
    let mut down = Down::new(request.context(&sdk)?, spec);
    if options.result.dry_run {
        let began = Instant::now();
        return request.print_steps(down.dry_run().await, began);
    }
    let phases = request.execute(&mut down).await?;
    let report = down.report(phases);
    match output {
        ResultFormat::Json => print(&report),
        ResultFormat::Text => Ok(writeln!(std::io::stdout(), "{}", report.cost.lines().join("\n"))?),
    }
}
