//! Digests are equal for the same rows in any order, layout or format.

use std::fmt::Write as _;

use perennial_core::digest::TableDigest;
use perennial_core::port::data::{Mode, StageInput, Staged};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value as Json;

use crate::support::{Fixture, IncrementalDigest, StageOptions, repository, run_python};

fn digest(staged: &Staged) -> TableDigest {
    TableDigest::of(&staged.schema, staged.change.added_rows, &staged.change.added)
}

const ROWS: &str = "SELECT CAST(value AS INT) AS n, CAST(value AS FLOAT) / 4 AS x, 't' || value AS t, \
                    value % 2 = 0 AS b, CAST('2013-01-01' AS DATE) AS d, \
                    CASE WHEN value % 3 = 0 THEN NULL ELSE CAST(to_timestamp_micros(value * 1000000) AS TIMESTAMP WITH TIME ZONE) END AS at \
                    FROM generate_series(1, 20000)";

#[tokio::test]
async fn the_digest_does_not_depend_on_order_files_format_and_engine() {
    let fixture = Fixture::new();
    let sql = |sql: String| StageOptions::new(StageInput::Sql { sql, tables: Vec::new() });
    let whole = digest(&fixture.stage(&sql(ROWS.into())).await.unwrap().1);
    let turned = digest(
        &fixture.stage(&sql(format!("SELECT at, d, b, t, x, n FROM ({ROWS}) ORDER BY n DESC"))).await.unwrap().1,
    );
    assert_eq!(turned, whole);
    fixture.write_parquet("a.parquet", &format!("SELECT * FROM ({ROWS}) WHERE n % 7 < 3")).await;
    fixture.write_parquet("b.parquet", &format!("SELECT x, n, t, at, d, b FROM ({ROWS}) WHERE n % 7 >= 3")).await;
    assert_eq!(digest(&fixture.stage(&StageOptions::files(&["a.parquet", "b.parquet"])).await.unwrap().1), whole);
    let rows = perennial_core::port::data::DataEngine::query(
        &fixture.engine,
        perennial_core::port::data::QueryRequest { sql: ROWS.into(), tables: Vec::new(), limit: 20_000 },
    )
    .await
    .unwrap();
    let mut csv = String::from("n,x,t,b,d,at\n");
    for row in &rows.rows {
        let text = |value: &Json| match value {
            Json::Null => String::new(),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        csv.push_str(&row.iter().map(text).collect::<Vec<_>>().join(","));
        csv.push('\n');
    }
    fixture.write("a.csv", csv);
    assert_eq!(digest(&fixture.stage(&StageOptions::files(&["a.csv"])).await.unwrap().1), whole);
}

#[tokio::test]
async fn any_changed_value_changes_the_digest() {
    let fixture = Fixture::new();
    let mut seen = Vec::new();
    for text in [
        "{\"a\": 1, \"b\": \"x\"}",
        "{\"a\": 2, \"b\": \"x\"}",
        "{\"a\": 1, \"b\": \"y\"}",
        "{\"a\": null, \"b\": \"x\"}",
        "{\"a\": 1, \"b\": \"x\"}\n{\"a\": 1, \"b\": \"x\"}",
        "{\"a\": 1.5, \"b\": \"x\"}",
        "{\"c\": 1, \"b\": \"x\"}",
    ] {
        let digest = digest(&fixture.stage(&StageOptions::lines(text)).await.unwrap().1);
        assert!(!seen.contains(&digest), "{text}");
        seen.push(digest);
    }
}

/// One load of a random history: mode, keys with values, and whether an earlier load is replaced.
type Step = (u8, Vec<(u8, Option<i16>)>, Option<prop::sample::Index>);

#[test]
fn the_incremental_digest_equals_that_of_the_table_after_any_history() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let step =
        (0u8..4, prop::collection::vec((0u8..12, any::<Option<i16>>()), 0..12), any::<Option<prop::sample::Index>>());
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) });
    runner
        .run(&prop::collection::vec(step, 1..6), |steps: Vec<Step>| {
            runtime.block_on(play(&steps));
            Ok(())
        })
        .unwrap();
}

async fn play(steps: &[Step]) {
    let fixture = Fixture::new();
    let mut running = IncrementalDigest::default();
    let mut loads = Vec::new();
    for (mode, rows, replaced) in steps {
        let mut text = "k,v\n".to_owned();
        for (k, v) in rows {
            writeln!(text, "{k},{}", v.map_or_else(String::new, |v| v.to_string())).unwrap();
        }
        fixture.write("a.csv", text);
        let mode = [Mode::Append, Mode::Append, Mode::Merge, Mode::Replace][*mode as usize];
        let mut options = StageOptions::files(&["a.csv"]).key(&["k"]).mode(mode);
        options.schema = Some(serde_json::from_value(schema()).unwrap());
        if let Some(replaced) = replaced.filter(|_| !loads.is_empty() && mode != Mode::Replace) {
            options = options.replaces(loads[replaced.index(loads.len())]);
        }
        let (load, staged) = fixture.load(&options).await;
        if mode == Mode::Replace {
            running = IncrementalDigest::default();
            loads.clear();
        }
        loads.push(load);
        running.apply(&staged.change);
        assert_eq!(running.rows, fixture.rows("SELECT count(*) FROM rows").await[0][0].as_u64().unwrap());
        assert_eq!(running.digest(&staged), fixture.full_digest().await, "{steps:?}");
    }
}

fn schema() -> Json {
    let int = |name: &str| serde_json::json!({ "name": name, "class": "int", "nullable": true });
    serde_json::json!({ "fields": [int("k"), int("v")] })
}

#[test]
fn python_computes_the_published_vectors() {
    let docs = repository().join("docs/digest-vectors.json");
    let vectors: Vec<Json> = serde_json::from_slice(&std::fs::read(&docs).unwrap()).unwrap();
    let script = repository().join("conformance/digest.py");
    let printed = run_python(
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')",
        &[script.to_str().unwrap(), docs.to_str().unwrap()],
    );
    let computed: Vec<Json> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(computed.len(), vectors.len());
    for (computed, vector) in computed.iter().zip(&vectors) {
        for part in ["name", "sum", "digest"] {
            assert_eq!(computed[part], vector[part], "{}", vector["name"]);
        }
    }
}
