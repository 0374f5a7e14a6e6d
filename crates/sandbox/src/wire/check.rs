//! What must hold for every call there is: for the tests and the fuzzing. Calls go in without a socket.

use http_body_util::BodyExt;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::shared::Shared;
use super::{Answer, service};
use crate::faults::Faults;
use crate::platform;
use crate::world::{Settings, World};

/// What stands between two calls of a conversation: a line of its own.
const NEXT: &[u8] = b"\n---\n";

/// Makes calls that stand in a text, one after the other on one world, and checks each answer.
///
/// Between two calls is a line `---`. The first line of a call is what its `X-Amz-Target` header says, or `form` for a
/// call of the query protocol, or `POST act` and the like for the control endpoint; the rest is its body.
///
/// # Panics
///
/// When an answer isn't as it should be.
pub fn conversation(text: &[u8]) {
    let talk = Talk::begin();
    for call in split(text, NEXT) {
        let end = call.iter().position(|byte| *byte == b'\n').unwrap_or(call.len());
        let (head, body) = (String::from_utf8_lossy(&call[..end]), call.get(end + 1..).unwrap_or_default().to_vec());
        match head.split_once(' ') {
            Some((method, path)) => talk.control(method, path, body),
            None if head == "form" => talk.call(None, body),
            None => talk.call(Some(&head), body),
        }
    }
}

fn split<'a>(text: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(by.len()).position(|window| window == by) {
        parts.push(&rest[..at]);
        rest = &rest[at + by.len()..];
    }
    parts.push(rest);
    parts
}

/// Somebody who calls, and the sandbox that answers.
pub(super) struct Talk {
    shared: Shared,
    runtime: Runtime,
    _stop: watch::Sender<bool>,
}

impl Talk {
    /// With the ready-made platform.
    pub(super) fn begin() -> Self {
        let now = Timestamp::now();
        let mut world = World::new(Settings::default().scaled(1e6), 1, now);
        platform::set_up(&mut world, now).expect("the platform is made");
        let (stop, stopping) = watch::channel(false);
        let shared = Shared::new(world, Faults::new(1), "http://localhost".to_owned(), stopping);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        Self { shared, runtime, _stop: stop }
    }

    /// A call of an AWS service. The answer is JSON or XML as its call is, and an error says what it is.
    pub(super) fn call(&self, target: Option<&str>, body: Vec<u8>) {
        let mut request = hyper::Request::post("/");
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        let Some(answer) = self.ask(request, body) else { return };
        let status = answer.status().as_u16();
        let header = answer.headers().get("x-amzn-query-error").cloned();
        let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
        let body = self.body_of(answer);
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

    /// A call of the control endpoint; not of its faults, after which every answer is as it should be.
    fn control(&self, method: &str, path: &str, body: Vec<u8>) {
        if path.starts_with("faults") {
            return;
        }
        let Ok(method) = hyper::Method::from_bytes(method.as_bytes()) else { return };
        let request = hyper::Request::builder().method(method).uri(format!("/_sandbox/{path}"));
        let Some(answer) = self.ask(request, body) else { return };
        let status = answer.status().as_u16();
        let body = self.body_of(answer);
        let value: Value = serde_json::from_str(&body).expect("JSON");
        assert!(matches!(status, 200 | 400 | 404 | 405), "{status} {body}");
        assert_eq!(status != 200, value["error"].is_string(), "{body}");
    }

    /// What can stand in no header or address never comes.
    fn ask(&self, request: hyper::http::request::Builder, body: Vec<u8>) -> Option<Answer> {
        let (head, ()) = request.body(()).ok()?.into_parts();
        let answer = self.runtime.block_on(service::answer(&self.shared, &head, &Bytes::from(body)));
        Some(answer.expect("nothing is dropped"))
    }

    fn body_of(&self, answer: Answer) -> String {
        let body = self.runtime.block_on(answer.into_body().collect()).expect("a whole body").to_bytes();
        String::from_utf8(body.to_vec()).expect("answers are UTF-8")
    }
}
