//! Dependencies point one way: between the modules of the product, each of which knows only earlier [`LAYERS`], and
//! between the members of the workspace.
//!
//! The check of the modules reads `crate::` paths in `src/`; unit tests and their samples may use any module.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The modules from the ground up, as ARCHITECTURE.md has them.
const LAYERS: [&str; 46] = [
    "name_resolution",
    "clock",
    "trace",
    "aws",
    "retry",
    "telemetry::emf",
    "telemetry::log",
    "telemetry::metrics",
    "telemetry::otlp",
    "telemetry::publish",
    "shutdown",
    "controller::scope",
    "controller::totals",
    "controller::context",
    "controller::message",
    "controller::routes",
    "controller::inbox",
    "controller::liveness",
    "controller::missed_events",
    "controller::findings",
    "controller::gate",
    "controller::target_health",
    "controller::advertised",
    "controller::usage",
    "controller::last_seen",
    "controller::orphans",
    "controller::observer",
    "controller::basis",
    "controller::writes",
    "controller::registrations",
    "controller::marks",
    "controller::teardown",
    "controller::stop",
    "controller::execution",
    "controller::latest",
    "controller::error_policy",
    "controller::reconciler",
    "controller::worker",
    "controller::function",
    "event_source",
    "operations",
    "text",
    "status",
    "doctor",
    "listen",
    "commands",
];

fn source_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let only_in_tests = ["tests", "tests.rs", "samples.rs", "fake.rs"].contains(&name);
        if path.is_dir() && !only_in_tests {
            source_files(&path, files);
        } else if name.ends_with(".rs") && !only_in_tests {
            files.push(path);
        }
    }
}

/// The layer that a module path belongs to, e.g. `telemetry::log` for `telemetry::log::event::Event`.
fn layer(path: &str) -> Option<usize> {
    let is_within = |layer: &str| path == layer || path.strip_prefix(layer).is_some_and(|rest| rest.starts_with("::"));
    LAYERS.iter().position(|layer| is_within(layer))
}

/// The paths below `crate::` in a source, up to its unit tests, with those in braces spelled out at one level.
fn crate_paths(source: &str) -> BTreeSet<String> {
    let product = source.split("#[cfg(test)]\nmod tests").next().unwrap_or(source);
    let code: String =
        product.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(" ");
    let mut paths = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let head: String = rest.chars().take_while(|c| is_path(*c)).collect();
        match (head.strip_suffix("::"), rest[head.len()..].strip_prefix('{')) {
            (Some(parent), Some(list)) => {
                let list = list.split('}').next().unwrap_or(list);
                for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                    paths.insert(format!("{parent}::{name}"));
                }
            }
            _ => {
                paths.insert(head);
            }
        }
    }
    paths
}

#[test]
fn dependencies_between_modules_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    let mut upward = Vec::new();
    let mut seen = 0;
    for file in files {
        let relative = file.strip_prefix(&root).expect("a file below src").with_extension("");
        let module = relative.to_str().expect("a UTF-8 path").replace('/', "::");
        let Some(own) = layer(&module) else {
            // The roots hold module declarations only.
            assert!(["lib", "main", "controller", "telemetry"].contains(&module.as_str()), "{module} has no layer");
            continue;
        };
        for path in crate_paths(&std::fs::read_to_string(&file).expect("a source")) {
            let Some(other) = layer(&path) else { panic!("{}: crate::{path} is in no layer", relative.display()) };
            seen += 1;
            if other > own {
                upward.push(format!("{} (layer {}) uses crate::{path}", relative.display(), LAYERS[own]));
            }
        }
    }
    assert!(seen > 100, "only {seen} paths were read");
    assert!(upward.is_empty(), "these imports point upwards:\n{}", upward.join("\n"));
}

/// Returns the packages that a member of the workspace is built from, itself included, without its development
/// dependencies.
fn packages(member: &str, features: &[&str]) -> BTreeSet<String> {
    let output = std::process::Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--locked", "--offline", "--edges=normal,build", "--prefix=none", "--format={p}"])
        .args(["--package", member])
        .args(features)
        .output()
        .expect("cargo is installed");
    assert!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("UTF-8");
    let packages: BTreeSet<String> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    assert!(packages.contains(member), "{packages:?}");
    packages
}

/// Returns the members of the workspace that a member depends on.
fn other_members(member: &str, features: &[&str]) -> Vec<String> {
    packages(member, features).into_iter().filter(|name| name.starts_with("jvb-watcher") && name != member).collect()
}

#[test]
fn the_product_is_built_from_the_rules_and_the_costs_and_no_other_member() {
    for features in [&["--no-default-features"][..], &["--no-default-features", "--features=lambda"]] {
        let members = other_members("jvb-watcher", features);
        assert_eq!(members, ["jvb-watcher-cost", "jvb-watcher-rules"], "{features:?}");
    }
}

#[test]
fn the_rules_and_the_costs_depend_on_neither_tokio_nor_the_aws_sdk() {
    for member in ["jvb-watcher-rules", "jvb-watcher-cost"] {
        assert_eq!(other_members(member, &["--all-features"]), [""; 0], "{member}");
        let packages = packages(member, &["--all-features"]);
        let forbidden: Vec<_> = packages
            .iter()
            .filter(|name| *name == "tokio" || ["aws-", "aws_"].iter().any(|aws| name.starts_with(aws)))
            .collect();
        assert!(forbidden.is_empty(), "{member}: {forbidden:?}");
    }
}

#[test]
fn the_sandbox_depends_on_no_other_member_and_the_report_on_the_costs_alone() {
    assert_eq!(other_members("jvb-watcher-sandbox", &["--all-features"]), [""; 0]);
    assert_eq!(other_members("jvb-watcher-report", &["--all-features"]), ["jvb-watcher-cost"]);
}

/// A mistake in the rules must not hide in the audit as well.
#[test]
fn the_audit_shares_only_the_reader_of_logs() {
    assert_eq!(other_members("jvb-watcher-audit", &["--all-features"]), ["jvb-watcher-cost", "jvb-watcher-report"]);
}

#[test]
fn the_model_depends_on_the_rules_alone() {
    assert_eq!(other_members("jvb-watcher-model", &["--all-features"]), ["jvb-watcher-rules"]);
}

#[test]
fn the_benchmarks_know_the_program_only_from_the_outside() {
    assert_eq!(other_members("jvb-watcher-benchmarks", &["--all-features"]), ["jvb-watcher-sandbox"]);
}
