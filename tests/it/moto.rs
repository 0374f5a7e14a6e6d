//! moto's server: installed into a virtual environment under `target/`, started once for the whole test process.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

const REQUIREMENTS: &str = include_str!("../requirements.txt");
const PROGRAM: &str = include_str!("moto.py");

/// moto is one Python process, so one core; two of them keep the suite from waiting for it.
/// An account lives in one of them, whole.
const SERVERS: usize = 2;

static RUNNING: [OnceLock<Server>; SERVERS] = [const { OnceLock::new() }; SERVERS];

struct Server {
    address: SocketAddr,
    /// Holds the standard input by which the server knows that the tests are still there.
    _process: Child,
}

/// The address of the server that holds an account; installs and starts it if that has not been done yet.
pub fn address_for(account: u64) -> SocketAddr {
    let shard = (account % SERVERS as u64) as usize;
    RUNNING[shard].get_or_init(start).address
}

fn start() -> Server {
    let python = installed_python();
    let mut process = Command::new(&python)
        .args(["-c", PROGRAM])
        // The first start writes the byte code that pip was told not to write; the others read it.
        .env_remove("PYTHONDONTWRITEBYTECODE")
        // moto prefers this to the header that gives each test an account of its own.
        .env_remove("MOTO_ACCOUNT_ID")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
    let mut line = String::new();
    let stdout = process.stdout.take().expect("the output is piped");
    BufReader::new(stdout).read_line(&mut line).expect("moto's output is text");
    let address = line
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("moto's server did not start: its first line was {line:?}, its errors are above"));
    Server { address, _process: process }
}

/// The Python of the virtual environment with moto, boto3 and the AWS CLI in it, made if it isn't there.
pub fn installed_python() -> PathBuf {
    environment("moto", REQUIREMENTS)
}

/// The Python of the virtual environment that holds a list of packages, made if it isn't there.
pub fn environment(name: &str, requirements: &str) -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(base).expect("the target directory is writable");
    // One test process installs, any others wait for it.
    let lock = File::create(base.join(format!("{name}.lock"))).expect("the target directory is writable");
    lock.lock().expect("the file system has locks");

    let environment = base.join(format!("{name}-{:016x}", fnv1a(requirements.as_bytes())));
    let python = environment.join("bin/python");
    let complete = environment.join(".complete");
    if complete.exists() {
        return python;
    }
    // What an interrupted install left is of no use.
    if environment.exists() {
        fs::remove_dir_all(&environment).expect("the target directory is writable");
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    let list = environment.join("requirements.txt");
    File::create(&list)
        .and_then(|mut file| file.write_all(requirements.as_bytes()))
        .expect("the target directory is writable");
    // `--no-compile`: compiling all of botocore takes a minute, and most of it is never imported.
    // `--no-deps`: the list is complete, so nothing is left to resolve.
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps", "-r"])
        .arg(&list));
    File::create(&complete).expect("the target directory is writable");
    python
}

/// The AWS CLI in that environment.
#[cfg(feature = "sandbox")]
pub fn installed_aws_cli() -> PathBuf {
    installed_python().with_file_name("aws")
}

/// Runs a step of the installation; a failure is the failure of the tests that need it, with the reason.
fn run(command: &mut Command) {
    let output = match command.env_remove("PYTHONDONTWRITEBYTECODE").output() {
        Ok(output) => output,
        Err(error) => panic!(
            "these tests need Python 3.11 or newer with its venv module, to run moto's server \
             (on Debian: apt install python3 python3-venv); {command:?} could not be started: {error}"
        ),
    };
    assert!(
        output.status.success(),
        "installing a Python package for the tests failed, at {command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// A hash that stays the same from one compiler to the next, as the one of the standard library need not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
