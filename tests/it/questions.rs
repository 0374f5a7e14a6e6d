//! docs/questions.md, the page of common questions. The test creates the situation of each question in the AWS sandbox,
//! runs the command on the page, and compares the output with that on the page, apart from IDs, times and amounts.
//!
//! With `JVB_WATCHER_WRITE_QUESTIONS` set, it writes the outputs to the page instead.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture, join_all};
use jiff::Timestamp;
use jvb_watcher_sandbox::api::{self, Request, elb, eventbridge};
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform::{self, PROJECT};
use jvb_watcher_sandbox::scenario::{Scenario, play};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Incident, MetricSettings, World};

use crate::wait::eventually;
use crate::watcher::{Launch, Watcher};

const WRITE: &str = "JVB_WATCHER_WRITE_QUESTIONS";

/// The initial platform, without a load balancer.
const QUIET: &str = "[[step]]\nat = \"0s\"\nsay = \"nothing happens\"\n";
const LOAD_BALANCER: &str = "[[step]]\nat = \"0s\"\ncreate-load-balancer = true\n";
const SCALE_UP: &str = "[[step]]\nat = \"200ms\"\nscale = 1\n";
const SCALE_UP_ALONE: &str = "[[step]]\nat = \"0s\"\nscale = 1\n";

/// A sandbox whose platform is in the situation of a question.
struct Situation {
    sandbox: Arc<Sandbox>,
}

impl Situation {
    async fn after(steps: &str) -> Self {
        let text = format!(
            "title = \"a question\"\ntime-scale = 200\n\
             watcher = {{ idle-grace = \"60s\", unused-grace = \"15m\", resync-interval = \"60s\" }}\n{steps}"
        );
        let scenario = Scenario::parse("question.toml", &text).expect("the scenario is valid");
        let mut settings = scenario.scaled_world();
        // As late as on AWS: on the page, the load balancer is too young to be known.
        settings.metrics = MetricSettings::default();
        let world = World::new(settings, 1, Timestamp::now());
        let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
        sandbox.with_world(platform::set_up).expect("the platform can be created");
        play(&scenario, &sandbox, |_| Ok(())).await.expect("every step succeeds");
        eventually("the load balancer is active", async || {
            let load_balancers = sandbox.with_world(|world, _| world.load_balancers());
            load_balancers.iter().all(|load_balancer| load_balancer.state == "active").then_some(())
        })
        .await;
        Self { sandbox: Arc::new(sandbox) }
    }

    fn launch(&self, command: &str) -> Launch {
        Launch::bare(command)
            .env("AWS_ENDPOINT_URL", self.sandbox.endpoint())
            .env("JITSI_PROJECT", PROJECT)
            .env("JITSI_AWS_REGION", "eu-west-1")
    }

    fn call(&self, request: Request) {
        self.sandbox.with_world(|world, now| world.call(request, now)).expect("the call succeeds");
    }

    fn act(&self, act: Incident) {
        self.sandbox.with_world(|world, now| world.inject(act, now)).expect("the incident can happen");
    }

    /// Returns the ARN of the load balancer.
    fn load_balancer_arn(&self) -> String {
        self.sandbox.with_world(|world, _| world.load_balancers()[0].arn.clone())
    }

    /// Waits until a task runs and the queue has received all of its events.
    async fn wait_until_running(&self) {
        eventually("a task runs", async || {
            let (tasks, events) = self.sandbox.with_world(|world, _| (world.tasks(), world.event_counts()));
            let runs = tasks.iter().any(|task| task.last_status == "RUNNING");
            (runs && events.delivered + events.unmatched == events.made).then_some(())
        })
        .await;
    }

    /// Waits until the watcher has handled every event, so that the queue is empty when it stops.
    async fn wait_until_handled(&self) {
        eventually("the queue is empty", async || {
            let (queues, events) = self.sandbox.with_world(|world, _| (world.queues(), world.event_counts()));
            let empty = queues.iter().all(|queue| queue.visible + queue.in_flight + queue.delayed == 0);
            (empty && events.delivered + events.unmatched == events.made).then_some(())
        })
        .await;
    }

    /// Waits until no target is registered or draining.
    async fn wait_until_drained(&self) {
        eventually("the targets have drained", async || {
            let groups = self.sandbox.with_world(|world, _| world.groups());
            groups.iter().all(|group| group.targets.is_empty()).then_some(())
        })
        .await;
    }

    /// Runs a watcher until the service's only task is healthy in both target groups and every event is handled.
    async fn run_watcher(&self) -> Watcher {
        let watcher = self.launch("run").env("JVB_WATCHER_IDLE_GRACE", "10m").start();
        eventually("every target is healthy", async || {
            let groups = self.sandbox.with_world(|world, _| world.groups());
            let healthy = |group: &jvb_watcher_sandbox::world::GroupView| {
                group.targets.iter().any(|target| target.state == "healthy")
            };
            (groups.len() == 2 && groups.iter().all(healthy)).then_some(())
        })
        .await;
        self.wait_until_handled().await;
        watcher
    }
}

/// A question: its heading on the page, and the function that creates its situation.
struct Question {
    heading: &'static str,
    situation: fn() -> LocalBoxFuture<'static, Situation>,
}

const fn question(heading: &'static str, situation: fn() -> LocalBoxFuture<'static, Situation>) -> Question {
    Question { heading, situation }
}

const QUESTIONS: &[Question] = &[
    question("Is it well?", || {
        async {
            let situation = Situation::after(&format!("{LOAD_BALANCER}{SCALE_UP}")).await;
            assert_eq!(situation.run_watcher().await.stop().await, Some(0));
            situation
        }
        .boxed_local()
    }),
    question("The load balancer is still up, although the service is idle", || {
        async {
            let situation = Situation::after(&format!("{LOAD_BALANCER}{SCALE_UP}")).await;
            let watcher = situation.run_watcher().await;
            scale(&situation, 0);
            watcher.wait_for("idle_marked").await;
            situation.wait_until_handled().await;
            situation.wait_until_drained().await;
            assert_eq!(watcher.stop().await, Some(0));
            situation
        }
        .boxed_local()
    }),
    question("A task is running, but not registered", || {
        async {
            let situation = Situation::after(&format!("{LOAD_BALANCER}{SCALE_UP}")).await;
            situation.wait_until_running().await;
            situation
        }
        .boxed_local()
    }),
    question("It does not tear the load balancer down", || {
        async {
            let situation = Situation::after(LOAD_BALANCER).await;
            let keys = ["Lifecycle".to_owned()].into_iter().collect();
            let input = elb::RemoveTagsInput {
                resource_arns: [situation.load_balancer_arn()].into_iter().collect(),
                tag_keys: keys,
            };
            situation.call(Request::Elb(elb::Request::RemoveTags(input)));
            situation
        }
        .boxed_local()
    }),
    question("AWS refuses the deletion", || {
        async {
            let situation = Situation::after(LOAD_BALANCER).await;
            let protect = elb::Attribute { key: "deletion_protection.enabled".to_owned(), value: "true".to_owned() };
            let input = elb::ModifyLoadBalancerAttributesInput {
                load_balancer_arn: situation.load_balancer_arn(),
                attributes: [protect].into_iter().collect(),
            };
            situation.call(Request::Elb(elb::Request::ModifyLoadBalancerAttributes(input)));
            situation
        }
        .boxed_local()
    }),
    question("Changes are noticed only after a minute", || {
        async {
            let situation = Situation::after(QUIET).await;
            let input =
                eventbridge::RuleInput { name: format!("{PROJECT}-jvb-watcher"), ..eventbridge::RuleInput::default() };
            situation.call(Request::EventBridge(eventbridge::Request::DisableRule(input)));
            situation
        }
        .boxed_local()
    }),
    question("Tasks run, but no call can be made", || {
        async {
            let situation = Situation::after(SCALE_UP_ALONE).await;
            situation.wait_until_running().await;
            situation
        }
        .boxed_local()
    }),
    question("A target is unhealthy", || {
        async {
            let situation = Situation::after(&format!("{LOAD_BALANCER}{SCALE_UP}")).await;
            let watcher = situation.run_watcher().await;
            let address = situation.sandbox.with_world(|world, _| world.tasks()[0].address);
            situation
                .act(Incident::TargetUnhealthy { ip: address.expect("the task has an address").into(), port: None });
            eventually("both targets are unhealthy", async || {
                let groups = situation.sandbox.with_world(|world, _| world.groups());
                groups.iter().all(|group| group.targets.iter().all(|it| it.state == "unhealthy")).then_some(())
            })
            .await;
            assert_eq!(watcher.stop().await, Some(0));
            situation
        }
        .boxed_local()
    }),
    question("How do I keep the load balancer during maintenance?", || {
        async {
            let situation = Situation::after(LOAD_BALANCER).await;
            let until = Timestamp::now() + Duration::from_secs(2 * 60 * 60);
            let tag = api::Tag { key: "jvb-watcher:hold-until".to_owned(), value: format!("{until:.0}") };
            let input = elb::AddTagsInput {
                resource_arns: [situation.load_balancer_arn()].into_iter().collect(),
                tags: [tag].into_iter().collect(),
            };
            situation.call(Request::Elb(elb::Request::AddTags(input)));
            situation
        }
        .boxed_local()
    }),
    question("Messages are in the dead-letter queue", || {
        async {
            let situation = Situation::after(QUIET).await;
            let queue = format!("{PROJECT}-jvb-watcher-dlq");
            situation.act(Incident::MalformedMessage { queue, body: "unreadable".to_owned() });
            situation
        }
        .boxed_local()
    }),
];

fn scale(situation: &Situation, desired: i32) {
    use jvb_watcher_sandbox::api::ecs;
    situation.call(Request::Ecs(ecs::Request::UpdateService(ecs::UpdateServiceInput {
        cluster: Some(format!("{PROJECT}-cluster")),
        service: format!("{PROJECT}-service"),
        desired_count: Some(desired),
        ..ecs::UpdateServiceInput::default()
    })));
}

fn page() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/questions.md"))
}

/// The blocks of a question on the page: first the command, then its output.
struct Answer<'a> {
    command: &'a str,
    output: &'a str,
}

fn answer<'a>(page: &'a str, heading: &str) -> Answer<'a> {
    let start = page.find(&format!("## {heading}\n")).unwrap_or_else(|| panic!("the page has no heading {heading:?}"));
    let section = &page[start..];
    let section = section[3..].find("\n## ").map_or(section, |end| &section[..end + 3]);
    let (_, rest) = section.split_once("```sh\n").unwrap_or_else(|| panic!("{heading:?} has no command"));
    let (command, rest) = rest.split_once("```").expect("the block ends");
    let (_, rest) = rest.split_once("```text\n").unwrap_or_else(|| panic!("{heading:?} has no output"));
    let (output, meaning) = rest.split_once("```").expect("the block ends");
    assert!(!meaning.trim().is_empty(), "{heading:?} doesn't say what the output means");
    Answer { command: command.trim(), output }
}

/// Runs the command on the page in the question's situation, and returns its output.
async fn run(question: &Question, command: &str) -> String {
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("jvb-watcher"), "{command}");
    let situation = (question.situation)().await;
    let launch = situation.launch(words.next().expect("a command"));
    let finished = launch.args(words).finish().await;
    assert!(matches!(finished.code, Some(0 | 1 | 3)), "{finished:#?}");
    finished.stdout
}

/// Returns the words of an output with IDs, addresses, instants, durations and amounts replaced. Line breaks are ignored,
/// since they depend on the lengths of those.
fn uniform(output: &str) -> Vec<String> {
    // A line's end can be within the ID in an ARN.
    let mut is_within_arn = false;
    let word = |word: &str| {
        let follows_arn = std::mem::replace(&mut is_within_arn, false);
        if follows_arn && word.len() < 16 && word.chars().all(|c| c.is_ascii_hexdigit()) {
            return String::new();
        }
        if let Some((arn, id)) = word.rsplit_once('/').filter(|(arn, _)| arn.contains("loadbalancer/net/")) {
            is_within_arn = id.len() < 16;
            return format!("{arn}/*");
        }
        let bare = word.trim_end_matches([',', '.', ';', ':']);
        let is_id = bare.len() >= 16 && bare.chars().all(|c| c.is_ascii_hexdigit());
        let number = bare.trim_start_matches('$');
        let is_amount = bare.starts_with('$') && number.parse::<f64>().is_ok();
        let digits = bare.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &bare[digits.len()..];
        let is_span = digits.parse::<u64>().is_ok() && ["ms", "s", "m", "h", "day", "days"].contains(&unit);
        let is_version = bare.strip_prefix('v').is_some_and(|version| version.parse::<u32>().is_ok());
        if is_span {
            String::new()
        } else if is_id || is_amount || is_version || bare.parse::<std::net::IpAddr>().is_ok() {
            "*".to_owned()
        } else {
            // A word can contain an instant after a tag's key.
            match word.find("20").filter(|at| word[*at..].contains('T') && word[*at..].contains("Z")) {
                Some(at) => format!("{}*", &word[..at]),
                None => word.to_owned(),
            }
        }
    };
    output.split_whitespace().map(word).filter(|word| !word.is_empty()).collect()
}

#[tokio::test]
async fn every_output_on_the_page_equals_that_of_its_command() {
    let text = fs::read_to_string(page()).expect("the page");
    assert_eq!(
        text.matches("\n## ").count(),
        QUESTIONS.len(),
        "the page has a question that this test lacks, or the other way round"
    );
    let outputs =
        join_all(QUESTIONS.iter().map(|question| run(question, answer(&text, question.heading).command))).await;
    let mut written = text.clone();
    for (question, output) in QUESTIONS.iter().zip(&outputs) {
        let Answer { output: shown, .. } = answer(&text, question.heading);
        if std::env::var_os(WRITE).is_some() {
            let section = written.find(&format!("## {}\n", question.heading)).expect("the heading");
            let start = section + written[section..].find("```text\n").expect("the block") + "```text\n".len();
            let end = start + written[start..].find("```").expect("the block ends");
            written.replace_range(start..end, output);
        } else {
            assert_eq!(uniform(shown), uniform(output), "{}:\n{output}", question.heading);
        }
    }
    if std::env::var_os(WRITE).is_some() {
        fs::write(page(), written).expect("the page can be written");
    }
}
