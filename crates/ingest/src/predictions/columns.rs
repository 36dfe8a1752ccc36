//! Columns of a dataset of predictions: where values of each type go, and how they are found again.
//!
//! One input may be numbers in one version of a model and text in another, and no dataset has a column
//! of two types. Values whose name a column of another type has go to one beside it, named by
//! their type; whoever looks for a logged value looks in both.

use perennial_core::port::data::ValueColumn;
use perennial_core::schema::{Schema, TypeClass};

/// Gives each column the name under which the dataset has values of its type, or will have. Upper and lower
/// case count as one.
pub(super) fn settle(columns: &mut [ValueColumn], known: Option<&Schema>) {
    let mut taken: Vec<(String, TypeClass)> =
        known.iter().flat_map(|schema| &schema.fields).map(|field| (field.name.clone(), field.class.clone())).collect();
    for column in columns {
        let class = column.values.class();
        let names = [column.name.clone(), beside(&column.name, &class)];
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
        || [TypeClass::Float, TypeClass::Text].iter().any(|class| is_same(column, &beside(name, class)))
}

/// SQL for the values that were logged as `name`, read as `class`: null where one does not read so. `None`
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

/// SQL for a value of one class read as another; null when it says none of it.
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
        TypeClass::Date => format!("try_cast({value} AS DATE)"),
        TypeClass::Timestamp => format!("arrow_try_cast({value}, 'Timestamp(Microsecond, Some(\"UTC\"))')"),
        _ => format!("CAST({value} AS VARCHAR)"),
    }
}

/// The class in which a key is compared that the data has in class `own`.
pub fn key_class(own: &TypeClass) -> TypeClass {
    match own {
        TypeClass::Bytes | TypeClass::Time | TypeClass::List(_) | TypeClass::Struct(_) => TypeClass::Text,
        said => said.clone(),
    }
}

/// A name as SQL takes it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn beside(name: &str, class: &TypeClass) -> String {
    format!("{name}_as_{class}")
}

fn is_same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests;
