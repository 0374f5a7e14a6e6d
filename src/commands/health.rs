//! `health`: probes the liveness endpoint of a worker, for a container without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::CommandError;
use super::help::{Group, Help, USAGE_ERROR};
use super::options::values::socket_address;
use crate::listen::LIVE_PATH;

/// The options of `health`.
#[derive(Debug, Args)]
pub struct HealthOptions {
    /// Address that the worker listens on; with 0.0.0.0 or [::], the loopback is probed
    #[arg(long, env = "JVB_WATCHER_LISTEN", value_name = "ADDRESS:PORT", value_parser = socket_address)]
    pub listen: SocketAddr,
}

/// The help of `health`.
pub const HELP: Help = Help {
    group: Group::Inspect,
    examples: &[
        ("As the health check of a container", "jvb-watcher health --listen 127.0.0.1:8081"),
        ("With the worker's own environment", "JVB_WATCHER_LISTEN=0.0.0.0:8081 jvb-watcher health"),
    ],
    exit_status: &[(0, "healthy"), (1, "not healthy, or no answer within two seconds"), USAGE_ERROR],
    see_also: &["run", "status"],
};

/// The time limit; a healthy worker answers within milliseconds.
const LIMIT: Duration = Duration::from_secs(2);

/// The longest answer that is read; the worker's own are one line.
const ANSWER_BYTES: usize = 4 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Probes the worker.
///
/// # Errors
///
/// Returns an error if the worker is unhealthy, or doesn't answer.
pub async fn health(options: &HealthOptions) -> Result<(), CommandError> {
    let address = probe_address(options.listen);
    let (status, text) = match tokio::time::timeout(LIMIT, probe(address)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(CommandError::Failed(format!("cannot probe {address}: {error}"))),
        Err(_) => {
            let limit = LIMIT.as_secs();
            return Err(CommandError::Failed(format!("{address} did not answer within {limit} s")));
        }
    };
    match status {
        StatusCode::OK => Ok(()),
        status => Err(CommandError::Failed(format!("{address} answers {}: {}", status.as_u16(), text.trim()))),
    }
}

/// The address at which to probe a worker: the loopback address, if it listens on all addresses.
fn probe_address(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn probe(address: SocketAddr) -> Result<(StatusCode, String), BoxError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(LIVE_PATH).header(header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection may end as soon as it has delivered the answer.
        _ = connection => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_a_worker_that_listens_on_all_addresses_at_the_loopback() {
        for (listen, probed) in [
            ("0.0.0.0:8081", "127.0.0.1:8081"),
            ("[::]:8081", "[::1]:8081"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("10.0.0.7:8081", "10.0.0.7:8081"),
            ("[fd00::7]:8081", "[fd00::7]:8081"),
        ] {
            let listen: SocketAddr = listen.parse().expect("an address");
            assert_eq!(probe_address(listen).to_string(), probed);
        }
    }
}
