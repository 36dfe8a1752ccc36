//! Infers the type of a column of JSON from its values, one at a time.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};
use perennial_core::schema;
use serde_json::Number;

use super::super::infer::InferredType;
use super::column::unquoted;
use super::lines::{for_each_element, for_each_member};
use crate::types::list;

/// The depth of lists and objects in a column.
pub(super) const DEPTH_MAX: usize = schema::DEPTH_MAX;

/// The narrowest type of the values that were observed.
#[derive(Default)]
pub(super) enum Shape {
    /// Only nulls.
    #[default]
    Unknown,
    Scalar(InferredType),
    List(Box<Shape>),
    /// Members by order of first appearance.
    Object(Object),
}

/// The members of objects.
#[derive(Default)]
pub(super) struct Object {
    positions: HashMap<String, usize>,
    members: Vec<(String, Shape)>,
}

/// How much of a column may be new in one line.
pub(super) struct Budget {
    /// Values.
    pub(super) values: usize,
    /// Members of objects that were not observed before.
    pub(super) fields: usize,
}

/// Why a value cannot be in the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A number beyond a double, or half of a surrogate pair.
    Invalid,
    /// Another kind of value than before: (before, now).
    Mixed(&'static str, &'static str),
    /// More than [`DEPTH_MAX`] deep.
    Deep,
    /// More values than a line may have.
    Values,
    /// More members of objects than a dataset may have columns.
    Fields,
}

impl Shape {
    /// Observes a value, given as JSON text.
    pub(super) fn observe(&mut self, value: &str, budget: &mut Budget) -> Result<(), Unfit> {
        self.observe_at(0, value, budget)
    }

    fn observe_at(&mut self, depth: usize, value: &str, budget: &mut Budget) -> Result<(), Unfit> {
        budget.values = budget.values.checked_sub(1).ok_or(Unfit::Values)?;
        let first = value.as_bytes().first();
        if first == Some(&b'n') {
            return Ok(());
        }
        if matches!(first, Some(b'[' | b'{')) && depth == DEPTH_MAX {
            return Err(Unfit::Deep);
        }
        match (first, &mut *self) {
            (Some(b'['), Self::List(element)) => {
                let mut unfit = None;
                let read = for_each_element(value, |value| {
                    let observed = element.observe_at(depth + 1, value, budget);
                    observed.map_err(|cause| unfit = Some(cause)).ok()
                });
                read.ok_or(unfit.unwrap_or(Unfit::Invalid))
            }
            (Some(b'{'), Self::Object(object)) => object.observe(depth, value, budget),
            (Some(b'[' | b'{') | None, Self::Scalar(_)) => Err(self.mixed(value)),
            (Some(b'['), Self::Unknown) => {
                *self = Self::List(Box::default());
                self.observe_again(depth, value, budget)
            }
            (Some(b'{'), Self::Unknown) => {
                *self = Self::Object(Object::default());
                self.observe_again(depth, value, budget)
            }
            (_, Self::List(_) | Self::Object(_)) => Err(self.mixed(value)),
            (_, Self::Unknown) => {
                *self = Self::Scalar(scalar(value, depth, InferredType::Unknown)?);
                Ok(())
            }
            (_, Self::Scalar(known)) => {
                *known = known.join(scalar(value, depth, *known)?);
                Ok(())
            }
        }
    }

    /// Observes the value that decided the kind of the shape.
    fn observe_again(&mut self, depth: usize, value: &str, budget: &mut Budget) -> Result<(), Unfit> {
        budget.values += 1;
        self.observe_at(depth, value, budget)
    }

    fn mixed(&self, value: &str) -> Unfit {
        let before = match self {
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Unknown | Self::Scalar(_) => "a scalar",
        };
        let now = match value.as_bytes().first() {
            Some(b'[') => "a list",
            Some(b'{') => "an object",
            _ => "a scalar",
        };
        Unfit::Mixed(before, now)
    }

    /// The type; `None` when all values are null.
    pub(super) fn kind(&self) -> Option<DataType> {
        // Inside a list or an object there is no later file that decides the type of nulls.
        let nested = |shape: &Self| shape.kind().unwrap_or(DataType::Utf8);
        match self {
            Self::Unknown => None,
            Self::Scalar(kind) => kind.kind(),
            Self::List(element) => Some(list(nested(element))),
            Self::Object(object) => {
                let members = object.members.iter();
                Some(DataType::Struct(members.map(|(name, shape)| Field::new(name, nested(shape), true)).collect()))
            }
        }
    }

    /// Whether it has objects, all without members, for which there is no type.
    pub(super) fn has_empty_object(&self) -> bool {
        match self {
            Self::Unknown | Self::Scalar(_) => false,
            Self::List(element) => element.has_empty_object(),
            Self::Object(object) => {
                object.members.is_empty() || object.members.iter().any(|(_, shape)| shape.has_empty_object())
            }
        }
    }

    /// Whether any of it is text only because no number type holds its numbers.
    pub(super) fn is_number_as_text(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Scalar(kind) => kind.is_number_as_text(),
            Self::List(element) => element.is_number_as_text(),
            Self::Object(object) => object.members.iter().any(|(_, shape)| shape.is_number_as_text()),
        }
    }
}

impl Object {
    fn observe(&mut self, depth: usize, value: &str, budget: &mut Budget) -> Result<(), Unfit> {
        // Of repeated members the last counts.
        let mut values: Vec<(usize, &str)> = Vec::new();
        let mut last: HashMap<usize, usize> = HashMap::new();
        let mut unfit = None;
        let read = for_each_member(value, |name, value| {
            let position = match self.position(&name, budget) {
                Ok(position) => position,
                Err(cause) => {
                    unfit = Some(cause);
                    return None;
                }
            };
            match last.get(&position) {
                Some(at) => values[*at].1 = value,
                None => {
                    last.insert(position, values.len());
                    values.push((position, value));
                }
            }
            Some(())
        });
        read.ok_or(unfit.unwrap_or(Unfit::Invalid))?;
        values.into_iter().try_for_each(|(at, value)| self.members[at].1.observe_at(depth + 1, value, budget))
    }

    /// The position of a member, which is added at its first appearance.
    fn position(&mut self, name: &str, budget: &mut Budget) -> Result<usize, Unfit> {
        if let Some(position) = self.positions.get(name) {
            return Ok(*position);
        }
        budget.fields = budget.fields.checked_sub(1).ok_or(Unfit::Fields)?;
        self.positions.insert(name.to_owned(), self.members.len());
        self.members.push((name.to_owned(), Shape::default()));
        Ok(self.members.len() - 1)
    }
}

/// The type of a scalar, given as JSON text. A string of digits is text; only dates and timestamps have no other form in
/// JSON, and they are found outside of lists and objects alone.
fn scalar(value: &str, depth: usize, known: InferredType) -> Result<InferredType, Unfit> {
    match value.as_bytes() {
        [b't' | b'f', ..] => Ok(InferredType::Bool),
        [b'"', ..] => {
            let text = unquoted(value).ok_or(Unfit::Invalid)?;
            // A column of text stays one whatever its values are.
            if depth > 0 || known == InferredType::Text {
                return Ok(InferredType::Text);
            }
            Ok(match InferredType::of(&text) {
                kind @ (InferredType::Date | InferredType::Timestamp) => kind,
                _ => InferredType::Text,
            })
        }
        _ if !value.contains(['.', 'e', 'E']) => Ok(InferredType::of_integer(value)),
        _ => serde_json::from_str::<Number>(value).map(|_| InferredType::Float).map_err(|_| Unfit::Invalid),
    }
}
