use std::time::Duration;

use super::*;
use jvb_watcher_rules::plan::Teardown;

fn parsed(text: &str) -> Result<Services, InvalidConfig> {
    parse(Source { name: "fleet.toml", text }, &Values::new())
}

/// Returns the errors of a text, one a line.
fn errors(text: &str) -> String {
    parsed(text).expect_err("a wrong configuration").to_string()
}

#[test]
fn reads_services_with_their_own_options_above_the_defaults_above_the_command_line() {
    let text = r#"
        [defaults]
        cluster = "shared"
        idle-grace = "3m"
        allow-several-bridges = true
        use-threshold = 4

        [[service]]
        service = "meet"
        load-balancer = "meet-nlb"
        idle-grace = "until-paid-hour"
        allow-several-bridges = false
        stop-when-unused = "15m"

        [[service]]
        project = "acme"
        cluster = "arn:aws:ecs:eu-west-1:111122223333:cluster/acme"
    "#;
    let given = Values::from([("teardown".to_owned(), "off".to_owned()), ("idle-grace".to_owned(), "9m".to_owned())]);
    let services = parse(Source { name: "fleet.toml", text }, &given).expect("a good configuration");
    let [acme, meet] = services.into_values().collect::<Vec<_>>().try_into().expect("two services");
    assert_eq!((meet.names.scope.cluster.as_str(), meet.names.scope.service.as_str()), ("shared", "meet"));
    assert_eq!((meet.names.identity.project.as_str(), meet.names.load_balancer.as_str()), ("meet", "meet-nlb"));
    assert_eq!((meet.policy.idle_grace, meet.policy.until_paid_hour), (Duration::from_secs(60), true));
    assert_eq!((meet.policy.teardown, meet.policy.usage.threshold), (Teardown::Off, 4));
    assert_eq!(meet.policy.usage.stop.map(|stop| stop.after), Some(Duration::from_secs(900)));
    assert!(!meet.policy.allow_several_bridges);
    assert_eq!((acme.names.identity.cluster.as_str(), acme.names.scope.service.as_str()), ("acme", "acme-service"));
    assert_eq!(acme.names.load_balancer, "acme-jvb-nlb");
    assert_eq!((acme.policy.idle_grace, acme.policy.allow_several_bridges), (Duration::from_secs(180), true));
}

#[test]
fn names_the_line_and_the_key_of_each_error() {
    for (text, expected) in [
        (
            "[[service]]\nproject = \"a\"\nidle-grac = \"1m\"",
            "fleet.toml:3: idle-grac: a service has no option \"idle-grac\"; did you mean idle-grace?",
        ),
        (
            "[[service]]\nproject = \"a\"\nregion = \"eu-west-1\"",
            "fleet.toml:3: region: region is an option of the process, not of a service; give it on the command line",
        ),
        (
            "[[service]]\nproject = \"a\"\n\nidle-grace = \"soon\"",
            "fleet.toml:4: idle-grace: \"soon\": expected number at 0; write it like 90s, 15m or 2h, or until-paid-hour",
        ),
        (
            "[[service]]\nproject = \"a\"\nidle-grace = true",
            "fleet.toml:3: idle-grace: it must be a text in quotes, or a whole number, not true or false",
        ),
        (
            "[[service]]\nproject = \"a\"\nidle-grace = [\"1m\"]",
            "fleet.toml:3: idle-grace: it must be a text in quotes, or a whole number, not a list",
        ),
        (
            "[[service]]\nproject = \"a\"\nno-usage = \"true\"",
            "fleet.toml:3: no-usage: it must be true or false, not a text",
        ),
        (
            "[[service]]\nproject = \"a\"\nteardown = \"some\"",
            "fleet.toml:3: teardown: \"some\": it must be one of all, load-balancer, off",
        ),
        (
            "[[service]]\nproject = \"a\"\nload-balancer = \"a_b\"",
            "fleet.toml:3: load-balancer: \"a_b\" must be made of letters, digits and inner hyphens",
        ),
        ("[[service]]\nproject = \"\"", "fleet.toml:2: project: it is empty; give a value, or leave it out"),
        (
            "\n[[service]]\nidle-grace = \"1m\"",
            "fleet.toml:2: service: it is missing; give the service's name, or the project from which it derives",
        ),
        (
            "[[service]]\nservice = \"a_b\"\ncluster = \"c\"",
            "fleet.toml:1: load-balancer: \"a_b-jvb-nlb\", derived from the project, must be made of letters, digits and inner hyphens; give the name itself",
        ),
        (
            "[[service]]\nproject = \"a\"\nno-usage = true\nstop-when-unused = \"10m\"",
            "fleet.toml:3: no-usage: stop-when-unused needs the usage; give one of the two",
        ),
        (
            "[defaults]\nno-usage = true\n[[service]]\nproject = \"a\"\nstop-when-unused = \"10m\"",
            "fleet.toml:2: no-usage: stop-when-unused needs the usage; give one of the two",
        ),
        (
            "[defaults]\nload-balancer = \"x\"\n[[service]]\nproject = \"a\"",
            "fleet.toml:2: load-balancer: it names one service; give it below [[service]]",
        ),
        (
            "[defaults]\nteardown = \"no\"\n[[service]]\nproject = \"a\"",
            "fleet.toml:2: teardown: \"no\": it must be one of all, load-balancer, off",
        ),
        (
            "[[services]]\nproject = \"a\"",
            "fleet.toml:1: services: a configuration has a table [defaults] and a list [[service]] only",
        ),
        (
            "[service]\nproject = \"a\"",
            "fleet.toml:1: service: it must be a list of tables; write [[service]] above each",
        ),
        ("service = [\"a\"]", "fleet.toml:1: service: it must be a list of tables; write [[service]] above each"),
        ("defaults = 1\n[[service]]\nproject = \"a\"", "fleet.toml:1: defaults: it must be a table; write [defaults]"),
        ("[defaults]\nidle-grace = \"1m\"", "fleet.toml:1: it lists no service; give at least one, below [[service]]"),
        ("", "fleet.toml:1: it lists no service; give at least one, below [[service]]"),
    ] {
        assert_eq!(errors(text), expected, "{text}");
    }
}

#[test]
fn names_the_line_of_a_syntax_error_and_of_a_repeated_key() {
    let error = errors("[[service]]\nproject = a\n");
    assert!(error.starts_with("fleet.toml:2: "), "{error}");
    let error = errors("[[service]]\nproject = \"a\"\nproject = \"b\"\n");
    assert!(error.starts_with("fleet.toml:3: project: the table has this key already"), "{error}");
}

#[test]
fn refuses_a_service_that_is_listed_twice() {
    let arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/c";
    let text = format!(
        "[[service]]\ncluster = \"c\"\nservice = \"a\"\n[[service]]\nload-balancer = \"x\"\nservice = \"a\"\ncluster = \"{arn}\"\n"
    );
    assert_eq!(errors(&text), "fleet.toml:6: service: a of cluster c is listed twice, first in line 1");
}

#[test]
fn refuses_one_load_balancer_for_two_services() {
    let text = "[[service]]\nproject = \"a\"\n\n[[service]]\nproject = \"b\"\nload-balancer = \"a-jvb-nlb\"\n";
    let says = "load-balancer: a-jvb-nlb is that of the service in line 1; two services would delete each other's load balancer";
    assert_eq!(errors(text), format!("fleet.toml:6: {says}"));
}

#[test]
fn reports_all_errors_in_the_order_of_their_lines() {
    let text = "queue = \"q\"\n[defaults]\nidle-grace = 1\n[[service]]\nresync-interval = \"x\"\nno-usage = 1\n";
    let errors = errors(text);
    let starts: Vec<_> = errors.lines().filter_map(|line| line.split(':').nth(1)).collect();
    assert_eq!(starts, ["1", "3", "5", "6"], "{errors}");
}

#[test]
fn a_file_that_can_t_be_read_is_named() {
    let error = read(Path::new("/nonexistent/fleet.toml"), &Values::new()).expect_err("no file").to_string();
    assert!(error.starts_with("/nonexistent/fleet.toml: it can't be read: No such file"), "{error}");
}

#[test]
fn a_shared_load_balancer_is_reported_beside_wrong_values() {
    let text = "[defaults]\nidle-grace = \"3 minuts\"\n[[service]]\nservice = \"a\"\ncluster = \"c\"\nload-balancer = \"x\"\n\
                [[service]]\nservice = \"b\"\ncluster = \"c\"\nteardown = \"some\"\nload-balancer = \"x\"\n\
                [[service]]\nservice = \"a\"\ncluster = \"c\"\n";
    let errors = errors(text);
    let lines: Vec<_> = errors.lines().collect();
    let [grace, teardown, load_balancer, twice] = lines.as_slice() else { panic!("{errors}") };
    let unit = "unknown time unit \"minuts\"; write it like 90s, 15m or 2h";
    assert!(grace.starts_with("fleet.toml:2: idle-grace: ") && grace.contains(unit), "{grace}");
    assert!(teardown.starts_with("fleet.toml:10: teardown: "), "{teardown}");
    assert!(load_balancer.starts_with("fleet.toml:11: load-balancer: x is that of the service in line 3"), "{errors}");
    assert!(twice.starts_with("fleet.toml:13: service: a of cluster c is listed twice, first in line 3"), "{errors}");
}

#[test]
fn a_service_whose_names_may_be_misspelled_is_not_compared() {
    let text = "[[service]]\nproject = \"a\"\n[[service]]\nproject = \"a\"\nload-balncer = \"b\"\n[[service]]\nproject = \"a\"\nxyz = 1";
    let errors = errors(text);
    assert_eq!(errors.lines().count(), 2, "{errors}");
}

#[test]
fn an_unclosed_string_is_reported_in_its_own_line() {
    for end in ["", "\n", "\nproject = \"b\"\n"] {
        let errors = errors(&format!("[[service]]\nproject = \"a\"\nservice = \"meet{end}"));
        assert!(errors.starts_with("fleet.toml:3: "), "{errors}");
    }
}

#[test]
fn an_error_has_no_control_characters_of_the_file() {
    for (text, expected) in [
        ("\"a\\u001b[2J\\nb\" = 1", "fleet.toml:1: a\\u{1b}[2J\\nb: a configuration has a table"),
        ("[[service]]\n\"x\\ny\" = 1", "fleet.toml:2: x\\ny: a service has no option \"x\\ny\""),
        ("[[service]]\nproject = \"a\"\nproject = \"b\"", "fleet.toml:3: project: the table has this key already"),
        ("[[service]]\nproject = \"a\"\nuse-threshold = 1.5", "or a whole number, not a fraction"),
    ] {
        let errors = errors(text);
        assert!(errors.contains(expected), "{text:?} gives {errors:?}");
        assert!(!errors.chars().any(char::is_control), "{errors:?}");
    }
    let error = read(Path::new("/nonexistent/\u{1b}[2J"), &Values::new()).expect_err("no file").to_string();
    assert!(error.starts_with("/nonexistent/\\u{1b}[2J: "), "{error:?}");
}

#[test]
fn a_file_that_is_too_large_or_none_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let problem = |path: &Path| read(path, &Values::new()).expect_err("refused").errors.remove(0).error;
    assert!(problem(directory.path()).contains("not a regular file"));
    let large = directory.path().join("large.toml");
    std::fs::File::create(&large).and_then(|file| file.set_len(LARGEST as u64 + 1)).expect("it is created");
    assert!(problem(&large).contains(&format!("more than {LARGEST} bytes")));
}

#[tokio::test]
async fn a_pipe_without_a_writer_is_refused_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    let error = read_in_time(&pipe, &Values::new()).await.expect_err("refused").to_string();
    assert!(error.ends_with("it is not a regular file; write the configuration into one"), "{error}");
    let file = directory.path().join("fleet.toml");
    std::fs::write(&file, "[[service]]\nproject = \"a\"").expect("it is written");
    assert_eq!(read_in_time(&file, &Values::new()).await.expect("a good file").len(), 1);
}
