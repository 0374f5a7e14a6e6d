//! Reads the logs that an argument names.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use crate::commands::CommandError;

/// The argument that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Passes on each log with its name; standard input if none is given.
///
/// # Errors
///
/// Returns an error if a log can't be opened or read, or if none is given and standard input is a terminal.
pub fn read_each(
    logs: &[PathBuf],
    mut read: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<(), CommandError> {
    let mut read_one = |log: &Path| {
        if log == Path::new(STANDARD_INPUT) {
            let name = "standard input";
            return read(name, &mut io::stdin().lock()).map_err(|error| failed(name, &error));
        }
        let name = log.display().to_string();
        let mut file =
            File::open(log).map_err(|error| CommandError::Failed(format!("opening {name} failed: {error}")))?;
        read(&name, &mut file).map_err(|error| failed(&name, &error))
    };
    if logs.is_empty() {
        if io::stdin().is_terminal() {
            return Err(CommandError::Usage(
                "no log given; name log files, or pipe a log to standard input".to_owned(),
            ));
        }
        return read_one(Path::new(STANDARD_INPUT));
    }
    logs.iter().try_for_each(|log| read_one(log))
}

fn failed(name: &str, error: &io::Error) -> CommandError {
    CommandError::Failed(format!("reading {name} failed: {error}"))
}
