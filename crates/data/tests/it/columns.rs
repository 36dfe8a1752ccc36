//! Rows in memory, whose types are said.

use perennial_core::frame::TextColumn;
use perennial_core::port::data::{DataEngine, StageInput, ValueColumn, Values};
use perennial_core::schema::TypeClass;
use serde_json::json;

use crate::support::{How, Place, Running, TABLE, says};

fn columns<const N: usize>(columns: [(&str, Values); N]) -> How {
    let columns = columns.map(|(name, values)| ValueColumn { name: name.to_owned(), values });
    How::new(StageInput::Columns(columns.into()))
}

fn texts(values: &[Option<&str>]) -> Values {
    Values::Text(TextColumn::encode(values.iter().copied()))
}

#[tokio::test]
async fn columns_keep_their_types_whatever_their_values() {
    let place = Place::new();
    let mut running = Running::default();
    let first = columns([
        ("key", texts(&[Some("1"), Some("2013-06-01"), None])),
        ("number", Values::Int(vec![1, i64::MAX, -1])),
        ("whole", Values::Float(vec![70.0, f64::NAN, 71.0])),
        ("nothing", Values::Float(vec![f64::NAN; 3])),
    ]);
    let (_, staged) = place.load(&first).await;
    running.apply(&staged.change);
    let classes: Vec<TypeClass> = staged.schema.fields.iter().map(|field| field.class.clone()).collect();
    assert_eq!(classes, [TypeClass::Text, TypeClass::Int, TypeClass::Float, TypeClass::Float]);
    let then = columns([("whole", Values::Float(vec![70.5])), ("key", texts(&[Some("x")])), ("new", texts(&[None]))]);
    let (_, staged) = place.load(&then.evolve()).await;
    running.apply(&staged.change);
    let rows = place.rows("SELECT key, number, whole, nothing, new FROM rows ORDER BY number").await;
    let expected = [
        json!([null, -1, 71.0, null, null]),
        json!(["1", 1, 70.0, null, null]),
        json!(["2013-06-01", i64::MAX, null, null, null]),
        json!(["x", null, 70.5, null, null]),
    ];
    assert_eq!(rows, expected.map(|row| row.as_array().unwrap().clone()));
    assert_eq!(running.digest(&staged), place.whole_digest().await);
}

#[tokio::test]
async fn the_greatest_numbers_and_infinite_ones_are_committed() {
    let place = Place::new();
    let extremes = vec![f64::MAX, -f64::MAX, f64::INFINITY, f64::NEG_INFINITY];
    place.load(&columns([("x", Values::Float(extremes))])).await;
    assert_eq!(place.rows("SELECT count(x), max(x) > 1e308 FROM rows").await, [[json!(4), json!(true)]]);
}

#[tokio::test]
async fn a_long_text_that_many_rows_have_is_written_out_in_several_batches() {
    const ROWS: usize = 100;
    let place = Place::new();
    let long = "x".repeat(1 << 20);
    let (_, staged) = place.load(&columns([("text", texts(&[Some(long.as_str()); ROWS]))])).await;
    assert_eq!(staged.arrived, ROWS as u64);
    let counted = place.rows("SELECT count(*), count(DISTINCT text), max(length(text)) FROM rows").await;
    assert_eq!(counted, [[json!(ROWS), json!(1), json!(1 << 20)]]);
}

#[tokio::test]
async fn columns_of_different_lengths_and_repeated_names_are_refused() {
    let place = Place::new();
    let uneven = columns([("a", Values::Int(vec![1])), ("b", Values::Int(vec![1, 2]))]);
    says(&place.stage(&uneven).await.unwrap_err(), "invalid-argument", &["column `b` has 2 rows, others have 1"]);
    let twice = columns([("a", Values::Int(vec![1])), ("A", Values::Int(vec![1]))]);
    says(&place.stage(&twice).await.unwrap_err(), "source-file", &["`A` appears twice"]);
}

#[tokio::test]
async fn nothing_is_staged_or_committed_while_the_engine_stands_still() {
    let (place, other) = (Place::new(), Place::new());
    let still = place.engine.stand_still().await;
    let rows = columns([("a", Values::Int(vec![1]))]);
    let mut loading = std::pin::pin!(place.load(&rows));
    // It waits while another engine loads again and again, and reading goes on.
    for _ in 0..10 {
        assert!(futures::poll!(loading.as_mut()).is_pending());
        other.load(&rows).await;
        assert_eq!(place.engine.position(TABLE).await.unwrap(), None);
    }
    drop(still);
    loading.await;
    assert_eq!(place.rows("SELECT a FROM rows").await, [[json!(1)]]);
}
