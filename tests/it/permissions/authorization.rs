//! What IAM is asked about a call: action, resource and condition keys, as AWS's Service Authorization Reference has
//! them for ECS, Elastic Load Balancing V2, EventBridge and SQS.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The region and the account, as ARNs have them.
pub const HERE: &str = "eu-west-1:111122223333";

/// One question to IAM. A call on several resources is as many questions.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    pub action: String,
    pub resource: String,
    /// The condition keys that the request has, with their values.
    pub context: BTreeMap<String, Value>,
}

impl Authorization {
    pub fn new(action: &str, resource: impl Into<String>) -> Self {
        Self { action: action.to_owned(), resource: resource.into(), context: BTreeMap::new() }
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.context.insert(key.to_owned(), value.into());
        self
    }
}

/// The tags of a resource, by its ARN.
pub type TagsOf<'a> = &'a dyn Fn(&str) -> Vec<(String, String)>;

/// What IAM is asked about a call. `None` if this call isn't known here, and so not judged.
pub fn authorizations(service: &str, operation: &str, body: &str, tags: TagsOf<'_>) -> Option<Vec<Authorization>> {
    match service {
        "sqs" => sqs(operation, &serde_json::from_str(body).ok()?),
        "ecs" => ecs(operation, &serde_json::from_str(body).ok()?),
        "elasticloadbalancing" => {
            elastic_load_balancing(operation, &form_urlencoded::parse(body.as_bytes()).into_owned().collect(), tags)
        }
        "events" => events(operation, &serde_json::from_str(body).ok()?),
        _ => None,
    }
}

fn events(operation: &str, input: &Value) -> Option<Vec<Authorization>> {
    let action = format!("events:{operation}");
    match operation {
        // These can't be limited to a resource.
        "ListRuleNamesByTarget" | "TestEventPattern" => Some(vec![Authorization::new(&action, "*")]),
        "DescribeRule" => {
            let rule = input["Name"].as_str()?;
            Some(vec![Authorization::new(&action, format!("arn:aws:events:{HERE}:rule/{rule}"))])
        }
        _ => None,
    }
}

fn sqs(operation: &str, input: &Value) -> Option<Vec<Authorization>> {
    // A batch is allowed by the action of a single one.
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
    let cluster = input["cluster"].as_str()?.rsplit('/').next()?;
    let ask = |resource: String| {
        let cluster = format!("arn:aws:ecs:{HERE}:cluster/{cluster}");
        Authorization::new(&format!("ecs:{operation}"), resource).with("ecs:cluster", cluster)
    };
    let each = |field: &str, kind: &str| {
        let names = input[field].as_array()?.iter().map(|name| name.as_str()?.rsplit('/').next());
        names.map(|name| Some(ask(format!("arn:aws:ecs:{HERE}:{kind}/{cluster}/{}", name?)))).collect()
    };
    match operation {
        "DescribeServices" => each("services", "service"),
        "DescribeTasks" => each("tasks", "task"),
        // Its resource is a container instance, and the watcher names none.
        "ListTasks" => Some(vec![ask("*".to_owned())]),
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
        let asked = Authorization::new(&action, arn);
        tags(arn).into_iter().fold(asked, |asked, (key, value)| asked.with(&format!("aws:ResourceTag/{key}"), value))
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
        // These can't be limited to a resource.
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
