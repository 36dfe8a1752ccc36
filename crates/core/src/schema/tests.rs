use proptest::prelude::*;

use super::*;

fn class() -> impl Strategy<Value = TypeClass> {
    let scalar = prop::sample::select(vec![TypeClass::Bool, TypeClass::Int, TypeClass::Text, TypeClass::Timestamp]);
    scalar.prop_recursive(40, 60, 3, |inner| {
        let field = ("[a-c\"é]{0,2}", inner.clone()).prop_map(|(name, class)| Field { name, class, nullable: true });
        prop_oneof![
            inner.prop_map(|class| TypeClass::List(Box::new(class))),
            prop::collection::vec(field, 1..3).prop_map(TypeClass::Struct),
        ]
    })
}

fn of(class: TypeClass) -> Schema {
    Schema { fields: vec![Field { name: "c".into(), class, nullable: true }] }
}

fn nested(depth: usize, level: impl Fn(TypeClass) -> TypeClass) -> Schema {
    of((0..depth).fold(TypeClass::Int, |class, _| level(class)))
}

fn one_field(class: TypeClass) -> TypeClass {
    TypeClass::Struct(vec![Field { name: "f".into(), class, nullable: true }])
}

/// A schema is stored inside of other records: a staged load has it at the third level.
fn stored(schema: &Schema) -> String {
    serde_json::json!({ "staged": { "schema": { "of": schema } } }).to_string()
}

#[test]
fn a_schema_at_its_limits_is_read_back() {
    let wide = Schema {
        fields: (0..FIELDS_MAX)
            .map(|at| Field { name: format!("c{at}"), class: TypeClass::Int, nullable: true })
            .collect(),
    };
    for schema in [nested(DEPTH_MAX, one_field), nested(DEPTH_MAX, |class| TypeClass::List(Box::new(class))), wide] {
        assert_eq!(schema.validate_size(), Ok(()));
        let read: serde_json::Value = serde_json::from_str(&stored(&schema)).unwrap();
        let read: Schema = serde_json::from_value(read["staged"]["schema"]["of"].clone()).unwrap();
        assert!(read == schema);
    }
}

#[test]
fn a_deeper_or_wider_schema_is_refused() {
    let deep = Err(SchemaTooLarge::Deep("c".into()));
    assert_eq!(nested(DEPTH_MAX + 1, one_field).validate_size(), deep);
    assert_eq!(nested(DEPTH_MAX + 1, |class| TypeClass::List(Box::new(class))).validate_size(), deep);
    let field = Field { name: "f".into(), class: TypeClass::Int, nullable: true };
    let wide = of(TypeClass::List(Box::new(TypeClass::Struct(vec![field; FIELDS_MAX]))));
    assert_eq!(wide.validate_size(), Err(SchemaTooLarge::Wide(FIELDS_MAX + 1)));
}

proptest! {
    #[test]
    fn an_accepted_schema_is_read_back(class in class()) {
        let schema = of(class);
        if schema.validate_size().is_ok() {
            let read: serde_json::Value = serde_json::from_str(&stored(&schema)).expect("JSON");
            let read: Schema = serde_json::from_value(read["staged"]["schema"]["of"].clone()).expect("a schema");
            prop_assert_eq!(read, schema);
        }
    }
}
