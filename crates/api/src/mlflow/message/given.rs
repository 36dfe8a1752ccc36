//! The fields that a JSON object gives to a message.

use std::borrow::Cow;

use perennial_core::Result;

use super::{Field, FieldSpec, Json, Message, Path, refused};

/// The values of a message's fields, taken one by one in the order of declaration.
pub(in crate::mlflow) struct Given<'a> {
    path: &'a Path<'a>,
    fields: std::vec::IntoIter<GivenField<'a>>,
}

/// What an object has for one field.
struct GivenField<'a> {
    spec: &'static FieldSpec,
    value: Option<Entry<'a>>,
    former_value: Option<Entry<'a>>,
}

/// The entry of an object that is assigned to a field.
struct Entry<'a> {
    name: Cow<'a, str>,
    value: Json<'a>,
}

impl<'a> Given<'a> {
    /// Assigns the entries of an object to the fields of `M`; other entries are dropped.
    pub(in crate::mlflow) fn new<M: Message>(object: Json<'a>, path: &'a Path<'a>) -> Result<Self> {
        if !object.is_object() {
            return Err(path.invalid(object, M::KIND));
        }
        let mut fields: Vec<GivenField> =
            M::FIELDS.iter().map(|spec| GivenField { spec, value: None, former_value: None }).collect();
        object.entries(|name, value| {
            if value.is_null() {
                return Ok(());
            }
            let Some(place) = fields.iter_mut().find_map(|field| field.place(&name)) else { return Ok(()) };
            if place.as_ref().is_some_and(|entry| entry.name != name) {
                return Err(refused(format!("field `{}` is given in two spellings", name.escape_debug())));
            }
            // Of entries with the same name, the last counts.
            *place = Some(Entry { name, value });
            Ok(())
        })?;
        Ok(Self { path, fields: fields.into_iter() })
    }

    /// The value of the next field.
    pub(in crate::mlflow) fn next<T: Field>(&mut self) -> Result<T> {
        let Some(GivenField { spec, value, former_value }) = self.fields.next() else {
            debug_assert!(false, "a message has as many fields as specifications");
            return T::absent(self.path);
        };
        let is_empty = |value: &Json<'_>| value.as_str() == "\"\"";
        let (value, former_value) = (value.map(|entry| entry.value), former_value.map(|entry| entry.value));
        let (name, value) = match (value, former_value, spec.former_name) {
            (Some(value), Some(former), Some(name)) if is_empty(&value) => (name, Some(former)),
            (None, Some(former), Some(name)) => (name, Some(former)),
            (value, ..) => (spec.name, value),
        };
        match value {
            Some(value) if !(T::IS_REQUIRED && is_empty(&value)) => T::read(value, &Path::Field(self.path, name)),
            _ => T::absent(&Path::Field(self.path, spec.name)),
        }
    }

    /// Ends the reading of a message.
    pub(in crate::mlflow) fn end(&mut self) {
        debug_assert_eq!(self.fields.len(), 0, "every field of a message is read");
    }
}

impl<'a> GivenField<'a> {
    /// Where the value of `key` belongs, if it names this field.
    fn place(&mut self, key: &str) -> Option<&mut Option<Entry<'a>>> {
        if is_spelling(key, self.spec.name) {
            return Some(&mut self.value);
        }
        let former = self.spec.former_name.is_some_and(|former| is_spelling(key, former));
        former.then_some(&mut self.former_value)
    }
}

/// Whether `key` is `name` in snake_case or in camelCase.
fn is_spelling(key: &str, name: &str) -> bool {
    if key == name {
        return true;
    }
    let mut key = key.bytes();
    let mut upper_case = false;
    for letter in name.bytes() {
        if letter == b'_' {
            upper_case = true;
            continue;
        }
        let expected = if upper_case { letter.to_ascii_uppercase() } else { letter };
        upper_case = false;
        if key.next() != Some(expected) {
            return false;
        }
    }
    key.next().is_none()
}
