//! The quarantine has each quarantined row once, with load and reason.

use perennial_core::port::data::{
    DataEngine, Mode, NamedTable, QueryRequest, RowCheck, RowCondition, ScanPlan, StageInput, TableRef,
};
use serde_json::json;

use crate::support::{Fixture, StageOptions, TABLE};

fn positive() -> ScanPlan {
    let check =
        RowCheck { name: "positive".into(), condition: RowCondition::Predicate("n > 0".into()), quarantines: true };
    ScanPlan { rows: vec![check], aggregates: Vec::new() }
}

#[tokio::test]
async fn quarantined_rows_are_written_once_with_load_and_reason() {
    let fixture = Fixture::new();
    let text = "{\"n\": -1, \"at\": \"2013-01-01T00:00:00Z\", \"tags\": [1, 2]}\n{\"n\": 2}\n";
    let (load, _) = fixture.stage(&StageOptions::lines(text).plan(positive())).await.unwrap();
    fixture.engine.quarantine(load, TABLE).await.unwrap();
    fixture.engine.quarantine(load, TABLE).await.unwrap();
    fixture.reopen().quarantine(load, TABLE).await.unwrap();
    let page = fixture.engine.quarantined(TABLE, &[load], 10).await.unwrap();
    let names: Vec<&str> = page.schema.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["_load", "_reason", "n", "at", "tags"]);
    assert_eq!(
        page.rows,
        [[json!(load.to_string()), json!("positive"), json!("-1"), json!("2013-01-01T00:00:00Z"), json!("[1,2]")]]
    );
    assert!(fixture.base().await.is_none(), "the dataset's table is not touched");
}

#[tokio::test]
async fn a_load_without_quarantined_rows_creates_no_quarantine() {
    let fixture = Fixture::new();
    let (load, _) = fixture.stage(&StageOptions::lines("{\"n\": 1}\n").plan(positive())).await.unwrap();
    fixture.engine.quarantine(load, TABLE).await.unwrap();
    assert!(fixture.engine.position(&format!("{TABLE}.quarantine")).await.unwrap().is_none());
    assert!(fixture.engine.quarantined(TABLE, &[load], 10).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn the_newest_of_the_requested_loads_comes_first() {
    let fixture = Fixture::new();
    let (old, _) = fixture.stage(&StageOptions::lines("{\"n\": -1}\n").plan(positive())).await.unwrap();
    fixture.engine.quarantine(old, TABLE).await.unwrap();
    let (new, _) = fixture.stage(&StageOptions::lines("{\"n\": -2, \"more\": true}\n").plan(positive())).await.unwrap();
    fixture.engine.quarantine(new, TABLE).await.unwrap();
    let all = fixture.engine.quarantined(TABLE, &[old, new], 10).await.unwrap();
    assert_eq!(all.rows.iter().map(|row| &row[2]).collect::<Vec<_>>(), [&json!("-2"), &json!("-1")]);
    assert_eq!(all.schema.fields.last().map(|field| field.name.as_str()), Some("more"));
    let one = fixture.engine.quarantined(TABLE, &[old], 10).await.unwrap();
    assert_eq!(one.rows, [[json!(old.to_string()), json!("positive"), json!("-1"), json!(null)]]);
    let cut = fixture.engine.quarantined(TABLE, &[old, new], 1).await.unwrap();
    assert!(cut.truncated && cut.rows.len() == 1);
    assert!(fixture.engine.quarantined(TABLE, &[], 10).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn concurrent_engines_write_each_load_once() {
    let fixture = Fixture::new();
    let (a, _) = fixture.stage(&StageOptions::lines("{\"n\": -1}\n").plan(positive())).await.unwrap();
    let (b, _) = fixture.stage(&StageOptions::lines("{\"n\": -2}\n").plan(positive())).await.unwrap();
    let other = fixture.reopen();
    let (first, second, third) =
        tokio::join!(fixture.engine.quarantine(a, TABLE), other.quarantine(b, TABLE), other.quarantine(a, TABLE));
    first.and(second).and(third).unwrap();
    assert_eq!(fixture.engine.quarantined(TABLE, &[a, b], 10).await.unwrap().rows.len(), 2);
}

#[tokio::test]
async fn the_quarantine_can_be_queried_with_sql() {
    let fixture = Fixture::new();
    let (load, _) = fixture.stage(&StageOptions::lines("{\"n\": -1}\n{\"n\": -1}\n").plan(positive())).await.unwrap();
    fixture.engine.quarantine(load, TABLE).await.unwrap();
    let table = TableRef { path: format!("{TABLE}.quarantine"), delta_version: 0 };
    let tables = vec![NamedTable { name: "rows.quarantine".into(), table }];
    let sql = "SELECT n, count(*) FROM rows.quarantine GROUP BY n";
    let page = fixture.engine.query(QueryRequest { sql: sql.into(), tables, limit: 10 }).await.unwrap();
    assert_eq!(page.rows, [[json!("-1"), json!(2)]]);
}

#[tokio::test]
async fn rows_of_a_restaged_load_replace_the_earlier_ones() {
    let fixture = Fixture::new();
    let text = "{\"k\": 1, \"n\": -1}\n{\"k\": 2, \"n\": 2}\n";
    let (held, _) = fixture.stage(&StageOptions::lines(text).key(&["k"]).plan(positive())).await.unwrap();
    fixture.engine.quarantine(held, TABLE).await.unwrap();
    let (other, _) =
        fixture.stage(&StageOptions::lines("{\"k\": 9, \"n\": -9}\n").key(&["k"]).plan(positive())).await.unwrap();
    fixture.engine.quarantine(other, TABLE).await.unwrap();
    fixture.load(&StageOptions::lines("{\"k\": 2, \"n\": 20}\n").key(&["k"])).await;
    let mut again = StageOptions::new(StageInput::Staged).key(&["k"]).plan(positive());
    again.load = Some(held);
    fixture.stage(&again).await.unwrap();
    for _ in 0..2 {
        fixture.engine.quarantine(held, TABLE).await.unwrap();
        let page = fixture.engine.quarantined(TABLE, &[held], 10).await.unwrap();
        let mut reasons: Vec<&str> = page.rows.iter().map(|row| row[1].as_str().unwrap()).collect();
        reasons.sort_unstable();
        assert_eq!(reasons, ["key exists", "positive"]);
    }
    // Without quarantined rows, none of the load's rows remain.
    let mut lenient = StageOptions::new(StageInput::Staged).key(&["k"]).mode(Mode::Merge);
    lenient.load = Some(held);
    fixture.stage(&lenient).await.unwrap();
    fixture.engine.quarantine(held, TABLE).await.unwrap();
    assert!(fixture.engine.quarantined(TABLE, &[held], 10).await.unwrap().rows.is_empty());
    assert_eq!(fixture.engine.quarantined(TABLE, &[other], 10).await.unwrap().rows.len(), 1);
}
