//! The adapter of [`EventBus`]: EventBridge.

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use aws_smithy_types::DateTime;

use super::call::Call;
use super::error_kind;
use crate::aws::event_bus::{Entry, EventBus, RejectedEntry, SOURCE};
use crate::aws::operation::ApiOperation;
use crate::aws::{AwsError, ErrorKind};

/// An EventBridge bus.
pub struct AwsEventBus {
    client: Client,
    name_or_arn: String,
}

impl AwsEventBus {
    /// Creates a client for the bus of that name or ARN.
    pub fn new(config: &SdkConfig, name_or_arn: &str) -> Self {
        Self { client: Client::new(config), name_or_arn: name_or_arn.to_owned() }
    }

    fn call(&self) -> Call<'_> {
        Call::new(ApiOperation::PutEvents, &self.name_or_arn)
    }

    fn request_entry(&self, entry: &Entry) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.name_or_arn)
            .source(SOURCE)
            .detail_type(entry.detail_type)
            .detail(&entry.detail)
            .time(DateTime::from_millis(entry.time.as_millisecond()))
            .build()
    }

    fn rejected(&self, index: usize, entry: PutEventsResultEntry) -> Option<RejectedEntry> {
        let code = entry.error_code?;
        let kind = rejection_kind(&code);
        let message = format!("{code}: {}", entry.error_message.unwrap_or_default());
        Some(RejectedEntry { index, error: self.call().error(kind, Some(code.into()), message, None) })
    }
}

/// Classifies an entry's error code. An entry has no HTTP status; InternalFailure and ThrottlingException are those that
/// may be retried (see PutEventsResultEntry in the EventBridge API reference).
fn rejection_kind(code: &str) -> ErrorKind {
    let status = if code == "InternalFailure" { 500 } else { 400 };
    error_kind(Some(code), Some(status))
}

impl EventBus for AwsEventBus {
    async fn put(&self, entries: &[Entry]) -> Result<Vec<RejectedEntry>, AwsError> {
        let request = entries.iter().map(|entry| self.request_entry(entry)).collect();
        let output = self.client.put_events().set_entries(Some(request)).send().await;
        let output = output.map_err(|error| self.call().failed(error))?;
        let results = output.entries.unwrap_or_default().into_iter().enumerate();
        Ok(results.filter_map(|(index, entry)| self.rejected(index, entry)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rejections_that_aws_documents_as_retryable_are_transient() {
        for code in ["InternalFailure", "ThrottlingException"] {
            assert!(rejection_kind(code).is_transient(), "{code}");
        }
        for code in [
            "AccessDeniedException",
            "InvalidAccountIdException",
            "InvalidArgument",
            "MalformedDetail",
            "RedactionFailure",
            "NotAuthorizedForSourceException",
            "NotAuthorizedForDetailTypeException",
        ] {
            assert!(!rejection_kind(code).is_transient(), "{code}");
        }
    }
}
