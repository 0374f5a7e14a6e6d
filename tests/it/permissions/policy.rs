//! The very policy that terraform/modules/watcher gives the watcher's role, as terraform renders it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::terraform::rendered;

static POLICIES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let policy = |run: &String| serde_json::from_str(rendered(run).output("policy")).expect("the policy is JSON");
    let runs = ["fargate", "lambda", "teardown_load_balancer", "teardown_off"].map(str::to_owned);
    runs.into_iter().map(|run| (run.clone(), policy(&run))).collect()
});

/// The policy of the worker on Fargate: the same program as `jvb-watcher run`.
pub fn on_fargate() -> &'static Value {
    &POLICIES["fargate"]
}

/// The policy of the Lambda function.
pub fn on_lambda() -> &'static Value {
    &POLICIES["lambda"]
}

/// The policy of a worker that deletes balancers and leaves target groups.
pub fn with_groups_left() -> &'static Value {
    &POLICIES["teardown_load_balancer"]
}

/// The policy of a worker with its teardown switched off.
pub fn with_teardown_off() -> &'static Value {
    &POLICIES["teardown_off"]
}

/// The statements of a policy.
pub fn statements(policy: &Value) -> &[Value] {
    policy["Statement"].as_array().expect("a policy has statements")
}

/// The actions of a statement.
pub fn actions(statement: &Value) -> Vec<&str> {
    match &statement["Action"] {
        Value::String(action) => vec![action],
        Value::Array(actions) => actions.iter().map(|action| action.as_str().expect("an action is text")).collect(),
        other => panic!("{other} is no action"),
    }
}

/// A policy without one of its statements.
pub fn without(policy: &Value, sid: &str) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().expect("a policy has statements");
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != sid);
    assert_eq!(statements.len() + 1, before, "one statement is called {sid}");
    policy
}
