//! Endpoints: their champions and canaries.

use futures::future::join_all;
use perennial_core::entity::{Endpoint, NewCanary, RegisteredModel};
use perennial_core::state::{CanaryEvent, CanaryState};
use perennial_store::endpoints;
use serde_json::json;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, project};
use crate::registry::{make_version, model, register};
use crate::release::decide;

on_both! {
    a_canary_starts_is_evaluated_and_ends,
    an_endpoint_changed_meanwhile_is_not_changed,
}

fn endpoint(model: &RegisteredModel) -> Endpoint {
    Endpoint {
        config: json!({"log": "recorded"}),
        ..Endpoint::unanswered(model.project_id, "delay".parse().unwrap(), model.id, "champion", NOW)
    }
}

async fn current(db: &Db, endpoint: &Endpoint) -> Endpoint {
    let mut reader = db.store.read().await.unwrap();
    endpoints::get(&mut reader, endpoint.project_id, &endpoint.name).await.unwrap()
}

async fn a_canary_starts_is_evaluated_and_ends(db: &Db) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    make_version(db, &model, "c1").await;
    let second = make_version(db, &model, "c2").await;
    let decision = decide(db, &project, &second, "r2").await;
    let made = endpoint(&model);
    let first = made.clone();
    write_tx!(db.store, tx => {
        endpoints::insert(tx, &first).await?;
        Ok(endpoints::set_champion(tx, &first, Some(1), NOW - 5, NOW).await?)
    })
    .unwrap();
    let answering = current(db, &made).await;
    assert_eq!(
        (answering.champion_number, answering.champion_since_ms, answering.generation),
        (Some(1), Some(NOW - 5), 1)
    );

    let canary = NewCanary {
        number: 2,
        share: 0.1,
        decision_id: decision.id,
        release_digest: "r2".to_owned(),
        wall_ms: NOW + 1,
        project_ms: NOW - 4,
    };
    let (before, started) = (answering.clone(), canary.clone());
    write_tx!(db.store, tx => { Ok(endpoints::start_canary(tx, &before, &started).await?) }).unwrap();
    let running = current(db, &made).await;
    let expected = Endpoint {
        canary_number: Some(2),
        canary_state: Some(CanaryState::Running),
        canary_started_wall_ms: Some(NOW + 1),
        canary_started_ms: Some(NOW - 4),
        canary_share: Some(0.1),
        canary_decision_id: Some(decision.id),
        canary_release_digest: Some("r2".to_owned()),
        generation: 2,
        updated_ms: NOW + 1,
        ..answering
    };
    assert_eq!(running, expected);
    let (stored, another) = (running.clone(), canary.clone());
    write_tx!(db.store, tx => { Ok(endpoints::start_canary(tx, &stored, &another).await?) }).unwrap_err();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(endpoints::list_following(&mut reader, model.id, "champion").await.unwrap().len(), 1);
    assert!(endpoints::list_following(&mut reader, model.id, "other").await.unwrap().is_empty());
    drop(reader);

    write_tx!(db.store, tx => { Ok(endpoints::apply_canary(tx, &running, CanaryEvent::Await, NOW).await?) }).unwrap();
    let waiting = current(db, &made).await;
    assert_eq!(
        (waiting.canary_state, waiting.generation),
        (Some(CanaryState::Waiting), 2),
        "the routes did not change"
    );
    write_tx!(db.store, tx => { Ok(endpoints::apply_canary(tx, &waiting, CanaryEvent::RollBack, NOW).await?) })
        .unwrap();
    let ended = current(db, &made).await;
    assert_eq!((ended.canary_state, ended.generation), (Some(CanaryState::RolledBack), 3));
    let over = ended.clone();
    write_tx!(db.store, tx => { Ok(endpoints::apply_canary(tx, &over, CanaryEvent::Promote, NOW).await?) })
        .unwrap_err();
    write_tx!(db.store, tx => { Ok(endpoints::start_canary(tx, &ended, &canary).await?) }).unwrap();
}

async fn an_endpoint_changed_meanwhile_is_not_changed(db: &Db) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    let made = endpoint(&model);
    let first = made.clone();
    write_tx!(db.store, tx => { Ok(endpoints::insert(tx, &first).await?) }).unwrap();
    let answers =
        join_all(
            (1..=4).map(|number| {
                let (store, seen) = (db.store.clone(), made.clone());
                async move {
                    write_tx!(store, tx => { Ok(endpoints::set_champion(tx, &seen, Some(number), NOW, NOW).await?) })
                }
            }),
        )
        .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for refused in answers.into_iter().filter_map(Result::err) {
        assert_eq!(refused.message(), "endpoint `delay` was changed by another client meanwhile");
    }
    let (id, name) = (made.project_id, made.name.clone());
    write_tx!(db.store, tx => { Ok(endpoints::configure(tx, id, &name, &json!({}), NOW + 1).await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    let found = endpoints::find(&mut reader, id, &made.name).await.unwrap().unwrap();
    assert_eq!((&found.config, found.generation), (&json!({}), 2));
    assert_eq!(endpoints::list(&mut reader, id).await.unwrap(), std::slice::from_ref(&found));
    assert_eq!(endpoints::list_everywhere(&mut reader).await.unwrap().rows, std::slice::from_ref(&found));
    assert_eq!(endpoints::list_by_name(&mut reader, &made.name).await.unwrap(), [found]);
}
