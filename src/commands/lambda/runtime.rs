//! The environment that Lambda gives a function, and the report of a failed init to its Runtime API.

use std::time::Duration;

use http::{Method, StatusCode, Uri};
use lambda_runtime_api_client::body::Body;
use lambda_runtime_api_client::{BoxError, PooledClient, build_request};
use serde_json::json;

use crate::commands::CommandError;

/// The variable with the Runtime API's address.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// The variables without which `lambda_runtime` panics.
const RUNTIME_VARIABLES: [&str; 2] = ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"];

/// One that it requires to be a whole number.
const MEMORY_SIZE: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";

/// The time limit for reporting a failed init. The Runtime API is on the same machine.
const REPORT_TIME: Duration = Duration::from_secs(2);

/// Checks that Lambda has started the program, with the variables that a function needs.
///
/// # Errors
///
/// The first variable that is missing or wrong.
pub(super) fn check_environment(environment: impl Fn(&str) -> Option<String>) -> Result<(), CommandError> {
    let wrong = |name: &str, what: &str| {
        Err(CommandError::Usage(format!("{name} {what}: `lambda` runs on AWS Lambda; use `run` elsewhere")))
    };
    if runtime_api(&environment).is_none() {
        return wrong(RUNTIME_API, "is not set to an address");
    }
    if let Some(name) = RUNTIME_VARIABLES.into_iter().find(|name| environment(name).is_none()) {
        return wrong(name, "is not set");
    }
    match environment(MEMORY_SIZE).map(|size| size.parse::<i32>()) {
        Some(Ok(_)) => Ok(()),
        _ => wrong(MEMORY_SIZE, "is not set to a number"),
    }
}

fn runtime_api(environment: impl Fn(&str) -> Option<String>) -> Option<Uri> {
    environment(RUNTIME_API)?.parse::<Uri>().ok().filter(|uri| uri.authority().is_some())
}

/// Reports to Lambda, if it has started the program, why the init has failed. Without the report each invocation would
/// show only an exit status.
pub async fn init_failed(message: &str, environment: impl Fn(&str) -> Option<String>) {
    let Some(address) = runtime_api(environment) else { return };
    // If the report fails too, standard error and the exit status remain.
    let _ = tokio::time::timeout(REPORT_TIME, report(address, message)).await;
}

async fn report(address: Uri, message: &str) -> Result<StatusCode, BoxError> {
    const ERROR_TYPE: &str = "Runtime.ConfigInvalid";
    let body = json!({ "errorType": ERROR_TYPE, "errorMessage": message.trim(), "stackTrace": [] });
    let request = build_request()
        .method(Method::POST)
        .uri("/2018-06-01/runtime/init/error")
        .header("Lambda-Runtime-Function-Error-Type", ERROR_TYPE)
        .body(Body::from(body.to_string()))?;
    Ok(PooledClient::builder().with_endpoint(address).build().call(request).await?.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_an_environment_that_is_not_lambdas() {
        let good = [
            (RUNTIME_API, "127.0.0.1:9001"),
            (RUNTIME_VARIABLES[0], "watcher"),
            (RUNTIME_VARIABLES[1], "$LATEST"),
            (MEMORY_SIZE, "128"),
        ];
        let check = |variables: &[(&str, &str)]| {
            check_environment(|name| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(check(&good).is_ok());
        for (index, (name, _)) in good.iter().enumerate() {
            let mut variables = good.to_vec();
            variables.remove(index);
            let CommandError::Usage(message) = check(&variables).expect_err(name) else { panic!("another error") };
            assert!(message.contains(name), "{message}");
        }
        let mut wrong = good;
        wrong[0].1 = "/no-address";
        assert!(check(&wrong).is_err());
    }
}
