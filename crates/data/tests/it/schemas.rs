//! How a dataset's schema may change.

use perennial_core::port::data::{Mode, StageInput};
use serde_json::json;

use crate::support::{How, Place, Running, says};

#[tokio::test]
async fn an_added_column_passes_and_older_rows_have_null_there() {
    let place = Place::new();
    let mut running = Running::default();
    let (_, staged) = place.load(&How::lines("{\"a\": 1}\n")).await;
    running.apply(&staged.change);
    let (_, staged) = place.load(&How::lines("{\"b\": \"x\", \"a\": 2}\n")).await;
    running.apply(&staged.change);
    assert_eq!(place.rows("SELECT a, b FROM rows ORDER BY a").await, [[json!(1), json!(null)], [json!(2), json!("x")]]);
    assert_eq!(running.digest(&staged), place.whole_digest().await);
}

#[tokio::test]
async fn a_column_that_came_later_may_be_missing_again() {
    let place = Place::new();
    place.load(&How::lines("{\"a\": 1}\n")).await;
    place.load(&How::lines("{\"b\": \"x\", \"a\": 2}\n")).await;
    let lacks_b = How::lines("{\"a\": 3}\n");
    place.load(&lacks_b.clone().optional("b")).await;
    assert_eq!(place.rows("SELECT a, b FROM rows WHERE b IS NULL ORDER BY a").await.len(), 2);
    let error = place.stage(&lacks_b.optional("a")).await.unwrap_err();
    says(&error, "schema-changed", &["column `b` (text) is missing"]);
}

#[tokio::test]
async fn missing_and_retyped_columns_are_refused_with_the_difference() {
    let place = Place::new();
    place.load(&How::lines("{\"a\": 1, \"b\": \"x\", \"c\": 1.5}\n")).await;
    place.write_parquet("other.parquet", "SELECT 'one' AS a, 1.5 AS c").await;
    let error = place.stage(&How::files(&["other.parquet"])).await.unwrap_err();
    says(
        &error,
        "schema-changed",
        &["file `other.parquet`", "dataset `rows`", "column `a` is text, was int", "column `b` (text) is missing"],
    );
    assert!(error.hint_text().is_some());
}

#[tokio::test]
async fn whole_numbers_are_taken_for_a_column_of_floats() {
    let place = Place::new();
    place.load(&How::lines("{\"a\": 1.5}\n")).await;
    place.write_parquet("ints.parquet", "SELECT CAST(2 AS INT) AS a").await;
    place.load(&How::files(&["ints.parquet"])).await;
    assert_eq!(place.rows("SELECT sum(a) FROM rows").await, [[json!(3.5)]]);
}

#[tokio::test]
async fn a_declared_change_lets_a_column_go_missing() {
    let place = Place::new();
    place.load(&How::lines("{\"a\": 1, \"b\": \"x\"}\n")).await;
    place.load(&How::lines("{\"a\": 2}\n").evolve()).await;
    assert_eq!(place.rows("SELECT a, b FROM rows ORDER BY a").await, [[json!(1), json!("x")], [json!(2), json!(null)]]);
}

#[tokio::test]
async fn a_step_s_output_may_have_any_schema_anew() {
    let place = Place::new();
    place.load(&How::lines("{\"a\": 1, \"b\": \"x\"}\n")).await;
    let (_, staged) = place.load(&How::lines("{\"a\": \"text\", \"z\": true}\n").mode(Mode::Replace).evolve()).await;
    assert_eq!(staged.schema.fields.len(), 2);
    assert_eq!(place.rows("SELECT * FROM rows").await, [[json!("text"), json!(true)]]);
}

#[tokio::test]
async fn columns_of_nulls_only_fit_a_column_of_any_class() {
    let place = Place::new();
    place.load(&How::lines("{\"a\": 1, \"b\": 2.5}\n")).await;
    let nulls = StageInput::Sql { sql: "SELECT 2 AS a, NULL AS b".into(), tables: Vec::new() };
    place.load(&How::new(nulls)).await;
    place.write("c.csv", "a,b\n3,\n");
    place.load(&How::files(&["c.csv"])).await;
    assert_eq!(place.rows("SELECT count(*), count(b) FROM rows").await, [[json!(3), json!(1)]]);
}

#[tokio::test]
async fn a_decimal_that_would_lose_digits_is_refused() {
    let place = Place::new();
    let decimal = |text: &str| How::new(StageInput::Sql { sql: format!("SELECT {text} AS d"), tables: Vec::new() });
    place.load(&decimal("CAST('1.25' AS DECIMAL(10, 2))")).await;
    place.load(&decimal("CAST('2.500' AS DECIMAL(12, 3))")).await;
    assert_eq!(place.rows("SELECT d FROM rows ORDER BY d").await, [[json!("1.25")], [json!("2.50")]]);
    let error = place.stage(&decimal("CAST('2.505' AS DECIMAL(12, 3))")).await.unwrap_err();
    says(&error, "sql", &["`d`", "2.505"]);
}

#[tokio::test]
async fn names_keep_their_capitals_and_the_error_says_how_to_name_them() {
    let place = Place::new();
    place.load(&How::lines("{\"DepDelay\": 1, \"two words\": 2}\n")).await;
    assert_eq!(place.rows("SELECT \"DepDelay\", \"two words\" FROM rows").await, [[json!(1), json!(2)]]);
    let error = place.try_ask("SELECT DepDelay FROM rows").await.unwrap_err();
    says(&error, "sql", &["line 1 column 8"]);
    assert_eq!(error.hint_text(), Some("write `\"DepDelay\"`: names with capital letters need double quotes"));
}
