//! Names the endpoint in the errors of connections.

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// An HTTP client whose connection errors begin with the URL of the endpoint: the SDK's own only say that a connection
/// was refused.
#[derive(Debug)]
pub(super) struct NamedEndpoints(SharedHttpClient);

#[derive(Debug)]
struct NamedEndpoint(SharedHttpConnector);

/// An error on the way to an endpoint.
#[derive(Debug)]
struct EndpointError {
    /// Scheme, host and port.
    origin: String,
    source: BoxError,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

impl Error for EndpointError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}

impl NamedEndpoints {
    /// Wraps an HTTP client.
    pub(super) fn wrap(client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Self(client))
    }
}

impl HttpClient for NamedEndpoints {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(NamedEndpoint(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for NamedEndpoint {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let origin = origin(request.uri());
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move { answer.await.map_err(|error| named(error, origin)) })
    }
}

/// Returns the scheme, host and port of a URL.
fn origin(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find(['/', '?']).map_or(url.len(), |at| after_scheme + at);
    url[..end].to_owned()
}

/// Adds the endpoint to an error of the connection; other errors keep their form, by which the SDK decides on a retry.
fn named(error: ConnectorError, origin: String) -> ConnectorError {
    let make = match (error.is_io(), error.is_timeout()) {
        (true, _) => ConnectorError::io,
        (_, true) => ConnectorError::timeout,
        (false, false) => return error,
    };
    let connection = error.connection_metadata().cloned();
    let named = make(EndpointError { origin, source: error.into_source() }.into());
    match connection {
        Some(connection) => named.with_connection(connection),
        None => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_a_url_has_neither_path_nor_query() {
        for (url, expected) in [
            ("http://127.0.0.1:4566/", "http://127.0.0.1:4566"),
            ("https://sqs.eu-west-1.amazonaws.com/1/q?a=b", "https://sqs.eu-west-1.amazonaws.com"),
            ("https://ecs.eu-west-1.amazonaws.com", "https://ecs.eu-west-1.amazonaws.com"),
        ] {
            assert_eq!(origin(url), expected);
        }
    }
}
