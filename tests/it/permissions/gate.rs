//! A gate in front of the sandbox, which checks every call against the policy and denies or forwards it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jvb_watcher_sandbox::wire::Sandbox;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::authorization::{Authorization, authorizations};
use super::evaluator::Evaluator;

/// The decision about a call.
#[derive(Clone, Debug)]
pub struct Decision {
    /// `service:Operation`.
    pub call: String,
    /// The authorizations that the call required; empty for a call that the tests don't know.
    pub required: Vec<Authorization>,
    /// The first of them that the policy denies.
    pub denied: Option<Authorization>,
}

struct Shared {
    sandbox: Arc<Sandbox>,
    evaluator: Evaluator,
    policy: Value,
    client: Client<HttpConnector, Full<Bytes>>,
    decisions: Mutex<Vec<Decision>>,
}

/// The gate. Dropping it stops it.
pub struct Gate {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

impl Gate {
    pub async fn start(sandbox: Arc<Sandbox>, policy: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let client = Client::builder(TokioExecutor::new()).build_http();
        let (evaluator, decisions) = (Evaluator::start(), Mutex::default());
        let shared = Arc::new(Shared { sandbox, evaluator, policy, client, decisions });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, _serving: serving }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the decisions about all calls so far.
    pub fn decisions(&self) -> Vec<Decision> {
        self.shared.decisions.lock().expect("not poisoned").clone()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Owned by this task, so that the connections close with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(move |request| handle(Arc::clone(&shared), request));
                    // The errors are clients that have gone.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn handle(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    let (service, operation) = name_of(&parts, &text);
    let required = authorizations(&service, &operation, &text, &|arn| tags(&shared.sandbox, arn)).unwrap_or_default();
    let denied = required.iter().find(|required| !shared.evaluator.allows(&shared.policy, required)).cloned();
    let call = format!("{service}:{operation}");
    let is_denied = required.is_empty() || denied.is_some();
    shared.decisions.lock().expect("not poisoned").push(Decision { call: call.clone(), required, denied });
    if is_denied {
        return Ok(access_denied(&parts.headers, &call));
    }
    parts.uri = format!("{}{}", shared.sandbox.endpoint(), parts.uri).parse()?;
    parts.headers.remove(HOST);
    let (parts, body) = shared.client.request(Request::from_parts(parts, Full::new(body))).await?.into_parts();
    Ok(Response::from_parts(parts, Full::new(body.collect().await?.to_bytes())))
}

/// Returns service and operation. The service is in the signature's scope; the operation is in a header in the JSON
/// protocols, in the form in the query protocol, and in the path in the CBOR protocol.
fn name_of(parts: &Parts, body: &str) -> (String, String) {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let service = header(AUTHORIZATION.as_str()).split('/').nth(3).unwrap_or_default();
    let operation = match header("x-amz-target").rsplit('.').next() {
        Some(operation) if !operation.is_empty() => operation,
        _ if parts.uri.path().contains("/operation/") => parts.uri.path().rsplit('/').next().unwrap_or_default(),
        _ => body.split('&').find_map(|field| field.strip_prefix("Action=")).unwrap_or_default(),
    };
    (service.to_owned(), operation.to_owned())
}

/// Returns the current tags of a resource.
fn tags(sandbox: &Sandbox, arn: &str) -> Vec<(String, String)> {
    sandbox.with_world(|world, _| {
        let load_balancer =
            world.load_balancers().into_iter().find(|load_balancer| load_balancer.arn == arn).map(|found| found.tags);
        let group = || world.groups().into_iter().find(|group| group.arn == arn).map(|found| found.tags);
        load_balancer.or_else(group).unwrap_or_default()
    })
}

/// Returns AWS's error for a denied call, in the format of the call's protocol.
fn access_denied(headers: &HeaderMap, call: &str) -> Response<Full<Bytes>> {
    let message = format!("User is not authorized to perform: {call}");
    let (status, kind, body) = if headers.contains_key("x-amz-target") {
        let body = serde_json::json!({ "__type": "com.amazonaws#AccessDeniedException", "message": message });
        (400, "application/x-amz-json-1.1", body.to_string())
    } else if headers.contains_key("smithy-protocol") {
        let map = [("__type", "com.amazonaws.cloudwatch#AccessDeniedException"), ("message", &message)];
        let response = Response::builder().status(403).header(CONTENT_TYPE, "application/cbor");
        let response = response.header("smithy-protocol", "rpc-v2-cbor").body(Full::new(cbor(&map)));
        return response.expect("the parts are valid");
    } else {
        let body = format!(
            "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><Error>\
             <Type>Sender</Type><Code>AccessDenied</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        (403, "text/xml", body)
    };
    let response = Response::builder().status(status).header(CONTENT_TYPE, kind).body(Full::new(Bytes::from(body)));
    response.expect("the parts are valid")
}

/// Encodes a map of at most 23 short texts (RFC 8949).
fn cbor(map: &[(&str, &str)]) -> Bytes {
    let mut bytes = vec![0xa0 + u8::try_from(map.len()).expect("a short map")];
    for text in map.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend([0x78, u8::try_from(text.len()).expect("a short text")]);
        bytes.extend(text.bytes());
    }
    Bytes::from(bytes)
}
