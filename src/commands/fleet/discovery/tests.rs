use std::sync::{Arc, Mutex};

use super::*;

/// Clusters in memory. Clones share them.
#[derive(Clone, Default)]
struct FakeDirectory(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    services: BTreeMap<(String, String), Tags>,
    load_balancers: BTreeSet<String>,
    /// The clusters whose reads fail, and how.
    failures: BTreeMap<String, ErrorKind>,
    /// The time that a call takes.
    latency: Duration,
    /// The services that ListServices leaves out although they exist.
    unlisted: BTreeSet<String>,
}

impl FakeDirectory {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().expect("not poisoned"))
    }

    /// Creates or tags a service, and creates its load balancer.
    fn tag(&self, cluster: &str, service: &str, tags: &[(&str, &str)]) {
        self.change(|state| {
            let tags: Tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            state.load_balancers.extend(tags.get("jvb-watcher:load-balancer").cloned());
            state.services.insert((cluster.to_owned(), service.to_owned()), tags);
        });
    }

    fn delete(&self, cluster: &str, service: &str) {
        self.change(|state| state.services.remove(&(cluster.to_owned(), service.to_owned())));
    }

    async fn answer_late(&self) {
        let latency = self.change(|state| state.latency);
        tokio::time::sleep(latency).await;
    }

    fn error(&self, cluster: &str, operation: &'static str) -> Result<(), AwsError> {
        let kind = self.change(|state| state.failures.get(cluster).copied());
        kind.map_or(Ok(()), |kind| {
            Err(AwsError {
                kind,
                service: "ecs",
                operation,
                resource: cluster.to_owned(),
                code: None,
                message: "no".to_owned(),
                request_id: None,
            })
        })
    }
}

impl ServiceDirectory for FakeDirectory {
    async fn services(&self, cluster: &str) -> Result<Vec<String>, AwsError> {
        self.answer_late().await;
        self.error(cluster, "ListServices")?;
        Ok(self.change(|state| {
            let of_cluster = state.services.keys().filter(|(of, name)| of == cluster && !state.unlisted.contains(name));
            of_cluster.map(|(_, name)| name.clone()).collect()
        }))
    }

    async fn describe(&self, cluster: &str, services: &[String]) -> Result<Vec<TaggedService>, AwsError> {
        self.answer_late().await;
        assert!((1..=PER_STEP).contains(&services.len()), "{} services", services.len());
        let tagged = |name: &String| {
            let tags = self.change(|state| state.services.get(&(cluster.to_owned(), name.clone())).cloned())?;
            Some(TaggedService { name: name.clone(), tags })
        };
        Ok(services.iter().filter_map(tagged).collect())
    }

    async fn has_load_balancer(&self, name: &str) -> Result<bool, AwsError> {
        Ok(self.change(|state| state.load_balancers.contains(name)))
    }
}

fn discovery(directory: &FakeDirectory, clusters: &[&str], given: &[(&str, &str)]) -> Discovery<FakeDirectory> {
    let given = given.iter().map(|(option, value)| ((*option).to_owned(), (*value).to_owned())).collect();
    Discovery::new(directory.clone(), clusters.iter().map(|name| (*name).to_owned()).collect(), given)
}

fn names(found: &Discovered) -> Vec<&str> {
    found.services.keys().map(|key| key.service.as_str()).collect()
}

const LOAD_BALANCER_TAG: &str = "jvb-watcher:load-balancer";

#[tokio::test]
async fn finds_the_tagged_services_of_all_clusters_with_their_options() {
    let directory = FakeDirectory::default();
    directory.tag("a", "meet", &[(LOAD_BALANCER_TAG, "meet-nlb"), ("team", "x"), (OPERATION_TAG, "up 123")]);
    directory.tag("a", "web", &[("team", "x")]);
    let options = [
        (LOAD_BALANCER_TAG, "acme-nlb"),
        ("jvb-watcher:project", "acme"),
        ("jvb-watcher:idle-grace", "5m"),
        ("jvb-watcher:allow-several-bridges", "true"),
        ("jvb-watcher:use-protocols", "udp tls"),
    ];
    directory.tag("b", "bridge", &options);
    directory.tag("c", "other", &[(LOAD_BALANCER_TAG, "other-nlb")]);
    let found = discovery(&directory, &["a", "b"], &[("teardown", "off"), ("idle-grace", "9m")]).read().await.0;
    assert!(found.findings.is_empty() && found.removed.is_empty(), "{found:?}");
    let [meet, bridge] = found.services.into_values().collect::<Vec<_>>().try_into().expect("two services");
    assert_eq!((meet.names.scope.cluster.as_str(), meet.names.scope.service.as_str()), ("a", "meet"));
    assert_eq!((meet.names.load_balancer.as_str(), meet.names.identity.project.as_str()), ("meet-nlb", "meet"));
    assert_eq!(meet.policy.idle_grace.as_secs(), 540, "from the command line");
    assert_eq!((bridge.names.load_balancer.as_str(), bridge.names.identity.project.as_str()), ("acme-nlb", "acme"));
    assert_eq!((bridge.policy.idle_grace.as_secs(), bridge.policy.allow_several_bridges), (300, true));
    assert_eq!(bridge.policy.teardown, jvb_watcher_rules::plan::Teardown::Off);
}

#[tokio::test]
async fn a_wrong_tag_is_a_finding_and_the_others_go_on() {
    let directory = FakeDirectory::default();
    let mut discovery = discovery(&directory, &["c"], &[]);
    directory.tag("c", "good", &[(LOAD_BALANCER_TAG, "good-nlb")]);
    for (tag, value, says) in [
        ("jvb-watcher:idle-grace", "soon", "the tag jvb-watcher:idle-grace: \"soon\": expected number"),
        ("jvb-watcher:idle-grac", "1m", "did you mean idle-grace?; the service isn't watched"),
        ("jvb-watcher:queue", "q", "queue is an option of the process"),
        ("jvb-watcher:no-usage", "yes", "it must be true or false"),
        ("jvb-watcher:service", "x", "a discovered service has its own service"),
        (LOAD_BALANCER_TAG, "a_b", "the tag jvb-watcher:load-balancer: \"a_b\" must be made of"),
        (LOAD_BALANCER_TAG, "", "the tag jvb-watcher:load-balancer: it is empty"),
    ] {
        directory.tag("c", "wrong", &[(LOAD_BALANCER_TAG, "wrong-nlb"), (tag, value)]);
        let found = discovery.read().await.0;
        assert_eq!(names(&found), ["good"], "{tag}={value}");
        let [(key, findings)] = found.findings.into_iter().collect::<Vec<_>>().try_into().expect("one service");
        let [finding] = findings.try_into().expect("one finding");
        assert_eq!((key.service.as_str(), finding.name), ("wrong", FindingName::TagInvalid));
        assert!(finding.detail.contains(says), "{tag}={value} gives {}", finding.detail);
    }
    directory.tag("c", "wrong", &[(LOAD_BALANCER_TAG, "wrong-nlb")]);
    let found = discovery.read().await.0;
    assert_eq!((names(&found), found.findings.len()), (vec!["good", "wrong"], 0));
}

#[tokio::test]
async fn a_tag_that_becomes_wrong_leaves_the_service_with_its_last_good_settings() {
    let directory = FakeDirectory::default();
    let mut discovery = discovery(&directory, &["c"], &[]);
    directory.tag("c", "s", &[(LOAD_BALANCER_TAG, "nlb"), ("jvb-watcher:idle-grace", "5m")]);
    let before = discovery.read().await.0.services;
    directory.tag("c", "s", &[(LOAD_BALANCER_TAG, "nlb"), ("jvb-watcher:idle-grace", "5 min utes")]);
    let found = discovery.read().await.0;
    assert_eq!(found.services, before);
    let detail = &found.findings.values().next().expect("a finding")[0].detail;
    assert!(detail.ends_with("the service keeps its last good settings"), "{detail}");
}

#[tokio::test]
async fn two_services_with_one_load_balancer_are_both_given_up_and_the_others_go_on() {
    let directory = FakeDirectory::default();
    let mut discovery = discovery(&directory, &["a", "b"], &[]);
    directory.tag("a", "first", &[(LOAD_BALANCER_TAG, "nlb")]);
    directory.tag("a", "other", &[(LOAD_BALANCER_TAG, "other-nlb")]);
    assert_eq!(names(&discovery.read().await.0), ["first", "other"]);
    directory.tag("b", "second", &[(LOAD_BALANCER_TAG, "nlb")]);
    let found = discovery.read().await.0;
    assert_eq!(names(&found), ["other"]);
    for (key, other) in [(key("a", "first"), "b/second"), (key("b", "second"), "a/first")] {
        assert_eq!(found.removed[&key], RemovalReason::LoadBalancerShared);
        let [finding] = found.findings[&key].as_slice() else { panic!("one finding") };
        assert_eq!(finding.name, FindingName::LoadBalancerShared);
        assert!(finding.detail.contains(&format!("of {other} names nlb, too")), "{}", finding.detail);
    }
    directory.tag("b", "second", &[(LOAD_BALANCER_TAG, "second-nlb")]);
    let found = discovery.read().await.0;
    assert_eq!((names(&found), found.findings.len()), (vec!["first", "other", "second"], 0));
}

#[tokio::test]
async fn a_deleted_service_is_watched_until_its_load_balancer_is_gone() {
    let directory = FakeDirectory::default();
    let mut discovery = discovery(&directory, &["c"], &[]);
    directory.tag("c", "s", &[(LOAD_BALANCER_TAG, "nlb")]);
    let before = discovery.read().await.0.services;
    directory.delete("c", "s");
    let found = discovery.read().await.0;
    assert_eq!((&found.services, found.removed.len()), (&before, 0));
    directory.change(|state| state.failures.insert("c".to_owned(), ErrorKind::NotFound));
    assert_eq!(discovery.read().await.0.services, before, "its cluster is deleted, too");
    directory.change(|state| state.load_balancers.clear());
    let found = discovery.read().await.0;
    assert_eq!((names(&found).len(), found.removed[&key("c", "s")]), (0, RemovalReason::ServiceDeleted));
    assert!(discovery.read().await.0.removed.is_empty(), "it is reported once");
}

#[tokio::test]
async fn a_deleted_service_yields_its_load_balancer_to_its_successor() {
    let directory = FakeDirectory::default();
    let mut discovery = discovery(&directory, &["c"], &[]);
    directory.tag("c", "blue", &[(LOAD_BALANCER_TAG, "nlb")]);
    discovery.read().await;
    directory.delete("c", "blue");
    directory.tag("c", "green", &[(LOAD_BALANCER_TAG, "nlb")]);
    let found = discovery.read().await.0;
    assert_eq!((names(&found), found.findings.len()), (vec!["green"], 0));
    assert_eq!(found.removed[&key("c", "blue")], RemovalReason::ServiceDeleted);
}

#[tokio::test]
async fn a_service_whose_tag_is_removed_is_given_up() {
    let directory = FakeDirectory::default();
    let mut discovery = discovery(&directory, &["c"], &[]);
    directory.tag("c", "s", &[(LOAD_BALANCER_TAG, "nlb")]);
    discovery.read().await;
    directory.tag("c", "s", &[]);
    let found = discovery.read().await.0;
    assert_eq!((names(&found).len(), found.removed[&key("c", "s")]), (0, RemovalReason::TagRemoved));
}

#[tokio::test]
async fn a_read_that_fails_leaves_the_services_of_its_cluster_as_they_were() {
    let directory = FakeDirectory::default();
    let mut discovery = discovery(&directory, &["a", "b"], &[]);
    directory.tag("a", "first", &[(LOAD_BALANCER_TAG, "first-nlb")]);
    directory.tag("b", "second", &[(LOAD_BALANCER_TAG, "second-nlb")]);
    discovery.read().await;
    directory.change(|state| state.failures.insert("a".to_owned(), ErrorKind::Throttled));
    directory.delete("a", "first");
    directory.tag("b", "third", &[(LOAD_BALANCER_TAG, "third-nlb")]);
    let (found, failures) = discovery.read().await;
    assert_eq!(names(&found), ["first", "second", "third"]);
    assert_eq!(failures.len(), 1);
    directory.change(|state| state.failures.insert("b".to_owned(), ErrorKind::Unavailable));
    let (found, failures) = discovery.read().await;
    assert_eq!((names(&found).len(), failures.len(), discovery.has_read()), (3, 2, true));
}

#[tokio::test]
async fn a_cluster_that_was_never_found_is_not_read() {
    let directory = FakeDirectory::default();
    let mut discovery = discovery(&directory, &["typo", "good"], &[]);
    for cluster in ["typo", "good"] {
        directory.change(|state| state.failures.insert(cluster.to_owned(), ErrorKind::NotFound));
    }
    let (_, failures) = discovery.read().await;
    let [(cluster, error), _] = failures.try_into().expect("both");
    assert_eq!((cluster.as_str(), error.kind.is_transient(), discovery.has_read()), ("typo", false, false));
    let text = error.with_remedy();
    assert!(text.ends_with("; correct --discover (JVB_WATCHER_DISCOVER), or create the cluster"), "{text}");
    directory.change(|state| state.failures.remove("good"));
    assert_eq!((discovery.read().await.1.len(), discovery.has_read()), (1, true));
    directory.change(|state| state.failures.insert("good".to_owned(), ErrorKind::NotFound));
    let (_, failures) = discovery.read().await;
    assert_eq!(failures.last().expect("both").1.kind, ErrorKind::NotFound, "it was deleted");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_cancelled_goes_on_with_the_next_cluster_and_is_continued() {
    let directory = FakeDirectory::default();
    let mut discovery = discovery(&directory, &["large", "small"], &[]);
    for number in 0..25 {
        directory.tag("large", &format!("s{number}"), &[(LOAD_BALANCER_TAG, &format!("nlb-{number}"))]);
    }
    directory.tag("small", "s", &[(LOAD_BALANCER_TAG, "nlb")]);
    directory.change(|state| state.latency = Duration::from_secs(1));
    // The list and one of three steps.
    let limit = Duration::from_millis(2500);
    for read in 1..=2 {
        assert_eq!(discovery.next_cluster(), "large");
        let large = tokio::time::timeout(limit, discovery.read_next(|| ())).await;
        assert_eq!(large.is_ok(), read == 2, "read {read}");
        assert_eq!(discovery.next_cluster(), "small");
        discovery.read_next(|| ()).await.expect("it is in time");
        assert_eq!(discovery.found().services.len(), if read == 2 { 26 } else { 1 });
    }
    let before_call = std::cell::Cell::new(0);
    discovery.read_next(|| before_call.set(before_call.get() + 1)).await.expect("without a limit");
    assert_eq!(before_call.get(), 4, "the list and three steps");
}

#[tokio::test]
async fn a_service_that_a_page_leaves_out_stays() {
    let directory = FakeDirectory::default();
    let mut discovery = discovery(&directory, &["c"], &[]);
    directory.tag("c", "s", &[(LOAD_BALANCER_TAG, "nlb")]);
    discovery.read().await;
    directory.change(|state| state.unlisted.insert("s".to_owned()));
    assert_eq!(names(&discovery.read().await.0), ["s"]);
}
