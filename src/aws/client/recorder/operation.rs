//! The operation that a request names, in each of the protocols.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use crate::aws::operation::ApiOperation;

/// The services in the `X-Amz-Target` header of the JSON protocols, and in the paths of Smithy RPC v2 CBOR, by the names of
/// AWS's models.
const SERVICES: [(&str, &str); 4] = [
    ("AmazonSQS", "sqs"),
    ("AmazonEC2ContainerServiceV20141113", "ecs"),
    ("AWSEvents", "events"),
    ("GraniteServiceVersion20100801", "cloudwatch"),
];

/// The services with the query protocol, by the versions of their APIs.
const VERSIONS: [(&str, &str); 2] = [("2015-12-01", "elasticloadbalancing"), ("2011-06-15", "sts")];

/// Returns the operation; `None` for a request that isn't one of the product's.
pub(super) fn operation(request: &HttpRequest) -> Option<ApiOperation> {
    if let Some(target) = request.headers().get("x-amz-target") {
        let (prefix, name) = target.split_once('.')?;
        return find(&SERVICES, prefix, name);
    }
    if let Some((_, named)) = request.uri().rsplit_once("/service/") {
        let (service, name) = named.split_once("/operation/")?;
        return find(&SERVICES, service, name);
    }
    let (mut action, mut version) = (None, None);
    for (name, value) in form_urlencoded::parse(request.body().bytes()?) {
        match name.as_ref() {
            "Action" => action = Some(value),
            "Version" => version = Some(value),
            _ => {}
        }
    }
    find(&VERSIONS, &version?, &action?)
}

fn find(services: &[(&str, &str)], key: &str, name: &str) -> Option<ApiOperation> {
    let (_, service) = services.iter().find(|(known, _)| *known == key)?;
    ApiOperation::find(service, name)
}
