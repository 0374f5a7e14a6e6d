//! Invariants of responses to any request, for tests and fuzzing. Requests are handled without sockets.

use http_body_util::BodyExt;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::server_state::ServerState;
use super::{HttpResponse, cbor, handler};
use crate::faults::Faults;
use crate::platform;
use crate::world::{Settings, World};

/// Line between two requests of a conversation.
const SEPARATOR: &[u8] = b"\n---\n";

/// Sends the requests in a text to one world, one after the other, and checks each response.
///
/// A line `---` separates requests. The first line of a request is the value of its `X-Amz-Target` header, `form` for the
/// query protocol, a path such as `/service/SERVICE/operation/OPERATION` for CBOR, or a method and a path such as `POST act` for the control API. The other lines are its body.
///
/// # Panics
///
/// Panics when a response violates an invariant.
pub fn conversation(text: &[u8]) {
    let client = Client::start();
    for request in split(text, SEPARATOR) {
        let end = request.iter().position(|byte| *byte == b'\n').unwrap_or(request.len());
        let (head, body) =
            (String::from_utf8_lossy(&request[..end]), request.get(end + 1..).unwrap_or_default().to_vec());
        match head.split_once(' ') {
            Some((method, path)) => client.control(method, path, body),
            None if head == "form" => client.request(None, body),
            None if head.starts_with('/') => client.cbor(&head, body),
            None => client.request(Some(&head), body),
        }
    }
}

fn split<'a>(text: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(separator.len()).position(|window| window == separator) {
        parts.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest);
    parts
}

/// A client, with the server state that handles its requests.
pub(super) struct Client {
    state: ServerState,
    runtime: Runtime,
    _stop: watch::Sender<bool>,
}

impl Client {
    /// Starts a client of a world with the ready-made platform.
    pub(super) fn start() -> Self {
        let now = Timestamp::now();
        let mut world = World::new(Settings::default().scaled(1e6), 1, now);
        platform::set_up(&mut world, now).expect("the platform is created");
        let (stop, stopping) = watch::channel(false);
        let state = ServerState::new(world, Faults::new(1), "http://localhost".to_owned(), stopping);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        Self { state, runtime, _stop: stop }
    }

    /// Sends a request to an AWS service. The response must have the protocol of the request, and an error its code.
    pub(super) fn request(&self, target: Option<&str>, body: Vec<u8>) {
        let mut request = hyper::Request::post("/");
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        let Some(response) = self.send(request, body) else { return };
        let status = response.status().as_u16();
        let header = response.headers().get("x-amzn-query-error").cloned();
        let kind = response.headers()["content-type"].to_str().expect("text").to_owned();
        let body = self.body_of(response);
        assert!(matches!(status, 200 | 400 | 403), "{status} {body}");
        if target.is_none() {
            assert_eq!(kind, "text/xml");
            let mut reader = quick_xml::Reader::from_str(&body);
            while reader.read_event().expect("well-formed XML") != quick_xml::events::Event::Eof {}
            assert!(body.chars().all(|c| c >= ' ' || matches!(c, '\t' | '\n' | '\r')), "{body:?}");
            assert_eq!(status != 200, body.contains("<ErrorResponse"), "{body}");
        } else {
            let body: Value = serde_json::from_str(&body).expect("JSON");
            let is_error = body["__type"].is_string() && body["message"].is_string();
            assert_eq!(status != 200, is_error, "{body}");
            assert_eq!(header.is_some(), is_error && kind.ends_with("-1.0"), "{body}");
        }
    }

    /// Sends a request in CBOR. The response must be in CBOR too, and an error have its code.
    pub(super) fn cbor(&self, path: &str, body: Vec<u8>) {
        let request = hyper::Request::post(path).header("smithy-protocol", "rpc-v2-cbor");
        let Some(response) = self.send(request, body) else { return };
        let status = response.status().as_u16();
        assert_eq!(response.headers()["content-type"], "application/cbor");
        assert_eq!(response.headers()["smithy-protocol"], "rpc-v2-cbor");
        let has_code = response.headers().contains_key("x-amzn-query-error");
        let body = self.bytes_of(response);
        let body = cbor::parse(&body).expect("CBOR");
        assert!(matches!(status, 200 | 400), "{status} {body}");
        let is_error = body["__type"].is_string() && body["message"].is_string();
        assert_eq!((status != 200, has_code), (is_error, is_error), "{body}");
    }

    /// Sends a request to the control API, except for faults, under which any response is valid.
    fn control(&self, method: &str, path: &str, body: Vec<u8>) {
        if path.starts_with("faults") {
            return;
        }
        let Ok(method) = hyper::Method::from_bytes(method.as_bytes()) else { return };
        let request = hyper::Request::builder().method(method).uri(format!("/_sandbox/{path}"));
        let Some(response) = self.send(request, body) else { return };
        let status = response.status().as_u16();
        let body = self.body_of(response);
        let value: Value = serde_json::from_str(&body).expect("JSON");
        assert!(matches!(status, 200 | 400 | 404 | 405), "{status} {body}");
        assert_eq!(status != 200, value["error"].is_string(), "{body}");
    }

    /// Sends a request; returns `None` when it isn't valid HTTP.
    fn send(&self, request: hyper::http::request::Builder, body: Vec<u8>) -> Option<HttpResponse> {
        let (head, ()) = request.body(()).ok()?.into_parts();
        let response = self.runtime.block_on(handler::handle_whole(&self.state, &head, &Bytes::from(body)));
        Some(response.expect("no fault drops the connection"))
    }

    fn body_of(&self, response: HttpResponse) -> String {
        String::from_utf8(self.bytes_of(response).to_vec()).expect("responses are UTF-8")
    }

    fn bytes_of(&self, response: HttpResponse) -> Bytes {
        self.runtime.block_on(response.into_body().collect()).expect("a whole body").to_bytes()
    }
}
