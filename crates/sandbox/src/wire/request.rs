//! Parser of HTTP requests: from a head and a body to a service, an operation and its members.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::http::request::Parts;
use serde_json::Value;

use super::{ErrorResponse, Protocol, cbor, query};
use crate::api::{ReadError, Request, Service, cloudwatch, ecs, elb, eventbridge, sqs, sts};

/// Prefixes of operations in the `X-Amz-Target` header, which identifies requests of the JSON protocols.
pub(super) const TARGETS: [(&str, Service); 4] = [
    ("AmazonSQS", Service::Sqs),
    ("AmazonEC2ContainerServiceV20141113", Service::Ecs),
    ("AWSEvents", Service::EventBridge),
    ("GraniteServiceVersion20100801", Service::CloudWatch),
];

/// A request whose service and operation are known, with members that are still to be parsed.
#[derive(Debug)]
pub(super) struct RawRequest {
    pub(super) service: Service,
    pub(super) operation: String,
    members: Members,
}

#[derive(Debug)]
enum Members {
    Cbor(Vec<u8>),
    Json(Vec<u8>),
    Form(Value),
}

/// Returns the protocol of the error response to a request that can't be parsed, as far as its head tells.
pub(super) fn protocol(headers: &HeaderMap) -> Protocol {
    if cbor::is_selected(headers) {
        return Protocol::Cbor(Service::CloudWatch);
    }
    match target(headers) {
        Some(target) => service_of(&target).map_or(Protocol::Json, Protocol::of),
        None => Protocol::of(Service::Elb),
    }
}

/// Returns the `X-Amz-Target` header. Its presence alone selects the JSON protocols.
fn target(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    headers.get("x-amz-target").map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// Returns the service in the value of the `X-Amz-Target` header.
fn service_of(target: &str) -> Option<Service> {
    let prefix = target.split_once('.').map_or(target, |(prefix, _)| prefix);
    TARGETS.iter().find(|(known, _)| *known == prefix).map(|(_, service)| *service)
}

impl RawRequest {
    /// Returns the protocol of the request and its response.
    pub(super) fn protocol(&self) -> Protocol {
        match self.members {
            Members::Cbor(_) => Protocol::Cbor(self.service),
            Members::Json(_) | Members::Form(_) => Protocol::of(self.service),
        }
    }

    /// Reads the service and the operation, and refuses operations that the sandbox doesn't model.
    pub(super) fn read(head: &Parts, body: &[u8]) -> Result<Self, ErrorResponse> {
        let request = match target(&head.headers) {
            _ if cbor::is_selected(&head.headers) => Self::from_path(head.uri.path(), body),
            Some(target) => Self::from_target(&target, body),
            // A form can also be in the URL.
            None if body.is_empty() => Self::from_form(head.uri.query().unwrap_or_default().as_bytes()),
            None => Self::from_form(body),
        }?;
        if request.service.has(&request.operation) {
            Ok(request)
        } else {
            Err(unknown(request.service, &request.operation))
        }
    }

    fn from_path(path: &str, body: &[u8]) -> Result<Self, ErrorResponse> {
        let Some((name, operation)) = cbor::parse_path(path) else {
            let message = format!("The path {path:?} is not of the form /service/SERVICE/operation/OPERATION.");
            return Err(ErrorResponse::new("UnknownOperationException", message));
        };
        let Some((_, service)) = cbor::SERVICES.iter().find(|(known, _)| *known == name) else {
            let message = format!("The sandbox has no service {name:?} with this protocol: it models {}.", services());
            return Err(ErrorResponse::new("UnknownOperationException", message));
        };
        Ok(Self { service: *service, operation: operation.to_owned(), members: Members::Cbor(body.to_vec()) })
    }

    fn from_target(target: &str, body: &[u8]) -> Result<Self, ErrorResponse> {
        let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
        let Some(service) = service_of(target) else {
            let message = format!("The sandbox has no service {prefix:?}: it models {}.", services());
            return Err(ErrorResponse::new("UnknownOperationException", message));
        };
        Ok(Self { service, operation: operation.to_owned(), members: Members::Json(body.to_vec()) })
    }

    fn from_form(form: &[u8]) -> Result<Self, ErrorResponse> {
        let Value::Object(mut fields) = query::parse_form(form)? else {
            return Err(query::malformed("it is not a form"));
        };
        let mut take = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let (operation, version) = (take("Action"), take("Version"));
        if operation.is_empty() {
            let message = "The request has neither an X-Amz-Target header nor an Action; the control API is under \
                           /_sandbox/.";
            return Err(ErrorResponse::new("MissingAction", message));
        }
        let Some(api) = query::APIS.iter().find(|api| api.version == version) else {
            let message =
                format!("The sandbox does not model {operation:?} of version {version:?}: it models {}.", services());
            return Err(ErrorResponse::new("InvalidAction", message));
        };
        Ok(Self { service: api.service, operation, members: Members::Form(Value::Object(fields)) })
    }

    /// Parses the members.
    pub(super) fn parse(self) -> Result<Request, ErrorResponse> {
        let (service, operation) = (self.service, self.operation.as_str());
        let members = match self.members {
            Members::Form(fields) => fields,
            Members::Cbor(body) => match cbor::parse(&body) {
                Ok(value) => without_nulls(value),
                Err(error) => return Err(ErrorResponse::new("SerializationException", error.to_string())),
            },
            Members::Json(body) => match serde_json::from_slice(&body) {
                Ok(value) => without_nulls(value),
                Err(error) => return Err(unreadable(service, &error.into())),
            },
        };
        let request = match service {
            Service::CloudWatch => {
                cloudwatch::Request::read(operation, members).map(|read| read.map(Request::CloudWatch))
            }
            Service::Ecs => ecs::Request::read(operation, members).map(|read| read.map(Request::Ecs)),
            Service::Elb => elb::Request::read(operation, members).map(|read| read.map(Request::Elb)),
            Service::EventBridge => {
                eventbridge::Request::read(operation, members).map(|read| read.map(Request::EventBridge))
            }
            Service::Sqs => sqs::Request::read(operation, members).map(|read| read.map(Request::Sqs)),
            Service::Sts => sts::Request::read(operation, members).map(|read| read.map(Request::Sts)),
        };
        match request {
            Some(read) => read.map_err(|error| unreadable(service, &error)),
            None => Err(unknown(service, operation)),
        }
    }
}

/// Returns the service's error for a missing or invalid member.
fn unreadable(service: Service, error: &ReadError) -> ErrorResponse {
    let null = |name: &str| {
        let name: String =
            name.chars().take(1).map(|first| first.to_ascii_lowercase()).chain(name.chars().skip(1)).collect();
        format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        )
    };
    match (service, error) {
        (Service::CloudWatch, ReadError::Missing(name)) => {
            // With the line break that AWS's message ends with.
            ErrorResponse::new("ValidationError", format!("The parameter {name} is required.\n"))
        }
        (Service::Sqs, ReadError::Missing(name)) => {
            ErrorResponse::new("MissingParameter", format!("The request must contain the parameter {name}."))
        }
        (Service::Ecs, ReadError::Missing(name)) => {
            ErrorResponse::new("InvalidParameterException", format!("{name} cannot be empty."))
        }
        (Service::EventBridge, ReadError::Missing(name)) => ErrorResponse::new("ValidationException", null(name)),
        (Service::Elb | Service::Sts, ReadError::Missing(name)) => ErrorResponse::new("ValidationError", null(name)),
        (Service::Elb | Service::Sts, ReadError::Unreadable(error)) => {
            ErrorResponse::new("ValidationError", error.to_string())
        }
        (Service::CloudWatch | Service::Ecs | Service::EventBridge | Service::Sqs, ReadError::Unreadable(error)) => {
            ErrorResponse::new("SerializationException", error.to_string())
        }
    }
}

fn unknown(service: Service, operation: &str) -> ErrorResponse {
    let code = match Protocol::of(service) {
        Protocol::Cbor(_) | Protocol::CompatibleJson(_) | Protocol::Json => "UnknownOperationException",
        Protocol::Query(_) => "InvalidAction",
    };
    let prefix = service.prefix();
    let known: Vec<&str> = service.operations().iter().map(|(name, _)| *name).collect();
    let message =
        format!("The sandbox does not model {prefix}:{operation}. Of {prefix} it models {}.", known.join(", "));
    ErrorResponse::new(code, message)
}

/// Returns the names of all services.
fn services() -> String {
    Service::ALL.map(Service::prefix).join(", ")
}

/// Removes members that are null: AWS treats them as absent.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: Option<&str>) -> Parts {
        let mut request = hyper::Request::post("/");
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn read(target: Option<&str>, body: &str) -> Result<Request, ErrorResponse> {
        RawRequest::read(&head(target), body.as_bytes()).and_then(RawRequest::parse)
    }

    #[test]
    fn the_target_header_selects_service_and_operation() {
        let request = read(Some("AmazonSQS.GetQueueUrl"), r#"{"QueueName": "q"}"#).expect("a valid request");
        assert_eq!(request, Request::Sqs(sqs::Request::GetQueueUrl(sqs::GetQueueUrlInput { queue_name: "q".into() })));
        let request = read(Some("AmazonEC2ContainerServiceV20141113.ListClusters"), "{}").expect("a valid request");
        assert_eq!((request.service(), request.operation()), (Service::Ecs, "ListClusters"));
        let members = r#"{"MetricDataQueries": [], "StartTime": 60, "EndTime": 120.5}"#;
        let request = read(Some("GraniteServiceVersion20100801.GetMetricData"), members).expect("a valid request");
        assert_eq!((request.service(), request.operation()), (Service::CloudWatch, "GetMetricData"));
        let request = read(Some("AWSEvents.ListRules"), "{}").expect("a valid request");
        assert_eq!((request.service(), request.operation()), (Service::EventBridge, "ListRules"));
    }

    #[test]
    fn a_form_with_an_action_is_a_request_of_the_query_protocol() {
        let form = "Action=DescribeTags&Version=2015-12-01&ResourceArns.member.1=a&ResourceArns.member.2=b";
        let Ok(Request::Elb(elb::Request::DescribeTags(input))) = read(None, form) else { panic!("another request") };
        assert_eq!(input.resource_arns.member, ["a", "b"]);
    }

    #[test]
    fn the_path_of_a_request_in_cbor_names_service_and_operation() {
        let read = |path: &str, members: &Value| {
            let request = hyper::Request::post(path).header("smithy-protocol", "rpc-v2-cbor");
            let head = request.body(()).expect("a request").into_parts().0;
            RawRequest::read(&head, &cbor::to_bytes(members)).and_then(RawRequest::parse)
        };
        let path = "/service/GraniteServiceVersion20100801/operation/GetMetricData";
        let times = serde_json::json!({ "MetricDataQueries": [], "StartTime": 60, "EndTime": 120.5, "ScanBy": null });
        let Ok(Request::CloudWatch(cloudwatch::Request::GetMetricData(input))) = read(path, &times) else {
            panic!("another request")
        };
        assert_eq!(input.end_time.map(|at| at.as_millisecond()), Some(120_500));
        let refused = |path: &str, members: &Value| {
            let error = read(path, members).expect_err(path);
            (error.code, error.message)
        };
        let (code, message) = refused(path, &serde_json::json!({ "MetricDataQueries": [], "StartTime": 60 }));
        assert_eq!((code.as_str(), message.as_str()), ("ValidationError", "The parameter EndTime is required.\n"));
        assert_eq!(refused(path, &serde_json::json!(1)).0, "SerializationException");
        let (code, message) = refused(&path.replace("GetMetricData", "PutMetricData"), &times);
        assert_eq!(code, "UnknownOperationException");
        assert!(message.contains("Of cloudwatch it models GetMetricData"), "{message}");
        assert_eq!(refused("/service/Other/operation/GetMetricData", &times).0, "UnknownOperationException");
        assert_eq!(refused("/", &times).0, "UnknownOperationException");
    }

    #[test]
    fn null_members_are_absent() {
        let request = read(Some("AmazonSQS.ListQueues"), r#"{"QueueNamePrefix": null, "MaxResults": 3}"#)
            .expect("a valid request");
        let Request::Sqs(sqs::Request::ListQueues(input)) = request else { panic!("another request") };
        assert_eq!((input.queue_name_prefix, input.max_results), (None, Some(3)));
    }

    #[test]
    fn invalid_requests_get_awss_errors() {
        let cases = [
            (Some("AmazonSQS.GetQueueUrl"), "not JSON", "SerializationException", "expected"),
            (Some("AmazonSQS.GetQueueUrl"), "", "SerializationException", "EOF"),
            (Some("AmazonSQS.GetQueueUrl"), r#"{"QueueName": 1}"#, "SerializationException", "string"),
            (Some("AmazonSQS.GetQueueUrl"), r#"["q"]"#, "SerializationException", "must be a JSON object"),
            (Some("AmazonSQS.GetQueueUrl"), "{}", "MissingParameter", "the parameter QueueName"),
            (Some("AWSEvents.DescribeRule"), r#"{"Name": null}"#, "ValidationException", "null at 'name'"),
            (
                Some("AmazonEC2ContainerServiceV20141113.DescribeTasks"),
                "{}",
                "InvalidParameterException",
                "tasks cannot be empty",
            ),
            (None, "Action=AddTags&Version=2015-12-01&ResourceArns.member.1=a", "ValidationError", "null at 'tags'"),
            (Some("AmazonSQS.AddPermission"), "{}", "UnknownOperationException", "sqs:AddPermission"),
            (Some("AmazonSQS.AddPermission"), "{}", "UnknownOperationException", "it models CreateQueue, "),
            (Some("DynamoDB_20120810.Query"), "{}", "UnknownOperationException", "DynamoDB_20120810"),
            (Some("nonsense"), "{}", "UnknownOperationException", "nonsense"),
            (None, "Action=CreateRule&Version=2015-12-01", "InvalidAction", "elasticloadbalancing:CreateRule"),
            (None, "Action=AssumeRole&Version=2011-06-15", "InvalidAction", "Of sts it models GetCallerIdentity"),
            (
                None,
                "Action=DescribeVpcs&Version=2016-11-15",
                "InvalidAction",
                "it models cloudwatch, ecs, elasticloadbalancing",
            ),
            (None, "", "MissingAction", "/_sandbox/"),
            (None, "Action=DescribeTags&Version=2015-12-01&ResourceArns=a", "ValidationError", ""),
            (None, "Action=DescribeTags&Version=2015-12-01&Version.a=b", "MalformedQueryString", "Version"),
        ];
        for (target, body, code, expected) in cases {
            let error = read(target, body).expect_err(body);
            assert_eq!(error.code, code, "{target:?} {body}");
            assert!(error.message.contains(expected), "{target:?} {body} gives {:?}", error.message);
        }
    }
}
