//! The types of fields.

use std::borrow::Cow;

use perennial_core::id::{ExperimentId, RunId};
use perennial_core::{Error, ErrorCode, Result};
use serde::{Serialize, Serializer};

use super::{Field, Json, Kind, LIST_ITEMS_MAX, Path};

impl Field for String {
    const KIND: &'static Kind = &Kind::Text;

    fn read(value: Json<'_>, path: &Path<'_>) -> Result<Self> {
        value.text().map(Cow::into_owned).ok_or_else(|| path.invalid(value, Self::KIND))
    }
}

impl Field for i64 {
    const KIND: &'static Kind = &Kind::Integer { min: i64::MIN, max: i64::MAX };

    fn read(value: Json<'_>, path: &Path<'_>) -> Result<Self> {
        integer(value).ok_or_else(|| path.invalid(value, Self::KIND))
    }
}

/// An integer, which JSON may also write as text or with a fraction of zero.
fn integer(value: Json<'_>) -> Option<i64> {
    match value.text() {
        Some(text) => text.parse().ok(),
        None => value.number().and_then(|number| number.as_i64().or_else(|| whole(number.as_f64()?))),
    }
}

/// A number without a fraction, if a double has it exactly.
fn whole(number: f64) -> Option<i64> {
    const EXACT_MAX: f64 = (1_i64 << 53) as f64;
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

/// An integer from 1 to `MAX`, such as the number of items of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(in crate::mlflow) struct Limit<const MAX: u32>(pub(in crate::mlflow) u32);

impl<const MAX: u32> Field for Limit<MAX> {
    const KIND: &'static Kind = &Kind::Integer { min: 1, max: MAX as i64 };

    fn read(value: Json<'_>, path: &Path<'_>) -> Result<Self> {
        let limit = integer(value).and_then(|number| u32::try_from(number).ok());
        let limit = limit.filter(|limit| (1..=MAX).contains(limit));
        limit.map(Self).ok_or_else(|| path.invalid(value, Self::KIND))
    }
}

/// A number, NaN and the infinities included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::mlflow) struct Number(pub(in crate::mlflow) f64);

impl Field for Number {
    const KIND: &'static Kind = &Kind::Number;

    fn read(value: Json<'_>, path: &Path<'_>) -> Result<Self> {
        let number = match value.text().as_deref() {
            Some("Infinity") => Some(f64::INFINITY),
            Some("-Infinity") => Some(f64::NEG_INFINITY),
            Some(text) => text.parse().ok(),
            None => value.number().and_then(|number| number.as_f64()),
        };
        number.map(Self).ok_or_else(|| path.invalid(value, Self::KIND))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_nan() => serializer.serialize_str("NaN"),
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            number => serializer.serialize_f64(number),
        }
    }
}

impl Field for bool {
    const KIND: &'static Kind = &Kind::Boolean;

    fn read(value: Json<'_>, path: &Path<'_>) -> Result<Self> {
        let read = match value.text() {
            Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Some(_) => None,
            None => value.boolean(),
        };
        read.ok_or_else(|| path.invalid(value, Self::KIND))
    }
}

impl<T: Field> Field for Option<T> {
    const KIND: &'static Kind = T::KIND;
    const IS_REQUIRED: bool = false;

    fn read(value: Json<'_>, path: &Path<'_>) -> Result<Self> {
        T::read(value, path).map(Some)
    }

    fn absent(_: &Path<'_>) -> Result<Self> {
        Ok(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Field> Field for Vec<T> {
    const KIND: &'static Kind = &Kind::List(T::KIND);
    const IS_REQUIRED: bool = false;

    fn read(value: Json<'_>, path: &Path<'_>) -> Result<Self> {
        if !value.is_list() {
            let is_item = value.text().is_some() && !matches!(T::KIND, Kind::Message(_));
            return if is_item { Ok(vec![T::read(value, path)?]) } else { Err(path.invalid(value, Self::KIND)) };
        }
        let mut items = Self::new();
        value.items(|item| {
            if items.len() == LIST_ITEMS_MAX {
                let message = format!("parameter '{path}' has more than {LIST_ITEMS_MAX} items");
                return Err(Error::new(ErrorCode::TooLarge, message).with_hint("send less at once"));
            }
            items.push(T::read(item, &Path::Item(path, items.len()))?);
            Ok(())
        })?;
        Ok(items)
    }

    fn absent(_: &Path<'_>) -> Result<Self> {
        Ok(Self::new())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Field for RunId {
    const KIND: &'static Kind = &Kind::Text;

    fn read(value: Json<'_>, path: &Path<'_>) -> Result<Self> {
        let text = String::read(value, path)?;
        // No run has any other id.
        text.parse().map_err(|_| Error::not_found("run", text.escape_debug()))
    }
}

impl Field for ExperimentId {
    const KIND: &'static Kind = &Kind::Text;

    fn read(value: Json<'_>, path: &Path<'_>) -> Result<Self> {
        String::read(value, path)?.parse()
    }
}

/// Declares the names of an enumeration with their numbers in MLflow's definition.
macro_rules! names {
    ($type:ident { $($name:literal = $number:literal => $value:ident),* $(,)? }) => {
        impl $crate::mlflow::message::Field for $type {
            const KIND: &'static $crate::mlflow::message::Kind =
                &$crate::mlflow::message::Kind::Name(&[$($name),*]);

            fn read(
                value: $crate::mlflow::message::Json<'_>,
                path: &$crate::mlflow::message::Path<'_>,
            ) -> perennial_core::Result<Self> {
                let text = value.text();
                let number = match &text {
                    Some(text) => text.parse().ok(),
                    None => value.number().and_then(|number| number.as_u64()),
                };
                match (text.as_deref(), number) {
                    $((Some($name), _) | (_, Some($number)) => Ok(Self::$value),)*
                    _ => Err(path.invalid(value, Self::KIND)),
                }
            }
        }
    };
}

pub(in crate::mlflow) use names;
