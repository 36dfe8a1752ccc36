//! Rows in memory, with declared types.

use perennial_core::frame::TextColumn;
use perennial_core::port::data::{DataEngine, StageInput, ValueColumn, Values};
use perennial_core::schema::TypeClass;
use serde_json::json;

use crate::support::{Fixture, IncrementalDigest, StageOptions, TABLE, assert_error};

fn columns<const N: usize>(columns: [(&str, Values); N]) -> StageOptions {
    let columns = columns.map(|(name, values)| ValueColumn { name: name.to_owned(), values });
    StageOptions::new(StageInput::Columns(columns.into()))
}

fn texts(values: &[Option<&str>]) -> Values {
    Values::Text(TextColumn::encode(values.iter().copied()))
}

#[tokio::test]
async fn columns_keep_their_types_for_any_values() {
    let fixture = Fixture::new();
    let mut running = IncrementalDigest::default();
    let first = columns([
        ("key", texts(&[Some("1"), Some("2013-06-01"), None])),
        ("number", Values::Int(vec![1, i64::MAX, -1])),
        ("whole", Values::Float(vec![70.0, f64::NAN, 71.0])),
        ("nothing", Values::Float(vec![f64::NAN; 3])),
    ]);
    let (_, staged) = fixture.load(&first).await;
    running.apply(&staged.change);
    let classes: Vec<TypeClass> = staged.schema.fields.iter().map(|field| field.class.clone()).collect();
    assert_eq!(classes, [TypeClass::Text, TypeClass::Int, TypeClass::Float, TypeClass::Float]);
    let then = columns([("whole", Values::Float(vec![70.5])), ("key", texts(&[Some("x")])), ("new", texts(&[None]))]);
    let (_, staged) = fixture.load(&then.evolve()).await;
    running.apply(&staged.change);
    let rows = fixture.rows("SELECT key, number, whole, nothing, new FROM rows ORDER BY number").await;
    let expected = [
        json!([null, -1, 71.0, null, null]),
        json!(["1", 1, 70.0, null, null]),
        json!(["2013-06-01", i64::MAX, null, null, null]),
        json!(["x", null, 70.5, null, null]),
    ];
    assert_eq!(rows, expected.map(|row| row.as_array().unwrap().clone()));
    assert_eq!(running.digest(&staged), fixture.full_digest().await);
}

#[tokio::test]
async fn the_greatest_and_infinite_numbers_are_committed() {
    let fixture = Fixture::new();
    let extremes = vec![f64::MAX, -f64::MAX, f64::INFINITY, f64::NEG_INFINITY];
    fixture.load(&columns([("x", Values::Float(extremes))])).await;
    assert_eq!(fixture.rows("SELECT count(x), max(x) > 1e308 FROM rows").await, [[json!(4), json!(true)]]);
}

#[tokio::test]
async fn a_long_text_in_many_rows_is_split_into_several_batches() {
    const ROWS: usize = 100;
    let fixture = Fixture::new();
    let long = "x".repeat(1 << 20);
    let (_, staged) = fixture.load(&columns([("text", texts(&[Some(long.as_str()); ROWS]))])).await;
    assert_eq!(staged.arrived, ROWS as u64);
    let counted = fixture.rows("SELECT count(*), count(DISTINCT text), max(length(text)) FROM rows").await;
    assert_eq!(counted, [[json!(ROWS), json!(1), json!(1 << 20)]]);
}

#[tokio::test]
async fn columns_of_different_lengths_and_repeated_names_are_refused() {
    let fixture = Fixture::new();
    let uneven = columns([("a", Values::Int(vec![1])), ("b", Values::Int(vec![1, 2]))]);
    assert_error(
        &fixture.stage(&uneven).await.unwrap_err(),
        "invalid-argument",
        &["column `b` has 2 rows, others have 1"],
    );
    let twice = columns([("a", Values::Int(vec![1])), ("A", Values::Int(vec![1]))]);
    assert_error(&fixture.stage(&twice).await.unwrap_err(), "source-file", &["`A` appears twice"]);
}

#[tokio::test]
async fn nothing_is_staged_or_committed_while_writes_are_paused() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let still = fixture.engine.pause_writes().await;
    let rows = columns([("a", Values::Int(vec![1]))]);
    let mut loading = std::pin::pin!(fixture.load(&rows));
    // Writes wait while another engine keeps loading; reads continue.
    for _ in 0..10 {
        assert!(futures::poll!(loading.as_mut()).is_pending());
        other.load(&rows).await;
        assert_eq!(fixture.engine.position(TABLE).await.unwrap(), None);
    }
    drop(still);
    loading.await;
    assert_eq!(fixture.rows("SELECT a FROM rows").await, [[json!(1)]]);
}
