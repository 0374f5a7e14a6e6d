//! Measures the deployed program against the AWS sandbox, and prints a table; docs/performance.md says how to read it.
//!
//!     cargo bench -p jvb-watcher-benchmarks                       # everything
//!     cargo bench -p jvb-watcher-benchmarks -- drain memory       # these scenarios
//!     cargo bench -p jvb-watcher-benchmarks -- --list
//!
//! Builds the program with `packaging/package` first; `--program PATH` measures another one. Writes the table to
//! target/benchmarks/results.md, and all figures to results.json beside it. Fails if a scenario fails, not if a bar is
//! missed: the table says which are met.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use report::Report;
use scenarios::{Bench, SCENARIOS};

mod consumer;
mod machine;
#[path = "../../tests/it/moto.rs"]
#[allow(dead_code, unexpected_cfgs, reason = "the tests use the rest, and have the feature that it names")]
mod moto;
mod report;
#[path = "../../tests/it/runtime_api.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod runtime_api;
mod scenarios;
#[path = "../../tests/it/wait.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod wait;

/// The number of times that figures which vary are measured.
const ROUNDS: usize = 7;

/// What the command line says.
struct Options {
    program: Option<PathBuf>,
    rounds: usize,
    scenarios: Vec<String>,
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    // cargo adds this to the arguments of every benchmark.
    arguments.retain(|argument| argument != "--bench");
    if arguments.first().is_some_and(|first| first == consumer::COMMAND) {
        consumer::run(&arguments[1..]);
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        for scenario in SCENARIOS {
            println!("{:12} {}", scenario.name, scenario.about);
        }
        return ExitCode::SUCCESS;
    }
    match options(arguments).and_then(measure) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: Vec<String>) -> Result<Options, String> {
    let mut options = Options { program: None, rounds: ROUNDS, scenarios: Vec::new() };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--program" => options.program = Some(value()?.into()),
            "--rounds" => {
                let rounds = value()?.parse().ok().filter(|rounds| *rounds > 0);
                options.rounds = rounds.ok_or("--rounds: give a number above 0")?;
            }
            name if SCENARIOS.iter().any(|scenario| scenario.name == name) => options.scenarios.push(argument),
            _ => return Err(format!("there is no scenario {argument}; --list lists them")),
        }
    }
    Ok(options)
}

fn measure(options: Options) -> Result<(), String> {
    let root = root();
    let program = match options.program {
        Some(program) => {
            program.canonicalize().map_err(|error| format!("--program: {}: {error}", program.display()))?
        }
        None => build(&root)?,
    };
    let mut report = Report::new(machine::describe(&root), &program);
    let bench = Bench { program, rounds: options.rounds, target: root.join("target") };
    for scenario in SCENARIOS {
        if options.scenarios.is_empty() || options.scenarios.iter().any(|name| name == scenario.name) {
            eprintln!("{}: {}", scenario.name, scenario.about);
            (scenario.run)(&bench, &mut report.section(scenario.name));
        }
    }
    report.write(&root.join("target/benchmarks")).map_err(|error| format!("the results can't be written: {error}"))
}

/// Builds what is deployed on this machine's architecture, and returns the program.
fn build(root: &Path) -> Result<PathBuf, String> {
    let architecture = std::env::consts::ARCH;
    let status = Command::new(root.join("packaging/package")).args(["--arch", architecture]).status();
    if !status.map_err(|error| format!("packaging/package can't be run: {error}"))?.success() {
        return Err("packaging/package failed; --program PATH measures a program that is built".to_owned());
    }
    Ok(root.join("target/package").join(format!("jvb-watcher-{}-{architecture}", env!("CARGO_PKG_VERSION"))))
}

/// Returns the top of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the repository").to_owned()
}
