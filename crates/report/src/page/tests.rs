use std::collections::BTreeMap;

use super::*;

const PRICES: Prices = Prices { hour: 0.19, idle_month: 0.73, always_on_month: 150.0 };

fn page_of(text: &str) -> Result<String, PageError> {
    let mut logs = Logs::default();
    logs.add(text.as_bytes()).expect("memory can be read");
    page(logs, &PRICES)
}

fn line(second: u32, project: &str, rest: &str) -> String {
    format!(
        r#"{{"timestamp":"2026-11-20T18:00:{second:02}.000Z","level":"INFO",{rest},"project":"{project}","cluster":"c","service":"s"}}"#
    ) + "\n"
}

fn started(second: u32, project: &str) -> String {
    line(second, project, r#""event":"watcher_started","message":"m""#)
}

#[test]
fn what_others_wrote_is_never_markup() {
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
    assert!(page.contains("alert(1)"), "the words themselves are there");
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
}

#[test]
fn what_could_not_be_read_is_told() {
    let unknown = line(1, "p", r#""event":"made_tea","message":"m""#);
    let log = started(1, "p") + &started(1, "p") + &unknown + "noise\n" + &started(2, "p")[..50];
    let page = page_of(&log).expect("a page");
    for note in [
        "1 had come before",
        "1 are not the watcher",
        "1 end in the middle",
        "1 are of events that this version doesn&#39;t know: made_tea (1).",
        "Lines that were read: 5. Of these, in this report: 1.",
    ] {
        assert!(page.contains(note), "{note:?} is missing");
    }
}

#[test]
fn of_no_line_there_is_no_page() {
    for (log, lines) in [("", 0), ("noise\nmore noise\n", 2)] {
        let error = page_of(log).expect_err("there is nothing to show");
        assert!(matches!(error, PageError::NothingToShow { lines: told } if told == lines), "{error}");
        assert!(error.to_string().contains("--log-format json"), "{error}");
    }
}

#[test]
fn a_log_of_one_line_has_a_page() {
    let page = page_of(&started(1, "p")).expect("a page");
    assert!(page.contains("0 % of the log"), "and no division by nothing");
}

#[test]
fn a_day_with_very_many_events_lists_the_first_of_them() {
    let log: String = (0..MOST_MOMENTS + 7)
        .map(|number| line(1, "p", &format!(r#""event":"watcher_started","message":"start {number}""#)))
        .collect();
    let page = page_of(&log).expect("a page");
    assert_eq!(page.matches("<li><time").count(), MOST_MOMENTS);
    assert!(page.contains("… and 7 more, in the log."));
}

/// The colours of the first or second `:root`, the light and the dark.
fn colours(nth: usize) -> BTreeMap<&'static str, f64> {
    let css = include_str!("../page.css");
    let root = css.split(":root {").nth(nth + 1).and_then(|rest| rest.split('}').next()).expect("the colours");
    let colours = root.split(';').filter_map(|declaration| declaration.trim().split_once(": #"));
    colours.map(|(name, hex)| (name, luminance(hex))).collect()
}

/// The relative luminance, as the WCAG define it.
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
        // WCAG 2.2, level AA: 4.5 for writing (1.4.3), 3 for what else has a meaning (1.4.11).
        for writing in ["--ink", "--muted", "--accent", "--healthy", "--unhealthy", "--finding", "--up"] {
            for ground in ["--card", "--paper"] {
                let contrast = contrast(writing, ground);
                assert!(contrast >= 4.5, "{writing} on {ground} has {contrast:.2} in scheme {scheme}");
            }
        }
        for (sign, ground) in [
            ("--starting", "--card"),
            ("--mark", "--card"),
            ("--on-mark", "--mark"),
            ("--idle", "--up"),
            ("--healthy", "--registered"),
        ] {
            let contrast = contrast(sign, ground);
            assert!(contrast >= 3.0, "{sign} on {ground} has {contrast:.2} in scheme {scheme}");
        }
    }
}
