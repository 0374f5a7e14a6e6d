//! A client in the same process: its requests and their responses pass through the wire protocols, but through no socket.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use super::request::TARGETS;
use super::server_state::ServerState;
use super::{Protocol, cbor, handler, query};
use crate::api::Service;
use crate::faults::Faults;
use crate::world::World;

/// A client of a world of its own, whose clock advances only on request, apart from the time that the calls take.
#[derive(Debug)]
pub(crate) struct Direct {
    state: ServerState,
    _stop: watch::Sender<bool>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct DirectResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Direct {
    pub(crate) fn new(world: World) -> Self {
        let (stop, stopping) = watch::channel(false);
        let endpoint = world.settings().endpoint.clone();
        Self { state: ServerState::new(world, Faults::new(1), endpoint, stopping), _stop: stop }
    }

    /// Returns the time in the world.
    pub(crate) fn now(&self) -> Timestamp {
        self.state.now()
    }

    /// Sets the clock ahead; what is due until then happens.
    pub(crate) fn advance(&self, by: Duration) {
        self.state.advance(by);
    }

    /// Reads or changes the world, with all that is due done.
    pub(crate) fn with_world<T>(&self, work: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        self.state.with_world(|world, now| {
            world.step(now);
            work(world, now)
        })
    }

    /// Sends a request with these members: of the query protocol, the fields of its form. Returns `None` for a request that
    /// isn't HTTP.
    pub(crate) async fn send(&self, service: Service, operation: &str, members: &Value) -> Option<DirectResponse> {
        let (head, body) = encode(service, operation, members)?;
        let response = handler::handle_whole(&self.state, &head, &body.into()).await.ok()?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(DirectResponse { status: head.status.as_u16(), headers: head.headers, body })
    }
}

/// Encodes a request in the protocol that AWS's SDK for Rust uses.
fn encode(service: Service, operation: &str, members: &Value) -> Option<(Parts, Vec<u8>)> {
    let cbor = cbor::SERVICES.iter().find(|(_, of)| *of == service);
    let (request, body) = if let Some((name, _)) = cbor {
        let path = format!("/service/{name}/operation/{operation}");
        (hyper::Request::post(path).header("smithy-protocol", "rpc-v2-cbor"), cbor::to_bytes(members))
    } else if let Protocol::Query(_) = Protocol::of(service) {
        let api = query::APIS.iter().find(|api| api.service == service)?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", operation).append_pair("Version", api.version);
        for (name, value) in members.as_object()? {
            form.append_pair(name, value.as_str().unwrap_or_default());
        }
        (hyper::Request::post("/"), form.finish().into_bytes())
    } else {
        let (prefix, _) = TARGETS.iter().find(|(_, of)| *of == service)?;
        let request = hyper::Request::post("/").header("x-amz-target", format!("{prefix}.{operation}"));
        (request, members.to_string().into_bytes())
    };
    Some((request.body(()).ok()?.into_parts().0, body))
}

/// Parses a body in CBOR; `None` if it isn't CBOR.
pub(crate) fn parse_cbor(body: &[u8]) -> Option<Value> {
    cbor::parse(body).ok()
}
