use super::*;
use crate::event_source::samples::queue;
use crate::text::{Style, WIDTH};
use jvb_watcher_rules::model::DesiredStatus;
use jvb_watcher_rules::plan::plan;
use jvb_watcher_rules::plan::samples::{
    balancer, counts, idle, marked_balancer, minutes, noon, observation, policy, running, seconds, stopped, task,
};

fn status_with(observation: &Observation, queue: &QueueDescription, feed_findings: &[Finding]) -> Status {
    let (policy, now) = (policy(), noon());
    let scope = Scope { cluster: "p-cluster".to_owned(), service: "p-service".to_owned() };
    let plan = plan(observation, &policy, now);
    Status::new(&Sight {
        scope: &scope,
        policy: &policy,
        observation,
        plan: &plan,
        queue: Some(queue),
        dead_letter_queue: None,
        feed_findings,
        unread: &[],
        hourly_price_usd: 0.19,
        now,
    })
}

fn status(observation: &Observation) -> Status {
    status_with(observation, &queue(), &[])
}

fn in_use() -> Observation {
    observation(counts(1, 1, 0), vec![running(1), stopped(2)], Some(balancer(&[1])))
}

#[test]
fn a_platform_in_use_is_well() {
    let status = status(&in_use());
    assert!(status.well);
    let balancer = status.load_balancer.as_ref().expect("a balancer");
    assert_eq!((balancer.age_seconds, balancer.state), (3600, "active"));
    assert!((balancer.cost_usd - 0.19).abs() < 1e-9, "an hour at the hourly price");
    assert_eq!(status.tasks[0].state, TaskState::Serving);
    assert_eq!(status.tasks[0].age_seconds, Some(50 * 60));
    assert_eq!(status.target_groups.len(), 2);
    let of_task = status.target_groups[0].targets[0].task_id.as_ref();
    assert_eq!(of_task, Some(&status.tasks[0].task_id));
    assert!(status.next.intents.is_empty());
    assert_eq!(status.next.look_again_in_seconds, 60);
}

#[test]
fn findings_of_the_look_and_of_the_feed_stand_together_and_on_top() {
    let mut seen = idle(balancer(&[]));
    seen.load_balancer.as_mut().expect("a balancer").tags.clear();
    let cut = Finding {
        name: FindingName::RuleDisabled,
        subject: "p-jvb-watcher".to_owned(),
        detail: "it is disabled".to_owned(),
    };
    let status = status_with(&seen, &queue(), &[cut]);
    assert!(!status.well);
    let text = text(&status, Style::Plain);
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in:\n{text}"));
    assert!(text.starts_with("2 findings\n"), "{text}");
    assert!(place("load_balancer_not_owned: p-jvb-nlb") < place("Service"));
    assert!(place("rule_disabled: p-jvb-watcher") < place("Service"));
}

#[test]
fn what_the_watcher_would_do_is_told_without_doing_it() {
    let unregistered = observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[])));
    let status = status(&unregistered);
    let acts: Vec<_> = status.next.intents.iter().map(|intent| (intent.act, intent.text.as_str())).collect();
    assert_eq!(
        acts,
        [
            (IntentKind::Register, "register 10.0.0.1 port 4443 in p-jvb-tcp-tg: its task runs"),
            (IntentKind::Register, "register 10.0.0.1 port 10000 in p-jvb-udp: its task runs"),
        ]
    );
}

#[test]
fn what_the_watcher_can_do_nothing_about_is_not_well_either() {
    let mut seen = in_use();
    seen.load_balancer.as_mut().expect("a balancer").target_groups[0].targets[0].state = TargetState::Unhealthy;
    let status = status(&seen);
    assert!(!status.well && status.findings.is_empty());
    let text = text(&status, Style::Plain);
    assert!(text.starts_with("No findings, but it isn't well\n  1 target(s) fail their health checks\n"), "{text}");
}

#[test]
fn a_mark_tells_when_the_teardown_is_due() {
    let marked = idle(marked_balancer(&[], noon() - seconds(20)));
    let pending = status(&marked);
    assert_eq!(pending.next.teardown_due_at, Some(noon() + seconds(40)));
    assert!(text(&pending, Style::Plain).contains("delete the load balancer at 2026-11-20T12:00:40Z"));
    let over = status(&idle(marked_balancer(&[], noon() - seconds(60))));
    assert_eq!(over.next.intents[0].act, IntentKind::DeleteLoadBalancer);
    assert_eq!(over.next.teardown_due_at, None);
}

#[test]
fn each_state_of_a_task_has_its_word() {
    let told = Task { stopping_at: Some(noon()), ..task(3, LastStatus::Running, DesiredStatus::Stopped) };
    let coming = Task { started_at: None, ipv4: None, ..task(4, LastStatus::Starting, DesiredStatus::Running) };
    let tasks = vec![stopped(2), told, coming, running(1)];
    let status = status(&observation(counts(2, 1, 1), tasks, None));
    let states: Vec<_> = status.tasks.iter().map(|task| task.state).collect();
    assert_eq!(states, [TaskState::Serving, TaskState::Starting, TaskState::Stopping, TaskState::Stopped]);
    let text = text(&status, Style::Plain);
    assert!(text.contains("1 stopped within the last hour"), "{text}");
    assert!(text.contains("no address"), "{text}");
}

#[test]
fn the_oldest_message_is_bounded_by_what_sqs_tells() {
    let of = |waiting, created_at| {
        let queue = QueueDescription { waiting, created_at, ..queue() };
        status_with(&in_use(), &queue, &[]).queue.expect("a queue").oldest_message_at_most_seconds
    };
    assert_eq!(of(0, noon()), None, "there is no message");
    assert_eq!(of(3, noon() - minutes(5)), Some(300), "it is no older than the queue");
    assert_eq!(of(3, noon() - minutes(60 * 48)), Some(24 * 60 * 60), "it is kept for a day");
}

#[test]
fn all_text_fits_its_width_whatever_the_names_and_addresses() {
    let mut seen = in_use();
    seen.tasks[0].ipv6 = Some("2001:db8:1234:5678:9abc:def0:1234:5678".parse().expect("an address"));
    let group = &mut seen.load_balancer.as_mut().expect("a balancer").target_groups[0];
    group.targets[0].ip = "2001:db8:1234:5678:9abc:def0:1234:5678".parse().expect("an address");
    group.targets[0].reason = Some("Target.DeregistrationInProgress".to_owned());
    let long = Finding {
        name: FindingName::ServiceMissing,
        subject: "s".repeat(255),
        detail: "a detail of many words, ".repeat(20),
    };
    let queue = QueueDescription { waiting: 12_345, in_flight: 1, delayed: 2, ..queue() };
    for line in text(&status_with(&seen, &queue, &[long]), Style::Plain).lines() {
        assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
    }
}

#[test]
fn as_json_it_has_the_names_of_the_log() {
    let json = serde_json::to_value(status(&in_use())).expect("JSON");
    assert_eq!(json["well"], true);
    assert_eq!(json["load_balancer"]["type"], "network");
    assert_eq!(json["tasks"][0]["state"], "serving");
    assert_eq!(json["target_groups"][0]["targets"][0]["state"], "healthy");
    assert_eq!(json["queue"]["waiting"], 0);
    assert_eq!(json["next"]["look_again_in_seconds"], 60);
}
