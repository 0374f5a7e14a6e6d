//! The control API: plain JSON under `/_sandbox/`, to inspect and change the sandbox while it runs.
//!
//! - `GET state`: the world, the number of requests by operation, the settings and the fault plan.
//! - `POST act`: injects an [`Incident`].
//! - `POST advance`: lets time pass at once, `{"by": "1m"}`.
//! - `GET`, `PUT`, `DELETE faults`: the active [`FaultPlan`].
//! - `PATCH settings`: changes members of the world's [`Settings`](crate::world::Settings).

use std::time::Duration;

use hyper::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::server_state::ServerState;
use super::{HttpResponse, respond, world_json};
use crate::duration;
use crate::faults::FaultPlan;
use crate::world::Incident;

/// Prefix of all paths.
pub(super) const PREFIX: &str = "/_sandbox/";

/// The body of `advance`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    #[serde(with = "duration")]
    by: Duration,
}

/// An error response: its HTTP status and its message.
struct ControlError {
    status: u16,
    message: String,
}

impl ControlError {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

pub(super) fn handle(state: &ServerState, method: &Method, path: &str, body: &[u8]) -> HttpResponse {
    let result = match (path, method.as_str()) {
        ("state", "GET") => get_state(state),
        ("act", "POST") => inject(state, body),
        ("advance", "POST") => advance(state, body),
        ("faults", "GET") => state.with_faults(|faults| to_json(faults.plan())),
        ("faults", "PUT") => set_faults(state, body),
        ("faults", "DELETE") => state.with_faults(|faults| {
            faults.clear();
            to_json(faults.plan())
        }),
        ("settings", "PATCH") => patch_settings(state, body),
        ("state" | "act" | "advance" | "faults" | "settings", _) => {
            Err(ControlError::new(405, format!("{PREFIX}{path} does not accept {method}.")))
        }
        _ => Err(ControlError::new(
            404,
            format!("{PREFIX}{path} does not exist; use state, act, advance, faults or settings under {PREFIX}."),
        )),
    };
    let (status, value) = match result {
        Ok(value) => (200, value),
        Err(error) => (error.status, json!({ "error": error.message })),
    };
    respond(status, "application/json", format!("{value:#}\n"))
}

fn get_state(state: &ServerState) -> Result<Value, ControlError> {
    let (world, settings, now) =
        state.read_world(|world, now| (world_json::to_json(world), to_json(world.settings()), now));
    Ok(json!({
        "endpoint": state.endpoint,
        "now": now,
        "next-step-at": state.next_step_at(),
        "calls": state.request_counts(),
        "world": world,
        "settings": settings?,
        "faults": state.with_faults(|faults| to_json(faults.plan()))?,
    }))
}

fn inject(state: &ServerState, body: &[u8]) -> Result<Value, ControlError> {
    let incident: Incident = parse(body)?;
    state
        .with_world(|world, now| world.inject(incident, now))
        .map_err(|error| ControlError::new(400, error.to_string()))?;
    Ok(json!({}))
}

fn advance(state: &ServerState, body: &[u8]) -> Result<Value, ControlError> {
    let Advance { by } = parse(body)?;
    state.advance(by);
    Ok(json!({ "now": state.now() }))
}

fn set_faults(state: &ServerState, body: &[u8]) -> Result<Value, ControlError> {
    let plan: FaultPlan = parse(body)?;
    state.with_faults(|faults| {
        faults.set(plan).map_err(|error| ControlError::new(400, error.to_string()))?;
        to_json(faults.plan())
    })
}

fn patch_settings(state: &ServerState, body: &[u8]) -> Result<Value, ControlError> {
    let patch: Value = parse(body)?;
    state.with_world(|world, _| {
        let patched = world.settings().patched(patch).map_err(|error| ControlError::new(400, error.to_string()))?;
        *world.settings_mut() = patched;
        to_json(world.settings())
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ControlError> {
    serde_json::from_slice(body).map_err(|error| ControlError::new(400, format!("The body cannot be read: {error}.")))
}

fn to_json(value: &impl Serialize) -> Result<Value, ControlError> {
    serde_json::to_value(value)
        .map_err(|error| ControlError::new(500, format!("The response cannot be serialized: {error}.")))
}
