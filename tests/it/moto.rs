//! moto's server, installed into a virtual environment under `target/` and started once per test process.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

const REQUIREMENTS: &str = include_str!("../requirements.txt");
const PROGRAM: &str = include_str!("moto.py");

/// The number of servers. Each is a Python process and uses one core at most; with two, the suite rarely waits for moto.
/// Each account is on one of them.
const SERVERS: usize = 2;

static RUNNING: [OnceLock<Server>; SERVERS] = [const { OnceLock::new() }; SERVERS];

struct Server {
    address: SocketAddr,
    /// The server runs until its standard input ends.
    _process: Child,
}

/// Returns the address of an account's server, after installing and starting it if necessary.
pub fn address_for(account: u64) -> SocketAddr {
    let shard = (account % SERVERS as u64) as usize;
    RUNNING[shard].get_or_init(start).address
}

fn start() -> Server {
    let python = installed_python();
    let mut process = Command::new(&python)
        .args(["-c", PROGRAM])
        // pip doesn't compile the packages, so the first start writes the byte code for the later ones.
        .env_remove("PYTHONDONTWRITEBYTECODE")
        // This would take precedence over the header that selects each test's account.
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
        .unwrap_or_else(|_| panic!("moto's server did not start: its first line is {line:?}; see its errors above"));
    Server { address, _process: process }
}

/// Returns the Python interpreter of a virtual environment with moto, boto3 and the AWS CLI, created if necessary.
pub fn installed_python() -> PathBuf {
    environment("moto", REQUIREMENTS)
}

/// Returns the Python interpreter of a virtual environment with these packages, created if necessary.
pub fn environment(name: &str, requirements: &str) -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(base).expect("the target directory is writable");
    // Other test processes wait until this one has installed the packages.
    let lock = File::create(base.join(format!("{name}.lock"))).expect("the target directory is writable");
    lock.lock().expect("the file system has locks");

    let environment = base.join(format!("{name}-{:016x}", fnv1a(requirements.as_bytes())));
    let python = environment.join("bin/python");
    let complete = environment.join(".complete");
    if complete.exists() {
        return python;
    }
    // An interrupted installation is incomplete.
    if environment.exists() {
        fs::remove_dir_all(&environment).expect("the target directory is writable");
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    let list = environment.join("requirements.txt");
    File::create(&list)
        .and_then(|mut file| file.write_all(requirements.as_bytes()))
        .expect("the target directory is writable");
    // `--no-compile`: compiling botocore takes a minute, and the tests import little of it.
    // `--no-deps`: the list is complete.
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps", "-r"])
        .arg(&list));
    File::create(&complete).expect("the target directory is writable");
    python
}

/// Returns the path of the AWS CLI in moto's environment.
#[cfg(feature = "sandbox")]
pub fn installed_aws_cli() -> PathBuf {
    installed_python().with_file_name("aws")
}

/// Runs a step of the installation, and panics with the reason if it fails.
fn run(command: &mut Command) {
    let output = match command.env_remove("PYTHONDONTWRITEBYTECODE").output() {
        Ok(output) => output,
        Err(error) => panic!(
            "cannot run {command:?}: {error}; install Python 3.11 or newer with its venv module, which these tests \
             need for moto's server (Debian: apt install python3 python3-venv)"
        ),
    };
    assert!(
        output.status.success(),
        "cannot install the Python packages of the tests: {command:?} failed: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// Hashes with FNV-1a, since the standard library's hash may differ between compilers.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
