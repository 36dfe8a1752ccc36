//! The cases of the suite, each over an engine without tables.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use perennial_core::ErrorCode;
use perennial_core::blob::BlobDigest;
use perennial_core::digest::Value;
use perennial_core::frame::TextColumn;
use perennial_core::id::LoadId;
use perennial_core::port::data::{
    AggregateCheck, CommitRequest, Mode, RowCheck, RowCondition, SourceFile, StageInput, ValueColumn, Values,
};
use perennial_core::schema::TypeClass;
use serde_json::json;

use super::EngineUnderTest;
use super::request::{
    Load, TABLE, accepted, commit, commit_request, ingest, number, refused, rows, rows_at, source, stage, sum_of,
    table, try_stage,
};

/// `list` and `fingerprint`.
pub async fn files_are_listed_by_path_with_the_digest_of_their_content(test: &impl EngineUnderTest) {
    test.offer("b.csv", "n\n2\n");
    test.offer("a.csv", "n\n1\n");
    let listed = accepted(test.engine().list(&source()).await).files;
    let listed: Vec<(&str, u64)> = listed.iter().map(|file| (file.path.as_str(), file.size_bytes)).collect();
    assert_eq!(listed, [("a.csv", 4), ("b.csv", 4)]);
    let digest = accepted(test.engine().fingerprint(&source(), "a.csv").await);
    assert_eq!(digest, BlobDigest::of(b"n\n1\n").to_string());
    assert_eq!(refused(test.engine().fingerprint(&source(), "c.csv").await).code(), ErrorCode::NotFound);
}

/// A created file changes its folder, unless the file system does not report the times of folders.
pub async fn a_new_file_changes_the_folders_of_a_listing(test: &impl EngineUnderTest) {
    test.offer("a.csv", "n\n1\n");
    let folders = accepted(test.engine().list(&source()).await).folders;
    let changed = async || accepted(test.engine().folders_changed(&source(), &folders).await);
    assert!(!folders.is_empty() && !changed().await);
    // The time of a folder may have a resolution of milliseconds.
    let mut number = 0;
    while !changed().await {
        number += 1;
        assert!(number < 100_000, "the folder never changes");
        test.offer(&format!("b{number}.csv"), "n\n2\n");
    }
}

/// Staging does not change the table.
pub async fn rows_are_in_the_table_after_the_commit_and_not_before(test: &impl EngineUnderTest) {
    test.offer("a.csv", "n,name\n1,x\n2,\n");
    let load = Load::files(test).await;
    let staged = stage(test, &load).await;
    assert_eq!((staged.arrived, staged.passing, staged.change.added_rows), (2, 2, 2));
    assert_eq!(accepted(test.engine().position(TABLE).await), None);
    let committed = commit(test, &load).await;
    let expected = [[json!(1), json!("x")], [json!(2), json!(null)]];
    assert_eq!(rows(test, "SELECT n, name FROM rows ORDER BY n").await, expected);
    assert_eq!(rows(test, "SELECT count(*) FROM rows WHERE n > 1").await, [[json!(1)]]);
    let position = accepted(test.engine().position(TABLE).await);
    let position = position.map(|at| (at.number, at.delta_version, at.bytes));
    assert_eq!(position, Some((1, committed.delta_version, committed.bytes)));
}

/// Classes of columns, and the row sum of a load.
pub async fn the_types_of_columns_are_inferred_and_enter_the_digest(test: &impl EngineUnderTest) {
    test.offer("a.csv", "code,flag,n,text,x\n007,true,1,a,1\n010,false,2,,1.5\n");
    let staged = stage(test, &Load::files(test).await).await;
    let classes: Vec<&TypeClass> = staged.schema.fields.iter().map(|field| &field.class).collect();
    assert_eq!(classes, [&TypeClass::Text, &TypeClass::Bool, &TypeClass::Int, &TypeClass::Text, &TypeClass::Float]);
    let first = [
        ("code", Value::Text("007")),
        ("flag", Value::Bool(true)),
        ("n", Value::Int(1)),
        ("text", Value::Text("a")),
        ("x", Value::Float(1.0)),
    ];
    let second =
        [("code", Value::Text("010")), ("flag", Value::Bool(false)), ("n", Value::Int(2)), ("x", Value::Float(1.5))];
    assert_eq!(staged.change.added, sum_of(&[&first, &second]));
}

/// Nothing is staged, and a file that cannot be read is refused.
pub async fn the_columns_of_files_are_those_of_their_first_load(test: &impl EngineUnderTest) {
    test.offer("a.csv", "code,n,x\n007,1,1\n010,2,1.5\n");
    let files = accepted(test.engine().list(&source()).await).files;
    let columns = accepted(test.engine().columns(&source(), &files).await);
    assert_eq!(columns, stage(test, &Load::files(test).await).await.schema);
    let missing = SourceFile { path: "b.csv".to_owned(), ..files[0].clone() };
    refused(test.engine().columns(&source(), &[missing]).await);
}

/// Exactly once: also after the staged rows are gone.
pub async fn a_repeated_commit_is_answered_and_changes_nothing(test: &impl EngineUnderTest) {
    let first = Load::lines("{\"n\": 1}\n");
    stage(test, &first).await;
    let committed = commit(test, &first).await;
    ingest(test, &Load::lines("{\"n\": 2}\n")).await;
    accepted(test.engine().discard(first.id).await);
    assert_eq!(accepted(test.engine().commit(commit_request(&first, 0)).await), committed);
    assert_eq!(rows(test, "SELECT n FROM rows ORDER BY n").await, [[json!(1)], [json!(2)]]);
}

/// A commit continues from the previous number.
pub async fn a_commit_with_another_number_is_refused(test: &impl EngineUnderTest) {
    let first = Load::lines("{\"n\": 1}\n");
    stage(test, &first).await;
    assert_eq!(refused(test.engine().commit(commit_request(&first, 3)).await).code(), ErrorCode::WrongState);
    commit(test, &first).await;
    let second = Load::lines("{\"n\": 2}\n");
    stage(test, &second).await;
    let taken = refused(test.engine().commit(commit_request(&second, 0)).await);
    assert_eq!(taken.code(), ErrorCode::WrongState);
    assert!(taken.message().contains("another load"), "{taken}");
    let backwards = CommitRequest { number: 1, ..commit_request(&second, 1) };
    assert_eq!(refused(test.engine().commit(backwards).await).code(), ErrorCode::InvalidArgument);
    assert_eq!(number(test).await, 1);
}

/// `discard` and `sweep` remove staged rows.
pub async fn a_load_without_staged_rows_cannot_be_committed(test: &impl EngineUnderTest) {
    let [unknown, discarded, swept, kept] = [(); 4].map(|()| Load::lines("{\"n\": 1}\n"));
    for load in [&discarded, &swept, &kept] {
        stage(test, load).await;
    }
    accepted(test.engine().discard(discarded.id).await);
    accepted(test.engine().sweep(&[kept.id]).await);
    for load in [&unknown, &discarded, &swept] {
        let error = refused(test.engine().commit(commit_request(load, 0)).await);
        assert_eq!(error.code(), ErrorCode::WrongState);
        assert!(error.message().contains("staged"), "{error}");
    }
    commit(test, &kept).await;
}

/// The first row of a key stays.
pub async fn append_quarantines_null_repeated_and_existing_keys(test: &impl EngineUnderTest) {
    ingest(test, &Load::lines("{\"n\": 1, \"v\": \"a\"}\n").key("n")).await;
    let text = "{\"n\": 2, \"v\": \"b\"}\n{\"n\": 2, \"v\": \"c\"}\n{\"n\": 1, \"v\": \"d\"}\n{\"v\": \"e\"}\n";
    let staged = ingest(test, &Load::lines(text).key("n")).await;
    let reasons = [("null key", 1), ("repeated key", 1), ("key exists", 1)].map(|(name, rows)| (name.to_owned(), rows));
    assert_eq!((staged.passing, staged.quarantined), (1, reasons.to_vec()));
    let expected = [[json!(1), json!("a")], [json!(2), json!("b")]];
    assert_eq!(rows(test, "SELECT n, v FROM rows ORDER BY n").await, expected);
}

/// The change counts the rows that leave.
pub async fn merge_keeps_the_last_row_of_a_key_and_removes_the_row_of_the_table(test: &impl EngineUnderTest) {
    let merged = |text| Load::lines(text).key("n").mode(Mode::Merge);
    ingest(test, &merged("{\"n\": 1, \"v\": \"a\"}\n{\"n\": 2, \"v\": \"b\"}\n")).await;
    let text = "{\"n\": 2, \"v\": \"c\"}\n{\"n\": 2, \"v\": \"d\"}\n{\"n\": 3, \"v\": \"e\"}\n";
    let staged = ingest(test, &merged(text)).await;
    assert_eq!(staged.quarantined, [("repeated key".to_owned(), 1)]);
    assert_eq!((staged.change.added_rows, staged.change.removed_rows), (2, 1));
    assert_eq!(staged.change.removed, sum_of(&[&[("n", Value::Int(2)), ("v", Value::Text("b"))]]));
    let expected = [[json!(1), json!("a")], [json!(2), json!("d")], [json!(3), json!("e")]];
    assert_eq!(rows(test, "SELECT n, v FROM rows ORDER BY n").await, expected);
}

/// The rows that leave are not counted; earlier versions stay readable.
pub async fn replace_removes_every_row_before(test: &impl EngineUnderTest) {
    ingest(test, &Load::lines("{\"n\": 1}\n{\"n\": 2}\n")).await;
    let before = table(test).await;
    let staged = ingest(test, &Load::lines("{\"n\": 3}\n").mode(Mode::Replace)).await;
    assert_eq!((staged.change.added_rows, staged.change.removed_rows), (1, 0));
    assert_eq!(rows(test, "SELECT n FROM rows").await, [[json!(3)]]);
    assert_eq!(rows_at(test, before, "SELECT count(*) FROM rows").await, [[json!(2)]]);
}

/// The keys of the replaced rows are free.
pub async fn a_load_that_replaces_another_removes_its_rows(test: &impl EngineUnderTest) {
    let old = Load::lines("{\"n\": 1, \"v\": \"a\"}\n").key("n");
    ingest(test, &old).await;
    ingest(test, &Load::lines("{\"n\": 9, \"v\": \"z\"}\n").key("n")).await;
    let text = "{\"n\": 1, \"v\": \"b\"}\n{\"n\": 9, \"v\": \"y\"}\n";
    let staged = ingest(test, &Load { replaces: Some(old.id), ..Load::lines(text).key("n") }).await;
    assert_eq!(staged.quarantined, [("key exists".to_owned(), 1)]);
    assert_eq!((staged.change.added_rows, staged.change.removed_rows), (1, 1));
    let expected = [[json!(1), json!("b")], [json!(9), json!("z")]];
    assert_eq!(rows(test, "SELECT n, v FROM rows ORDER BY n").await, expected);
}

/// Null passes; a row has the reason of the first check that it fails.
pub async fn row_checks_quarantine_rows_and_warnings_only_count_them(test: &impl EngineUnderTest) {
    test.offer("a.csv", "n,v\n1,a\n-2,b\n,c\n-4,d\n");
    let mut load = Load::files(test).await.positive();
    load = load.checked("known", RowCondition::Predicate("v IN ('a', 'b', 'c')".to_owned()));
    let condition = RowCondition::Predicate("n < 1".to_owned());
    load.plan.rows.push(RowCheck { name: "small".to_owned(), condition, quarantines: false });
    let staged = stage(test, &load).await;
    assert_eq!((staged.arrived, staged.passing, staged.quarantined), (4, 2, vec![("positive".to_owned(), 2)]));
    let failed: Vec<(&str, u64)> = staged.rows.iter().map(|answer| (answer.name.as_str(), answer.failed)).collect();
    assert_eq!(failed, [("positive", 2), ("known", 1), ("small", 1)]);
    assert_eq!(staged.rows[0].samples, ["a.csv line 3: n = -2", "a.csv line 5: n = -4"]);
}

/// Every row of a repeated value fails; null passes.
pub async fn unique_and_reference_checks_find_their_rows(test: &impl EngineUnderTest) {
    ingest(test, &Load::lines("{\"n\": 1}\n{\"n\": 2}\n")).await;
    let table = table(test).await;
    let load = Load::lines("{\"n\": 1}\n{\"n\": 2}\n{\"n\": 2}\n{\"n\": 7}\n{\"n\": null}\n")
        .checked("once", RowCondition::Unique(vec!["n".to_owned()]))
        .checked("known", RowCondition::References { column: "n".to_owned(), table, target: "n".to_owned() });
    let staged = stage(test, &load).await;
    assert_eq!(staged.rows.iter().map(|answer| answer.failed).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(staged.quarantined, [("once".to_owned(), 2), ("known".to_owned(), 1)]);
}

/// Aggregates are computed over all arriving rows.
pub async fn aggregate_checks_return_their_values(test: &impl EngineUnderTest) {
    let mut load = Load::lines("{\"n\": 1}\n{\"n\": -3}\n").positive();
    for expression in ["count(*) BETWEEN 1 AND 9", "max(n) < 1", "min(n) = -3"].map(str::to_owned) {
        load.plan.aggregates.push(AggregateCheck { name: expression.clone(), expression });
    }
    let staged = stage(test, &load).await;
    let holds: Vec<Option<bool>> = staged.aggregates.iter().map(|answer| answer.holds).collect();
    assert_eq!(holds, [Some(true), Some(false), Some(true)]);
    assert_eq!(staged.aggregates[0].values, [("count(*)".to_owned(), json!(2))]);
}

/// Rows that failed a check join, unless their key is not free.
pub async fn every_row_enters_when_all_are_committed(test: &impl EngineUnderTest) {
    let text = "{\"k\": 1, \"n\": 5}\n{\"k\": 1, \"n\": -1}\n{\"k\": 2, \"n\": -2}\n";
    let load = Load::lines(text).key("k").positive();
    let staged = stage(test, &load).await;
    assert_eq!((staged.change.added_rows, staged.change_all.added_rows), (1, 2));
    let row = |k, n| [("k", Value::Int(k)), ("n", Value::Int(n))];
    assert_eq!(staged.change_all.added, sum_of(&[&row(1, 5), &row(2, -2)]));
    accepted(test.engine().commit(CommitRequest { all: true, ..commit_request(&load, 0) }).await);
    assert_eq!(rows(test, "SELECT n FROM rows ORDER BY n").await, [[json!(-2)], [json!(5)]]);
}

/// Keys are checked against the table that the commit continues from.
pub async fn a_load_is_staged_again_against_the_table_as_it_is_now(test: &impl EngineUnderTest) {
    ingest(test, &Load::lines("{\"n\": 1}\n").key("n")).await;
    let held = Load::lines("{\"n\": 2}\n{\"n\": 3}\n").key("n");
    stage(test, &held).await;
    ingest(test, &Load::lines("{\"n\": 2}\n").key("n")).await;
    let stale = refused(test.engine().commit(commit_request(&held, 2)).await);
    assert_eq!((stale.code(), stale.hint()), (ErrorCode::WrongState, Some("stage the load again")));
    let again = Load { input: StageInput::Staged, ..held };
    let staged = ingest(test, &again).await;
    assert_eq!((staged.arrived, staged.passing, staged.quarantined), (2, 1, vec![("key exists".to_owned(), 1)]));
    let unknown = Load { id: LoadId::generate(), ..again };
    assert_eq!(refused(try_stage(test, &unknown).await).code(), ErrorCode::WrongState);
}

/// The quarantine has the rows of staged loads, committed or not.
pub async fn quarantined_rows_are_written_once_and_read_latest_first(test: &impl EngineUnderTest) {
    let (old, new) = (Load::lines("{\"n\": -1}\n{\"n\": 1}\n").positive(), Load::lines("{\"n\": -2}\n").positive());
    for load in [&old, &new, &old] {
        stage(test, load).await;
        accepted(test.engine().quarantine(load.id, TABLE).await);
    }
    let page = accepted(test.engine().quarantined(TABLE, &[old.id, new.id], 10).await);
    let names: Vec<&str> = page.schema.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["_load", "_reason", "n"]);
    let row = |load: &Load, n| vec![json!(load.id.to_string()), json!("positive"), json!(n)];
    assert_eq!(page.rows, [row(&new, "-2"), row(&old, "-1")]);
    let cut = accepted(test.engine().quarantined(TABLE, &[old.id, new.id], 1).await);
    assert!(cut.truncated && cut.rows.len() == 1);
    assert!(accepted(test.engine().quarantined(TABLE, &[], 10).await).rows.is_empty());
}

/// Without `evolve`, a dataset keeps its columns; whole numbers are taken for a column of floats.
pub async fn columns_may_be_added_and_no_other_change_is_allowed(test: &impl EngineUnderTest) {
    ingest(test, &Load::lines("{\"n\": 1.5}\n")).await;
    ingest(test, &Load::lines("{\"n\": 2, \"v\": \"x\"}\n")).await;
    let expected = [[json!(1.5), json!(null)], [json!(2.0), json!("x")]];
    assert_eq!(rows(test, "SELECT n, v FROM rows ORDER BY n").await, expected);
    let narrow = Load::lines("{\"n\": 3.5}\n");
    let missing = refused(try_stage(test, &narrow).await);
    assert_eq!(missing.code(), ErrorCode::SchemaChanged);
    assert!(missing.message().contains("column `v` (text) is missing"), "{missing}");
    ingest(test, &Load { optional: vec!["v".to_owned()], ..narrow }).await;
    ingest(test, &Load { evolve: true, ..Load::lines("{\"v\": \"y\"}\n") }).await;
    assert_eq!(rows(test, "SELECT count(*) FROM rows").await, [[json!(4)]]);
    let keyless = refused(try_stage(test, &Load::lines("{\"n\": 1.5, \"v\": \"z\"}\n").key("id")).await);
    assert_eq!(keyless.code(), ErrorCode::SchemaChanged);
}

/// Errors of files name the file.
pub async fn a_broken_or_changed_file_is_refused_and_leaves_nothing_staged(test: &impl EngineUnderTest) {
    test.offer("a.csv", "n,v\n1,a\n2\n");
    let load = Load::files(test).await;
    let broken = refused(try_stage(test, &load).await);
    assert_eq!(broken.code(), ErrorCode::SourceFile);
    assert!(broken.message().contains("a.csv"), "{broken}");
    assert_eq!(refused(test.engine().commit(commit_request(&load, 0)).await).code(), ErrorCode::WrongState);
    test.offer("a.csv", "n,v\n1,a\n2,b\n3,c\n");
    assert_eq!(refused(try_stage(test, &load).await).code(), ErrorCode::FileChanged);
}

/// Types are not inferred from values, and NaN is null.
pub async fn columns_in_memory_keep_their_types(test: &impl EngineUnderTest) {
    let column = |name: &str, values| ValueColumn { name: name.to_owned(), values };
    let columns = vec![
        column("i", Values::Int(vec![1, 2])),
        column("t", Values::Text(TextColumn::encode([Some("7"), None]))),
        column("x", Values::Float(vec![1.5, f64::NAN])),
    ];
    let staged = ingest(test, &Load::of(StageInput::Columns(columns.into()))).await;
    let classes: Vec<&TypeClass> = staged.schema.fields.iter().map(|field| &field.class).collect();
    assert_eq!(classes, [&TypeClass::Int, &TypeClass::Text, &TypeClass::Float]);
    let expected = [[json!(1), json!("7"), json!(1.5)], [json!(2), json!(null), json!(null)]];
    assert_eq!(rows(test, "SELECT i, t, x FROM rows ORDER BY i").await, expected);
}

/// `pause_writes`: reads continue.
pub async fn writes_wait_while_they_are_paused(test: &impl EngineUnderTest) {
    let load = Load::lines("{\"n\": 1}\n");
    stage(test, &load).await;
    let pause = test.engine().pause_writes().await;
    let mut committing = pin!(test.engine().commit(commit_request(&load, 0)));
    let poll = committing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(poll, Poll::Pending));
    assert_eq!(number(test).await, 0);
    drop(pause);
    accepted(committing.await);
    assert_eq!(number(test).await, 1);
}
