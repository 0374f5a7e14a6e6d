//! Stops requests whose deadline has passed.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::aws::Deadline;

/// Fails a request just before it is sent if its deadline has passed, e.g. while the process was frozen or the SDK
/// waited between two attempts.
#[derive(Clone, Debug)]
pub(in crate::aws::client) struct DeadlineGuard(pub(in crate::aws::client) Deadline);

#[dyn_dispatch_hint]
impl Intercept for DeadlineGuard {
    fn name(&self) -> &'static str {
        "DeadlineGuard"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.0.left().is_zero() { Err("not sent: its deadline has passed".into()) } else { Ok(()) }
    }
}
