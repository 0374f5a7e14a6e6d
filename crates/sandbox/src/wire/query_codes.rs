//! Error codes of the services that formerly had the query protocol, and still send its codes in a header.

use hyper::header::{HeaderName, HeaderValue};

use super::{ErrorResponse, HttpResponse};
use crate::api::Service;

/// Errors of SQS's model, with their codes in the query protocol (`awsQueryError` in the model).
const SQS_ERRORS: &[(&str, &str)] = &[
    ("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
    ("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"),
    ("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"),
    ("InvalidAddress", "InvalidAddress"),
    ("InvalidAttributeName", "InvalidAttributeName"),
    ("InvalidAttributeValue", "InvalidAttributeValue"),
    ("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"),
    ("InvalidIdFormat", "InvalidIdFormat"),
    ("InvalidMessageContents", "InvalidMessageContents"),
    ("InvalidSecurity", "InvalidSecurity"),
    ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
    ("OverLimit", "OverLimit"),
    ("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress"),
    ("QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"),
    ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    ("QueueNameExists", "QueueAlreadyExists"),
    ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
    ("RequestThrottled", "RequestThrottled"),
    ("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
    ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"),
];

/// Errors of CloudWatch's model, with their codes in the query protocol.
const CLOUDWATCH_ERRORS: &[(&str, &str)] = &[
    ("InvalidNextToken", "InvalidNextToken"),
    ("InvalidParameterCombinationException", "InvalidParameterCombination"),
    ("InvalidParameterValueException", "InvalidParameterValue"),
];

/// Errors of any service: their names in the other protocols, and their codes in the query protocol.
const COMMON_ERRORS: &[(&str, &str)] = &[
    ("InvalidParameterValueException", "InvalidParameterValue"),
    ("MissingRequiredParameterException", "MissingParameter"),
    ("AccessDeniedException", "AccessDenied"),
    ("ThrottlingException", "Throttling"),
    ("ValidationException", "ValidationError"),
];

/// An error's name with its namespace, and its code in the query protocol.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) kind: String,
    code: String,
}

impl Names {
    /// Returns the names of a service's error.
    pub(super) fn of(service: Service, code: &str) -> Self {
        let (namespace, modelled) = match service {
            Service::CloudWatch => ("com.amazonaws.cloudwatch", CLOUDWATCH_ERRORS),
            _ => ("com.amazonaws.sqs", SQS_ERRORS),
        };
        let known = |errors: &[(&'static str, &'static str)]| {
            errors.iter().copied().find(|(name, query_code)| [*name, *query_code].contains(&code))
        };
        let (namespace, (name, query_code)) = match known(modelled) {
            Some(names) => (namespace, names),
            None => ("com.amazon.coral.service", known(COMMON_ERRORS).unwrap_or((code, code))),
        };
        Self { kind: format!("{namespace}#{name}"), code: query_code.to_owned() }
    }

    /// Adds the header with the code to an error response.
    pub(super) fn add_header(&self, error: &ErrorResponse, response: &mut HttpResponse) {
        let fault = if error.status < 500 { "Sender" } else { "Receiver" };
        // A code that isn't a valid header value, which only a fault plan can set, gets no header.
        if let Ok(value) = HeaderValue::from_str(&format!("{};{fault}", self.code)) {
            response.headers_mut().insert(HeaderName::from_static("x-amzn-query-error"), value);
        }
    }
}
