//! A forwarding proxy between a client and an emulator. It records each call by name and injects AWS's failures.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::moto;
use crate::wait::eventually;

/// The proxy splits long polls into short ones of this length. moto continues a poll whose client has gone and may take a
/// message for it; with short polls it does so only briefly.
const SHORT_POLL_SECONDS: u64 = 1;

/// A recorded call.
#[derive(Clone, Debug)]
pub struct Call {
    /// `service:Operation`, as IAM names actions, e.g. `elasticloadbalancing:RegisterTargets`.
    pub name: String,
    pub at: Instant,
    /// The time at which the client got the response; `None` before that, and if it got none.
    pub answered: Option<Instant>,
    /// The status of the response that the client got.
    pub status: Option<u16>,
    pub body: String,
}

impl Call {
    /// Returns whether the call changes anything on AWS.
    pub fn is_write(&self) -> bool {
        let operation = self.name.split(':').nth(1).unwrap_or_default();
        !["Describe", "List", "Get", "Receive", "Test"].iter().any(|read| operation.starts_with(read))
    }

    /// Returns whether the client got a response other than an error.
    pub fn succeeded(&self) -> bool {
        self.status == Some(200)
    }

    /// Returns the body with the form's percent-encoding decoded, for searching it.
    pub fn text(&self) -> String {
        decoded(&self.body)
    }
}

type Predicate = Arc<dyn Fn(&str) -> bool + Send + Sync>;
type Rewriting = Arc<Mutex<dyn FnMut(&str, String) -> String + Send>>;

/// The treatment of a call instead of, or in addition to, forwarding it.
#[derive(Clone)]
enum Effect {
    /// Responds with an AWS error in the format of the call's protocol, without forwarding the call.
    Error {
        status: u16,
        code: String,
        message: String,
    },
    /// Responds without forwarding the call.
    Reply {
        status: u16,
        body: String,
    },
    Delay(Duration),
    Hang,
    /// Forwards the call, but responds with an error.
    ErrorAfter {
        status: u16,
        code: String,
        message: String,
    },
    /// Closes the connection without forwarding the call.
    DropBefore,
    /// Forwards the call, but closes the connection without a response.
    DropAfter,
    /// Changes the response.
    Rewrite(Rewriting),
}

struct Rule {
    id: u64,
    operation: String,
    when: Option<Predicate>,
    left: Option<u32>,
    hits: u32,
    effect: Effect,
}

#[derive(Default)]
struct Record {
    calls: Vec<Call>,
    rules: Vec<Rule>,
    next_rule: u64,
}

struct Shared {
    account: String,
    upstream: SocketAddr,
    record: Mutex<Record>,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no panic while the record is locked")
    }
}

/// A proxy in front of an emulator, for one account. Dropping it stops it.
pub struct Proxy {
    pub address: SocketAddr,
    /// Reserves the address while the proxy is down.
    _reservation: TcpSocket,
    shared: Arc<Shared>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// Starts a proxy in front of moto.
    pub async fn start(account: u64) -> Self {
        Self::to(moto::address_for(account), account).await
    }

    /// Starts a proxy in front of the emulator at this address.
    pub async fn to(upstream: SocketAddr, account: u64) -> Self {
        let reservation = reserve(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = reservation.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { account: format!("{account:012}"), upstream, record: Mutex::default() });
        let serving = Mutex::new(Some(tokio::spawn(serve(listener(address), Arc::clone(&shared)))));
        Self { address, _reservation: reservation, shared, serving }
    }

    /// Returns the proxy's URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes all connections and refuses new ones.
    pub async fn go_down(&self) {
        let serving = self.serving.lock().expect("not poisoned").take();
        if let Some(serving) = serving {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Accepts connections again, at the same address.
    pub async fn come_back(&self) {
        let serving = tokio::spawn(serve(listener(self.address), Arc::clone(&self.shared)));
        *self.serving.lock().expect("not poisoned") = Some(serving);
    }

    /// Returns a builder of a fault for calls of an operation, `service:Operation`, which may end with the wildcard `*`.
    pub fn on(&self, operation: &str) -> RuleBuilder<'_> {
        RuleBuilder { proxy: self, operation: operation.to_owned(), when: None, left: None }
    }

    /// Returns all calls so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.record().calls.clone()
    }

    /// Returns all calls so far of an operation, oldest first.
    pub fn calls_of(&self, name: &str) -> Vec<Call> {
        self.shared.record().calls.iter().filter(|call| call.name == name).cloned().collect()
    }

    /// Returns the number of calls so far of an operation.
    pub fn count(&self, name: &str) -> usize {
        self.shared.record().calls.iter().filter(|call| call.name == name).count()
    }

    /// Returns the names of the calls that change something, oldest first.
    pub fn writes(&self) -> Vec<String> {
        self.calls().into_iter().filter(Call::is_write).map(|call| call.name).collect()
    }

    /// Waits until the proxy has recorded at least so many calls of an operation, and returns them.
    pub async fn wait_for_calls(&self, name: &str, at_least: usize) -> Vec<Call> {
        eventually(&format!("{name} has been called {at_least} times"), async || {
            let calls = self.calls_of(name);
            (calls.len() >= at_least).then_some(calls)
        })
        .await
    }

    /// Waits until the last poll has no response yet. A watcher counts a poll when it sends it, so one that it cancels in
    /// the same moment, at a signal, is counted and never arrives here.
    pub async fn wait_for_waiting_poll(&self) {
        eventually("a poll waits for messages", async || {
            self.calls_of("sqs:ReceiveMessage").last().is_some_and(|poll| poll.answered.is_none()).then_some(())
        })
        .await;
    }

    /// Returns the number of calls of each operation, for the message of a failed assertion.
    pub fn summary(&self) -> String {
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        for call in self.calls() {
            *counts.entry(call.name).or_default() += 1;
        }
        counts.iter().map(|(name, count)| format!("  {count:4} {name}\n")).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.lock().expect("not poisoned").take() {
            serving.abort();
        }
    }
}

/// Reserves an address without listening: it refuses connections, and no other process can get it. A [`listener`] on it
/// can come and go.
pub fn reserve(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("the process can open a socket");
    // For the connections of an earlier listener, which may still be closing.
    socket.set_reuseaddr(true).expect("the option exists");
    socket.set_reuseport(true).expect("the option exists");
    socket.bind(address).expect("the loopback has a free port");
    socket
}

/// Listens on a reserved address.
pub fn listener(address: SocketAddr) -> TcpListener {
    reserve(address).listen(1024).expect("the address is reserved")
}

/// Builds a fault: first the calls that it applies to, then its effect.
pub struct RuleBuilder<'a> {
    proxy: &'a Proxy,
    operation: String,
    when: Option<Predicate>,
    left: Option<u32>,
}

impl RuleBuilder<'_> {
    /// Limits the fault to so many calls. Without this, it applies until it is lifted.
    pub fn times(mut self, times: u32) -> Self {
        self.left = Some(times);
        self
    }

    /// Limits the fault to calls whose decoded body contains this text.
    pub fn containing(self, part: &str) -> Self {
        let part = part.to_owned();
        self.matching(move |body| body.contains(&part))
    }

    /// Limits the fault to calls whose decoded body matches the predicate.
    pub fn matching(mut self, when: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(when));
        self
    }

    /// Responds with an error, without forwarding the call.
    pub fn error(self, status: u16, code: &str, message: &str) -> Fault {
        self.install(Effect::Error { status, code: code.to_owned(), message: message.to_owned() })
    }

    /// Responds with an error, although the call has taken effect.
    pub fn error_after(self, status: u16, code: &str, message: &str) -> Fault {
        self.install(Effect::ErrorAfter { status, code: code.to_owned(), message: message.to_owned() })
    }

    /// Responds that the rate is exceeded.
    pub fn throttle(self) -> Fault {
        self.error(400, "ThrottlingException", "Rate exceeded")
    }

    /// Responds with this body, without forwarding the call.
    pub fn reply(self, status: u16, body: &str) -> Fault {
        self.install(Effect::Reply { status, body: body.to_owned() })
    }

    /// Forwards the call after this time.
    pub fn delay(self, time: Duration) -> Fault {
        self.install(Effect::Delay(time))
    }

    /// Never responds.
    pub fn hang(self) -> Fault {
        self.install(Effect::Hang)
    }

    /// Closes the connection without forwarding the call.
    pub fn drop_before(self) -> Fault {
        self.install(Effect::DropBefore)
    }

    /// Closes the connection after the call has taken effect.
    pub fn drop_after(self) -> Fault {
        self.install(Effect::DropAfter)
    }

    /// Responds with the function's result, given the decoded body of the request and the body of the response.
    pub fn rewrite(self, rewriting: impl FnMut(&str, String) -> String + Send + 'static) -> Fault {
        self.install(Effect::Rewrite(Arc::new(Mutex::new(rewriting))))
    }

    /// Changes a response of the JSON protocols.
    pub fn rewrite_json(self, mut rewriting: impl FnMut(&mut serde_json::Value) + Send + 'static) -> Fault {
        self.rewrite(move |_, text| {
            let mut value = serde_json::from_str(&text).expect("the response is JSON");
            rewriting(&mut value);
            value.to_string()
        })
    }

    fn install(self, effect: Effect) -> Fault {
        let mut record = self.proxy.shared.record();
        let id = record.next_rule;
        record.next_rule += 1;
        record.rules.push(Rule { id, operation: self.operation, when: self.when, left: self.left, hits: 0, effect });
        Fault { id, shared: Arc::clone(&self.proxy.shared) }
    }
}

/// An injected fault. It remains when this is dropped; [`Fault::lift`] removes it.
pub struct Fault {
    id: u64,
    shared: Arc<Shared>,
}

impl Fault {
    /// Removes the fault.
    pub fn lift(&self) {
        self.shared.record().rules.retain(|rule| rule.id != self.id);
    }

    /// Returns how many calls the fault has been applied to.
    pub fn hits(&self) -> u32 {
        self.shared.record().rules.iter().find(|rule| rule.id == self.id).map_or(0, |rule| rule.hits)
    }

    /// Waits until the fault has been applied to at least so many calls.
    pub async fn wait_for_hits(&self, at_least: u32) {
        eventually(&format!("the fault has been applied to {at_least} calls"), async || {
            (self.hits() >= at_least).then_some(())
        })
        .await;
    }
}

/// The error that makes the server close the connection without a response.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Owned by this task, so that the connections close with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(move |request| handle(Arc::clone(&shared), request));
                    // The errors are clients that have gone, and connections closed on purpose.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    let name = name_of(&parts.headers, parts.uri.path(), &text);
    let (index, effect) = {
        let mut record = shared.record();
        let at = Instant::now();
        record.calls.push(Call { name: name.clone(), at, answered: None, status: None, body: text.clone() });
        (record.calls.len() - 1, apply(&mut record.rules, &name, &decoded(&text)))
    };
    let call = Forwarded { path: parts.uri.to_string(), headers: parts.headers, body, text };
    let answer = match effect {
        None => call.forward(&shared).await,
        Some(Effect::Error { status, code, message }) => Ok(call.error(status, &code, &message)),
        Some(Effect::ErrorAfter { status, code, message }) => {
            let forwarded = call.forward(&shared).await;
            forwarded.map(|_| call.error(status, &code, &message))
        }
        Some(Effect::Reply { status, body }) => Ok(answer(status, "application/json", body)),
        Some(Effect::Delay(time)) => {
            tokio::time::sleep(time).await;
            call.forward(&shared).await
        }
        Some(Effect::Hang) => std::future::pending().await,
        Some(Effect::DropBefore) => Err(Dropped),
        Some(Effect::DropAfter) => call.forward(&shared).await.and(Err(Dropped)),
        Some(Effect::Rewrite(rewriting)) => match call.forward(&shared).await {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let Ok(body) = body.collect().await;
                let old = String::from_utf8_lossy(&body.to_bytes()).into_owned();
                let request = decoded(&call.text);
                let new = rewriting.lock().expect("a rewriting does not panic")(&request, old);
                Ok(Response::from_parts(parts, Full::new(Bytes::from(new))))
            }
            Err(Dropped) => Err(Dropped),
        },
    };
    if let Ok(response) = &answer {
        let call = &mut shared.record().calls[index];
        call.answered = Some(Instant::now());
        call.status = Some(response.status().as_u16());
    }
    answer
}

/// Applies the first rule that matches the call, and returns its effect.
fn apply(rules: &mut [Rule], name: &str, body: &str) -> Option<Effect> {
    let rule = rules.iter_mut().find(|rule| {
        let operation = match rule.operation.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == rule.operation,
        };
        operation && rule.left != Some(0) && rule.when.as_ref().is_none_or(|when| when(body))
    })?;
    rule.hits += 1;
    rule.left = rule.left.map(|left| left - 1);
    Some(rule.effect.clone())
}

/// Returns the call's name, `service:Operation`. The service is in the signature's scope; the operation is in a header in
/// the JSON protocols and in the form in the query protocol.
fn name_of(headers: &HeaderMap, path: &str, body: &str) -> String {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let service = header(AUTHORIZATION.as_str())
        .and_then(|value| value.split("Credential=").nth(1))
        .and_then(|scope| scope.split('/').nth(3))
        .unwrap_or("unsigned");
    let operation = header("x-amz-target")
        .and_then(|target| target.rsplit('.').next())
        .or_else(|| path.split_once("/operation/").map(|(_, operation)| operation))
        .or_else(|| body.split('&').find_map(|field| field.strip_prefix("Action=")))
        .unwrap_or(path);
    format!("{service}:{operation}")
}

/// A call to forward to the emulator.
struct Forwarded {
    path: String,
    headers: HeaderMap,
    body: Bytes,
    text: String,
}

impl Forwarded {
    async fn forward(&self, shared: &Shared) -> Result<Response<Full<Bytes>>, Dropped> {
        let Some((seconds, mut poll)) = self.long_poll() else {
            return self.send(shared, self.body.clone()).await;
        };
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let left = end.saturating_duration_since(Instant::now()).as_secs();
            poll["WaitTimeSeconds"] = left.min(SHORT_POLL_SECONDS).into();
            let response = self.send(shared, Bytes::from(poll.to_string())).await?;
            let (parts, body) = response.into_parts();
            let Ok(body) = body.collect().await;
            let body = body.to_bytes();
            let empty = parts.status == StatusCode::OK && !String::from_utf8_lossy(&body).contains("\"MessageId\"");
            if !empty || left == 0 {
                return Ok(Response::from_parts(parts, Full::new(body)));
            }
        }
    }

    /// Returns the wait time and the body of a long poll.
    fn long_poll(&self) -> Option<(u64, serde_json::Value)> {
        let target = self.headers.get("x-amz-target")?;
        if target != "AmazonSQS.ReceiveMessage" {
            return None;
        }
        let body: serde_json::Value = serde_json::from_str(&self.text).ok()?;
        let seconds = body["WaitTimeSeconds"].as_u64().filter(|seconds| *seconds > SHORT_POLL_SECONDS)?;
        Some((seconds, body))
    }

    async fn send(&self, shared: &Shared, body: Bytes) -> Result<Response<Full<Bytes>>, Dropped> {
        let stream = TcpStream::connect(shared.upstream).await.map_err(|_| Dropped)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Dropped)?;
        let mut request = Request::post(&self.path).body(Full::new(body)).map_err(|_| Dropped)?;
        // Keeps the proxy as the host, so that the queue URL in moto's response leads through the proxy.
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().remove(CONTENT_LENGTH);
        let account = HeaderValue::from_str(&shared.account).expect("an account is digits");
        request.headers_mut().insert("x-moto-account-id", account);
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|_| Dropped)?;
            let (mut parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
            // They describe the connection to the emulator and the original body.
            for header in ["connection", "content-length", "transfer-encoding"] {
                parts.headers.remove(header);
            }
            Ok(Response::from_parts(parts, Full::new(body)))
        };
        tokio::pin!(exchange);
        // Both in this task, so that the call to the emulator ends with the client's connection.
        tokio::select! {
            response = &mut exchange => response,
            _ = connection => exchange.await,
        }
    }

    fn error(&self, status: u16, code: &str, message: &str) -> Response<Full<Bytes>> {
        if self.headers.contains_key("x-amz-target") {
            let body = serde_json::json!({ "__type": format!("com.amazonaws#{code}"), "message": message });
            return answer(status, "application/x-amz-json-1.1", body.to_string());
        }
        let kind = if status < 500 { "Sender" } else { "Receiver" };
        let body = format!(
            "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><Error><Type>{kind}</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
        );
        answer(status, "text/xml", body)
    }
}

/// The request ID of the proxy's own responses.
pub const REQUEST_ID: &str = "7d1f6c0e-0000-4000-8000-a0b1c2d3e4f5";

fn answer(status: u16, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .header("x-amzn-requestid", REQUEST_ID)
        .body(Full::new(Bytes::from(body)))
        .expect("the parts are valid")
}

/// Decodes the percent-encoding of a form. Applied to JSON, it makes no difference to a search.
fn decoded(body: &str) -> String {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
