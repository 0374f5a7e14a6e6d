//! What is masked within a word of a text that is kept: account ids, addresses, key ids, keys and tokens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::mask::{MASKED, Masks};

/// The prefixes of access key ids and of the unique ids of IAM ("IAM identifiers" in the IAM user guide).
const KEY_PREFIXES: [&str; 12] =
    ["ABIA", "ACCA", "AGPA", "AIDA", "AIPA", "AKIA", "ANPA", "ANVA", "APKA", "AROA", "ASCA", "ASIA"];

/// The shortest such id (User, UserId, in the IAM API reference).
const SHORTEST_KEY: usize = 16;

/// The length of an account id.
const ACCOUNT_ID: usize = 12;

/// The length of a secret access key. Session tokens are longer, names and ids in ARNs are shorter or have hyphens.
const SHORTEST_TOKEN: usize = 40;

/// The length of an IPv6 address in its longest form, which ends with an IPv4 address.
const LONGEST_IPV6: usize = 45;

/// What resources' paths begin with, in which `/` separates names. In other words it can be part of a key.
const PATHS: [&str; 4] = ["app/", "loadbalancer/", "net/", "targetgroup/"];

impl Masks {
    /// Masks a word. What follows a key id is masked with it: `AROA…:session`.
    pub(super) fn word(&mut self, word: &str) -> String {
        let is_path =
            word.contains("arn:") || word.contains("://") || PATHS.iter().any(|prefix| word.starts_with(prefix));
        let mut output = String::with_capacity(word.len());
        let mut at = 0;
        while let Some(first) = word[at..].chars().next() {
            let (before, rest) = (word[..at].bytes().last(), &word[at..]);
            if is_key_id(rest) {
                output += MASKED;
                return output;
            }
            let length = if let Some(length) = token_length(before, rest, is_path) {
                output += MASKED;
                length
            } else if let Some(length) = id_length(before, rest) {
                output += &rest[..length];
                length
            } else if let Some((length, address)) = ipv6(before, rest) {
                output += &self.ipv6(address).unwrap_or_else(|| rest[..length].to_owned());
                length
            } else if let Some((length, address, separator)) = ipv4(before, rest)
                && let Some(replacement) = self.public_ipv4(address)
            {
                output += &replacement.to_string().replace('.', separator);
                length
            } else if let Some((length, account)) = account(before, rest) {
                output += &self.account(account);
                length
            } else {
                output.push(first);
                first.len_utf8()
            };
            at += length;
        }
        output
    }

    /// Returns the replacement of an IPv6 address; `None` if it stays. An IPv4 address within is replaced as such.
    fn ipv6(&mut self, address: Ipv6Addr) -> Option<String> {
        let Some(embedded) = embedded_ipv4(address) else {
            return self.address(address.into());
        };
        let replacement = self.public_ipv4(embedded)?;
        let upper = address.to_bits() & !u128::from(u32::MAX);
        Some(Ipv6Addr::from_bits(upper | u128::from(replacement.to_bits())).to_string())
    }

    fn public_ipv4(&mut self, address: Ipv4Addr) -> Option<Ipv4Addr> {
        self.address(IpAddr::V4(address))?.parse().ok()
    }
}

fn is_alphanumeric(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric())
}

fn is_digit(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_digit())
}

fn byte_at(text: &str, index: usize) -> Option<u8> {
    text.as_bytes().get(index).copied()
}

fn count(text: &str, is_part: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is_part(*byte)).count()
}

/// Returns whether a text begins with a key id.
fn is_key_id(rest: &str) -> bool {
    KEY_PREFIXES.iter().any(|prefix| rest.starts_with(prefix))
        && count(rest, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) >= SHORTEST_KEY
}

/// Returns the length of a secret key or a token at the start of a text: a long run in Base64 with letters and digits.
fn token_length(before: Option<u8>, rest: &str, is_path: bool) -> Option<usize> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+=".contains(&byte) || (byte == b'/' && !is_path);
    if before.is_some_and(is_part) {
        return None;
    }
    let length = count(rest, is_part);
    let run = &rest.as_bytes()[..length];
    let is_token =
        length >= SHORTEST_TOKEN && run.iter().any(u8::is_ascii_digit) && run.iter().any(u8::is_ascii_alphabetic);
    is_token.then_some(length)
}

/// Returns the length of the id of a resource at the start of a text, whose digits can look like an account id: a UUID, the 32
/// digits of a task's or the 16 or 17 of a load balancer's or a subnet's.
fn id_length(before: Option<u8>, rest: &str) -> Option<usize> {
    if is_alphanumeric(before) {
        return None;
    }
    uuid_length(rest).or_else(|| {
        let length = count(rest, |byte| byte.is_ascii_alphanumeric());
        let is_id = length == 32 || (matches!(length, 16 | 17) && matches!(before, Some(b'/' | b'-')));
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (is_id && count(rest, is_hex) == length).then_some(length)
    })
}

fn uuid_length(rest: &str) -> Option<usize> {
    let mut length = 0;
    for part in [8, 4, 4, 4, 12] {
        if length > 0 {
            length += usize::from(byte_at(rest, length) == Some(b'-'));
        }
        let hex = count(rest.get(length..)?, |byte| byte.is_ascii_hexdigit());
        if hex != part {
            return None;
        }
        length += part;
    }
    (length == 36 && !is_alphanumeric(byte_at(rest, length))).then_some(length)
}

/// Returns an IPv6 address at the start of a text, with its length. What can follow it, a dot or a colon, isn't part of it.
fn ipv6(before: Option<u8>, rest: &str) -> Option<(usize, Ipv6Addr)> {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    let run = &rest[..count(rest, is_part).min(LONGEST_IPV6)];
    if is_alphanumeric(before) || run.bytes().filter(|byte| *byte == b':').count() < 2 {
        return None;
    }
    let parse = |length: usize| Some((length, run[..length].parse().ok()?));
    (2..=run.len()).rev().filter(|length| !is_alphanumeric(byte_at(rest, *length))).find_map(parse)
}

/// Returns an IPv4 address at the start of a text, with its length and its separator: host names have hyphens.
fn ipv4(before: Option<u8>, rest: &str) -> Option<(usize, Ipv4Addr, &str)> {
    if is_digit(before) {
        return None;
    }
    let first = count(rest, |byte| byte.is_ascii_digit());
    let separator = rest.get(first..=first).filter(|separator| [".", "-"].contains(separator))?;
    let (mut octets, mut length) = ([0; 4], 0);
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            rest[length..].strip_prefix(separator)?;
            length += 1;
        }
        let digits = count(&rest[length..], |byte| byte.is_ascii_digit());
        *octet = rest[length..length + digits].parse::<u8>().ok().filter(|_| digits <= 3)?;
        length += digits;
    }
    Some((length, octets.into(), separator))
}

/// Returns the account id at the start of a text, with the length that it has there: the console writes it in three parts.
fn account(before: Option<u8>, rest: &str) -> Option<(usize, &str)> {
    if is_digit(before) {
        return None;
    }
    if count(rest, |byte| byte.is_ascii_digit()) == ACCOUNT_ID {
        return Some((ACCOUNT_ID, &rest[..ACCOUNT_ID]));
    }
    let mut length = 0;
    for part in 0..3 {
        if part > 0 {
            rest[length..].strip_prefix('-')?;
            length += 1;
        }
        if count(&rest[length..], |byte| byte.is_ascii_digit()) != ACCOUNT_ID / 3 {
            return None;
        }
        length += ACCOUNT_ID / 3;
    }
    Some((length, &rest[..length]))
}

/// Returns the IPv4 address in an IPv6 address: mapped or compatible (RFC 4291), or translated (RFC 6052, RFC 8215).
fn embedded_ipv4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let is_translated = matches!(address.segments(), [0x64, 0xff9b, ..]);
    let low = u32::try_from(address.to_bits() & u128::from(u32::MAX)).ok()?;
    let is_compatible = address.to_bits() >> 32 == 0 && low > u32::from(u16::MAX);
    address.to_ipv4_mapped().or_else(|| (is_translated || is_compatible).then(|| Ipv4Addr::from_bits(low)))
}
