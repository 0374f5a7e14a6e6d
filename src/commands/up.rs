//! `up`: creates the load balancer, scales the service up, and waits until clients can connect.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::operation::{Request, print};
use super::probe::HttpProbe;
use super::{CommandError, Console, connect};
use crate::cli::{ResultFormat, UpOptions};
use crate::config::Settings;
use crate::operations::command::{LoadBalancerCommand, Process};
use crate::operations::up::{Probe, Spec, Up};
use crate::telemetry::log::Verb;

/// Runs `up`, and prints the load balancer's DNS name.
///
/// # Errors
///
/// The phase that failed, the reason, the state that it leaves, and how to continue.
pub async fn up(settings: &Settings, options: &UpOptions, console: &Console) -> Result<(), CommandError> {
    let command = command(options)?;
    let sdk = connect(settings, console.log()).await?;
    let output = options.result.output;
    let request = Request { settings, console, verb: Verb::Up, owner_tag: &options.owner_tag, command, output };
    let probe = options.verify_url.clone().map(|url| Arc::new(HttpProbe::new(url)) as Arc<dyn Probe>);
    let spec = Spec {
        desired: options.desired,
        probe,
        create_limit: options.make_timeout,
        active_limit: options.active_timeout,
        serving_limit: options.serving_timeout,
        registered_limit: options.registered_timeout,
        healthy_limit: options.healthy_timeout,
        answer_limit: options.answer_timeout,
    };
    let mut up = Up::new(request.context(&sdk)?, spec);
    if options.result.dry_run {
        let began = Instant::now();
        return request.print_steps(up.dry_run().await, began);
    }
    let phases = request.execute(&mut up).await?;
    let report = up.report(phases);
    match output {
        ResultFormat::Json => print(&report),
        ResultFormat::Text => Ok(writeln!(std::io::stdout(), "{}", report.dns_name)?),
    }
}

fn command(options: &UpOptions) -> Result<Option<Arc<dyn LoadBalancerCommand>>, CommandError> {
    let process = match (&options.balancer_command, &options.terraform_dir) {
        (Some(line), _) => Process::shell(line),
        (None, Some(directory)) => {
            validate_terraform_dir(directory)
                .map_err(|reason| CommandError::Usage(format!("--terraform-dir: {reason}")))?;
            Process::terraform_apply(directory)
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(Arc::new(process)))
}

/// Terraform itself would notice only after the operation has begun, and a dry run doesn't call it.
fn validate_terraform_dir(directory: &Path) -> Result<(), String> {
    let entries = std::fs::read_dir(directory)
        .map_err(|error| format!("{} can't be read: {error}; correct the path", directory.display()))?;
    let is_terraform = |name: &str| name.ends_with(".tf") || name.ends_with(".tf.json");
    let has_configuration = entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(is_terraform));
    match has_configuration {
        true => Ok(()),
        false => Err(format!(
            "{} has no terraform files (*.tf, *.tf.json); give the directory of the configuration with the module jvb_nlb",
            directory.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terraform_directory_has_terraform_files() {
        let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
        let missing = validate_terraform_dir(&directory.path().join("infra")).expect_err("it doesn't exist");
        assert!(missing.contains("infra can't be read"), "{missing}");
        std::fs::write(directory.path().join("terraform.tfstate"), "").expect("the directory is writable");
        let empty = validate_terraform_dir(directory.path()).expect_err("it has a state only");
        assert!(empty.contains("has no terraform files"), "{empty}");
        for name in ["main.tf", "main.tf.json"] {
            let file = directory.path().join(name);
            std::fs::write(&file, "").expect("the directory is writable");
            assert_eq!(validate_terraform_dir(directory.path()), Ok(()), "{name}");
            std::fs::remove_file(&file).expect("the file is there");
        }
    }
}
