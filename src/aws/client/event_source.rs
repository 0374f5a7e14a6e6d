//! The adapter of [`EventSource`]: SQS and EventBridge.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client as EventBridge;
use aws_sdk_eventbridge::types::RuleState as SdkRuleState;
use aws_sdk_sqs::Client as Sqs;
use aws_sdk_sqs::types::QueueAttributeName;
use jiff::Timestamp;
use serde::Deserialize;

use super::call::{Call, none_if_not_found};
use crate::aws::AwsError;
use crate::aws::event_source::{EventSource, QueueDescription, RedrivePolicy, Rule, RuleState};
use crate::aws::operation::ApiOperation;

/// The queue's attributes and the rules that fill it, through the SDK. Clones share the connections.
#[derive(Clone)]
pub struct AwsEventSource {
    events: EventBridge,
    sqs: Sqs,
}

/// The JSON of a queue's RedrivePolicy attribute. SQS accepts the count as a number and as text, and returns it as it was
/// set.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicyAttribute {
    dead_letter_target_arn: String,
    max_receive_count: serde_json::Value,
}

impl AwsEventSource {
    /// Creates the clients.
    pub fn new(config: &SdkConfig) -> Self {
        Self { events: EventBridge::new(config), sqs: Sqs::new(config) }
    }

    async fn queue_url(&self, name_or_url: &str) -> Result<Option<String>, AwsError> {
        if name_or_url.contains("://") {
            return Ok(Some(name_or_url.to_owned()));
        }
        let call = Call::new(ApiOperation::GetQueueUrl, name_or_url);
        match self.sqs.get_queue_url().queue_name(name_or_url).send().await {
            Ok(output) => output.queue_url.ok_or_else(|| call.incomplete("QueueUrl")).map(Some),
            Err(error) => none_if_not_found(call.failed(error)),
        }
    }
}

impl EventSource for AwsEventSource {
    async fn queue(&self, name_or_url: &str) -> Result<Option<QueueDescription>, AwsError> {
        let Some(url) = self.queue_url(name_or_url).await? else { return Ok(None) };
        let call = Call::new(ApiOperation::GetQueueAttributes, &url);
        let request = self.sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
        match request.send().await {
            Ok(output) => queue_description(&url, &output.attributes.unwrap_or_default(), call).map(Some),
            Err(error) => none_if_not_found(call.failed(error)),
        }
    }

    async fn rules_with_target(&self, arn: &str) -> Result<Vec<String>, AwsError> {
        let call = Call::new(ApiOperation::ListRuleNamesByTarget, arn);
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
        let call = Call::new(ApiOperation::DescribeRule, name);
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

    async fn matches(&self, pattern: &str, event: &str) -> Result<bool, AwsError> {
        let call = Call::new(ApiOperation::TestEventPattern, "the rule's event pattern");
        let request = self.events.test_event_pattern().event_pattern(pattern).event(event);
        request.send().await.map(|output| output.result).map_err(|error| call.failed(error))
    }
}

fn queue_description(
    url: &str,
    attributes: &HashMap<QueueAttributeName, String>,
    call: Call<'_>,
) -> Result<QueueDescription, AwsError> {
    let number = |name: QueueAttributeName| attributes.get(&name).and_then(|text| text.parse::<u64>().ok());
    let required = |name: QueueAttributeName| number(name.clone()).ok_or_else(|| call.incomplete(name.as_str()));
    let text = |name| attributes.get(&name).filter(|text| !text.is_empty()).cloned();
    // Seconds since the epoch; moto adds a fraction.
    let created_at = text(QueueAttributeName::CreatedTimestamp).and_then(|text| text.split('.').next()?.parse().ok());
    Ok(QueueDescription {
        url: url.to_owned(),
        arn: text(QueueAttributeName::QueueArn).ok_or_else(|| call.incomplete("QueueArn"))?,
        waiting: required(QueueAttributeName::ApproximateNumberOfMessages)?,
        in_flight: required(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?,
        delayed: required(QueueAttributeName::ApproximateNumberOfMessagesDelayed)?,
        retention: Duration::from_secs(required(QueueAttributeName::MessageRetentionPeriod)?),
        created_at: created_at
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or_else(|| call.incomplete("CreatedTimestamp"))?,
        redrive_policy: text(QueueAttributeName::RedrivePolicy).as_deref().and_then(redrive_policy),
        policy: text(QueueAttributeName::Policy),
    })
}

fn redrive_policy(attribute: &str) -> Option<RedrivePolicy> {
    let policy: RedrivePolicyAttribute = serde_json::from_str(attribute).ok()?;
    let max_receive_count = match &policy.max_receive_count {
        serde_json::Value::String(text) => text.parse().ok()?,
        other => other.as_u64()?,
    };
    Some(RedrivePolicy { dead_letter_queue_arn: policy.dead_letter_target_arn, max_receive_count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_redrive_policy_with_its_count_as_number_and_as_text() {
        for count in ["5", "\"5\""] {
            let text = format!(r#"{{"deadLetterTargetArn": "arn:aws:sqs:r:1:dead", "maxReceiveCount": {count}}}"#);
            let policy = redrive_policy(&text).expect("a redrive policy");
            assert_eq!((policy.dead_letter_queue_name(), policy.max_receive_count), ("dead", 5));
        }
        assert_eq!(redrive_policy("{}"), None);
    }
}
