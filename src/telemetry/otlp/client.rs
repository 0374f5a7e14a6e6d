//! Sends the requests to the collector, with hyper on the program's runtime.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use crate::aws::client::causes;

/// The reason why the last request got no answer. The exporter's own error doesn't tell it.
#[derive(Clone, Debug, Default)]
pub(super) struct NoAnswer(Arc<Mutex<Option<String>>>);

impl NoAnswer {
    /// Takes the reason, if the last request got no answer.
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: Option<&HttpError>) {
        let reason = error.map(|error| causes(&**error));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// The client of one exporter. OpenTelemetry's SDK calls it on a thread without a runtime.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Handle,
    client: Arc<dyn HttpClient>,
    no_answer: NoAnswer,
}

impl Client {
    /// Creates a client whose requests have this time limit. With TLS the certificates are the system's, read now.
    pub(super) fn new(timeout: Duration, uses_tls: bool, no_answer: NoAnswer) -> std::io::Result<Self> {
        let client: Arc<dyn HttpClient> = match uses_tls {
            false => Arc::new(HyperClient::with_default_connector(timeout, None)),
            true => {
                let connector =
                    HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
                Arc::new(HyperClient::new(connector, timeout, None))
            }
        };
        Ok(Self { runtime: Handle::current(), client, no_answer })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.send_bytes(request).await }).await;
        let response = sent.unwrap_or_else(|error| Err(error.into()));
        self.no_answer.set(response.as_ref().err());
        response
    }
}
