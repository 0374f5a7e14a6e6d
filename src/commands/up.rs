//! `up`: makes the load balancer, scales the service up, and waits until calls can come.

use std::io::Write;
use std::sync::Arc;

use super::operation::{Console, performed, print, print_steps, setting};
use super::probe::HttpProbe;
use super::{CommandError, connect};
use crate::cli::{ResultFormat, UpOptions};
use crate::config::Settings;
use crate::operations::command::{BalancerCommand, Process};
use crate::operations::up::{Aim, Probe, Up};
use crate::telemetry::log::Verb;

/// Goes up, phase by phase, and prints the load balancer's DNS name.
///
/// # Errors
///
/// The phase that failed, why, how everything stands, and what goes on from there.
pub async fn up(settings: &Settings, options: &UpOptions, console: &Console) -> Result<(), CommandError> {
    if let Some(directory) = options.terraform_dir.as_ref().filter(|_| options.balancer_command.is_none())
        && !directory.is_dir()
    {
        let why = format!("--terraform-dir: there is no directory {}", directory.display());
        return Err(CommandError::Usage(why));
    }
    let sdk = connect(settings, console.log()).await?;
    let setting = setting(&sdk, settings, console, Verb::Up, &options.owner_tag, command(options))?;
    let probe = options.verify_url.clone().map(|url| Arc::new(HttpProbe::new(url)) as Arc<dyn Probe>);
    let mut up = Up::new(
        setting,
        Aim {
            desired: options.desired,
            probe,
            make_limit: options.make_timeout,
            active_limit: options.active_timeout,
            serving_limit: options.serving_timeout,
            registered_limit: options.registered_timeout,
            healthy_limit: options.healthy_timeout,
            answer_limit: options.answer_timeout,
        },
    );
    let output = options.result.output;
    if options.result.dry_run {
        return print_steps(Verb::Up, up.dry_run().await, output);
    }
    let phases = performed(&mut up, Verb::Up, console, output).await?;
    let report = up.report(phases);
    match output {
        ResultFormat::Json => print(&report),
        ResultFormat::Text => Ok(writeln!(std::io::stdout(), "{}", report.dns_name)?),
    }
}

fn command(options: &UpOptions) -> Option<Arc<dyn BalancerCommand>> {
    let process = match (&options.balancer_command, &options.terraform_dir) {
        (Some(line), _) => Process::shell(line),
        (None, Some(directory)) => Process::terraform_apply(directory),
        (None, None) => return None,
    };
    Some(Arc::new(process))
}
