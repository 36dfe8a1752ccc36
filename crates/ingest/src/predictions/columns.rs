//! Columns of a dataset of predictions: the column for the values of each type, and SQL that reads them.
//!
//! An input may be a number in one version of a model and text in another, but a column has one type. Values whose
//! column has another type go to a second column named by their type, such as `in_x_as_text`; a reader of logged
//! values reads both.

use perennial_core::port::data::ValueColumn;
use perennial_core::schema::{Schema, TypeClass};

/// Renames each column to the dataset's column for its name and type; names are compared without case.
pub(super) fn assign_names(columns: &mut [ValueColumn], known: Option<&Schema>) {
    let mut taken: Vec<(String, TypeClass)> =
        known.iter().flat_map(|schema| &schema.fields).map(|field| (field.name.clone(), field.class.clone())).collect();
    for column in columns {
        let class = column.values.class();
        let names = [column.name.clone(), typed_name(&column.name, &class)];
        let found = names.into_iter().find_map(|name| match taken.iter().find(|(known, _)| is_same(known, &name)) {
            None => Some(name),
            Some((known, of)) => (*of == class).then(|| known.clone()),
        });
        if let Some(name) = found {
            taken.push((name.clone(), class));
            column.name = name;
        }
    }
}

/// Whether a column of the dataset has values that were logged as `name`.
pub fn holds(column: &str, name: &str) -> bool {
    is_same(column, name)
        || [TypeClass::Float, TypeClass::Text].iter().any(|class| is_same(column, &typed_name(name, class)))
}

/// SQL for the values that were logged as `name`, converted to `class`: null where a value cannot be converted. `None`
/// when the dataset has no column of them.
pub fn logged(schema: &Schema, name: &str, class: &TypeClass) -> Option<String> {
    let found = schema.fields.iter().filter(|field| holds(&field.name, name));
    let values: Vec<String> = found.map(|field| read_as(&quoted(&field.name), &field.class, class)).collect();
    match values.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("coalesce({})", several.join(", "))),
    }
}

/// SQL that converts a value from one class to another; null when it cannot be converted. A number that becomes a time is
/// epoch seconds; a text without a zone is UTC.
pub fn read_as(value: &str, from: &TypeClass, to: &TypeClass) -> String {
    match to {
        _ if from == to => value.to_owned(),
        TypeClass::Int if *from == TypeClass::Float => {
            format!("try_cast(CASE WHEN {value} = floor({value}) THEN {value} END AS BIGINT)")
        }
        TypeClass::Int => format!("try_cast({value} AS BIGINT)"),
        TypeClass::Float => format!("try_cast({value} AS DOUBLE)"),
        TypeClass::Decimal => format!("try_cast({value} AS DECIMAL(38, 10))"),
        TypeClass::Bool => format!("try_cast({value} AS BOOLEAN)"),
        TypeClass::Date if is_number(from) => format!("CAST({} AS DATE)", instant(value)),
        TypeClass::Date => format!("try_cast({value} AS DATE)"),
        TypeClass::Timestamp if is_number(from) => instant(value),
        TypeClass::Timestamp => format!("try_cast({value} AS TIMESTAMP(6))"),
        _ => format!("CAST({value} AS VARCHAR)"),
    }
}

fn is_number(class: &TypeClass) -> bool {
    matches!(class, TypeClass::Int | TypeClass::Float | TypeClass::Decimal)
}

/// SQL for the instant of epoch seconds.
fn instant(seconds: &str) -> String {
    format!("to_timestamp_micros(try_cast(round({seconds} * 1e6) AS BIGINT))")
}

/// The class in which a key of class `own` is compared; `None` for lists and structs, which no request has as a key.
pub fn key_class(own: &TypeClass) -> Option<TypeClass> {
    match own {
        TypeClass::List(_) | TypeClass::Struct(_) => None,
        TypeClass::Bytes | TypeClass::Time => Some(TypeClass::Text),
        class => Some(class.clone()),
    }
}

/// A name quoted for SQL.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The second column for values of `class`.
fn typed_name(name: &str, class: &TypeClass) -> String {
    format!("{name}_as_{class}")
}

fn is_same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests;
