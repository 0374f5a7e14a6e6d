//! Long polls: ReceiveMessage requests that wait for messages without blocking other requests.

use std::time::Duration;

use tokio::time::Instant;

use super::server_state::ServerState;
use crate::api::{ApiError, Request, Response, sqs};

/// Responds once there are messages, the wait time is over, or the sandbox stops.
///
/// Cancel-safe: there is no await between the world's response and the return, so dropping this loses no message.
pub(super) async fn receive(state: &ServerState, input: sqs::ReceiveMessageInput) -> Result<Response, ApiError> {
    let began = Instant::now();
    // The world's first response refuses a negative wait time.
    let seconds = |seconds: i32| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let mut wait = input.wait_time_seconds.map(seconds);
    loop {
        let mut changed = std::pin::pin!(state.changed.notified());
        // Enabled before the call, so that a message that arrives between the call and the wait ends the wait.
        changed.as_mut().enable();
        let response = state.call(Request::Sqs(sqs::Request::ReceiveMessage(input.clone())))?;
        if has_messages(&response) {
            return Ok(response);
        }
        let wait = *wait.get_or_insert_with(|| default_wait(state, &input.queue_url));
        let left = wait.saturating_sub(began.elapsed());
        if left.is_zero() || state.is_stopping() {
            return Ok(response);
        }
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(left) => {}
            () = state.stopped() => {}
        }
    }
}

fn has_messages(response: &Response) -> bool {
    match response {
        Response::Sqs(sqs::Response::ReceiveMessage(output)) => output.messages.as_ref().is_some_and(|m| !m.is_empty()),
        _ => false,
    }
}

/// Returns the queue's default wait time, for a request that names none.
fn default_wait(state: &ServerState, queue_url: &str) -> Duration {
    const NAME: &str = "ReceiveMessageWaitTimeSeconds";
    let input =
        sqs::GetQueueAttributesInput { queue_url: queue_url.to_owned(), attribute_names: vec![NAME.to_owned()] };
    let seconds = match state.call(Request::Sqs(sqs::Request::GetQueueAttributes(input))) {
        Ok(Response::Sqs(sqs::Response::GetQueueAttributes(output))) => {
            output.attributes.get(NAME).and_then(|value| value.parse().ok())
        }
        _ => None,
    };
    Duration::from_secs(seconds.unwrap_or(0))
}
