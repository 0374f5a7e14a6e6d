//! The scripts of terraform/modules/jitsi-service, which run in Jitsi's containers before the images' own entry point.
//!
//! They run under dash, which is /bin/sh in Debian's images, and ask a name server of the test's own.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::name_server::{Asked, NameServer, Record};
use crate::wait::eventually;

pub const SHELL: &str = "dash";
const DOMAIN: &str = "meet.example.org";
const ADDRESS: Record = Record::Address([203, 0, 113, 10]);

/// Returns the text of a script.
pub fn script(name: &str) -> String {
    let path = scripts().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform/modules/jitsi-service/scripts")
}

/// Returns a home directory in which dig asks this server.
pub fn home(server: &NameServer) -> TempDir {
    let home = tempfile::tempdir().expect("the directory for temporary files is writable");
    std::fs::write(home.path().join(".digrc"), server.digrc()).expect("the directory is writable");
    home
}

/// Returns the owner that a test may give a file, as an argument of chown: another user if the test runs as root.
pub fn owner(directory: &Path) -> (u32, String) {
    let metadata = std::fs::metadata(directory).expect("the directory exists");
    let user = if metadata.uid() == 0 { 12345 } else { metadata.uid() };
    let group = if metadata.uid() == 0 { 12345 } else { metadata.gid() };
    (user, format!("{user}:{group}"))
}

/// Prepares the script that waits for the domain, followed by a command that prints its result.
fn advertise(home: &TempDir, seconds: u32) -> Command {
    let mut command = Command::new(SHELL);
    command.args(["-c", &script("advertise.sh"), "advertise", DOMAIN, &seconds.to_string()]);
    command.args(["printenv", "JVB_ADVERTISE_IPS"]);
    command.env("HOME", home.path()).env_remove("JVB_ADVERTISE_IPS");
    command
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {SHELL}: {error}; install dash and dig (bind9-dnsutils)"))
}

/// Returns the lines of the script's log and the addresses that the bridge gets.
fn advertised(command: &mut Command) -> (Vec<String>, String) {
    let output = run(command);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let addresses = lines.pop().expect("the command prints the addresses");
    (lines, addresses)
}

/// Returns the last line of a script that fails.
fn last_line(command: &mut Command) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr).expect("text");
    text.lines().last().expect("the script says why").to_owned()
}

#[test]
fn the_bridge_advertises_the_address_of_the_domain() {
    let server = NameServer::start();
    server.add(Asked::Zone, DOMAIN, ADDRESS);
    let (log, addresses) = advertised(&mut advertise(&home(&server), 60));
    assert_eq!(addresses, "203.0.113.10");
    assert_eq!(log, ["advertise: resolving meet.example.org, for at most 60 s", "advertise: advertising 203.0.113.10"]);
}

#[test]
fn the_bridge_waits_until_the_domain_resolves() {
    let server = NameServer::start();
    server.add(Asked::Zone, DOMAIN, ADDRESS);
    server.delay(DOMAIN, 2);
    let (_, addresses) = advertised(&mut advertise(&home(&server), 250));
    assert_eq!(addresses, "203.0.113.10");
}

#[test]
fn the_bridge_advertises_several_addresses_and_says_so() {
    let server = NameServer::start();
    server.add(Asked::Zone, DOMAIN, Record::Address([203, 0, 113, 20]));
    server.add(Asked::Zone, DOMAIN, ADDRESS);
    let (log, addresses) = advertised(&mut advertise(&home(&server), 60));
    assert_eq!(addresses, "203.0.113.10,203.0.113.20");
    assert!(log.iter().any(|line| line.contains("has several addresses")), "{log:#?}");
}

#[test]
fn the_bridge_gives_up_and_says_what_to_do() {
    let server = NameServer::start();
    let line = last_line(&mut advertise(&home(&server), 1));
    let expected = "advertise: meet.example.org has had no IPv4 address for 1 s: create the load balancer and its DNS \
                    record, or set advertise_ips";
    assert_eq!(line, expected);
    assert!(server.questions() > 0);
}

#[test]
fn the_bridge_asks_the_zones_server_because_the_resolver_caches() {
    // The resolver has the address of a load balancer that was deleted since.
    let server = NameServer::start();
    server.add(Asked::Resolver, DOMAIN, Record::Address([198, 51, 100, 66]));
    server.add(Asked::Zone, DOMAIN, ADDRESS);
    assert_eq!(advertised(&mut advertise(&home(&server), 60)).1, "203.0.113.10");

    // There is none any more.
    let server = NameServer::start();
    server.add(Asked::Resolver, DOMAIN, Record::Address([198, 51, 100, 66]));
    assert!(last_line(&mut advertise(&home(&server), 1)).contains("has had no IPv4 address"));
}

#[test]
fn the_bridge_follows_aliases_to_other_zones() {
    let server = NameServer::start();
    for asked in [Asked::Resolver, Asked::Zone] {
        server.add(asked, DOMAIN, Record::Alias("lb.elb.example.net"));
    }
    server.add(Asked::Resolver, "elb.example.net", Record::Server("ns.example.net"));
    server.add(Asked::Zone, "lb.elb.example.net", ADDRESS);
    assert_eq!(advertised(&mut advertise(&home(&server), 60)).1, "203.0.113.10");
}

#[test]
fn the_bridge_asks_the_resolver_if_no_server_of_the_zone_answers() {
    let server = NameServer::start();
    server.add(Asked::Resolver, DOMAIN, ADDRESS);
    server.refuse();
    assert_eq!(advertised(&mut advertise(&home(&server), 60)).1, "203.0.113.10");
}

#[test]
fn the_bridge_advertises_fixed_addresses_without_a_question() {
    let server = NameServer::start();
    let mut command = advertise(&home(&server), 60);
    command.env("JVB_ADVERTISE_IPS", "192.0.2.1,192.0.2.2#443");
    assert_eq!(advertised(&mut command).1, "192.0.2.1,192.0.2.2#443");
    assert_eq!(server.questions(), 0);
}

#[tokio::test]
async fn a_waiting_bridge_stops_when_it_is_told_to() {
    let server = NameServer::start();
    let home = home(&server);
    let mut child = advertise(&home, 250).stdout(Stdio::null()).spawn().expect("there is dash");
    eventually("the script asks", async || (server.questions() > 0).then_some(())).await;
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TERM).expect("the script runs");
    let status = eventually("the script ends", async || child.try_wait().expect("a child has a status")).await;
    // A handler ran: as PID 1 the shell would not be ended by the signal itself.
    assert_eq!(status.code(), Some(143), "{status:?}");
}

#[test]
fn each_task_has_passwords_of_its_own() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let volumes = tempfile::tempdir().expect("the directory for temporary files is writable");
        let (user, owner) = owner(volumes.path());
        let [passwords, data] = ["passwords", "data"].map(|name| volumes.path().join(name));
        for directory in [&passwords, &data] {
            std::fs::create_dir(directory).expect("the directory is writable");
        }
        let mut command = Command::new(SHELL);
        command.args(["-c", &script("prepare.sh"), "prepare", &owner]).arg(&passwords);
        command.args(["JICOFO_AUTH_PASSWORD", "JVB_AUTH_PASSWORD", "--"]).arg(&data);
        let output = run(&mut command);
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        for name in ["JICOFO_AUTH_PASSWORD", "JVB_AUTH_PASSWORD"] {
            let path = passwords.join(name);
            let password = std::fs::read_to_string(&path).expect("the password is readable");
            assert!(password.len() == 64 && password.chars().all(|digit| digit.is_ascii_hexdigit()), "{password}");
            let metadata = std::fs::metadata(&path).expect("the file exists");
            assert_eq!((metadata.uid(), metadata.permissions().mode() & 0o777), (user, 0o600));
            seen.push(password);
        }
        for directory in [passwords, data] {
            assert_eq!(std::fs::metadata(directory).expect("it exists").uid(), user);
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4, "a password was used twice");
}

/// Runs a command that prints its environment, after the script that reads the passwords.
fn with_passwords(passwords: &Path, given: &[(&str, &str)]) -> Output {
    let mut command = Command::new(SHELL);
    command.args(["-c", &script("with-passwords.sh"), "with-passwords"]).arg(passwords);
    command.args(["JICOFO_AUTH_PASSWORD", "JVB_AUTH_PASSWORD", "--", "env", "-0"]);
    command.env_clear().env("PATH", std::env::var_os("PATH").expect("there is a PATH")).envs(given.iter().copied());
    run(&mut command)
}

/// Parses what `env -0` prints last, after the log.
pub fn environment(output: &Output) -> BTreeMap<String, String> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    let entries = text.split('\0').filter_map(|entry| entry.lines().last()?.split_once('='));
    entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_passwords_are_in_the_commands_environment() {
    let passwords = tempfile::tempdir().expect("the directory for temporary files is writable");
    std::fs::write(passwords.path().join("JICOFO_AUTH_PASSWORD"), "focus").expect("the directory is writable");
    std::fs::write(passwords.path().join("JVB_AUTH_PASSWORD"), "bridge").expect("the directory is writable");

    let found = environment(&with_passwords(passwords.path(), &[]));
    assert_eq!((found["JICOFO_AUTH_PASSWORD"].as_str(), found["JVB_AUTH_PASSWORD"].as_str()), ("focus", "bridge"));

    // One that ECS took from SSM or Secrets Manager stays.
    let given = [("JVB_AUTH_PASSWORD", "stored"), ("JICOFO_AUTH_PASSWORD", "")];
    let found = environment(&with_passwords(passwords.path(), &given));
    assert_eq!((found["JICOFO_AUTH_PASSWORD"].as_str(), found["JVB_AUTH_PASSWORD"].as_str()), ("focus", "stored"));
}

#[test]
fn a_container_without_its_password_exits() {
    let passwords = tempfile::tempdir().expect("the directory for temporary files is writable");
    let output = with_passwords(passwords.path(), &[]);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("JICOFO_AUTH_PASSWORD"), "{output:?}");
}

#[test]
fn the_commands_replace_the_shell() {
    // As s6-overlay's /init requires, which runs as PID 1 only.
    let server = NameServer::start();
    server.add(Asked::Zone, DOMAIN, ADDRESS);
    let home = home(&server);
    let mut command = Command::new(SHELL);
    command.args(["-c", &script("with-passwords.sh"), "with-passwords", "/", "--"]);
    command.args([SHELL, "-c", &script("advertise.sh"), "advertise", DOMAIN, "60"]);
    command.args([SHELL, "-c", "echo $$"]).env("HOME", home.path()).env_remove("JVB_ADVERTISE_IPS");
    let child = command.process_group(0).stdout(Stdio::piped()).spawn().expect("there is dash");
    let pid = child.id().to_string();
    let output = child.wait_with_output().expect("the script ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().last(), Some(pid.as_str()));
}
