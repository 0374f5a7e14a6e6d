//! The HTTP probe of `up --verify-url`, on the connector that the AWS SDK uses.

use std::time::Duration;

use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use futures_util::future::BoxFuture;

use crate::operations::up::Probe;

/// The limit for a connection, and for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A probe of one URL, over HTTPS or HTTP.
pub struct HttpProbe {
    url: String,
    connector: Connector,
}

impl HttpProbe {
    /// Returns a probe of this URL.
    pub fn new(url: http::Uri) -> Self {
        let settings =
            HttpConnectorSettings::builder().connect_timeout(ANSWER_LIMIT).read_timeout(ANSWER_LIMIT).build();
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

    fn send(&self) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async {
            let request = HttpRequest::get(&self.url).map_err(|error| error.to_string())?;
            let answer = tokio::time::timeout(ANSWER_LIMIT, self.connector.call(request)).await;
            let response = match answer {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(causes(&error)),
                Err(_) => return Err(format!("no answer within {} s", ANSWER_LIMIT.as_secs())),
            };
            let status = response.status().as_u16();
            if status < 400 { Ok(status.to_string()) } else { Err(format!("it answers {status}")) }
        })
    }
}

/// Returns a connection's error with its causes, of which the last one names what happened.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
