//! The JSON schema of the project file.

use std::path::Path;

use perennial_config::json_schema;
use serde_json::Value;

use crate::suite::{Edit, FLIGHTS, FLIGHTS_PYTHON, edited};

/// `cargo xtask schema` runs this test with `PERENNIAL_WRITE_SCHEMA`, which writes the file.
#[test]
fn the_schema_in_the_repository_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/perennial.schema.json");
    if std::env::var_os("PERENNIAL_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, perennial_config::json_schema_text()).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let current = perennial_config::json_schema_text();
    assert!(stored == current, "{} is stale: run `cargo xtask schema`", path.display());
}

#[test]
fn every_key_of_the_schema_has_a_description() {
    fn undescribed(value: &Value, at: &str, found: &mut Vec<String>) {
        let Some(object) = value.as_object() else {
            return;
        };
        for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if property.get("description").is_none() {
                found.push(format!("{at}.{name}"));
            }
        }
        for (key, inner) in object {
            undescribed(inner, &format!("{at}/{key}"), found);
        }
    }
    let mut found = Vec::new();
    undescribed(&json_schema(), "", &mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_schema_refuses_unknown_keys() {
    let schema = json_schema();
    assert_eq!(schema["additionalProperties"], false);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        if definition.get("properties").is_some() {
            assert_eq!(definition["additionalProperties"], false, "{name}");
        }
    }
}

#[test]
fn the_schema_has_no_null() {
    assert!(!json_schema().to_string().contains("\"null\""));
}

/// Whether a value matches a schema, by the keywords that our schema uses.
fn matches(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(schema) = schema.as_object() else {
        return schema != &Value::Bool(false);
    };
    schema.iter().all(|(keyword, expected)| match keyword.as_str() {
        "$ref" => matches(root, &root["$defs"][expected.as_str().unwrap().trim_start_matches("#/$defs/")], value),
        "anyOf" | "oneOf" => expected.as_array().unwrap().iter().any(|choice| matches(root, choice, value)),
        "enum" => expected.as_array().unwrap().contains(value),
        "const" => expected == value,
        "type" => match expected.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            "number" => value.is_number(),
            other => panic!("{other}"),
        },
        "required" => expected.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
        "items" => value.as_array().is_none_or(|values| values.iter().all(|value| matches(root, expected, value))),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            let declared = schema.get("properties");
            let others =
                object.iter().filter(|(key, _)| declared.is_none_or(|declared| declared.get(key.as_str()).is_none()));
            others.into_iter().all(|(_, value)| matches(root, expected, value))
        }),
        "properties" => expected
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, property)| value.get(key).is_none_or(|value| matches(root, property, value))),
        _ => true,
    })
}

#[test]
fn the_examples_match_the_schema_and_misspelt_ones_do_not() {
    let schema = json_schema();
    for text in [FLIGHTS, FLIGHTS_PYTHON, perennial_config::template()] {
        let file: Value = toml::from_str(text).unwrap();
        assert!(matches(&schema, &schema, &file));
    }
    for edit in [
        Edit::Rename("endpoints.delay.canary.share", "sahre"),
        Edit::Rename("task.label_delay", "within"),
        Edit::Set("task.kind", "'binari'"),
        Edit::Set("task.key", "7"),
        Edit::Remove("triggers.renew.run"),
    ] {
        let text = edited(FLIGHTS, &[edit]);
        let file: Value = toml::from_str(&text).unwrap();
        assert!(!matches(&schema, &schema, &file), "{text}");
    }
}

#[test]
fn the_enums_of_the_schema_are_those_of_the_types() {
    fn words(value: &Value) -> Vec<String> {
        value["enum"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }
    fn read<T: serde::de::DeserializeOwned>(words: Vec<String>) {
        for word in words {
            assert!(serde_json::from_value::<T>(Value::from(word.as_str())).is_ok(), "{word}");
        }
    }
    let definitions = &json_schema()["$defs"];
    let of = |name: &str, key: &str| definitions[name]["properties"][key].clone();
    read::<perennial_core::task::TaskKind>(words(&of("Task", "kind")));
    read::<perennial_core::port::data::Mode>(words(&of("Dataset", "mode")));
    read::<perennial_core::port::data::Format>(words(&of("Source", "format")));
    read::<perennial_core::port::data::Severity>(words(&of("CheckTable", "severity")));
    read::<perennial_core::port::prediction::Durability>(words(&of("EndpointTable", "log")));
    read::<perennial_core::permission::Role>(words(&of("Release", "approve")["items"]));
}
