use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn given(_: Option<&str>) -> Model {
    Model { hourly: Some(0.19), idle_monthly: Some(0.73), ..Model::default() }
}

fn page_of(text: &str) -> Result<String, RenderError> {
    page_of_bytes(text.as_bytes())
}

fn page_of_bytes(log: &[u8]) -> Result<String, RenderError> {
    let mut logs = Logs::default();
    logs.add("worker.log.gz", log).expect("memory can be read");
    render_page(logs, given)
}

fn line_at(at: &str, project: &str, rest: &str) -> String {
    format!(r#"{{"timestamp":"{at}","level":"INFO",{rest},"project":"{project}","cluster":"c","service":"s"}}"#) + "\n"
}

fn line(second: u32, project: &str, rest: &str) -> String {
    line_at(&format!("2026-11-20T18:00:{second:02}.000Z"), project, rest)
}

fn started(second: u32, project: &str) -> String {
    line(second, project, r#""event":"watcher_started","message":"m""#)
}

fn reconciled_at(at: &str, load_balancer_state: &str) -> String {
    let rest = r#""event":"reconciled","registered":1,"findings":0,"aws_calls":1,"duration_ms":1,"message":"m""#;
    line_at(at, "p", &format!(r#"{rest},"load_balancer_state":"{load_balancer_state}""#))
}

/// The text of the first element with this start tag.
fn text_of<'a>(page: &'a str, tag: &str) -> &'a str {
    let rest = page.split(tag).nth(1).unwrap_or_else(|| panic!("{tag} is missing"));
    rest.split('<').next().expect("an end tag")
}

#[test]
fn escapes_text_from_the_log() {
    let evil = r#"</title></style></svg><script>alert(1)</script><img src=http://example.com onerror='x' \"y"#;
    let log = [
        line(1, evil, r#""event":"watcher_started","message":"m""#),
        line(2, evil, &format!(r#""event":"message_rejected","reason":"{evil}","message":"{evil}""#)),
        line(
            3,
            evil,
            &format!(
                r#""event":"finding","finding":"{evil}","state":"raised","subject":"{evil}","detail":"{evil}","advice":"{evil}","message":"{evil}""#
            ),
        ),
        line(
            4,
            evil,
            &format!(
                r#""event":"target_registered","task_id":"{evil}","ip":"{evil}","port":1,"target_group":"{evil}","message":"{evil}""#
            ),
        ),
        line(5, evil, &format!(r#""event":"{evil}","message":"{evil}""#)),
    ];
    let page = page_of(&log.concat()).expect("a page");
    assert!(page.contains("alert(1)"), "the text is on the page");
    for markup in ["<script", "<img", "onerror='x'", "\"y"] {
        assert!(!page.contains(markup), "{markup} in the page");
    }
    assert_eq!(page.matches("</style>").count(), 1);
}

#[test]
fn each_service_has_a_section() {
    let page = page_of(&(started(1, "one") + &started(2, "two") + &started(3, "one"))).expect("a page");
    let headings: Vec<&str> = page.lines().filter(|line| line.contains("<h2 id=\"service-")).collect();
    assert_eq!(headings.len(), 2);
    assert!(headings[0].contains(">one<") && headings[1].contains(">two<"), "{headings:?}");
    assert!(text_of(&page, "<h1>").starts_with("The load balancers of 2 services were "));
}

#[test]
fn one_sentence_heads_the_page() {
    let log = reconciled_at("2026-11-20T12:00:00Z", "absent")
        + &reconciled_at("2026-11-20T18:00:00Z", "active")
        + &reconciled_at("2026-11-20T22:00:00Z", "absent");
    let page = page_of(&log).expect("a page");
    assert_eq!(page.matches("<h1>").count(), 1);
    assert_eq!(
        text_of(&page, "<h1>"),
        "The load balancer was up for 4.0 h of 10.0 h (40%), with 0 tasks; running it on demand avoided $1.14 of $1.91."
    );
}

#[test]
fn a_load_balancer_that_is_always_up_shows_no_savings() {
    let log = reconciled_at("2026-11-01T00:00:00Z", "active") + &reconciled_at("2026-12-01T00:00:00Z", "active");
    let page = page_of(&log).expect("a page");
    assert!(page.contains(r#"data-figure="cost-avoided" value="0.000000">$0.00<"#), "{page}");
    assert!(text_of(&page, "<h1>").ends_with("(100%), with 0 tasks; running it on demand avoided no cost."));
    assert!(
        page.contains("Always-on operation: $139.43 a month (730 hours at the hourly price, plus the same fixed cost)")
    );
}

#[test]
fn lists_the_lines_that_are_left_out() {
    let unknown = line(1, "p", r#""event":"tea_made","message":"m""#);
    let marked = |second| line(second, "p", r#""event":"idle_marked","reason":"idle","message":"m""#);
    let log = [
        started(1, "p"),
        started(1, "p"),
        unknown,
        "noise\n".to_owned(),
        marked(2),
        marked(3),
        started(2, "p")[..50].to_owned(),
    ];
    let page = page_of(&log.concat()).expect("a page");
    for note in [
        "1 line: duplicate: the same line in several logs counts once.",
        "1 line: repeated: the same act, reported by several workers, counts once.",
        "1 line: of other programs, or not JSON.",
        "1 line: truncated.",
        "1 line: of events that this version doesn&#39;t know: tea_made (1).",
        r#"Lines read: <data data-figure="lines-read" value="7">7</data>."#,
        r#"Lines used: <data data-figure="lines" value="3">3</data>."#,
    ] {
        assert!(page.contains(note), "{note:?} is missing");
    }
}

#[test]
fn warns_of_a_truncated_log_below_the_headline() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(started(1, "p").as_bytes()).expect("memory can be written");
    let log = encoder.finish().expect("memory can be written");
    let warning = "Incomplete: worker.log.gz ends before its compressed data is complete; the report covers the 1 line(s) \
                   up to its end.";
    let page = page_of_bytes(&log[..log.len() - 8]).expect("a page");
    assert_eq!(text_of(&page, "<p class=\"warning\" role=\"note\">"), warning);
    let page = page_of_bytes(&log).expect("a page");
    assert!(!page.contains("Incomplete"), "the whole file has no warning");
}

#[test]
fn logs_without_a_line_of_the_watcher_have_no_page() {
    for (log, count) in [("", 0), ("noise\nmore noise\n", 2)] {
        let error = page_of(log).expect_err("there is nothing to show");
        assert!(matches!(error, RenderError::NoLines { lines } if lines == count), "{error}");
        assert!(error.to_string().contains("--log-format json"), "{error}");
    }
}

#[test]
fn a_log_of_one_line_has_a_page() {
    let page = page_of(&started(1, "p")).expect("a page");
    assert!(page.contains("0% of the time"));
    assert!(!page.contains("NaN"));
}

#[test]
fn limits_the_events_of_a_day() {
    let log: String = (0..MAX_ENTRIES + 7)
        .map(|number| line(1, "p", &format!(r#""event":"watcher_started","message":"start {number}""#)))
        .collect();
    let page = page_of(&log).expect("a page");
    assert_eq!(page.matches("<li><time").count(), MAX_ENTRIES);
    assert!(page.contains("7 more in the log."));
}

#[test]
fn all_days_are_below_one_axis() {
    let log = reconciled_at("2026-11-20T06:00:00Z", "absent")
        + &reconciled_at("2026-11-20T18:00:00Z", "active")
        + &reconciled_at("2026-11-22T06:00:00Z", "absent");
    let page = page_of(&log).expect("a page");
    let axis = page.split("<div class=\"axis\">").nth(1).expect("an axis").split("</div>").next().expect("its end");
    let labels: Vec<&str> = axis.split("<text ").skip(1).map(|text| text_of(text, "\">")).collect();
    assert_eq!(labels, ["00:00", "06:00", "12:00", "18:00", "24:00"]);
    assert_eq!(page.matches("class=\"tick\"").count(), 5, "no day has an axis of its own");
    let places: Vec<&str> = page
        .split("<rect class=\"bar up\" x=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().expect("a place"))
        .collect();
    assert_eq!(places, ["0.00%", "0.00%", "75.00%"], "the latest day comes first");
    let widths: Vec<&str> =
        page.split("<rect class=\"bar up\" x=\"").skip(1).filter_map(|rest| rest.split('"').nth(2)).collect();
    assert_eq!(widths, ["25.00%", "100.00%", "25.00%"]);
}

/// The texts of the legend.
fn legend(page: &str) -> Vec<&str> {
    let Some(legend) = page.split("<ul class=\"legend\"").nth(1) else { return Vec::new() };
    let legend = legend.split("</ul>").next().expect("its end");
    legend.split("</svg> ").skip(1).map(|rest| rest.split('<').next().expect("a text")).collect()
}

#[test]
fn the_legend_contains_what_the_charts_contain() {
    let idle = [reconciled_at("2026-11-20T18:00:00Z", "absent"), started(1, "p")].concat();
    assert!(legend(&page_of(&idle).expect("a page")).is_empty());

    let up = reconciled_at("2026-11-20T18:00:00Z", "absent")
        + &reconciled_at("2026-11-20T19:00:00Z", "active")
        + &reconciled_at("2026-11-20T20:00:00Z", "absent");
    assert_eq!(legend(&page_of(&up).expect("a page")), ["load balancer up", "load balancer deleted"]);

    let target = r#""task_id":"t","ip":"10.0.1.1","port":1,"target_group":"g","message":"m""#;
    let registered = line_at("2026-11-20T19:10:00Z", "p", &format!(r#""event":"target_registered",{target}"#));
    let unhealthy = format!(r#""event":"target_health_changed","to":"unhealthy",{target}"#);
    let unhealthy = line_at("2026-11-20T19:20:00Z", "p", &unhealthy);
    let open = up + &registered + &unhealthy + &reconciled_at("2026-11-20T20:30:00Z", "absent");
    assert_eq!(
        legend(&page_of(&open).expect("a page")),
        ["load balancer up", "registered", "unhealthy", "registration", "load balancer deleted", "continues"]
    );
}

/// The luminances of the colours in the first `:root` (light), the second (dark) or the third (print).
fn colours(nth: usize) -> BTreeMap<&'static str, f64> {
    let css = include_str!("../page.css");
    let root = css.split(":root {").nth(nth + 1).and_then(|rest| rest.split('}').next()).expect("the colours");
    let colours = root.split(';').filter_map(|declaration| declaration.trim().split_once(": #"));
    colours.map(|(name, hex)| (name, luminance(hex))).collect()
}

/// The relative luminance by the definition of WCAG.
fn luminance(hex: &str) -> f64 {
    let channel = |index: usize| {
        let value = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("two hexadecimal digits");
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2)
}

#[test]
fn colours_have_contrast_in_light_in_dark_and_in_print() {
    for scheme in 0..3 {
        let colours = colours(scheme);
        let contrast = |one: &str, other: &str| {
            let (one, other) = (colours[one], colours[other]);
            (one.max(other) + 0.05) / (one.min(other) + 0.05)
        };
        // WCAG 2.2, level AA: 4.5 for text (1.4.3), 3 for other content with a meaning (1.4.11).
        for text in ["--ink", "--muted", "--accent", "--healthy", "--unhealthy", "--finding", "--up"] {
            for background in ["--card", "--paper"] {
                let contrast = contrast(text, background);
                assert!(contrast >= 4.5, "{text} on {background} has {contrast:.2} in scheme {scheme}");
            }
        }
        for (shape, background) in [
            ("--starting", "--card"),
            ("--mark", "--card"),
            ("--on-mark", "--mark"),
            ("--idle", "--up"),
            ("--healthy", "--registered"),
        ] {
            let contrast = contrast(shape, background);
            assert!(contrast >= 3.0, "{shape} on {background} has {contrast:.2} in scheme {scheme}");
        }
    }
}

/// A log of a load balancer that is used until minute 10, of `minutes` minutes, and of a stop for disuse.
fn forgotten(minutes: i64) -> String {
    let at = |minute: i64| format!("2026-11-20T{:02}:{:02}:00Z", 12 + minute / 60, minute % 60);
    let used = |minute: i64| {
        let flows = if minute < 10 { 3 } else { 0 };
        let rest = r#""event":"reconciled","registered":2,"healthy":2,"findings":0,"aws_calls":1,"duration_ms":1,"message":"m""#;
        let flows = format!(r#""flows":{flows},"flows_minute":"{}""#, at(minute - 2));
        line_at(&at(minute), "p", &format!(r#"{rest},"load_balancer_state":"active",{flows}"#))
    };
    let stopped = r#""event":"service_stopped","message":"scaled the service to 0""#;
    reconciled_at(&at(0), "absent")
        + &(2..minutes).map(used).collect::<String>()
        + &line_at(&at(minutes), "p", stopped)
        + &reconciled_at(&at(minutes), "absent")
        + &reconciled_at(&at(300), "absent")
}

#[test]
fn the_use_and_what_a_stop_would_have_saved_are_on_the_page() {
    let page = page_of(&forgotten(240)).expect("a page");
    for text in [
        "data-figure=\"hours-known\" value=\"3.966667\"",
        "data-figure=\"hours-unused\" value=\"3.833333\"",
        "data-figure=\"stops-10\" value=\"1\"",
        "data-figure=\"billed-hours-10\" value=\"3.000000\">\u{2212}3.0 h<",
        "<th scope=\"row\">30 min</th>",
        "stopped, unused",
        "The watcher already stops the service when it is unused: 1 time(s) in this log.",
        "flows; gaps are unknown",
        "<b class=\"kind load-balancer\">stop</b> <span class=\"text\">scaled the service to 0</span>",
    ] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    assert_eq!(page.matches("class=\"use\"").count(), 1 + 3, "the legend, two levels and the step between them");
}

#[test]
fn a_log_without_use_has_neither_a_line_nor_savings() {
    let log = reconciled_at("2026-11-20T12:00:00Z", "absent") + &reconciled_at("2026-11-20T18:00:00Z", "active");
    let page = page_of(&log).expect("a page");
    for text in ["class=\"use\"", "Stop when unused", "<b>Use.</b>"] {
        assert!(!page.contains(text), "{text}");
    }
}

// ---- several services ----

fn line_of(second: u32, service: &str, rest: &str) -> String {
    let at = format!("2026-11-20T18:00:{second:02}.000Z");
    format!(r#"{{"timestamp":"{at}","level":"INFO",{rest},"project":"{service}","cluster":"c","service":"{service}"}}"#)
        + "\n"
}

fn reconciled_of(second: u32, service: &str, state: &str, findings: u64) -> String {
    let rest = r#""event":"reconciled","registered":1,"aws_calls":1,"duration_ms":1,"message":"m""#;
    line_of(second, service, &format!(r#"{rest},"load_balancer_state":"{state}","findings":{findings}"#))
}

/// The log of a process that watches so many services, of which the third has a load balancer and the fourth a finding.
fn fleet(services: usize) -> String {
    let process = |second: u32, rest: &str| {
        let at = format!("2026-11-20T18:00:{second:02}.000Z");
        format!(r#"{{"timestamp":"{at}","level":"INFO",{rest},"project":"*","cluster":"*","service":"*"}}"#) + "\n"
    };
    let mut log = process(0, r#""event":"watcher_started","region":"eu-west-1","message":"m""#);
    log += &process(1, r#""event":"config_rejected","file":"fleet.toml","line":4,"error":"e","message":"wrong line""#);
    for number in 0..services {
        let service = format!("s{number:02}");
        let state = if number == 2 { "active" } else { "absent" };
        let settings = r#""load_balancer":"nlb","idle_grace_seconds":60.0,"idle_grace_until_paid_hour":false"#;
        log += &line_of(2, &service, &format!(r#""event":"service_added",{settings},"message":"m""#));
        let findings = u64::from(number == 3);
        log += &reconciled_of(3, &service, state, findings);
        log += &reconciled_of(50, &service, state, findings);
        if number == 3 {
            let finding = r#""finding":"teardown_off","state":"raised","subject":"nlb","detail":"d","advice":"a""#;
            log += &line_of(4, &service, &format!(r#""event":"finding",{finding},"message":"m""#));
        }
    }
    log
}

/// The services in the order of the table.
fn table(page: &str) -> Vec<String> {
    let table =
        page.split("<table class=\"services\">").nth(1).expect("a table").split("</table>").next().expect("an end");
    let rows = table.split("<th scope=\"row\">").skip(1);
    rows.map(|row| row.split("</th>").next().expect("a cell").to_owned()).collect()
}

#[test]
fn a_page_of_many_services_is_a_table_with_the_troubled_and_the_dear_ones_first() {
    let page = page_of(&fleet(40)).expect("a page");
    assert!(
        text_of(&page, "<h1>").starts_with("The load balancers of 40 services were up for "),
        "the process is none"
    );
    let rows = table(&page);
    assert_eq!((rows.len(), rows[0].as_str(), rows[1].as_str()), (40, "s03", "s02"));
    assert!(page.contains("<code>jvb-watcher report --service NAME</code>"), "{page}");
    assert!(!page.contains("class=\"tiles\"") && !page.contains("<svg class=\"chart\""), "no service is drawn");
    assert!(page.contains("1 not cleared"), "{page}");
    assert_eq!(page.matches("<h2").count(), 2, "the services, and the watcher");
    assert!(page.contains("configuration rejected") && page.contains("wrong line"), "{page}");
    assert!(page.contains("<title>jvb-watcher report: 40 services</title>"), "{page}");
}

#[test]
fn a_page_of_few_services_has_a_table_and_their_sections() {
    let page = page_of(&fleet(5)).expect("a page");
    assert_eq!(table(&page)[1], "<a href=\"#service-3\">s02</a>");
    assert_eq!(page.matches("<h2 id=\"service-").count(), 5, "the process has none");
    assert!(!page.contains("--service NAME"), "{page}");
    let one = page_of(&(started(1, "one") + &started(2, "one"))).expect("a page");
    assert!(!one.contains("<table class=\"services\">"), "one service needs no table");
}

#[test]
fn a_log_of_many_services_is_reduced_to_one() {
    let reduced = |service: &str| {
        let mut logs = Logs::default();
        logs.add("worker.log", fleet(40).as_bytes()).expect("memory can be read");
        logs.keep_service(service).map(|()| render_page(logs, given).expect("a page"))
    };
    let page = reduced("s02").expect("a service of the log");
    assert!(text_of(&page, "<h1>").starts_with("The load balancer was up for "), "{page}");
    assert_eq!(page.matches("<h2 id=\"service-").count(), 1);
    let error = reduced("other").expect_err("no such service").to_string();
    assert_eq!(error, "no line about a service \"other\"; the logs have s00, s01, s02, s03, s04, 35 more");
    assert!(reduced("*").is_err(), "the process is no service");
}

#[test]
fn the_costs_of_a_service_are_those_of_its_process_s_region() {
    let mut logs = Logs::default();
    logs.add("worker.log", fleet(2).as_bytes()).expect("memory can be read");
    let regions = std::cell::RefCell::new(Vec::new());
    let model = |region: Option<&str>| {
        regions.borrow_mut().push(region.map(str::to_owned));
        given(region)
    };
    render_page(logs, model).expect("a page");
    assert_eq!(*regions.borrow(), [Some("eu-west-1".to_owned()), Some("eu-west-1".to_owned())]);
}
