//! An event source that remembers its answers, for a command that shows many services: they share the queue, its rules, and
//! most answers to whether a rule's pattern matches.

use serde_json::{Map, Value};

use crate::aws::AwsError;
use crate::aws::answers::Answers;
use crate::aws::event_source::{EventSource, QueueDescription, Rule};

/// An event source that asks each question once.
pub struct Remembered<E> {
    event_source: E,
    queues: Answers<String, Option<QueueDescription>>,
    rules_with_target: Answers<String, Vec<String>>,
    rules: Answers<String, Option<Rule>>,
    /// By the pattern, and the part of the event that it looks at.
    matches: Answers<(String, String), bool>,
}

impl<E> Remembered<E> {
    /// Creates an event source that has asked nothing.
    pub fn new(event_source: E) -> Self {
        Self {
            event_source,
            queues: Answers::default(),
            rules_with_target: Answers::default(),
            rules: Answers::default(),
            matches: Answers::default(),
        }
    }
}

impl<E: EventSource> EventSource for Remembered<E> {
    async fn queue(&self, name_or_url: &str) -> Result<Option<QueueDescription>, AwsError> {
        self.queues.get(name_or_url.to_owned(), || self.event_source.queue(name_or_url)).await
    }

    async fn rules_with_target(&self, arn: &str) -> Result<Vec<String>, AwsError> {
        self.rules_with_target.get(arn.to_owned(), || self.event_source.rules_with_target(arn)).await
    }

    async fn rule(&self, name: &str) -> Result<Option<Rule>, AwsError> {
        self.rules.get(name.to_owned(), || self.event_source.rule(name)).await
    }

    async fn matches(&self, pattern: &str, event: &str) -> Result<bool, AwsError> {
        let question = (pattern.to_owned(), looked_at(pattern, event));
        self.matches.get(question, || self.event_source.matches(pattern, event)).await
    }
}

/// Returns the part of an event that decides whether a pattern matches it: the fields that the pattern names. EventBridge
/// ignores all others (see "Creating Amazon EventBridge event patterns" in its user guide).
fn looked_at(pattern: &str, event: &str) -> String {
    let (Ok(pattern), Ok(whole)) = (serde_json::from_str::<Value>(pattern), serde_json::from_str::<Value>(event))
    else {
        return event.to_owned();
    };
    let mut part = Map::new();
    add_fields(&mut part, &pattern, &whole);
    Value::Object(part).to_string()
}

/// Adds the fields of an event that a pattern names.
fn add_fields(part: &mut Map<String, Value>, pattern: &Value, event: &Value) {
    for (field, condition) in pattern.as_object().into_iter().flatten() {
        if field == "$or" {
            let alternatives = condition.as_array().into_iter().flatten();
            alternatives.for_each(|alternative| add_fields(part, alternative, event));
            continue;
        }
        match (condition, event.get(field)) {
            (Value::Object(_), Some(inner @ Value::Object(_))) => {
                let added = part.entry(field.clone()).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(added) = added {
                    add_fields(added, condition, inner);
                }
            }
            (_, Some(value)) => drop(part.insert(field.clone(), value.clone())),
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;
    use crate::controller::scope::Scope;
    use crate::event_source::location::Location;
    use crate::event_source::samples::{QUEUE, queue, rule};
    use crate::event_source::{Sample, sample_event};

    /// Records the questions about patterns, and answers that every pattern matches.
    #[derive(Default)]
    struct Asked {
        queues: Mutex<usize>,
        events: Mutex<Vec<String>>,
    }

    impl EventSource for &Asked {
        async fn queue(&self, _: &str) -> Result<Option<QueueDescription>, AwsError> {
            *self.queues.lock().expect("not poisoned") += 1;
            tokio::task::yield_now().await;
            Ok(Some(queue()))
        }

        async fn rules_with_target(&self, _: &str) -> Result<Vec<String>, AwsError> {
            Ok(vec![rule().rule.name])
        }

        async fn rule(&self, _: &str) -> Result<Option<Rule>, AwsError> {
            Ok(Some(rule().rule))
        }

        async fn matches(&self, _: &str, event: &str) -> Result<bool, AwsError> {
            self.events.lock().expect("not poisoned").push(event.to_owned());
            Ok(true)
        }
    }

    /// Returns the number of tests of a pattern for a hundred services in two clusters.
    async fn tests_of(pattern: &Value) -> usize {
        let asked = Asked::default();
        let remembered = Remembered::new(&asked);
        for number in 0..100 {
            let scope = Scope { cluster: format!("c{}", number % 2), service: format!("s{number}") };
            for sample in Sample::ALL {
                let event = sample_event(&scope, &Location::of_arn(QUEUE), sample).to_string();
                assert_eq!(remembered.matches(&pattern.to_string(), &event).await, Ok(true));
            }
        }
        asked.events.lock().expect("not poisoned").len()
    }

    #[tokio::test]
    async fn a_pattern_is_tested_once_for_all_events_that_it_can_t_tell_apart() {
        let tasks = json!({ "detail-type": ["ECS Task State Change"], "detail": { "clusterArn": ["a", "b"] } });
        let any = json!({ "source": ["aws.ecs"], "detail-type": [{ "prefix": "ECS" }] });
        assert_eq!(tests_of(&any).await, 3, "one for each detail-type");
        let of_clusters =
            json!({ "source": ["aws.ecs"], "detail": { "clusterArn": ["a", "b"], "lastStatus": ["RUNNING"] } });
        assert_eq!(tests_of(&of_clusters).await, 7, "two clusters with two states and a service event; a deployment");
        let of_service = json!({ "detail": { "group": ["service:s1"] } });
        assert!(tests_of(&of_service).await >= 100, "one for each service");
        let either = json!({ "$or": [tasks, { "resources": ["arn:aws:ecs:eu-west-1:111122223333:service/c0/s1"] }] });
        assert!(tests_of(&either).await >= 100, "service events name the service in their resources");
    }

    #[tokio::test]
    async fn callers_that_ask_at_the_same_time_wait_for_one_answer() {
        let asked = Asked::default();
        let remembered = Remembered::new(&asked);
        let (one, other) = tokio::join!(remembered.queue("q"), remembered.queue("q"));
        assert_eq!((&one, &other), (&Ok(Some(queue())), &Ok(Some(queue()))));
        assert_eq!(*asked.queues.lock().expect("not poisoned"), 1);
        remembered.queue("other").await.expect("a queue");
        assert_eq!(*asked.queues.lock().expect("not poisoned"), 2);
    }
}
