//! The JSON schema of the project file, from the types that parse it.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::file::ProjectFile;

/// The project file's JSON Schema (draft 2020-12); `docs/schema/perennial.schema.json` has a copy.
pub fn json_schema() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<ProjectFile>();
    let mut schema = schema.to_value();
    remove_null(&mut schema);
    // Readers expect these keys first.
    let mut ordered = Map::new();
    if let Value::Object(schema) = &mut schema {
        for key in ["$schema", "title", "description"] {
            ordered.extend(schema.remove_entry(key));
        }
        ordered.append(schema);
    }
    Value::Object(ordered)
}

/// Removes `null` from types, choices and defaults: TOML has no null, an optional key is absent instead.
fn remove_null(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = choices.as_mut_slice() {
                    let only = std::mem::take(only);
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            object.values_mut().for_each(remove_null);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// [`json_schema()`] as the text of that file; `cargo xtask schema` writes it.
pub fn json_schema_text() -> String {
    format!("{:#}\n", json_schema())
}
