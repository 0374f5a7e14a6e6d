use super::*;
use crate::text::WIDTH;

fn diagnosis(checks: Vec<Check>) -> Diagnosis {
    Diagnosis { tally: Tally::of(checks.iter()), checks }
}

/// Returns the checks of a service: two that are the same for all, and one of its own.
fn service(name: &str, own: Check) -> (Subject, Diagnosis) {
    let shared = Check::ok("credentials", "of arn");
    let exists = Check::ok("queue", "q exists");
    (("shared".to_owned(), name.to_owned()), diagnosis(vec![shared, exists, own]))
}

fn exists(name: &str) -> (Subject, Diagnosis) {
    service(name, Check::ok("service", format!("{name} exists")))
}

fn text(diagnosis: &FleetDiagnosis) -> String {
    let text = fleet_text(diagnosis, Style::Plain);
    for line in text.lines() {
        assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
    }
    text
}

#[test]
fn what_is_the_same_for_all_services_stands_once_and_what_is_well_is_counted() {
    let missing = Check::failed("service", "it doesn't exist", "Correct it.");
    let fleet = FleetDiagnosis::new(Vec::new(), vec![exists("b"), service("a", missing), exists("c")]);
    assert_eq!((fleet.tally.ok, fleet.tally.failed, fleet.tally.wired_up), (4, 1, false));
    assert_eq!(fleet.checks.iter().map(|check| check.check).collect::<Vec<_>>(), ["credentials", "queue"]);
    let services: Vec<_> = fleet.services.iter().map(|of| (of.service.as_str(), of.wired_up)).collect();
    assert_eq!(services, [("a", false), ("b", true), ("c", true)]);
    let text = text(&fleet);
    assert!(text.contains("shared/a: it doesn't exist") && text.contains("Correct it."), "{text}");
    assert!(!text.contains("shared/b"), "{text}");
    assert_eq!(text.matches("q exists").count(), 1, "{text}");
    assert!(text.ends_with("\n1 check failed, for 1 of 3 services: 4 ok, 0 warnings, 0 skipped\n"), "{text}");
}

#[test]
fn a_fault_of_many_services_names_a_few() {
    let service = |number: usize| {
        let fault = match number {
            0..500 => Check::warning("owner tag", "there is none", "Add it."),
            _ => Check::failed("event pattern", format!("no match for s{number}"), "Match it."),
        };
        service(&format!("s{number:03}"), fault)
    };
    let fleet = FleetDiagnosis::new(Vec::new(), (0..560).map(service).collect());
    let text = text(&fleet);
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in:\n{text}"));
    assert!(place("no match for s500") < place("11 more; --output json has all"), "{text}");
    assert!(text.lines().count() < 120, "{text}");
    let few = FleetDiagnosis::new(Vec::new(), (0..501).map(service).collect());
    let text = self::text(&few);
    assert!(text.contains("shared/s000, shared/s001, shared/s002 and 497 more:"), "{text}");
    assert!(text.find("no match") < text.find("there is none"), "failures come first:\n{text}");
}

#[test]
fn faults_of_the_list_are_failures() {
    let list = vec![Check::not_watched("shared/x: the tag is wrong".to_owned(), "Correct the tag.")];
    let fleet = FleetDiagnosis::new(list, vec![exists("a")]);
    assert!(!fleet.tally.wired_up);
    let text = text(&fleet);
    assert!(text.contains("shared/x: the tag is wrong") && text.contains("1 check failed: "), "{text}");
}

#[test]
fn a_fleet_without_a_fault_is_wired_up() {
    let fleet = FleetDiagnosis::new(Vec::new(), vec![exists("a"), exists("b")]);
    assert!(fleet.tally.wired_up);
    assert!(text(&fleet).ends_with("\nNo check of 2 services failed: 4 ok, 0 warnings, 0 skipped\n"));
}
