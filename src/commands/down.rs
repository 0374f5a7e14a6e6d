//! `down`: scales the service to zero, waits for its tasks, deletes the load balancer, and says what the run cost.

use std::io::Write;
use std::sync::Arc;

use super::operation::{Console, performed, print, print_steps, setting};
use super::{CommandError, connect};
use crate::cli::{DownOptions, ResultFormat, TeardownExtent};
use crate::config::Settings;
use crate::operations::bill::Prices;
use crate::operations::command::{BalancerCommand, Process};
use crate::operations::down::{Aim, Down, Extent, HoldByHand};
use crate::telemetry::log::Verb;

/// Goes down, phase by phase, and prints the bill.
///
/// # Errors
///
/// The phase that failed, why, how everything stands, and what goes on from there.
pub async fn down(settings: &Settings, options: &DownOptions, console: &Console) -> Result<(), CommandError> {
    let extent = match (options.teardown, &options.balancer_command) {
        (TeardownExtent::LoadBalancer, _) => Extent::LoadBalancer,
        (TeardownExtent::All, _) | (TeardownExtent::Off, Some(_)) => Extent::All,
        (TeardownExtent::Off, None) => {
            let why = "--teardown: with off, nothing here may delete the load balancer; give all or load-balancer, or \
                       what destroys it as --balancer-command";
            return Err(CommandError::Usage(why.to_owned()));
        }
    };
    let aim = Aim {
        extent,
        hold: if options.force { HoldByHand::Break } else { HoldByHand::Obey },
        prices: Prices {
            hourly: options.hourly_price,
            idle_monthly: options.idle_monthly_price,
            kept_monthly: options.kept_monthly_price,
        },
        drain_limit: options.drain_timeout,
        teardown_limit: options.teardown_timeout,
    };
    let command = options.balancer_command.as_ref();
    let command = command.map(|line| Arc::new(Process::shell(line)) as Arc<dyn BalancerCommand>);
    let sdk = connect(settings, console.log()).await?;
    let setting = setting(&sdk, settings, console, Verb::Down, &options.owner_tag, command)?;
    let mut down = Down::new(setting, aim);
    let output = options.result.output;
    if options.result.dry_run {
        return print_steps(Verb::Down, down.dry_run().await, output);
    }
    let phases = performed(&mut down, Verb::Down, console, output).await?;
    let report = down.report(phases);
    match output {
        ResultFormat::Json => print(&report),
        ResultFormat::Text => Ok(writeln!(std::io::stdout(), "{}", report.bill.lines().join("\n"))?),
    }
}
