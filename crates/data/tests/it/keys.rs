//! Keys within a load, and against the table.

use std::fmt::Write as _;

use perennial_core::port::data::{CommitRequest, DataEngine, Mode, RowCheck, RowCondition, ScanPlan, StageInput};
use serde_json::json;

use crate::support::{Fixture, IncrementalDigest, StageOptions, TABLE, assert_error, commit_of};

const FIRST: &str = "{\"k\": 1, \"v\": \"a\"}\n{\"k\": 2, \"v\": \"b\"}\n{\"k\": 3, \"v\": \"c\"}\n";

fn positive() -> ScanPlan {
    let check =
        RowCheck { name: "lower".into(), condition: RowCondition::Predicate("v = lower(v)".into()), quarantines: true };
    ScanPlan { rows: vec![check], aggregates: Vec::new() }
}

#[tokio::test]
async fn append_of_a_repeated_key_keeps_the_first_row() {
    let fixture = Fixture::new();
    let (_, staged) =
        fixture.load(&StageOptions::lines("{\"k\": 1, \"v\": \"a\"}\n{\"k\": 1, \"v\": \"b\"}\n").key(&["k"])).await;
    assert_eq!((staged.passing, staged.quarantined), (1, vec![("repeated key".to_owned(), 1)]));
    assert_eq!(fixture.rows("SELECT v FROM rows").await, [[json!("a")]]);
}

#[tokio::test]
async fn append_of_an_existing_key_quarantines_the_row() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines(FIRST).key(&["k"])).await;
    let (_, staged) =
        fixture.load(&StageOptions::lines("{\"k\": 2, \"v\": \"x\"}\n{\"k\": 4, \"v\": \"d\"}\n").key(&["k"])).await;
    assert_eq!((staged.passing, staged.quarantined), (1, vec![("key exists".to_owned(), 1)]));
    assert_eq!(
        fixture.rows("SELECT v FROM rows ORDER BY k").await,
        [[json!("a")], [json!("b")], [json!("c")], [json!("d")]]
    );
}

#[tokio::test]
async fn merge_of_a_repeated_key_keeps_the_last_row() {
    let fixture = Fixture::new();
    let options =
        StageOptions::lines("{\"k\": 1, \"v\": \"a\"}\n{\"k\": 1, \"v\": \"b\"}\n").key(&["k"]).mode(Mode::Merge);
    let (_, staged) = fixture.load(&options).await;
    assert_eq!((staged.passing, staged.quarantined), (1, vec![("repeated key".to_owned(), 1)]));
    assert_eq!(fixture.rows("SELECT v FROM rows").await, [[json!("b")]]);
}

#[tokio::test]
async fn merge_of_an_existing_key_replaces_the_row_and_updates_the_digest() {
    let fixture = Fixture::new();
    let mut running = IncrementalDigest::default();
    let (_, staged) = fixture.load(&StageOptions::lines(FIRST).key(&["k"]).mode(Mode::Merge)).await;
    running.apply(&staged.change);
    let text = "{\"k\": 2, \"v\": \"x\"}\n{\"k\": 4, \"v\": \"d\"}\n";
    let (_, staged) = fixture.load(&StageOptions::lines(text).key(&["k"]).mode(Mode::Merge)).await;
    assert_eq!((staged.change.added_rows, staged.change.removed_rows), (2, 1));
    running.apply(&staged.change);
    assert_eq!(
        fixture.rows("SELECT v FROM rows ORDER BY k").await,
        [[json!("a")], [json!("x")], [json!("c")], [json!("d")]]
    );
    assert_eq!(running.digest(&staged), fixture.full_digest().await);
}

#[tokio::test]
async fn keys_of_several_columns_and_of_text_are_compared_completely() {
    let fixture = Fixture::new();
    let text = "{\"a\": \"x\", \"b\": \"yz\"}\n{\"a\": \"xy\", \"b\": \"z\"}\n{\"a\": \"x\", \"b\": \"yz\"}\n{\"a\": \"x\"}\n{\"a\": \"x\"}\n";
    let (_, staged) = fixture.load(&StageOptions::lines(text).key(&["a", "b"])).await;
    let aside = vec![("null key".to_owned(), 2), ("repeated key".to_owned(), 1)];
    assert_eq!((staged.passing, staged.quarantined), (2, aside));
}

#[tokio::test]
async fn a_row_that_fails_a_check_is_admitted_by_force_only_if_its_key_is_free() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"k\": 9, \"v\": \"i\"}\n").key(&["k"])).await;
    let text =
        "{\"k\": 1, \"v\": \"A\"}\n{\"k\": 1, \"v\": \"a\"}\n{\"k\": 2, \"v\": \"B\"}\n{\"k\": 9, \"v\": \"I\"}\n";
    let (load, staged) = fixture.stage(&StageOptions::lines(text).key(&["k"]).plan(positive())).await.unwrap();
    assert_eq!((staged.passing, staged.quarantined), (1, vec![("lower".to_owned(), 3)]));
    assert_eq!((staged.change.added_rows, staged.change_all.added_rows), (1, 2));
    fixture.engine.commit(CommitRequest { all: true, ..commit_of(load, 1) }).await.unwrap();
    assert_eq!(fixture.rows("SELECT v FROM rows ORDER BY k").await, [[json!("a")], [json!("B")], [json!("i")]]);
}

#[tokio::test]
async fn the_change_of_committing_every_row_is_known_when_staged() {
    for mode in [Mode::Append, Mode::Merge] {
        let fixture = Fixture::new();
        let mut running = IncrementalDigest::default();
        let (_, staged) = fixture.load(&StageOptions::lines(FIRST).key(&["k"]).mode(mode)).await;
        running.apply(&staged.change);
        let text = "{\"k\": 2, \"v\": \"X\"}\n{\"k\": 4, \"v\": \"d\"}\n{\"k\": 5, \"v\": \"E\"}\n";
        let options = StageOptions::lines(text).key(&["k"]).mode(mode).plan(positive());
        let (load, staged) = fixture.stage(&options).await.unwrap();
        fixture.engine.commit(CommitRequest { all: true, ..commit_of(load, 1) }).await.unwrap();
        running.apply(&staged.change_all);
        assert_eq!(running.digest(&staged), fixture.full_digest().await, "{mode:?}");
    }
}

#[tokio::test]
async fn a_load_that_was_checked_against_another_version_is_refused() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines(FIRST).key(&["k"])).await;
    let (held, _) = fixture.stage(&StageOptions::lines("{\"k\": 4, \"v\": \"d\"}\n").key(&["k"])).await.unwrap();
    fixture.load(&StageOptions::lines("{\"k\": 4, \"v\": \"other\"}\n").key(&["k"])).await;
    let error = fixture.commit(held).await.unwrap_err();
    assert_error(&error, "wrong-state", &["checked against number 1", TABLE, "now at number 2"]);
    assert_eq!(error.hint(), Some("stage the load again"));
}

#[tokio::test]
async fn a_held_load_is_checked_again_against_a_newer_table() {
    for mode in [Mode::Append, Mode::Merge] {
        let fixture = Fixture::new();
        let mut running = IncrementalDigest::default();
        let (_, staged) = fixture.load(&StageOptions::lines(FIRST).key(&["k"]).mode(mode)).await;
        running.apply(&staged.change);
        let text =
            "{\"k\": 5, \"v\": \"e\"}\n{\"k\": 4, \"v\": \"d\"}\n{\"k\": 5, \"v\": \"E\"}\n{\"k\": 5, \"v\": \"f\"}\n";
        let held = StageOptions::lines(text).key(&["k"]).mode(mode).plan(positive());
        let (load, first) = fixture.stage(&held).await.unwrap();
        let (_, staged) =
            fixture.load(&StageOptions::lines("{\"k\": 4, \"v\": \"other\"}\n").key(&["k"]).mode(mode)).await;
        running.apply(&staged.change);
        let mut again = StageOptions::new(StageInput::Staged).key(&["k"]).mode(mode).plan(positive());
        again.load = Some(load);
        let (_, staged) = fixture.stage(&again).await.unwrap();
        assert_eq!(staged.arrived, first.arrived);
        fixture.commit(load).await.unwrap();
        running.apply(&staged.change);
        assert_eq!(running.digest(&staged), fixture.full_digest().await, "{mode:?}");
        let (kept, fifth) = if mode == Mode::Append { ("other", "e") } else { ("d", "f") };
        assert_eq!(fixture.rows("SELECT v FROM rows WHERE k > 3 ORDER BY k").await, [[json!(kept)], [json!(fifth)]]);
    }
}

#[tokio::test]
async fn restaging_needs_a_staged_load_and_a_failure_keeps_it() {
    let fixture = Fixture::new();
    let again = StageOptions::new(StageInput::Staged);
    assert_error(&fixture.stage(&again).await.unwrap_err(), "wrong-state", &["not completely staged"]);
    let (load, staged) = fixture.stage(&StageOptions::lines(FIRST)).await.unwrap();
    let mut broken = again.clone().key(&["nothing"]);
    broken.load = Some(load);
    fixture.stage(&broken).await.unwrap_err();
    assert_eq!(fixture.engine.staged(load).await.unwrap(), Some(staged));
    fixture.engine.discard(load).await.unwrap();
    assert_eq!(
        std::fs::read_dir(fixture.folder.path().join("staging")).unwrap().count(),
        1,
        "only the spill folder is left"
    );
}

#[tokio::test]
async fn a_missing_key_column_is_refused() {
    let fixture = Fixture::new();
    assert_error(
        &fixture.stage(&StageOptions::lines(FIRST).key(&["id"])).await.unwrap_err(),
        "schema-changed",
        &["`id`", "k, v"],
    );
}

#[tokio::test]
async fn many_keys_over_many_batches_and_files_are_found() {
    let fixture = Fixture::new();
    let mut text = "k,v\n".to_owned();
    (0..30_000).for_each(|row| writeln!(text, "{row},{row}").unwrap());
    fixture.write("a.csv", &text);
    fixture.load(&StageOptions::files(&["a.csv"]).key(&["k"]).mode(Mode::Merge)).await;
    text = "k,v\n".to_owned();
    (20_000..50_000).for_each(|row| writeln!(text, "{row},{}", row + 1).unwrap());
    fixture.write("b.csv", &text);
    let (_, staged) = fixture.load(&StageOptions::files(&["b.csv"]).key(&["k"]).mode(Mode::Merge)).await;
    assert_eq!((staged.change.added_rows, staged.change.removed_rows), (30_000, 10_000));
    assert_eq!(
        fixture.rows("SELECT count(*), count(DISTINCT k), sum(v - k) FROM rows").await,
        [[json!(50_000), json!(50_000), json!(30_000)]]
    );
}
