//! Attributes of queues: their values, limits and effects.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use crate::api::ApiError;
use crate::world::sqs::queue_policy::Policy;

/// Attributes that can only be read.
const READ_ONLY: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// Attributes that are stored without effect.
const STORED: [&str; 4] =
    ["KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled", "RedriveAllowPolicy"];

/// Redrive policy: the destination of messages that were received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// ARN of the dead-letter queue.
    pub target_arn: String,
    /// Number of receives after which a message moves there.
    pub max_receives: u32,
}

/// The attributes of a queue that can be set. The defaults are AWS's.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// Delay of new messages, in seconds.
    pub delay: u32,
    /// Visibility timeout, in seconds.
    pub visibility: u32,
    /// Retention period of messages, in seconds.
    pub retention: u32,
    /// Default wait time of ReceiveMessage, in seconds.
    pub wait: u32,
    /// Maximum size of a message, in bytes.
    pub max_size: u32,
    /// Policy that allows services to send.
    pub policy: Option<Policy>,
    /// Redrive policy.
    pub redrive: Option<Redrive>,
    /// Values of the attributes that aren't numbers.
    texts: BTreeMap<String, String>,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            delay: 0,
            visibility: 30,
            retention: 345_600,
            wait: 0,
            max_size: 1_048_576,
            policy: None,
            redrive: None,
            texts: BTreeMap::from([("SqsManagedSseEnabled".to_owned(), "true".to_owned())]),
        }
    }
}

impl Attributes {
    /// Returns the attributes with some of them set. `queue_exists` returns whether a queue has an ARN.
    ///
    /// # Errors
    ///
    /// Returns an error for unknown attributes and for values outside AWS's limits.
    pub fn with(
        &self,
        given: &BTreeMap<String, String>,
        queue_exists: impl Fn(&str) -> bool,
    ) -> Result<Self, ApiError> {
        let mut new = self.clone();
        for (name, value) in given {
            match name.as_str() {
                "DelaySeconds" => new.delay = number(name, value, 0..=900)?,
                "VisibilityTimeout" => new.visibility = number(name, value, 0..=43_200)?,
                "MessageRetentionPeriod" => new.retention = number(name, value, 60..=1_209_600)?,
                "ReceiveMessageWaitTimeSeconds" => new.wait = number(name, value, 0..=20)?,
                "MaximumMessageSize" => new.max_size = number(name, value, 1_024..=1_048_576)?,
                "Policy" => {
                    new.policy = if value.is_empty() { None } else { Some(policy(name, value)?) };
                    new.store(name, value);
                }
                "RedrivePolicy" => {
                    new.redrive = if value.is_empty() { None } else { Some(redrive(value, &queue_exists)?) };
                    new.store(name, value);
                }
                name if STORED.contains(&name) => new.store(name, value),
                // Includes FifoQueue and other attributes of FIFO queues, which the sandbox doesn't model.
                _ => return Err(unknown(name)),
            }
        }
        Ok(new)
    }

    /// Returns the first of the given attributes that has a different value.
    pub fn first_difference(&self, given: &BTreeMap<String, String>) -> Option<String> {
        let current = self.to_api();
        given.iter().find(|(name, value)| current.get(*name) != Some(*value)).map(|(name, _)| name.clone())
    }

    /// Returns the attributes in the form of the API.
    pub fn to_api(&self) -> BTreeMap<String, String> {
        let numbers = [
            ("DelaySeconds", self.delay),
            ("VisibilityTimeout", self.visibility),
            ("MessageRetentionPeriod", self.retention),
            ("ReceiveMessageWaitTimeSeconds", self.wait),
            ("MaximumMessageSize", self.max_size),
        ];
        let mut values = self.texts.clone();
        values.extend(numbers.map(|(name, value)| (name.to_owned(), value.to_string())));
        values
    }

    fn store(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.texts.remove(name);
        } else {
            self.texts.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// Returns whether GetQueueAttributes knows a name.
pub fn is_known(name: &str) -> bool {
    const SETTABLE: [&str; 7] = [
        "DelaySeconds",
        "VisibilityTimeout",
        "MessageRetentionPeriod",
        "ReceiveMessageWaitTimeSeconds",
        "MaximumMessageSize",
        "Policy",
        "RedrivePolicy",
    ];
    name == "All" || READ_ONLY.contains(&name) || STORED.contains(&name) || SETTABLE.contains(&name)
}

/// Returns AWS's error for an unknown attribute.
pub fn unknown(name: &str) -> ApiError {
    ApiError::new("InvalidAttributeName", format!("Unknown Attribute {name}."))
}

fn invalid(name: &str) -> ApiError {
    ApiError::new("InvalidAttributeValue", format!("Invalid value for the parameter {name}."))
}

fn number(name: &str, value: &str, range: RangeInclusive<u32>) -> Result<u32, ApiError> {
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| invalid(name))
}

fn policy(name: &str, value: &str) -> Result<Policy, ApiError> {
    Policy::parse(value).ok_or_else(|| invalid(name))
}

fn redrive(value: &str, queue_exists: impl Fn(&str) -> bool) -> Result<Redrive, ApiError> {
    let invalid_policy = |reason: &str| {
        let message = format!("Value {value} for parameter RedrivePolicy is invalid. Reason: {reason}");
        ApiError::new("InvalidParameterValue", message)
    };
    let policy: Value =
        serde_json::from_str(value).map_err(|_| invalid_policy("Redrive policy is not a valid JSON map."))?;
    let target_arn = policy["deadLetterTargetArn"].as_str();
    let target_arn = target_arn
        .ok_or_else(|| invalid_policy("Redrive policy does not contain mandatory attribute: deadLetterTargetArn."))?;
    // AWS accepts a number and its text.
    let count = match &policy["maxReceiveCount"] {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let count =
        count.ok_or_else(|| invalid_policy("Redrive policy does not contain mandatory attribute: maxReceiveCount."))?;
    let max_receives = u32::try_from(count).ok().filter(|count| (1..=1000).contains(count));
    let max_receives = max_receives.ok_or_else(|| invalid_policy("Invalid value for maxReceiveCount."))?;
    if !queue_exists(target_arn) {
        return Err(invalid_policy("Dead letter target does not exist."));
    }
    Ok(Redrive { target_arn: target_arn.to_owned(), max_receives })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Result<Attributes, ApiError> {
        let given = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Attributes::default().with(&given, |arn| arn.ends_with(":dead"))
    }

    #[test]
    fn numbers_are_checked_against_awss_limits() {
        assert_eq!(set("VisibilityTimeout", "43200").unwrap().visibility, 43_200);
        for (name, value) in [
            ("VisibilityTimeout", "43201"),
            ("DelaySeconds", "901"),
            ("MessageRetentionPeriod", "59"),
            ("ReceiveMessageWaitTimeSeconds", "-1"),
            ("MaximumMessageSize", "many"),
        ] {
            assert_eq!(set(name, value).unwrap_err().code, "InvalidAttributeValue", "{name}={value}");
        }
    }

    #[test]
    fn unknown_attributes_are_refused() {
        assert_eq!(set("Colour", "red").unwrap_err().message, "Unknown Attribute Colour.");
        assert_eq!(set("QueueArn", "arn").unwrap_err().code, "InvalidAttributeName");
    }

    #[test]
    fn a_redrive_policy_accepts_its_count_as_number_or_text() {
        for count in ["3", "\"3\""] {
            let policy = format!(r#"{{"deadLetterTargetArn": "arn:aws:sqs:r:1:dead", "maxReceiveCount": {count}}}"#);
            assert_eq!(set("RedrivePolicy", &policy).unwrap().redrive.unwrap().max_receives, 3);
        }
    }

    #[test]
    fn invalid_redrive_policies_are_refused() {
        for policy in [
            "nothing",
            r#"{"maxReceiveCount": 3}"#,
            r#"{"deadLetterTargetArn": "arn:aws:sqs:r:1:dead"}"#,
            r#"{"deadLetterTargetArn": "arn:aws:sqs:r:1:dead", "maxReceiveCount": 0}"#,
            r#"{"deadLetterTargetArn": "arn:aws:sqs:r:1:other", "maxReceiveCount": 3}"#,
        ] {
            assert_eq!(set("RedrivePolicy", policy).unwrap_err().code, "InvalidParameterValue", "{policy}");
        }
    }

    #[test]
    fn an_empty_value_removes_a_policy() {
        let with = set("Policy", r#"{"Statement": []}"#).unwrap();
        assert!(with.policy.is_some());
        let without = with.with(&BTreeMap::from([("Policy".to_owned(), String::new())]), |_| false).unwrap();
        assert!(without.policy.is_none() && !without.to_api().contains_key("Policy"));
    }
}
