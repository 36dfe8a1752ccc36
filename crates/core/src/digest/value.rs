//! One value, as the digest sees it.

use std::borrow::Cow;

/// A value of one type class, borrowed from wherever it lies.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A floating-point number; every NaN is one, negative zero is zero.
    Float(f64),
    /// A decimal number as text; trailing zeros of the fraction do not count.
    Decimal(Cow<'a, str>),
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Days since 1970-01-01.
    Date(i64),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01T00:00:00 UTC.
    Timestamp(i64),
    /// Values in order.
    List(Vec<Value<'a>>),
    /// Named values; their order does not count, null ones are as if absent.
    Struct(Vec<(&'a str, Value<'a>)>),
}

impl Value<'_> {
    /// The byte that stands for the value's class; 0 for null.
    pub(super) fn tag(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Decimal(_) => 4,
            Self::Text(_) => 5,
            Self::Bytes(_) => 6,
            Self::Date(_) => 7,
            Self::Time(_) => 8,
            Self::Timestamp(_) => 9,
            Self::List(_) => 10,
            Self::Struct(_) => 11,
        }
    }

    /// Appends tag and payload; null is its tag alone.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        match self {
            Self::Null => {}
            Self::Bool(value) => super::part(out, &[u8::from(*value)]),
            Self::Int(value) => super::part(out, &value.to_le_bytes()),
            Self::Float(value) => super::part(out, &super::canonical_bits(*value).to_le_bytes()),
            Self::Decimal(text) => super::part(out, canonical_decimal(text).as_bytes()),
            Self::Text(text) => super::part(out, text.as_bytes()),
            Self::Bytes(bytes) => super::part(out, bytes),
            Self::Date(value) | Self::Time(value) | Self::Timestamp(value) => {
                super::part(out, &i128::from(*value).to_le_bytes());
            }
            Self::List(values) => nested(out, |out| values.iter().for_each(|value| value.encode(out))),
            Self::Struct(fields) => nested(out, |out| {
                let mut fields: Vec<_> = fields.iter().filter(|(_, value)| *value != Value::Null).collect();
                fields.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
                for (name, value) in fields {
                    super::part(out, name.as_bytes());
                    value.encode(out);
                }
            }),
        }
    }
}

/// Appends what `write` appends, behind its length.
fn nested(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// The decimal without trailing zeros in its fraction, and without a bare point or a negative zero.
fn canonical_decimal(text: &str) -> &str {
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if text == "-0" { "0" } else { text }
}
