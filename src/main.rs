//! The program: parses the command line, performs the command, and turns its result into an exit status.

use std::io::Write;
use std::process::ExitCode;

use jvb_watcher::commands::{self, CommandError};
use jvb_watcher::name_resolution;

fn main() -> ExitCode {
    name_resolution::use_built_in_sources();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&CommandError::Failed(format!("the program can't be started: {error}"))),
    };
    runtime.block_on(async {
        let command = match commands::parse(std::env::args_os(), environment) {
            Ok(command) => command,
            Err(error) => {
                if error.use_stderr() {
                    report_to_lambda(&error.to_string()).await;
                }
                error.exit()
            }
        };
        match commands::perform(&command, environment).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                if let CommandError::Usage(message) = &error {
                    report_to_lambda(message).await;
                }
                fail(&error)
            }
        }
    })
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn fail(error: &CommandError) -> ExitCode {
    if let Some(message) = error.message() {
        // With standard error closed, the exit status still tells.
        let _ = writeln!(std::io::stderr(), "error: {message}");
    }
    error.exit_code()
}

/// Reports wrong usage to AWS Lambda, where operators don't look at standard error first.
#[cfg_attr(not(feature = "lambda"), expect(unused_variables, clippy::unused_async))]
async fn report_to_lambda(message: &str) {
    #[cfg(feature = "lambda")]
    commands::init_failed(message, environment).await;
}
