//! Replaces what must not leave the account: secrets, account ids, public addresses, the names of people, and all text that
//! the watcher doesn't read.
//!
//! The same account id, address or token gets the same replacement in a file, so that what belongs together can be seen.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Number, Value};

use super::{kept, prose};
use jvb_watcher_rules::model::ADVERTISED_ADDRESSES_VARIABLE;

/// What replaces text.
pub(super) const MASKED: &str = "masked";

/// What replaces a number in a text: what it looks like stays.
const MASKED_NUMBER: &str = "0";

/// The longest word that is kept: an ARN's. Tokens are longer.
const LONGEST_WORD: usize = 400;

/// What no name, id or state has: the signs of text in JSON, whole or torn.
const STRUCTURE: [char; 3] = ['{', '"', '\\'];

/// The deepest nesting of texts in JSON that is read. A topic's message in a queue has two.
const MAX_NESTING: usize = 4;

/// What a person's name or a session's stands behind in an ARN, or in a part of one.
const PRINCIPALS: [&str; 6] = ["assumed-role/", "federated-user/", ":mfa/", ":sms-mfa/", ":u2f/", ":user/"];

/// The replacements so far.
#[derive(Debug, Default)]
pub(super) struct Masks {
    accounts: HashMap<String, String>,
    addresses: HashMap<IpAddr, String>,
    tokens: HashMap<String, String>,
    /// How many texts in JSON enclose the present one.
    nesting: usize,
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
            Value::Number(number) => Value::Number(self.number(number)),
            value @ (Value::Null | Value::Bool(_)) => value,
        }
    }

    fn members(&mut self, members: Map<String, Value>, is_operators_own: bool) -> Map<String, Value> {
        let name = ["name", "Name", "key", "Key"].iter().find_map(|name| members.get(*name)?.as_str());
        let keeps_value = !is_operators_own && name.is_some_and(kept::is_kept_value_of);
        let mask = |(member, value): (String, Value)| {
            let value = match value {
                Value::String(text) if keeps_value && matches!(member.as_str(), "value" | "Value") => {
                    Value::String(self.structured(&text))
                }
                value => self.member_value(&member, value, is_operators_own),
            };
            (self.name(&member), value)
        };
        members.into_iter().map(mask).collect()
    }

    /// Masks the name of a member: one that no API has is text of others, such as a label.
    fn name(&mut self, member: &str) -> String {
        let is_text = member.contains(STRUCTURE) || member.contains(char::is_whitespace);
        if is_text { MASKED.to_owned() } else { self.text(member) }
    }

    /// Masks the text of a member of that name.
    pub(super) fn member(&mut self, member: &str, text: String) -> String {
        if kept::is_json(member) {
            return self.json(&text).unwrap_or_else(|| masked(&text));
        }
        match member {
            "NextToken" | "nextToken" | "Marker" | "NextMarker" | "ReceiptHandle" => self.token(text),
            _ if kept::is_prose(member) => self.json(&text).unwrap_or_else(|| prose::masked(&text)),
            _ if kept::is_kept(member) => self.structured(&text),
            _ => masked(&text),
        }
    }

    /// Masks a text that is a name, an id or a state, and can be JSON instead, or hold some.
    fn structured(&mut self, text: &str) -> String {
        match self.json(text) {
            Some(json) => json,
            None if text.contains(STRUCTURE) => MASKED.to_owned(),
            None => self.text(text),
        }
    }

    /// Masks a text that is an object or a list in JSON, such as an event that a topic has wrapped; `None` if it is none.
    fn json(&mut self, text: &str) -> Option<String> {
        if self.nesting >= MAX_NESTING || !text.trim_start().starts_with(['{', '[']) {
            return None;
        }
        let value = serde_json::from_str(text).ok()?;
        self.nesting += 1;
        let masked = self.value(value).to_string();
        self.nesting -= 1;
        Some(masked)
    }

    /// Masks a number that looks like an account id.
    fn number(&mut self, number: Number) -> Number {
        let text = number.to_string();
        let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        let account = is_account.then(|| self.account(&text).parse::<u64>());
        account.and_then(Result::ok).map_or(number, Number::from)
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

    /// Masks account ids, keys, public addresses and the names of principals in a text that is kept.
    pub(super) fn text(&mut self, text: &str) -> String {
        let text = without_principals(text);
        let mut output = String::with_capacity(text.len());
        for part in text.split_inclusive(char::is_whitespace) {
            let word = part.trim_end();
            let space = &part[word.len()..];
            // Neither names nor ARNs have these: a user's name in a URL or a session's, a character reference.
            if word.len() > LONGEST_WORD || word.contains(['@', '&']) || self.is_masked_once_decoded(word) {
                output += MASKED;
            } else if let Some(query) = word.find("://").and_then(|_| word.find(['?', '#'])) {
                output += &self.word(&word[..=query]);
                output += MASKED;
            } else {
                output += &self.word(word);
            }
            output += space;
        }
        output
    }

    /// Returns whether a word holds what is masked, in percent-encoding.
    fn is_masked_once_decoded(&mut self, word: &str) -> bool {
        let decoded = percent_decode_str(word).decode_utf8_lossy();
        decoded != word && (decoded.contains(STRUCTURE) || self.text(&decoded) != decoded)
    }

    /// Returns the replacement of an account id, with or without hyphens.
    pub(super) fn account(&mut self, account: &str) -> String {
        let number = self.accounts.len() + 1;
        self.accounts.entry(account.replace('-', "")).or_insert_with(|| format!("{number:012}")).clone()
    }

    /// Returns the replacement of a public address: one of those for benchmarks (RFC 2544) or documentation (RFC 3849).
    pub(super) fn address(&mut self, address: IpAddr) -> Option<String> {
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
        // All but ::/16, and unique local, link-local, multicast and documentation (RFC 4291, RFC 4193, RFC 3849, RFC 9637).
        IpAddr::V6(address) => match address.segments() {
            [0, ..] | [0x2001, 0xdb8, ..] => false,
            [first, second, ..] => {
                !(address.is_unique_local()
                    || address.is_unicast_link_local()
                    || address.is_multicast()
                    || (first == 0x3fff && second < 0x1000))
            }
        },
    }
}
