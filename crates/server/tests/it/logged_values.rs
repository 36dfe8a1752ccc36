//! Logged values of keys in the SQL of the query engine: each is the value that it stands for in the data.

use perennial_core::frame::TextColumn;
use perennial_core::id::LoadId;
use perennial_core::port::data::{
    CommitRequest, DataEngine, Mode, NamedTable, QueryRequest, ScanPlan, StageInput, StageRequest, TableRef,
    ValueColumn, Values,
};
use perennial_core::schema::Schema;
use perennial_data::Engine;
use perennial_ingest::predictions::{key_class, logged, quoted, read_as};

use crate::file_source::engine_in;

/// A column of each class, a value of it in SQL, and the same value as a request has it: as text, and as a number.
const VALUES: [(&str, &str, &str, Option<f64>); 11] = [
    ("bool", "true", "true", Some(1.0)),
    ("int", "9007199254740993", "9007199254740993", None),
    ("float", "CAST('0.5' AS DOUBLE)", "0.5", Some(0.5)),
    ("decimal", "CAST('12.50' AS DECIMAL(10, 2))", "12.5", Some(12.5)),
    ("text", "'a'", "a", None),
    ("bytes", "CAST('a' AS BYTEA)", "a", None),
    ("date", "CAST('2013-01-31' AS DATE)", "2013-01-31", Some(1_359_590_400.0)),
    ("time", "CAST('17:00:00' AS TIME)", "17:00:00", None),
    ("timestamp", "CAST('2013-01-31T17:00:00.25Z' AS TIMESTAMP)", "2013-01-31T17:00:00.25Z", Some(1_359_651_600.25)),
    ("list", "make_array(1, 2)", "", None),
    ("struct", "named_struct('a', 1)", "", None),
];

/// Loads rows as the first version of a table.
async fn load(engine: &Engine, name: &str, input: StageInput) -> (NamedTable, Schema) {
    let load = LoadId::generate();
    let request = StageRequest {
        load,
        dataset: name.parse().unwrap(),
        base: None,
        input,
        mode: Mode::Append,
        key: Vec::new(),
        schema: None,
        optional: Vec::new(),
        evolve: false,
        replaces: None,
        plan: ScanPlan::default(),
    };
    let schema = engine.stage(request).await.unwrap().schema;
    let commit = CommitRequest { load, table: name.to_owned(), number: 1, previous: 0, all: false };
    let delta_version = engine.commit(commit).await.unwrap().delta_version;
    (NamedTable { name: name.to_owned(), table: TableRef { path: name.to_owned(), delta_version } }, schema)
}

#[tokio::test]
async fn a_logged_key_of_each_class_is_the_value_in_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_in(folder.path());
    let select: Vec<String> = VALUES.iter().map(|(name, value, ..)| format!("{value} AS \"{name}\"")).collect();
    let sql = format!("SELECT {}", select.join(", "));
    let (data, schema) = load(&engine, "data", StageInput::Sql { sql, tables: Vec::new() }).await;
    let texts = VALUES.iter().map(|(name, _, text, _)| ValueColumn {
        name: format!("in_{name}"),
        values: Values::Text(TextColumn::encode([Some(*text), None])),
    });
    let numbers = VALUES.iter().map(|(name, _, _, number)| ValueColumn {
        name: format!("in_{name}_as_float"),
        values: Values::Float(vec![f64::NAN, number.unwrap_or(f64::NAN)]),
    });
    let (logs, log_schema) = load(&engine, "logs", StageInput::Columns(texts.chain(numbers).collect())).await;
    for (name, _, _, number) in VALUES {
        let own = &schema.field(name).unwrap().class;
        // A time of day is stored as text.
        let expected = if name == "time" { "text" } else { name };
        assert_eq!(own.to_string().split('<').next(), Some(expected), "each class is tested");
        let Some(class) = key_class(own) else {
            assert!(name == "list" || name == "struct");
            continue;
        };
        let key = logged(&log_schema, &format!("in_{name}"), &class).unwrap();
        let value = read_as(&format!("d.{}", quoted(name)), own, &class);
        let sql = format!("SELECT count(*) FROM (SELECT {key} AS key FROM logs) p JOIN data d ON p.key = {value}");
        let tables = vec![data.clone(), logs.clone()];
        let page = engine.query(QueryRequest { sql, tables, limit: 1 }).await.unwrap();
        assert_eq!(page.rows[0][0].as_u64(), Some(if number.is_some() { 2 } else { 1 }), "{name}");
    }
}
