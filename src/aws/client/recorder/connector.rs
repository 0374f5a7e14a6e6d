//! The HTTP client between the SDK and AWS. It copies requests and answers, and changes neither.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::{Error as BodyError, SdkBody};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use jiff::Timestamp;

use super::Sink;
use super::line::RecordedCall;
use super::operation::operation;

/// An HTTP client that records.
#[derive(Debug)]
pub(super) struct RecordingClient {
    inner: SharedHttpClient,
    sink: Sink,
}

#[derive(Debug)]
struct RecordingConnector {
    inner: SharedHttpConnector,
    sink: Sink,
}

impl RecordingClient {
    pub(super) fn new(inner: SharedHttpClient, sink: Sink) -> Self {
        Self { inner, sink }
    }
}

impl HttpClient for RecordingClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(RecordingConnector { inner, sink: self.sink.clone() })
    }
}

impl HttpConnector for RecordingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // What names no operation that the product calls is not recorded.
        let Some(operation) = operation(&request) else { return self.inner.call(request) };
        let call = RecordedCall {
            operation,
            request_type: request.headers().get("content-type").map(str::to_owned),
            request: request.body().bytes().map(<[u8]>::to_vec).unwrap_or_default(),
            sent: Timestamp::now(),
            ended: Timestamp::now(),
            status: None,
            headers: Vec::new(),
            answer: Vec::new(),
            failure: None,
        };
        let mut pending = Pending { call: Some(call), sink: self.sink.clone() };
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            match answer.await {
                Ok(response) => Ok(pending.with_body(response)),
                Err(error) => {
                    pending.end(Some(kind(&error)));
                    Err(error)
                }
            }
        })
    }
}

fn kind(error: &ConnectorError) -> &'static str {
    match (error.is_timeout(), error.is_io()) {
        (true, _) => "timeout",
        (_, true) => "connection",
        (false, false) => "other",
    }
}

/// A call without its whole answer. It is recorded when the answer ends, and if the SDK gives up before.
struct Pending {
    call: Option<RecordedCall>,
    sink: Sink,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

impl Pending {
    fn end(&mut self, failure: Option<&'static str>) {
        if let Some(mut call) = self.call.take() {
            call.ended = Timestamp::now();
            call.failure = failure;
            self.sink.record(call);
        }
    }

    /// Adds the head of the answer, and returns the answer with a body that is copied as it is read.
    fn with_body(mut self, mut response: HttpResponse) -> HttpResponse {
        if let Some(call) = &mut self.call {
            call.status = Some(response.status().as_u16());
            call.headers = response.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        }
        let inner = response.take_body();
        // An empty body is never read.
        if inner.is_end_stream() {
            self.end(None);
        }
        *response.body_mut() = SdkBody::from_body_1_x(CopiedBody { inner, pending: self });
        response
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // The SDK's time limit was over, or the program no longer wanted the answer.
        self.end(Some("abandoned"));
    }
}

/// A body that is copied as it is read.
#[derive(Debug)]
struct CopiedBody {
    inner: SdkBody,
    pending: Pending,
}

impl Body for CopiedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(data), Some(call)) = (frame.data_ref(), &mut self.pending.call) {
                    call.answer.extend_from_slice(data);
                }
                // The reader of a body whose length is known doesn't ask for its end.
                if self.inner.is_end_stream() {
                    self.pending.end(None);
                }
            }
            Some(Err(_)) => self.pending.end(Some("torn")),
            None => self.pending.end(None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
