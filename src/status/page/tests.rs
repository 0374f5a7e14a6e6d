use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::aws::fake::FakeClock;
use crate::aws::{AwsError, ErrorKind};
use crate::controller::latest::LatestReconciliation;
use crate::controller::scope::Scope;
use crate::telemetry::log::Identity;
use jvb_watcher_rules::finding::{Finding, FindingName};
use jvb_watcher_rules::model::Observation;
use jvb_watcher_rules::plan::plan;
use jvb_watcher_rules::plan::samples::{counts, idle, load_balancer, noon, observation, policy, running, stopped};

/// A name that would be a script if it weren't escaped, and a path of its own if it weren't encoded.
const HOSTILE: &str = "<script>alert('1')</script>/../\"&";

/// A page, and the controllers of its services.
struct Bench {
    page: StatusPage,
    clock: Arc<FakeClock>,
    latest: Vec<LatestReconciliation>,
}

impl Bench {
    fn new(is_fleet: bool, services: &[&str]) -> Self {
        let (latest, clock) = (LatestReconciliations::default(), FakeClock::noon());
        let page = StatusPage {
            latest: latest.clone(),
            liveness: Liveness::new(Duration::from_secs(60)),
            is_fleet,
            queue: "p-jvb-watcher".to_owned(),
            region: "eu-west-1".to_owned(),
            costs: Model::new("eu-west-1", jvb_watcher_cost::Platform::EXAMPLE),
            clock: clock.clone(),
        };
        page.liveness.succeeded();
        let latest = services.iter().map(|service| latest.of(subject(service))).collect();
        Self { page, clock, latest }
    }

    fn observed(&self, service: usize, observation: Observation) {
        self.reconciled(service, observation, true, Vec::new());
    }

    fn reconciled(
        &self,
        service: usize,
        observation: Observation,
        is_complete: bool,
        event_source_findings: Vec<Finding>,
    ) {
        let plan = plan(&observation, &policy(), noon());
        let at = noon();
        self.latest[service].observed(|| Reconciliation { at, observation, plan, is_complete, event_source_findings });
    }

    fn page(&self, path: &str) -> String {
        self.page.render(path).expect("the templates don't fail").unwrap_or_else(|| panic!("{path} exists"))
    }
}

fn subject(service: &str) -> Subject {
    Subject {
        identity: Identity { project: "p".to_owned(), cluster: "p-cluster".to_owned(), service: service.to_owned() },
        scope: Scope { cluster: "p-cluster".to_owned(), service: service.to_owned() },
        policy: policy(),
    }
}

fn serving() -> Observation {
    observation(counts(1, 1, 0), vec![running(1), stopped(2)], Some(load_balancer(&[1])))
}

fn at_rest() -> Observation {
    observation(counts(0, 0, 0), Vec::new(), None)
}

fn denied() -> AwsError {
    AwsError {
        kind: ErrorKind::AccessDenied,
        service: "ecs",
        operation: "DescribeServices",
        resource: "p-service".to_owned(),
        code: Some("AccessDeniedException".into()),
        message: "not <authorized>".to_owned(),
        request_id: None,
    }
}

#[track_caller]
fn assert_has(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part} is not in:\n{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_service_has_the_facts_of_its_latest_reconciliation() {
    let bench = Bench::new(false, &["p-service"]);
    assert_has(&bench.page("/"), &["Not reconciled yet", "<h1>p-service</h1>"]);
    bench.observed(0, serving());
    bench.clock.freeze(Duration::from_secs(12));
    let page = bench.page("/");
    assert_has(
        &page,
        &[
            "<title>✓ p-service</title>",
            "Well: no findings",
            "p-cluster, project p; serving",
            ", 12s ago",
            "p-service in p-cluster: 1 desired, 1 running, 0 pending",
            "p-jvb-nlb: active, created 1h ago",
            "since its creation",
            "1 stopped within the last hour",
            "Target group ",
            "healthy",
            "reconcile again by 2",
            "receiving from p-jvb-watcher",
            " in eu-west-1",
        ],
    );
    assert!(!page.contains("All services") && !page.contains("class=\"verdict error\""), "{page}");
    assert_eq!(bench.page.render("/services/p-cluster/p-service").expect("rendered"), None, "there is one page");
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_not_outstanding() {
    let bench = Bench::new(false, &["p-service"]);
    // The task should have been registered long ago.
    let observed = observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[])));
    bench.observed(0, observed.clone());
    assert_has(&bench.page("/"), &["Well: no findings", "Done by this reconciliation", "<li>register 10."]);
    bench.reconciled(0, observed, false, Vec::new());
    bench.latest[0].failed(&denied(), noon());
    assert_has(
        &bench.page("/"),
        &["Not well: the last reconciliation failed", "not all of it succeeded", "serving task(s) not registered"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shown_with_the_last_observation() {
    let bench = Bench::new(false, &["p-service"]);
    bench.observed(0, serving());
    bench.latest[0].failed(&denied(), noon() + Duration::from_secs(60));
    bench.clock.freeze(Duration::from_secs(90));
    let parts =
        ["✗ p-service", "ecs:DescribeServices on p-service", "not &#60;authorized&#62;", "(30s ago;", "1m 30s ago"];
    assert_has(&bench.page("/"), &parts);
    bench.observed(0, serving());
    assert_has(&bench.page("/"), &["✓ p-service"]);
}

#[tokio::test(start_paused = true)]
async fn findings_and_problems_of_the_worker_come_before_the_facts() {
    let bench = Bench::new(false, &["p-service"]);
    let disabled = Finding {
        name: FindingName::RuleDisabled,
        subject: "p-jvb-watcher".to_owned(),
        detail: "it is disabled".to_owned(),
    };
    bench.reconciled(0, serving(), true, vec![disabled]);
    bench.page.liveness.failed(&denied());
    let page = bench.page("/");
    let place = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part} is not in:\n{page}"));
    assert!(place("the last reconciliation failed: ecs:DescribeServices") < place("Not well: 1 finding"));
    assert!(place("rule_disabled: p-jvb-watcher") < place("Load balancer"));
    assert_has(&page, &[FindingName::RuleDisabled.advice()]);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_has_a_row_a_service_and_those_first_that_are_not_well() {
    let bench = Bench::new(true, &["busy", "new", "failing", "resting", "stray"]);
    assert_has(&bench.page("/"), &["No service has been reconciled yet"]);
    bench.observed(0, serving());
    bench.observed(2, serving());
    bench.latest[2].failed(&denied(), noon());
    bench.observed(3, at_rest());
    let mut not_owned = idle(load_balancer(&[]));
    not_owned.load_balancer.as_mut().expect("a load balancer").tags.clear();
    bench.observed(4, not_owned);
    let page = bench.page("/");
    assert_has(
        &page,
        &["<title>! 5 services</title>", "1 of 4 services is not well; 1 could not be observed; 1 not reconciled yet"],
    );
    let services: Vec<_> = page
        .split("<a href=\"services/p-cluster/")
        .skip(1)
        .map(|rest| rest.split('"').next().expect("a path"))
        .collect();
    assert_eq!(services, ["failing", "stray", "busy", "resting", "new"]);
    assert_has(&page, &["load_balancer_not_owned: p-jvb-nlb", "ecs:DescribeServices on p-service", "2 well: "]);

    // As the page has it, and as a proxy may write it.
    for path in ["/services/p-cluster/stray", "/services/p-cluster/%73tray"] {
        let service = bench.page(path);
        assert_has(&service, &["<h1>stray</h1>", "<a href=\"../../\">All services</a>", "href=\"../../status.css"]);
    }
    for missing in [
        "/services/",
        "/services/p-cluster",
        "/services/p-cluster/none",
        "/services/p-cluster/stray/",
        "/services/%ff/stray",
    ] {
        assert_eq!(bench.page.render(missing).expect("rendered"), None, "{missing}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_removed_or_replaced_has_no_row_of_its_own() {
    let mut bench = Bench::new(true, &["a", "b"]);
    bench.observed(0, serving());
    let replacing = bench.page.latest.of(subject("a"));
    assert_has(&bench.page("/"), &["<title>- 2 services</title>"]);
    bench.latest.clear();
    assert_has(&bench.page("/"), &["<title>- 1 services</title>"]);
    drop(replacing);
    assert_has(&bench.page("/"), &["<title>- 0 services</title>"]);
}

#[tokio::test(start_paused = true)]
async fn whatever_comes_from_outside_is_escaped() {
    for is_fleet in [false, true] {
        let bench = Bench::new(is_fleet, &[HOSTILE]);
        let mut observed = serving();
        let found = observed.load_balancer.as_mut().expect("a load balancer");
        found.name = HOSTILE.to_owned();
        found.target_groups[0].name = HOSTILE.to_owned();
        found.target_groups[0].targets[0].reason = Some(HOSTILE.to_owned());
        let other =
            Finding { name: FindingName::RuleDisabled, subject: HOSTILE.to_owned(), detail: HOSTILE.to_owned() };
        bench.reconciled(0, observed, true, vec![other]);
        bench.latest[0].failed(&AwsError { message: HOSTILE.to_owned(), ..denied() }, noon());
        let mut pages = vec![bench.page("/")];
        if is_fleet {
            let path = pages[0].split("<a href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a link");
            assert!(!path.contains(['<', '\'', '.', '&']), "{path}");
            let path = format!("/{path}");
            pages.push(bench.page(&path));
        }
        for page in pages {
            assert!(page.contains("&#60;script&#62;") && !page.contains("<script"), "{page}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_services_are_a_page_of_a_thousand_rows() {
    let names: Vec<_> = (0..1_000).map(|number| format!("meet-{number:04}")).collect();
    let bench = Bench::new(true, &names.iter().map(String::as_str).collect::<Vec<_>>());
    for service in 0..1_000 {
        bench.observed(service, if service % 20 == 0 { serving() } else { at_rest() });
    }
    let page = bench.page("/");
    assert_eq!(page.matches("<a href=\"services/").count(), 1_000);
    assert_has(&page, &["Well: 1,000 services", "950 idle without a load balancer, 50 serving"]);
    assert!(page.len() < 400_000, "{} bytes", page.len());
}
