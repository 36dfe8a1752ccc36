//! Lists of things that grow: a limit, a cursor or a count, and an index for what the console reads on every page.

use std::collections::BTreeMap;

use perennial_core::entity::{Alert, AlertSubject, CheckResult, MonitorResult, MonitorResultKind, PredictionSegment};
use perennial_core::id::{AlertId, ProjectId};
use perennial_core::port::data::Severity;
use perennial_core::rule::Verdict;
use perennial_core::state::{AlertEvent, AlertState, SegmentState};
use perennial_store::{
    alerts, check_results, dataset_versions, decisions, loads, model_versions, monitor_results, prediction_segments,
    promotions, registered_models, releases,
};
use serde_json::json;
use sqlx::{Connection, Row, SqliteConnection};

use crate::data::{begin, commit, stage};
use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, dataset, load, project};
use crate::registry::{make_version, model, register};
use crate::release::{decide, promote};

on_both! {
    open_alerts_are_read_page_by_page,
    open_alerts_about_one_thing_are_found_without_the_resolved_ones,
    firing_alerts_are_counted_and_the_newest_listed,
    results_of_the_newest_windows_are_listed,
    the_latest_result_of_each_monitor_is_found_in_one_query,
    the_latest_revisions_of_a_window_are_listed,
    the_latest_load_of_each_dataset_is_found_with_its_checks,
    versions_of_a_model_are_read_page_by_page,
    models_are_read_page_by_page,
    the_newest_decisions_releases_and_promotions_of_a_version_are_listed,
    a_decision_is_found_by_its_evidence,
    pinned_versions_are_read_page_by_page,
    the_oldest_sealed_segments_are_listed,
}

/// Fires an alert about a monitor.
async fn fire(db: &Db, project: ProjectId, monitor: &str, name: &str, window_start_ms: i64) -> Alert {
    let alert = Alert {
        id: AlertId::generate(),
        project_id: project,
        subject: AlertSubject::Monitor(monitor.parse().unwrap()),
        name: name.to_owned(),
        window_start_ms,
        number: None,
        expression: None,
        facts: json!({}),
        message: format!("{monitor}.{name} at {window_start_ms}"),
        state: AlertState::Firing,
        wall_ms: NOW,
        project_ms: NOW,
        settled_ms: None,
    };
    let fired = alert.clone();
    assert!(write_tx!(db.store, tx => { Ok(alerts::fire(tx, &fired).await?) }).unwrap());
    alert
}

async fn apply(db: &Db, alert: &Alert, event: AlertEvent) {
    let id = alert.id;
    write_tx!(db.store, tx => { Ok(alerts::apply(tx, id, event, NOW).await?) }).unwrap();
}

fn ids(alerts: &[Alert]) -> Vec<AlertId> {
    alerts.iter().map(|alert| alert.id).collect()
}

async fn open_alerts_are_read_page_by_page(db: &Db) {
    let (project, other) = (project(&db.store, "p").await.id, project(&db.store, "other").await.id);
    fire(db, other, "delay", "stale", 0).await;
    let mut all = Vec::new();
    for window in 0..5 {
        all.push(fire(db, project, "delay", "stale", window).await);
    }
    apply(db, &all[1], AlertEvent::Resolve).await;
    apply(db, &all[3], AlertEvent::Acknowledge).await;
    let mut reader = db.store.read().await.unwrap();
    let first = alerts::list_open(&mut reader, project, None, 3).await.unwrap();
    assert_eq!(ids(&first.items), [all[0].id, all[2].id, all[3].id], "an acknowledged alert is open");
    let second = alerts::list_open(&mut reader, project, first.next.as_deref(), 3).await.unwrap();
    assert_eq!((ids(&second.items), second.next), (vec![all[4].id], None));
}

async fn open_alerts_about_one_thing_are_found_without_the_resolved_ones(db: &Db) {
    let project = project(&db.store, "p").await.id;
    let mut stale = Vec::new();
    for window in [30, 10, 20, 0] {
        stale.push(fire(db, project, "delay", "stale", window).await);
    }
    fire(db, project, "delay", "drifted", 0).await;
    fire(db, project, "other", "stale", 0).await;
    apply(db, &stale[3], AlertEvent::Resolve).await;
    let subject = AlertSubject::Monitor("delay".parse().unwrap());
    let mut reader = db.store.read().await.unwrap();
    for (limit, expected) in [(9, vec![stale[1].id, stale[2].id, stale[0].id]), (2, vec![stale[1].id, stale[2].id])] {
        let found = alerts::list_open_about(&mut reader, project, (&subject, "stale"), limit).await.unwrap();
        assert_eq!(ids(&found), expected, "the first {limit} by window");
    }
}

async fn firing_alerts_are_counted_and_the_newest_listed(db: &Db) {
    let project = project(&db.store, "p").await.id;
    assert_eq!(alerts::count_firing(&mut db.store.read().await.unwrap(), project).await.unwrap(), 0);
    let mut all = Vec::new();
    for window in 0..5 {
        all.push(fire(db, project, "delay", "stale", window).await);
    }
    apply(db, &all[0], AlertEvent::Resolve).await;
    apply(db, &all[4], AlertEvent::Acknowledge).await;
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(alerts::count_firing(&mut reader, project).await.unwrap(), 3);
    assert_eq!(alerts::count_firing_by_project(&mut reader).await.unwrap(), BTreeMap::from([(project, 3)]));
    let newest = alerts::list_firing(&mut reader, project, 2).await.unwrap();
    assert_eq!(ids(&newest), [all[3].id, all[2].id]);
}

/// The count and the lists of open alerts read an index that resolved alerts are not in.
#[tokio::test]
async fn open_alerts_have_an_index_of_their_own() {
    let db = Db::sqlite().await;
    let mut conn = SqliteConnection::connect(&db.url).await.unwrap();
    for (query, index) in [
        (include_str!("../../queries/alerts/count_firing.sql"), "COVERING INDEX alerts_open "),
        (include_str!("../../queries/alerts/list_firing.sql"), "INDEX alerts_open "),
        (include_str!("../../queries/alerts/list_open.sql"), "INDEX alerts_open "),
        (include_str!("../../queries/alerts/list_open_about.sql"), "INDEX alerts_open_by_subject "),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
        let rows = sqlx::raw_sql(explain).fetch_all(&mut conn).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let reads: Vec<&String> = plan.iter().filter(|step| step.contains(" alerts USING ")).collect();
        assert!(!reads.is_empty() && reads.iter().all(|step| step.contains(index)), "{query}: {plan:?}");
    }
    db.finish().await;
}

/// A result of a monitor in a window.
async fn result(db: &Db, project: ProjectId, monitor: &str, window: i64, kind: MonitorResultKind, revision: i64) {
    let result = MonitorResult {
        project_id: project,
        monitor: monitor.parse().unwrap(),
        window_start_ms: window,
        window_end_ms: window + 10,
        number: 1,
        kind,
        revision,
        facts: json!({}),
        wall_ms: NOW,
        project_ms: NOW,
    };
    write_tx!(db.store, tx => { Ok(monitor_results::insert(tx, &result).await?) }).unwrap();
}

/// Window and revision of each result.
fn windows(results: &[MonitorResult]) -> Vec<(i64, i64)> {
    results.iter().map(|result| (result.window_start_ms, result.revision)).collect()
}

async fn results_of_the_newest_windows_are_listed(db: &Db) {
    let project = project(&db.store, "p").await.id;
    for window in [0, 10, 20, 30] {
        result(db, project, "delay", window, MonitorResultKind::Inputs, 1).await;
    }
    result(db, project, "delay", 20, MonitorResultKind::Inputs, 2).await;
    result(db, project, "delay", 20, MonitorResultKind::Quality, 1).await;
    result(db, project, "other", 40, MonitorResultKind::Inputs, 1).await;
    let monitor = "delay".parse().unwrap();
    let mut reader = db.store.read().await.unwrap();
    for (before, limit, expected) in [
        (None, 9, vec![(0, 1), (10, 1), (20, 2), (20, 1), (30, 1)]),
        (None, 2, vec![(20, 2), (20, 1), (30, 1)]),
        (Some(20), 1, vec![(10, 1)]),
        (Some(0), 9, vec![]),
    ] {
        let found = monitor_results::list(&mut reader, project, &monitor, before, limit).await.unwrap();
        assert_eq!(windows(&found), expected, "{limit} windows before {before:?}");
    }
}

async fn the_latest_result_of_each_monitor_is_found_in_one_query(db: &Db) {
    use MonitorResultKind::{Inputs, Quality};
    let project = project(&db.store, "p").await.id;
    for (monitor, window, kind, revision) in [
        ("delay", 0, Inputs, 1),
        ("delay", 10, Inputs, 1),
        ("delay", 10, Inputs, 2),
        ("delay", 0, Quality, 1),
        ("early", 0, Inputs, 1),
        ("removed", 90, Inputs, 1),
    ] {
        result(db, project, monitor, window, kind, revision).await;
    }
    let monitors = ["delay", "early", "unused"].map(|name| name.parse().unwrap());
    let mut reader = db.store.read().await.unwrap();
    for (kind, expected) in [(Inputs, vec![("delay", 10, 2), ("early", 0, 1)]), (Quality, vec![("delay", 0, 1)])] {
        let latest = monitor_results::list_latest(&mut reader, project, &monitors, kind).await.unwrap();
        let found = latest.iter().map(|one| (one.monitor.as_str(), one.window_start_ms, one.revision));
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
    assert_eq!(monitor_results::list_latest(&mut reader, project, &[], Inputs).await.unwrap(), []);
}

async fn the_latest_revisions_of_a_window_are_listed(db: &Db) {
    let project = project(&db.store, "p").await.id;
    for revision in 1..=4 {
        result(db, project, "delay", 0, MonitorResultKind::Inputs, revision).await;
    }
    let monitor = "delay".parse().unwrap();
    let mut reader = db.store.read().await.unwrap();
    let found = monitor_results::list_revisions(&mut reader, project, &monitor, 0, 2).await.unwrap();
    assert_eq!(windows(&found), [(0, 3), (0, 4)]);
}

async fn the_latest_load_of_each_dataset_is_found_with_its_checks(db: &Db) {
    let (project, other) = (project(&db.store, "p").await.id, project(&db.store, "other").await.id);
    let mut latest = Vec::new();
    for (project, name) in [(project, "b"), (project, "a"), (other, "c")] {
        let dataset = dataset(&db.store, project, name).await;
        for path in ["1.csv", "2.csv"] {
            let load = load(&dataset, path);
            stage(db, &load).await;
            let result = CheckResult {
                load_id: load.id,
                name: "positive".to_owned(),
                project_id: project,
                dataset_id: dataset.id,
                severity: Severity::Error,
                verdict: Verdict::Pass,
                answer: json!({}),
                wall_ms: NOW,
            };
            write_tx!(db.store, tx => { Ok(check_results::upsert(tx, &result).await?) }).unwrap();
            latest.push(load.id);
        }
    }
    dataset(&db.store, project, "empty").await;
    let mut reader = db.store.read().await.unwrap();
    let loads = loads::list_latest(&mut reader, project).await.unwrap();
    assert_eq!(loads.iter().map(|load| load.id).collect::<Vec<_>>(), [latest[3], latest[1]], "by name");
    let checks = check_results::list_of_latest_loads(&mut reader, project).await.unwrap();
    assert_eq!(checks.iter().map(|check| check.load_id).collect::<Vec<_>>(), [latest[1], latest[3]]);
}

async fn versions_of_a_model_are_read_page_by_page(db: &Db) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    for content in ["a", "b", "c"] {
        make_version(db, &model, content).await;
    }
    let mut reader = db.store.read().await.unwrap();
    let first = model_versions::list(&mut reader, model.id, None, 2).await.unwrap();
    assert_eq!(first.items.iter().map(|version| version.number).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(first.next.as_deref(), Some("2"));
    let second = model_versions::list(&mut reader, model.id, Some(2), 2).await.unwrap();
    assert_eq!((second.items[0].number, second.items.len(), second.next), (1, 1, None));
}

async fn models_are_read_page_by_page(db: &Db) {
    let project = project(&db.store, "p").await;
    for name in ["b", "c", "a"] {
        register(db, &model(&project, name)).await.unwrap();
    }
    let mut reader = db.store.read().await.unwrap();
    let first = registered_models::list(&mut reader, project.id, None, 2).await.unwrap();
    assert_eq!(first.items.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let second = registered_models::list(&mut reader, project.id, first.next.as_deref(), 2).await.unwrap();
    assert_eq!((second.items[0].name.as_str(), second.items.len(), second.next), ("c", 1, None));
}

async fn the_newest_decisions_releases_and_promotions_of_a_version_are_listed(db: &Db) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    let version = make_version(db, &model, "c").await;
    let mut made = Vec::new();
    for digest in ["r1", "r1", "r2"] {
        made.push(decide(db, &project, &version, digest).await);
    }
    let mut moved = Vec::new();
    for _ in 0..3 {
        moved.push(promote(db, &project, &model, Some(1)).await);
    }
    let mut reader = db.store.read().await.unwrap();
    let of_version = decisions::list_of_version(&mut reader, model.id, 1, 2).await.unwrap();
    assert_eq!(of_version, [made[2].clone(), made[1].clone()]);
    assert_eq!(decisions::list_of_release(&mut reader, project.id, "r1", 1).await.unwrap(), [made[1].clone()]);
    let latest = decisions::find_latest_of_release(&mut reader, project.id, "r1").await.unwrap();
    assert_eq!(latest, Some(made[1].clone()));
    assert_eq!(decisions::find_latest_of_release(&mut reader, project.id, "r9").await.unwrap(), None);
    assert_eq!(releases::list_of_version(&mut reader, model.id, 1, 1).await.unwrap().len(), 1);
    let newest = promotions::list_of_version(&mut reader, model.id, 1, 2).await.unwrap();
    assert_eq!(newest, [moved[2].clone(), moved[1].clone()]);
}

async fn a_decision_is_found_by_its_evidence(db: &Db) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    let version = make_version(db, &model, "c").await;
    let (one, two) = (decide(db, &project, &version, "r1").await, decide(db, &project, &version, "r1").await);
    let mut reader = db.store.read().await.unwrap();
    for (digest, evidence, expected) in [
        ("r1", one.evidence_id, Some(one.clone())),
        ("r1", two.evidence_id, Some(two.clone())),
        ("r2", one.evidence_id, None),
    ] {
        let found = decisions::find_by_evidence(&mut reader, project.id, digest, evidence).await.unwrap();
        assert_eq!(found, expected, "{digest}");
    }
}

async fn pinned_versions_are_read_page_by_page(db: &Db) {
    use perennial_core::entity::PinHolder;
    use perennial_core::state::LoadEvent;
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    for number in 1..=4 {
        let one = load(&dataset, &number.to_string());
        stage(db, &one).await;
        begin(db, &one, number, LoadEvent::Begin).await.unwrap();
        commit(db, &one, number).await.unwrap();
    }
    let id = dataset.id;
    write_tx!(db.store, tx => {
        for number in [1, 3, 4] {
            dataset_versions::pin(tx, id, number, PinHolder::Release, "r", None).await?;
        }
        Ok(())
    })
    .unwrap();
    let mut reader = db.store.read().await.unwrap();
    let first = dataset_versions::list_pinned(&mut reader, id, NOW, 0, 2).await.unwrap();
    assert_eq!(first.items.iter().map(|version| version.number).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(first.next.as_deref(), Some("3"));
    let second = dataset_versions::list_pinned(&mut reader, id, NOW, 3, 2).await.unwrap();
    assert_eq!((second.items[0].number, second.items.len(), second.next), (4, 1, None));
}

async fn the_oldest_sealed_segments_are_listed(db: &Db) {
    let project = project(&db.store, "p").await;
    for number in [3, 1, 2] {
        let segment = PredictionSegment {
            log: "log".to_owned(),
            number,
            project_id: project.id,
            endpoint: "delay".parse().unwrap(),
            record_count: 1,
            digest: "d".to_owned(),
            state: SegmentState::Sealed,
            load_id: None,
            dataset_number: None,
            wall_ms: NOW,
            project_ms: NOW,
        };
        write_tx!(db.store, tx => { Ok(prediction_segments::insert(tx, &segment).await?) }).unwrap();
    }
    let oldest = prediction_segments::list_sealed(&mut db.store.read().await.unwrap(), "log", 2).await.unwrap();
    assert_eq!(oldest.iter().map(|segment| segment.number).collect::<Vec<_>>(), [1, 2]);
}
