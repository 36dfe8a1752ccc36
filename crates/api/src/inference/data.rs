//! The values of a JSON tensor: nested as its shape says or flat, flattened while they are read.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Above `i64::MAX`.
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
}

impl Scalar<'_> {
    /// The value of an integer.
    pub(super) fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(i128::from(*value)),
            Self::Uint(value) => Some(i128::from(*value)),
            _ => None,
        }
    }

    /// The value as a message names it.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => format!("the truth value `{value}`"),
            Self::Int(value) => format!("the number `{value}`"),
            Self::Uint(value) => format!("the number `{value}`"),
            Self::Float(value) => format!("the number `{value}`"),
            Self::Text(text) => format!("the text `{}`", text.chars().take(40).collect::<String>().escape_debug()),
        }
    }
}

/// The values, row-major.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Data<'a>(pub(super) Vec<Scalar<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Vec::new();
        deserializer.deserialize_any(Into { values: &mut values, is_top: true })?;
        Ok(Self(values))
    }
}

/// Appends what it meets; arrays are entered.
struct Into<'v, 'de> {
    values: &'v mut Vec<Scalar<'de>>,
    is_top: bool,
}

impl Into<'_, '_> {
    fn refuse_top<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.is_top { Err(E::custom("`data` is not an array")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Into<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! takes {
    ($($visit:ident($kind:ty) => $scalar:expr;)*) => {
        $(fn $visit<E: serde::de::Error>(self, value: $kind) -> Result<(), E> {
            self.refuse_top()?;
            self.values.push(($scalar)(value));
            Ok(())
        })*
    };
}

impl<'de> Visitor<'de> for Into<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers, texts, truth values or nulls")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Into { values: &mut *self.values, is_top: false })?.is_some() {}
        Ok(())
    }

    takes! {
        visit_bool(bool) => Scalar::Bool;
        visit_i64(i64) => Scalar::Int;
        visit_u64(u64) => |value| i64::try_from(value).map_or(Scalar::Uint(value), Scalar::Int);
        visit_f64(f64) => Scalar::Float;
        visit_str(&str) => |text: &str| Scalar::Text(Cow::Owned(text.to_owned()));
        visit_string(String) => |text| Scalar::Text(Cow::Owned(text));
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<(), E> {
        self.refuse_top()?;
        self.values.push(Scalar::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.refuse_top()?;
        self.values.push(Scalar::Null);
        Ok(())
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom("`data` holds an object"))
    }
}

/// JSON with the bare words `NaN`, `Infinity` and `-Infinity` as texts; `None` when it has none of them.
pub(super) fn quote_bare(json: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let (mut out, mut place, mut in_text, mut found) = (Vec::with_capacity(json.len() + 16), 0, false, false);
    while let Some(&byte) = json.get(place) {
        if in_text {
            let length = if byte == b'\\' { 2 } else { 1 };
            out.extend_from_slice(json.get(place..place + length).unwrap_or(&json[place..]));
            in_text = byte != b'"';
            place += length;
            continue;
        }
        let word = WORDS.into_iter().find(|word| json[place..].starts_with(word));
        if let Some(word) = word {
            out.push(b'"');
            out.extend_from_slice(word);
            out.push(b'"');
            (place, found) = (place + word.len(), true);
            continue;
        }
        out.push(byte);
        in_text = byte == b'"';
        place += 1;
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests;
