//! The server: the listener, the connections, and the task that advances the world.

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

use super::clock::Clock;
use super::handler;
use super::recording::RecordedCall;
use super::server_state::ServerState;
use crate::faults::Faults;
use crate::world::World;

/// Time for requests in progress to finish when the sandbox stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for which a connection may be idle, or take to send a request's head.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Pause after a failure to accept a connection, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A small AWS that serves on a port. Dropping it ends it at once; [`Sandbox::stop`] ends it gracefully.
#[derive(Debug)]
pub struct Sandbox {
    state: Arc<ServerState>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    stepping: JoinHandle<()>,
}

impl Sandbox {
    /// Starts to serve. Port 0 selects a free port. Queue URLs begin with the resulting address.
    ///
    /// # Errors
    ///
    /// Returns an error when the address can't be listened on.
    pub async fn start(mut world: World, faults: Faults, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        world.settings_mut().endpoint.clone_from(&endpoint);
        let (stop, stopping) = watch::channel(false);
        let state = Arc::new(ServerState::new(world, faults, endpoint, stopping));
        let stepping = tokio::spawn({
            let state = Arc::clone(&state);
            async move { state.keep_stepping().await }
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { state, stop, serving, stepping })
    }

    /// Returns the URL for `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> &str {
        &self.state.endpoint
    }

    /// Reads or changes the world directly, past the wire protocols and the faults.
    pub fn with_world<T>(&self, work: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        self.state.with_world(work)
    }

    /// Reads or changes the faults.
    pub fn faults<T>(&self, work: impl FnOnce(&mut Faults) -> T) -> T {
        self.state.with_faults(work)
    }

    /// Returns the sandbox's clock.
    pub fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.state.clock)
    }

    /// Lets time pass at once: sets the clock ahead, and everything that is due until then happens, in order.
    ///
    /// The delays of the world can be scaled. The minutes of CloudWatch can't: its clients reckon in minutes of the clock.
    pub fn advance(&self, by: Duration) {
        self.state.advance(by);
    }

    /// Returns the number of requests so far by operation (`ecs:DescribeTasks`), refused ones included.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.state.request_counts()
    }

    /// Records every call from now on, and forgets those recorded before. Calls of the control API are never recorded.
    pub fn record_calls(&self) {
        self.state.record_calls();
    }

    /// Returns the calls recorded since [`Sandbox::record_calls`] or the last time, in the order of their responses.
    pub fn take_recorded_calls(&self) -> Vec<RecordedCall> {
        self.state.take_recorded_calls()
    }

    /// Stops: accepts no more connections, finishes the requests in progress (long polls at once), and ends.
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

async fn serve(listener: TcpListener, state: Arc<ServerState>) {
    // Owns the connections, so that they end with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => _ = connections.spawn(serve_connection(stream, Arc::clone(&state))),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = state.stopped() => break,
        }
    }
    drop(listener);
    // Connections that take longer end when the set is dropped.
    let _ = tokio::time::timeout(STOP_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await;
}

/// Handles the requests of one connection. Its errors only concern the client.
async fn serve_connection(stream: TcpStream, state: Arc<ServerState>) {
    // Otherwise a response in two packets waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| handler::handle(&state, request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = state.stopped() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
