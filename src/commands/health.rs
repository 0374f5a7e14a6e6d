//! `health`: asks a worker's `--listen` address whether it lives, for a container without a shell.

use clap::Args;

use super::help::{Group, Help, USAGE_ERROR};
use super::options::values::socket_address;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::CommandError;
use crate::listen::LIVE_PATH;

/// The options of `health`.
#[derive(Debug, Args)]
pub struct HealthOptions {
    /// Address that the worker listens on; for 0.0.0.0 or [::], the loopback is asked
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

/// A worker that lives answers within milliseconds.
const LIMIT: Duration = Duration::from_secs(2);

/// So much of an answer is read; the worker's own are a line.
const ANSWER_BYTES: usize = 4 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Asks, and fails unless the worker says that it lives.
///
/// # Errors
///
/// Why it doesn't, or why it can't be asked.
pub async fn health(options: &HealthOptions) -> Result<(), CommandError> {
    let address = reachable(options.listen);
    let (status, text) = match tokio::time::timeout(LIMIT, ask(address)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(CommandError::Failed(format!("{address} can't be asked: {error}"))),
        Err(_) => {
            let limit = LIMIT.as_secs();
            return Err(CommandError::Failed(format!("{address} has not answered within {limit} s")));
        }
    };
    match status {
        StatusCode::OK => Ok(()),
        status => Err(CommandError::Failed(format!("{address} answers {}: {}", status.as_u16(), text.trim()))),
    }
}

/// Where to ask a worker that listens on this address: one that listens on all of them, on the loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: SocketAddr) -> Result<(StatusCode, String), BoxError> {
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
        // The connection may end as soon as the answer is there.
        _ = connection => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_listens_everywhere_is_asked_on_the_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8081", "127.0.0.1:8081"),
            ("[::]:8081", "[::1]:8081"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("10.0.0.7:8081", "10.0.0.7:8081"),
            ("[fd00::7]:8081", "[fd00::7]:8081"),
        ] {
            let listen: SocketAddr = listen.parse().expect("an address");
            assert_eq!(reachable(listen).to_string(), asked);
        }
    }
}
