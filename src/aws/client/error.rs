//! Classification of the SDK's errors.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;

use crate::aws::ErrorKind;

/// Classifies an error by AWS's error code and the HTTP status of the answer. Without either there was no answer.
///
/// The codes are those of the "Errors" sections of the operations and of the "Common Errors" in the API references of ECS,
/// Elastic Load Balancing, SQS and EventBridge.
pub fn error_kind(code: Option<&str>, status: Option<u16>) -> ErrorKind {
    // The JSON protocols may prefix the code with a namespace; old SQS codes have the service's name in front.
    let code = code.map(|code| code.rsplit(['#', '.']).next().unwrap_or(code));
    match (code, status) {
        (
            Some(
                "LoadBalancerNotFound"
                | "LoadBalancerNotFoundException"
                | "TargetGroupNotFound"
                | "TargetGroupNotFoundException"
                | "ClusterNotFoundException"
                | "ServiceNotFoundException"
                | "QueueDoesNotExist"
                | "NonExistentQueue"
                | "ResourceNotFoundException",
            ),
            _,
        ) => ErrorKind::NotFound,
        (Some("ResourceInUse" | "ResourceInUseException"), _) => ErrorKind::ResourceInUse,
        (Some("OperationNotPermitted" | "OperationNotPermittedException"), _) => ErrorKind::OperationNotPermitted,
        (Some("TooManyTargets" | "TooManyTargetsException" | "TooManyRegistrationsForTargetId"), _) => {
            ErrorKind::TooManyTargets
        }
        (Some("InvalidTarget" | "InvalidTargetException"), _) => ErrorKind::InvalidTarget,
        (
            Some(
                "Throttling"
                | "ThrottlingException"
                | "ThrottledException"
                | "RequestThrottled"
                | "RequestThrottledException"
                | "RequestLimitExceeded"
                | "TooManyRequestsException"
                | "SlowDown"
                | "PriorRequestNotComplete",
            ),
            _,
        ) => ErrorKind::Throttled,
        (
            Some(
                "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized" | "OptInRequired",
            ),
            _,
        ) => ErrorKind::AccessDenied,
        (
            Some(
                "UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "ExpiredToken"
                | "ExpiredTokenException"
                | "RequestExpired"
                | "InvalidSignatureException"
                | "SignatureDoesNotMatch"
                | "IncompleteSignature"
                | "MissingAuthenticationToken"
                | "MissingAuthenticationTokenException"
                | "AuthFailure",
            ),
            _,
        ) => ErrorKind::Unauthenticated,
        (_, Some(429)) => ErrorKind::Throttled,
        (_, Some(401 | 403)) => ErrorKind::AccessDenied,
        (_, Some(400..=499)) => ErrorKind::Rejected,
        _ => ErrorKind::Unavailable,
    }
}

/// Returns true if a call failed before it was sent because there are no credentials.
pub(super) fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Joins an error and its causes in one line, leaving out a cause that the text contains already.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_documented_error_codes() {
        let table = [
            (Some("LoadBalancerNotFound"), Some(400), ErrorKind::NotFound),
            (Some("AWS.SimpleQueueService.NonExistentQueue"), Some(400), ErrorKind::NotFound),
            (Some("com.amazonaws.sqs#QueueDoesNotExist"), Some(400), ErrorKind::NotFound),
            (Some("ResourceInUse"), Some(400), ErrorKind::ResourceInUse),
            (Some("OperationNotPermitted"), Some(400), ErrorKind::OperationNotPermitted),
            (Some("TooManyTargets"), Some(400), ErrorKind::TooManyTargets),
            (Some("InvalidTarget"), Some(400), ErrorKind::InvalidTarget),
            (Some("Throttling"), Some(400), ErrorKind::Throttled),
            (Some("ThrottlingException"), Some(400), ErrorKind::Throttled),
            (Some("RequestLimitExceeded"), Some(503), ErrorKind::Throttled),
            (Some("TooManyRequestsException"), Some(429), ErrorKind::Throttled),
            (Some("AccessDenied"), Some(403), ErrorKind::AccessDenied),
            (Some("AccessDeniedException"), Some(400), ErrorKind::AccessDenied),
            (Some("ExpiredToken"), Some(403), ErrorKind::Unauthenticated),
            (Some("UnrecognizedClientException"), Some(400), ErrorKind::Unauthenticated),
            (Some("ValidationError"), Some(400), ErrorKind::Rejected),
            (Some("InvalidParameterException"), Some(400), ErrorKind::Rejected),
            (Some("ServerException"), Some(500), ErrorKind::Unavailable),
            (Some("ServiceUnavailable"), Some(503), ErrorKind::Unavailable),
            (None, Some(502), ErrorKind::Unavailable),
            (None, Some(403), ErrorKind::AccessDenied),
            (None, None, ErrorKind::Unavailable),
        ];
        for (code, status, expected) in table {
            assert_eq!(error_kind(code, status), expected, "{code:?} with status {status:?}");
        }
    }

    #[test]
    fn joins_the_causes_of_an_error_without_repetition() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: inner")]
        struct Outer(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("inner")]
        struct Inner(#[source] std::io::Error);
        let error = Outer(Inner(std::io::Error::other("the cause")));
        assert_eq!(causes(&error), "outer: inner: the cause");
    }
}
