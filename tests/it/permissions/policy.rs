//! The policy of the watcher's role in terraform/modules/watcher, as rendered by terraform.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::terraform::rendered;

static POLICIES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let policy = |run: &str| serde_json::from_str(rendered(run).output("policy")).expect("the policy is JSON");
    let runs = ["fargate", "lambda", "teardown_load_balancer", "teardown_off", "stop_when_unused", "list", "discover"];
    runs.into_iter().map(|run| (run.to_owned(), policy(run))).collect()
});

/// Returns the policy of the worker on Fargate.
pub fn on_fargate() -> &'static Value {
    &POLICIES["fargate"]
}

/// Returns the policy of the Lambda function.
pub fn on_lambda() -> &'static Value {
    &POLICIES["lambda"]
}

/// Returns the policy of a worker that keeps the target groups in a teardown.
pub fn with_groups_kept() -> &'static Value {
    &POLICIES["teardown_load_balancer"]
}

/// Returns the policy of a worker with teardown off.
pub fn with_teardown_off() -> &'static Value {
    &POLICIES["teardown_off"]
}

/// Returns the policy of a worker that stops an unused service.
pub fn with_stop() -> &'static Value {
    &POLICIES["stop_when_unused"]
}

/// Returns the policy of a worker for a list of services, of which the usual one is the first.
pub fn of_list() -> &'static Value {
    &POLICIES["list"]
}

/// Returns the policy of a worker that discovers the services of the usual cluster.
pub fn of_discovery() -> &'static Value {
    &POLICIES["discover"]
}

/// Returns the statements of a policy.
pub fn statements(policy: &Value) -> &[Value] {
    policy["Statement"].as_array().expect("a policy has statements")
}

/// Returns the actions of a statement.
pub fn actions(statement: &Value) -> Vec<&str> {
    match &statement["Action"] {
        Value::String(action) => vec![action],
        Value::Array(actions) => actions.iter().map(|action| action.as_str().expect("an action is a string")).collect(),
        other => panic!("{other} is not an action"),
    }
}

/// Returns a policy without one of its statements.
pub fn without(policy: &Value, sid: &str) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().expect("a policy has statements");
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != sid);
    assert_eq!(statements.len() + 1, before, "the policy must have one statement {sid}");
    policy
}
