//! Messages of MLflow's API: declared once with [`message!`], read from JSON and written as JSON.
//!
//! The type of a field says whether it is required: `T` is, `Option<T>` and `Vec<T>` are not. Reading follows MLflow's
//! server, whose rules are those of protobuf's JSON with stricter errors:
//!
//! - names in snake_case or camelCase; a field in both spellings is refused; unknown fields and `null` are ignored;
//! - integers and numbers also as text, `NaN` and the infinities by name, enumerations by name or number;
//! - one value in place of a list is a list of one, as a query has it;
//! - an empty text is a missing value for a required field.
//!
//! An error names the field by its path, such as `metrics[0].timestamp`, in the words that clients match.

mod given;
#[cfg(test)]
mod tests;
mod types;

use std::fmt;

use perennial_core::{Error, ErrorCode, Result};

pub(super) use crate::json::Json;
pub(super) use given::Given;
pub(super) use types::{Limit, Number, names};

/// Items of a list in a request; each call has its own, smaller limits.
const LIST_ITEMS_MAX: usize = 10_000;
/// Characters of a refused value that an error message repeats.
const REPEATED_CHARS_MAX: usize = 200;

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// Its name in snake_case.
    pub name: &'static str,
    /// Its former name, read when the field is absent or empty under its present one.
    pub former_name: Option<&'static str>,
    /// Whether a message without it is refused.
    pub is_required: bool,
    /// The values it takes.
    pub kind: &'static Kind,
}

/// The values that a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// An integer in a range, both ends included.
    Integer {
        /// The smallest.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A number, NaN and the infinities included.
    Number,
    /// True or false.
    Boolean,
    /// One of several names.
    Name(&'static [&'static str]),
    /// A list.
    List(&'static Kind),
    /// A message with these fields.
    Message(&'static [FieldSpec]),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("a text"),
            Self::Integer { min: i64::MIN, max: i64::MAX } => f.write_str("an integer"),
            Self::Integer { min, max } => write!(f, "an integer from {min} to {max}"),
            Self::Number => f.write_str("a number"),
            Self::Boolean => f.write_str("true or false"),
            Self::Name(names) => write!(f, "one of {}", names.join(", ")),
            Self::List(_) => f.write_str("a list"),
            Self::Message(_) => f.write_str("an object"),
        }
    }
}

/// Where a value is in a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'a> {
    /// The request itself.
    Root,
    /// A field.
    Field(&'a Path<'a>, &'static str),
    /// An item of a list, counted from 0.
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(message, name) => write!(f, "{message}.{name}"),
            Self::Item(list, position) => write!(f, "{list}[{position}]"),
        }
    }
}

impl Path<'_> {
    fn missing(&self) -> Error {
        refused(format!("Missing value for required parameter '{self}'."))
    }

    pub(super) fn invalid(&self, value: Json<'_>, expected: &Kind) -> Error {
        let repeated: String = value.as_str().chars().take(REPEATED_CHARS_MAX).collect();
        let repeated = repeated.replace(char::is_control, " ");
        refused(format!("Invalid value {repeated} for parameter '{self}' supplied"))
            .with_hint(format!("expected {expected}"))
    }
}

/// An invalid argument.
pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

/// The type of a field.
pub(super) trait Field: Sized {
    /// The values it takes.
    const KIND: &'static Kind;
    /// Whether a message without it is refused.
    const IS_REQUIRED: bool = true;

    /// Reads a value that is not null. The error names `path`.
    fn read(value: Json<'_>, path: &Path<'_>) -> Result<Self>;

    /// The value of an absent field.
    fn absent(path: &Path<'_>) -> Result<Self> {
        Err(path.missing())
    }

    /// Whether the field is left out when its message is written.
    fn is_absent(&self) -> bool {
        false
    }
}

/// A message, declared with [`message!`].
pub(super) trait Message: Field {
    /// Its fields in the order in which they are read, so that errors name the first.
    const FIELDS: &'static [FieldSpec];

    /// Reads a whole request.
    fn from_json(request: Json<'_>) -> Result<Self> {
        if !request.is_object() {
            return Err(refused("the body is not a JSON object"));
        }
        Self::read(request, &Path::Root)
    }
}

/// Declares messages: structs that are read from JSON by [`Field::read`] and written by serde.
///
/// `new_name | former_name: Type` declares a field that is also read under its former name.
macro_rules! message {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$field_doc:meta])* $field:ident $(| $former:ident)?: $type:ty),* $(,)? }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub(in crate::mlflow) struct $name {$(
            $(#[$field_doc])*
            #[serde(skip_serializing_if = "crate::mlflow::message::Field::is_absent")]
            pub(in crate::mlflow) $field: $type,
        )*}

        impl $crate::mlflow::message::Message for $name {
            const FIELDS: &'static [$crate::mlflow::message::FieldSpec] = &[$(
                $crate::mlflow::message::FieldSpec {
                    name: stringify!($field),
                    former_name: $crate::mlflow::message::former_name(&[$(stringify!($former))?]),
                    is_required: <$type as $crate::mlflow::message::Field>::IS_REQUIRED,
                    kind: <$type as $crate::mlflow::message::Field>::KIND,
                },
            )*];
        }

        impl $crate::mlflow::message::Field for $name {
            const KIND: &'static $crate::mlflow::message::Kind = &$crate::mlflow::message::Kind::Message(
                <Self as $crate::mlflow::message::Message>::FIELDS,
            );

            fn read(
                value: $crate::mlflow::message::Json<'_>,
                path: &$crate::mlflow::message::Path<'_>,
            ) -> perennial_core::Result<Self> {
                let mut given = $crate::mlflow::message::Given::new::<Self>(value, path)?;
                // The fields of a struct expression are evaluated in the order in which they are written.
                let message = Self { $($field: given.next()?,)* };
                given.end();
                Ok(message)
            }
        }
    )*};
}

pub(super) use message;

/// The only name, if there is one.
pub(super) const fn former_name(names: &[&'static str]) -> Option<&'static str> {
    match names {
        [name] => Some(name),
        _ => None,
    }
}
