//! AWS Security Token Service. The caller is always the same user.

use super::settings::Settings;
use crate::api::sts::{GetCallerIdentityOutput, Request, Response};

/// Id and name of the only user, in AWS's formats.
const USER: (&str, &str) = ("AIDAEXAMPLESANDBOX00", "sandbox");

/// Handles a request.
pub fn call(request: &Request, settings: &Settings) -> Response {
    match request {
        Request::GetCallerIdentity(_) => Response::GetCallerIdentity(GetCallerIdentityOutput {
            arn: format!("arn:aws:iam::{}:user/{}", settings.account, USER.1),
            user_id: USER.0.to_owned(),
            account: settings.account.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Empty;

    #[test]
    fn the_caller_belongs_to_the_account() {
        let settings = Settings { account: "444455556666".to_owned(), ..Settings::default() };
        let Response::GetCallerIdentity(caller) = call(&Request::GetCallerIdentity(Empty {}), &settings);
        assert_eq!(
            (caller.account.as_str(), caller.arn.as_str()),
            ("444455556666", "arn:aws:iam::444455556666:user/sandbox")
        );
    }
}
