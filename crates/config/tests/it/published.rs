//! What is published of the file's types.

use std::path::Path;

use perennial_config::json_schema;
use serde_json::Value;

use crate::suite::{FLIGHTS, FLIGHTS_PYTHON, edit};

/// `cargo xtask schema` runs this with `PERENNIAL_WRITE_SCHEMA`, which writes the file anew.
#[test]
fn the_schema_in_the_repository_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/perennial.schema.json");
    if std::env::var_os("PERENNIAL_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, perennial_config::json_schema_text()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let now = perennial_config::json_schema_text();
    assert!(kept == now, "{} is stale: run `cargo xtask schema`", path.display());
}

#[test]
fn every_key_of_the_schema_is_described() {
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
fn unknown_keys_are_refused_by_the_schema_too() {
    let schema = json_schema();
    assert_eq!(schema["additionalProperties"], false);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        if definition.get("properties").is_some() {
            assert_eq!(definition["additionalProperties"], false, "{name}");
        }
    }
}

#[test]
fn the_schema_knows_no_null() {
    assert!(!json_schema().to_string().contains("\"null\""));
}

/// Whether a value fits a schema, by the keywords that ours uses.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(schema) = schema.as_object() else {
        return schema != &Value::Bool(false);
    };
    schema.iter().all(|(keyword, said)| match keyword.as_str() {
        "$ref" => fits(root, &root["$defs"][said.as_str().unwrap().trim_start_matches("#/$defs/")], value),
        "anyOf" | "oneOf" => said.as_array().unwrap().iter().any(|choice| fits(root, choice, value)),
        "enum" => said.as_array().unwrap().contains(value),
        "const" => said == value,
        "type" => match said.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            "number" => value.is_number(),
            other => panic!("{other}"),
        },
        "required" => said.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
        "items" => value.as_array().is_none_or(|values| values.iter().all(|value| fits(root, said, value))),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            let declared = schema.get("properties");
            let others =
                object.iter().filter(|(key, _)| declared.is_none_or(|declared| declared.get(key.as_str()).is_none()));
            others.into_iter().all(|(_, value)| fits(root, said, value))
        }),
        "properties" => said
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, property)| value.get(key).is_none_or(|value| fits(root, property, value))),
        _ => true,
    })
}

#[test]
fn the_examples_fit_the_schema_and_a_misspelt_one_does_not() {
    let schema = json_schema();
    for text in [FLIGHTS, FLIGHTS_PYTHON, perennial_config::template()] {
        let file: Value = toml::from_str(text).unwrap();
        assert!(fits(&schema, &schema, &file));
    }
    for (old, new) in [
        ("share = 0.1", "sahre = 0.1"),
        ("kind   = \"binary\"", "kind   = \"binari\""),
        ("key    = [\"flight_id\"]", "key    = 7"),
        ("run = \"release\"", ""),
    ] {
        let file: Value = toml::from_str(&edit(FLIGHTS, old, new)).unwrap();
        assert!(!fits(&schema, &schema, &file), "{new}");
    }
}

#[test]
fn the_words_of_the_schema_are_those_that_are_read() {
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
