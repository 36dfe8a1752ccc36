//! Datasets, loads and their versions: what recovery and pipelines rely on.

use perennial_core::ErrorCode;
use perennial_core::entity::{CheckResult, Dataset, Load, LoadOrigin, PinHolder, Profile, SourceFileRecord};
use perennial_core::id::LoadId;
use perennial_core::port::data::{Mode, Severity};
use perennial_core::rule::Verdict;
use perennial_core::state::{LoadEvent, LoadState};
use perennial_store::{check_results, dataset_versions, datasets, loads, source_files};
use serde_json::json;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, dataset, intent, load, project, version};

on_both! {
    a_dataset_is_found_by_its_name_in_its_project,
    a_load_reads_back_as_it_was_staged,
    a_dataset_has_one_open_intent,
    a_commit_makes_the_version_and_closes_the_intent,
    versions_follow_each_other_without_holes,
    a_held_load_is_released_or_replaced,
    a_held_load_is_checked_again,
    a_committed_load_is_found_by_what_brought_it,
    loads_are_listed_newest_first,
    rows_set_aside_count_once_their_load_is_held_or_committed,
    a_pinned_version_is_kept_until_its_time,
    what_was_seen_of_a_file_is_kept,
    checks_and_profiles_belong_to_a_load,
}

pub(crate) async fn stage(db: &Db, load: &Load) {
    let load = load.clone();
    write_tx!(db.store, tx => { Ok(loads::insert(tx, &load).await?) }).unwrap();
}

pub(crate) async fn begin(db: &Db, load: &Load, number: i64, event: LoadEvent) -> perennial_core::Result<()> {
    let intent = intent(load, number);
    write_tx!(db.store, tx => { Ok(loads::begin(tx, &intent, event, NOW).await?) })
}

pub(crate) async fn commit(db: &Db, load: &Load, number: i64) -> perennial_core::Result<()> {
    let (id, version) = (load.id, version(load, number));
    write_tx!(db.store, tx => { Ok(loads::commit(tx, id, &version, 98, 2, NOW + 1).await?) })
}

async fn get(db: &Db, id: LoadId) -> Load {
    let mut reader = db.store.read().await.unwrap();
    loads::get(&mut reader, id).await.unwrap()
}

async fn a_dataset_is_found_by_its_name_in_its_project(db: &Db) {
    let (one, two) = (project(&db.store, "one").await, project(&db.store, "two").await);
    let first = dataset(&db.store, one.id, "schedule").await;
    let second = dataset(&db.store, two.id, "schedule").await;
    let again = Dataset { id: perennial_core::id::DatasetId::generate(), ..first.clone() };
    let refused = write_tx!(db.store, tx => { Ok(datasets::insert(tx, &again).await?) }).unwrap_err();
    assert_eq!((refused.code(), refused.message()), (ErrorCode::AlreadyExists, "dataset `schedule` already exists"));
    let id = first.id;
    write_tx!(db.store, tx => { Ok(datasets::declare(tx, id, Mode::Merge, &vec![]).await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    let found = datasets::get_by_name(&mut reader, one.id, &first.name).await.unwrap();
    assert_eq!(found, Dataset { mode: Mode::Merge, key_columns: vec![], ..first });
    assert_eq!(datasets::list(&mut reader, two.id).await.unwrap(), [second]);
}

async fn a_load_reads_back_as_it_was_staged(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let staged =
        Load { replaces: Some(LoadId::generate()), message: Some("é\n'\"\\".to_owned()), ..load(&dataset, "a.csv") };
    stage(db, &staged).await;
    assert_eq!(get(db, staged.id).await, staged);
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(loads::find_by_path(&mut reader, dataset.id, "a.csv").await.unwrap(), Some(staged));
    let missing = loads::get(&mut reader, LoadId::generate()).await.unwrap_err();
    assert!(missing.to_string().starts_with("load `"), "{missing}");
}

async fn a_dataset_has_one_open_intent(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let (one, two) = (load(&dataset, "a"), load(&dataset, "b"));
    stage(db, &one).await;
    stage(db, &two).await;
    begin(db, &one, 1, LoadEvent::Begin).await.unwrap();
    let refused = begin(db, &two, 1, LoadEvent::Begin).await.unwrap_err();
    assert_eq!(refused.message(), format!("open intent of dataset `{}` already exists", dataset.id));
    assert_eq!(get(db, two.id).await.state, LoadState::Staged, "the refused one stays as it was");
    let mut reader = db.store.read().await.unwrap();
    let open = loads::find_intent(&mut reader, dataset.id).await.unwrap().unwrap();
    assert_eq!(open, intent(&one, 1));
    drop(reader);

    let given_up = intent(&one, 1);
    write_tx!(db.store, tx => { Ok(loads::abandon(tx, &given_up, "the table is gone", NOW).await?) }).unwrap();
    let failed = get(db, one.id).await;
    assert_eq!((failed.state, failed.message.as_deref()), (LoadState::Failed, Some("the table is gone")));
    begin(db, &two, 1, LoadEvent::Begin).await.unwrap();
}

async fn a_commit_makes_the_version_and_closes_the_intent(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let one = load(&dataset, "a");
    stage(db, &one).await;
    commit(db, &one, 1).await.unwrap_err();
    begin(db, &one, 1, LoadEvent::Begin).await.unwrap();
    commit(db, &one, 1).await.unwrap();
    let committed = get(db, one.id).await;
    let expected =
        Load { state: LoadState::Committed, number: Some(1), staged: None, settled_ms: Some(NOW + 1), ..one.clone() };
    assert_eq!(committed, expected);
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(loads::find_intent(&mut reader, dataset.id).await.unwrap(), None);
    assert_eq!(dataset_versions::find_latest(&mut reader, dataset.id).await.unwrap(), Some(version(&one, 1)));
    assert_eq!(dataset_versions::list_latest(&mut reader, project.id).await.unwrap(), [version(&one, 1)]);
    drop(reader);
    let again = commit(db, &one, 2).await.unwrap_err();
    assert_eq!(again.message(), "a load that is `committed` does not take `commit`");
}

async fn versions_follow_each_other_without_holes(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    for number in 1..=5 {
        let one = load(&dataset, &number.to_string());
        stage(db, &one).await;
        begin(db, &one, number + 1, LoadEvent::Begin).await.unwrap_err();
        begin(db, &one, number, LoadEvent::Begin).await.unwrap();
        commit(db, &one, number + 1).await.unwrap_err();
        commit(db, &one, number).await.unwrap();
    }
    let mut reader = db.store.read().await.unwrap();
    let page = dataset_versions::list(&mut reader, dataset.id, None, 3).await.unwrap();
    let numbers: Vec<i64> = page.items.iter().map(|version| version.number).collect();
    assert_eq!((numbers, page.next.as_deref()), (vec![5, 4, 3], Some("3")));
    let page = dataset_versions::list(&mut reader, dataset.id, Some(3), 3).await.unwrap();
    assert_eq!((page.items.len(), page.next), (2, None));
    let found = dataset_versions::find_by_digest(&mut reader, dataset.id, "digest 4").await.unwrap().unwrap();
    assert_eq!(found.number, 4);
}

async fn a_held_load_is_released_or_replaced(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let (one, two) = (load(&dataset, "a"), load(&dataset, "a"));
    stage(db, &one).await;
    let id = one.id;
    let state =
        write_tx!(db.store, tx => { Ok(loads::apply(tx, id, LoadEvent::Hold, Some("volume"), NOW).await?) }).unwrap();
    assert_eq!(state, LoadState::Held);
    stage(db, &two).await;
    let by = two.id;
    write_tx!(db.store, tx => { Ok(loads::replace(tx, id, by, NOW).await?) }).unwrap();
    let replaced = get(db, id).await;
    assert_eq!(
        (replaced.state, replaced.replaced_by, replaced.message.as_deref()),
        (LoadState::Replaced, Some(by), None)
    );
    begin(db, &replaced, 1, LoadEvent::Accept).await.unwrap_err();

    write_tx!(db.store, tx => { Ok(loads::apply(tx, by, LoadEvent::Hold, None, NOW).await?) }).unwrap();
    begin(db, &two, 1, LoadEvent::Begin).await.unwrap_err();
    begin(db, &two, 1, LoadEvent::Commit).await.unwrap_err();
    begin(db, &two, 1, LoadEvent::Accept).await.unwrap();
    commit(db, &two, 1).await.unwrap();
}

async fn a_held_load_is_checked_again(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let one = load(&dataset, "a");
    stage(db, &one).await;
    let again = Load { passing: 90, set_aside: 10, reasons: json!({"key exists": 10}), staged: Some(json!([])), ..one };
    let checked = again.clone();
    write_tx!(db.store, tx => { Ok(loads::update_staging(tx, &checked).await?) }).unwrap_err();
    let id = again.id;
    write_tx!(db.store, tx => { Ok(loads::apply(tx, id, LoadEvent::Hold, None, NOW).await?) }).unwrap();
    let checked = again.clone();
    write_tx!(db.store, tx => { Ok(loads::update_staging(tx, &checked).await?) }).unwrap();
    let held = Load { state: LoadState::Held, settled_ms: Some(NOW), ..again };
    assert_eq!(get(db, id).await, held);
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(loads::list_open_ids(&mut reader).await.unwrap(), [held.id], "its rows still lie staged");
}

async fn a_committed_load_is_found_by_what_brought_it(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let segment =
        Load { origin: LoadOrigin::Predictions, origin_id: Some("p/delay/7".to_owned()), ..load(&dataset, "a") };
    stage(db, &segment).await;
    begin(db, &segment, 1, LoadEvent::Begin).await.unwrap();
    let find = async |origin: LoadOrigin, id: &str| {
        let mut reader = db.store.read().await.unwrap();
        let found = loads::find_committed_by_origin(&mut reader, dataset.id, origin, id).await.unwrap();
        found.map(|load| load.id)
    };
    assert_eq!(find(LoadOrigin::Predictions, "p/delay/7").await, None, "not while its commit is under way");
    commit(db, &segment, 1).await.unwrap();
    assert_eq!(find(LoadOrigin::Predictions, "p/delay/7").await, Some(segment.id));
    assert_eq!(find(LoadOrigin::Predictions, "p/delay/8").await, None);
    assert_eq!(find(LoadOrigin::Step, "p/delay/7").await, None);
}

async fn loads_are_listed_newest_first(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let mut ids = Vec::new();
    for number in 0..7 {
        let one = Load { project_ms: NOW - number, ..load(&dataset, &number.to_string()) };
        stage(db, &one).await;
        ids.push(one.id);
    }
    ids.reverse();
    let mut reader = db.store.read().await.unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = loads::list(&mut reader, dataset.id, after.as_deref(), 3).await.unwrap();
        seen.extend(page.items.iter().map(|load| load.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let page = loads::list(&mut reader, dataset.id, None, 0).await.unwrap();
    assert_eq!(page.items.len(), 1, "a page has at least one");
    assert_eq!(loads::list_open(&mut reader, dataset.id).await.unwrap().len(), 7);
    let latest = loads::find_latest_arrival(&mut reader, dataset.id).await.unwrap().unwrap();
    assert_eq!(latest.id, ids[6], "by the project clock");
}

async fn rows_set_aside_count_once_their_load_is_held_or_committed(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let clean = Load { set_aside: 0, ..load(&dataset, "clean") };
    let [committed, held, staged, failed] = ["committed", "held", "staged", "failed"].map(|path| load(&dataset, path));
    for one in [&committed, &held, &staged, &failed, &clean] {
        stage(db, one).await;
    }
    begin(db, &committed, 1, LoadEvent::Begin).await.unwrap();
    commit(db, &committed, 1).await.unwrap();
    for (id, event) in [(held.id, LoadEvent::Hold), (clean.id, LoadEvent::Hold), (failed.id, LoadEvent::Fail)] {
        write_tx!(db.store, tx => { Ok(loads::apply(tx, id, event, None, NOW).await?) }).unwrap();
    }
    let mut reader = db.store.read().await.unwrap();
    let counted = loads::list_set_aside(&mut reader, dataset.id, 10).await.unwrap();
    assert_eq!(counted.iter().map(|load| load.id).collect::<Vec<_>>(), [held.id, committed.id]);
    assert_eq!(loads::list_set_aside(&mut reader, dataset.id, 1).await.unwrap().len(), 1);
}

async fn a_pinned_version_is_kept_until_its_time(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    for number in 1..=3 {
        let one = load(&dataset, &number.to_string());
        stage(db, &one).await;
        begin(db, &one, number, LoadEvent::Begin).await.unwrap();
        commit(db, &one, number).await.unwrap();
    }
    let id = dataset.id;
    write_tx!(db.store, tx => {
        dataset_versions::pin(tx, id, 1, PinHolder::Release, "r", None).await?;
        dataset_versions::pin(tx, id, 2, PinHolder::Evidence, "e", Some(NOW)).await?;
        dataset_versions::pin(tx, id, 2, PinHolder::Evidence, "e", Some(NOW + 5)).await?;
        Ok(())
    })
    .unwrap();
    let mut reader = db.store.read().await.unwrap();
    for (at, expected) in [(NOW + 4, vec![1, 2]), (NOW + 5, vec![1])] {
        let pinned = dataset_versions::list_pinned(&mut reader, id, at, 0, 9).await.unwrap();
        assert_eq!(pinned.items.iter().map(|version| version.number).collect::<Vec<_>>(), expected);
    }
}

async fn what_was_seen_of_a_file_is_kept(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let file = |path: &str, size_bytes| SourceFileRecord {
        dataset_id: dataset.id,
        path: path.to_owned(),
        size_bytes,
        modified_ns: Some(1_372_636_800_000_000_001),
        etag: None,
        content_digest: "c".to_owned(),
        load_id: Some(LoadId::generate()),
        seen_ms: NOW,
    };
    let (one, two, three) = (file("b", 1), file("a", 2), file("b", 3));
    for file in [one, two.clone(), three.clone()] {
        write_tx!(db.store, tx => { Ok(source_files::upsert(tx, &file).await?) }).unwrap();
    }
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(source_files::list(&mut reader, dataset.id).await.unwrap(), [two.clone(), three]);
    drop(reader);
    write_tx!(db.store, tx => { Ok(source_files::delete(tx, two.dataset_id, "b").await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(source_files::list(&mut reader, dataset.id).await.unwrap().len(), 1);
}

async fn checks_and_profiles_belong_to_a_load(db: &Db) {
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let one = load(&dataset, "a");
    stage(db, &one).await;
    let result = |name: &str, verdict| CheckResult {
        load_id: one.id,
        name: name.to_owned(),
        project_id: project.id,
        dataset_id: dataset.id,
        severity: Severity::Warn,
        verdict,
        answer: json!({"failed": 2, "samples": ["x"]}),
        wall_ms: NOW,
    };
    let profile =
        Profile { load_id: one.id, project_id: project.id, dataset_id: dataset.id, body: json!([{"name": "late"}]) };
    let (first, second, again) =
        (result("volume", Verdict::Unknown), result("origin", Verdict::Fail), result("volume", Verdict::Pass));
    for result in [first, second.clone(), again.clone()] {
        write_tx!(db.store, tx => { Ok(check_results::upsert(tx, &result).await?) }).unwrap();
    }
    let kept = profile.clone();
    write_tx!(db.store, tx => { Ok(check_results::upsert_profile(tx, &kept).await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(check_results::list(&mut reader, one.id).await.unwrap(), [second, again]);
    assert_eq!(check_results::list_of_dataset(&mut reader, dataset.id, one.id).await.unwrap().len(), 2);
    assert_eq!(check_results::find_profile(&mut reader, one.id).await.unwrap(), Some(profile.clone()));
    assert_eq!(
        check_results::find_latest_profile(&mut reader, dataset.id).await.unwrap(),
        None,
        "nothing is committed yet"
    );
    drop(reader);
    begin(db, &one, 1, LoadEvent::Begin).await.unwrap();
    commit(db, &one, 1).await.unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(check_results::find_latest_profile(&mut reader, dataset.id).await.unwrap(), Some(profile));
}
