//! One call: an operation on a resource, and the errors it fails with.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::error::{causes, error_kind, lacks_credentials};
use super::interceptors::ends_early;
use crate::aws::operation::ApiOperation;
use crate::aws::{AwsError, Deadline, ErrorKind};

/// An operation on a resource.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    operation: ApiOperation,
    resource: &'a str,
}

impl<'a> Call<'a> {
    /// Names the operation and its resource, the latter by name, ARN or URL.
    pub(super) fn new(operation: ApiOperation, resource: &'a str) -> Self {
        Self { operation, resource }
    }

    /// Converts the SDK's error.
    pub(super) fn failed<E>(self, error: SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let is_torn = error.raw_response().is_some_and(ends_early);
        // Of an answer that ends early, the code may be a part of one.
        let code: Option<Box<str>> = error.code().filter(|_| !is_torn).map(Into::into);
        let status = error.raw_response().map(|response| response.status().as_u16());
        let kind = if lacks_credentials(&error) {
            ErrorKind::Unauthenticated
        } else if is_torn {
            // Whatever the status says: the code would say more.
            ErrorKind::Unavailable
        } else {
            error_kind(code.as_deref(), status)
        };
        let message = match (&code, error.message(), &error) {
            (Some(code), Some(message), _) => format!("{code}: {message}"),
            (Some(code), None, _) => code.to_string(),
            (None, _, SdkError::DispatchFailure(failure)) if failure.is_io() || failure.is_timeout() => {
                // The SDK's own words for the failure and its kind ("dispatch failure: io error") add nothing.
                let cause = failure.as_connector_error().and_then(Error::source).map_or_else(|| causes(&error), causes);
                format!("no connection to {cause}; check the network, --region and --endpoint-url")
            }
            // The SDK's words say nothing of an answer that it can't parse.
            _ => match status {
                Some(status) if is_torn => format!("the answer, with HTTP status {status}, ends early"),
                Some(status) => format!("HTTP status {status} without an error code: {}", causes(&error)),
                None => causes(&error),
            },
        };
        let request_id = error.request_id().map(Into::into);
        self.error(kind, code, message, request_id)
    }

    /// Fails if the deadline has passed.
    pub(super) fn before(self, deadline: &Deadline) -> Result<(), AwsError> {
        if deadline.left().is_zero() {
            Err(deadline.missed(self.operation.service(), self.operation.name(), self.resource))
        } else {
            Ok(())
        }
    }

    /// Returns the error of an answer that lacks a field that AWS documents as always present.
    pub(super) fn incomplete(self, field: &str) -> AwsError {
        self.error(ErrorKind::Unavailable, None, format!("the answer has no {field}"), None)
    }

    /// Returns the error of this call.
    pub(super) fn error(
        self,
        kind: ErrorKind,
        code: Option<Box<str>>,
        message: String,
        request_id: Option<Box<str>>,
    ) -> AwsError {
        let Self { operation, resource } = self;
        let (service, operation) = (operation.service(), operation.name());
        AwsError { kind, service, operation, resource: resource.to_owned(), code, message, request_id }
    }
}

/// Returns `None` for a resource that doesn't exist.
pub(super) fn none_if_not_found<T>(error: AwsError) -> Result<Option<T>, AwsError> {
    if error.is(ErrorKind::NotFound) { Ok(None) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::operation::list_services::ListServicesError;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    #[test]
    fn an_answer_without_an_error_code_is_named_by_its_status() {
        let response = HttpResponse::new(503.try_into().expect("a status"), SdkBody::from("{}"));
        let unparsable: SdkError<ListServicesError, HttpResponse> = SdkError::response_error("no code", response);
        let error = Call::new(ApiOperation::ListServices, "c").failed(unparsable);
        assert_eq!((error.kind, error.code), (ErrorKind::Unavailable, None));
        assert!(error.message.starts_with("HTTP status 503 without an error code: "), "{}", error.message);
    }
}
