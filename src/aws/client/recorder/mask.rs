//! Replaces what must not leave the account: secrets, account ids, public addresses, the names of people, and all text that
//! the watcher doesn't read.
//!
//! The same account id, address or token gets the same replacement in a file, so that what belongs together can be seen.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::kept;
use jvb_watcher_rules::model::ADVERTISED_ADDRESSES_VARIABLE;

/// What replaces text.
const MASKED: &str = "masked";

/// What replaces a number in a text: what it looks like stays.
const MASKED_NUMBER: &str = "0";

/// The prefixes of access key ids and of the unique ids of IAM ("IAM identifiers" in the IAM user guide).
const KEY_PREFIXES: [&str; 12] =
    ["ABIA", "ACCA", "AGPA", "AIDA", "AIPA", "AKIA", "ANPA", "ANVA", "APKA", "AROA", "ASCA", "ASIA"];

/// The shortest such id (User, UserId, in the IAM API reference).
const SHORTEST_KEY: usize = 16;

/// The length of an account id.
const ACCOUNT_ID: usize = 12;

/// The longest word that is kept: an ARN's. Tokens are longer.
const LONGEST_WORD: usize = 400;

/// The parts of an ARN behind which a person's name or a session's stands.
const PRINCIPALS: [&str; 3] = [":assumed-role/", ":federated-user/", ":user/"];

/// The replacements so far.
#[derive(Debug, Default)]
pub(super) struct Masks {
    accounts: HashMap<String, String>,
    addresses: HashMap<IpAddr, String>,
    tokens: HashMap<String, String>,
}

impl Masks {
    /// Masks a value of an answer, a request or an event.
    pub(super) fn value(&mut self, value: Value) -> Value {
        self.member_value("", value, false)
    }

    fn member_value(&mut self, member: &str, value: Value, is_operators_own: bool) -> Value {
        let is_operators_own = is_operators_own || kept::is_operators_own(member);
        match value {
            Value::String(text) if is_operators_own => masked(&text).into(),
            Value::String(text) => self.member(member, text).into(),
            Value::Array(items) => {
                let items = items.into_iter().filter(|item| member != "environment" || is_read_variable(item));
                Value::Array(items.map(|item| self.member_value(member, item, is_operators_own)).collect())
            }
            Value::Object(members) => Value::Object(self.members(members, is_operators_own)),
            value @ (Value::Null | Value::Bool(_) | Value::Number(_)) => value,
        }
    }

    fn members(&mut self, members: Map<String, Value>, is_operators_own: bool) -> Map<String, Value> {
        let name = ["name", "Name", "key", "Key"].iter().find_map(|name| members.get(*name)?.as_str());
        let keeps_value = !is_operators_own && name.is_some_and(kept::is_kept_value_of);
        let mask = |(member, value): (String, Value)| {
            let value = match value {
                Value::String(text) if keeps_value && matches!(member.as_str(), "value" | "Value") => {
                    Value::String(self.text(&text))
                }
                value => self.member_value(&member, value, is_operators_own),
            };
            (self.text(&member), value)
        };
        members.into_iter().map(mask).collect()
    }

    /// Masks the text of a member of that name.
    pub(super) fn member(&mut self, member: &str, text: String) -> String {
        if kept::is_json(member) {
            return match serde_json::from_str(&text) {
                Ok(value @ (Value::Object(_) | Value::Array(_))) => self.value(value).to_string(),
                Ok(_) | Err(_) => masked(&text),
            };
        }
        match member {
            "NextToken" | "nextToken" | "Marker" | "NextMarker" | "ReceiptHandle" => self.token(text),
            _ if kept::is_kept(member) => self.text(&text),
            _ => masked(&text),
        }
    }

    /// Masks an opaque token.
    fn token(&mut self, token: String) -> String {
        let number = self.tokens.len() + 1;
        self.tokens.entry(token).or_insert_with(|| format!("token-{number}")).clone()
    }

    /// Masks the text between the tags of an XML document, by the name of the element that it stands in. The elements of
    /// lists are named `member`: their text belongs to the element around them.
    pub(super) fn xml(&mut self, document: &str) -> String {
        let mut output = String::with_capacity(document.len());
        let mut open: Vec<&str> = Vec::new();
        let mut rest = document;
        while let Some(at) = rest.find('<') {
            let text = &rest[..at];
            let element = open.iter().rev().find(|name| **name != "member").copied().unwrap_or_default();
            if text.trim().is_empty() {
                output.push_str(text)
            } else {
                output += &self.member(element, text.to_owned())
            }
            let end = rest[at..].find('>').map_or(rest.len(), |length| at + length + 1);
            let tag = &rest[at..end];
            let name = tag.trim_start_matches(['<', '/']);
            let name = &name[..name.find([' ', '>', '/', '\n', '\t', '\r']).unwrap_or(name.len())];
            if tag.starts_with("</") {
                open.pop();
            } else if !tag.ends_with("/>") && !tag.starts_with("<?") && !tag.starts_with("<!") {
                open.push(name);
            }
            // Attributes are namespaces. What is torn can be anything, and AWS sends neither comments nor CDATA.
            if tag.ends_with('>') && !tag.starts_with("<!") {
                output += &self.text(tag);
            } else {
                output.push('<');
            }
            rest = &rest[end..];
        }
        output += &masked(rest);
        output
    }

    /// Masks account ids, key ids, public addresses and the names of principals in a text that is kept.
    pub(super) fn text(&mut self, text: &str) -> String {
        let text = without_principals(text);
        let mut output = String::with_capacity(text.len());
        for word in text.split_inclusive(char::is_whitespace) {
            if word.len() > LONGEST_WORD {
                output += MASKED;
                output.extend(word.chars().last().filter(|last| last.is_whitespace()));
                continue;
            }
            let mut rest = word;
            while !rest.is_empty() {
                // Addresses, account ids and key ids consist of these; a separator follows.
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == ':';
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                output += &match tail_of_id(&word[..word.len() - rest.len()], &rest[..end]) {
                    Some((tail, others)) => format!("{tail}{}", self.parts(others)),
                    None => self.parts(&rest[..end]),
                };
                let after = rest[end..].find(is_part).map_or(rest.len(), |length| end + length);
                output += &rest[end..after];
                rest = &rest[after..];
            }
        }
        output
    }

    /// Masks a run of letters, digits, dots and colons: an address, or parts with colons between them.
    fn parts(&mut self, run: &str) -> String {
        if let Ok(address) = run.parse::<Ipv6Addr>() {
            return self.address(address.into()).unwrap_or_else(|| run.to_owned());
        }
        let part = |part: &str| match part.trim_end_matches('.').parse::<Ipv4Addr>() {
            Ok(address) => self.address(address.into()).unwrap_or_else(|| part.to_owned()),
            Err(_) => part.split('.').map(|word| self.word(word)).collect::<Vec<_>>().join("."),
        };
        run.split(':').map(part).collect::<Vec<_>>().join(":")
    }

    fn word(&mut self, word: &str) -> String {
        if word.len() == ACCOUNT_ID && word.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = self.accounts.len() + 1;
            return self.accounts.entry(word.to_owned()).or_insert_with(|| format!("{number:012}")).clone();
        }
        let is_key = word.len() >= SHORTEST_KEY && KEY_PREFIXES.iter().any(|prefix| word.starts_with(prefix));
        if is_key { MASKED.to_owned() } else { word.to_owned() }
    }

    /// Returns the replacement of a public address: one of those for benchmarks (RFC 2544) or documentation (RFC 3849).
    fn address(&mut self, address: IpAddr) -> Option<String> {
        if !is_public(address) {
            return None;
        }
        let number = u32::try_from(self.addresses.len() + 1).unwrap_or(u32::MAX);
        let replacement = match address {
            IpAddr::V4(_) => {
                Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() | (number & 0x1_ffff)).to_string()
            }
            IpAddr::V6(_) => {
                let base = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).to_bits();
                Ipv6Addr::from_bits(base | u128::from(number)).to_string()
            }
        };
        Some(self.addresses.entry(address).or_insert(replacement).clone())
    }
}

/// Replaces a text that isn't kept, by one of its kind: a number stays a number, and times and truth values stay.
fn masked(text: &str) -> String {
    let is_harmless = text.trim().is_empty() || matches!(text, "true" | "false") || text.parse::<Timestamp>().is_ok();
    if is_harmless {
        text.to_owned()
    } else if text.parse::<f64>().is_ok() {
        MASKED_NUMBER.to_owned()
    } else {
        MASKED.to_owned()
    }
}

/// Replaces what stands behind a kind of principal, up to the next space.
fn without_principals(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(end) = PRINCIPALS.iter().filter_map(|kind| Some(rest.find(kind)? + kind.len())).min() {
        output += &rest[..end];
        output += MASKED;
        rest = &rest[end..];
        rest = &rest[rest.find(char::is_whitespace).unwrap_or(rest.len())..];
    }
    output + rest
}

/// Splits a run behind the head of a UUID into the UUID's last part, which can look like an account id, and the others.
fn tail_of_id<'a>(before: &str, run: &'a str) -> Option<(&'a str, &'a str)> {
    let mut parts = before.strip_suffix('-')?.rsplit('-');
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_id =
        [4, 4, 4].into_iter().all(|length| parts.next().is_some_and(|part| part.len() == length && is_hex(part)))
            && parts.next().and_then(|part| part.get(part.len().checked_sub(8)?..)).is_some_and(is_hex);
    run.split_at_checked(ACCOUNT_ID).filter(|_| is_id)
}

/// Returns whether a variable of a container is one that the watcher reads.
fn is_read_variable(variable: &Value) -> bool {
    variable["name"].as_str() == Some(ADVERTISED_ADDRESSES_VARIABLE)
}

/// Returns whether an address can be reached from the Internet. The ranges are those of the IANA special-purpose address
/// registries that occur in a VPC or in examples.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            // 100.64.0.0/10 (RFC 6598).
            let is_shared = first == 100 && (64..128).contains(&second);
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || address.is_unspecified()
                || address.is_broadcast()
                || address.is_multicast()
                || is_shared)
        }
        // Global unicast (RFC 4291), apart from documentation (RFC 3849).
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0xdb8)
        }
    }
}
