//! The values of a JSON tensor: nested as its shape says or flat, flattened while they are read.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};

use crate::limits;

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

/// The values, row-major: of each its kind and 64 bits, nine bytes for at least two of the request.
#[derive(Debug, Default)]
pub(super) struct Data {
    /// The first value, which most tensors have alone.
    first: Option<(Kind, u64)>,
    /// Those behind it.
    kinds: Vec<Kind>,
    bits: Vec<u64>,
    /// The texts, one after the other.
    text: String,
    /// The number of values, those that were not kept included.
    count: usize,
}

/// What the bits of a value are.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Null,
    Bool,
    Int,
    Uint,
    Float,
    /// Begin and end in the text.
    Text,
}

impl Data {
    /// The number of values.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The values: all of a tensor that has as many rows as a request may have.
    pub(super) fn iter(&self) -> impl Iterator<Item = Scalar<'_>> {
        let rest = self.kinds.iter().copied().zip(self.bits.iter().copied());
        self.first.into_iter().chain(rest).map(|(kind, bits)| match kind {
            Kind::Null => Scalar::Null,
            Kind::Bool => Scalar::Bool(bits != 0),
            Kind::Int => Scalar::Int(bits.cast_signed()),
            Kind::Uint => Scalar::Uint(bits),
            Kind::Float => Scalar::Float(f64::from_bits(bits)),
            Kind::Text => {
                let (begin, end) = ((bits >> 32) as usize, (bits & u64::from(u32::MAX)) as usize);
                Scalar::Text(Cow::Borrowed(self.text.get(begin..end).unwrap_or_default()))
            }
        })
    }

    fn push(&mut self, kind: Kind, bits: u64) {
        self.count += 1;
        match self.count {
            1 => self.first = Some((kind, bits)),
            // A tensor of more is refused.
            count if count > limits::INFER_ROWS_MAX => {}
            _ => {
                self.kinds.push(kind);
                self.bits.push(bits);
            }
        }
    }

    fn push_text(&mut self, text: &str) {
        let begin = self.text.len();
        if self.count < limits::INFER_ROWS_MAX {
            self.text.push_str(text);
        }
        // A request is far shorter than 4 GiB.
        self.push(Kind::Text, (begin as u64) << 32 | self.text.len() as u64);
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Self::default();
        deserializer.deserialize_any(Into { values: &mut values, is_top: true })?;
        // They stay until all tensors are read.
        values.kinds.shrink_to_fit();
        values.bits.shrink_to_fit();
        values.text.shrink_to_fit();
        Ok(values)
    }
}

/// Appends what it meets; arrays are entered.
struct Into<'v> {
    values: &'v mut Data,
    is_top: bool,
}

impl Into<'_> {
    fn push<E: serde::de::Error>(self, kind: Kind, bits: u64) -> Result<(), E> {
        self.refuse_top()?;
        self.values.push(kind, bits);
        Ok(())
    }

    fn refuse_top<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.is_top { Err(E::custom("`data` is not an array")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Into<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Into<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers, texts, truth values or nulls")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Into { values: &mut *self.values, is_top: false })?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.push(Kind::Null, 0)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.push(Kind::Bool, u64::from(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.push(Kind::Int, value.cast_unsigned())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.push(if i64::try_from(value).is_ok() { Kind::Int } else { Kind::Uint }, value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.push(Kind::Float, value.to_bits())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.refuse_top()?;
        self.values.push_text(text);
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
