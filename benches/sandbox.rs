//! How many simple requests a second the sandbox answers: the built program in a process of its own, asked over
//! HTTP/1.1 connections that stay open, as the SDK's clients ask. Fails when it is fewer than what is measured against
//! it needs.
//!
//! A plain program rather than criterion or divan: those time one closure after the other in one thread, while this
//! counts what many connections get done together in a stretch of time.
//!
//! Run it with `cargo bench --bench sandbox`, on a machine that does nothing else.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

type Failure = Box<dyn Error + Send + Sync>;

/// As many as some workers, and the people beside them, hold open.
const CONNECTIONS: usize = 16;

/// How long each kind of request is made before it is counted, and counted.
const WARM_UP: Duration = Duration::from_millis(500);
const COUNTED: Duration = Duration::from_secs(3);

/// What the sandbox must answer, of each kind, a second.
const WANTED: f64 = 5_000.0;

/// One kind of request, as the SDK writes it.
struct Call {
    name: &'static str,
    service: &'static str,
    /// The operation in the header of the JSON protocols; the query protocol has it in its body.
    target: Option<&'static str>,
    content_type: &'static str,
    body: String,
    /// What a good answer has in it.
    answer: &'static str,
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

/// The program, serving; ends with this.
struct Sandbox {
    process: Child,
    host: String,
}

impl Sandbox {
    fn start() -> Result<Self, Failure> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_jvb-watcher"))
            .args(["sandbox", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the sandbox has no output")?;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            let Some((_, rest)) = line.split_once("AWS_ENDPOINT_URL=http://") else { continue };
            let host = rest.split_whitespace().next().unwrap_or_default().to_owned();
            return Ok(Self { process, host });
        }
        Err("the sandbox ended without saying where it serves".into())
    }
}

impl Drop for Sandbox {
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

    /// Makes a call; its answer, if it is a good one.
    async fn call(&mut self, call: &Call) -> Result<Bytes, Failure> {
        self.sender.ready().await?;
        let response = self.sender.send_request(call.request(&self.host)?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let is_good =
            status == StatusCode::OK && body.windows(call.answer.len()).any(|part| part == call.answer.as_bytes());
        if !is_good {
            return Err(format!("{} was answered with {status}: {}", call.name, String::from_utf8_lossy(&body)).into());
        }
        Ok(body)
    }
}

fn query(name: &'static str, body: String, answer: &'static str) -> Call {
    let content_type = "application/x-www-form-urlencoded";
    Call { name, service: "elasticloadbalancing", target: None, content_type, body, answer }
}

/// A target group with two targets in it, by its ARN.
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
            answer: "{",
        },
        Call {
            name: "ecs:DescribeServices of one service",
            service: "ecs",
            target: Some("AmazonEC2ContainerServiceV20141113.DescribeServices"),
            content_type: "application/x-amz-json-1.1",
            body: r#"{"cluster":"jitsi-cluster","services":["jitsi-service"]}"#.to_owned(),
            answer: "jitsi-service",
        },
        query(
            "elasticloadbalancing:DescribeTargetHealth of two targets",
            format!("Action=DescribeTargetHealth&Version=2015-12-01&TargetGroupArn={group}"),
            "10.0.1.11",
        ),
    ])
}

/// How many answers a second all connections get together.
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
    let sandbox = Sandbox::start()?;
    let mut enough = true;
    for call in calls(&sandbox.host).await? {
        let rate = rate(&sandbox.host, &call).await?;
        println!("{rate:>8.0} requests/s  {}", call.name);
        enough &= rate >= WANTED;
    }
    Ok(enough)
}

fn main() -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if runtime.block_on(measure())? {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: fewer than {WANTED} requests/s; what is measured against the sandbox would be bound by it");
    Ok(ExitCode::FAILURE)
}
