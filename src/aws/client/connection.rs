//! Region, credentials and endpoint: the settings that all clients share.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls;

use super::ATTEMPT_TIMEOUT;
use super::endpoint::NamedEndpoints;
use super::error::causes;
use super::profile::{MissingProfile, missing_profile};
use crate::aws::LONGEST_CALL;

/// The time limit for establishing a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The SDK's attempts for each call. Beyond them the worker retries, which it logs.
const ATTEMPTS: u32 = 3;

/// The time limit for finding credentials: a request to the instance metadata service, or a refresh of an SSO token.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(15);

/// The options that select AWS's region, credentials and endpoint.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The region. Without it, the SDK's region provider chain decides.
    pub region: Option<String>,
    /// The profile. Without it, the SDK's credentials provider chain decides.
    pub profile: Option<String>,
    /// One endpoint for all services, e.g. an emulator.
    pub endpoint_url: Option<String>,
}

/// The reasons why no client can be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No region is configured.
    #[error(
        "--region: no region is configured; give --region, set JVB_WATCHER_REGION, JITSI_AWS_REGION or AWS_REGION, or use a profile with a region"
    )]
    NoRegion,
    /// The region from the environment or the profile can't be one.
    #[error(
        "--region: {0:?} is not a region, like eu-west-1; correct AWS_REGION or the profile's region, or give --region"
    )]
    NotARegion(String),
    /// The profile isn't defined.
    #[error(
        "--profile: no profile {name:?} in the AWS configuration files{known}; correct --profile, JVB_WATCHER_PROFILE, JITSI_AWS_PROFILE or AWS_PROFILE, or create it (aws configure sso --profile {name})"
    )]
    NoSuchProfile {
        /// The profile's name.
        name: String,
        /// ` (they define A, B)`, if they define any.
        known: String,
    },
    /// No provider has credentials.
    #[error(
        "no credentials{of_profile}: log in (aws sso login), select a profile (--profile), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; tried: {why}"
    )]
    NoCredentials {
        /// ` from profile P`, if one was selected.
        of_profile: String,
        /// The errors of the credentials providers.
        why: String,
    },
}

impl From<MissingProfile> for ConnectError {
    fn from(MissingProfile { name, known }: MissingProfile) -> Self {
        let known = if known.is_empty() { String::new() } else { format!(" (they define {})", known.join(", ")) };
        Self::NoSuchProfile { name, known }
    }
}

/// Returns the SDK's settings for a sandbox, with made-up credentials. Reads neither environment nor files.
#[cfg(feature = "sandbox")]
pub fn connect_to_sandbox(endpoint: &str, region: &str) -> SdkConfig {
    let credentials = aws_credential_types::Credentials::new("sandbox", "sandbox", None, None, "sandbox");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(NamedEndpoints::wrap(aws_smithy_http_client::Builder::new().build_http()))
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

/// Returns whether a text can be the name of a region: letters, digits and hyphens, as in `eu-west-1`.
pub fn is_region_name(text: &str) -> bool {
    text.contains('-') && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Returns the SDK's settings for a connection, after making sure that there are credentials.
///
/// # Errors
///
/// Returns an error if there is no region or a wrong one, no such profile, or no credentials.
pub async fn connect(connection: &Connection) -> Result<SdkConfig, ConnectError> {
    let selected = connection.profile.as_deref();
    if selected.is_some()
        && let Some(missing) = missing_profile(selected).await
    {
        return Err(missing.into());
    }
    match configure(connection).await {
        Ok(config) => Ok(config),
        // With other credentials in the environment, an AWS_PROFILE that isn't defined does no harm.
        Err(error) => Err(missing_profile(selected).await.map_or(error, Into::into)),
    }
}

async fn configure(connection: &Connection) -> Result<SdkConfig, ConnectError> {
    let http_client = NamedEndpoints::wrap(
        aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https(),
    );
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
    // The SDK takes an empty variable for a region.
    match config.region().map(AsRef::as_ref) {
        None | Some("") => return Err(ConnectError::NoRegion),
        Some(region) if !is_region_name(region) => return Err(ConnectError::NotARegion(region.to_owned())),
        Some(_) => {}
    }
    if let Some(profile) = &connection.profile {
        // As with the AWS CLI, a selected profile has precedence over credentials in the environment. A profile that
        // assumes a role calls STS in the region.
        let provider_config =
            ProviderConfig::without_region().with_http_client(http_client).with_region(config.region().cloned());
        let credentials =
            ProfileFileCredentialsProvider::builder().configure(&provider_config).profile_name(profile).build();
        config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    }
    find_credentials(&config, connection.profile.as_deref()).await?;
    Ok(config)
}

async fn find_credentials(config: &SdkConfig, profile: Option<&str>) -> Result<(), ConnectError> {
    let no_credentials = |why: String| {
        let of_profile = profile.map(|profile| format!(" from profile {profile}")).unwrap_or_default();
        ConnectError::NoCredentials { of_profile, why }
    };
    let provider = config.credentials_provider().ok_or_else(|| no_credentials("no provider".to_owned()))?;
    match tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(no_credentials(causes(&error).split_whitespace().collect::<Vec<_>>().join(" "))),
        Err(_) => Err(no_credentials(format!("no answer within {} s", CREDENTIALS_TIMEOUT.as_secs()))),
    }
}
