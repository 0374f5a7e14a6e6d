//! Requests and responses of Amazon EventBridge, API version 2015-10-07 (JSON 1.1).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use jiff::Timestamp;

use super::{Empty, Tag, operations};

operations! {
    PutRule(PutRuleInput) -> PutRuleOutput, requires "Name";
    DescribeRule(RuleInput) -> Rule, requires "Name";
    ListRules(ListRulesInput) -> ListRulesOutput;
    EnableRule(RuleInput) -> Empty, requires "Name";
    DisableRule(RuleInput) -> Empty, requires "Name";
    DeleteRule(RuleInput) -> Empty, requires "Name";
    PutTargets(PutTargetsInput) -> FailedEntriesOutput, requires "Rule" "Targets";
    RemoveTargets(RemoveTargetsInput) -> FailedEntriesOutput, requires "Rule" "Ids";
    ListTargetsByRule(ListTargetsByRuleInput) -> ListTargetsByRuleOutput, requires "Rule";
    ListRuleNamesByTarget(ListRuleNamesByTargetInput) -> ListRuleNamesByTargetOutput, requires "TargetArn";
    PutEvents(PutEventsInput) -> PutEventsOutput, requires "Entries";
    TagResource(TagResourceInput) -> Empty, requires "ResourceARN" "Tags";
    UntagResource(UntagResourceInput) -> Empty, requires "ResourceARN" "TagKeys";
    ListTagsForResource(ResourceInput) -> TagsOutput, requires "ResourceARN";
    TestEventPattern(TestEventPatternInput) -> TestEventPatternOutput, requires "EventPattern" "Event";
}

/// Request of `PutRule`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct PutRuleInput {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_pattern: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    pub tags: Vec<Tag>,
}

/// Response of `PutRule`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct PutRuleOutput {
    pub rule_arn: String,
}

/// Request that names a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct RuleInput {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Rule {
    pub name: String,
    pub arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_pattern: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_expression: Option<String>,
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub event_bus_name: String,
}

/// Request of `ListRules`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListRulesInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Response of `ListRules`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListRulesOutput {
    pub rules: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Request of `PutTargets`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct PutTargetsInput {
    pub rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    pub targets: Vec<Target>,
}

/// A target of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Target {
    pub id: String,
    pub arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_config: Option<DeadLetterConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_transformer: Option<Value>,
}

/// Dead-letter queue for events that could not be delivered to a target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DeadLetterConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
}

/// Response with the entries of a batch that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct FailedEntriesOutput {
    pub failed_entry_count: i32,
    pub failed_entries: Vec<FailedEntry>,
}

/// A target for which a batch failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct FailedEntry {
    pub target_id: String,
    pub error_code: String,
    pub error_message: String,
}

/// Request of `RemoveTargets`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct RemoveTargetsInput {
    pub rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    pub ids: Vec<String>,
}

/// Request of `ListTargetsByRule`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListTargetsByRuleInput {
    pub rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Response of `ListTargetsByRule`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListTargetsByRuleOutput {
    pub targets: Vec<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Request of `ListRuleNamesByTarget`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListRuleNamesByTargetInput {
    pub target_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Response of `ListRuleNamesByTarget`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListRuleNamesByTargetOutput {
    pub rule_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Request of `PutEvents`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct PutEventsInput {
    pub entries: Vec<PutEventsEntry>,
}

/// An event of `PutEvents`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct PutEventsEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    pub resources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub time: Option<Timestamp>,
}

/// Response of `PutEvents`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct PutEventsOutput {
    pub failed_entry_count: i32,
    pub entries: Vec<PutEventsResult>,
}

/// Result of one event of `PutEvents`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct PutEventsResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// Request of `TestEventPattern`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TestEventPatternInput {
    pub event_pattern: String,
    pub event: String,
}

/// Response of `TestEventPattern`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TestEventPatternOutput {
    pub result: bool,
}

/// Request of `TagResource`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TagResourceInput {
    #[serde(rename = "ResourceARN")]
    pub resource_arn: String,
    pub tags: Vec<Tag>,
}

/// Request of `UntagResource`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct UntagResourceInput {
    #[serde(rename = "ResourceARN")]
    pub resource_arn: String,
    pub tag_keys: Vec<String>,
}

/// Request that names a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ResourceInput {
    #[serde(rename = "ResourceARN")]
    pub resource_arn: String,
}

/// Response with the tags of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TagsOutput {
    pub tags: Vec<Tag>,
}
