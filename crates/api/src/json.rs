//! JSON as text: a value is read only as the type of its field, so that a request takes no more memory than its fields.

use std::borrow::Cow;
use std::fmt;

use perennial_core::{Error, ErrorCode, Result};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

/// The text of one JSON value, whose syntax is valid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a>(&'a str);

impl<'a> From<&'a RawValue> for Json<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self(raw.get())
    }
}

impl<'a> Json<'a> {
    /// Checks the syntax of a text.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<&RawValue>(text).map(|raw| Self(raw.get()))
    }

    /// The first item of a list; `None` for an empty one.
    pub(crate) fn first(self) -> Option<Self> {
        let mut first = None;
        // The visit ends with the first item; the syntax was checked.
        let _ = self.items(|item| {
            first = Some(item);
            Err(Error::new(ErrorCode::InvalidArgument, "the rest is not needed"))
        });
        first
    }

    /// The text.
    pub(crate) fn as_str(self) -> &'a str {
        self.0
    }

    pub(crate) fn is_null(self) -> bool {
        self.0 == "null"
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    pub(crate) fn is_list(self) -> bool {
        self.0.starts_with('[')
    }

    /// The value as a text; `None` for one of another type.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        self.0.starts_with('"').then(|| serde_json::from_str::<Text<'a>>(self.0).ok())?.map(|text| text.0)
    }

    /// The value as a number; `None` for one of another type.
    pub(crate) fn number(self) -> Option<Number> {
        serde_json::from_str(self.0).ok()
    }

    /// The value as true or false; `None` for one of another type.
    pub(crate) fn boolean(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Calls `each` with the name and the value of every entry of an object, until it fails.
    pub(crate) fn entries(self, each: impl FnMut(Cow<'a, str>, Self) -> Result<()>) -> Result<()> {
        self.visit(|deserializer, failed| deserializer.deserialize_map(Entries { each, failed }))
    }

    /// Calls `each` with every item of a list, until it fails.
    pub(crate) fn items(self, each: impl FnMut(Self) -> Result<()>) -> Result<()> {
        self.visit(|deserializer, failed| deserializer.deserialize_seq(Items { each, failed }))
    }

    fn visit(
        self,
        visit: impl FnOnce(
            &mut serde_json::Deserializer<serde_json::de::StrRead<'a>>,
            &mut Option<Error>,
        ) -> Result<(), serde_json::Error>,
    ) -> Result<()> {
        let (mut deserializer, mut failed) = (serde_json::Deserializer::from_str(self.0), None);
        let visited = visit(&mut deserializer, &mut failed);
        match failed {
            Some(error) => Err(error),
            None => visited
                .map_err(|cause| Error::new(ErrorCode::InvalidArgument, format!("cannot parse the body: {cause}"))),
        }
    }
}

/// A text that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Visits the entries of an object; keeps the error of `each`, which serde cannot carry.
struct Entries<'f, F> {
    each: F,
    failed: &'f mut Option<Error>,
}

impl<'de, F: FnMut(Cow<'de, str>, Json<'de>) -> Result<()>> Visitor<'de> for Entries<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            if let Err(error) = (self.each)(name.0, Json(value.get())) {
                *self.failed = Some(error);
                return Err(A::Error::custom("an entry is refused"));
            }
        }
        Ok(())
    }
}

/// Visits the items of a list; keeps the error of `each`, which serde cannot carry.
struct Items<'f, F> {
    each: F,
    failed: &'f mut Option<Error>,
}

impl<'de, F: FnMut(Json<'de>) -> Result<()>> Visitor<'de> for Items<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element::<&'de RawValue>()? {
            if let Err(error) = (self.each)(Json(item.get())) {
                *self.failed = Some(error);
                return Err(A::Error::custom("an item is refused"));
            }
        }
        Ok(())
    }
}
