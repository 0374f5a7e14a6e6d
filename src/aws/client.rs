//! The adapter: the port's calls through the AWS SDK. Nobody else knows the SDK.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
    BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction, RetryReason};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::ErrorKind as SdkErrorKind;
use aws_types::request_id::RequestId;
use jiff::Timestamp;

use crate::aws::{AwsError, Calls, Deadline, ErrorKind, LONGEST_CALL};
use crate::clock::AwsClock;

mod event_bus;
mod event_source;
#[cfg(all(test, feature = "sandbox"))]
mod pages;
mod platform;
mod queue;
mod scaling;

pub use event_bus::AwsEventBus;
pub use event_source::AwsEventSource;
pub use platform::AwsPlatform;
pub use queue::SqsQueue;

/// A connection that isn't there by then won't come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// One try of one call; the slowest that the watcher makes answer within a second or two.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the SDK tries a call in all; beyond that the worker's own retries begin, which log.
const ATTEMPTS: u32 = 3;

/// Finding credentials may take a round of the instance metadata service, or a refresh of an SSO token.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(15);

/// Where AWS is, and who asks.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The region; the SDK's own chain without it.
    pub region: Option<String>,
    /// The profile; the SDK's own chain without it.
    pub profile: Option<String>,
    /// One endpoint for all services, for an emulator.
    pub endpoint_url: Option<String>,
}

/// Why there is no talking to AWS.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No region anywhere.
    #[error(
        "--region: no region is set; give --region, JVB_WATCHER_REGION, JITSI_AWS_REGION or AWS_REGION, or a profile that has one"
    )]
    NoRegion,
    /// No credentials anywhere, or none that work.
    #[error(
        "no credentials{of_profile}: log in (aws sso login), name a profile (--profile), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; tried: {why}"
    )]
    NoCredentials {
        /// ` from profile P`, if one was named.
        of_profile: String,
        /// What the credentials' providers say.
        why: String,
    },
}

/// The SDK's settings for a sandbox, with credentials made up: nothing is taken from the environment or from files.
#[cfg(feature = "sandbox")]
pub fn connect_to_sandbox(endpoint: &str, region: &str) -> SdkConfig {
    let credentials = aws_credential_types::Credentials::new("sandbox", "sandbox", None, None, "sandbox");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .timeout_config(timeouts())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .region(Region::new(region.to_owned()))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(LONGEST_CALL)
        .build()
}

/// The SDK's settings for this connection, with credentials that have been found to exist.
///
/// # Errors
///
/// When no region or no credentials are to be found.
pub async fn connect(connection: &Connection) -> Result<SdkConfig, ConnectError> {
    let http_client = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client.clone())
        .timeout_config(timeouts())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    if let Some(region) = &connection.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &connection.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(profile) = &connection.profile {
        loader = loader.profile_name(profile);
    }
    let mut config = loader.load().await;
    // An empty variable is no region either.
    if config.region().is_none_or(|region| region.as_ref().is_empty()) {
        return Err(ConnectError::NoRegion);
    }
    if let Some(profile) = &connection.profile {
        // A profile that somebody names goes before credentials in the environment, as with the AWS CLI. One that
        // assumes a role asks STS in the region just found.
        let provider_config =
            ProviderConfig::without_region().with_http_client(http_client).with_region(config.region().cloned());
        let credentials =
            ProfileFileCredentialsProvider::builder().configure(&provider_config).profile_name(profile).build();
        config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    }
    let no_credentials = |why: String| {
        let of_profile = connection.profile.as_ref().map(|profile| format!(" from profile {profile}"));
        ConnectError::NoCredentials { of_profile: of_profile.unwrap_or_default(), why }
    };
    let provider = config.credentials_provider().ok_or_else(|| no_credentials("none are set up".to_owned()))?;
    match tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(config),
        Ok(Err(error)) => Err(no_credentials(chain(&error).split_whitespace().collect::<Vec<_>>().join(" "))),
        Err(_) => Err(no_credentials(format!("none came within {} s", CREDENTIALS_TIMEOUT.as_secs()))),
    }
}

/// Counts the requests that go out, retries included, and the throttling errors that come back.
#[derive(Clone, Debug, Default)]
struct CallCounter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    throttled: AtomicU64,
}

impl CallCounter {
    fn calls(&self) -> Calls {
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
        // What the SDK itself takes for throttling when it decides on a retry; it knows each operation's errors.
        let is_throttling = |action| {
            let throttling = SdkErrorKind::ThrottlingError;
            matches!(action, RetryAction::RetryIndicated(RetryReason::RetryableError { kind, .. }) if kind == throttling)
        };
        if components.retry_classifiers().any(|of| is_throttling(of.classify_retry(context.inner()))) {
            self.0.throttled.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Tells the clock what time AWS's answers give.
#[derive(Clone)]
struct DateReader(Arc<AwsClock>);

/// When a request went out.
#[derive(Debug)]
struct SentAt(Timestamp);

impl Storable for SentAt {
    type Storer = StoreReplace<Self>;
}

impl std::fmt::Debug for DateReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DateReader")
    }
}

#[dyn_dispatch_hint]
impl Intercept for DateReader {
    fn name(&self) -> &'static str {
        "DateReader"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(SentAt(self.0.machine_now()));
        Ok(())
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(http_date);
        if let (Some(date), Some(SentAt(sent_at))) = (date, config.load::<SentAt>()) {
            self.0.heard(date, *sent_at, self.0.machine_now());
        }
        Ok(())
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    Timestamp::from_second(DateTime::from_str(text, Format::HttpDate).ok()?.secs()).ok()
}

/// Keeps a request from going out after its deadline, whatever has held it up since.
#[derive(Clone, Debug)]
struct NotAfter(Deadline);

#[dyn_dispatch_hint]
impl Intercept for NotAfter {
    fn name(&self) -> &'static str {
        "NotAfter"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.0.left().is_zero() { Err("not sent, since it is too late for it".into()) } else { Ok(()) }
    }
}

/// One operation on one resource, for the errors that it may meet.
#[derive(Clone, Copy)]
struct Call<'a> {
    service: &'static str,
    operation: &'static str,
    resource: &'a str,
}

impl Call<'_> {
    /// Says what the SDK's error means here.
    fn failed<E>(self, error: SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let code: Option<Box<str>> = error.code().map(Into::into);
        let status = error.raw_response().map(|response| response.status().as_u16());
        let kind =
            if lacks_credentials(&error) { ErrorKind::Unauthenticated } else { error_kind(code.as_deref(), status) };
        let message = match (&code, error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_string(),
            _ if matches!(&error, SdkError::DispatchFailure(failure) if failure.is_io()) => {
                format!("{}; check the network, --region and --endpoint-url", chain(&error))
            }
            _ => chain(&error),
        };
        let request_id = error.request_id().map(Into::into);
        self.error(kind, code, message, request_id)
    }

    /// Fails when the deadline has passed.
    fn before(self, deadline: &Deadline) -> Result<(), AwsError> {
        let Self { service, operation, resource } = self;
        if deadline.left().is_zero() { Err(deadline.missed(service, operation, resource)) } else { Ok(()) }
    }

    /// AWS answered, and the answer lacks what it always has.
    fn incomplete(self, what: &str) -> AwsError {
        self.error(ErrorKind::Unavailable, None, format!("the answer has no {what}"), None)
    }

    fn error(self, kind: ErrorKind, code: Option<Box<str>>, message: String, request_id: Option<Box<str>>) -> AwsError {
        let Self { service, operation, resource } = self;
        AwsError { kind, service, operation, resource: resource.to_owned(), code, message, request_id }
    }
}

/// What an error code, or an answer's HTTP status, means; without either there was no answer.
pub fn error_kind(code: Option<&str>, status: Option<u16>) -> ErrorKind {
    // The JSON protocols may put a namespace before the code, and old SQS codes a service's name.
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

/// Whether a call failed before it was sent, for want of credentials.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// An error and what caused it, in one line, saying nothing twice.
fn chain(error: &dyn Error) -> String {
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
    fn every_code_of_the_documentation_has_its_kind() {
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
    fn a_chain_of_errors_says_nothing_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: inner")]
        struct Outer(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("inner")]
        struct Inner(#[source] std::io::Error);
        let error = Outer(Inner(std::io::Error::other("the cause")));
        assert_eq!(chain(&error), "outer: inner: the cause");
    }
}
