//! The JSON schemas of values of the project file that are written as text.

use perennial_core::permission::Role;
use schemars::{Schema, SchemaGenerator, json_schema};

pub(crate) fn name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}$" })
}

pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "examples": ["1 month", "45 days", "90 s"] })
}

pub(crate) fn settle(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "examples": ["2 s", "0 s", "1 min"] })
}

pub(crate) fn window_length(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "examples": ["1 month", "1 week", "6 hours"] })
}

pub(crate) fn size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? *([kKmMgGtT][iI]?)?[bB]$", "examples": ["512 MB", "64 KiB"] })
}

pub(crate) fn task_kind(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["binary", "multiclass", "regression"] })
}

pub(crate) fn mode(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["append", "merge", "replace"] })
}

pub(crate) fn format(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["csv", "json_lines", "parquet"] })
}

pub(crate) fn severity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["error", "warn"] })
}

pub(crate) fn durability(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["logged", "recorded"] })
}

pub(crate) fn roles(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "enum": Role::ALL.map(Role::as_str) } })
}
