//! The commands on the pages: each is one that the command line takes.

use std::path::Path;
use std::process::Command;

use jvb_watcher::commands::program;

/// Returns the pages that readers copy commands from. The changelog is none: it also has commands of the past.
fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("find")
        .args(["README.md", "CONTRIBUTING.md", "docs", "terraform", "crates", "-name", "*.md"])
        .current_dir(root)
        .output()
        .expect("there is a find");
    let files = String::from_utf8(output.stdout).expect("text");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).expect("the file is readable");
    files.lines().map(read).collect()
}

/// Returns the lines of a page's code blocks, in which a backslash continues a line.
fn lines_of_code(page: &str) -> Vec<String> {
    let page = page.replace("\\\n", " ");
    let mut is_fenced = false;
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced || line.starts_with("    ") {
            lines.push(line.trim().to_owned());
        }
    }
    lines
}

/// Returns the arguments of the program in a line of shell, if the line runs it.
fn arguments(line: &str) -> Option<Vec<String>> {
    let command = line.split(" | ").map(str::trim).find_map(|command| command.strip_prefix("jvb-watcher "))?;
    let command = command.split(" > ").next()?;
    // The shell splits it, and leaves out the comment.
    let script = format!("target=--terraform-arg=-target=module.jvb_nlb; printf '%s\\n' {command}");
    let output = Command::new("sh").args(["-c", &script]).output().expect("there is a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect())
}

#[test]
fn every_command_on_the_pages_parses() {
    let pages = pages();
    let lines: Vec<_> = pages.iter().flat_map(|page| lines_of_code(page)).collect();
    let commands: Vec<_> = lines.iter().filter_map(|line| Some((line, arguments(line)?))).collect();
    assert!(commands.len() > 30, "{commands:?}");
    for (line, arguments) in commands {
        let words = std::iter::once("jvb-watcher".to_owned()).chain(arguments);
        if let Err(error) = program().try_get_matches_from(words) {
            panic!("{line}\n{error}");
        }
    }
}
