//! Smithy RPC v2 CBOR: the members of requests and responses in CBOR (RFC 8949), the service and the operation in the path.
//!
//! <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>

use std::convert::Infallible;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use minicbor::data::{IanaTag, Tag, Type};
use minicbor::decode::Error as DecodeError;
use minicbor::encode::Error as EncodeError;
use minicbor::{Decoder, Encoder};
use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::query_codes::Names;
use super::{ErrorResponse, HttpResponse, respond};
use crate::api::Service;

/// Names of the services in paths.
pub(super) const SERVICES: [(&str, Service); 1] = [("GraniteServiceVersion20100801", Service::CloudWatch)];

const CONTENT_TYPE: &str = "application/cbor";

/// Header that selects the protocol in a request, and repeats it in the response.
const PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");

const NAME: HeaderValue = HeaderValue::from_static("rpc-v2-cbor");

/// Maximum depth of a request's members.
const MAX_DEPTH: usize = 32;

/// Members that are lists of timestamps. JSON, through which responses pass, doesn't tell timestamps from numbers.
const TIMESTAMPS: [&str; 1] = ["Timestamps"];

/// Returns whether a request has this protocol.
pub(super) fn is_selected(headers: &HeaderMap) -> bool {
    headers.get(PROTOCOL).is_some_and(|name| name == NAME)
}

/// Returns the service and the operation in the path of a request.
pub(super) fn parse_path(path: &str) -> Option<(&str, &str)> {
    // What precedes is of no importance, so that a server can have a prefix.
    let (_, rest) = path.rsplit_once("/service/")?;
    rest.split_once("/operation/")
}

/// Parses the members of a request. A timestamp becomes its number of seconds since the epoch.
pub(super) fn parse(body: &[u8]) -> Result<Value, DecodeError> {
    let mut decoder = Decoder::new(body);
    let value = parse_value(&mut decoder, 0)?;
    if decoder.position() == body.len() {
        Ok(value)
    } else {
        Err(DecodeError::message("data after the members").at(decoder.position()))
    }
}

fn parse_value(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, DecodeError> {
    let at = decoder.position();
    if depth > MAX_DEPTH {
        return Err(DecodeError::message(format!("the members are nested more than {MAX_DEPTH} deep")).at(at));
    }
    let kind = decoder.datatype()?;
    Ok(match kind {
        Type::Null => decoder.null().map(|()| Value::Null)?,
        Type::Undefined => decoder.undefined().map(|()| Value::Null)?,
        Type::Bool => Value::Bool(decoder.bool()?),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => Value::from(decoder.u64()?),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => Value::from(decoder.i64()?),
        Type::F16 | Type::F32 | Type::F64 => {
            let number = Number::from_f64(decoder.f64()?);
            Value::Number(number.ok_or_else(|| DecodeError::message("a number is not finite").at(at))?)
        }
        Type::String | Type::StringIndef => Value::String(parse_text(decoder)?),
        Type::Array | Type::ArrayIndef => {
            let mut items = Vec::new();
            let mut left = decoder.array()?;
            while has_next(decoder, &mut left)? {
                items.push(parse_value(decoder, depth + 1)?);
            }
            Value::Array(items)
        }
        Type::Map | Type::MapIndef => {
            let mut members = Map::new();
            let mut left = decoder.map()?;
            while has_next(decoder, &mut left)? {
                let name = parse_text(decoder)?;
                members.insert(name, parse_value(decoder, depth + 1)?);
            }
            Value::Object(members)
        }
        Type::Tag if decoder.tag()? == Tag::from(IanaTag::Timestamp) => match parse_value(decoder, depth + 1)? {
            seconds @ Value::Number(_) => seconds,
            _ => return Err(DecodeError::message("a timestamp is not a number").at(at)),
        },
        other => return Err(DecodeError::type_mismatch(other).with_message("no member has this type").at(at)),
    })
}

fn parse_text(decoder: &mut Decoder<'_>) -> Result<String, DecodeError> {
    decoder.str_iter()?.collect()
}

/// Returns whether a list or a map has another item; ends one of unknown length.
fn has_next(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, DecodeError> {
    match left {
        Some(0) => Ok(false),
        Some(left) => {
            *left -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => {
            decoder.skip()?;
            Ok(false)
        }
        None => Ok(true),
    }
}

/// Returns a value in CBOR.
pub(super) fn to_bytes(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    // Never fails: the memory grows.
    let _: Result<(), EncodeError<Infallible>> = write(&mut encoder, value, false);
    encoder.into_writer()
}

/// Writes a value. Numbers in a list of timestamps are tagged as such.
fn write(encoder: &mut Encoder<Vec<u8>>, value: &Value, are_times: bool) -> Result<(), EncodeError<Infallible>> {
    match value {
        Value::Null => encoder.null()?,
        Value::Bool(value) => encoder.bool(*value)?,
        Value::String(text) => encoder.str(text)?,
        Value::Number(number) => {
            if are_times {
                encoder.tag(IanaTag::Timestamp)?;
            }
            match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => encoder.u64(number)?,
                (None, Some(number)) => encoder.i64(number)?,
                (None, None) => encoder.f64(number.as_f64().unwrap_or(f64::NAN))?,
            }
        }
        Value::Array(items) => {
            encoder.array(items.len() as u64)?;
            items.iter().try_for_each(|item| write(encoder, item, are_times))?;
            encoder
        }
        Value::Object(members) => {
            encoder.map(members.len() as u64)?;
            for (name, value) in members {
                encoder.str(name)?;
                write(encoder, value, TIMESTAMPS.contains(&name.as_str()))?;
            }
            encoder
        }
    };
    Ok(())
}

pub(super) fn success(response: &impl Serialize) -> Result<HttpResponse, serde_json::Error> {
    Ok(respond_with(200, &serde_json::to_value(response)?))
}

pub(super) fn error(service: Service, error: &ErrorResponse) -> HttpResponse {
    let names = Names::of(service, &error.code);
    let body = serde_json::json!({ "__type": names.kind, "message": error.message });
    let mut response = respond_with(error.status, &body);
    names.add_header(error, &mut response);
    response
}

fn respond_with(status: u16, body: &Value) -> HttpResponse {
    let mut response = respond(status, CONTENT_TYPE, to_bytes(body));
    response.headers_mut().insert(PROTOCOL, NAME);
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_survive_their_encoding() {
        for value in
            [json!({ "a": [null, true, "x", -3, 1.5], "b": { "": u64::MAX }, "c": i64::MIN }), json!([]), json!("ä")]
        {
            assert_eq!(parse(&to_bytes(&value)).unwrap(), value);
        }
    }

    #[test]
    fn lists_maps_and_texts_can_come_in_pieces() {
        let mut encoder = Encoder::new(Vec::new());
        encoder.begin_map().unwrap().begin_str().unwrap().str("a").unwrap().str("b").unwrap().end().unwrap();
        encoder.begin_array().unwrap().u8(1).unwrap().f16(0.5).unwrap().end().unwrap().end().unwrap();
        assert_eq!(parse(&encoder.into_writer()).unwrap(), json!({ "ab": [1, 0.5] }));
    }

    #[test]
    fn timestamps_are_tagged_numbers() {
        let bytes = to_bytes(&json!({ "Timestamps": [60, 61.5], "Values": [60] }));
        let expected: &[u8] = b"\xa2\x6aTimestamps\x82\xc1\x18\x3c\xc1\xfb\x40\x4e\xc0\0\0\0\0\0\x66Values\x81\x18\x3c";
        assert_eq!(bytes, expected);
        assert_eq!(parse(&bytes).unwrap(), json!({ "Timestamps": [60, 61.5], "Values": [60] }));
    }

    #[test]
    fn unreadable_members_are_refused_with_a_reason() {
        let nested = |depth: usize| [vec![0x81; depth], vec![0x01]].concat();
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        let cases: [(Vec<u8>, &str); 9] = [
            (vec![], "end of input"),
            (vec![0xa1, 0x61], "end of input"),
            (vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "end of input"),
            (vec![0xa1, 0x01, 0x01], "unexpected type"),
            (vec![0x41, 0x00], "no member has this type"),
            (vec![0xc1, 0x61, b'x'], "a timestamp is not a number"),
            (vec![0xf9, 0x7e, 0x00], "not finite"),
            (vec![0x01, 0x01], "data after the members"),
            (nested(MAX_DEPTH + 1), "nested"),
        ];
        for (body, expected) in cases {
            let error = parse(&body).unwrap_err().to_string();
            assert!(error.contains(expected), "{body:?} gives {error}");
        }
    }

    #[tokio::test]
    async fn errors_have_their_query_code_in_a_header() {
        for (code, status, name, header) in [
            ("ValidationError", 400, "com.amazon.coral.service#ValidationException", "ValidationError;Sender"),
            ("InvalidNextToken", 400, "com.amazonaws.cloudwatch#InvalidNextToken", "InvalidNextToken;Sender"),
            ("AccessDenied", 403, "com.amazon.coral.service#AccessDeniedException", "AccessDenied;Sender"),
            ("InternalFailure", 500, "com.amazon.coral.service#InternalFailure", "InternalFailure;Receiver"),
        ] {
            let response =
                error(Service::CloudWatch, &ErrorResponse { code: code.to_owned(), status, message: "why".to_owned() });
            assert_eq!(response.headers()["x-amzn-query-error"], header);
            assert_eq!((response.status().as_u16(), &response.headers()[PROTOCOL]), (status, &NAME));
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(parse(&body).unwrap(), json!({ "__type": name, "message": "why" }));
        }
    }
}
