//! TLS of listeners: the certificate, the security policy and the ALPN policy.

use super::validation::invalid;
use crate::api::ApiError;
use crate::api::elb as api;
use crate::world::settings::Settings;

/// Security policy of a listener that is created by the API without one ("Security policies for your Network Load
/// Balancer", Elastic Load Balancing user guide).
const DEFAULT_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// Prefix of the names of all security policies. The sandbox has no list of them.
const POLICY_PREFIX: &str = "ELBSecurityPolicy-";

/// ALPN policies of a TLS listener (CreateListener, AlpnPolicy).
const ALPN_POLICIES: [&str; 5] = ["HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"];

/// TLS configuration of a listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    certificate: String,
    policy: String,
    alpn_policy: Option<String>,
}

/// Members of a request that configure TLS.
#[derive(Debug)]
pub struct TlsInput {
    /// `Certificates`.
    pub certificates: api::Members<api::Certificate>,
    /// `SslPolicy`.
    pub ssl_policy: Option<String>,
    /// `AlpnPolicy`.
    pub alpn_policy: api::Members<String>,
}

impl Tls {
    /// Returns the TLS configuration of a listener after a request; `None` for a protocol without TLS. Members that the
    /// request leaves out keep their values.
    ///
    /// # Errors
    ///
    /// Returns AWS's error for a request that it would refuse.
    pub fn of_listener(
        protocol: &str,
        before: Option<&Self>,
        input: TlsInput,
        settings: &Settings,
    ) -> Result<Option<Self>, ApiError> {
        let TlsInput { certificates, ssl_policy, alpn_policy } = input;
        if !matches!(protocol, "TLS" | "HTTPS") {
            if ssl_policy.is_some() {
                return Err(invalid(format!("An SSL policy cannot be specified for {protocol} listeners")));
            }
            if !certificates.member.is_empty() {
                return Err(invalid(format!("A certificate cannot be specified for {protocol} listeners")));
            }
            if !alpn_policy.member.is_empty() {
                return Err(invalid(format!("An ALPN policy cannot be specified for {protocol} listeners")));
            }
            return Ok(None);
        }
        let certificate = match certificates.member.as_slice() {
            [] => before.map(|before| before.certificate.clone()),
            [only] => Some(checked_certificate(&only.certificate_arn, settings)?),
            several => {
                let message =
                    format!("Up to '1' certificate ARNs can be specified, but '{}' were specified", several.len());
                return Err(ApiError::new("TooManyCertificates", message));
            }
        };
        let certificate =
            certificate.ok_or_else(|| invalid(format!("A certificate must be specified for {protocol} listeners")))?;
        let policy = match ssl_policy {
            Some(policy) if policy.starts_with(POLICY_PREFIX) => policy,
            Some(policy) => return Err(ApiError::new("SSLPolicyNotFound", format!("SSL policy '{policy}' not found"))),
            None => before.map_or_else(|| DEFAULT_POLICY.to_owned(), |before| before.policy.clone()),
        };
        let alpn_policy = match alpn_policy.member.as_slice() {
            [] => before.and_then(|before| before.alpn_policy.clone()),
            [only] if protocol == "TLS" && ALPN_POLICIES.contains(&only.as_str()) => Some(only.clone()),
            _ => {
                let message =
                    format!("The ALPN policy must be one of '{}', on a TLS listener", ALPN_POLICIES.join(", "));
                return Err(ApiError::new("ALPNPolicyNotFound", message));
            }
        };
        Ok(Some(Self { certificate, policy, alpn_policy }))
    }

    /// Writes the configuration into a listener in the form of the API.
    pub fn describe(&self, listener: &mut api::Listener) {
        let certificate = api::Certificate { certificate_arn: self.certificate.clone() };
        listener.certificates = Some([certificate].into_iter().collect());
        listener.ssl_policy = Some(self.policy.clone());
        listener.alpn_policy = self.alpn_policy.clone().map(|policy| [policy].into_iter().collect());
    }
}

/// Returns a certificate's ARN. The sandbox has neither ACM nor IAM: every certificate exists, but one of another region or
/// account can't be used, as on AWS.
fn checked_certificate(arn: &str, settings: &Settings) -> Result<String, ApiError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_usable = match parts.as_slice() {
        ["arn", _, "acm", region, account, resource] => {
            *region == settings.region && *account == settings.account && resource.starts_with("certificate/")
        }
        ["arn", _, "iam", "", account, resource] => {
            *account == settings.account && resource.starts_with("server-certificate/")
        }
        _ => false,
    };
    if is_usable { Ok(arn.to_owned()) } else { Err(invalid(format!("Certificate ARN '{arn}' is not valid"))) }
}
