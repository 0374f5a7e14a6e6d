//! Sends the requests to the collector, with hyper on the program's runtime.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// The client of one exporter. OpenTelemetry's SDK calls it on a thread without a runtime.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Handle,
    client: Arc<dyn HttpClient>,
}

impl Client {
    /// Creates a client whose requests have this time limit. With TLS the certificates are the system's, read now.
    pub(super) fn new(timeout: Duration, uses_tls: bool) -> std::io::Result<Self> {
        let client: Arc<dyn HttpClient> = match uses_tls {
            false => Arc::new(HyperClient::with_default_connector(timeout, None)),
            true => {
                let connector =
                    HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
                Arc::new(HyperClient::new(connector, timeout, None))
            }
        };
        Ok(Self { runtime: Handle::current(), client })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}
