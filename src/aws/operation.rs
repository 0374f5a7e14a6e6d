//! The operations of AWS's APIs that the client calls, with the IAM action that each needs.

/// Defines [`ApiOperation`] from a table, so that no operation lacks its service or its action.
macro_rules! operations {
    ($($operation:ident: $service:literal, $action:literal;)*) => {
        /// An operation of an AWS API. The client can't call one that isn't listed here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is the operation of that name in the API reference of its service")]
        pub enum ApiOperation {
            $($operation,)*
        }

        impl ApiOperation {
            /// All operations.
            pub const ALL: &[Self] = &[$(Self::$operation,)*];

            /// Returns the operation's name in the API reference.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$operation => stringify!($operation),)*
                }
            }

            /// Returns the service's prefix in IAM policies.
            pub const fn service(self) -> &'static str {
                match self {
                    $(Self::$operation => $service,)*
                }
            }

            /// Returns the IAM action that allows the operation.
            pub const fn iam_action(self) -> &'static str {
                match self {
                    $(Self::$operation => concat!($service, ":", $action),)*
                }
            }
        }
    };
}

// The actions are those of the Service Authorization Reference, "Actions, resources, and condition keys" of each service.
// Amazon SQS has no action for a batch: the action of the single operation allows the batch too.
operations! {
    GetQueueUrl: "sqs", "GetQueueUrl";
    GetQueueAttributes: "sqs", "GetQueueAttributes";
    ReceiveMessage: "sqs", "ReceiveMessage";
    DeleteMessage: "sqs", "DeleteMessage";
    DeleteMessageBatch: "sqs", "DeleteMessage";
    ChangeMessageVisibility: "sqs", "ChangeMessageVisibility";
    ChangeMessageVisibilityBatch: "sqs", "ChangeMessageVisibility";

    ListServices: "ecs", "ListServices";
    DescribeServices: "ecs", "DescribeServices";
    ListTasks: "ecs", "ListTasks";
    DescribeTasks: "ecs", "DescribeTasks";
    DescribeTaskDefinition: "ecs", "DescribeTaskDefinition";
    UpdateService: "ecs", "UpdateService";
    ListTagsForResource: "ecs", "ListTagsForResource";
    TagResource: "ecs", "TagResource";
    UntagResource: "ecs", "UntagResource";

    DescribeLoadBalancers: "elasticloadbalancing", "DescribeLoadBalancers";
    DescribeLoadBalancerAttributes: "elasticloadbalancing", "DescribeLoadBalancerAttributes";
    DescribeTargetGroups: "elasticloadbalancing", "DescribeTargetGroups";
    DescribeTargetHealth: "elasticloadbalancing", "DescribeTargetHealth";
    DescribeTags: "elasticloadbalancing", "DescribeTags";
    RegisterTargets: "elasticloadbalancing", "RegisterTargets";
    DeregisterTargets: "elasticloadbalancing", "DeregisterTargets";
    AddTags: "elasticloadbalancing", "AddTags";
    RemoveTags: "elasticloadbalancing", "RemoveTags";
    DeleteLoadBalancer: "elasticloadbalancing", "DeleteLoadBalancer";
    DeleteTargetGroup: "elasticloadbalancing", "DeleteTargetGroup";

    GetMetricData: "cloudwatch", "GetMetricData";

    ListRuleNamesByTarget: "events", "ListRuleNamesByTarget";
    DescribeRule: "events", "DescribeRule";
    ListTargetsByRule: "events", "ListTargetsByRule";
    TestEventPattern: "events", "TestEventPattern";
    PutEvents: "events", "PutEvents";

    GetCallerIdentity: "sts", "GetCallerIdentity";
}

impl ApiOperation {
    /// Finds an operation by its service's prefix and its name.
    pub fn find(service: &str, name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.service() == service && operation.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::aws::{AwsError, ErrorKind};

    fn read(path: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The IAM actions that a text names between these quotes, of the services that the client calls.
    fn actions_in(text: &str, quote: char) -> BTreeSet<String> {
        let services: BTreeSet<_> = ApiOperation::ALL.iter().map(|operation| operation.service()).collect();
        let is_action = |word: &&str| {
            word.split_once(':').is_some_and(|(service, action)| {
                services.contains(service) && action.chars().all(|c| c.is_ascii_alphanumeric()) && !action.is_empty()
            })
        };
        text.split(quote).filter(is_action).map(str::to_owned).collect()
    }

    fn actions() -> BTreeSet<String> {
        ApiOperation::ALL.iter().map(|operation| operation.iam_action().to_owned()).collect()
    }

    #[test]
    fn every_action_that_the_client_needs_is_documented() {
        let documented = actions_in(&read("docs/permissions.md"), '`');
        // AWS requires no permission for it.
        let needed: BTreeSet<_> = actions().into_iter().filter(|action| action != "sts:GetCallerIdentity").collect();
        let undocumented: Vec<_> = needed.difference(&documented).collect();
        assert!(undocumented.is_empty(), "docs/permissions.md doesn't name {undocumented:?}");
    }

    #[test]
    fn the_terraform_role_allows_actions_of_the_client_only() {
        let allowed = actions_in(&read("terraform/modules/watcher/role.tf"), '"');
        assert!(allowed.len() > 15, "{allowed:?}");
        // A condition key of ECS, and an action of the role's trust policy.
        let others = ["ecs:cluster", "sts:AssumeRole"];
        let unknown: Vec<_> =
            allowed.iter().filter(|name| !others.contains(&name.as_str()) && !actions().contains(*name)).collect();
        assert!(unknown.is_empty(), "the client calls nothing that needs {unknown:?}");
    }

    #[test]
    fn a_denied_batch_call_advises_the_action_that_iam_knows() {
        for (operation, action) in [
            ("DeleteMessageBatch", "sqs:DeleteMessage"),
            ("ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
            ("ReceiveMessage", "sqs:ReceiveMessage"),
        ] {
            let error = AwsError {
                kind: ErrorKind::AccessDenied,
                service: "sqs",
                operation,
                resource: "p-jvb-watcher".to_owned(),
                code: None,
                message: "no".to_owned(),
                request_id: None,
            };
            assert!(error.with_remedy().ends_with(&format!("; allow the action {action} on it")), "{error}");
        }
    }

    #[test]
    fn an_action_is_not_a_batch() {
        for operation in ApiOperation::ALL {
            let action = operation.iam_action();
            assert!(!action.ends_with("Batch"), "IAM has no action {action}");
            assert!(operation.name().starts_with(action.split(':').nth(1).expect("an action")), "{operation:?}");
        }
    }
}
