//! Segments, monitor results, alerts, firings, servers.

use perennial_core::entity::{
    Alert, AlertSubject, MonitorReference, MonitorResult, MonitorResultKind, PredictionSegment, Server, TriggerFiring,
};
use perennial_core::id::{AlertId, LoadId, ProjectId, ServerId};
use perennial_core::state::{AlertEvent, AlertState, SegmentEvent, SegmentState};
use perennial_store::{alerts, monitor_results, prediction_segments, servers, trigger_firings};
use serde_json::json;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, pipeline_run, project};

on_both! {
    a_segment_becomes_a_load_once,
    a_later_evaluation_is_a_new_revision,
    a_reference_is_fixed_once,
    an_alert_fires_once_for_each_window,
    a_trigger_fires_once_for_each_cause,
    a_server_is_deleted_by_another_only_while_it_does_not_renew,
}

async fn a_segment_becomes_a_load_once(db: &Db) {
    let project = project(&db.store, "p").await;
    let segment = |number| PredictionSegment {
        log: format!("{}/delay", project.id),
        number,
        project_id: project.id,
        endpoint: "delay".parse().unwrap(),
        record_count: 10,
        digest: "d".to_owned(),
        state: SegmentState::Sealed,
        load_id: None,
        dataset_number: None,
        wall_ms: NOW,
        project_ms: NOW,
    };
    for number in [2, 1] {
        let segment = segment(number);
        write_tx!(db.store, tx => { Ok(prediction_segments::insert(tx, &segment).await?) }).unwrap();
    }
    let one = segment(1);
    let again = one.clone();
    write_tx!(db.store, tx => { Ok(prediction_segments::insert(tx, &again).await?) }).unwrap_err();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(prediction_segments::list_sealed(&mut reader, &one.log, 9).await.unwrap(), [segment(1), segment(2)]);
    drop(reader);
    let load = LoadId::generate();
    for is_first in [true, false] {
        let sealed = one.clone();
        let answer = write_tx!(db.store, tx => { Ok(prediction_segments::apply(tx, &sealed, SegmentEvent::Load, Some((load, 7))).await?) });
        assert_eq!(answer.is_ok(), is_first);
    }
    let mut reader = db.store.read().await.unwrap();
    let loaded = prediction_segments::find(&mut reader, &one.log, 1).await.unwrap().unwrap();
    let expected =
        PredictionSegment { state: SegmentState::Loaded, load_id: Some(load), dataset_number: Some(7), ..one.clone() };
    assert_eq!(loaded, expected);
    drop(reader);
    write_tx!(db.store, tx => { Ok(prediction_segments::apply(tx, &loaded, SegmentEvent::Remove, None).await?) })
        .unwrap();
    let mut reader = db.store.read().await.unwrap();
    let removed = prediction_segments::find(&mut reader, &one.log, 1).await.unwrap().unwrap();
    assert_eq!(removed, PredictionSegment { state: SegmentState::Removed, ..expected });
}

fn result(project: ProjectId, window: i64, number: i64, kind: MonitorResultKind, revision: i64) -> MonitorResult {
    MonitorResult {
        project_id: project,
        monitor: "delay".parse().unwrap(),
        window_start_ms: window,
        window_end_ms: window + 10,
        number,
        kind,
        revision,
        facts: json!({"auc": 0.7}),
        wall_ms: NOW,
        project_ms: NOW,
    }
}

async fn a_later_evaluation_is_a_new_revision(db: &Db) {
    let project = project(&db.store, "p").await;
    let results = [
        result(project.id, 0, 1, MonitorResultKind::Inputs, 1),
        result(project.id, 0, 1, MonitorResultKind::Quality, 1),
        result(project.id, 0, 1, MonitorResultKind::Quality, 2),
        result(project.id, 0, 2, MonitorResultKind::Inputs, 1),
        result(project.id, 10, 1, MonitorResultKind::Inputs, 1),
    ];
    for result in results.clone() {
        write_tx!(db.store, tx => { Ok(monitor_results::insert(tx, &result).await?) }).unwrap();
    }
    let again = results[0].clone();
    write_tx!(db.store, tx => { Ok(monitor_results::insert(tx, &again).await?) }).unwrap_err();
    let monitor = &results[0].monitor;
    let mut reader = db.store.read().await.unwrap();
    let newest = monitor_results::list(&mut reader, project.id, monitor, None, 9).await.unwrap();
    assert_eq!(newest, [&results[0], &results[2], &results[3], &results[4]].map(Clone::clone));
    assert_eq!(monitor_results::list_of_window(&mut reader, project.id, monitor, 0).await.unwrap(), newest[..3]);
    assert_eq!(monitor_results::list_revisions(&mut reader, project.id, monitor, 0, 9).await.unwrap(), results[..4]);
}

async fn a_reference_is_fixed_once(db: &Db) {
    let project = project(&db.store, "p").await;
    let reference = MonitorReference {
        project_id: project.id,
        release_digest: "r".to_owned(),
        body: json!({"deciles": [1.5]}),
        wall_ms: NOW,
    };
    for is_first in [true, false] {
        let reference = reference.clone();
        let answer = write_tx!(db.store, tx => { Ok(monitor_results::insert_reference(tx, &reference).await?) });
        assert_eq!(answer.is_ok(), is_first);
    }
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(monitor_results::find_reference(&mut reader, project.id, "r").await.unwrap(), Some(reference));
}

async fn an_alert_fires_once_for_each_window(db: &Db) {
    let project = project(&db.store, "p").await;
    let alert = |name: &str, window_start_ms| Alert {
        id: AlertId::generate(),
        project_id: project.id,
        subject: AlertSubject::Monitor("delay".parse().unwrap()),
        name: name.to_owned(),
        window_start_ms,
        number: Some(1),
        expression: Some("auc < 0.7".to_owned()),
        facts: json!({"auc": 0.65}),
        message: "auc fell".to_owned(),
        state: AlertState::Firing,
        wall_ms: NOW,
        project_ms: NOW,
        settled_ms: None,
    };
    let all = [alert("stale", 0), alert("stale", 0), alert("stale", 10), alert("drifted", 0)];
    for (alert, is_new) in all.clone().into_iter().zip([true, false, true, true]) {
        assert_eq!(write_tx!(db.store, tx => { Ok(alerts::fire(tx, &alert).await?) }).unwrap(), is_new);
    }
    let id = all[0].id;
    write_tx!(db.store, tx => { Ok(alerts::apply(tx, id, AlertEvent::Acknowledge, NOW).await?) }).unwrap();
    write_tx!(db.store, tx => { Ok(alerts::apply(tx, id, AlertEvent::Resolve, NOW + 1).await?) }).unwrap();
    write_tx!(db.store, tx => { Ok(alerts::apply(tx, id, AlertEvent::Acknowledge, NOW).await?) }).unwrap_err();
    let mut reader = db.store.read().await.unwrap();
    let resolved = Alert { state: AlertState::Resolved, settled_ms: Some(NOW + 1), ..all[0].clone() };
    assert_eq!(alerts::get(&mut reader, id).await.unwrap(), resolved);
    assert_eq!(
        alerts::list(&mut reader, project.id, None, 9).await.unwrap().items,
        [all[3].clone(), all[2].clone(), resolved]
    );
    let open = alerts::list_open(&mut reader, project.id, None, 9).await.unwrap();
    assert_eq!(open.items, [all[2].clone(), all[3].clone()]);
}

async fn a_trigger_fires_once_for_each_cause(db: &Db) {
    let project = project(&db.store, "p").await;
    let firing = |cause: &str, project_ms| TriggerFiring {
        project_id: project.id,
        trigger_name: "renew".parse().unwrap(),
        cause_id: cause.to_owned(),
        pipeline_run_id: None,
        wall_ms: NOW,
        project_ms,
    };
    let all = [firing("alert:1", NOW), firing("alert:1", NOW + 5), firing("alert:2", NOW + 3)];
    for (firing, is_new) in all.clone().into_iter().zip([true, false, true]) {
        assert_eq!(write_tx!(db.store, tx => { Ok(trigger_firings::fire(tx, &firing).await?) }).unwrap(), is_new);
    }
    let mut reader = db.store.read().await.unwrap();
    let trigger = &all[0].trigger_name;
    for (cause, has_fired) in [("alert:1", true), ("alert:2", true), ("alert:3", false)] {
        let found = trigger_firings::exists(&mut reader, project.id, trigger, cause).await.unwrap();
        assert_eq!(found, has_fired, "{cause}");
    }
    assert_eq!(trigger_firings::find_latest(&mut reader, project.id, trigger).await.unwrap(), Some(all[2].clone()));
    drop(reader);
    // The clock was set back between these two.
    for (cause, project_ms) in [("alert:4", NOW + 9), ("alert:5", NOW - 9)] {
        let run = pipeline_run(&db.store, project.id).await;
        let firing = TriggerFiring { pipeline_run_id: Some(run.id), ..firing(cause, project_ms) };
        write_tx!(db.store, tx => { Ok(trigger_firings::fire(tx, &firing).await?) }).unwrap();
    }
    let latest = trigger_firings::find_latest(&mut db.store.read().await.unwrap(), project.id, trigger).await.unwrap();
    assert_eq!(latest.map(|firing| firing.cause_id).as_deref(), Some("alert:5"));
}

async fn a_server_is_deleted_by_another_only_while_it_does_not_renew(db: &Db) {
    let server = |address: &str| Server {
        id: ServerId::generate(),
        address: address.to_owned(),
        version: "0.1.0".to_owned(),
        is_serving: true,
        started_ms: NOW,
        lease_until_ms: NOW + 10,
    };
    let (one, two) = (server("127.0.0.1:1"), server("127.0.0.1:2"));
    for server in [&one, &two] {
        let server = server.clone();
        write_tx!(db.store, tx => { Ok(servers::insert(tx, &server).await?) }).unwrap();
    }
    let (id, seen) = (one.id, one.clone());
    write_tx!(db.store, tx => { Ok(servers::renew(tx, id, NOW + 20).await?) }).unwrap();
    assert_eq!(write_tx!(db.store, tx => { Ok(servers::delete_unrenewed(tx, &seen).await?) }).unwrap(), 0);
    let seen = two.clone();
    assert_eq!(write_tx!(db.store, tx => { Ok(servers::delete_unrenewed(tx, &seen).await?) }).unwrap(), 1);
    let id = two.id;
    write_tx!(db.store, tx => { Ok(servers::renew(tx, id, NOW + 20).await?) }).unwrap_err();
    let renewed = Server { lease_until_ms: NOW + 20, ..one };
    let id = renewed.id;
    assert_eq!(servers::list(&mut db.store.read().await.unwrap()).await.unwrap(), [renewed]);
    write_tx!(db.store, tx => { Ok(servers::delete(tx, id).await?) }).unwrap();
    assert_eq!(servers::list(&mut db.store.read().await.unwrap()).await.unwrap(), []);
}
