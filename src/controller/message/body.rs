//! Reads the parts of a message's body that the controller uses, and skips all others.
//!
//! A body has two or three kilobytes, of which this keeps five fields, borrowed from the text where they have no escapes.
//! Reading it whole into a [`serde_json::Value`] takes 148 allocations and five times as long.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A part of a body. A value of another shape than the part's leaves it empty. Of repeated members the last one counts.
trait Part<'de>: Default {
    /// Takes a text.
    fn text(&mut self, _: Cow<'de, str>) {}

    /// Takes a whole number.
    fn integer(&mut self, _: i64) {}

    /// Begins an object.
    fn object(&mut self) {}

    /// Takes the value of a member of the object; false if the part has no such member.
    fn member<M: MapAccess<'de>>(&mut self, _: &str, _: &mut M) -> Result<bool, M::Error> {
        Ok(false)
    }

    /// Takes an element of a list; false at its end.
    fn element<S: SeqAccess<'de>>(&mut self, list: &mut S) -> Result<bool, S::Error> {
        Ok(list.next_element::<IgnoredAny>()?.is_some())
    }
}

/// Reads a part from any value.
struct AnyValue<P>(PhantomData<P>);

impl<P> AnyValue<P> {
    const READ: Self = Self(PhantomData);
}

impl<'de, P: Part<'de>> AnyValue<P> {
    /// Returns the value of a member whose key was read.
    fn of<M: MapAccess<'de>>(map: &mut M) -> Result<P, M::Error> {
        map.next_value_seed(Self::READ)
    }

    fn with(take: impl FnOnce(&mut P)) -> P {
        let mut part = P::default();
        take(&mut part);
        part
    }
}

impl<'de, P: Part<'de>> DeserializeSeed<'de> for AnyValue<P> {
    type Value = P;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<P, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, P: Part<'de>> Visitor<'de> for AnyValue<P> {
    type Value = P;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<P, E> {
        Ok(Self::with(|part| part.text(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<P, E> {
        Ok(Self::with(|part| part.text(Cow::Owned(text.to_owned()))))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<P, E> {
        Ok(Self::with(|part| part.integer(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<P, E> {
        Ok(Self::with(|part| i64::try_from(number).into_iter().for_each(|number| part.integer(number))))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<P, E> {
        Ok(P::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<P, E> {
        Ok(P::default())
    }

    fn visit_unit<E: Error>(self) -> Result<P, E> {
        Ok(P::default())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<P, M::Error> {
        let mut part = P::default();
        part.object();
        while let Some(key) = map.next_key_seed(AnyValue::<Text<'de>>::READ)? {
            if !part.member(key.0.as_deref().unwrap_or_default(), &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(part)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<P, S::Error> {
        let mut part = P::default();
        while part.element(&mut list)? {}
        Ok(part)
    }
}

/// A text.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    /// Returns the text, unless it is absent or empty.
    pub(super) fn get(&self) -> Option<&str> {
        self.as_str().filter(|text| !text.is_empty())
    }

    /// Returns the text, even if it is empty.
    pub(super) fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<'de> Part<'de> for Text<'de> {
    fn text(&mut self, text: Cow<'de, str>) {
        self.0 = Some(text);
    }
}

/// A list of texts.
#[derive(Debug, Default)]
pub(super) struct Texts<'a>(Vec<Text<'a>>);

impl Texts<'_> {
    /// Returns the first element, if it is a text.
    pub(super) fn first(&self) -> Option<&str> {
        self.0.first()?.as_str()
    }

    /// Returns the elements that are texts.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Text::as_str)
    }
}

impl<'de> Part<'de> for Texts<'de> {
    fn element<S: SeqAccess<'de>>(&mut self, list: &mut S) -> Result<bool, S::Error> {
        let element = list.next_element_seed(AnyValue::<Text<'de>>::READ)?;
        let is_there = element.is_some();
        self.0.extend(element);
        Ok(is_there)
    }
}

/// A whole number.
#[derive(Debug, Default)]
struct Integer(Option<i64>);

impl Part<'_> for Integer {
    fn integer(&mut self, number: i64) {
        self.0 = Some(number);
    }
}

/// EventBridge's envelope.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    /// Whether the body is an object.
    pub(super) is_object: bool,
    pub(super) source: Text<'a>,
    pub(super) detail_type: Text<'a>,
    pub(super) time: Text<'a>,
    pub(super) resources: Texts<'a>,
    pub(super) detail: Detail<'a>,
}

impl<'de> Part<'de> for Envelope<'de> {
    fn object(&mut self) {
        self.is_object = true;
    }

    fn member<M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<bool, M::Error> {
        match key {
            "source" => self.source = AnyValue::of(map)?,
            "detail-type" => self.detail_type = AnyValue::of(map)?,
            "time" => self.time = AnyValue::of(map)?,
            "resources" => self.resources = AnyValue::of(map)?,
            "detail" => self.detail = AnyValue::of(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AnyValue::READ.deserialize(deserializer)
    }
}

/// The `detail` of ECS's events.
#[derive(Debug, Default)]
pub(super) struct Detail<'a> {
    pub(super) task_arn: Text<'a>,
    pub(super) cluster_arn: Text<'a>,
    pub(super) group: Text<'a>,
    pub(super) version: Option<i64>,
    pub(super) event_name: Text<'a>,
    pub(super) reason: Text<'a>,
}

impl<'de> Part<'de> for Detail<'de> {
    fn member<M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<bool, M::Error> {
        match key {
            "taskArn" => self.task_arn = AnyValue::of(map)?,
            "clusterArn" => self.cluster_arn = AnyValue::of(map)?,
            "group" => self.group = AnyValue::of(map)?,
            "version" => self.version = AnyValue::<Integer>::of(map)?.0,
            "eventName" => self.event_name = AnyValue::of(map)?,
            "reason" => self.reason = AnyValue::of(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}
