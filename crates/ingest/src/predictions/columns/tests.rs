use perennial_core::frame::TextColumn;
use perennial_core::port::data::{ValueColumn, Values};
use perennial_core::schema::{Field, Schema, TypeClass};

use super::{assign_names, holds, logged};

fn schema(fields: &[(&str, TypeClass)]) -> Schema {
    let field =
        |(name, class): &(&str, TypeClass)| Field { name: (*name).to_owned(), class: class.clone(), nullable: true };
    Schema { fields: fields.iter().map(field).collect() }
}

fn number(name: &str) -> ValueColumn {
    ValueColumn { name: name.to_owned(), values: Values::Float(vec![1.5]) }
}

fn text(name: &str) -> ValueColumn {
    ValueColumn { name: name.to_owned(), values: Values::Text(TextColumn::encode([Some("a")])) }
}

fn assigned(mut columns: Vec<ValueColumn>, known: &[(&str, TypeClass)]) -> Vec<String> {
    assign_names(&mut columns, Some(&schema(known)));
    columns.into_iter().map(|column| column.name).collect()
}

#[test]
fn values_go_to_the_column_of_their_name_and_type() {
    assert_eq!(assigned(vec![number("in_x"), text("in_y")], &[("in_x", TypeClass::Float)]), ["in_x", "in_y"]);
    assert_eq!(assigned(vec![number("in_age")], &[("in_Age", TypeClass::Float)]), ["in_Age"]);
}

#[test]
fn values_of_another_type_go_to_a_second_column_from_then_on() {
    let first = [("in_x", TypeClass::Int)];
    assert_eq!(assigned(vec![number("in_x")], &first), ["in_x_as_float"]);
    let then = [("in_x", TypeClass::Int), ("in_x_as_float", TypeClass::Float)];
    assert_eq!(assigned(vec![number("in_x"), text("in_x")], &then), ["in_x_as_float", "in_x_as_text"]);
}

#[test]
fn one_segment_may_have_an_input_in_both_types() {
    assert_eq!(assigned(vec![number("in_k"), text("in_k")], &[]), ["in_k", "in_k_as_text"]);
    assert_eq!(assigned(vec![text("in_k"), number("in_k")], &[]), ["in_k", "in_k_as_float"]);
}

#[test]
fn logged_values_are_read_from_every_column_of_theirs() {
    for (column, held) in
        [("in_x", true), ("IN_X", true), ("in_x_as_text", true), ("in_xy", false), ("in_x_as_int", false)]
    {
        assert_eq!(holds(column, "in_x"), held, "{column}");
    }
    let known = schema(&[("in_k", TypeClass::Text), ("in_k_as_float", TypeClass::Float), ("in_k2", TypeClass::Int)]);
    let read = |name: &str, class: TypeClass| logged(&known, name, &class);
    assert_eq!(read("in_none", TypeClass::Int), None);
    assert_eq!(read("in_k2", TypeClass::Int).as_deref(), Some("\"in_k2\""));
    let both = read("in_k", TypeClass::Float).unwrap();
    assert_eq!(both, "coalesce(try_cast(\"in_k\" AS DOUBLE), \"in_k_as_float\")");
}
