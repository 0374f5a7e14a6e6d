//! The members whose text is kept. The text of every other member is replaced, so that what AWS adds, or an operator writes
//! into a member that the watcher doesn't read, never gets into a recording.

/// The members of requests, answers and events whose text is kept, apart from account ids and public addresses: names, ARNs,
/// ids and states, as AWS's API references spell them. Times and numbers are kept in any member.
const MEMBERS: &[&str] = &[
    // ECS.
    "attachmentArn",
    "availabilityZone",
    "capacityProvider",
    "capacityProviderName",
    "cluster",
    "clusterArn",
    "connectivity",
    "containerArn",
    "cpu",
    "deploymentId",
    "desiredStatus",
    "eventName",
    "eventType",
    "family",
    "group",
    "healthStatus",
    "id",
    "include",
    "lastStatus",
    "launchType",
    "memory",
    "name",
    "networkMode",
    "platformFamily",
    "platformVersion",
    "privateIpv4Address",
    "protocol",
    "requiresCompatibilities",
    "resourceArn",
    "rolloutState",
    "schedulingStrategy",
    "service",
    "serviceArn",
    "serviceName",
    "services",
    "startedBy",
    "status",
    "stopCode",
    "subnets",
    "task",
    "taskArn",
    "taskDefinition",
    "taskDefinitionArn",
    "taskArns",
    "tasks",
    "type",
    "arn",
    "key",
    "tagKeys",
    // Elastic Load Balancing.
    "AvailabilityZone",
    "CanonicalHostedZoneId",
    "Code",
    "DNSName",
    "HealthCheckPort",
    "HealthCheckProtocol",
    "HttpCode",
    "IPv6Address",
    "Id",
    "IpAddress",
    "IpAddressType",
    "Key",
    "LoadBalancerArn",
    "LoadBalancerArns",
    "LoadBalancerName",
    "Names",
    "Port",
    "PrivateIPv4Address",
    "Protocol",
    "RequestId",
    "ResourceArn",
    "ResourceArns",
    "Scheme",
    "State",
    "SubnetId",
    "TagKeys",
    "TargetGroupArn",
    "TargetGroupArns",
    "TargetGroupName",
    "TargetType",
    "Type",
    "VpcId",
    "ZoneName",
    "Action",
    "Version",
    // SQS.
    "AttributeNames",
    "MD5OfMessageBody",
    "MessageAttributeNames",
    "MessageId",
    "MessageSystemAttributeNames",
    "QueueArn",
    "QueueName",
    "QueueUrl",
    "deadLetterTargetArn",
    // EventBridge, and the envelopes of its events.
    "Arn",
    "DetailType",
    "EventBusName",
    "EventId",
    "Name",
    "Rule",
    "RuleNames",
    "Source",
    "TargetArn",
    "account",
    "detail-type",
    "region",
    "resources",
    "source",
    // CloudWatch.
    "Label",
    "MetricName",
    "Namespace",
    "ScanBy",
    "Stat",
    "StatusCode",
    // Errors.
    "__type",
    "code",
];

/// Returns whether the text of a member is kept.
pub(super) fn is_kept(member: &str) -> bool {
    MEMBERS.contains(&member)
}

/// The members that hold sentences, or an error code alone. They can quote anything, so that only known words are kept.
const PROSE: &[&str] =
    &["Description", "Message", "Reason", "message", "reason", "rolloutStateReason", "stoppedReason"];

/// Returns whether the text of a member is sentences.
pub(super) fn is_prose(member: &str) -> bool {
    PROSE.contains(&member)
}

/// The members that hold the operator's own text, and nothing that the watcher reads: nothing below them is kept.
const OPERATORS_OWN: &[&str] = &[
    "command",
    "dependsOn",
    "dockerLabels",
    "entryPoint",
    "environmentFiles",
    "healthCheck",
    "image",
    "imageDigest",
    "logConfiguration",
    "options",
    "repositoryCredentials",
    "secrets",
    "systemControls",
    "volumes",
];

/// Returns whether nothing below a member is kept.
pub(super) fn is_operators_own(member: &str) -> bool {
    OPERATORS_OWN.contains(&member)
}

/// The members whose text is JSON.
const JSON: &[&str] = &["Body", "Detail", "Event", "EventPattern", "Policy", "RedrivePolicy"];

/// Returns whether the text of a member is JSON.
pub(super) fn is_json(member: &str) -> bool {
    JSON.contains(&member)
}

/// The names by which a member `value` or `Value` beside them is kept: the details of a network interface, and the dimensions
/// of metrics.
const NAMED_VALUES: &[&str] = &[
    "LoadBalancer",
    "TargetGroup",
    "networkInterfaceId",
    "privateIPv4Address",
    "ipv6Address",
    "subnetId",
    "JVB_ADVERTISE_IPS",
];

/// Returns whether the value of that name is kept. The values of the watcher's own tags are.
pub(super) fn is_kept_value_of(name: &str) -> bool {
    NAMED_VALUES.contains(&name) || name.starts_with("jvb-watcher:")
}
