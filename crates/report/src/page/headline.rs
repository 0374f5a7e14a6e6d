//! The sentence at the top of the page.

use crate::figures::{self, Figures};
use crate::format;

/// Sums up the figures of all services in one sentence: uptime, tasks, and the cost avoided.
pub fn of(services: &[Figures]) -> String {
    let sum = |value: fn(&Figures) -> f64| services.iter().map(value).sum::<f64>();
    let [hours, up] = [sum(|it| it.hours), sum(|it| it.hours_up)];
    let tasks = services.iter().map(|it| it.tasks).sum();
    let (subject, was, object) = match services.len() {
        1 => ("The load balancer".to_owned(), "was", "it"),
        count => (format!("The load balancers of {count} services"), "were", "them"),
    };
    let percent = figures::percent_of(up, hours);
    let uptime = if up > 0.0 {
        format!("up for {} of {} ({percent:.0}%)", format::hours(up), format::hours(hours))
    } else {
        format!("not up in {}", format::hours(hours))
    };
    let tasks = format::counted(tasks, "task", "tasks");
    let savings = savings(sum(Figures::avoided), sum(|it| it.always_on_cost));
    format!("{subject} {was} {uptime}, with {tasks}; running {object} on demand {savings}.")
}

fn savings(avoided: f64, always_on: f64) -> String {
    if format::is_no_amount(avoided) {
        "avoided no cost".to_owned()
    } else if avoided > 0.0 {
        format!("avoided {} of {}", format::dollars(avoided), format::dollars(always_on))
    } else {
        format!("cost {} more than always-on operation", format::dollars(-avoided))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(hours: f64, hours_up: f64, tasks: usize, [cost, always_on_cost]: [f64; 2]) -> Figures {
        Figures {
            hours,
            hours_up,
            cost,
            always_on_cost,
            time_to_registered: None,
            time_to_healthy: None,
            aws_calls: 0,
            tasks,
            load_balancers: 0,
            teardowns: 0,
            hours_known: 0.0,
            hours_unused: 0.0,
            savings: Vec::new(),
            findings: 0,
            failures: 0,
        }
    }

    #[test]
    fn states_uptime_tasks_and_cost_avoided() {
        assert_eq!(
            of(&[figures(48.0, 6.0, 12, [1.0, 9.0])]),
            "The load balancer was up for 6.0 h of 48.0 h (12%), with 12 tasks; running it on demand avoided $8.00 of \
             $9.00."
        );
        assert_eq!(
            of(&[figures(48.0, 6.0, 1, [1.0, 9.0]), figures(52.0, 44.0, 0, [4.0, 1.0])]),
            "The load balancers of 2 services were up for 50.0 h of 100.0 h (50%), with 1 task; running them on \
             demand avoided $5.00 of $10.00."
        );
    }

    #[test]
    fn claims_no_savings_where_there_are_none() {
        let always_up = of(&[figures(2.0, 2.0, 1, [0.38, 0.38])]);
        assert!(always_up.ends_with("(100%), with 1 task; running it on demand avoided no cost."), "{always_up}");
        let dearer = of(&[figures(2.0, 2.0, 1, [3.0, 1.0])]);
        assert!(dearer.ends_with("running it on demand cost $2.00 more than always-on operation."), "{dearer}");
        let never_up = of(&[figures(2.0, 0.0, 0, [0.0, 1.0])]);
        assert!(never_up.starts_with("The load balancer was not up in 2.0 h, with 0 tasks; "), "{never_up}");
    }
}
