//! Event patterns, as EventBridge's user guide documents them ("Creating Amazon EventBridge event patterns").

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

/// A pattern: for each field of an object, the values that match.
#[derive(Clone, Debug)]
pub struct Pattern(BTreeMap<String, Node>);

#[derive(Clone, Debug)]
enum Node {
    /// The field is an object that matches a pattern, or a list with such an object.
    Object(Pattern),
    /// The field, or an item of it when it is a list, satisfies one of the matchers.
    Values(Vec<Matcher>),
    /// One of the patterns of an `$or` matches the object that contains it.
    Or(Vec<Pattern>),
}

#[derive(Clone, Debug)]
enum Matcher {
    Exactly(Value),
    Prefix(String),
    PrefixIgnoreCase(String),
    Suffix(String),
    SuffixIgnoreCase(String),
    EqualsIgnoreCase(String),
    AnythingBut(Vec<Matcher>),
    Wildcard(Vec<String>),
    Cidr { network: IpAddr, bits: u32 },
    Exists(bool),
    Numeric(Vec<(Comparison, f64)>),
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// Returns the reason for which EventBridge would refuse it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|_| "Filter is not valid JSON".to_owned())?;
        Self::read(&value)
    }

    /// Returns whether the pattern matches an event.
    pub fn matches(&self, event: &Value) -> bool {
        self.0.iter().all(|(field, node)| match node {
            Node::Or(patterns) => patterns.iter().any(|pattern| pattern.matches(event)),
            Node::Object(pattern) => match event.get(field) {
                Some(Value::Array(items)) => items.iter().any(|item| pattern.matches(item)),
                Some(inner) => pattern.matches(inner),
                // Only `exists: false` matches in an absent object.
                None => pattern.matches(&Value::Null),
            },
            Node::Values(matchers) => {
                let value = event.get(field);
                matchers.iter().any(|matcher| matcher.matches(value))
            }
        })
    }

    fn read(value: &Value) -> Result<Self, String> {
        let Value::Object(fields) = value else { return Err("Filter is not an object".to_owned()) };
        if fields.is_empty() {
            return Err("Empty objects are not allowed".to_owned());
        }
        let node = |field: &String, value: &Value| match value {
            Value::Array(items) if field == "$or" && items.len() > 1 && items.iter().all(Value::is_object) => {
                Ok(Node::Or(items.iter().map(Self::read).collect::<Result<_, _>>()?))
            }
            Value::Array(items) if items.is_empty() => Err("Empty arrays are not allowed".to_owned()),
            Value::Array(items) => Ok(Node::Values(items.iter().map(Matcher::read).collect::<Result<_, _>>()?)),
            Value::Object(_) => Ok(Node::Object(Self::read(value)?)),
            _ => Err(format!("\"{field}\" must be an object or an array")),
        };
        let nodes = fields.iter().map(|(field, value)| Ok((field.clone(), node(field, value)?)));
        Ok(Self(nodes.collect::<Result<_, String>>()?))
    }
}

impl Matcher {
    fn read(value: &Value) -> Result<Self, String> {
        let Value::Object(fields) = value else {
            let is_scalar = !value.is_array();
            return if is_scalar {
                Ok(Self::Exactly(value.clone()))
            } else {
                Err("Nested arrays are not allowed".to_owned())
            };
        };
        let mut entries = fields.iter();
        let (Some((operator, operand)), None) = (entries.next(), entries.next()) else {
            return Err("Only one key allowed in match expression".to_owned());
        };
        let wrong_type = || format!("{operator} match pattern is of a wrong type");
        let text = || operand.as_str().map(str::to_owned).ok_or_else(wrong_type);
        let ignoring_case = || operand.get("equals-ignore-case").and_then(Value::as_str).map(str::to_lowercase);
        match operator.as_str() {
            "prefix" if operand.is_object() => Ok(Self::PrefixIgnoreCase(ignoring_case().ok_or_else(wrong_type)?)),
            "suffix" if operand.is_object() => Ok(Self::SuffixIgnoreCase(ignoring_case().ok_or_else(wrong_type)?)),
            "prefix" => Ok(Self::Prefix(text()?)),
            "suffix" => Ok(Self::Suffix(text()?)),
            "equals-ignore-case" => Ok(Self::EqualsIgnoreCase(text()?.to_lowercase())),
            "wildcard" => wildcard(&text()?).map(Self::Wildcard),
            "cidr" => cidr(&text()?),
            "exists" => Ok(Self::Exists(operand.as_bool().ok_or_else(wrong_type)?)),
            "numeric" => Ok(Self::Numeric(comparisons(operand).ok_or_else(wrong_type)?)),
            "anything-but" => anything_but(operand).map(Self::AnythingBut),
            _ => Err(format!("Unrecognized match type {operator}")),
        }
    }

    /// Returns whether a field, or an item of it when it is a list, satisfies the matcher. As on AWS only leaves count:
    /// neither an object nor an empty list satisfies a matcher.
    fn matches(&self, field: Option<&Value>) -> bool {
        match self {
            Self::Exists(expected) => any_leaf(field, &|_| true) == *expected,
            _ => any_leaf(field, &|leaf| self.matches_leaf(leaf)),
        }
    }

    /// Returns whether a leaf satisfies the matcher.
    fn matches_leaf(&self, value: &Value) -> bool {
        let text = |matches: &dyn Fn(&str) -> bool| value.as_str().is_some_and(matches);
        match self {
            // Numbers are equal by value: 3 equals 3.0.
            Self::Exactly(Value::Number(expected)) => {
                value.as_f64().is_some_and(|number| Some(number) == expected.as_f64())
            }
            Self::Exactly(expected) => expected == value,
            Self::Prefix(prefix) => text(&|text| text.starts_with(prefix)),
            Self::PrefixIgnoreCase(prefix) => text(&|text| text.to_lowercase().starts_with(prefix)),
            Self::Suffix(suffix) => text(&|text| text.ends_with(suffix)),
            Self::SuffixIgnoreCase(suffix) => text(&|text| text.to_lowercase().ends_with(suffix)),
            Self::EqualsIgnoreCase(expected) => text(&|text| text.to_lowercase() == *expected),
            Self::AnythingBut(others) => !others.iter().any(|other| other.matches_leaf(value)),
            Self::Wildcard(parts) => text(&|text| matches_wildcard(parts, text)),
            Self::Cidr { network, bits } => {
                text(&|text| text.parse().is_ok_and(|address| is_within(address, *network, *bits)))
            }
            Self::Numeric(comparisons) => value.as_f64().is_some_and(|number| {
                comparisons.iter().all(|(comparison, operand)| comparison.holds(number, *operand))
            }),
            // `matches` handles it, for the field as a whole.
            Self::Exists(expected) => *expected,
        }
    }
}

impl Comparison {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Equal => left == right,
            Self::GreaterOrEqual => left >= right,
            Self::Greater => left > right,
        }
    }
}

/// Returns whether a value, or an item of it at any depth when it is a list, is a leaf that satisfies a predicate.
fn any_leaf(value: Option<&Value>, predicate: &dyn Fn(&Value) -> bool) -> bool {
    match value {
        None | Some(Value::Object(_)) => false,
        Some(Value::Array(items)) => items.iter().any(|item| any_leaf(Some(item), predicate)),
        Some(leaf) => predicate(leaf),
    }
}

fn anything_but(operand: &Value) -> Result<Vec<Matcher>, String> {
    match operand {
        Value::String(_) | Value::Number(_) => Ok(vec![Matcher::Exactly(operand.clone())]),
        Value::Array(values)
            if !values.is_empty() && (values.iter().all(Value::is_string) || values.iter().all(Value::is_number)) =>
        {
            Ok(values.iter().cloned().map(Matcher::Exactly).collect())
        }
        Value::Object(fields) => {
            // `{"prefix": "a"}` as well as `{"prefix": ["a", "b"]}`.
            let each = |operator: &String, value: &Value| {
                let one = |value: &Value| {
                    let expression = Value::Object([(operator.clone(), value.clone())].into_iter().collect());
                    Matcher::read(&expression)
                };
                match value {
                    Value::Array(values) if values.is_empty() => Err("Empty arrays are not allowed".to_owned()),
                    Value::Array(values) => values.iter().map(one).collect::<Result<Vec<_>, _>>(),
                    value => Ok(vec![one(value)?]),
                }
            };
            let mut entries = fields.iter();
            match (entries.next(), entries.next()) {
                (Some((operator, value)), None)
                    if matches!(operator.as_str(), "prefix" | "suffix" | "equals-ignore-case" | "wildcard") =>
                {
                    each(operator, value)
                }
                _ => Err("Unsupported anything-but pattern".to_owned()),
            }
        }
        _ => Err("Value of anything-but must be an array or single string/number value.".to_owned()),
    }
}

/// Splits a wildcard pattern at its stars. `\*` and `\\` are escaped characters.
fn wildcard(text: &str) -> Result<Vec<String>, String> {
    let mut parts = vec![String::new()];
    let mut after_star = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '*' if after_star => return Err("Consecutive wildcard characters".to_owned()),
            '*' => None,
            '\\' => match characters.next() {
                Some(escaped @ ('*' | '\\')) => Some(escaped),
                _ => return Err("Invalid escape character".to_owned()),
            },
            character => Some(character),
        };
        after_star = literal.is_none();
        match literal {
            Some(literal) => parts.iter_mut().last().into_iter().for_each(|part| part.push(literal)),
            None => parts.push(String::new()),
        }
    }
    Ok(parts)
}

/// Returns whether a text begins with the first part, ends with the last one and contains the others in between, in order.
fn matches_wildcard(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else { return parts.iter().any(|only| only == text) };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        match rest.split_once(part.as_str()) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// Parses `10.0.0.0/24`.
fn cidr(text: &str) -> Result<Matcher, String> {
    let parts = text.split_once('/').and_then(|(network, bits)| Some((network.parse().ok()?, bits.parse().ok()?)));
    let (network, bits): (IpAddr, u32) = parts.ok_or_else(|| format!("Malformed CIDR {text}"))?;
    let max_bits = if network.is_ipv4() { 32 } else { 128 };
    if bits <= max_bits { Ok(Matcher::Cidr { network, bits }) } else { Err(format!("Malformed CIDR {text}")) }
}

/// Returns whether two addresses are of the same family and share their first bits.
fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let common_bits = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (address.to_bits() ^ network.to_bits()).leading_zeros(),
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits() ^ network.to_bits()).leading_zeros(),
        _ => return false,
    };
    common_bits >= bits
}

/// Parses `[">", 0, "<=", 5]`.
fn comparisons(operand: &Value) -> Option<Vec<(Comparison, f64)>> {
    let items = operand.as_array().filter(|items| !items.is_empty() && items.len().is_multiple_of(2))?;
    let read = |pair: &[Value]| {
        let comparison = match pair[0].as_str()? {
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            "=" => Comparison::Equal,
            ">=" => Comparison::GreaterOrEqual,
            ">" => Comparison::Greater,
            _ => return None,
        };
        Some((comparison, pair[1].as_f64()?))
    };
    items.chunks_exact(2).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{
        "source": "aws.ecs",
        "detail-type": "ECS Task State Change",
        "resources": ["arn:aws:ecs:eu-west-1:1:task/c/1", "b"],
        "detail": {"group": "service:jvb", "lastStatus": "RUNNING", "version": 4, "stopped": null, "spot": true,
                   "none": [], "deep": [["a"]], "ip": "10.0.1.23",
                   "containers": [{"name": "jvb", "exitCode": 1}, {"name": "log"}]}
    }"#;

    fn matches(pattern: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&serde_json::from_str(EVENT).unwrap())
    }

    #[test]
    fn every_field_must_match_one_of_its_values() {
        assert!(matches(r#"{"source": ["aws.ecs"], "detail": {"lastStatus": ["STOPPED", "RUNNING"]}}"#));
        assert!(!matches(r#"{"source": ["aws.ecs"], "detail": {"lastStatus": ["STOPPED"]}}"#));
        assert!(!matches(r#"{"source": ["aws.ec"]}"#));
        assert!(!matches(r#"{"detail": {"nothing": ["x"]}}"#));
    }

    #[test]
    fn one_item_of_a_list_is_enough() {
        assert!(matches(r#"{"resources": ["b"]}"#));
        assert!(matches(r#"{"detail": {"containers": {"name": ["log"]}}}"#));
        assert!(!matches(r#"{"detail": {"containers": {"name": ["sidecar"]}}}"#));
    }

    #[test]
    fn operators_match_as_documented() {
        for (detail, expected) in [
            (r#"{"group": [{"prefix": "service:"}]}"#, true),
            (r#"{"group": [{"prefix": "family:"}]}"#, false),
            (r#"{"group": [{"prefix": {"equals-ignore-case": "SERVICE:"}}]}"#, true),
            (r#"{"group": [{"suffix": ":jvb"}]}"#, true),
            (r#"{"group": [{"suffix": {"equals-ignore-case": ":JVB"}}]}"#, true),
            (r#"{"group": [{"suffix": "jv"}]}"#, false),
            (r#"{"lastStatus": [{"equals-ignore-case": "running"}]}"#, true),
            (r#"{"lastStatus": [{"anything-but": "STOPPED"}]}"#, true),
            (r#"{"lastStatus": [{"anything-but": ["STOPPED", "RUNNING"]}]}"#, false),
            (r#"{"group": [{"anything-but": {"prefix": "family:"}}]}"#, true),
            (r#"{"group": [{"anything-but": {"prefix": ["family:", "service:"]}}]}"#, false),
            (r#"{"absent": [{"anything-but": "x"}]}"#, false),
            (r#"{"group": [{"exists": true}]}"#, true),
            (r#"{"absent": [{"exists": false}]}"#, true),
            (r#"{"group": [{"exists": false}]}"#, false),
            (r#"{"absent": {"deeper": [{"exists": false}]}}"#, true),
            (r#"{"none": [{"exists": true}]}"#, false),
            (r#"{"none": [{"exists": false}]}"#, true),
            (r#"{"none": [{"anything-but": "x"}]}"#, false),
            (r#"{"containers": [{"exists": true}]}"#, false),
            (r#"{"containers": {"exitCode": [{"exists": true}]}}"#, true),
            // Both fields must match in the same container.
            (r#"{"containers": {"name": ["log"], "exitCode": [1]}}"#, false),
            (r#"{"deep": ["a"]}"#, true),
            (r#"{"deep": [{"anything-but": "a"}]}"#, false),
            (r#"{"version": [{"anything-but": [3, 4]}]}"#, false),
            (r#"{"version": ["4"]}"#, false),
            (r#"{"group": [{"anything-but": {"suffix": ":jvb"}}]}"#, false),
            (r#"{"group": [{"anything-but": {"wildcard": "family:*"}}]}"#, true),
            (r#"{"group": [{"wildcard": "service:*"}]}"#, true),
            (r#"{"group": [{"wildcard": "s*:j*b"}]}"#, true),
            (r#"{"group": [{"wildcard": "*x*"}]}"#, false),
            (r#"{"group": [{"wildcard": "service:jv"}]}"#, false),
            (r#"{"group": [{"wildcard": "service:jvb*vb"}]}"#, false),
            (r#"{"group": [{"wildcard": "service\\*"}]}"#, false),
            (r#"{"ip": [{"cidr": "10.0.1.0/24"}]}"#, true),
            (r#"{"ip": [{"cidr": "10.0.2.0/24"}]}"#, false),
            (r#"{"ip": [{"cidr": "0.0.0.0/0"}]}"#, true),
            (r#"{"ip": [{"cidr": "::/0"}]}"#, false),
            (r#"{"version": [{"numeric": [">", 3, "<=", 4]}]}"#, true),
            (r#"{"version": [{"numeric": ["<", 4]}]}"#, false),
            (r#"{"version": [4.0]}"#, true),
            (r#"{"stopped": [null]}"#, true),
            (r#"{"spot": [true]}"#, true),
            (r#"{"$or": [{"version": [9]}, {"spot": [true]}]}"#, true),
            (r#"{"$or": [{"version": [9]}, {"spot": [false]}]}"#, false),
        ] {
            assert_eq!(matches(&format!(r#"{{"detail": {detail}}}"#)), expected, "{detail}");
        }
    }

    #[test]
    fn invalid_patterns_are_refused() {
        for pattern in [
            "no json",
            "[]",
            "{}",
            r#"{"source": "aws.ecs"}"#,
            r#"{"source": []}"#,
            r#"{"source": [["aws.ecs"]]}"#,
            r#"{"source": [{"like": "aws"}]}"#,
            r#"{"source": [{"prefix": 3}]}"#,
            r#"{"source": [{"prefix": "a", "suffix": "b"}]}"#,
            r#"{"source": [{"numeric": ["~", 3]}]}"#,
            r#"{"source": [{"anything-but": {"exists": true}}]}"#,
            r#"{"source": [{"anything-but": null}]}"#,
            r#"{"source": [{"anything-but": []}]}"#,
            r#"{"source": [{"anything-but": ["a", 1]}]}"#,
            r#"{"source": [{"wildcard": "a**"}]}"#,
            r#"{"source": [{"wildcard": "a\\b"}]}"#,
            r#"{"source": [{"cidr": "10.0.0.0"}]}"#,
            r#"{"source": [{"cidr": "10.0.0.0/33"}]}"#,
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
