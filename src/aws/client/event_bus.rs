//! An event bus of EventBridge.

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use aws_smithy_types::DateTime;

use super::{Call, error_kind};
use crate::aws::event_bus::{Entry, EventBus, RejectedEntry, SOURCE};
use crate::aws::{AwsError, ErrorKind};

/// A bus of EventBridge.
pub struct AwsEventBus {
    client: Client,
    name_or_arn: String,
}

impl AwsEventBus {
    /// The bus of that name, or with that ARN.
    pub fn new(config: &SdkConfig, name_or_arn: &str) -> Self {
        Self { client: Client::new(config), name_or_arn: name_or_arn.to_owned() }
    }

    fn call(&self) -> Call<'_> {
        Call { service: "events", operation: "PutEvents", resource: &self.name_or_arn }
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

/// What an entry's error code means. It has no status of its own, but AWS says which are worth another try:
/// InternalFailure and ThrottlingException (see PutEventsResultEntry in EventBridge's API reference).
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
    use crate::retry::{Prospect, prospect};

    #[test]
    fn of_the_entries_that_are_refused_only_those_go_again_that_aws_says_may() {
        for code in ["InternalFailure", "ThrottlingException"] {
            assert_eq!(prospect(rejection_kind(code)), Prospect::Passing, "{code}");
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
            assert_eq!(prospect(rejection_kind(code)), Prospect::Lasting, "{code}");
        }
    }
}
