//! Elastic Load Balancing, version 2 (Query and XML). Lists are wrapped in `member`, as the query protocol has them; numbers
//! and booleans of calls come as text.

use serde::{Deserialize, Serialize};

use jiff::Timestamp;

use super::{Empty, Tag, operations};

/// A list, as the query protocol wraps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "List<T>", bound(deserialize = "T: Deserialize<'de>"))]
pub struct Members<T> {
    /// Its items.
    pub member: Vec<T>,
}

/// A list as clients write it: one without items is an empty text.
#[derive(Deserialize)]
#[serde(untagged)]
enum List<T> {
    Items { member: Vec<T> },
    Text(String),
}

impl<T> TryFrom<List<T>> for Members<T> {
    type Error = String;

    fn try_from(list: List<T>) -> Result<Self, Self::Error> {
        match list {
            List::Items { member } => Ok(Self { member }),
            List::Text(text) if text.is_empty() => Ok(Self::default()),
            List::Text(text) => Err(format!("{text:?} is no list")),
        }
    }
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { member: Vec::new() }
    }
}

impl<T> FromIterator<T> for Members<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self { member: items.into_iter().collect() }
    }
}

operations! {
    CreateLoadBalancer(CreateLoadBalancerInput) -> LoadBalancersOutput, requires "Name";
    DescribeLoadBalancers(DescribeLoadBalancersInput) -> LoadBalancersOutput;
    DeleteLoadBalancer(LoadBalancerInput) -> Empty, requires "LoadBalancerArn";
    DescribeLoadBalancerAttributes(LoadBalancerInput) -> AttributesOutput, requires "LoadBalancerArn";
    ModifyLoadBalancerAttributes(ModifyLoadBalancerAttributesInput) -> AttributesOutput, requires "LoadBalancerArn" "Attributes";
    DescribeCapacityReservation(LoadBalancerInput) -> CapacityReservationOutput, requires "LoadBalancerArn";
    SetSubnets(SetSubnetsInput) -> SetSubnetsOutput, requires "LoadBalancerArn";
    SetSecurityGroups(SetSecurityGroupsInput) -> SetSecurityGroupsOutput, requires "LoadBalancerArn" "SecurityGroups";
    CreateTargetGroup(CreateTargetGroupInput) -> TargetGroupsOutput, requires "Name";
    DescribeTargetGroups(DescribeTargetGroupsInput) -> TargetGroupsOutput;
    DeleteTargetGroup(TargetGroupInput) -> Empty, requires "TargetGroupArn";
    ModifyTargetGroup(ModifyTargetGroupInput) -> TargetGroupsOutput, requires "TargetGroupArn";
    DescribeTargetGroupAttributes(TargetGroupInput) -> AttributesOutput, requires "TargetGroupArn";
    ModifyTargetGroupAttributes(ModifyTargetGroupAttributesInput) -> AttributesOutput,
        requires "TargetGroupArn" "Attributes";
    CreateListener(CreateListenerInput) -> ListenersOutput, requires "LoadBalancerArn" "DefaultActions";
    DescribeListeners(DescribeListenersInput) -> ListenersOutput;
    DeleteListener(ListenerInput) -> Empty, requires "ListenerArn";
    ModifyListener(ModifyListenerInput) -> ListenersOutput, requires "ListenerArn";
    DescribeListenerAttributes(ListenerInput) -> AttributesOutput, requires "ListenerArn";
    ModifyListenerAttributes(ModifyListenerAttributesInput) -> AttributesOutput, requires "ListenerArn" "Attributes";
    DescribeRules(DescribeRulesInput) -> RulesOutput;
    RegisterTargets(TargetsInput) -> Empty, requires "TargetGroupArn" "Targets";
    DeregisterTargets(TargetsInput) -> Empty, requires "TargetGroupArn" "Targets";
    DescribeTargetHealth(DescribeTargetHealthInput) -> DescribeTargetHealthOutput, requires "TargetGroupArn";
    AddTags(AddTagsInput) -> Empty, requires "ResourceArns" "Tags";
    RemoveTags(RemoveTagsInput) -> Empty, requires "ResourceArns" "TagKeys";
    DescribeTags(DescribeTagsInput) -> DescribeTagsOutput, requires "ResourceArns";
}

/// CreateLoadBalancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct CreateLoadBalancerInput {
    pub name: String,
    pub subnets: Members<String>,
    pub subnet_mappings: Members<SubnetMapping>,
    pub security_groups: Members<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    pub tags: Members<Tag>,
    #[serde(rename = "Type", skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address_type: Option<String>,
}

/// A subnet of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct SubnetMapping {
    pub subnet_id: String,
}

/// Several load balancers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct LoadBalancersOutput {
    pub load_balancers: Members<LoadBalancer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

/// A load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct LoadBalancer {
    pub load_balancer_arn: String,
    #[serde(rename = "DNSName")]
    pub dns_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_time: Option<Timestamp>,
    pub load_balancer_name: String,
    pub scheme: String,
    pub vpc_id: String,
    pub state: LoadBalancerState,
    #[serde(rename = "Type")]
    pub r#type: String,
    pub availability_zones: Members<AvailabilityZone>,
    pub security_groups: Members<String>,
    pub ip_address_type: String,
}

/// A load balancer's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct LoadBalancerState {
    pub code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A zone of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct AvailabilityZone {
    pub zone_name: String,
    pub subnet_id: String,
}

/// DescribeLoadBalancers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct DescribeLoadBalancersInput {
    pub load_balancer_arns: Members<String>,
    pub names: Members<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<String>,
}

/// A call on a load balancer that says no more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct LoadBalancerInput {
    pub load_balancer_arn: String,
}

/// A load balancer's attributes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct AttributesOutput {
    pub attributes: Members<Attribute>,
}

/// An attribute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct Attribute {
    pub key: String,
    pub value: String,
}

/// ModifyLoadBalancerAttributes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct ModifyLoadBalancerAttributesInput {
    pub load_balancer_arn: String,
    pub attributes: Members<Attribute>,
}

/// CreateTargetGroup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct CreateTargetGroupInput {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_enabled: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_timeout_seconds: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matcher: Option<Matcher>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_interval_seconds: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_threshold_count: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy_threshold_count: Option<String>,
    pub tags: Members<Tag>,
}

/// Several target groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct TargetGroupsOutput {
    pub target_groups: Members<TargetGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

/// A target group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct TargetGroup {
    pub target_group_arn: String,
    pub target_group_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_port: Option<String>,
    pub health_check_enabled: bool,
    pub health_check_interval_seconds: u32,
    pub health_check_timeout_seconds: u32,
    pub healthy_threshold_count: u32,
    pub unhealthy_threshold_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matcher: Option<Matcher>,
    pub load_balancer_arns: Members<String>,
    pub target_type: String,
    pub ip_address_type: String,
}

/// DescribeTargetGroups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct DescribeTargetGroupsInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_arn: Option<String>,
    pub target_group_arns: Members<String>,
    pub names: Members<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<String>,
}

/// A call on a target group that says no more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct TargetGroupInput {
    pub target_group_arn: String,
}

/// CreateListener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct CreateListenerInput {
    pub load_balancer_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    pub default_actions: Members<Action>,
    pub tags: Members<Tag>,
}

/// What a listener does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct Action {
    #[serde(rename = "Type")]
    pub r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_group_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_config: Option<ForwardConfig>,
}

/// Several listeners.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct ListenersOutput {
    pub listeners: Members<Listener>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

/// A listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct Listener {
    pub listener_arn: String,
    pub load_balancer_arn: String,
    pub port: u16,
    pub protocol: String,
    pub default_actions: Members<Action>,
}

/// DescribeListeners.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct DescribeListenersInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_arn: Option<String>,
    pub listener_arns: Members<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<String>,
}

/// A call on a listener that says no more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct ListenerInput {
    pub listener_arn: String,
}

/// RegisterTargets and DeregisterTargets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct TargetsInput {
    pub target_group_arn: String,
    pub targets: Members<TargetDescription>,
}

/// A target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct TargetDescription {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
}

/// DescribeTargetHealth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct DescribeTargetHealthInput {
    pub target_group_arn: String,
    pub targets: Members<TargetDescription>,
}

/// DescribeTargetHealth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct DescribeTargetHealthOutput {
    pub target_health_descriptions: Members<TargetHealthDescription>,
}

/// A target's health.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct TargetHealthDescription {
    pub target: TargetDescription,
    pub health_check_port: String,
    pub target_health: TargetHealth,
}

/// How a target does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct TargetHealth {
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// AddTags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct AddTagsInput {
    pub resource_arns: Members<String>,
    pub tags: Members<Tag>,
}

/// RemoveTags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct RemoveTagsInput {
    pub resource_arns: Members<String>,
    pub tag_keys: Members<String>,
}

/// DescribeTags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct DescribeTagsInput {
    pub resource_arns: Members<String>,
}

/// DescribeTags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct DescribeTagsOutput {
    pub tag_descriptions: Members<TagDescription>,
}

/// A resource's tags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct TagDescription {
    pub resource_arn: String,
    pub tags: Members<Tag>,
}

/// SetSubnets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct SetSubnetsInput {
    pub load_balancer_arn: String,
    pub subnets: Members<String>,
    pub subnet_mappings: Members<SubnetMapping>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address_type: Option<String>,
}

/// SetSubnets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct SetSubnetsOutput {
    pub availability_zones: Members<AvailabilityZone>,
    pub ip_address_type: String,
}

/// SetSecurityGroups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct SetSecurityGroupsInput {
    pub load_balancer_arn: String,
    pub security_groups: Members<String>,
}

/// SetSecurityGroups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct SetSecurityGroupsOutput {
    pub security_group_ids: Members<String>,
}

/// DescribeCapacityReservation: nothing is ever reserved here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct CapacityReservationOutput {
    pub decrease_requests_remaining: u32,
    pub capacity_reservation_state: Members<Empty>,
}

/// ModifyTargetGroup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct ModifyTargetGroupInput {
    pub target_group_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_enabled: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_interval_seconds: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_timeout_seconds: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_threshold_count: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy_threshold_count: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matcher: Option<Matcher>,
}

/// The answers that a health check takes for good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct Matcher {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_code: Option<String>,
}

/// ModifyTargetGroupAttributes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct ModifyTargetGroupAttributesInput {
    pub target_group_arn: String,
    pub attributes: Members<Attribute>,
}

/// ModifyListenerAttributes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct ModifyListenerAttributesInput {
    pub listener_arn: String,
    pub attributes: Members<Attribute>,
}

/// ModifyListener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct ModifyListenerInput {
    pub listener_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    pub default_actions: Members<Action>,
}

/// Where a listener passes to, in the form that allows for several groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct ForwardConfig {
    pub target_groups: Members<TargetGroupTuple>,
}

/// One of the groups that a listener passes to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct TargetGroupTuple {
    pub target_group_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
}

/// DescribeRules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct DescribeRulesInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_arn: Option<String>,
    pub rule_arns: Members<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<String>,
}

/// Several rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct RulesOutput {
    pub rules: Members<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

/// A rule of a listener: on a network load balancer only the default one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct Rule {
    pub rule_arn: String,
    pub priority: String,
    pub conditions: Members<Empty>,
    pub actions: Members<Action>,
    pub is_default: bool,
}
