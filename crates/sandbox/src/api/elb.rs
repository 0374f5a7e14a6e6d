//! Requests and responses of Elastic Load Balancing v2, API version 2015-12-01 (query protocol).
//!
//! Lists are wrapped in `member`, as the query protocol writes them. Numbers and booleans of requests are text.

use serde::{Deserialize, Serialize};

use jiff::Timestamp;

use super::{Empty, Tag, operations};

/// A list in the form of the query protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "List<T>", bound(deserialize = "T: Deserialize<'de>"))]
pub struct Members<T> {
    /// The items of the list.
    pub member: Vec<T>,
}

/// A list as clients send it: an empty list is an empty string.
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
            List::Text(text) => Err(format!("{text:?} is not a list")),
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

/// Request of `CreateLoadBalancer`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
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
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SubnetMapping {
    pub subnet_id: String,
}

/// Response with several load balancers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct LoadBalancersOutput {
    pub load_balancers: Members<LoadBalancer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

/// A load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
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
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct LoadBalancerState {
    pub code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An availability zone of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct AvailabilityZone {
    pub zone_name: String,
    pub subnet_id: String,
}

/// Request of `DescribeLoadBalancers`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeLoadBalancersInput {
    pub load_balancer_arns: Members<String>,
    pub names: Members<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<String>,
}

/// Request that names a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct LoadBalancerInput {
    pub load_balancer_arn: String,
}

/// Response with the attributes of a load balancer, a listener or a target group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct AttributesOutput {
    pub attributes: Members<Attribute>,
}

/// An attribute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Attribute {
    pub key: String,
    pub value: String,
}

/// Request of `ModifyLoadBalancerAttributes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ModifyLoadBalancerAttributesInput {
    pub load_balancer_arn: String,
    pub attributes: Members<Attribute>,
}

/// Request of `CreateTargetGroup`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
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

/// Response with several target groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TargetGroupsOutput {
    pub target_groups: Members<TargetGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

/// A target group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
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

/// Request of `DescribeTargetGroups`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
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

/// Request that names a target group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TargetGroupInput {
    pub target_group_arn: String,
}

/// Request of `CreateListener`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct CreateListenerInput {
    pub load_balancer_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_policy: Option<String>,
    pub certificates: Members<Certificate>,
    pub alpn_policy: Members<String>,
    pub default_actions: Members<Action>,
    pub tags: Members<Tag>,
}

/// A certificate of a listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Certificate {
    pub certificate_arn: String,
}

/// An action of a listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
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

/// Response with several listeners.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListenersOutput {
    pub listeners: Members<Listener>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

/// A listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Listener {
    pub listener_arn: String,
    pub load_balancer_arn: String,
    pub port: u16,
    pub protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Members<Certificate>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_policy: Option<String>,
    pub default_actions: Members<Action>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn_policy: Option<Members<String>>,
}

/// Request of `DescribeListeners`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeListenersInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_arn: Option<String>,
    pub listener_arns: Members<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<String>,
}

/// Request that names a listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListenerInput {
    pub listener_arn: String,
}

/// Request of `RegisterTargets` and `DeregisterTargets`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TargetsInput {
    pub target_group_arn: String,
    pub targets: Members<TargetDescription>,
}

/// A target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TargetDescription {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
}

/// Request of `DescribeTargetHealth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeTargetHealthInput {
    pub target_group_arn: String,
    pub targets: Members<TargetDescription>,
}

/// Response of `DescribeTargetHealth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeTargetHealthOutput {
    pub target_health_descriptions: Members<TargetHealthDescription>,
}

/// A target with its health.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TargetHealthDescription {
    pub target: TargetDescription,
    pub health_check_port: String,
    pub target_health: TargetHealth,
}

/// Health of a target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TargetHealth {
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Request of `AddTags`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct AddTagsInput {
    pub resource_arns: Members<String>,
    pub tags: Members<Tag>,
}

/// Request of `RemoveTags`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct RemoveTagsInput {
    pub resource_arns: Members<String>,
    pub tag_keys: Members<String>,
}

/// Request of `DescribeTags`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeTagsInput {
    pub resource_arns: Members<String>,
}

/// Response of `DescribeTags`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeTagsOutput {
    pub tag_descriptions: Members<TagDescription>,
}

/// A resource with its tags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TagDescription {
    pub resource_arn: String,
    pub tags: Members<Tag>,
}

/// Request of `SetSubnets`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SetSubnetsInput {
    pub load_balancer_arn: String,
    pub subnets: Members<String>,
    pub subnet_mappings: Members<SubnetMapping>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address_type: Option<String>,
}

/// Response of `SetSubnets`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SetSubnetsOutput {
    pub availability_zones: Members<AvailabilityZone>,
    pub ip_address_type: String,
}

/// Request of `SetSecurityGroups`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SetSecurityGroupsInput {
    pub load_balancer_arn: String,
    pub security_groups: Members<String>,
}

/// Response of `SetSecurityGroups`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SetSecurityGroupsOutput {
    pub security_group_ids: Members<String>,
}

/// Response of `DescribeCapacityReservation`. The sandbox never reserves capacity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct CapacityReservationOutput {
    pub decrease_requests_remaining: u32,
    pub capacity_reservation_state: Members<Empty>,
}

/// Request of `ModifyTargetGroup`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
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

/// Response codes that count as a successful health check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Matcher {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_code: Option<String>,
}

/// Request of `ModifyTargetGroupAttributes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ModifyTargetGroupAttributesInput {
    pub target_group_arn: String,
    pub attributes: Members<Attribute>,
}

/// Request of `ModifyListenerAttributes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ModifyListenerAttributesInput {
    pub listener_arn: String,
    pub attributes: Members<Attribute>,
}

/// Request of `ModifyListener`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ModifyListenerInput {
    pub listener_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_policy: Option<String>,
    pub certificates: Members<Certificate>,
    pub alpn_policy: Members<String>,
    pub default_actions: Members<Action>,
}

/// Targets of a `forward` action, in the form that allows several target groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ForwardConfig {
    pub target_groups: Members<TargetGroupTuple>,
}

/// A target group of a `forward` action, with its weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TargetGroupTuple {
    pub target_group_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
}

/// Request of `DescribeRules`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeRulesInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_arn: Option<String>,
    pub rule_arns: Members<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<String>,
}

/// Response with several rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct RulesOutput {
    pub rules: Members<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

/// A rule of a listener. A network load balancer's listener has only the default rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Rule {
    pub rule_arn: String,
    pub priority: String,
    pub conditions: Members<Empty>,
    pub actions: Members<Action>,
    pub is_default: bool,
}
