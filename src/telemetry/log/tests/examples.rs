//! An example of each event, as docs/logs.md and docs/events.md show them.

use jiff::Timestamp;

use crate::telemetry::emf::{Document, Scope, Unit, Value};
use crate::telemetry::log::{
    Act, DeletionFields, Event, Failure, Form, Level, Phase, RemovalReason, ServiceFields, Signal, StopReason,
    TargetFields, Verb,
};
use crate::telemetry::metrics::{Kind, Metric};
use jvb_watcher_rules::finding::{FindingName, FindingState};
use jvb_watcher_rules::plan::{MarkReason, StopObstacle, TargetReason, UnmarkReason};

const LOAD_BALANCER: &str = "jitsi-jvb-nlb";
const IDLE_SINCE: &str = "2026-11-20T20:32:01.407Z";
const FIRST_OBSERVATION: &str = "2026-11-20T20:33:02.913401562Z";
const OBSERVATION: &str = "2026-11-20T20:33:03.104401562Z";
const TASK: &str = "0f3d6c1e8a9b4f27b5d0c4e19a7f6b32";

/// The time of every example.
pub fn noted_at() -> Timestamp {
    "2026-11-20T18:00:54.780Z".parse().expect("an instant")
}

/// Returns at least one example of each event.
pub fn examples() -> Vec<Event> {
    let load_balancer = || LOAD_BALANCER.to_owned();
    let idle_since = || IDLE_SINCE.to_owned();
    let observation = || OBSERVATION.to_owned();
    let target = || TargetFields {
        task_id: Some(TASK.to_owned()),
        ip: "10.0.1.23".to_owned(),
        port: 10_000,
        target_group: "jitsi-jvb-udp".to_owned(),
    };
    let finding = |state| Event::Finding {
        finding: FindingName::LoadBalancerMissing,
        state,
        subject: load_balancer(),
        detail: "1 task(s) of the service serve, and no load balancer of this name exists".to_owned(),
        advice: FindingName::LoadBalancerMissing.advice().to_owned(),
        observation: Some(observation()),
    };
    let settings = || ServiceFields {
        load_balancer: load_balancer(),
        owner_tag: "Lifecycle=on-demand".to_owned(),
        teardown: "all".to_owned(),
        resync_interval_seconds: 60.0,
        idle_grace_seconds: 60.0,
        idle_grace_until_paid_hour: false,
        unused_grace_seconds: 900.0,
        stop_when_unused_seconds: None,
        stop_notice_seconds: None,
        use_threshold: Some(1),
    };
    vec![
        Event::WatcherStarted {
            version: "0.1.0".to_owned(),
            form: Form::Run,
            region: "eu-west-1".to_owned(),
            queue: "jitsi-jvb-watcher".to_owned(),
            services: 1,
            settings: Some(settings()),
        },
        Event::ServiceAdded { settings: settings() },
        Event::ServiceReplaced {
            settings: ServiceFields {
                idle_grace_seconds: 180.0,
                stop_when_unused_seconds: Some(900.0),
                stop_notice_seconds: Some(300.0),
                ..settings()
            },
        },
        Event::ServiceRemoved { load_balancer: load_balancer(), reason: RemovalReason::NotConfigured },
        Event::ConfigReloaded {
            file: "/etc/jvb-watcher.toml".to_owned(),
            services: 12,
            added: 1,
            replaced: 1,
            removed: 0,
        },
        Event::ConfigRejected {
            file: "/etc/jvb-watcher.toml".to_owned(),
            line: Some(7),
            error: "idle-grace: \"soon\": expected number at 0; write it like 90s or 15m, or until-paid-hour".to_owned(),
        },
        Event::DiscoveryFailed { failure: denied("ecs", "ListServices", "shared-cluster", 60_000) },
        Event::Listening { address: "127.0.0.1:8081".to_owned() },
        Event::WatcherStopped {
            reason: StopReason::Sigterm,
            uptime_seconds: 86_412,
            messages: 412,
            foreign: 0,
            reconciliations: 1_583,
            aws_calls: 12_664,
        },
        Event::Reconciled {
            desired: 1,
            running: 1,
            pending: 0,
            serving: 1,
            registered: 0,
            healthy: 0,
            load_balancer_state: "active".to_owned(),
            load_balancer_age_seconds: Some(214),
            flows: Some(0),
            flows_minute: Some("2026-11-24T17:58:00.000Z".to_owned()),
            unused_since: Some("2026-11-24T17:57:00.000Z".to_owned()),
            changes: 2,
            findings: 0,
            messages: 3,
            foreign: 0,
            aws_calls: 14,
            duration_ms: 212,
            observation: observation(),
        },
        Event::ReconcileFailed { failure: registration_failure() },
        Event::TaskVersionBehind { task_id: TASK.to_owned(), event_version: 5, seen_version: Some(4) },
        finding(FindingState::Raised),
        finding(FindingState::Cleared),
        Event::TargetRegistered {
            target: target(),
            reason: TargetReason::TaskRunning,
            latency_ms: Some(1_840),
            since_start_ms: Some(1_412),
            observation: observation(),
        },
        Event::TargetDeregistered {
            target: target(),
            reason: TargetReason::TaskStopping,
            latency_ms: Some(960),
            unmatched_since: None,
            observation: observation(),
        },
        Event::TargetHealthChanged {
            target: target(),
            from: "initial".to_owned(),
            to: "healthy".to_owned(),
            reason: None,
            since_start_ms: Some(184_250),
        },
        Event::Planned { act: Act::Register, target: target(), reason: TargetReason::TaskRunning },
        Event::TargetsHealthy { registered: 2, waited_ms: 172_402 },
        Event::IdleMarked {
            load_balancer: load_balancer(),
            idle_since: idle_since(),
            reason: MarkReason::Idle,
            observation: observation(),
        },
        Event::IdleUnmarked {
            load_balancer: load_balancer(),
            idle_since: Some(idle_since()),
            reason: UnmarkReason::InUse,
            observation: observation(),
        },
        Event::TeardownStarted {
            load_balancer: load_balancer(),
            idle_since: idle_since(),
            resumed: false,
            observation: observation(),
        },
        Event::LoadBalancerDeleted {
            load_balancer: load_balancer(),
            load_balancer_arn:
                "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/jitsi-jvb-nlb/0a1b2c3d4e5f6071"
                    .to_owned(),
            uptime_seconds: 9_341,
            evidence: DeletionFields {
                idle_since: idle_since(),
                desired: Some(0),
                live_tasks: 0,
                healthy_others: 0,
                owned: true,
                held: false,
                first_observation: Some(FIRST_OBSERVATION.to_owned()),
                observation: observation(),
            },
        },
        Event::TargetGroupDeleted { target_group: "jitsi-jvb-udp".to_owned(), observation: observation() },
        Event::TeardownCompleted { load_balancer: load_balancer(), observation: observation() },
        Event::StopAnnounced { stop_at: idle_since(), unused_since: idle_since(), observation: observation() },
        Event::StopWithdrawn { reason: StopObstacle::InUse, observation: observation() },
        Event::ServiceStopped {
            desired_before: 1,
            unused_since: idle_since(),
            held: false,
            first_observation: Some(FIRST_OBSERVATION.to_owned()),
            observation: observation(),
        },
        Event::MessageRejected {
            message_id: "5fea7756-0ea4-451a-a703-a558b933e274".to_owned(),
            reason: "not JSON: expected value at line 1 column 1".to_owned(),
            body: "hello".to_owned(),
            receive_count: 1,
            deleted: false,
        },
        Event::InvocationRejected {
            reason: "it has neither Records nor the source of a schedule".to_owned(),
            body: r#"{"detail-type":"EC2 Instance State-change Notification","source":"aws.ec2"}"#.to_owned(),
            request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
        },
        Event::PollFailed { failure: poll_failure() },
        Event::FindingCheckFailed {
            finding: FindingName::AdvertisedAddressMismatched,
            failure: denied("ecs", "DescribeTaskDefinition", "jitsi-jvb:3", 900_000),
        },
        Event::FeedCheckFailed { failure: denied("events", "DescribeRule", "jitsi-jvb-watcher", 3_600_000) },
        Event::PublishFailed { failure: denied("events", "PutEvents", "jitsi", 60_000), waiting: 2, dropped: 0 },
        Event::ExportFailed {
            signal: Signal::Traces,
            error: "client error (Connect): tcp connect error: Connection refused (os error 111)".to_owned(),
        },
        Event::ExportRecovered { signal: Signal::Traces, duration_ms: 95_000 },
        Event::PhaseStarted { operation: Verb::Up, phase: Phase::LoadBalancerActive, limit_seconds: 600.0 },
        Event::PhaseWaiting {
            operation: Verb::Up,
            phase: Phase::LoadBalancerActive,
            detail: "jitsi-jvb-nlb is provisioning".to_owned(),
        },
        Event::PhaseCompleted {
            operation: Verb::Up,
            phase: Phase::ServiceScaled,
            skipped: false,
            detail: "desired count from 0 to 1".to_owned(),
            duration_ms: 2_140,
        },
        Event::CommandOutput {
            operation: Verb::Up,
            text: "Apply complete! Resources: 5 added, 0 changed, 0 destroyed.".to_owned(),
        },
        Event::OperationCompleted { operation: Verb::Up, duration_ms: 312_480 },
        Event::OperationFailed {
            operation: Verb::Down,
            phase: Phase::LoadBalancerGone,
            error: "jitsi-jvb-nlb is in use again; find out who uses it".to_owned(),
            state: "0 desired, 1 running, 0 pending; load balancer jitsi-jvb-nlb active, 2 targets, 2 healthy"
                .to_owned(),
            advice: "fix the cause and run `jvb-watcher down` again to continue, or `jvb-watcher up` to bring everything up again"
                .to_owned(),
            duration_ms: 61_200,
        },
        Event::HoldPlaced {
            load_balancer: load_balancer(),
            hold_until: "2026-11-20T18:58:54.780Z".to_owned(),
            held_by: "up".to_owned(),
        },
        Event::HoldReleased { load_balancer: load_balancer(), held_by: "up".to_owned() },
        Event::Metrics { document: Box::new(document()) },
        Event::LinesDropped { lines: 212 },
        Event::Diagnostic {
            level: Level::Warn,
            target: "aws_config::imds::region".to_owned(),
            text: "failed to load region from IMDS".to_owned(),
        },
    ]
}

fn registration_failure() -> Failure {
    let resource = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/jitsi-jvb-udp/1a2b3c4d5e6f7081";
    let action = "elasticloadbalancing:RegisterTargets";
    Failure {
        attempt: 1,
        retry_in_ms: 60_000,
        error: format!("{action} on {resource} failed: AccessDenied: not authorized; allow the action {action} on it"),
        error_service: "elasticloadbalancing".to_owned(),
        error_operation: "RegisterTargets".to_owned(),
        resource: resource.to_owned(),
        error_code: Some("AccessDenied".to_owned()),
        request_id: Some("8b4c7e1f-55f0-4a0a-9d0e-1c2b3a4d5e6f".to_owned()),
        level: Level::Error,
    }
}

fn poll_failure() -> Failure {
    let resource = "https://sqs.eu-west-1.amazonaws.com/111122223333/jitsi-jvb-watcher";
    Failure {
        attempt: 3,
        retry_in_ms: 2_210,
        error: format!("sqs:ReceiveMessage on {resource} failed: ServiceUnavailable: the service is unavailable"),
        error_service: "sqs".to_owned(),
        error_operation: "ReceiveMessage".to_owned(),
        resource: resource.to_owned(),
        error_code: Some("ServiceUnavailable".to_owned()),
        request_id: Some("0d2c1a36-7a24-5c39-9a6b-43d6b7f0e1c5".to_owned()),
        level: Level::Warn,
    }
}

/// A call that IAM denies.
fn denied(service: &str, operation: &str, resource: &str, retry_in_ms: u64) -> Failure {
    Failure {
        attempt: 1,
        retry_in_ms,
        error: format!(
            "{service}:{operation} on {resource} failed: AccessDeniedException: not authorized; allow the action \
             {service}:{operation} on it"
        ),
        error_service: service.to_owned(),
        error_operation: operation.to_owned(),
        resource: resource.to_owned(),
        error_code: Some("AccessDeniedException".to_owned()),
        request_id: Some("3f0a1b2c-4d5e-4f60-8a1b-2c3d4e5f6071".to_owned()),
        level: Level::Error,
    }
}

fn document() -> Document {
    let scope = Scope {
        namespace: "jvb-watcher".to_owned(),
        project: "jitsi".to_owned(),
        cluster: "jitsi-cluster".to_owned(),
        service: "jitsi-service".to_owned(),
    };
    let metrics = Metric::ALL.into_iter().map(|metric| {
        let definition = metric.definition();
        let value = match (definition.kind, definition.unit) {
            (Kind::Distribution { .. }, _) => Value::List(vec![212, 1_840]),
            (Kind::Gauge(_), Unit::Seconds) => Value::Seconds(0.412),
            (Kind::Gauge(_), _) => Value::Integer(1),
            (Kind::Counter, _) => Value::Integer(3),
        };
        (definition.name, definition.unit, value)
    });
    Document::new(&scope, noted_at(), metrics.collect())
}
