//! What leads the events to the watcher: EventBridge, SQS, and what else a person asks about.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_ecs::Client as Ecs;
use aws_sdk_elasticloadbalancingv2::Client as Elb;
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use aws_sdk_eventbridge::Client as EventBridge;
use aws_sdk_eventbridge::types::{RuleState as SdkRuleState, Target};
use aws_sdk_sqs::Client as Sqs;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_sdk_sts::Client as Sts;
use jiff::Timestamp;
use serde::Deserialize;

use super::{Call, platform};
use crate::aws::event_source::{
    Caller, DeadLetters, DeletionProtection, EventSource, QueueDescription, Rule, RuleState, RuleTarget, Sends,
    TaskNetwork, Trial,
};
use crate::aws::{AwsError, ErrorKind};

/// An address that no target has: it is of TEST-NET-1, for documentation (RFC 5737).
const NOBODYS_ADDRESS: &str = "192.0.2.1";

/// A task id that ECS never gives.
const NOBODYS_TASK: &str = "00000000000000000000000000000000";

/// A receipt handle that SQS never gives.
const NOBODYS_RECEIPT: &str = "jvb-watcher-doctor";

/// The load balancer attribute that keeps it from being deleted.
const DELETION_PROTECTION: &str = "deletion_protection.enabled";

/// Rule, queue, service and credentials, through the SDK.
pub struct AwsEventSource {
    ecs: Ecs,
    elb: Elb,
    events: EventBridge,
    sqs: Sqs,
    sts: Sts,
}

/// A queue's RedrivePolicy. SQS takes the count as a number and as text, and shows it as it was given.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: serde_json::Value,
}

impl AwsEventSource {
    /// Clients for this connection.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            ecs: Ecs::new(config),
            elb: Elb::new(config),
            events: EventBridge::new(config),
            sqs: Sqs::new(config),
            sts: Sts::new(config),
        }
    }

    async fn queue_url(&self, name_or_url: &str) -> Result<Option<String>, AwsError> {
        if name_or_url.contains("://") {
            return Ok(Some(name_or_url.to_owned()));
        }
        let call = Call { service: "sqs", operation: "GetQueueUrl", resource: name_or_url };
        match self.sqs.get_queue_url().queue_name(name_or_url).send().await {
            Ok(output) => output.queue_url.ok_or_else(|| call.incomplete("queue URL")).map(Some),
            Err(error) => none_if_not_found(call.failed(error)),
        }
    }
}

/// What isn't there is no failure.
fn none_if_not_found<T>(error: AwsError) -> Result<Option<T>, AwsError> {
    if error.is(ErrorKind::NotFound) { Ok(None) } else { Err(error) }
}

fn events_call<'a>(operation: &'static str, resource: &'a str) -> Call<'a> {
    Call { service: "events", operation, resource }
}

impl EventSource for AwsEventSource {
    async fn caller(&self) -> Result<Caller, AwsError> {
        let call = Call { service: "sts", operation: "GetCallerIdentity", resource: "the credentials" };
        let output = self.sts.get_caller_identity().send().await.map_err(|error| call.failed(error))?;
        match (output.arn, output.account) {
            (Some(arn), Some(account)) => Ok(Caller { arn, account }),
            _ => Err(call.incomplete("Arn or Account")),
        }
    }

    async fn queue(&self, name_or_url: &str) -> Result<Option<QueueDescription>, AwsError> {
        let Some(url) = self.queue_url(name_or_url).await? else { return Ok(None) };
        let call = Call { service: "sqs", operation: "GetQueueAttributes", resource: &url };
        let request = self.sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
        match request.send().await {
            Ok(output) => described(&url, &output.attributes.unwrap_or_default(), call).map(Some),
            Err(error) => none_if_not_found(call.failed(error)),
        }
    }

    async fn rules_with_target(&self, arn: &str) -> Result<Vec<String>, AwsError> {
        let call = events_call("ListRuleNamesByTarget", arn);
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let request = self.events.list_rule_names_by_target().target_arn(arn).set_next_token(token);
            let output = request.send().await.map_err(|error| call.failed(error))?;
            names.extend(output.rule_names.unwrap_or_default());
            token = output.next_token;
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    async fn rule(&self, name: &str) -> Result<Option<Rule>, AwsError> {
        let call = events_call("DescribeRule", name);
        let output = match self.events.describe_rule().name(name).send().await {
            Ok(output) => output,
            Err(error) => return none_if_not_found(call.failed(error)),
        };
        Ok(Some(Rule {
            name: name.to_owned(),
            arn: output.arn.ok_or_else(|| call.incomplete("Arn"))?,
            state: match output.state {
                Some(SdkRuleState::Disabled) => RuleState::Disabled,
                _ => RuleState::Enabled,
            },
            pattern: output.event_pattern,
        }))
    }

    async fn rule_targets(&self, name: &str) -> Result<Vec<RuleTarget>, AwsError> {
        let call = events_call("ListTargetsByRule", name);
        let mut targets = Vec::new();
        let mut token = None;
        loop {
            let request = self.events.list_targets_by_rule().rule(name).set_next_token(token);
            let output = request.send().await.map_err(|error| call.failed(error))?;
            targets.extend(output.targets().iter().map(rule_target));
            token = output.next_token;
            if token.is_none() {
                return Ok(targets);
            }
        }
    }

    async fn matches(&self, pattern: &str, event: &str) -> Result<bool, AwsError> {
        let call = events_call("TestEventPattern", "the rule's event pattern");
        let request = self.events.test_event_pattern().event_pattern(pattern).event(event);
        request.send().await.map(|output| output.result).map_err(|error| call.failed(error))
    }

    async fn task_network(&self, cluster: &str, service: &str) -> Result<Option<TaskNetwork>, AwsError> {
        let call = platform::ecs_call("DescribeServices", service);
        let output = match self.ecs.describe_services().cluster(cluster).services(service).send().await {
            Ok(output) => output,
            Err(error) => return none_if_not_found(call.failed(error)),
        };
        let found = output.services().iter().find(|service| service.status() != Some("INACTIVE"));
        Ok(found.map(|service| {
            // ECS asks for it with the network mode awsvpc, and refuses it with any other (CreateService).
            let network = service.network_configuration().and_then(|network| network.awsvpc_configuration());
            if network.is_some() { TaskNetwork::Awsvpc } else { TaskNetwork::Other }
        }))
    }

    async fn deletion_protection(&self, load_balancer_arn: &str) -> Result<DeletionProtection, AwsError> {
        let call = platform::elb_call("DescribeLoadBalancerAttributes", load_balancer_arn);
        let request = self.elb.describe_load_balancer_attributes().load_balancer_arn(load_balancer_arn);
        let output = request.send().await.map_err(|error| call.failed(error))?;
        let is_on = |attribute: &aws_sdk_elasticloadbalancingv2::types::LoadBalancerAttribute| {
            attribute.key() == Some(DELETION_PROTECTION) && attribute.value() == Some("true")
        };
        Ok(if output.attributes().iter().any(is_on) { DeletionProtection::On } else { DeletionProtection::Off })
    }

    async fn attempt(&self, trial: &Trial) -> Result<(), AwsError> {
        let nobodys_target = || TargetDescription::builder().id(NOBODYS_ADDRESS).build();
        match trial {
            Trial::DeleteMessage { queue_url } => {
                let call = Call { service: "sqs", operation: "DeleteMessage", resource: queue_url };
                let request = self.sqs.delete_message().queue_url(queue_url).receipt_handle(NOBODYS_RECEIPT);
                request.send().await.map(drop).map_err(|error| call.failed(error))
            }
            Trial::ChangeMessageVisibility { queue_url } => {
                let call = Call { service: "sqs", operation: "ChangeMessageVisibility", resource: queue_url };
                let request = self.sqs.change_message_visibility().queue_url(queue_url);
                let request = request.receipt_handle(NOBODYS_RECEIPT).visibility_timeout(0);
                request.send().await.map(drop).map_err(|error| call.failed(error))
            }
            Trial::ListTasks { cluster, service } => {
                let call = platform::ecs_call("ListTasks", service);
                let request = self.ecs.list_tasks().cluster(cluster).service_name(service);
                request.send().await.map(drop).map_err(|error| call.failed(error))
            }
            Trial::DescribeTasks { cluster } => {
                let call = platform::ecs_call("DescribeTasks", cluster);
                let request = self.ecs.describe_tasks().cluster(cluster).tasks(NOBODYS_TASK);
                request.send().await.map(drop).map_err(|error| call.failed(error))
            }
            Trial::DescribeLoadBalancers { name } => {
                let call = platform::elb_call("DescribeLoadBalancers", name);
                let request = self.elb.describe_load_balancers().names(name);
                request.send().await.map(drop).map_err(|error| call.failed(error))
            }
            Trial::DescribeTargetGroups => {
                let call = platform::elb_call("DescribeTargetGroups", "*");
                self.elb.describe_target_groups().send().await.map(drop).map_err(|error| call.failed(error))
            }
            Trial::DescribeTargetHealth { target_group_arn: arn } => {
                let call = platform::elb_call("DescribeTargetHealth", arn);
                let request = self.elb.describe_target_health().target_group_arn(arn);
                request.send().await.map(drop).map_err(|error| call.failed(error))
            }
            Trial::DescribeTags { target_group_arn: arn } => {
                let call = platform::elb_call("DescribeTags", arn);
                self.elb.describe_tags().resource_arns(arn).send().await.map(drop).map_err(|error| call.failed(error))
            }
            Trial::RegisterTargets { target_group_arn: arn } => {
                let call = platform::elb_call("RegisterTargets", arn);
                let request = self.elb.register_targets().target_group_arn(arn).targets(nobodys_target());
                request.send().await.map(drop).map_err(|error| call.failed(error))
            }
            Trial::DeregisterTargets { target_group_arn: arn } => {
                let call = platform::elb_call("DeregisterTargets", arn);
                let request = self.elb.deregister_targets().target_group_arn(arn).targets(nobodys_target());
                request.send().await.map(drop).map_err(|error| call.failed(error))
            }
        }
    }
}

fn described(
    url: &str,
    attributes: &HashMap<QueueAttributeName, String>,
    call: Call<'_>,
) -> Result<QueueDescription, AwsError> {
    let number = |name: QueueAttributeName| attributes.get(&name).and_then(|text| text.parse::<u64>().ok());
    let needed = |name: QueueAttributeName| number(name.clone()).ok_or_else(|| call.incomplete(name.as_str()));
    let text = |name| attributes.get(&name).filter(|text| !text.is_empty()).cloned();
    // Seconds since the epoch; moto adds a fraction.
    let created_at = text(QueueAttributeName::CreatedTimestamp).and_then(|text| text.split('.').next()?.parse().ok());
    Ok(QueueDescription {
        url: url.to_owned(),
        arn: text(QueueAttributeName::QueueArn).ok_or_else(|| call.incomplete("QueueArn"))?,
        waiting: needed(QueueAttributeName::ApproximateNumberOfMessages)?,
        in_flight: needed(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?,
        delayed: needed(QueueAttributeName::ApproximateNumberOfMessagesDelayed)?,
        retention: Duration::from_secs(needed(QueueAttributeName::MessageRetentionPeriod)?),
        created_at: created_at
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or_else(|| call.incomplete("CreatedTimestamp"))?,
        dead_letters: text(QueueAttributeName::RedrivePolicy).as_deref().and_then(dead_letters),
        policy: text(QueueAttributeName::Policy),
    })
}

fn dead_letters(redrive_policy: &str) -> Option<DeadLetters> {
    let policy: RedrivePolicy = serde_json::from_str(redrive_policy).ok()?;
    let max_receives = match &policy.max_receive_count {
        serde_json::Value::String(text) => text.parse().ok()?,
        other => other.as_u64()?,
    };
    Some(DeadLetters { queue_arn: policy.dead_letter_target_arn, max_receives })
}

fn rule_target(target: &Target) -> RuleTarget {
    let changed = target.input.is_some() || target.input_path.is_some() || target.input_transformer.is_some();
    RuleTarget { arn: target.arn.clone(), sends: if changed { Sends::SomethingElse } else { Sends::WholeEvents } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_is_read_with_its_count_as_number_and_as_text() {
        for count in ["5", "\"5\""] {
            let text = format!(r#"{{"deadLetterTargetArn": "arn:aws:sqs:r:1:dead", "maxReceiveCount": {count}}}"#);
            let read = dead_letters(&text).expect("a redrive policy");
            assert_eq!((read.queue_name(), read.max_receives), ("dead", 5));
        }
        assert_eq!(dead_letters("{}"), None);
    }
}
