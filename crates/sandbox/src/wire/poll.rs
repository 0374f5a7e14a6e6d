//! Long polls: a ReceiveMessage that waits for messages, without keeping anybody else from the world.

use std::time::Duration;

use tokio::time::Instant;

use super::shared::Shared;
use crate::api::{ApiError, Request, Response, sqs};

/// Answers once there are messages, or the time is up, or the sandbox stops.
///
/// Whoever drops this takes no message along: between the world's answer and the return there is nothing to wait for.
pub(super) async fn receive(shared: &Shared, input: sqs::ReceiveMessageInput) -> Result<Response, ApiError> {
    let began = Instant::now();
    // A time that AWS wouldn't take is refused by the first look.
    let seconds = |seconds: i32| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let mut wait = input.wait_time_seconds.map(seconds);
    loop {
        let mut arrived = std::pin::pin!(shared.arrived.notified());
        // From here on: what comes between the look and the wait counts too.
        arrived.as_mut().enable();
        let response = shared.call(Request::Sqs(sqs::Request::ReceiveMessage(input.clone())))?;
        if has_messages(&response) {
            return Ok(response);
        }
        let wait = *wait.get_or_insert_with(|| queue_wait(shared, &input.queue_url));
        let left = wait.saturating_sub(began.elapsed());
        if left.is_zero() || *shared.stopping.borrow() {
            return Ok(response);
        }
        tokio::select! {
            () = arrived => {}
            () = tokio::time::sleep(left) => {}
            () = shared.stopped() => {}
        }
    }
}

fn has_messages(response: &Response) -> bool {
    match response {
        Response::Sqs(sqs::Response::ReceiveMessage(output)) => output.messages.as_ref().is_some_and(|m| !m.is_empty()),
        _ => false,
    }
}

/// How long a poll of a queue waits that doesn't say so itself.
fn queue_wait(shared: &Shared, queue_url: &str) -> Duration {
    const NAME: &str = "ReceiveMessageWaitTimeSeconds";
    let input =
        sqs::GetQueueAttributesInput { queue_url: queue_url.to_owned(), attribute_names: vec![NAME.to_owned()] };
    let seconds = match shared.call(Request::Sqs(sqs::Request::GetQueueAttributes(input))) {
        Ok(Response::Sqs(sqs::Response::GetQueueAttributes(output))) => {
            output.attributes.get(NAME).and_then(|value| value.parse().ok())
        }
        _ => None,
    };
    Duration::from_secs(seconds.unwrap_or(0))
}
