//! Requests and responses of AWS Security Token Service, API version 2011-06-15 (query protocol).

use serde::{Deserialize, Serialize};

use super::{Empty, operations};

operations! {
    GetCallerIdentity(Empty) -> GetCallerIdentityOutput;
}

/// Response of `GetCallerIdentity`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct GetCallerIdentityOutput {
    pub arn: String,
    pub user_id: String,
    pub account: String,
}
