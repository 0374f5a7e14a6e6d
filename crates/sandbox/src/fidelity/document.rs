//! The bodies of answers as values, whatever their protocol.

use hyper::body::Bytes;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Map, Value};

use crate::wire::direct::parse_cbor;

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 64;

/// Reads a body by its content type; `None` if it can't be read.
pub(super) fn read(content_type: &str, body: &Bytes) -> Option<Value> {
    if body.is_empty() {
        return Some(Value::Null);
    }
    match content_type {
        kind if kind.contains("json") => serde_json::from_slice(body).ok(),
        kind if kind.contains("cbor") => parse_cbor(body),
        kind if kind.contains("xml") => from_xml(std::str::from_utf8(body).ok()?),
        _ => None,
    }
}

/// An element that is still open.
#[derive(Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<(String, Value)>,
}

impl Element {
    /// Returns the value of an element: text, the object of its children, or a list if these are named `member`. Nothing tells
    /// whether an empty element is a list, so it is null.
    fn into_value(self) -> Value {
        if self.children.is_empty() {
            let text = self.text.trim();
            return if text.is_empty() { Value::Null } else { text.into() };
        }
        if self.children.iter().all(|(name, _)| name == "member") {
            return Value::Array(self.children.into_iter().map(|(_, value)| value).collect());
        }
        Value::Object(self.children.into_iter().collect::<Map<_, _>>())
    }
}

/// Returns what the root element of an XML document encloses; `None` if it isn't well-formed.
pub(super) fn from_xml(text: &str) -> Option<Value> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if open.len() <= MAX_DEPTH => {
                open.push(Element { name: name(start.local_name().as_ref()), ..Element::default() });
            }
            Event::Start(_) => return None,
            Event::Empty(start) => open.last_mut()?.children.push((name(start.local_name().as_ref()), Value::Null)),
            Event::Text(text) => open.last_mut()?.text += &text.decode().ok()?,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().ok()? {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&reference.decode().ok()?)?.to_owned(),
                };
                open.last_mut()?.text += &character;
            }
            Event::End(_) => {
                let element = open.pop()?;
                let name = element.name.clone();
                open.last_mut()?.children.push((name, element.into_value()));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let [root] = <[Element; 1]>::try_from(open).ok()?;
    // The document has one root.
    let [(_, value)] = <[(String, Value); 1]>::try_from(root.children).ok()?;
    Some(value)
}

fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
