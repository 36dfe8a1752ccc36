//! Registered models, their versions, aliases and tags.

use futures::future::join_all;
use perennial_core::entity::{ModelAlias, ModelVersion, Project, RegisteredModel};
use perennial_core::id::ModelId;
use perennial_core::state::{ModelVersionEvent, ModelVersionState};
use perennial_store::{model_versions, registered_models};
use serde_json::json;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, project};
use crate::tracking::tag;

on_both! {
    a_model_name_is_unique_on_the_server_and_may_change,
    version_numbers_are_never_reused,
    a_version_is_found_by_alias_content_and_run,
}

pub(crate) fn model(project: &Project, name: &str) -> RegisteredModel {
    RegisteredModel {
        id: ModelId::generate(),
        project_id: project.id,
        name: name.to_owned(),
        description: None,
        last_number: 0,
        created_ms: NOW,
        updated_ms: NOW,
    }
}

pub(crate) async fn register(db: &Db, model: &RegisteredModel) -> perennial_core::Result<()> {
    let model = model.clone();
    write_tx!(db.store, tx => { Ok(registered_models::insert(tx, &model).await?) })
}

/// A version with a content of its own, under the next number.
pub(crate) async fn make_version(db: &Db, model: &RegisteredModel, content: &str) -> ModelVersion {
    let mut version = ModelVersion {
        model_id: model.id,
        number: 0,
        project_id: model.project_id,
        source: "step:train".to_owned(),
        run_id: Some(perennial_core::id::RunId::generate()),
        step_run_id: None,
        content_digest: Some(content.to_owned()),
        signature: Some(json!({"inputs": []})),
        flavor: Some("onnx".to_owned()),
        manifest: None,
        state: ModelVersionState::Pending,
        description: None,
        user_id: "ada".to_owned(),
        wall_ms: NOW,
        project_ms: NOW,
        updated_ms: NOW,
    };
    write_tx!(db.store, tx => {
        version.number = model_versions::take_number(tx, version.model_id, NOW).await?;
        model_versions::insert(tx, &version).await?;
        Ok(version)
    })
    .unwrap()
}

async fn a_model_name_is_unique_on_the_server_and_may_change(db: &Db) {
    let (one, two) = (project(&db.store, "one").await, project(&db.store, "two").await);
    let (first, second) = (model(&one, "churn"), model(&two, "other"));
    register(db, &first).await.unwrap();
    register(db, &second).await.unwrap();
    let taken = register(db, &model(&two, "churn")).await.unwrap_err();
    assert_eq!(taken.message(), "registered model `churn` already exists");
    let id = first.id;
    write_tx!(db.store, tx => { Ok(registered_models::rename(tx, id, "other", NOW).await?) }).unwrap_err();
    write_tx!(db.store, tx => {
        registered_models::rename(tx, id, "leaving", NOW).await?;
        registered_models::describe(tx, id, Some("who goes"), NOW + 1).await?;
        registered_models::set_tag(tx, id, &tag("k", "v")).await?;
        Ok(())
    })
    .unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(registered_models::find_by_name(&mut reader, "churn").await.unwrap(), None);
    let renamed = registered_models::get_by_name(&mut reader, "leaving").await.unwrap();
    assert_eq!((renamed.id, renamed.description.as_deref(), renamed.updated_ms), (id, Some("who goes"), NOW + 1));
    assert_eq!(registered_models::list(&mut reader, two.id, None, 9).await.unwrap().items, [second]);
    assert_eq!(registered_models::list_tags(&mut reader, id).await.unwrap(), [tag("k", "v")]);
    drop(reader);
    write_tx!(db.store, tx => { Ok(registered_models::delete_tag(tx, id, "k").await?) }).unwrap();
    write_tx!(db.store, tx => { Ok(registered_models::delete_tag(tx, id, "k").await?) }).unwrap_err();
}

async fn version_numbers_are_never_reused(db: &Db) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    let mut numbers: Vec<i64> =
        join_all((0..10).map(|_| make_version(db, &model, "c"))).await.iter().map(|version| version.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    let id = model.id;
    write_tx!(db.store, tx => {
        model_versions::set_tag(tx, id, 10, &tag("k", "v")).await?;
        registered_models::set_alias(tx, &ModelAlias { model_id: id, alias: "a".to_owned(), number: 10, updated_ms: NOW }).await?;
        Ok(model_versions::delete(tx, id, 10).await?)
    })
    .unwrap();
    assert_eq!(make_version(db, &model, "c").await.number, 11);
    let mut reader = db.store.read().await.unwrap();
    let missing = model_versions::get(&mut reader, id, 10).await.unwrap_err();
    assert_eq!(missing.to_string(), format!("model version `{id}/10` does not exist"));
    assert!(registered_models::list_aliases(&mut reader, id).await.unwrap().is_empty());
}

async fn a_version_is_found_by_alias_content_and_run(db: &Db) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    let (one, two) = (make_version(db, &model, "c1").await, make_version(db, &model, "c2").await);
    let id = model.id;
    for number in [1, 2] {
        let alias = ModelAlias { model_id: id, alias: "champion".to_owned(), number, updated_ms: NOW };
        let kept = alias.clone();
        write_tx!(db.store, tx => { Ok(registered_models::set_alias(tx, &alias).await?) }).unwrap();
        let mut reader = db.store.read().await.unwrap();
        assert_eq!(registered_models::find_alias(&mut reader, id, "champion").await.unwrap(), Some(kept));
        assert_eq!(model_versions::find_by_alias(&mut reader, id, "champion").await.unwrap().unwrap().number, number);
    }
    let nowhere = ModelAlias { model_id: id, alias: "champion".to_owned(), number: 3, updated_ms: NOW };
    write_tx!(db.store, tx => { Ok(registered_models::set_alias(tx, &nowhere).await?) }).unwrap_err();
    write_tx!(db.store, tx => {
        model_versions::apply(tx, id, 2, ModelVersionEvent::Ready, NOW + 1).await?;
        model_versions::describe(tx, id, 2, Some("the second"), NOW + 2).await?;
        model_versions::set_tag(tx, id, 2, &tag("k", "v")).await?;
        Ok(())
    })
    .unwrap();
    write_tx!(db.store, tx => { Ok(model_versions::apply(tx, id, 2, ModelVersionEvent::Ready, NOW).await?) })
        .unwrap_err();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(model_versions::find_by_content(&mut reader, id, "c1").await.unwrap(), Some(one));
    assert_eq!(model_versions::list_tags(&mut reader, id, 2).await.unwrap(), [tag("k", "v")]);
    let expected = ModelVersion {
        state: ModelVersionState::Ready,
        description: Some("the second".to_owned()),
        updated_ms: NOW + 2,
        ..two.clone()
    };
    assert_eq!(
        model_versions::list_by_run(&mut reader, two.run_id.unwrap()).await.unwrap(),
        std::slice::from_ref(&expected)
    );
    assert_eq!(model_versions::list(&mut reader, id, None, 9).await.unwrap().items[0], expected);
    drop(reader);
    write_tx!(db.store, tx => {
        registered_models::delete_alias(tx, id, "champion").await?;
        Ok(model_versions::delete_tag(tx, id, 2, "k").await?)
    })
    .unwrap();
    write_tx!(db.store, tx => { Ok(registered_models::delete_alias(tx, id, "champion").await?) }).unwrap_err();
}
