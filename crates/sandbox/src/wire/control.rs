//! The plain JSON endpoint under `/_sandbox/`, by which the sandbox is looked at and told what to do:
//!
//! - `GET state`: all that the world holds, the calls so far by operation, the settings, the faults.
//! - `POST act`: something befalls the world (see [`Incident`](crate::world::Incident)).
//! - `GET`, `PUT`, `DELETE faults`: the [`FaultPlan`] at work.
//! - `PATCH settings`: a part of the world's [`Settings`](crate::world::Settings); the rest stays.

use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::shared::Shared;
use super::{Answer, answer, state};
use crate::faults::FaultPlan;
use crate::patch::patched;

/// What all its paths begin with.
pub(super) const PREFIX: &str = "/_sandbox/";

/// What was wrong with a request: a status and a sentence.
type Refusal = (u16, String);

pub(super) fn handle(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Answer {
    let result = match (path, method.as_str()) {
        ("state", "GET") => state(shared),
        ("act", "POST") => act(shared, body),
        ("faults", "GET") => shared.with_faults(|faults| shown(faults.plan())),
        ("faults", "PUT") => set_faults(shared, body),
        ("faults", "DELETE") => shared.with_faults(|faults| {
            faults.clear();
            shown(faults.plan())
        }),
        ("settings", "PATCH") => patch_settings(shared, body),
        ("state" | "act" | "faults" | "settings", _) => Err((405, format!("{PREFIX}{path} does not take {method}."))),
        _ => Err((404, format!("There is no {PREFIX}{path}; there are state, act, faults and settings."))),
    };
    let (status, value) = match result {
        Ok(value) => (200, value),
        Err((status, sentence)) => (status, json!({ "error": sentence })),
    };
    answer(status, "application/json", format!("{value:#}\n"))
}

fn state(shared: &Shared) -> Result<Value, Refusal> {
    let (world, settings, now) = shared.look(|world, now| (state::of(world), shown(world.settings()), now));
    Ok(json!({
        "endpoint": shared.endpoint,
        "now": now,
        "next-step-at": shared.next_step_at(),
        "calls": shared.calls(),
        "world": world,
        "settings": settings?,
        "faults": shared.with_faults(|faults| shown(faults.plan()))?,
    }))
}

fn act(shared: &Shared, body: &[u8]) -> Result<Value, Refusal> {
    let incident = read(body)?;
    shared.with_world(|world, now| world.inject(incident, now)).map_err(|error| (400, error.to_string()))?;
    Ok(json!({}))
}

fn set_faults(shared: &Shared, body: &[u8]) -> Result<Value, Refusal> {
    let plan: FaultPlan = read(body)?;
    shared.with_faults(|faults| {
        faults.set(plan).map_err(|error| (400, error.to_string()))?;
        shown(faults.plan())
    })
}

fn patch_settings(shared: &Shared, body: &[u8]) -> Result<Value, Refusal> {
    let patch: Value = read(body)?;
    shared.with_world(|world, _| {
        let patched = patched(world.settings_mut(), patch).map_err(|error| (400, error.to_string()))?;
        *world.settings_mut() = patched;
        shown(world.settings_mut())
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| (400, format!("The body cannot be read: {error}.")))
}

fn shown(value: &impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(|error| (500, format!("It cannot be shown: {error}.")))
}
