//! SQL: what people ask, what trainers read, what steps are given.

use std::time::Duration;

use perennial_core::frame::Column;
use perennial_core::port::data::{DataEngine, FrameRequest, NamedTable, QueryRequest, StageInput};
use perennial_core::schema::TypeClass;
use serde_json::json;

use crate::support::{How, Place, says};

async fn filled() -> Place {
    let place = Place::new();
    let text = "{\"n\": 1, \"t\": \"a\", \"at\": \"2013-01-01T05:00:00.5Z\", \"d\": \"2013-01-02\", \"b\": true, \"x\": 0.5}\n\
                {\"n\": 2, \"t\": null, \"at\": null, \"d\": null, \"b\": null, \"x\": null}\n\
                {\"n\": 3, \"t\": \"a\", \"at\": \"2013-01-01T05:00:00Z\", \"d\": \"1969-12-31\", \"b\": false, \"x\": -1}\n";
    place.load(&How::lines(text)).await;
    place
}

async fn request(place: &Place, sql: &str) -> FrameRequest {
    let tables = vec![NamedTable { name: "rows".into(), table: place.base().await.expect("a table") }];
    FrameRequest { sql: sql.into(), tables }
}

#[tokio::test]
async fn a_star_leaves_out_the_column_of_loads() {
    let place = filled().await;
    let page = place.ask("SELECT * FROM rows ORDER BY n").await;
    assert!(page.schema.field("_load").is_none());
    says(&place.try_ask("SELECT _load FROM rows").await.unwrap_err(), "sql", &["_load"]);
    assert_eq!(
        page.rows[0],
        [json!(1), json!("a"), json!("2013-01-01T05:00:00.5Z"), json!("2013-01-02"), json!(true), json!(0.5)]
    );
}

#[tokio::test]
async fn the_limit_cuts_the_answer_and_says_so() {
    let place = filled().await;
    let tables = request(&place, "").await.tables;
    for (limit, truncated) in [(1, true), (3, false), (10, false)] {
        let sql = "SELECT n FROM rows".to_owned();
        let page = place.engine.query(QueryRequest { sql, tables: tables.clone(), limit }).await.unwrap();
        assert_eq!((page.rows.len(), page.truncated), (limit.min(3), truncated));
    }
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_any_more_leaves_the_threads_to_others() {
    let place = filled().await;
    // As many as there are threads, each of which would take hours.
    for sql in [
        "SELECT count(*) FROM generate_series(1, 10000000000000)",
        "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
        "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value % 2 = b.value % 2",
    ] {
        let asked = [place.try_ask(sql), place.try_ask(sql)].map(Box::pin);
        let given_up = tokio::time::timeout(Duration::from_secs(1), futures::future::join_all(asked)).await;
        assert!(given_up.is_err(), "{sql}");
    }
    assert_eq!(place.ask("SELECT count(*) FROM rows").await.rows, [[json!(3)]]);
}

#[tokio::test]
async fn wrong_sql_is_told_with_line_and_column() {
    let place = filled().await;
    says(&place.try_ask("SELECT n\nFROM rows\nWHERE y > 1").await.unwrap_err(), "sql", &["line 3 column 7", "y"]);
    let error = place.try_ask("SELECT 1\nFROM flights").await.unwrap_err();
    says(&error, "sql", &["line 2 column 6", "table `flights` does not exist"]);
    assert_eq!(error.hint_text(), Some("tables here: `rows`"));
    says(&place.try_ask("SELEC n FROM rows").await.unwrap_err(), "sql", &["line 1"]);
    says(&place.try_ask("SELECT n / 0 FROM rows").await.unwrap_err(), "sql", &["ivide by zero"]);
}

#[tokio::test]
async fn nothing_but_one_select_is_run() {
    let place = filled().await;
    for sql in [
        "SET datafusion.execution.batch_size = 1",
        "COPY rows TO '/tmp/x'",
        "CREATE VIEW v AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM information_schema.tables",
    ] {
        let error = place.try_ask(sql).await.unwrap_err();
        assert_eq!(error.code().name(), "sql", "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn a_frame_keeps_the_query_s_order_and_turns_times_into_seconds() {
    let place = filled().await;
    let frame =
        place.engine.frame(request(&place, "SELECT n, t, at, d, b, x FROM rows ORDER BY n DESC").await).await.unwrap();
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
async fn a_frame_refuses_what_no_frame_can_hold() {
    let place = filled().await;
    let error = place.engine.frame(request(&place, "SELECT array_agg(n) AS l FROM rows").await).await.unwrap_err();
    says(&error, "sql", &["`l`"]);
}

#[tokio::test]
async fn a_plan_tells_the_schema_without_running() {
    let place = filled().await;
    let schema = place
        .engine
        .plan(&request(&place, "SELECT n + 1 AS m, count(*) AS c, NULL AS z FROM rows GROUP BY n").await)
        .await
        .unwrap();
    let classes: Vec<_> = schema.fields.iter().map(|field| (field.name.as_str(), field.class.clone())).collect();
    assert_eq!(classes, [("m", TypeClass::Int), ("c", TypeClass::Int), ("z", TypeClass::Text)]);
    says(
        &place.engine.plan(&request(&place, "SELECT z FROM rows").await).await.unwrap_err(),
        "sql",
        &["line 1 column 8"],
    );
}

#[tokio::test]
async fn an_export_is_a_parquet_file_that_stages_to_the_same_digest() {
    let place = filled().await;
    let path = place.source("out.parquet");
    let rows =
        place.engine.export(request(&place, "SELECT *, NULL AS nothing FROM rows").await, path.clone()).await.unwrap();
    assert_eq!(rows, 3);
    place.engine.export(request(&place, "SELECT * FROM rows").await, path.clone()).await.unwrap();
    let before = place.whole_digest().await;
    place.load(&How::new(StageInput::Parquet(path)).mode(perennial_core::port::data::Mode::Replace)).await;
    assert_eq!(place.whole_digest().await, before);
}

#[tokio::test]
async fn a_step_s_folder_of_parquet_files_is_staged_whole() {
    let place = Place::new();
    std::fs::create_dir(place.source("out")).unwrap();
    place.write_parquet("out/b.parquet", "SELECT 2 AS n").await;
    place.write_parquet("out/a.parquet", "SELECT 1 AS n").await;
    place.write("out/notes.txt", "not rows");
    place.load(&How::new(StageInput::Parquet(place.source("out")))).await;
    assert_eq!(place.rows("SELECT n FROM rows ORDER BY n").await, [[json!(1)], [json!(2)]]);
    let nothing = How::new(StageInput::Parquet(place.source("none")));
    says(&place.stage(&nothing).await.unwrap_err(), "not-found", &["none"]);
}

#[tokio::test]
async fn a_query_with_too_little_memory_is_refused_and_not_half_answered() {
    let place = filled().await;
    let tight = perennial_data::Engine::open(perennial_data::EngineOptions {
        root: place.folder.path().join("tables").to_str().unwrap().to_owned(),
        staging: place.folder.path().join("staging"),
        source_root: place.folder.path().join("sources"),
        memory_bytes: 1 << 20,
        threads: 1,
    })
    .unwrap();
    let sql = "SELECT value AS n FROM generate_series(1, 1000000)".to_owned();
    let error = tight.frame(FrameRequest { sql, tables: Vec::new() }).await.unwrap_err();
    says(&error, "too-large", &["bytes in memory"]);
}

#[tokio::test]
async fn values_without_number_in_json_are_null_and_bytes_are_hexadecimal() {
    let place = Place::new();
    let sql = "SELECT CAST('NaN' AS DOUBLE) AS x, X'00ff' AS b, CAST('12:30:00' AS TIME) AS t, [1, NULL] AS l, \
               CAST(1.10 AS DECIMAL(10, 2)) AS d";
    let page = place.engine.query(QueryRequest { sql: sql.into(), tables: Vec::new(), limit: 1 }).await.unwrap();
    assert_eq!(page.rows, [[json!(null), json!("00ff"), json!("12:30:00"), json!([1, null]), json!("1.10")]]);
}

#[tokio::test]
async fn a_query_that_nests_as_deep_as_may_be_is_answered_and_a_deeper_one_refused() {
    let place = Place::new();
    let chain = |operators: usize| format!("SELECT {}", vec!["1"; operators + 1].join("+"));
    assert_eq!(place.rows(&chain(900)).await, [[json!(901)]]);
    for deep in [chain(5_000), chain(400_000), format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(5_000))] {
        let refused = place.try_ask(&deep).await.unwrap_err();
        assert!(refused.message().contains("1000 operators"), "{}", refused.message());
    }
    let tables = vec!["(SELECT 1)"; 300].join(", ");
    let refused = place.try_ask(&format!("SELECT 1 FROM {tables}")).await.unwrap_err();
    assert!(refused.message().contains("300 tables"), "{}", refused.message());
}

#[tokio::test]
async fn what_is_kept_is_made_of_what_it_reads_alone() {
    let place = Place::new();
    place.load(&How::lines("{\"a\": 1}\n")).await;
    for call in ["random()", "now()", "current_date", "uuid()"] {
        for sql in [
            format!("SELECT a, {call} AS b FROM rows"),
            format!("SELECT a FROM (SELECT a FROM rows WHERE CAST({call} AS TEXT) <> '')"),
        ] {
            let request = request(&place, &sql).await;
            let error = place.engine.plan(&request).await.unwrap_err();
            says(&error, "sql", &["answers something else each time"]);
            let input = StageInput::Sql { sql, tables: request.tables };
            says(&place.stage(&How::new(input)).await.unwrap_err(), "sql", &["answers something else each time"]);
        }
        assert!(place.try_ask(&format!("SELECT {call}")).await.is_ok(), "a person may ask: {call}");
    }
}
