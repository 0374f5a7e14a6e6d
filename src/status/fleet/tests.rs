use super::*;
use crate::aws::ErrorKind;
use crate::event_source::samples::queue;
use crate::status::{Extent, fleet_text};
use crate::text::{Style, WIDTH};
use jvb_watcher_rules::model::{FlowHistory, MinuteFlows};
use jvb_watcher_rules::plan::plan;
use jvb_watcher_rules::plan::samples::{
    counts, idle, load_balancer, minutes, noon, observation, policy, running, seconds, stopped,
};

fn names(service: &str) -> ServiceNames {
    ServiceNames {
        cluster: "shared".to_owned(),
        service: service.to_owned(),
        project: service.to_owned(),
        load_balancer: Some(format!("{service}-nlb")),
    }
}

fn reading(service: &str, observed: Result<Observation, AwsError>) -> ServiceReading {
    let observed = observed.map(|observation| {
        let plan = plan(&observation, &policy(), noon());
        (observation, plan)
    });
    ServiceReading {
        names: names(service),
        scope: Scope { cluster: "shared".to_owned(), service: service.to_owned() },
        policy: policy(),
        observed,
        observed_at: noon(),
        event_source_findings: Vec::new(),
    }
}

fn at_rest() -> Observation {
    observation(counts(0, 0, 0), Vec::new(), None)
}

fn serving() -> Observation {
    observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1])))
}

fn not_owned() -> Observation {
    let mut observed = idle(load_balancer(&[]));
    observed.load_balancer.as_mut().expect("a load balancer").tags.clear();
    observed
}

fn throttled() -> AwsError {
    AwsError {
        kind: ErrorKind::Throttled,
        service: "ecs",
        operation: "ListTasks",
        resource: "s".to_owned(),
        code: None,
        message: "Rate exceeded".to_owned(),
        request_id: None,
    }
}

fn snapshot(services: Vec<ServiceReading>) -> FleetSnapshot<'static> {
    static COSTS: std::sync::LazyLock<Model> = std::sync::LazyLock::new(Model::default);
    FleetSnapshot::of_services(services, &COSTS, noon())
}

fn text(status: &FleetStatus, extent: Extent) -> String {
    let text = fleet_text(status, extent, Style::Plain);
    for line in text.lines() {
        assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
    }
    text
}

fn finding(name: FindingName, subject: &str) -> Finding {
    Finding { name, subject: subject.to_owned(), detail: "it is so".to_owned() }
}

#[test]
fn leads_with_the_services_that_aren_t_well_and_sums_up_the_others() {
    let services = vec![
        reading("webinar", Err(throttled())),
        reading("acme", Ok(not_owned())),
        reading("a", Ok(at_rest())),
        reading("b", Ok(at_rest())),
        reading("meet", Ok(serving())),
    ];
    let status = FleetStatus::new(snapshot(services));
    assert!(!status.well && status.has_failures());
    let Summary { services, well, not_well, failed, states } = &status.summary;
    assert_eq!((*services, *well, *not_well, *failed), (5, 3, 1, 1));
    let expected = [(State::Serving, 1), (State::Idle, 1), (State::AtRest, 2), (State::Failed, 1)];
    assert_eq!(*states, BTreeMap::from(expected));
    let text = text(&status, Extent::NotWell);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "1 of 5 services is not well; 1 could not be observed");
    assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["SERVICE", "CLUSTER", "STATE"]);
    assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), ["acme", "shared", "idle"]);
    assert!(lines[4].trim_start().starts_with("why:") && lines[4].contains("load_balancer_not_owned"), "{text}");
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in:\n{text}"));
    assert!(place("next:") < place("webinar"), "what could not be observed comes last:\n{text}");
    assert!(place("Rate exceeded") < place("3 well: 2 idle without a load balancer, 1 serving"), "{text}");
    assert!(!text.contains("meet"), "{text}");
    let all = self::text(&status, Extent::All);
    let row = |service: &str| {
        let row = all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        row.into_iter().find(|words| words.first() == Some(&service)).unwrap_or_else(|| panic!("{service}: {all}"))
    };
    assert_eq!(row("meet"), ["meet", "shared", "serving", "active"]);
    assert_eq!(row("a"), ["a", "shared", "at", "rest", "none"]);
}

#[test]
fn all_services_are_listed_with_the_use_of_their_load_balancers() {
    let with_flows = |flows: u64, newest: i64| {
        let known = (newest..20).map(|ago| (noon() - minutes(ago), MinuteFlows { flows, healthy: Some(1) }));
        let history = FlowHistory { minutes: known.collect(), problem: None };
        Observation { flows: Some(history), ..serving() }
    };
    let services = [("used", with_flows(3, 3)), ("unused", with_flows(0, 3)), ("unknown", with_flows(0, 7))];
    let services = services.map(|(service, observed)| reading(service, Ok(observed))).into();
    let all = text(&FleetStatus::new(snapshot(services)), Extent::All);
    for about_use in ["active, 3 flow(s)", "active, unused 19m", "active, use unknown"] {
        assert!(all.contains(about_use), "{about_use:?} is not in:\n{all}");
    }
}

#[test]
fn services_that_are_all_well_take_a_verdict_and_a_line() {
    let status = FleetStatus::new(snapshot(vec![reading("a", Ok(at_rest())), reading("b", Ok(serving()))]));
    assert!(status.well);
    let text = text(&status, Extent::NotWell);
    assert!(text.starts_with("Well: 2 services\n\n1 idle without a load balancer, 1 serving\n"), "{text}");
}

#[test]
fn a_thousand_services_stay_short_however_many_are_in_trouble() {
    let service = |number: usize| {
        let observed = if number.is_multiple_of(2) { not_owned() } else { at_rest() };
        reading(&format!("a-service-with-quite-a-long-name-for-a-table-{number:04}"), Ok(observed))
    };
    let status = FleetStatus::new(snapshot((0..1_000).map(service).collect()));
    let text = text(&status, Extent::NotWell);
    assert!(text.starts_with("500 of 1,000 services are not well\n"), "{text}");
    assert!(text.contains("480 more are not well; --all lists every service"), "{text}");
    assert!(text.contains("500 well: 500 idle without a load balancer"), "{text}");
    assert!(text.lines().count() < 160, "{} lines", text.lines().count());
    assert!(self::text(&status, Extent::All).lines().count() > 1_500);
}

#[test]
fn a_finding_of_every_service_is_one_of_their_queue() {
    let disabled = finding(FindingName::RuleDisabled, "rule");
    let mismatched = finding(FindingName::RuleMismatched, "rule");
    let mut services = vec![reading("a", Ok(at_rest())), reading("b", Ok(at_rest()))];
    for service in &mut services {
        service.event_source_findings.push(disabled.clone());
    }
    services[1].event_source_findings.push(mismatched);
    let status = FleetStatus::new(snapshot(services));
    assert!(!status.well);
    assert_eq!(status.findings.iter().map(|of| of.finding).collect::<Vec<_>>(), [FindingName::RuleDisabled]);
    assert_eq!((status.summary.well, status.summary.not_well), (1, 1), "only the second has one of its own");
    let text = text(&status, Extent::NotWell);
    assert!(text.starts_with("1 of 2 services is not well; 1 problem of the queue\n  rule_disabled: rule\n"), "{text}");
    assert_eq!(text.matches("rule_disabled").count(), 1, "{text}");
}

#[test]
fn messages_are_overdue_only_if_no_service_explains_them() {
    let mut backlog = queue();
    backlog.waiting = 7;
    let services = |observed: Observation| vec![reading("a", Ok(at_rest())), reading("b", Ok(observed))];
    let mut changed = at_rest();
    let mut task = stopped(1);
    task.stopped_at = Some(noon() - seconds(5));
    changed.tasks.push(task);
    let status = FleetStatus::new(FleetSnapshot { queue: Some(&backlog), ..snapshot(services(changed)) });
    assert!(status.well, "{:?}", status.remarks);
    // ECS shows no change of the last hour.
    let status = FleetStatus::new(FleetSnapshot { queue: Some(&backlog), ..snapshot(services(at_rest())) });
    assert!(!status.well && status.remarks[0].starts_with("7 message(s) on "), "{:?}", status.remarks);
    assert_eq!(status.summary.well, 2, "no service is charged with them");
}

#[test]
fn what_keeps_a_service_or_a_cluster_from_being_watched_is_shown() {
    let wrong = finding(FindingName::TagInvalid, "wrong");
    let not_watched = vec![(ServiceNames { load_balancer: None, ..names("wrong") }, vec![wrong])];
    let unread_clusters = vec![("other".to_owned(), throttled())];
    let services = vec![reading("a", Ok(at_rest()))];
    let status = FleetStatus::new(FleetSnapshot { not_watched, unread_clusters, ..snapshot(services) });
    assert!(status.has_failures() && status.summary.not_well == 1);
    let text = text(&status, Extent::NotWell);
    assert!(text.starts_with("1 of 2 services is not well; 1 cluster could not be read\n  cluster other: "), "{text}");
    assert!(text.contains("not watched") && text.contains("tag_invalid: wrong: it is so"), "{text}");
}

#[test]
fn the_json_of_a_service_is_its_status_with_its_names() {
    let services = vec![reading("b", Err(throttled())), reading("a", Ok(serving()))];
    let json = serde_json::to_value(FleetStatus::new(snapshot(services))).expect("JSON");
    assert_eq!(json["summary"]["states"]["serving"], 1);
    let [a, b] = json["services"].as_array().expect("services").as_slice() else { panic!("{json}") };
    assert_eq!((&a["names"]["service"], &a["names"]["load_balancer"]), (&"a".into(), &"a-nlb".into()));
    assert_eq!((&a["well"], &a["service"]["running"], &a["state"]), (&true.into(), &1.into(), &"serving".into()));
    assert!(a["tasks"].is_array() && a["next"]["intents"].is_array(), "{a}");
    assert_eq!((&b["well"], &b["state"]), (&false.into(), &"failed".into()));
    assert!(b["error"].as_str().expect("an error").contains("ecs:ListTasks"), "{b}");
}

#[test]
fn without_a_service_it_is_not_well_and_reports_the_queue() {
    let status = FleetStatus::new(snapshot(Vec::new()));
    assert!(!status.well && !status.has_failures());
    let line = "No service has the tag jvb-watcher:load-balancer\n";
    assert!(text(&status, Extent::NotWell).starts_with(line));
    let detail = "the queue doesn't exist".to_owned();
    let missing = Finding { name: FindingName::QueueMissing, subject: "nope".to_owned(), detail };
    let status = FleetStatus::new(FleetSnapshot { event_source_findings: vec![missing], ..snapshot(Vec::new()) });
    let text = text(&status, Extent::NotWell);
    assert!(text.lines().next().is_some_and(|line| line.ends_with("; 1 problem of the queue")), "{text}");
    assert!(text.contains("queue_missing"), "{text}");
}
