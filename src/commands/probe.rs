//! Asks the platform's own address over HTTPS, by the connector that the AWS SDK uses.

use std::time::Duration;

use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use futures_util::future::BoxFuture;

use crate::operations::up::Probe;

/// An address that answers at all does so within this time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// One address.
pub struct HttpProbe {
    url: String,
    connector: Connector,
}

impl HttpProbe {
    /// A probe of this address.
    pub fn new(url: http::Uri) -> Self {
        let settings =
            HttpConnectorSettings::builder().connect_timeout(ANSWERS_WITHIN).read_timeout(ANSWERS_WITHIN).build();
        let connector = Connector::builder()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .connector_settings(settings)
            .build();
        Self { url: url.to_string(), connector }
    }
}

impl Probe for HttpProbe {
    fn url(&self) -> &str {
        &self.url
    }

    fn ask(&self) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async {
            let request = HttpRequest::get(&self.url).map_err(|error| error.to_string())?;
            let asked = tokio::time::timeout(ANSWERS_WITHIN, self.connector.call(request)).await;
            let response = match asked {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(causes(&error)),
                Err(_) => return Err(format!("no answer within {} s", ANSWERS_WITHIN.as_secs())),
            };
            let status = response.status().as_u16();
            if status < 400 { Ok(status.to_string()) } else { Err(format!("it answers {status}")) }
        })
    }
}

/// What a connection's error says, and what lies beneath it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
