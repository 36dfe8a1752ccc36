//! Which files of a source are loaded: new ones, once; changed ones as declared.

use perennial_core::ErrorCode;
use perennial_core::state::LoadState;
use perennial_ingest::collect::Collected;
use perennial_ingest::datasets::Load;
use perennial_projects::source_grants;
use perennial_store::{datasets as dataset_rows, source_files};

use crate::support::{FLOWN, TestProject, name};

/// [`FLOWN`] with more declared at its source.
fn source(declared: &str) -> String {
    FLOWN.replace("\"*.csv\"", &format!("\"*.csv\", {declared}"))
}

/// The paths of the files of loads; those of one load are joined by spaces.
fn paths(loads: &[(perennial_core::name::DatasetName, Load)]) -> Vec<String> {
    loads.iter().map(|(_, load)| load.paths().collect::<Vec<_>>().join(" ")).collect()
}

fn failures(collected: &Collected) -> Vec<ErrorCode> {
    collected.failed.iter().map(|(_, error)| error.code()).collect()
}

/// Removes the stat cache entry of a file.
async fn uncache(test: &TestProject, path: &'static str) {
    let store = test.test.app.kernel.store();
    let dataset = dataset_rows::find_by_name(&mut store.read().await.unwrap(), test.project.id, &name("flown")).await;
    let id = dataset.unwrap().unwrap().id;
    store.write(move |tx| Box::pin(async move { Ok(source_files::delete(tx, id, path).await?) })).await.unwrap();
}

#[tokio::test]
async fn each_file_is_one_load_in_order_of_their_paths() {
    let test = TestProject::start(FLOWN).await;
    test.offer(&[("b.csv", "n\n2\n"), ("a.csv", "n\n1\n")]);
    let (collected, events) = test.collect_with_events().await;
    assert_eq!(paths(&collected.committed), ["a.csv", "b.csv"]);
    let expected = ["flown: a.csv started", "flown: a.csv ended", "flown: b.csv started", "flown: b.csv ended"];
    assert_eq!(events, expected);
    assert_eq!((test.values("SELECT n FROM flown ORDER BY n").await.as_str(), test.number("flown").await), ("1 2", 2));
}

#[tokio::test]
async fn a_source_without_files_is_reported_until_its_dataset_has_rows() {
    let test = TestProject::start(FLOWN).await;
    assert_eq!(test.collect_with_events().await.1, ["flown: no files at *.csv"]);
    test.load("a.csv", "n\n1\n").await;
    test.test.data.remove_file("a.csv");
    let (collected, events) = test.collect_with_events().await;
    assert!(collected.is_idle() && events.is_empty(), "{events:?}");
    assert_eq!(test.number("flown").await, 1, "the rows of a removed file stay");
}

#[tokio::test]
async fn unchanged_content_is_loaded_once_and_read_again_only_when_its_file_was_touched() {
    let test = TestProject::start(FLOWN).await;
    test.load("a.csv", "n\n1\n").await;
    test.test.data.take_fingerprinted();
    assert!(test.collect().await.is_idle());
    assert!(test.test.data.take_fingerprinted().is_empty(), "size and time are unchanged");
    test.test.data.touch("a.csv");
    assert!(test.collect().await.is_idle());
    assert_eq!(test.test.data.take_fingerprinted(), ["a.csv"]);
    assert!(test.collect().await.is_idle());
    assert!(test.test.data.take_fingerprinted().is_empty(), "the new time is cached");
    assert_eq!(test.number("flown").await, 1);
}

#[tokio::test]
async fn a_file_of_the_same_size_is_compared_by_its_content() {
    let test = TestProject::start(FLOWN).await;
    test.load("a.csv", "n\n1\n").await;
    test.offer(&[("a.csv", "n\n2\n")]);
    assert_eq!(failures(&test.collect().await), [ErrorCode::FileChanged]);
}

#[tokio::test]
async fn a_committed_file_with_other_content_is_refused_and_does_not_affect_others() {
    let test = TestProject::start(FLOWN).await;
    test.load("a.csv", "n\n1\n").await;
    test.offer(&[("a.csv", "n\n9\n10\n"), ("b.csv", "n\n2\n")]);
    let collected = test.collect().await;
    assert_eq!(
        (failures(&collected), paths(&collected.committed)),
        (vec![ErrorCode::FileChanged], vec!["b.csv".to_owned()])
    );
    let error = &collected.failed[0].1;
    assert_eq!(error.message(), "file `a.csv` of dataset `flown` was loaded before, and its content has changed");
    assert!(error.hint().unwrap().contains("on_change = \"replace\""), "{:?}", error.hint());
    assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, "1 2");
}

#[tokio::test]
async fn a_changed_file_replaces_its_rows_where_that_is_declared() {
    let test = TestProject::start(&source("on_change = \"replace\"")).await;
    test.offer(&[("a.csv", "n\n1\n2\n"), ("b.csv", "n\n3\n")]);
    test.collect().await;
    let load = test.load("a.csv", "n\n2\n4\n").await;
    assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, "2 3 4");
    let states = test.states("flown").await;
    assert_eq!(states, [LoadState::Committed, LoadState::Committed, LoadState::Committed]);
    assert_eq!(load.replaces, Some(test.loads("flown").await[0].id));
    assert_eq!(test.versions("flown").await[0].row_count, 3);
}

#[tokio::test]
async fn an_unreadable_file_does_not_affect_others_where_rows_are_added() {
    for (mode, loaded) in [("append", 1), ("merge", 0)] {
        let file = FLOWN.replace("append", mode).replace("mode =", "key = [\"n\"]\nmode =");
        let test = TestProject::start(&file).await;
        test.offer(&[("a.csv", "n\n1\n"), ("b.csv", "n\n2\n")]);
        test.test.data.make_unreadable("a.csv");
        let collected = test.collect().await;
        assert_eq!((failures(&collected), collected.committed.len()), (vec![ErrorCode::SourceFile], loaded), "{mode}");
        test.offer(&[("a.csv", "n\n1\n")]);
        test.collect().await;
        assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, "1 2", "{mode}");
    }
}

#[tokio::test]
async fn a_broken_file_does_not_affect_others_where_rows_are_added() {
    let test = TestProject::start(FLOWN).await;
    test.offer(&[("a.csv", "n,v\n1,a\n2\n"), ("b.csv", "n,v\n3,b\n")]);
    let collected = test.collect().await;
    assert_eq!(
        (failures(&collected), paths(&collected.committed)),
        (vec![ErrorCode::SourceFile], vec!["b.csv".to_owned()])
    );
    assert!(test.test.data.staged_loads().is_empty());
}

#[tokio::test]
async fn a_source_that_cannot_be_listed_does_not_affect_other_datasets() {
    let file = format!(
        "{}\n{}",
        FLOWN.replace("*.csv", "flown/*.csv"),
        "[datasets.planes]\nsource = { files = \"planes/*.csv\" }\nmode = \"append\"\n"
    );
    let test = TestProject::start(&file).await;
    test.offer(&[("flown/a.csv", "n\n1\n"), ("planes/a.csv", "n\n1\n")]);
    test.test.data.fail_next(perennial_testkit::fakes::Call::List);
    let collected = test.collect().await;
    assert_eq!((failures(&collected), collected.committed.len()), (vec![ErrorCode::Storage], 1));
    assert_eq!(test.collect().await.committed.len(), 1, "the other is collected the next time");
}

#[tokio::test]
async fn all_new_files_are_one_load_in_a_batch() {
    let test = TestProject::start(&source("batch = \"all\"")).await;
    test.offer(&[("b.csv", "n\n2\n"), ("a.csv", "n\n1\n")]);
    assert_eq!(paths(&test.collect().await.committed), ["a.csv b.csv"]);
    test.offer(&[("c.csv", "n\n3\n")]);
    assert_eq!(paths(&test.collect().await.committed), ["c.csv"]);
    assert!(test.collect().await.is_idle());
    assert_eq!(
        (test.values("SELECT n FROM flown ORDER BY n").await.as_str(), test.number("flown").await),
        ("1 2 3", 2)
    );
}

#[tokio::test]
async fn files_of_a_batch_are_known_without_their_stat_cache_entries() {
    let test = TestProject::start(&source("batch = \"all\"")).await;
    test.offer(&[("a.csv", "n\n1\n"), ("b.csv", "n\n2\n")]);
    test.collect().await;
    for missing in [&["a.csv"][..], &["a.csv", "b.csv"]] {
        for path in missing {
            uncache(&test, path).await;
        }
        assert!(test.collect().await.is_idle(), "{missing:?}");
        test.test.data.take_fingerprinted();
        assert!(test.collect().await.is_idle(), "{missing:?}");
        assert!(test.test.data.take_fingerprinted().is_empty(), "they are cached again");
    }
}

#[tokio::test]
async fn a_changed_file_of_a_batch_is_refused_with_or_without_its_stat_cache_entry() {
    for is_cached in [true, false] {
        let test = TestProject::start(&source("batch = \"all\"")).await;
        test.offer(&[("a.csv", "n\n1\n"), ("b.csv", "n\n2\n")]);
        test.collect().await;
        if !is_cached {
            uncache(&test, "b.csv").await;
        }
        test.offer(&[("b.csv", "n\n33\n")]);
        let collected = test.collect().await;
        assert_eq!(failures(&collected), [ErrorCode::FileChanged]);
        assert!(collected.failed[0].1.message().contains("`b.csv`"), "{}", collected.failed[0].1);
    }
}

#[tokio::test]
async fn a_changed_file_of_a_batch_replaces_the_rows_of_the_whole_batch() {
    let test = TestProject::start(&source("batch = \"all\", on_change = \"replace\"")).await;
    test.offer(&[("a.csv", "n\n1\n"), ("b.csv", "n\n2\n")]);
    test.collect().await;
    test.offer(&[("b.csv", "n\n3\n4\n"), ("c.csv", "n\n5\n")]);
    assert_eq!(paths(&test.collect().await.committed), ["a.csv b.csv", "c.csv"]);
    assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, "1 3 4 5");
}

#[tokio::test]
async fn pending_files_are_counted_and_nothing_is_loaded() {
    let test = TestProject::start(FLOWN).await;
    let pending = async || {
        let submission = test.project.submission().unwrap();
        let pending =
            test.test.app.ingest.pending_files(&test.test.system(), &test.project, &submission, None).await.unwrap();
        pending.iter().map(|files| format!("{} {}", files.dataset, files.describe())).collect::<Vec<_>>()
    };
    assert!(pending().await.is_empty());
    test.offer(&[("a.csv", "n\n1\n")]);
    assert_eq!(pending().await, ["flown 1 new file"]);
    assert_eq!(test.number("flown").await, 0);
    test.collect().await;
    assert!(pending().await.is_empty());
    test.offer(&[("b.csv", "n\n2\n"), ("c.csv", "n\n3\n")]);
    assert_eq!(pending().await, ["flown 2 new files"]);
    test.offer(&[("a.csv", "n\n11\n")]);
    let problem = "file `a.csv` of dataset `flown` was loaded before, and its content has changed";
    assert_eq!(pending().await, [format!("flown cannot be collected: {problem}")]);
}

#[tokio::test]
async fn a_load_stores_its_files_with_their_positions_and_contents() {
    let test = TestProject::start(&source("batch = \"all\"")).await;
    test.offer(&[("b\nc.csv", "n\n2\n"), ("a.csv", "n\n1\n")]);
    let collected = test.collect().await;
    let files = &collected.committed[0].1.files;
    assert_eq!(files, &test.loads("flown").await[0].files);
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a.csv", "b\nc.csv"]);
    let digest = |content: &str| Some(blake3::hash(content.as_bytes()).to_hex().to_string());
    assert_eq!(files[0].content_digest, digest("n\n1\n"));
    assert!(files.iter().all(|file| file.position.is_some()));
    uncache(&test, "a.csv").await;
    test.test.data.take_fingerprinted();
    assert!(test.collect().await.is_idle());
    assert_eq!(test.test.data.take_fingerprinted(), ["a.csv"], "the contents of the other files are known");
}

#[tokio::test]
async fn a_changed_listing_is_noticed_once() {
    let test = TestProject::start(FLOWN).await;
    let changed = async || test.test.app.ingest.sources_changed(&test.project).await.unwrap();
    assert!(changed().await, "it was never listed");
    assert!(!changed().await);
    test.offer(&[("a.csv", "n\n1\n")]);
    assert!(changed().await);
    assert!(!changed().await);
    test.test.data.touch("a.csv");
    assert!(changed().await);
    test.test.data.remove_file("a.csv");
    assert!(changed().await);
    test.test.data.fail_next(perennial_testkit::fakes::Call::List);
    assert!(!changed().await, "an empty listing again: the error is reported by collecting");
}

#[tokio::test]
async fn a_source_in_an_object_store_is_listed_once_a_minute() {
    let test = TestProject::start(&FLOWN.replace("*.csv", "s3://bucket/*.csv")).await;
    let changed = async || test.test.app.ingest.sources_changed(&test.project).await.unwrap();
    assert!(changed().await);
    test.offer(&[("s3://bucket/a.csv", "n\n1\n")]);
    test.test.clock.advance(59_999);
    assert!(!changed().await);
    test.test.clock.advance(1);
    assert!(changed().await);
}

#[tokio::test]
async fn a_source_that_is_no_longer_granted_is_not_read() {
    let test = TestProject::start(&FLOWN.replace("*.csv", "s3://bucket/in/*.csv")).await;
    test.offer(&[("s3://bucket/in/a.csv", "n\n1\n")]);
    assert_eq!(test.collect().await.committed.len(), 1);
    test.offer(&[("s3://bucket/in/b.csv", "n\n2\n")]);
    let system = test.test.system();
    source_grants::deny(&system, &test.project, "s3://bucket/in/").await.unwrap();
    let collected = test.collect().await;
    assert!(collected.committed.is_empty());
    let [(dataset, error)] = &collected.failed[..] else { panic!("one source fails") };
    assert_eq!((dataset.as_str(), error.code()), ("flown", ErrorCode::PermissionDenied));
    assert!(error.hint().unwrap().contains("perennial sources allow"), "{:?}", error.hint());
    source_grants::allow(&system, &test.project, "s3://bucket/").await.unwrap();
    assert_eq!(test.collect().await.committed.len(), 1);
}
