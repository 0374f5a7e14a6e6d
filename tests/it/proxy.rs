//! A forwarding proxy between a client and moto: it knows each call by name, keeps a record of it, and can make
//! it fail in the ways in which AWS fails.

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
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::moto;
use crate::wait::eventually;

/// How long a long poll waits at moto before the proxy asks again. moto goes on with a poll whose caller is gone,
/// and may hand a message to nobody; with short turns that lasts no longer than this.
const POLL_TURN_SECONDS: u64 = 1;

/// One call as the proxy saw it.
#[derive(Clone, Debug)]
pub struct Call {
    /// `service:Operation`, as IAM writes it: `elasticloadbalancing:RegisterTargets`.
    pub name: String,
    pub at: Instant,
    /// When the answer went back; `None` while it is under way, and when there was none.
    pub answered: Option<Instant>,
    /// The status of the answer that the client got.
    pub status: Option<u16>,
    pub body: String,
}

impl Call {
    /// Whether the call changes anything on AWS.
    pub fn is_write(&self) -> bool {
        let operation = self.name.split(':').nth(1).unwrap_or_default();
        !["Describe", "List", "Get", "Receive", "Test"].iter().any(|read| operation.starts_with(read))
    }

    /// Whether the client got an answer, and not an error.
    pub fn succeeded(&self) -> bool {
        self.status == Some(200)
    }

    /// The whole body with the form's percent signs undone, so that names and addresses can be looked for.
    pub fn text(&self) -> String {
        decoded(&self.body)
    }
}

type Predicate = Arc<dyn Fn(&str) -> bool + Send + Sync>;
type Rewriting = Arc<Mutex<dyn FnMut(&str, String) -> String + Send>>;

/// What happens to a call instead of, or on the way of, being forwarded.
#[derive(Clone)]
enum Effect {
    /// Answered here, never forwarded: an error of AWS, in the shape of the call's protocol.
    Error {
        status: u16,
        code: String,
        message: String,
    },
    /// Answered here, never forwarded.
    Reply {
        status: u16,
        body: String,
    },
    Delay(Duration),
    Hang,
    /// AWS does what was asked, and the answer is an error all the same.
    ErrorAfter {
        status: u16,
        code: String,
        message: String,
    },
    /// The connection ends before AWS has seen the call.
    DropBefore,
    /// The connection ends when AWS has done what was asked.
    DropAfter,
    /// The answer is changed on its way back.
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
struct Book {
    calls: Vec<Call>,
    rules: Vec<Rule>,
    next_rule: u64,
}

struct Shared {
    account: String,
    upstream: SocketAddr,
    book: Mutex<Book>,
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no test panics with the book in hand")
    }
}

/// A proxy in front of moto or a sandbox, for one account. Ends when it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// In front of moto.
    pub async fn start(account: u64) -> Self {
        Self::to(moto::address_for(account), account).await
    }

    pub async fn to(upstream: SocketAddr, account: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared { account: format!("{account:012}"), upstream, book: Mutex::default() });
        let serving = Mutex::new(Some(tokio::spawn(serve(listener, Arc::clone(&shared)))));
        Self { address, shared, serving }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// AWS is gone: every connection ends, new ones are refused.
    pub async fn go_down(&self) {
        let serving = self.serving.lock().expect("not poisoned").take();
        if let Some(serving) = serving {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// AWS is back, at the same address.
    pub async fn come_back(&self) {
        let address = self.address;
        let listener =
            eventually("the proxy's port is free again", async || TcpListener::bind(address).await.ok()).await;
        let serving = tokio::spawn(serve(listener, Arc::clone(&self.shared)));
        *self.serving.lock().expect("not poisoned") = Some(serving);
    }

    /// Begins a rule for the calls of one operation, `service:Operation`; a `*` at the end stands for any rest.
    pub fn on(&self, operation: &str) -> RuleBuilder<'_> {
        RuleBuilder { proxy: self, operation: operation.to_owned(), when: None, left: None }
    }

    /// All calls so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.book().calls.clone()
    }

    pub fn calls_of(&self, name: &str) -> Vec<Call> {
        self.shared.book().calls.iter().filter(|call| call.name == name).cloned().collect()
    }

    pub fn count(&self, name: &str) -> usize {
        self.shared.book().calls.iter().filter(|call| call.name == name).count()
    }

    /// The calls that change something, by name, in their order.
    pub fn writes(&self) -> Vec<String> {
        self.calls().into_iter().filter(Call::is_write).map(|call| call.name).collect()
    }

    /// Waits until at least so many calls of an operation were made, counted from the proxy's beginning.
    pub async fn wait_for_calls(&self, name: &str, at_least: usize) -> Vec<Call> {
        eventually(&format!("{at_least} calls of {name}"), async || {
            let calls = self.calls_of(name);
            (calls.len() >= at_least).then_some(calls)
        })
        .await
    }

    /// How often each operation was called; for the message of a failed assertion.
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

/// A rule in the making: what it is for, before what it does.
pub struct RuleBuilder<'a> {
    proxy: &'a Proxy,
    operation: String,
    when: Option<Predicate>,
    left: Option<u32>,
}

impl RuleBuilder<'_> {
    /// Only the next so many calls; without this, all calls until the fault is lifted.
    pub fn times(mut self, times: u32) -> Self {
        self.left = Some(times);
        self
    }

    /// Only calls whose body (percent signs undone) contains this.
    pub fn containing(self, part: &str) -> Self {
        let part = part.to_owned();
        self.matching(move |body| body.contains(&part))
    }

    /// Only calls whose body (percent signs undone) is as the function wants it.
    pub fn matching(mut self, when: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(when));
        self
    }

    pub fn error(self, status: u16, code: &str, message: &str) -> Fault {
        self.install(Effect::Error { status, code: code.to_owned(), message: message.to_owned() })
    }

    /// An error, although the call has taken effect.
    pub fn error_after(self, status: u16, code: &str, message: &str) -> Fault {
        self.install(Effect::ErrorAfter { status, code: code.to_owned(), message: message.to_owned() })
    }

    pub fn throttle(self) -> Fault {
        self.error(400, "ThrottlingException", "Rate exceeded")
    }

    pub fn reply(self, status: u16, body: &str) -> Fault {
        self.install(Effect::Reply { status, body: body.to_owned() })
    }

    pub fn delay(self, time: Duration) -> Fault {
        self.install(Effect::Delay(time))
    }

    pub fn hang(self) -> Fault {
        self.install(Effect::Hang)
    }

    pub fn drop_before(self) -> Fault {
        self.install(Effect::DropBefore)
    }

    pub fn drop_after(self) -> Fault {
        self.install(Effect::DropAfter)
    }

    /// Gives the answer's text (and the request's, percent signs undone) to a function, and its result to the client.
    pub fn rewrite(self, rewriting: impl FnMut(&str, String) -> String + Send + 'static) -> Fault {
        self.install(Effect::Rewrite(Arc::new(Mutex::new(rewriting))))
    }

    /// As `rewrite`, for the JSON protocols.
    pub fn rewrite_json(self, mut rewriting: impl FnMut(&mut serde_json::Value) + Send + 'static) -> Fault {
        self.rewrite(move |_, text| {
            let mut value = serde_json::from_str(&text).expect("the answer is JSON");
            rewriting(&mut value);
            value.to_string()
        })
    }

    fn install(self, effect: Effect) -> Fault {
        let mut book = self.proxy.shared.book();
        let id = book.next_rule;
        book.next_rule += 1;
        book.rules.push(Rule { id, operation: self.operation, when: self.when, left: self.left, hits: 0, effect });
        Fault { id, shared: Arc::clone(&self.proxy.shared) }
    }
}

/// A rule at work. It stays when this is dropped; `lift` ends it.
pub struct Fault {
    id: u64,
    shared: Arc<Shared>,
}

impl Fault {
    pub fn lift(&self) {
        self.shared.book().rules.retain(|rule| rule.id != self.id);
    }

    /// How many calls it has met.
    pub fn hits(&self) -> u32 {
        self.shared.book().rules.iter().find(|rule| rule.id == self.id).map_or(0, |rule| rule.hits)
    }

    pub async fn wait_for_hits(&self, at_least: u32) {
        eventually(&format!("{at_least} calls meet the fault"), async || (self.hits() >= at_least).then_some(())).await;
    }
}

/// The connection is to end without an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // The connections live in here, so that they end with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(move |request| handle(Arc::clone(&shared), request));
                    // An error is a client that went away, or a connection dropped on purpose.
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
        let mut book = shared.book();
        let at = Instant::now();
        book.calls.push(Call { name: name.clone(), at, answered: None, status: None, body: text.clone() });
        (book.calls.len() - 1, met(&mut book.rules, &name, &decoded(&text)))
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
        let call = &mut shared.book().calls[index];
        call.answered = Some(Instant::now());
        call.status = Some(response.status().as_u16());
    }
    answer
}

/// The effect of the first rule that the call meets.
fn met(rules: &mut [Rule], name: &str, body: &str) -> Option<Effect> {
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

/// `service:Operation`. The service is the one that the signature is for; the operation stands in a header in the
/// JSON protocols, in the form in the query protocol.
fn name_of(headers: &HeaderMap, path: &str, body: &str) -> String {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let service = header(AUTHORIZATION.as_str())
        .and_then(|value| value.split("Credential=").nth(1))
        .and_then(|scope| scope.split('/').nth(3))
        .unwrap_or("unsigned");
    let operation = header("x-amz-target")
        .and_then(|target| target.rsplit('.').next())
        .or_else(|| body.split('&').find_map(|field| field.strip_prefix("Action=")))
        .unwrap_or(path);
    format!("{service}:{operation}")
}

/// A call on its way to moto.
struct Forwarded {
    path: String,
    headers: HeaderMap,
    body: Bytes,
    text: String,
}

impl Forwarded {
    async fn forward(&self, shared: &Shared) -> Result<Response<Full<Bytes>>, Dropped> {
        let Some((seconds, mut turn)) = self.long_poll() else {
            return self.send(shared, self.body.clone()).await;
        };
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let left = end.saturating_duration_since(Instant::now()).as_secs();
            turn["WaitTimeSeconds"] = left.min(POLL_TURN_SECONDS).into();
            let response = self.send(shared, Bytes::from(turn.to_string())).await?;
            let (parts, body) = response.into_parts();
            let Ok(body) = body.collect().await;
            let body = body.to_bytes();
            let empty = parts.status == StatusCode::OK && !String::from_utf8_lossy(&body).contains("\"MessageId\"");
            if !empty || left == 0 {
                return Ok(Response::from_parts(parts, Full::new(body)));
            }
        }
    }

    /// The seconds that a long poll waits, and its body.
    fn long_poll(&self) -> Option<(u64, serde_json::Value)> {
        let target = self.headers.get("x-amz-target")?;
        if target != "AmazonSQS.ReceiveMessage" {
            return None;
        }
        let body: serde_json::Value = serde_json::from_str(&self.text).ok()?;
        let seconds = body["WaitTimeSeconds"].as_u64().filter(|seconds| *seconds > POLL_TURN_SECONDS)?;
        Some((seconds, body))
    }

    async fn send(&self, shared: &Shared, body: Bytes) -> Result<Response<Full<Bytes>>, Dropped> {
        let stream = TcpStream::connect(shared.upstream).await.map_err(|_| Dropped)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Dropped)?;
        let mut request = Request::post(&self.path).body(Full::new(body)).map_err(|_| Dropped)?;
        // The host stays the proxy's, so that the queue's URL that moto answers with leads through the proxy.
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().remove(CONTENT_LENGTH);
        let account = HeaderValue::from_str(&shared.account).expect("an account is digits");
        request.headers_mut().insert("x-moto-account-id", account);
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|_| Dropped)?;
            let (mut parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
            // These are about the connection to moto, and the body may be another one by now.
            for header in ["connection", "content-length", "transfer-encoding"] {
                parts.headers.remove(header);
            }
            Ok(Response::from_parts(parts, Full::new(body)))
        };
        tokio::pin!(exchange);
        // Both on this task, so that a client that goes away takes the call to moto with it.
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

/// The request id of the errors that the proxy makes.
pub const REQUEST_ID: &str = "7d1f6c0e-0000-4000-8000-a0b1c2d3e4f5";

fn answer(status: u16, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .header("x-amzn-requestid", REQUEST_ID)
        .body(Full::new(Bytes::from(body)))
        .expect("the parts are valid")
}

/// Undoes the percent signs of a form. On JSON it does nothing that matters to a search.
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
