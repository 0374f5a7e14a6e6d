//! The bodies of AWS's protocols as JSON: JSON and CBOR as the values that they are, a form as its fields, XML as text.

use aws_smithy_cbor::Decoder;
use aws_smithy_cbor::data::Type;
use aws_smithy_cbor::decode::DeserializeError;
use serde_json::{Map, Value};

use super::mask::Masks;

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 32;

/// Returns a body as JSON, masked. One that can't be read is recorded by its length alone.
pub(super) fn masked(content_type: Option<&str>, body: &[u8], masks: &mut Masks) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    let read = match content_type.unwrap_or_default() {
        kind if kind.contains("json") => serde_json::from_slice(body).ok().map(|value| masks.value(value)),
        kind if kind.contains("cbor") => from_cbor(body).map(|value| masks.value(value)),
        kind if kind.contains("x-www-form-urlencoded") => Some(form(body, masks)),
        kind if kind.contains("xml") => std::str::from_utf8(body).ok().map(|text| masks.xml(text).into()),
        _ => None,
    };
    read.unwrap_or_else(|| format!("unreadable, {} bytes", body.len()).into())
}

/// Returns the fields of a form, whose names are paths such as `Targets.member.1.Id`.
fn form(body: &[u8], masks: &mut Masks) -> Value {
    let field = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        let of_member = |part: &&str| *part != "member" && part.parse::<u32>().is_err();
        let member = name.rsplit('.').find(of_member).unwrap_or_default();
        let value = masks.member(member, value.into_owned());
        (name.clone().into_owned(), Value::String(value))
    };
    Value::Object(form_urlencoded::parse(body).map(field).collect())
}

/// Returns the value in CBOR; `None` if it can't be read. A timestamp becomes the number of its seconds.
fn from_cbor(body: &[u8]) -> Option<Value> {
    read_cbor(&mut Decoder::new(body), 0).ok()
}

fn read_cbor(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, DeserializeError> {
    let at = decoder.position();
    if depth > MAX_DEPTH {
        return Err(DeserializeError::custom("nested too deep", at));
    }
    Ok(match decoder.datatype()? {
        Type::Null => decoder.null().map(|()| Value::Null)?,
        Type::Bool => decoder.boolean()?.into(),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
            decoder.long()?.into()
        }
        Type::F16 | Type::F32 | Type::F64 => decoder.double()?.into(),
        Type::String | Type::StringIndef => decoder.string()?.into(),
        Type::Tag => decoder.timestamp()?.as_secs_f64().into(),
        Type::Array | Type::ArrayIndef => {
            let mut left = decoder.list()?;
            let mut items = Vec::new();
            while has_next(decoder, &mut left)? {
                items.push(read_cbor(decoder, depth + 1)?);
            }
            Value::Array(items)
        }
        Type::Map | Type::MapIndef => {
            let mut left = decoder.map()?;
            let mut members = Map::new();
            while has_next(decoder, &mut left)? {
                let name = decoder.string()?;
                members.insert(name, read_cbor(decoder, depth + 1)?);
            }
            Value::Object(members)
        }
        _ => return Err(DeserializeError::custom("no member has this type", at)),
    })
}

/// Returns whether a list or a map has another item; ends one of unknown length.
fn has_next(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, DeserializeError> {
    match left {
        Some(0) => Ok(false),
        Some(left) => {
            *left -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => decoder.skip().map(|()| false),
        None => Ok(true),
    }
}
