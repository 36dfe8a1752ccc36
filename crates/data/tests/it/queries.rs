//! SQL: queries of users, frames of trainers, inputs of steps.

use std::time::Duration;

use perennial_core::frame::Column;
use perennial_core::port::data::{DataEngine, FrameRequest, NamedTable, QueryRequest, StageInput};
use perennial_core::schema::TypeClass;
use serde_json::json;

use crate::support::{Fixture, StageOptions, assert_error};

async fn filled() -> Fixture {
    let fixture = Fixture::new();
    let text = "{\"n\": 1, \"t\": \"a\", \"at\": \"2013-01-01T05:00:00.5Z\", \"d\": \"2013-01-02\", \"b\": true, \"x\": 0.5}\n\
                {\"n\": 2, \"t\": null, \"at\": null, \"d\": null, \"b\": null, \"x\": null}\n\
                {\"n\": 3, \"t\": \"a\", \"at\": \"2013-01-01T05:00:00Z\", \"d\": \"1969-12-31\", \"b\": false, \"x\": -1}\n";
    fixture.load(&StageOptions::lines(text)).await;
    fixture
}

async fn request(fixture: &Fixture, sql: &str) -> FrameRequest {
    let tables = vec![NamedTable { name: "rows".into(), table: fixture.base().await.expect("a table") }];
    FrameRequest { sql: sql.into(), tables, keys: Vec::new() }
}

#[tokio::test]
async fn a_star_omits_the_column_of_loads() {
    let fixture = filled().await;
    let page = fixture.query("SELECT * FROM rows ORDER BY n").await;
    assert!(page.schema.field("_load").is_none());
    assert_error(&fixture.try_query("SELECT _load FROM rows").await.unwrap_err(), "sql", &["_load"]);
    assert_eq!(
        page.rows[0],
        [json!(1), json!("a"), json!("2013-01-01T05:00:00.5Z"), json!("2013-01-02"), json!(true), json!(0.5)]
    );
}

#[tokio::test]
async fn the_limit_truncates_the_page() {
    let fixture = filled().await;
    let tables = request(&fixture, "").await.tables;
    for (limit, truncated) in [(1, true), (3, false), (10, false)] {
        let sql = "SELECT n FROM rows".to_owned();
        let page = fixture.engine.query(QueryRequest { sql, tables: tables.clone(), limit }).await.unwrap();
        assert_eq!((page.rows.len(), page.truncated), (limit.min(3), truncated));
    }
}

#[tokio::test]
async fn a_dropped_query_releases_its_threads() {
    let fixture = filled().await;
    // One query per thread, each of which would take hours.
    for sql in [
        "SELECT count(*) FROM generate_series(1, 10000000000000)",
        "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
        "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value % 2 = b.value % 2",
    ] {
        let asked = [fixture.try_query(sql), fixture.try_query(sql)].map(Box::pin);
        let given_up = tokio::time::timeout(Duration::from_secs(1), futures::future::join_all(asked)).await;
        assert!(given_up.is_err(), "{sql}");
    }
    assert_eq!(fixture.query("SELECT count(*) FROM rows").await.rows, [[json!(3)]]);
}

#[tokio::test]
async fn invalid_sql_is_reported_with_line_and_column() {
    let fixture = filled().await;
    assert_error(
        &fixture.try_query("SELECT n\nFROM rows\nWHERE y > 1").await.unwrap_err(),
        "sql",
        &["line 3 column 7", "y"],
    );
    let error = fixture.try_query("SELECT 1\nFROM flights").await.unwrap_err();
    assert_error(&error, "sql", &["line 2 column 6", "table `flights` does not exist"]);
    assert_eq!(error.hint(), Some("known tables: `rows`"));
    assert_error(&fixture.try_query("SELEC n FROM rows").await.unwrap_err(), "sql", &["line 1"]);
    assert_error(&fixture.try_query("SELECT n / 0 FROM rows").await.unwrap_err(), "sql", &["ivide by zero"]);
}

#[tokio::test]
async fn only_one_select_is_executed() {
    let fixture = filled().await;
    for sql in [
        "SET datafusion.execution.batch_size = 1",
        "COPY rows TO '/tmp/x'",
        "CREATE VIEW v AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM information_schema.tables",
    ] {
        let error = fixture.try_query(sql).await.unwrap_err();
        assert_eq!(error.code().name(), "sql", "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn a_frame_keeps_the_order_of_the_query_and_converts_times_to_seconds() {
    let fixture = filled().await;
    let frame = fixture
        .engine
        .frame(request(&fixture, "SELECT n, t, at, d, b, x FROM rows ORDER BY n DESC").await)
        .await
        .unwrap();
    assert_eq!((frame.rows(), frame.names().join(",").as_str()), (3, "n,t,at,d,b,x"));
    let number = |name: &str| match frame.column(name).unwrap() {
        Column::Number(values) => values.clone(),
        Column::Text(_) => panic!("{name} is text"),
    };
    assert_eq!(number("n"), [3.0, 2.0, 1.0]);
    assert_eq!((number("at")[0], number("at")[2]), (1_357_016_400.0, 1_357_016_400.5));
    assert_eq!((number("d")[0], number("d")[2]), (-86_400.0, 1_357_084_800.0));
    assert_eq!((number("b")[0], number("b")[2]), (0.0, 1.0));
    assert!(number("x")[1].is_nan() && number("d")[1].is_nan());
    let Column::Text(text) = frame.column("t").unwrap() else { panic!("t is text") };
    assert_eq!((text.get(0), text.get(1), text.values.len()), (Some("a"), None, 1));
}

#[tokio::test]
async fn a_frame_refuses_unsupported_types() {
    let fixture = filled().await;
    let error = fixture.engine.frame(request(&fixture, "SELECT array_agg(n) AS l FROM rows").await).await.unwrap_err();
    assert_error(&error, "sql", &["`l`"]);
}

#[tokio::test]
async fn a_plan_has_the_schema_without_executing() {
    let fixture = filled().await;
    let schema = fixture
        .engine
        .plan(&request(&fixture, "SELECT n + 1 AS m, count(*) AS c, NULL AS z FROM rows GROUP BY n").await)
        .await
        .unwrap();
    let classes: Vec<_> = schema.fields.iter().map(|field| (field.name.as_str(), field.class.clone())).collect();
    assert_eq!(classes, [("m", TypeClass::Int), ("c", TypeClass::Int), ("z", TypeClass::Text)]);
    assert_error(
        &fixture.engine.plan(&request(&fixture, "SELECT z FROM rows").await).await.unwrap_err(),
        "sql",
        &["line 1 column 8"],
    );
}

#[tokio::test]
async fn an_exported_parquet_file_has_the_same_digest() {
    let fixture = filled().await;
    let path = fixture.source("out.parquet");
    let rows = fixture
        .engine
        .export(request(&fixture, "SELECT *, NULL AS nothing FROM rows").await, path.clone())
        .await
        .unwrap();
    assert_eq!(rows, 3);
    fixture.engine.export(request(&fixture, "SELECT * FROM rows").await, path.clone()).await.unwrap();
    let before = fixture.full_digest().await;
    fixture.load(&StageOptions::new(StageInput::Parquet(path)).mode(perennial_core::port::data::Mode::Replace)).await;
    assert_eq!(fixture.full_digest().await, before);
}

#[tokio::test]
async fn a_folder_of_parquet_files_is_staged_completely() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.source("out")).unwrap();
    fixture.write_parquet("out/b.parquet", "SELECT 2 AS n").await;
    fixture.write_parquet("out/a.parquet", "SELECT 1 AS n").await;
    fixture.write("out/notes.txt", "not rows");
    fixture.load(&StageOptions::new(StageInput::Parquet(fixture.source("out")))).await;
    assert_eq!(fixture.rows("SELECT n FROM rows ORDER BY n").await, [[json!(1)], [json!(2)]]);
    let nothing = StageOptions::new(StageInput::Parquet(fixture.source("none")));
    assert_error(&fixture.stage(&nothing).await.unwrap_err(), "not-found", &["none"]);
}

#[tokio::test]
async fn a_query_with_too_little_memory_is_refused() {
    let fixture = filled().await;
    let tight = Fixture::open_with(fixture.folder.path(), 1 << 20);
    let sql = "SELECT value AS n FROM generate_series(1, 1000000)".to_owned();
    let error = tight.frame(FrameRequest { sql, tables: Vec::new(), keys: Vec::new() }).await.unwrap_err();
    assert_error(&error, "too-large", &["bytes of memory"]);
}

#[tokio::test]
async fn a_frame_counts_the_characters_of_its_texts() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Fixture::open_with(folder.path(), 4 << 20);
    // 10 MB of texts, in 100,000 cells.
    let sql = "SELECT lpad(CAST(value AS TEXT), 100, '0') AS t FROM range(0, 100000)".to_owned();
    let error = engine.frame(FrameRequest { sql, tables: Vec::new(), keys: Vec::new() }).await.unwrap_err();
    assert_error(&error, "too-large", &["the rows of the query need more than 4194304 bytes"]);
    let sql = "SELECT lpad('x', 100, '0') AS t FROM range(0, 100000)".to_owned();
    assert_eq!(engine.frame(FrameRequest { sql, tables: Vec::new(), keys: Vec::new() }).await.unwrap().rows(), 100_000);
}

#[tokio::test]
async fn numbers_unknown_to_json_are_null_and_bytes_are_hexadecimal() {
    let fixture = Fixture::new();
    let sql = "SELECT CAST('NaN' AS DOUBLE) AS x, X'00ff' AS b, CAST('12:30:00' AS TIME) AS t, [1, NULL] AS l, \
               CAST(1.10 AS DECIMAL(10, 2)) AS d";
    let page = fixture.engine.query(QueryRequest { sql: sql.into(), tables: Vec::new(), limit: 1 }).await.unwrap();
    assert_eq!(page.rows, [[json!(null), json!("00ff"), json!("12:30:00"), json!([1, null]), json!("1.10")]]);
}

#[tokio::test]
async fn a_query_of_the_greatest_depth_is_executed_and_a_deeper_one_refused() {
    let fixture = Fixture::new();
    let chain = |operators: usize| format!("SELECT {}", vec!["1"; operators + 1].join("+"));
    assert_eq!(fixture.rows(&chain(900)).await, [[json!(901)]]);
    for deep in [chain(5_000), chain(400_000), format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(5_000))] {
        let refused = fixture.try_query(&deep).await.unwrap_err();
        assert!(refused.message().contains("1000 operators"), "{}", refused.message());
    }
    let tables = vec!["(SELECT 1)"; 300].join(", ");
    let refused = fixture.try_query(&format!("SELECT 1 FROM {tables}")).await.unwrap_err();
    assert!(refused.message().contains("300 table references"), "{}", refused.message());
}

#[tokio::test]
async fn nondeterministic_functions_are_refused_where_results_are_stored() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"a\": 1}\n")).await;
    for call in ["random()", "now()", "current_date", "uuid()"] {
        for sql in [
            format!("SELECT a, {call} AS b FROM rows"),
            format!("SELECT a FROM (SELECT a FROM rows WHERE CAST({call} AS TEXT) <> '')"),
        ] {
            let request = request(&fixture, &sql).await;
            let error = fixture.engine.plan(&request).await.unwrap_err();
            assert_error(&error, "sql", &["is not deterministic"]);
            let input = StageInput::Sql { sql, tables: request.tables };
            assert_error(
                &fixture.stage(&StageOptions::new(input)).await.unwrap_err(),
                "sql",
                &["is not deterministic"],
            );
        }
        assert!(fixture.try_query(&format!("SELECT {call}")).await.is_ok(), "a person may ask: {call}");
    }
}

#[tokio::test]
async fn integers_of_a_key_keep_their_digits() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "id,n\n9007199254740992,9007199254740993\n9007199254740993,1\n,2\n");
    fixture.load(&StageOptions::files(&["a.csv"])).await;
    let mut request = request(&fixture, "SELECT id, n FROM rows ORDER BY n DESC").await;
    request.keys = vec!["id".into()];
    let frame = fixture.engine.frame(request.clone()).await.unwrap();
    let Some(Column::Text(ids)) = frame.column("id") else { panic!("{frame:?}") };
    let ids: Vec<_> = (0..3).map(|row| ids.get(row)).collect();
    assert_eq!(ids, [Some("9007199254740992"), None, Some("9007199254740993")]);
    assert!(matches!(frame.column("n"), Some(Column::Number(_))), "only keys become text");
    request.sql = "SELECT id FROM rows WHERE n <> 1".into();
    assert!(matches!(fixture.engine.frame(request).await.unwrap().column("id"), Some(Column::Number(_))));
}

#[tokio::test]
async fn decimals_of_a_key_keep_their_digits() {
    let fixture = Fixture::new();
    let sql = "SELECT CAST(id AS DECIMAL(20, 0)) AS id, CAST(price AS DECIMAL(20, 2)) AS price FROM \
               (VALUES ('90071992547409920001', '12.50'), ('90071992547409920002', '7')) AS t(id, price)";
    fixture.load(&StageOptions::new(StageInput::Sql { sql: sql.into(), tables: Vec::new() })).await;
    let mut request = request(&fixture, "SELECT id, price FROM rows ORDER BY id").await;
    request.keys = vec!["id".into(), "price".into()];
    let frame = fixture.engine.frame(request).await.unwrap();
    let Some(Column::Text(ids)) = frame.column("id") else { panic!("{frame:?}") };
    assert_eq!([ids.get(0), ids.get(1)], [Some("90071992547409920001"), Some("90071992547409920002")]);
    assert_eq!(frame.column("price"), Some(&Column::Number(vec![12.5, 7.0])));
}
