//! The authorizations that a call requires: action, resource and condition keys, from AWS's Service Authorization
//! Reference for CloudWatch, ECS, Elastic Load Balancing V2, EventBridge and SQS.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The region and the account, as they appear in ARNs.
pub const HERE: &str = "eu-west-1:111122223333";

/// An authorization that a call requires. A call on several resources requires one for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    pub action: String,
    pub resource: String,
    /// The condition keys of the request, with their values.
    pub context: BTreeMap<String, Value>,
}

impl Authorization {
    pub fn new(action: &str, resource: impl Into<String>) -> Self {
        Self { action: action.to_owned(), resource: resource.into(), context: BTreeMap::new() }
    }

    /// Adds a condition key.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.context.insert(key.to_owned(), value.into());
        self
    }
}

/// Returns the tags of a resource, by its ARN.
pub type TagsOf<'a> = &'a dyn Fn(&str) -> Vec<(String, String)>;

/// Returns the authorizations that a call requires; `None` if this module doesn't know the call.
pub fn authorizations(service: &str, operation: &str, body: &str, tags: TagsOf<'_>) -> Option<Vec<Authorization>> {
    match service {
        "sqs" => sqs(operation, &serde_json::from_str(body).ok()?),
        "ecs" => ecs(operation, &serde_json::from_str(body).ok()?),
        "elasticloadbalancing" => {
            elastic_load_balancing(operation, &form_urlencoded::parse(body.as_bytes()).into_owned().collect(), tags)
        }
        // CloudWatch's name in signatures. The action doesn't support resource-level permissions.
        "monitoring" if operation == "GetMetricData" => Some(vec![Authorization::new("cloudwatch:GetMetricData", "*")]),
        "events" => events(operation, &serde_json::from_str(body).ok()?),
        _ => None,
    }
}

fn events(operation: &str, input: &Value) -> Option<Vec<Authorization>> {
    let action = format!("events:{operation}");
    match operation {
        // These actions don't support resource-level permissions.
        "ListRuleNamesByTarget" | "TestEventPattern" => Some(vec![Authorization::new(&action, "*")]),
        "DescribeRule" => {
            let rule = input["Name"].as_str()?;
            Some(vec![Authorization::new(&action, format!("arn:aws:events:{HERE}:rule/{rule}"))])
        }
        _ => None,
    }
}

fn sqs(operation: &str, input: &Value) -> Option<Vec<Authorization>> {
    // A batch operation requires the action of the single operation.
    let action = match operation {
        "GetQueueUrl" => return Some(vec![on_queue("sqs:GetQueueUrl", input["QueueName"].as_str()?)]),
        "DeleteMessage" | "DeleteMessageBatch" => "sqs:DeleteMessage",
        "ChangeMessageVisibility" | "ChangeMessageVisibilityBatch" => "sqs:ChangeMessageVisibility",
        "ReceiveMessage" => "sqs:ReceiveMessage",
        "GetQueueAttributes" => "sqs:GetQueueAttributes",
        _ => return None,
    };
    Some(vec![on_queue(action, input["QueueUrl"].as_str()?.rsplit('/').next()?)])
}

fn on_queue(action: &str, name: &str) -> Authorization {
    Authorization::new(action, format!("arn:aws:sqs:{HERE}:{name}"))
}

fn ecs(operation: &str, input: &Value) -> Option<Vec<Authorization>> {
    if operation == "DescribeTaskDefinition" {
        // It doesn't support resource-level permissions.
        return Some(vec![Authorization::new("ecs:DescribeTaskDefinition", "*")]);
    }
    let cluster = input["cluster"].as_str()?.rsplit('/').next()?;
    let require = |resource: String| {
        let cluster = format!("arn:aws:ecs:{HERE}:cluster/{cluster}");
        Authorization::new(&format!("ecs:{operation}"), resource).with("ecs:cluster", cluster)
    };
    let each = |field: &str, kind: &str| {
        let names = input[field].as_array()?.iter().map(|name| name.as_str()?.rsplit('/').next());
        names.map(|name| Some(require(format!("arn:aws:ecs:{HERE}:{kind}/{cluster}/{}", name?)))).collect()
    };
    match operation {
        "DescribeServices" => each("services", "service"),
        "DescribeTasks" => each("tasks", "task"),
        // Its resource is a container instance, which the watcher doesn't specify.
        "ListTasks" => Some(vec![require("*".to_owned())]),
        _ => None,
    }
}

fn elastic_load_balancing(
    operation: &str,
    form: &BTreeMap<String, String>,
    tags: TagsOf<'_>,
) -> Option<Vec<Authorization>> {
    let action = format!("elasticloadbalancing:{operation}");
    let tagged = |arn: &String| {
        let required = Authorization::new(&action, arn);
        let add = |required: Authorization, (key, value)| required.with(&format!("aws:ResourceTag/{key}"), value);
        tags(arn).into_iter().fold(required, add)
    };
    let members = |start: &str, end: &str| -> Vec<&String> {
        let is_member = |name: &str| name.starts_with(start) && name.ends_with(end);
        form.iter().filter(|(name, _)| is_member(name)).map(|(_, value)| value).collect()
    };
    let each = |keys: Vec<&String>| {
        let arns = members("ResourceArns.member.", "");
        arns.into_iter().map(|arn| tagged(arn).with("aws:TagKeys", json!(keys))).collect()
    };
    match operation {
        // These actions don't support resource-level permissions.
        "DescribeLoadBalancers" | "DescribeTargetGroups" | "DescribeTargetHealth" | "DescribeTags" => {
            Some(vec![Authorization::new(&action, "*")])
        }
        "RegisterTargets" | "DeregisterTargets" | "DeleteTargetGroup" => {
            Some(vec![tagged(form.get("TargetGroupArn")?)])
        }
        "DeleteLoadBalancer" => Some(vec![tagged(form.get("LoadBalancerArn")?)]),
        "AddTags" => Some(each(members("Tags.member.", ".Key"))),
        "RemoveTags" => Some(each(members("TagKeys.member.", ""))),
        _ => None,
    }
}
