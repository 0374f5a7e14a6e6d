use super::*;
use crate::event_source::samples::queue;
use crate::text::{Style, WIDTH};
use jvb_watcher_cost::Platform;
use jvb_watcher_rules::lease::LeaseReading;
use jvb_watcher_rules::model::{DesiredStatus, FlowProblem, MinuteFlows, TargetState};
use jvb_watcher_rules::plan::samples::{
    counts, idle, load_balancer, marked_load_balancer, minutes, noon, observation, policy, running, seconds, stopped,
    task,
};
use jvb_watcher_rules::plan::{StopWhenUnused, UsagePolicy, plan};

fn status_with(observation: &Observation, queue: &QueueDescription, event_source_findings: &[Finding]) -> Status {
    status_at(&policy(), &Model::default(), observation, queue, event_source_findings)
}

fn status_at(
    policy: &Policy,
    costs: &Model,
    observation: &Observation,
    queue: &QueueDescription,
    event_source_findings: &[Finding],
) -> Status {
    let now = noon();
    let scope = Scope { cluster: "p-cluster".to_owned(), service: "p-service".to_owned() };
    let plan = plan(observation, policy, now);
    Status::new(&Snapshot {
        scope: &scope,
        policy,
        observation,
        plan: &plan,
        queue: Some(queue),
        dead_letter_queue: None,
        event_source_findings,
        unread: &[],
        costs,
        now,
    })
}

fn status(observation: &Observation) -> Status {
    status_with(observation, &queue(), &[])
}

fn in_use() -> Observation {
    observation(counts(1, 1, 0), vec![running(1), stopped(2)], Some(load_balancer(&[1])))
}

#[test]
fn a_platform_in_use_is_well() {
    let status = status(&in_use());
    assert!(status.well);
    let load_balancer = status.load_balancer.as_ref().expect("a load balancer");
    assert_eq!((load_balancer.age_seconds, load_balancer.state), (3600, "active"));
    assert!((load_balancer.cost_usd - Model::default().hour().total()).abs() < 1e-9, "an hour of everything");
    assert_eq!((load_balancer.billed_hours, load_balancer.paid_until), (1, noon()));
    assert_eq!(status.tasks[0].state, TaskState::Serving);
    assert_eq!(status.tasks[0].age_seconds, Some(50 * 60));
    assert_eq!(status.target_groups.len(), 2);
    let of_task = status.target_groups[0].targets[0].task_id.as_ref();
    assert_eq!(of_task, Some(&status.tasks[0].task_id));
    assert!(status.next.intents.is_empty());
    assert_eq!(status.next.look_again_in_seconds, 60);
}

#[test]
fn findings_of_the_observation_and_the_event_source_come_first() {
    let mut observed = idle(load_balancer(&[]));
    observed.load_balancer.as_mut().expect("a load balancer").tags.clear();
    let disabled = Finding {
        name: FindingName::RuleDisabled,
        subject: "p-jvb-watcher".to_owned(),
        detail: "it is disabled".to_owned(),
    };
    let status = status_with(&observed, &queue(), &[disabled]);
    assert!(!status.well);
    let text = text(&status, Style::Plain);
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in:\n{text}"));
    assert!(text.starts_with("Not well: 2 findings"), "{text}");
    assert!(place("load_balancer_not_owned: p-jvb-nlb") < place("Service"));
    assert!(place("rule_disabled: p-jvb-watcher") < place("Service"));
}

#[test]
fn the_next_actions_are_listed() {
    let unregistered = observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[])));
    let status = status(&unregistered);
    let acts: Vec<_> = status.next.intents.iter().map(|intent| (intent.act, intent.text.as_str())).collect();
    assert_eq!(
        acts,
        [
            (IntentKind::Register, "register 10.0.0.1 port 4443 in p-jvb-tcp-tg: its task serves"),
            (IntentKind::Register, "register 10.0.0.1 port 10000 in p-jvb-udp: its task serves"),
        ]
    );
}

#[test]
fn an_unhealthy_target_is_not_well() {
    let mut observed = in_use();
    observed.load_balancer.as_mut().expect("a load balancer").target_groups[0].targets[0].state =
        TargetState::Unhealthy;
    let status = status(&observed);
    assert!(!status.well && status.findings.is_empty());
    let text = text(&status, Style::Plain);
    assert!(text.starts_with("Not well: 1 problem\n  1 target(s) fail their health checks\n"), "{text}");
}

#[test]
fn a_mark_shows_when_the_load_balancer_is_deleted() {
    let marked = idle(marked_load_balancer(&[], noon() - seconds(20)));
    let pending = status(&marked);
    assert_eq!(pending.next.teardown_due_at, Some(noon() + seconds(40)));
    assert!(text(&pending, Style::Plain).contains("delete the load balancer at 2026-11-20T12:00:40Z if it stays idle"));
    let over = status(&idle(marked_load_balancer(&[], noon() - seconds(60))));
    assert_eq!(over.next.intents[0].act, IntentKind::DeleteLoadBalancer);
    assert_eq!(over.next.teardown_due_at, None);
}

#[test]
fn a_grace_period_until_the_paid_hour_ends_shows_its_end() {
    let observed =
        idle(LoadBalancer { created_at: noon() - minutes(90), ..marked_load_balancer(&[], noon() - minutes(5)) });
    let policy = Policy { until_paid_hour: true, ..policy() };
    let status = status_at(&policy, &Model::default(), &observed, &queue(), &[]);
    assert!(status.well);
    assert_eq!(status.next.teardown_due_at, Some(noon() + minutes(27)));
    let load_balancer = status.load_balancer.as_ref().expect("a load balancer");
    assert_eq!((load_balancer.billed_hours, load_balancer.paid_until), (2, noon() + minutes(30)));
    let text = text(&status, Style::Plain);
    assert!(text.contains("its hour is paid until 2026-11-20T12:30:00Z"), "{text}");
}

#[test]
fn the_cost_is_itemised_and_names_another_regions_prices_as_such() {
    let costs = Model::new("eu-north-1", Platform::EXAMPLE);
    let status = status_at(&policy(), &costs, &in_use(), &queue(), &[]);
    let json = serde_json::to_value(&status).expect("JSON");
    let load_balancer = &json["load_balancer"];
    let items = load_balancer["cost_items"].as_array().expect("items");
    let sum: f64 = items.iter().map(|of| of["cost_usd"].as_f64().expect("a number")).sum();
    assert!((sum - load_balancer["cost_usd"].as_f64().expect("a number")).abs() < 1e-9, "{load_balancer}");
    assert_eq!((&items[0]["item"], &items[0]["quantity"]), (&"load_balancer".into(), &1.0.into()));
    assert_eq!(load_balancer["prices"]["listed_region"], "us-east-1");
    let text = text(&status, Style::Plain);
    assert!(text.contains("$0.11 since its creation, at $0.11 an hour, without traffic"), "{text}");
    assert!(text.contains("prices of us-east-1 of "), "{text}");
}

#[test]
fn a_given_hourly_price_is_shown_without_items() {
    let costs = Model { hourly: Some(0.19), ..Model::default() };
    let status = status_at(&policy(), &costs, &in_use(), &queue(), &[]);
    let load_balancer = status.load_balancer.as_ref().expect("a load balancer");
    assert_eq!((load_balancer.cost_usd, load_balancer.cost_items.len()), (0.19, 0));
    assert!(text(&status, Style::Plain).contains("$0.19 since its creation, at $0.19 an hour\n"));
}

#[test]
fn every_task_state_is_shown() {
    let stopping = Task { stopping_at: Some(noon()), ..task(3, LastStatus::Running, DesiredStatus::Stopped) };
    let starting = Task { started_at: None, ipv4: None, ..task(4, LastStatus::Starting, DesiredStatus::Running) };
    let tasks = vec![stopped(2), stopping, starting, running(1)];
    let status = status(&observation(counts(2, 1, 1), tasks, None));
    let states: Vec<_> = status.tasks.iter().map(|task| task.state).collect();
    assert_eq!(states, [TaskState::Serving, TaskState::Starting, TaskState::Stopping, TaskState::Stopped]);
    let text = text(&status, Style::Plain);
    assert!(text.contains("1 stopped within the last hour"), "{text}");
    assert!(text.contains("no address"), "{text}");
}

#[test]
fn a_queue_that_could_not_be_read_is_unknown_and_the_verdict_says_so() {
    let mut status = status(&in_use());
    assert!(text(&status, Style::Plain).contains("Dead-letter queue  none"));
    status.queue = None;
    status.unread = vec!["sqs:GetQueueUrl on p-queue failed".to_owned()];
    let text = text(&status, Style::Plain);
    assert!(text.starts_with("Well, as far as it could be read: no findings\n"), "{text}");
    for queue in ["Queue              unknown: see", "Dead-letter queue  unknown: see"] {
        assert!(text.contains(queue), "{queue:?} is not in:\n{text}");
    }
}

#[test]
fn the_age_of_the_oldest_message_is_bounded_by_retention_and_creation() {
    let of = |waiting, created_at| {
        let queue = QueueDescription { waiting, created_at, ..queue() };
        status_with(&in_use(), &queue, &[]).queue.expect("a queue").oldest_message_at_most_seconds
    };
    assert_eq!(of(0, noon()), None, "there is no message");
    assert_eq!(of(3, noon() - minutes(5)), Some(300), "it is no older than the queue");
    assert_eq!(of(3, noon() - minutes(60 * 48)), Some(24 * 60 * 60), "it is kept for a day");
}

#[test]
fn no_line_exceeds_the_width() {
    let mut observed = in_use();
    observed.tasks[0].ipv6 = Some("2001:db8:1234:5678:9abc:def0:1234:5678".parse().expect("an address"));
    let group = &mut observed.load_balancer.as_mut().expect("a load balancer").target_groups[0];
    group.targets[0].ip = "2001:db8:1234:5678:9abc:def0:1234:5678".parse().expect("an address");
    group.targets[0].reason = Some("Target.DeregistrationInProgress".to_owned());
    let long = Finding {
        name: FindingName::ServiceMissing,
        subject: "s".repeat(255),
        detail: "a detail of many words, ".repeat(20),
    };
    let queue = QueueDescription { waiting: 12_345, in_flight: 1, delayed: 2, ..queue() };
    for line in text(&status_with(&observed, &queue, &[long]), Style::Plain).lines() {
        assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
    }
}

#[test]
fn json_uses_the_field_names_of_the_log() {
    let json = serde_json::to_value(status(&in_use())).expect("JSON");
    assert_eq!(json["well"], true);
    assert_eq!(json["at"], "2026-11-20T12:00:00Z");
    assert_eq!(json["load_balancer"]["type"], "network");
    assert_eq!(json["tasks"][0]["state"], "serving");
    assert_eq!(json["target_groups"][0]["targets"][0]["state"], "healthy");
    assert_eq!(json["queue"]["waiting"], 0);
    assert_eq!(json["next"]["look_again_in_seconds"], 60);
}

#[test]
fn times_have_whole_seconds() {
    let mut observed = idle(marked_load_balancer(&[], noon() - seconds(20)));
    let created_at = &mut observed.load_balancer.as_mut().expect("a load balancer").created_at;
    *created_at += std::time::Duration::from_nanos(123_456_789);
    let json = serde_json::to_string(&status(&observed)).expect("JSON");
    assert!(json.contains(r#""created_at":"2026-11-20T11:00:00Z""#), "{json}");
    assert!(json.contains(r#""teardown_due_at":"2026-11-20T12:00:40Z""#), "{json}");
}

fn not_registered_for(age: std::time::Duration) -> Observation {
    let task = Task { started_at: Some(noon() - age), ..running(1) };
    observation(counts(1, 1, 0), vec![task], Some(load_balancer(&[])))
}

#[test]
fn an_overdue_registration_is_not_well() {
    assert!(status(&not_registered_for(seconds(150))).well, "within the bound of 2m 30s");
    let overdue = status(&not_registered_for(seconds(151)));
    assert!(!overdue.well && overdue.findings.is_empty());
    let text = text(&overdue, Style::Plain);
    assert!(text.starts_with("Not well: 2 problems\n"), "{text}");
    assert!(text.contains("1 serving task(s) not registered in p-jvb-udp for 2m 31s (bound: 2m 30s)"), "{text}");
}

#[test]
fn overdue_messages_are_not_well() {
    let backlog = QueueDescription { waiting: 323, ..queue() };
    let status = status_with(&in_use(), &backlog, &[]);
    assert!(!status.well);
    assert!(status.remarks[0].starts_with("323 message(s) on p-jvb-watcher for at least 40m"), "{:?}", status.remarks);
}

#[test]
fn an_overdue_teardown_is_not_well() {
    assert!(status(&idle(marked_load_balancer(&[], noon() - seconds(240)))).well, "within the bound of 4m");
    let overdue = status(&idle(marked_load_balancer(&[], noon() - seconds(241))));
    assert!(!overdue.well);
    assert!(overdue.remarks[0].starts_with("p-jvb-nlb idle for 4m 1s and not deleted (bound: 4m)"), "{overdue:?}");
}

#[test]
fn a_hold_is_well() {
    let mut held = idle(load_balancer(&[]));
    let tags = &mut held.load_balancer.as_mut().expect("a load balancer").tags;
    tags.insert(HOLD_UNTIL_TAG.to_owned(), (noon() + minutes(60)).to_string());
    let well = status(&held);
    assert!(well.well);
    assert_eq!(well.findings[0].finding, FindingName::HoldActive);
    let text = text(&well, Style::Plain);
    assert!(text.starts_with("Well: 1 finding, no action needed\n  hold_active: p-jvb-nlb\n"), "{text}");

    held.load_balancer.as_mut().expect("a load balancer").tags.insert(HOLD_UNTIL_TAG.to_owned(), "tomorrow".to_owned());
    assert!(!status(&held).well, "an invalid hold is not well");
}

/// A policy that stops a service after ten minutes without use.
fn stopping() -> Policy {
    let stop = StopWhenUnused { after: minutes(10), notice: minutes(2), first_call_grace: minutes(30) };
    Policy { usage: UsagePolicy { observe: true, stop: Some(stop), ..UsagePolicy::OFF }, ..policy() }
}

/// A service whose load balancer had two flows in each minute until some minutes before noon; CloudWatch shows the minutes up
/// to two minutes ago.
fn used_until(minutes_ago: i64) -> Observation {
    let of = |ago| MinuteFlows { flows: if ago > minutes_ago { 2 } else { 0 }, healthy: Some(1) };
    let known = (3..=55).map(|ago| (noon() - minutes(ago), of(ago)));
    let flows = FlowHistory { minutes: known.collect(), problem: None };
    Observation { flows: Some(flows), lease: LeaseReading::Read(None), ..in_use() }
}

fn status_when_stopping(observation: &Observation) -> Status {
    status_at(&stopping(), &Model::default(), observation, &queue(), &[])
}

/// Returns the text with each run of blanks as one, so that the width of its columns doesn't matter.
fn words(status: &Status) -> String {
    text(status, Style::Plain).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_usage_shows_the_newest_known_minute() {
    let status = status_when_stopping(&used_until(0));
    assert!(status.well, "{status:?}");
    assert!(words(&status).contains("Usage 2 flow(s) in the minute 2026-11-20T11:57:00Z; in use"), "{status:?}");
    let json = serde_json::to_value(&status).expect("JSON");
    let expected = serde_json::json!({
        "flows": 2, "minute": "2026-11-20T11:57:00Z", "unused_since": null, "unknown": null,
    });
    assert_eq!(json["usage"], expected);
}

#[test]
fn an_unused_service_shows_since_when_and_when_it_is_stopped() {
    let status = status_when_stopping(&used_until(6));
    assert!(status.well, "{status:?}");
    let text = words(&status);
    assert!(text.contains("0 flow(s) in the minute 2026-11-20T11:57:00Z; unused since 2026-11-20T11:54:00Z"), "{text}");
    let due = status.next.stop_due_at.expect("it is due");
    assert!((noon() + minutes(9)..=noon() + minutes(11)).contains(&due), "10 + 3 + 2 minutes after 11:54, at {due}");
    assert!(text.contains(&format!("scale the service to zero at {due:.0} if it is unused until then")), "{text}");
    assert!(!status.next.stop_announced && !text.contains("(announced)"), "{text}");
    let not_stopped = status_at(&policy(), &Model::default(), &used_until(6), &queue(), &[]);
    assert_eq!(not_stopped.next.stop_due_at, None, "without --stop-when-unused");
}

#[test]
fn an_announced_stop_is_well() {
    let mut observed = used_until(15);
    let intents = |observed: &Observation| {
        let next = status_when_stopping(observed).next;
        next.intents.iter().map(|intent| (intent.act, intent.subject.clone())).collect::<Vec<_>>()
    };
    assert_eq!(intents(&observed), [(IntentKind::AnnounceStop, "p-service".to_owned())]);
    let announce = |observed: &mut Observation, stop_at: Timestamp| {
        let tags = &mut observed.load_balancer.as_mut().expect("a load balancer").tags;
        tags.insert(STOP_AT_TAG.to_owned(), stop_at.to_string());
    };
    announce(&mut observed, noon() + seconds(90));
    let status = status_when_stopping(&observed);
    assert!(status.well && status.next.intents.is_empty(), "{status:?}");
    assert_eq!((status.next.stop_due_at, status.next.stop_announced), (Some(noon() + seconds(90)), true));
    let text = words(&status);
    assert!(text.contains("at 2026-11-20T12:01:30Z if it is unused until then (announced)"), "{text}");
    assert!(text.contains("jvb-watcher:stop-at=2026-11-20T12:01:30Z"), "{text}");
    announce(&mut observed, noon());
    assert_eq!(intents(&observed), [(IntentKind::ScaleToZero, "p-service".to_owned())]);
    let mut used = used_until(0);
    announce(&mut used, noon() + seconds(90));
    assert_eq!(intents(&used), [(IntentKind::WithdrawStop, "p-service".to_owned())]);
}

#[test]
fn an_announced_stop_waits_while_the_use_is_unknown() {
    let mut observed = used_until(15);
    let tags = &mut observed.load_balancer.as_mut().expect("a load balancer").tags;
    tags.insert(STOP_AT_TAG.to_owned(), (noon() + seconds(90)).to_string());
    let problem = FlowProblem { reason: "denied".to_owned(), is_permanent: true };
    observed.flows.as_mut().expect("flows").problem = Some(problem);
    let text = words(&status_when_stopping(&observed));
    assert!(text.contains("the announced stop waits until the use is known") && !text.contains("to zero"), "{text}");
}

#[test]
fn unknown_usage_says_why() {
    let usage = |flows: FlowHistory| {
        let status = status_when_stopping(&Observation { flows: Some(flows), ..used_until(6) });
        let text = words(&status);
        assert!(text.contains("unknown, which counts as in use: ") && !text.contains("to zero"), "{text}");
        status
    };
    let known = used_until(6).flows.expect("flows");
    let problem = FlowProblem { reason: "GetMetricData is denied; allow it".to_owned(), is_permanent: true };
    let denied = usage(FlowHistory { problem: Some(problem), ..known.clone() }).usage.expect("a usage");
    assert_eq!(denied.unknown.as_deref(), Some("GetMetricData is denied; allow it"));
    assert_eq!((denied.flows, denied.unused_since), (Some(0), None));
    let mut late = known;
    late.minutes.retain(|start, _| *start < noon() - minutes(20));
    let late = usage(late);
    let reason = late.usage.as_ref().and_then(|usage| usage.unknown.clone());
    assert_eq!(reason.as_deref(), Some("CloudWatch shows no minute after 2026-11-20T11:40:00Z"));
    assert!(!late.well && late.findings.iter().any(|finding| finding.finding == FindingName::UsageUnknown), "{late:?}");
    let finding = late.findings.iter().find(|finding| finding.finding == FindingName::UsageUnknown);
    assert_eq!(finding.map(|finding| finding.detail.as_str()), reason.as_deref(), "in the same words");
    let none = usage(FlowHistory::default()).usage.expect("a usage");
    assert_eq!((none.flows, none.minute), (None, None));
}

#[test]
fn an_overdue_stop_is_not_well() {
    assert!(status_when_stopping(&used_until(20)).well, "within the bound of 20m");
    let overdue = status_when_stopping(&used_until(21));
    assert!(!overdue.well);
    let remark = &overdue.remarks[0];
    assert!(remark.starts_with("p-service unused for 21m") && remark.contains("(bound: 20m"), "{remark}");
}
