//! AWS Security Token Service (Query and XML).

use serde::{Deserialize, Serialize};

use super::{Empty, operations};

operations! {
    GetCallerIdentity(Empty) -> GetCallerIdentityOutput;
}

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the members are AWS's")]
pub struct GetCallerIdentityOutput {
    pub arn: String,
    pub user_id: String,
    pub account: String,
}
