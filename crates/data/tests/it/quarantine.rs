//! The quarantine: rows set aside, with load and reason, once.

use perennial_core::port::data::{
    DataEngine, Mode, NamedTable, QueryRequest, RowCheck, RowQuestion, ScanPlan, StageInput, TableRef,
};
use serde_json::json;

use crate::support::{How, Place, TABLE};

fn positive() -> ScanPlan {
    let check =
        RowCheck { name: "positive".into(), question: RowQuestion::Predicate("n > 0".into()), sets_aside: true };
    ScanPlan { rows: vec![check], aggregates: Vec::new() }
}

#[tokio::test]
async fn rows_set_aside_are_written_once_with_load_and_reason() {
    let place = Place::new();
    let text = "{\"n\": -1, \"at\": \"2013-01-01T00:00:00Z\", \"tags\": [1, 2]}\n{\"n\": 2}\n";
    let (load, _) = place.stage(&How::lines(text).plan(positive())).await.unwrap();
    place.engine.quarantine(load, TABLE).await.unwrap();
    place.engine.quarantine(load, TABLE).await.unwrap();
    place.again().quarantine(load, TABLE).await.unwrap();
    let page = place.engine.quarantined(TABLE, &[load], 10).await.unwrap();
    let names: Vec<&str> = page.schema.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["_load", "_reason", "n", "at", "tags"]);
    assert_eq!(
        page.rows,
        [[json!(load.to_string()), json!("positive"), json!("-1"), json!("2013-01-01T00:00:00Z"), json!("[1,2]")]]
    );
    assert!(place.base().await.is_none(), "the dataset's table is not touched");
}

#[tokio::test]
async fn a_load_with_nothing_set_aside_leaves_no_quarantine() {
    let place = Place::new();
    let (load, _) = place.stage(&How::lines("{\"n\": 1}\n").plan(positive())).await.unwrap();
    place.engine.quarantine(load, TABLE).await.unwrap();
    assert!(place.engine.position(&format!("{TABLE}.quarantine")).await.unwrap().is_none());
    assert!(place.engine.quarantined(TABLE, &[load], 10).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn the_newest_load_comes_first_of_those_that_are_asked_for() {
    let place = Place::new();
    let (old, _) = place.stage(&How::lines("{\"n\": -1}\n").plan(positive())).await.unwrap();
    place.engine.quarantine(old, TABLE).await.unwrap();
    let (new, _) = place.stage(&How::lines("{\"n\": -2, \"more\": true}\n").plan(positive())).await.unwrap();
    place.engine.quarantine(new, TABLE).await.unwrap();
    let all = place.engine.quarantined(TABLE, &[old, new], 10).await.unwrap();
    assert_eq!(all.rows.iter().map(|row| &row[2]).collect::<Vec<_>>(), [&json!("-2"), &json!("-1")]);
    assert_eq!(all.schema.fields.last().map(|field| field.name.as_str()), Some("more"));
    let one = place.engine.quarantined(TABLE, &[old], 10).await.unwrap();
    assert_eq!(one.rows, [[json!(old.to_string()), json!("positive"), json!("-1"), json!(null)]]);
    let cut = place.engine.quarantined(TABLE, &[old, new], 1).await.unwrap();
    assert!(cut.truncated && cut.rows.len() == 1);
    assert!(place.engine.quarantined(TABLE, &[], 10).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn engines_that_race_write_each_load_once() {
    let place = Place::new();
    let (a, _) = place.stage(&How::lines("{\"n\": -1}\n").plan(positive())).await.unwrap();
    let (b, _) = place.stage(&How::lines("{\"n\": -2}\n").plan(positive())).await.unwrap();
    let other = place.again();
    let (first, second, third) =
        tokio::join!(place.engine.quarantine(a, TABLE), other.quarantine(b, TABLE), other.quarantine(a, TABLE));
    first.and(second).and(third).unwrap();
    assert_eq!(place.engine.quarantined(TABLE, &[a, b], 10).await.unwrap().rows.len(), 2);
}

#[tokio::test]
async fn the_quarantine_can_be_asked_with_sql() {
    let place = Place::new();
    let (load, _) = place.stage(&How::lines("{\"n\": -1}\n{\"n\": -1}\n").plan(positive())).await.unwrap();
    place.engine.quarantine(load, TABLE).await.unwrap();
    let table = TableRef { path: format!("{TABLE}.quarantine"), delta_version: 0 };
    let tables = vec![NamedTable { name: "rows.quarantine".into(), table }];
    let sql = "SELECT n, count(*) FROM rows.quarantine GROUP BY n";
    let page = place.engine.query(QueryRequest { sql: sql.into(), tables, limit: 10 }).await.unwrap();
    assert_eq!(page.rows, [[json!("-1"), json!(2)]]);
}

#[tokio::test]
async fn rows_of_a_load_staged_again_take_the_place_of_those_before() {
    let place = Place::new();
    let text = "{\"k\": 1, \"n\": -1}\n{\"k\": 2, \"n\": 2}\n";
    let (held, _) = place.stage(&How::lines(text).key(&["k"]).plan(positive())).await.unwrap();
    place.engine.quarantine(held, TABLE).await.unwrap();
    let (other, _) = place.stage(&How::lines("{\"k\": 9, \"n\": -9}\n").key(&["k"]).plan(positive())).await.unwrap();
    place.engine.quarantine(other, TABLE).await.unwrap();
    place.load(&How::lines("{\"k\": 2, \"n\": 20}\n").key(&["k"])).await;
    let mut again = How::new(StageInput::Staged).key(&["k"]).plan(positive());
    again.load = Some(held);
    place.stage(&again).await.unwrap();
    for _ in 0..2 {
        place.engine.quarantine(held, TABLE).await.unwrap();
        let page = place.engine.quarantined(TABLE, &[held], 10).await.unwrap();
        let mut reasons: Vec<&str> = page.rows.iter().map(|row| row[1].as_str().unwrap()).collect();
        reasons.sort_unstable();
        assert_eq!(reasons, ["key exists", "positive"]);
    }
    // With nothing left to set aside, nothing is left of it there.
    let mut lenient = How::new(StageInput::Staged).key(&["k"]).mode(Mode::Merge);
    lenient.load = Some(held);
    place.stage(&lenient).await.unwrap();
    place.engine.quarantine(held, TABLE).await.unwrap();
    assert!(place.engine.quarantined(TABLE, &[held], 10).await.unwrap().rows.is_empty());
    assert_eq!(place.engine.quarantined(TABLE, &[other], 10).await.unwrap().rows.len(), 1);
}
