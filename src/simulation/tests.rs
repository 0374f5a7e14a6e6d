//! The days that are played, and what must have been visited in them.

use super::day::Day;
use super::tally::Tally;

#[test]
fn one_day() {
    let began = std::time::Instant::now();
    let mut tally = Tally::default();
    let count: u64 = std::env::var("DAYS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let first: u64 = std::env::var("FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut bad = 0;
    for seed in first..first + count {
        let day = Day::of(seed);
        let report = day.play(count == 1);
        if !report.violations.is_empty() {
            bad += 1;
            println!("seed {seed} {:?}: {} {:?}", day.temper, report.violations.len(), report.violations.first());
        }
        if count == 1 {
            for line in &report.history { println!("{line}"); }
            for v in &report.violations { println!("VIOLATION {v}"); }
        }
        tally.add(&report.tally);
    }
    println!("{tally}\n{:?}, {bad} bad", began.elapsed());
}
