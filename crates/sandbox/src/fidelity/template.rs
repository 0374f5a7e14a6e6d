//! The kinds of requests in a recording, and the same requests about the sandbox's resources.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::recording::Recording;
use crate::api::Service;

/// The most kinds of requests of one operation that are sent. A client has a few; what else differs is a value.
const KINDS: usize = 50;

/// A kind of request: the requests that are the same but for the resources they name.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) service: Service,
    pub(super) operation: String,
    input: Value,
}

/// The resources that a request can name.
#[derive(Clone, Debug, Default)]
pub(super) struct Resources {
    pub(super) cluster: String,
    pub(super) service: String,
    pub(super) service_arn: String,
    pub(super) task_definition: String,
    pub(super) tasks: Vec<String>,
    pub(super) load_balancer: String,
    pub(super) load_balancer_arn: String,
    pub(super) groups: Vec<Group>,
    /// The addresses of the tasks that run.
    pub(super) addresses: Vec<String>,
    pub(super) queue: String,
    pub(super) queue_url: String,
    pub(super) queue_arn: String,
    pub(super) receipt: String,
    pub(super) rule: String,
    /// The seconds between which metrics are asked for.
    pub(super) minutes: (i64, i64),
}

/// A target group.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) port: String,
}

/// Returns the kinds of requests in a recording, each once.
pub(super) fn templates(recording: &Recording) -> Vec<Template> {
    let mut kinds: BTreeMap<(&str, String), &Value> = BTreeMap::new();
    let mut of_operation: BTreeMap<&str, usize> = BTreeMap::new();
    let nothing = Resources::default();
    for call in recording.calls() {
        let operation = call.operation.as_str();
        let key = (operation, fill(operation, &call.input, &nothing).to_string());
        let number = of_operation.entry(operation).or_default();
        if *number < KINDS && !kinds.contains_key(&key) {
            *number += 1;
            kinds.insert(key, &call.input);
        }
    }
    let template = |((name, _), input): ((&str, String), &Value)| {
        let (prefix, operation) = name.split_once(':')?;
        let service = Service::ALL.into_iter().find(|service| service.prefix() == prefix)?;
        Some(Template { service, operation: operation.to_owned(), input: input.clone() })
    };
    kinds.into_iter().filter_map(template).collect()
}

impl Template {
    /// Returns `service:Operation`.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.service.prefix(), self.operation)
    }

    /// Returns whether it changes nothing. To receive a message is a read as well.
    pub(super) fn is_read(&self) -> bool {
        ["Describe", "Get", "List", "Receive", "Test"].iter().any(|verb| self.operation.starts_with(verb))
    }

    /// Returns the members of the request about these resources.
    pub(super) fn fill(&self, resources: &Resources) -> Value {
        fill(&self.name(), &self.input, resources)
    }
}

fn fill(operation: &str, input: &Value, resources: &Resources) -> Value {
    let Value::Object(members) = input else { return json!({}) };
    if operation.starts_with("elasticloadbalancing:") || operation.starts_with("sts:") {
        return fill_form(operation, members, resources);
    }
    let mut filled = resources.object(members);
    if operation.starts_with("cloudwatch:") {
        let (from, until) = resources.minutes;
        for (name, at) in [("StartTime", from), ("EndTime", until)] {
            if filled.contains_key(name) {
                filled.insert(name.to_owned(), at.into());
            }
        }
    }
    Value::Object(filled)
}

/// Fills the fields of a form. A list of resources becomes that of the sandbox's.
fn fill_form(operation: &str, fields: &Map<String, Value>, resources: &Resources) -> Value {
    let mut filled = Map::new();
    let mut add = |name: &str, value: &str| filled.insert(name.to_owned(), value.into());
    let group = resources.groups.first().cloned().unwrap_or_default();
    let mut groups = resources.groups.iter();
    for (name, value) in fields {
        let (list, _) = name.split_once(".member.").unwrap_or((name, ""));
        match list {
            // A page of a list is asked for by a token of its own server.
            "Action" | "Version" | "Marker" => {}
            "Names" if operation.ends_with(":DescribeLoadBalancers") => {
                add(&format!("{list}.member.1"), &resources.load_balancer);
            }
            "Names" => _ = groups.next().map(|group| add(name, &group.name)),
            "LoadBalancerArns" => _ = add(&format!("{list}.member.1"), &resources.load_balancer_arn),
            "LoadBalancerArn" => _ = add(name, &resources.load_balancer_arn),
            "TargetGroupArn" => _ = add(name, &group.arn),
            "TargetGroupArns" => _ = groups.next().map(|group| add(name, &group.arn)),
            "ResourceArns" => {
                let of_groups = resources.groups.iter().map(|group| group.arn.as_str());
                let arns = std::iter::once(resources.load_balancer_arn.as_str()).chain(of_groups);
                for (index, arn) in arns.filter(|arn| !arn.is_empty()).enumerate() {
                    add(&format!("{list}.member.{}", index + 1), arn);
                }
            }
            "Targets" => {
                for (index, address) in resources.addresses.iter().enumerate() {
                    add(&format!("{list}.member.{}.Id", index + 1), address);
                    add(&format!("{list}.member.{}.Port", index + 1), &group.port);
                }
            }
            _ => _ = add(name, value.as_str().unwrap_or_default()),
        }
    }
    Value::Object(filled)
}

impl Resources {
    fn object(&self, members: &Map<String, Value>) -> Map<String, Value> {
        let dimension = members.get("Name").and_then(Value::as_str);
        let fill = |(name, value): (&String, &Value)| {
            let value = match (name.as_str(), dimension) {
                ("nextToken" | "NextToken" | "EventBusName", _) => return None,
                ("cluster", _) => self.cluster.as_str().into(),
                ("service" | "serviceName", _) => self.service.as_str().into(),
                ("services", _) => json!([self.service]),
                ("resourceArn", _) => self.service_arn.as_str().into(),
                ("taskDefinition", _) => self.task_definition.as_str().into(),
                ("tasks", _) => json!(self.tasks),
                ("task", _) => self.tasks.first().map(String::as_str).unwrap_or_default().into(),
                ("QueueUrl", _) => self.queue_url.as_str().into(),
                ("QueueName", _) => self.queue.as_str().into(),
                ("WaitTimeSeconds", _) => 0.into(),
                ("ReceiptHandle", _) => self.receipt.as_str().into(),
                ("Rule" | "Name", _) if members.len() <= 2 && !members.contains_key("Value") => {
                    self.rule.as_str().into()
                }
                ("TargetArn", _) => self.queue_arn.as_str().into(),
                ("Value", Some("LoadBalancer")) => resource(&self.load_balancer_arn).into(),
                ("Value", Some("TargetGroup")) => {
                    self.groups.first().map(|group| resource(&group.arn)).unwrap_or_default().into()
                }
                // One entry of a batch stands for all.
                ("Entries", _) => {
                    value.as_array().and_then(|items| items.first()).map(|item| json!([self.value(item)]))?
                }
                _ => self.value(value),
            };
            Some((name.clone(), value))
        };
        members.iter().filter_map(fill).collect()
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => Value::Object(self.object(members)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            value => value.clone(),
        }
    }
}

/// Returns the part of an ARN that CloudWatch's dimensions have.
fn resource(arn: &str) -> &str {
    let resource = arn.rsplit(':').next().unwrap_or(arn);
    resource.strip_prefix("loadbalancer/").unwrap_or(resource)
}
