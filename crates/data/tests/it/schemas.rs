//! Schema changes of a dataset.

use perennial_core::port::data::{Mode, StageInput};
use serde_json::json;

use crate::support::{Fixture, IncrementalDigest, StageOptions, assert_error};

#[tokio::test]
async fn an_added_column_is_accepted_and_null_in_older_rows() {
    let fixture = Fixture::new();
    let mut running = IncrementalDigest::default();
    let (_, staged) = fixture.load(&StageOptions::lines("{\"a\": 1}\n")).await;
    running.apply(&staged.change);
    let (_, staged) = fixture.load(&StageOptions::lines("{\"b\": \"x\", \"a\": 2}\n")).await;
    running.apply(&staged.change);
    assert_eq!(
        fixture.rows("SELECT a, b FROM rows ORDER BY a").await,
        [[json!(1), json!(null)], [json!(2), json!("x")]]
    );
    assert_eq!(running.digest(&staged), fixture.full_digest().await);
}

#[tokio::test]
async fn a_column_added_later_may_be_missing() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"a\": 1}\n")).await;
    fixture.load(&StageOptions::lines("{\"b\": \"x\", \"a\": 2}\n")).await;
    let lacks_b = StageOptions::lines("{\"a\": 3}\n");
    fixture.load(&lacks_b.clone().optional("b")).await;
    assert_eq!(fixture.rows("SELECT a, b FROM rows WHERE b IS NULL ORDER BY a").await.len(), 2);
    let error = fixture.stage(&lacks_b.optional("a")).await.unwrap_err();
    assert_error(&error, "schema-changed", &["column `b` (text) is missing"]);
}

#[tokio::test]
async fn missing_and_retyped_columns_are_refused_with_the_difference() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"a\": 1, \"b\": \"x\", \"c\": 1.5}\n")).await;
    fixture.write_parquet("other.parquet", "SELECT 'one' AS a, 1.5 AS c").await;
    let error = fixture.stage(&StageOptions::files(&["other.parquet"])).await.unwrap_err();
    assert_error(
        &error,
        "schema-changed",
        &["file `other.parquet`", "dataset `rows`", "column `a` is text, was int", "column `b` (text) is missing"],
    );
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn integers_are_accepted_for_a_column_of_floats() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"a\": 1.5}\n")).await;
    fixture.write_parquet("ints.parquet", "SELECT CAST(2 AS INT) AS a").await;
    fixture.load(&StageOptions::files(&["ints.parquet"])).await;
    assert_eq!(fixture.rows("SELECT sum(a) FROM rows").await, [[json!(3.5)]]);
}

#[tokio::test]
async fn declared_evolution_allows_a_missing_column() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"a\": 1, \"b\": \"x\"}\n")).await;
    fixture.load(&StageOptions::lines("{\"a\": 2}\n").evolve()).await;
    assert_eq!(
        fixture.rows("SELECT a, b FROM rows ORDER BY a").await,
        [[json!(1), json!("x")], [json!(2), json!(null)]]
    );
}

#[tokio::test]
async fn the_output_of_a_step_may_change_its_schema() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"a\": 1, \"b\": \"x\"}\n")).await;
    let (_, staged) =
        fixture.load(&StageOptions::lines("{\"a\": \"text\", \"z\": true}\n").mode(Mode::Replace).evolve()).await;
    assert_eq!(staged.schema.fields.len(), 2);
    assert_eq!(fixture.rows("SELECT * FROM rows").await, [[json!("text"), json!(true)]]);
}

#[tokio::test]
async fn a_column_of_nulls_matches_any_class() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"a\": 1, \"b\": 2.5}\n")).await;
    let nulls = StageInput::Sql { sql: "SELECT 2 AS a, NULL AS b".into(), tables: Vec::new() };
    fixture.load(&StageOptions::new(nulls)).await;
    fixture.write("c.csv", "a,b\n3,\n");
    fixture.load(&StageOptions::files(&["c.csv"])).await;
    assert_eq!(fixture.rows("SELECT count(*), count(b) FROM rows").await, [[json!(3), json!(1)]]);
}

#[tokio::test]
async fn a_decimal_that_would_lose_digits_is_refused() {
    let fixture = Fixture::new();
    let decimal =
        |text: &str| StageOptions::new(StageInput::Sql { sql: format!("SELECT {text} AS d"), tables: Vec::new() });
    fixture.load(&decimal("CAST('1.25' AS DECIMAL(10, 2))")).await;
    fixture.load(&decimal("CAST('2.500' AS DECIMAL(12, 3))")).await;
    assert_eq!(fixture.rows("SELECT d FROM rows ORDER BY d").await, [[json!("1.25")], [json!("2.50")]]);
    let error = fixture.stage(&decimal("CAST('2.505' AS DECIMAL(12, 3))")).await.unwrap_err();
    assert_error(&error, "sql", &["`d`", "2.505"]);
}

#[tokio::test]
async fn names_keep_their_case_and_the_error_shows_how_to_quote_them() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"DepDelay\": 1, \"two words\": 2}\n")).await;
    assert_eq!(fixture.rows("SELECT \"DepDelay\", \"two words\" FROM rows").await, [[json!(1), json!(2)]]);
    let error = fixture.try_query("SELECT DepDelay FROM rows").await.unwrap_err();
    assert_error(&error, "sql", &["line 1 column 8"]);
    assert_eq!(error.hint(), Some("write `\"DepDelay\"`: names with capital letters need double quotes"));
}
