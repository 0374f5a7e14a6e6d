//! `packaging/monitoring`: the Grafana dashboard and the alert rules, against the metrics that the program exposes, by
//! promtool, and by a Prometheus that has scraped an evening.
//!
//! Grafana itself is not among the tools of these tests: what they show is that each of its queries is valid and has data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hyper::Method;
use jiff::Timestamp;
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform::{self, PROJECT, load_balancer};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{CallEvent, Incident, Settings, World};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};

use crate::callers::scale_to_one;
use crate::listen::request;
use crate::proxy::reserve;
use crate::wait::eventually;
use crate::watcher::{Launch, Watcher};

const MINUTE: Duration = Duration::from_secs(60);

/// The prefix of every metric.
const PREFIX: &str = "jvb_watcher_";

/// What Prometheus adds to the name of a histogram.
const OF_HISTOGRAM: [&str; 3] = ["_bucket", "_count", "_sum"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/monitoring")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn dashboard() -> Value {
    serde_json::from_str(&read("grafana-dashboard.json")).expect("JSON")
}

/// The queries of the dashboard, with the titles of their panels.
fn panel_queries() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            queries.push((format!("{} {}", text(&panel["title"]), text(&target["refId"])), text(&target["expr"])));
        }
    }
    queries
}

/// The names of the metrics in a text, without what Prometheus adds to the names of histograms.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let names = text.match_indices(PREFIX).map(|(at, _)| {
        text[at..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().expect("the prefix").to_owned()
    });
    let base = |name: String| {
        let base = OF_HISTOGRAM.iter().find_map(|suffix| name.strip_suffix(suffix)).map(str::to_owned);
        base.unwrap_or(name)
    };
    names.map(base).collect()
}

/// The metrics at `/metrics`, as docs/metrics.md has them; a test of the program compares that page with it.
fn exposed_metrics() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split("| `").nth(1));
    let mut names: BTreeSet<_> = rows.filter_map(|cell| cell.split('`').next()).map(str::to_owned).collect();
    names.retain(|name| name.starts_with(PREFIX));
    assert!(names.len() > 20, "{names:?}");
    names.insert("jvb_watcher_last_look_timestamp_seconds".to_owned());
    names
}

#[test]
fn the_dashboard_has_every_metric_and_neither_it_nor_the_rules_have_another() {
    let exposed = exposed_metrics();
    assert_eq!(metrics_in(&read("grafana-dashboard.json")), exposed);
    let of_rules = metrics_in(&read("prometheus-rules.yaml"));
    assert!(of_rules.is_subset(&exposed), "{:?} don't exist", of_rules.difference(&exposed));
    assert!(metrics_in(&read("prometheus-rules-test.yaml")).is_superset(&of_rules), "each is in a test of the rules");
}

#[test]
fn the_dashboard_can_be_provisioned() {
    let dashboard = dashboard();
    // An id is of one Grafana; the uid is the dashboard's own.
    assert_eq!((&dashboard["id"], dashboard["uid"].as_str()), (&Value::Null, Some("jvb-watcher")));
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let names: Vec<_> = variables.iter().map(|variable| variable["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["datasource", "job", "project", "cluster", "service"]);
    assert_eq!(variables[0]["type"], "datasource");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
        // The grid has 24 columns.
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_u64().expect("a number"));
        assert!(x + w <= 24, "{panel}");
        for place in (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y))) {
            assert!(taken.insert(place), "{} lies on another panel", panel["title"]);
        }
        for part in panel["targets"].as_array().into_iter().flatten().chain(panel.get("targets").map(|_| panel)) {
            assert_eq!(part["datasource"]["uid"], "${datasource}", "{part}");
        }
    }
}

/// Runs promtool in the folder, and returns its output.
async fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).current_dir(folder()).output().await;
    let output = output.expect("promtool is installed: on Debian, apt-get install prometheus");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

#[tokio::test]
async fn promtool_accepts_the_rules_and_their_tests_pass() {
    let text = promtool(&["check", "rules", "--lint=all", "--lint-fatal", "prometheus-rules.yaml"]).await;
    let alerts = read("prometheus-rules.yaml").matches("- alert: ").count();
    assert!(text.contains(&format!("{alerts} rules found")), "{text}");
    assert!(promtool(&["test", "rules", "prometheus-rules-test.yaml"]).await.contains("SUCCESS"));
    // Each alert fires in a test.
    let tests = read("prometheus-rules-test.yaml");
    for name in read("prometheus-rules.yaml").lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(name), "{name}");
    }
}

/// A Prometheus that scrapes a watcher once a second, with the alert rules.
struct Prometheus {
    address: String,
    began: Timestamp,
    _reserved: TcpSocket,
    _directory: TempDir,
    _process: Child,
}

impl Prometheus {
    async fn scraping(watcher: &str) -> Self {
        let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
        let configuration = directory.path().join("prometheus.yml");
        // As in docs/metrics.md, but for the interval.
        let text = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
             rule_files: ['{}']\n\
             scrape_configs:\n  - job_name: jvb-watcher\n    static_configs:\n      - targets: ['{watcher}']\n",
            folder().join("prometheus-rules.yaml").display()
        );
        std::fs::write(&configuration, text).expect("the file can be written");
        let reserved = reserve(([127, 0, 0, 1], 0).into());
        let address = reserved.local_addr().expect("an address").to_string();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Prometheus is installed: on Debian, apt-get install prometheus");
        let began = Timestamp::now();
        let prometheus = Self { address, began, _reserved: reserved, _directory: directory, _process: process };
        eventually("Prometheus has scraped the watcher", async || {
            prometheus.try_get("query", &[("query", "up == 1")]).await.filter(has_result).map(drop)
        })
        .await;
        prometheus
    }

    /// Asks the API; `None` while it isn't ready, or if the query is wrong.
    async fn try_get(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        tokio::net::TcpStream::connect(&self.address).await.ok()?;
        let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let answer = request(&self.address, Method::GET, &format!("/api/v1/{path}?{query}")).await;
        let answer: Value = serde_json::from_str(answer.body()).ok()?;
        (answer["status"] == "success").then(|| answer["data"].clone())
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        self.try_get(path, parameters).await.unwrap_or_else(|| panic!("{path} {parameters:?} is wrong"))
    }

    /// Returns whether a query has had a value at any time.
    async fn has_data(&self, query: &str) -> bool {
        // The second after this one shows what was scraped within it.
        let [start, end] = [self.began, Timestamp::now() + Duration::from_secs(1)].map(|at| at.as_second().to_string());
        let data = self.get("query_range", &[("query", query), ("start", &start), ("end", &end), ("step", "1s")]).await;
        has_result(&data)
    }

    /// Returns the value of a query that has one.
    async fn value(&self, query: &str) -> f64 {
        let data = self.get("query", &[("query", query)]).await;
        let value = data["result"][0]["value"][1].as_str().unwrap_or_else(|| panic!("{query} has no value"));
        value.parse().expect("a number")
    }

    async fn wait_for(&self, query: &str) {
        eventually(query, async || has_result(&self.get("query", &[("query", query)]).await).then_some(())).await;
    }
}

fn has_result(data: &Value) -> bool {
    data["result"].as_array().is_some_and(|result| !result.is_empty())
}

/// Puts values in the place of the dashboard's variables.
fn with_variables(query: &str, chosen: &BTreeMap<&str, &str>) -> String {
    // The longer name first, of which the shorter one may be the beginning.
    let mut query = query.replace("$__rate_interval", "5s").replace("$__range", "10m");
    for name in ["job", "project", "cluster", "service"] {
        query = query.replace(&format!("${name}"), chosen.get(name).unwrap_or(&".*"));
    }
    assert!(!query.contains('$'), "{query}");
    query
}

/// The ready-made platform with a load balancer; everything but CloudWatch is faster than on AWS.
async fn sandbox() -> Sandbox {
    let aws = Settings::default();
    let mut settings = aws.clone().scaled(200.0);
    settings.tasks.stopped_visible = aws.tasks.stopped_visible;
    settings.calls.domain = Some("meet.jitsi.test".to_owned());
    settings.metrics.latest = settings.metrics.earliest;
    let now = Timestamp::now();
    let mut world = World::new(settings, 1, now);
    platform::set_up(&mut world, now).expect("the platform can be created");
    load_balancer::create(&mut world, now).expect("the load balancer can be created");
    Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("the loopback has a free port")
}

fn launch(sandbox: &Sandbox) -> Launch {
    Launch::bare("run").env("AWS_ENDPOINT_URL", sandbox.endpoint()).env("JITSI_AWS_REGION", "eu-west-1").args([
        "--listen",
        "127.0.0.1:0",
        "--resync-interval",
        "1s",
    ])
}

async fn listening(watcher: &Watcher) -> String {
    watcher.wait_for("listening").await.text("address").to_owned()
}

/// Lets minutes pass until a query has a value.
async fn pass_until(sandbox: &Sandbox, prometheus: &Prometheus, query: &str) {
    // Far more than any step of an evening takes.
    for _ in 0..60 {
        let reconciled = prometheus.value("max(jvb_watcher_reconciles_total)").await;
        let mut has_data = false;
        eventually(query, async || {
            has_data = has_result(&prometheus.get("query", &[("query", query)]).await);
            // The first reconciliation after a minute passed at once began before it.
            let has_reconciled = prometheus.value("max(jvb_watcher_reconciles_total)").await >= reconciled + 2.0;
            (has_data || has_reconciled).then_some(())
        })
        .await;
        if has_data {
            return;
        }
        sandbox.advance(MINUTE);
    }
    panic!("an hour has passed before {query}");
}

#[tokio::test]
async fn every_query_has_data_after_an_evening() {
    let sandbox = sandbox().await;
    let rules = ["--idle-grace", "10m", "--stop-when-unused", "10m"];
    let watcher = launch(&sandbox).env("JITSI_PROJECT", PROJECT).args(rules).start();
    let prometheus = Prometheus::scraping(&listening(&watcher).await).await;

    sandbox.with_world(scale_to_one);
    prometheus.wait_for("jvb_watcher_healthy_targets > 0").await;
    sandbox.with_world(|world, now| world.inject(Incident::Callers { n: 3 }, now)).expect("callers can join");
    eventually("the callers are in the call", async || {
        let callers = sandbox.with_world(|world, _| world.callers());
        (callers.iter().filter(|caller| caller.state == CallEvent::Joined).count() == 3).then_some(())
    })
    .await;
    pass_until(&sandbox, &prometheus, "jvb_watcher_flows > 0").await;
    sandbox.with_world(|world, now| world.inject(Incident::Callers { n: 0 }, now)).expect("callers can leave");
    for query in [
        "jvb_watcher_unused_seconds > 0",
        "jvb_watcher_stops_for_disuse_total > 0",
        "jvb_watcher_idle_seconds > 0",
        "jvb_watcher_teardowns_total > 0",
    ] {
        pass_until(&sandbox, &prometheus, query).await;
    }

    let mut empty = Vec::new();
    for (panel, query) in panel_queries() {
        if !prometheus.has_data(&with_variables(&query, &BTreeMap::new())).await {
            empty.push(format!("{panel}: {query}"));
        }
    }
    assert!(empty.is_empty(), "these have no data:\n{}", empty.join("\n"));
    let nothing = BTreeMap::from([("service", "none")]);
    for (panel, query) in panel_queries() {
        assert!(!prometheus.has_data(&with_variables(&query, &nothing)).await, "{panel} ignores the variables");
    }

    // The alerts' expressions have been evaluated, on series that exist.
    let groups = prometheus.get("rules", &[]).await;
    let alerts = groups["groups"][0]["rules"].as_array().expect("rules").clone();
    assert_eq!(alerts.len(), read("prometheus-rules.yaml").matches("- alert: ").count());
    for alert in alerts {
        assert_eq!(alert["health"], "ok", "{alert}");
        let query = alert["query"].as_str().expect("a query");
        for selector in selectors(query) {
            let found = prometheus.get("series", &[("match[]", &selector)]).await;
            assert!(found.as_array().is_some_and(|series| !series.is_empty()), "{selector} of {}", alert["name"]);
        }
    }
    assert_eq!(watcher.stop().await, Some(0));
}

/// The selectors in a query: each metric with its labels.
fn selectors(query: &str) -> Vec<String> {
    let selector = |(at, _): (usize, &str)| {
        let name = query[at..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().expect("the prefix");
        let rest = &query[at + name.len()..];
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(labels, _)| labels);
        labels.map_or_else(|| name.to_owned(), |labels| format!("{name}{{{labels}}}"))
    };
    query.match_indices(PREFIX).map(selector).collect()
}

/// The metrics of the process of a fleet have no label of a service.
#[tokio::test]
async fn the_variables_leave_the_process_of_a_fleet_in_its_panels() {
    let sandbox = sandbox().await;
    let fleet = format!(
        "[[service]]\nproject = \"{PROJECT}\"\n[[service]]\nproject = \"other\"\nservice = \"other\"\ncluster = \
         \"{PROJECT}-cluster\"\nload-balancer = \"other-nlb\"\n"
    );
    let queue = format!("{PROJECT}-jvb-watcher");
    let watcher = launch(&sandbox).env("JVB_WATCHER_CONFIG_TEXT", &fleet).args(["--queue", &queue]).start();
    let prometheus = Prometheus::scraping(&listening(&watcher).await).await;
    // An increase takes two values.
    prometheus
        .wait_for(&format!("count_over_time(jvb_watcher_reconciles_total{{service=\"{PROJECT}-service\"}}[1m]) > 2"))
        .await;
    let service = format!("{PROJECT}-service");
    for chosen in [BTreeMap::new(), BTreeMap::from([("project", PROJECT), ("service", service.as_str())])] {
        for (panel, query) in panel_queries() {
            if ["Requests to AWS", "Messages", "Services", "Reconciliations"]
                .iter()
                .any(|title| panel.starts_with(title))
            {
                assert!(prometheus.has_data(&with_variables(&query, &chosen)).await, "{panel}: {query}");
            }
        }
        let count = panel_queries().into_iter().find(|(panel, _)| panel == "Services A").expect("the panel").1;
        let query = format!("({}) == {}", with_variables(&count, &chosen), if chosen.is_empty() { 2 } else { 1 });
        assert!(prometheus.has_data(&query).await, "{query}");
    }
    assert_eq!(watcher.stop().await, Some(0));
}
