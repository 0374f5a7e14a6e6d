//! Completions and man pages, given to the programs that read them.

use std::path::Path;

use tokio::process::Command;

use crate::watcher::Launch;

/// The output of a shell's script.
async fn bash(script: &str, file: &Path) -> String {
    let output = Command::new("bash").args(["--norc", "-c", script, "bash"]).arg(file).output().await;
    let output = output.expect("there is a bash");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{error}");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn bash_completes_commands_and_options() {
    let completions = Launch::bare("completions").args(["bash"]).finish().await;
    assert_eq!(completions.code, Some(0), "{completions:#?}");
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let file = directory.path().join("jvb-watcher");
    std::fs::write(&file, &completions.stdout).expect("the file can be written");
    // What bash does when the tabulator is pressed after these words.
    let complete = |words: &str| {
        format!(
            "source \"$1\"; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _jvb__watcher jvb-watcher \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             echo \"${{COMPREPLY[@]}}\""
        )
    };
    for (words, completed) in [
        ("jvb-watcher rec", "reconcile"),
        ("jvb-watcher rep", "report"),
        ("jvb-watcher run --idle", "--idle-grace"),
        ("jvb-watcher run --teardown load", "load-balancer"),
    ] {
        assert_eq!(bash(&complete(words), &file).await.trim(), completed, "{words}");
    }
}

#[tokio::test]
async fn each_shell_has_its_completions() {
    for (shell, sign) in [
        ("bash", "complete -F _jvb__watcher"),
        ("zsh", "#compdef jvb-watcher"),
        ("fish", "complete -c jvb-watcher"),
        ("elvish", "edit:completion:arg-completer[jvb-watcher]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let completions = Launch::bare("completions").args([shell]).finish().await;
        assert_eq!(completions.code, Some(0), "{completions:#?}");
        assert!(completions.stdout.contains(sign) && completions.stdout.contains("reconcile"), "{shell}");
    }
    assert_eq!(Launch::bare("completions").args(["tcsh"]).finish().await.code, Some(2));
}

#[tokio::test]
async fn commands_that_another_build_lacks_can_be_left_out() {
    let without = ["--without", "demo", "--without", "report"];
    let completions = Launch::bare("completions").args(["bash"]).args(without).finish().await;
    assert_eq!(completions.code, Some(0), "{completions:#?}");
    assert!(completions.stdout.contains("reconcile"), "{}", completions.stdout);
    assert!(!completions.stdout.contains("demo") && !completions.stdout.contains("report"), "{}", completions.stdout);

    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let pages = directory.path().display().to_string();
    let finished = Launch::bare("man").args(["--all", &pages]).args(without).finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let mut written = 0;
    for entry in std::fs::read_dir(directory.path()).expect("the directory is readable") {
        let page = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&page).expect("text");
        for name in ["demo", "report"] {
            assert!(!text.contains(&format!("jvb\\-watcher\\-{name}")), "{} refers to {name}", page.display());
            assert!(!page.ends_with(format!("jvb-watcher-{name}.1")));
        }
        written += 1;
    }
    assert!(written > 8, "{written} pages");

    let unknown = Launch::bare("man").args(["--without", "dance"]).finish().await;
    assert_eq!(unknown.code, Some(2), "{unknown:#?}");
    assert!(unknown.stderr.contains("there is no command dance"), "{unknown:#?}");
}

#[tokio::test]
async fn the_man_page_lists_every_command() {
    let page = Launch::bare("man").finish().await;
    assert_eq!(page.code, Some(0), "{page:#?}");
    assert!(page.stdout.contains(".TH jvb-watcher 1"));
    for part in [
        ".SH NAME",
        ".SH SYNOPSIS",
        ".SH DESCRIPTION",
        ".SH OPTIONS",
        ".SH SUBCOMMANDS",
        ".SH \"EXIT STATUS\"",
        ".SH \"SEE ALSO\"",
    ] {
        assert!(page.stdout.contains(part), "{part}");
    }
    for word in ["jvb\\-watcher\\-run(1)", "jvb\\-watcher\\-reconcile(1)", "jvb\\-watcher\\-report(1)"] {
        assert!(page.stdout.contains(word), "{word} is not in:\n{}", page.stdout);
    }
}

#[tokio::test]
async fn each_command_has_a_page_of_its_own() {
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let pages = directory.path().join("man1");
    let finished = Launch::bare("man").args(["--all", &pages.display().to_string()]).finish().await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{finished:#?}");
    let read = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let run = read("jvb-watcher-run.1");
    for word in
        [".TH jvb-watcher-run 1  \"jvb-watcher ", "\\-\\-idle\\-grace", "JVB_WATCHER_IDLE_GRACE", "\\-\\-project"]
    {
        assert!(run.contains(word), "{word} is not in:\n{run}");
    }
    for section in ["EXAMPLES", "ENVIRONMENT", "\"EXIT STATUS\"", "\"SEE ALSO\""] {
        assert!(run.contains(&format!(".SH {section}")), "{section} is not in:\n{run}");
    }
    assert!(read("jvb-watcher-report.1").contains("LOGFILE"));
    // The page of all names those of each, and each is there.
    let names = read("jvb-watcher.1").replace("\\-", "-");
    let named: Vec<&str> =
        names.split_whitespace().filter_map(|word| word.trim_end_matches(',').strip_suffix("(1)")).collect();
    assert!(named.len() > 3, "{names}");
    for name in named {
        read(&format!("{name}.1"));
    }
}
