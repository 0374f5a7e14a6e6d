//! Makes a span of each call within a reconciliation.
//!
//! Names and attributes are those of OpenTelemetry's semantic conventions 1.44, "AWS SDK client spans"
//! (`docs/cloud-providers/aws-sdk.md` in open-telemetry/semantic-conventions), with the status code and the count of
//! retries of "HTTP spans", and `error.type` of "Recording errors".

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, Error, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{Metadata, OrchestratorError};
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::error::metadata::ErrorMetadata;
use aws_types::region::Region;
use aws_types::request_id::RequestId;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::trace::{self, ERROR_TYPE, OTHER_ERROR};

/// Makes the spans.
#[derive(Clone, Copy, Debug)]
pub(in crate::aws::client) struct CallTracer;

/// The context with a call's span.
#[derive(Debug)]
struct CallSpan(Context);

impl Storable for CallSpan {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for CallTracer {
    fn name(&self) -> &'static str {
        "CallTracer"
    }

    // At `read_before_execution` the operation is not in the configuration yet.
    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(metadata) = config.load::<Metadata>() else { return Ok(()) };
        let (service, operation) = (metadata.service().to_owned(), metadata.name().to_owned());
        let name = format!("{service}.{operation}");
        let mut attributes = vec![
            KeyValue::new("rpc.system", "aws-api"),
            KeyValue::new("rpc.service", service),
            KeyValue::new("rpc.method", operation),
        ];
        let region = config.load::<Region>().map(ToString::to_string);
        attributes.extend(region.map(|region| KeyValue::new("cloud.region", region)));
        if let Some(span) = trace::start(name, SpanKind::Client, attributes) {
            config.interceptor_state().store_put(CallSpan(span));
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(CallSpan(span)) = config.load::<CallSpan>()
            && let Some(Err(error)) = context.output_or_error()
        {
            let error_type = KeyValue::new(ERROR_TYPE, error_type(context, error));
            span.span().add_event("attempt_failed", [error_type].into_iter().chain(response(context)).collect());
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(CallSpan(span)) = config.load::<CallSpan>() else { return Ok(()) };
        let span = span.span();
        span.set_attributes(response(context));
        let attempts = config.load::<RequestAttempts>().map_or(1, RequestAttempts::attempts);
        if attempts > 1 {
            span.set_attribute(KeyValue::new("http.request.resend_count", i64::from(attempts - 1)));
        }
        if let Some(Err(error)) = context.output_or_error() {
            let error_type = error_type(context, error);
            let message = metadata(error).and_then(ErrorMetadata::message);
            span.set_status(Status::error(message.map_or_else(|| error_type.clone(), str::to_owned)));
            span.set_attribute(KeyValue::new(ERROR_TYPE, error_type));
        }
        span.end();
        Ok(())
    }
}

/// Returns the attributes of AWS's answer, if there is one.
fn response(context: &FinalizerInterceptorContextRef<'_>) -> Vec<KeyValue> {
    let Some(response) = context.response() else { return Vec::new() };
    let status = KeyValue::new("http.response.status_code", i64::from(response.status().as_u16()));
    let request_id = response.request_id().map(|id| KeyValue::new("aws.request_id", id.to_owned()));
    [status].into_iter().chain(request_id).collect()
}

/// Returns AWS's error code; without one the status, or why there is no answer.
fn error_type(context: &FinalizerInterceptorContextRef<'_>, error: &OrchestratorError<Error>) -> String {
    if let Some(code) = metadata(error).and_then(ErrorMetadata::code) {
        return code.to_owned();
    }
    match context.response() {
        Some(response) if !response.status().is_success() => response.status().as_u16().to_string(),
        _ if error.is_timeout_error() => "timeout".to_owned(),
        _ if error.is_connector_error() => "connection".to_owned(),
        _ => OTHER_ERROR.to_owned(),
    }
}

/// Defines [`metadata`] and, for the test, the names of the errors that it knows.
macro_rules! errors {
    ($($client:ident { $($operation:ident::$error:ident,)* })*) => {
        /// Returns the error's code and message. The SDK erases an error's type before interceptors see it.
        fn metadata(error: &OrchestratorError<Error>) -> Option<&ErrorMetadata> {
            let error = error.as_operation_error()?;
            $($(
                if let Some(error) = error.downcast_ref::<$client::operation::$operation::$error>() {
                    return Some(error.meta());
                }
            )*)*
            None
        }

        #[cfg(test)]
        const ERRORS: &[&str] = &[$($(stringify!($error),)*)*];
    };
}

errors! {
    aws_sdk_ecs {
        describe_services::DescribeServicesError,
        describe_task_definition::DescribeTaskDefinitionError,
        describe_tasks::DescribeTasksError,
        list_services::ListServicesError,
        list_tags_for_resource::ListTagsForResourceError,
        list_tasks::ListTasksError,
        tag_resource::TagResourceError,
        untag_resource::UntagResourceError,
        update_service::UpdateServiceError,
    }
    aws_sdk_elasticloadbalancingv2 {
        add_tags::AddTagsError,
        delete_load_balancer::DeleteLoadBalancerError,
        delete_target_group::DeleteTargetGroupError,
        deregister_targets::DeregisterTargetsError,
        describe_load_balancer_attributes::DescribeLoadBalancerAttributesError,
        describe_load_balancers::DescribeLoadBalancersError,
        describe_tags::DescribeTagsError,
        describe_target_groups::DescribeTargetGroupsError,
        describe_target_health::DescribeTargetHealthError,
        register_targets::RegisterTargetsError,
        remove_tags::RemoveTagsError,
    }
    aws_sdk_cloudwatch {
        get_metric_data::GetMetricDataError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::operation::ApiOperation;

    #[test]
    fn knows_the_errors_of_all_operations_of_the_clients() {
        let is_traced =
            |operation: &&ApiOperation| ["ecs", "elasticloadbalancing", "cloudwatch"].contains(&operation.service());
        let operations = ApiOperation::ALL.iter().filter(is_traced);
        let mut expected: Vec<_> = operations.map(|operation| format!("{}Error", operation.name())).collect();
        expected.sort();
        let mut known = ERRORS.to_vec();
        known.sort_unstable();
        assert_eq!(known, expected);
    }
}
