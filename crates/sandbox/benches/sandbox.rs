//! Throughput of the sandbox: simple requests a second over HTTP/1.1 connections that stay open, as the AWS SDK's do.
//! The sandbox runs in a process of its own. The benchmark fails below the rate that benchmarks against the sandbox need.
//!
//! It is a plain program, because criterion and divan time one closure after the other in one thread, while this one
//! counts the requests that many connections complete together.
//!
//! Run it with `cargo bench -p jvb-watcher-sandbox`, on an idle machine.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform;
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Settings, World};
use tokio::net::TcpStream;

type Failure = Box<dyn Error + Send + Sync>;

/// Argument that makes this program serve.
const SERVE: &str = "serve";

/// Number of connections, about as many as several workers and operators hold open.
const CONNECTIONS: usize = 16;

/// Time for which each kind of request is sent before it counts.
const WARM_UP: Duration = Duration::from_millis(500);

/// Time for which each kind of request counts.
const COUNTED: Duration = Duration::from_secs(3);

/// Required rate of each kind of request, in requests a second.
const REQUIRED: f64 = 5_000.0;

/// A kind of request, in the form that the SDK sends.
struct Call {
    name: &'static str,
    service: &'static str,
    /// `X-Amz-Target` of the JSON protocols; the query protocol has its operation in the body.
    target: Option<&'static str>,
    content_type: &'static str,
    body: String,
    /// Text that a successful response contains.
    expected: &'static str,
}

impl Call {
    fn request(&self, host: &str) -> Result<Request<Full<Bytes>>, Failure> {
        let signature = format!(
            "AWS4-HMAC-SHA256 Credential=sandbox/20260101/eu-west-1/{}/aws4_request, SignedHeaders=content-type;host;\
             x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            self.service
        );
        let mut request = Request::post("/")
            .header("host", host)
            .header("content-type", self.content_type)
            .header("user-agent", "aws-sdk-rust/1.3.14 os/linux lang/rust/1.94.1")
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", signature);
        if let Some(target) = self.target {
            request = request.header("x-amz-target", target);
        }
        Ok(request.body(Full::new(Bytes::from(self.body.clone())))?)
    }
}

/// The process that serves; it ends when this is dropped.
struct Server {
    process: Child,
    host: String,
}

impl Server {
    /// Starts this program again, as a server.
    fn start() -> Result<Self, Failure> {
        let mut process =
            Command::new(std::env::current_exe()?).arg(SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().ok_or("the server has no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let host = line.trim().strip_prefix("http://").ok_or("the server did not start")?.to_owned();
        Ok(Self { process, host })
    }
}

/// Serves until the standard input ends, which it does when the parent process ends.
async fn serve() -> Result<(), Failure> {
    let now = Timestamp::now();
    let mut world = World::new(Settings::default(), 1, now);
    platform::set_up(&mut world, now)?;
    let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await?;
    println!("{}", sandbox.endpoint());
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    Ok(())
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection that stays open.
struct Connection {
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    async fn open(host: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { host: host.to_owned(), sender })
    }

    /// Sends a request and returns the body of a successful response.
    async fn call(&mut self, call: &Call) -> Result<Bytes, Failure> {
        self.sender.ready().await?;
        let response = self.sender.send_request(call.request(&self.host)?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let is_success =
            status == StatusCode::OK && body.windows(call.expected.len()).any(|part| part == call.expected.as_bytes());
        if !is_success {
            return Err(format!("{} failed with {status}: {}", call.name, String::from_utf8_lossy(&body)).into());
        }
        Ok(body)
    }
}

fn query(name: &'static str, body: String, expected: &'static str) -> Call {
    let content_type = "application/x-www-form-urlencoded";
    Call { name, service: "elasticloadbalancing", target: None, content_type, body, expected }
}

/// Creates a target group with two targets and returns its ARN.
async fn target_group(connection: &mut Connection) -> Result<String, Failure> {
    let create = "Action=CreateTargetGroup&Version=2015-12-01&Name=jitsi-jvb-udp&Protocol=UDP&Port=10000\
                  &VpcId=vpc-0a1b2c3d4e5f60718&TargetType=ip";
    let created = connection.call(&query("CreateTargetGroup", create.to_owned(), "<TargetGroupArn>")).await?;
    let created = String::from_utf8_lossy(&created);
    let arn = created.split("<TargetGroupArn>").nth(1).and_then(|rest| rest.split('<').next());
    let arn = form_encoded(arn.unwrap_or_default());
    let register = format!(
        "Action=RegisterTargets&Version=2015-12-01&TargetGroupArn={arn}&Targets.member.1.Id=10.0.1.10\
         &Targets.member.1.Port=10000&Targets.member.2.Id=10.0.1.11&Targets.member.2.Port=10000"
    );
    connection.call(&query("RegisterTargets", register, "RegisterTargetsResponse")).await?;
    Ok(arn)
}

fn form_encoded(arn: &str) -> String {
    arn.replace(':', "%3A").replace('/', "%2F")
}

async fn calls(host: &str) -> Result<[Call; 3], Failure> {
    let group = target_group(&mut Connection::open(host).await?).await?;
    Ok([
        Call {
            name: "sqs:ReceiveMessage of an empty queue",
            service: "sqs",
            target: Some("AmazonSQS.ReceiveMessage"),
            content_type: "application/x-amz-json-1.0",
            body: format!(
                r#"{{"QueueUrl":"http://{host}/111122223333/jitsi-jvb-watcher","MaxNumberOfMessages":10,"WaitTimeSeconds":0}}"#
            ),
            expected: "{",
        },
        Call {
            name: "ecs:DescribeServices of one service",
            service: "ecs",
            target: Some("AmazonEC2ContainerServiceV20141113.DescribeServices"),
            content_type: "application/x-amz-json-1.1",
            body: r#"{"cluster":"jitsi-cluster","services":["jitsi-service"]}"#.to_owned(),
            expected: "jitsi-service",
        },
        query(
            "elasticloadbalancing:DescribeTargetHealth of two targets",
            format!("Action=DescribeTargetHealth&Version=2015-12-01&TargetGroupArn={group}"),
            "10.0.1.11",
        ),
    ])
}

/// Returns the rate of responses over all connections, in responses a second.
async fn rate(host: &str, call: &Call) -> Result<f64, Failure> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + COUNTED;
    let counts = (0..CONNECTIONS).map(|_| async {
        let mut connection = Connection::open(host).await?;
        let mut count = 0_u32;
        while Instant::now() < end {
            connection.call(call).await?;
            count += u32::from((begin..end).contains(&Instant::now()));
        }
        Ok::<_, Failure>(count)
    });
    let counts = futures_util::future::try_join_all(counts).await?;
    Ok(f64::from(counts.iter().sum::<u32>()) / COUNTED.as_secs_f64())
}

async fn measure() -> Result<bool, Failure> {
    let server = Server::start()?;
    let mut enough = true;
    for call in calls(&server.host).await? {
        let rate = rate(&server.host, &call).await?;
        println!("{rate:>8.0} requests/s  {}", call.name);
        enough &= rate >= REQUIRED;
    }
    Ok(enough)
}

fn main() -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if std::env::args().nth(1).as_deref() == Some(SERVE) {
        runtime.block_on(serve())?;
        return Ok(ExitCode::SUCCESS);
    }
    if runtime.block_on(measure())? {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: fewer than {REQUIRED} requests/s; the sandbox would limit what is measured against it");
    Ok(ExitCode::FAILURE)
}
