//! The page of `run --listen`, in a browser.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Method;
use jvb_watcher::clock::SystemClock;
use jvb_watcher::controller::latest::{LatestReconciliations, Reconciliation, Subject};
use jvb_watcher::controller::liveness::Liveness;
use jvb_watcher::controller::scope::Scope;
use jvb_watcher::status::StatusPage;
use jvb_watcher::telemetry::log::Identity;
use jvb_watcher_cost::Model;
use jvb_watcher_rules::plan::plan;
use jvb_watcher_rules::plan::samples::{idle, load_balancer, noon, policy};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::browser::{Browser, Scheme};
use crate::listen::request;
use crate::platform::{LoadBalancer, LoadBalancerSpec, Platform, TargetGroupSpec, udp};
use crate::stage::Aws;
use crate::wait::eventually;
use crate::watcher::{Launch, Watcher};

/// A message that would be an element and load a picture if it weren't escaped.
const HOSTILE: &str = "<img src=/picture onerror=alert(1)>";

/// The colours of the paper and of a verdict that is well, in both schemes.
const COLOURS: [(Scheme, [u8; 3], [u8; 3]); 2] =
    [(Scheme::Light, [0xf4, 0xf6, 0xf9], [0x0b, 0x7a, 0x6f]), (Scheme::Dark, [0x10, 0x14, 0x1b], [0x35, 0xc2, 0xae])];

async fn listening(watcher: &Watcher) -> String {
    watcher.wait_for("listening").await.text("address").to_owned()
}

async fn get(address: &str, path: &str) -> String {
    request(address, Method::GET, path).await.into_body()
}

/// Waits until the page at a path contains all of these, and returns it.
async fn wait_for(address: &str, path: &str, parts: &[&str]) -> String {
    eventually(&format!("{path} has {parts:?}"), async || {
        let page = get(address, path).await;
        parts.iter().all(|part| page.contains(part)).then_some(page)
    })
    .await
}

/// A platform on the sandbox with a load balancer and a healthy task.
async fn serving() -> (Platform, LoadBalancer) {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(1).await;
    (platform, load_balancer)
}

/// A watcher of a fleet: the platform's service, which serves, and another one whose load balancer is not the watcher's.
async fn fleet(platform: &Platform) -> (Watcher, LoadBalancer) {
    let groups = vec![TargetGroupSpec { suffix: "meet-udp", ..udp() }];
    let name = format!("{}-meet-nlb", platform.project);
    let plan = LoadBalancerSpec { groups, ..LoadBalancerSpec::default() };
    let meet = platform.create_load_balancer_named(&name, plan).await;
    platform.create_service_as("meet", 0, &[]).await;
    platform.add_tag(&meet.arns(), "Lifecycle", "kept").await;
    let configuration = format!(
        "[defaults]\ncluster = \"{}\"\nresync-interval = \"1s\"\n[[service]]\nproject = \"{}\"\n[[service]]\nservice = \
         \"meet\"\nload-balancer = \"{name}\"\n",
        platform.cluster(),
        platform.project
    );
    let watcher =
        Launch::run(platform).env("JVB_WATCHER_CONFIG_TEXT", &configuration).args(["--listen", "127.0.0.1:0"]).start();
    (watcher, meet)
}

/// Saves a page and its style sheet, and returns the page's file.
async fn save(directory: &TempDir, address: &str, path: &str) -> PathBuf {
    let page = get(address, path).await;
    let style = get(address, "/status.css").await;
    std::fs::write(directory.path().join("status.css"), style).expect("the file can be written");
    let file = directory.path().join("page.html");
    std::fs::write(&file, page.replace("../../status.css", "status.css")).expect("the file can be written");
    file
}

#[tokio::test]
async fn a_browser_shows_one_service_in_light_and_in_dark() {
    let (platform, load_balancer) = serving().await;
    let watcher = Launch::quick(&platform).args(["--listen", "127.0.0.1:0"]).start();
    let address = listening(&watcher).await;
    wait_for(&address, "/", &["Well: no findings", "state-healthy"]).await;

    let browser = Browser::new();
    let url = format!("http://{address}/");
    let elements = browser.elements_at(&url).await;
    let service = platform.service();
    for part in [&service, &load_balancer.name, &load_balancer.groups[0].name, "1 desired, 1 running, 0 pending"] {
        assert!(elements.contains(part), "{part} is not in:\n{elements}");
    }
    assert!(!elements.contains("<script"), "{elements}");
    assert_eq!(browser.requests(), Vec::<String>::new(), "the page loads nothing from elsewhere");
    for (scheme, paper, well) in COLOURS {
        let screenshot = browser.screenshot_at(&url, scheme, 1000, 900).await;
        assert_eq!(screenshot.at(2, 2), paper, "the policy allows the style sheet");
        assert!(screenshot.count(well) > 50, "{} pixels of the verdict", screenshot.count(well));
    }
    let headers = request(&address, Method::GET, "/").await.headers().clone();
    let policy = headers["content-security-policy"].to_str().expect("text");
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(watcher.stop().await, Some(0));
}

#[tokio::test]
async fn a_browser_shows_a_fleet_and_each_of_its_services() {
    let (platform, _) = serving().await;
    let (watcher, meet) = fleet(&platform).await;
    let address = listening(&watcher).await;
    let page = wait_for(&address, "/", &["1 of 2 services is not well", "load_balancer_not_owned", ">serving<"]).await;
    let path = format!("/{}", page.split("<a href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a link"));
    assert!(path.ends_with("/meet"), "{path}: the one that isn't well is first");
    wait_for(&address, &path, &["Lifecycle=kept", &meet.name]).await;

    let (browser, directory) = (Browser::new(), tempfile::tempdir().expect("a directory"));
    for path in ["/", &path] {
        let elements = browser.elements_at(&format!("http://{address}{path}")).await;
        assert!(elements.contains("meet"), "{elements}");
        let file = save(&directory, &address, path).await;
        for (content, frame) in browser.widths(&file, &[390, 320, 1000]).await {
            assert!(content <= frame, "{path} is {content} pixels wide in a window of {frame}");
        }
        for (scheme, paper, _) in COLOURS {
            let screenshot = browser.screenshot_at(&format!("http://{address}{path}"), scheme, 390, 844).await;
            assert_eq!(screenshot.at(2, 2), paper);
        }
    }
    platform.proxy.on("ecs:DescribeServices").error(400, "AccessDeniedException", HOSTILE);
    for path in ["/", &path] {
        wait_for(&address, path, &["&#60;img src"]).await;
        let elements = browser.elements_at(&format!("http://{address}{path}")).await;
        assert!(elements.contains("ecs:DescribeServices") && !elements.contains("<img"), "{elements}");
    }
    assert_eq!(browser.requests(), Vec::<String>::new());
    assert_eq!(watcher.stop().await, Some(0));
}

/// The program accepts no such name, and AWS has none; the page doesn't rely on that.
#[tokio::test]
async fn a_name_that_is_an_element_is_text() {
    let (browser, directory) = (Browser::new(), tempfile::tempdir().expect("a directory"));
    for is_fleet in [false, true] {
        let latest = LatestReconciliations::default();
        let scope = Scope { cluster: HOSTILE.to_owned(), service: HOSTILE.to_owned() };
        let [project, cluster, service] = [HOSTILE; 3].map(str::to_owned);
        let identity = Identity { project, cluster, service };
        let service = latest.of(Subject { identity, scope, policy: policy() });
        let observation = idle(load_balancer(&[1]));
        let plan = plan(&observation, &policy(), noon());
        let (at, is_complete, event_source_findings) = (noon(), true, Vec::new());
        service.observed(|| Reconciliation { at, observation, plan, is_complete, event_source_findings });
        let page = StatusPage {
            latest,
            liveness: Liveness::new(Duration::from_secs(60)),
            is_fleet,
            queue: HOSTILE.to_owned(),
            region: HOSTILE.to_owned(),
            costs: Model::default(),
            clock: Arc::new(SystemClock),
        };
        let page = page.render("/").expect("the template doesn't fail").expect("a page");
        let file = directory.path().join("page.html");
        std::fs::write(&file, page).expect("the file can be written");
        let elements = browser.elements(&file).await;
        assert!(elements.contains("&lt;img src=/picture") && !elements.contains("<img"), "{elements}");
    }
    assert_eq!(browser.requests(), Vec::<String>::new());
}

/// Forwards connections to an address, and counts the requests of the page.
async fn counting(address: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
    let (own, count) = (listener.local_addr().expect("an address").to_string(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (address, counted) = (address.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let (mut client, mut line) = (BufReader::new(client), String::new());
                // A browser opens connections that it doesn't use.
                let read = client.read_line(&mut line).await;
                if read.is_err() || line.is_empty() {
                    return;
                }
                if line.starts_with("GET / ") {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                let mut server = TcpStream::connect(address).await.expect("the watcher listens");
                server.write_all(line.as_bytes()).await.expect("the watcher reads");
                // Ends when either side does.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (own, count)
}

#[tokio::test]
async fn the_page_loads_again_by_itself() {
    let (platform, _) = serving().await;
    let watcher = Launch::quick(&platform).args(["--listen", "127.0.0.1:0"]).start();
    let (address, count) = counting(listening(&watcher).await).await;
    wait_for(&address, "/", &["Well: no findings"]).await;
    count.store(0, Ordering::Relaxed);
    let browser = Browser::new();
    browser.stay_at(&format!("http://{address}/"), async || (count.load(Ordering::Relaxed) >= 3).then_some(())).await;
}
