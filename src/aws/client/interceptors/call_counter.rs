//! Counts requests and throttling errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction, RetryReason};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ErrorKind;

use crate::aws::Calls;

/// Counts the requests that are sent, retries included, and the throttling errors that AWS answers. Clones share the
/// counts.
#[derive(Clone, Debug, Default)]
pub(in crate::aws::client) struct CallCounter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    throttled: AtomicU64,
}

impl CallCounter {
    /// Returns the counts so far.
    pub(in crate::aws::client) fn calls(&self) -> Calls {
        Calls { sent: self.0.sent.load(Ordering::Relaxed), throttled: self.0.throttled.load(Ordering::Relaxed) }
    }
}

#[dyn_dispatch_hint]
impl Intercept for CallCounter {
    fn name(&self) -> &'static str {
        "CallCounter"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The classifiers by which the SDK decides on a retry know the throttling errors of each operation.
        let is_throttling = |action| {
            let throttling = ErrorKind::ThrottlingError;
            matches!(action, RetryAction::RetryIndicated(RetryReason::RetryableError { kind, .. }) if kind == throttling)
        };
        if components.retry_classifiers().any(|of| is_throttling(of.classify_retry(context.inner()))) {
            self.0.throttled.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
