//! The sandbox at work: the listener, the connections, the task that steps the world.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::service;
use super::shared::Shared;
use crate::faults::Faults;
use crate::world::World;

/// How long calls in hand may take when the sandbox stops.
const STOPPING: Duration = Duration::from_secs(2);

/// How long a connection may be idle, or take to send a request's head.
const IDLE: Duration = Duration::from_secs(300);

/// How long to wait when no connection can be taken: for want of file handles, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A small AWS that serves on a port. Ends when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    stepping: JoinHandle<()>,
}

impl Sandbox {
    /// Begins to serve. Port 0 stands for any free one; queue URLs begin with the address that it comes to.
    ///
    /// # Errors
    ///
    /// When the address can't be listened on.
    pub async fn start(mut world: World, faults: Faults, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        world.settings_mut().endpoint.clone_from(&endpoint);
        let (stop, stopping) = watch::channel(false);
        let shared = Arc::new(Shared::new(world, faults, endpoint, stopping));
        let stepping = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.keep_stepping().await }
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, stop, serving, stepping })
    }

    /// The URL for `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> &str {
        &self.shared.endpoint
    }

    /// Looks at the world or changes it, past the wire and the faults.
    pub fn with_world<T>(&self, act: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        self.shared.with_world(act)
    }

    /// Looks at the faults or changes them.
    pub fn faults<T>(&self, act: impl FnOnce(&mut Faults) -> T) -> T {
        self.shared.with_faults(act)
    }

    /// The calls so far by operation (`ecs:DescribeTasks`), refused ones included.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.calls()
    }

    /// Stops: takes no more connections, answers the calls in hand (long polls at once), and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.serving.abort();
        self.stepping.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // The connections live in here, so that they end with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => _ = connections.spawn(converse(stream, Arc::clone(&shared))),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = shared.stopped() => break,
        }
    }
    drop(listener);
    // What isn't done by then is dropped with the set.
    let _ = tokio::time::timeout(STOPPING, async { while connections.join_next().await.is_some() {} }).await;
}

/// Answers the requests of one connection, one after the other. How it ends is the client's business.
async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    // Without this, answers in two packets wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| service::handle(&shared, request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = shared.stopped() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
