//! Grants of an earlier version, and damaged ones.

use perennial_core::entity::{Grant, GrantOrigin, GrantScope, GrantScopeKind};
use perennial_core::permission::{Role, Scope};
use perennial_store::{Options, Store, grants, principals};

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{principal, project};

on_both! { single_grants_of_an_earlier_version_keep_their_role_and_scope }

/// Reverts the migration that gives a principal several grants, and stores grants as they were before.
const BEFORE_SEVERAL_GRANTS: &str = "
DROP TABLE grants;
CREATE TABLE grants (
    id TEXT PRIMARY KEY, principal_id TEXT NOT NULL REFERENCES principals (id), project_id TEXT, role TEXT NOT NULL,
    scope_kind TEXT, scope_id TEXT, created_ms BIGINT NOT NULL
);
INSERT INTO grants
SELECT '00000000000070008000000000000001', id, NULL, 'admin', NULL, NULL, 1 FROM principals WHERE name = 'ada';
INSERT INTO grants
SELECT '00000000000070008000000000000002', principals.id, projects.id, 'viewer', NULL, NULL, 2
FROM principals, projects WHERE principals.name = 'bob' AND projects.name = 'shops';
INSERT INTO grants
SELECT '00000000000070008000000000000003', principals.id, projects.id, 'viewer', NULL, NULL, 3
FROM principals, projects WHERE principals.name = 'bob' AND projects.name = 'shops';
INSERT INTO grants
SELECT '00000000000070008000000000000004', principals.id, projects.id, 'admin', 'endpoint', 'delay', 4
FROM principals, projects WHERE principals.name = 'bob' AND projects.name = 'shops';
DELETE FROM _sqlx_migrations WHERE version = 5;";

async fn single_grants_of_an_earlier_version_keep_their_role_and_scope(db: &Db) {
    let project = project(&db.store, "shops").await;
    let (ada, bob) = (principal("ada"), principal("bob"));
    let (of_ada, of_bob) = (ada.id, bob.id);
    write_tx!(db.store, tx => {
        principals::insert(tx, &ada).await?;
        Ok(principals::insert(tx, &bob).await?)
    })
    .unwrap();
    db.execute(BEFORE_SEVERAL_GRANTS).await;
    let again = Store::open(&db.url, Options::default()).await.unwrap();
    let mut reader = again.read().await.unwrap();
    let held = grants::list(&mut reader, of_ada).await.unwrap();
    assert_eq!(held.iter().map(Grant::whole).collect::<Vec<_>>(), [Some((Scope::Server, Role::Admin))]);
    let held = grants::list(&mut reader, of_bob).await.unwrap();
    let viewer = (Scope::Project(project.id), Role::Viewer);
    assert_eq!(held.iter().map(Grant::whole).collect::<Vec<_>>(), [Some(viewer), None], "the same grant once");
    assert_eq!((held[0].created_ms, held[0].origin), (2, GrantOrigin::Direct));
    let endpoint =
        GrantScope::Object { project_id: project.id, kind: GrantScopeKind::Endpoint, id: "delay".to_owned() };
    assert_eq!(held[1].scope, endpoint);
    drop(reader);
    again.close().await.unwrap();
}

#[tokio::test]
async fn a_grant_whose_columns_contradict_each_other_is_an_error() {
    let db = Db::sqlite().await;
    let ada = principal("ada");
    let id = ada.id;
    write_tx!(db.store, tx => { Ok(principals::insert(tx, &ada).await?) }).unwrap();
    db.execute(
        "INSERT INTO grants (id, principal_id, role, scope_kind, origin, created_ms)
         SELECT '00000000000070008000000000000001', id, 'viewer', 'project', 'direct', 0 FROM principals",
    )
    .await;
    let error = grants::list(&mut db.store.read().await.unwrap(), id).await.unwrap_err();
    let place = "table `grants`, column `scope_kind`, row `00000000000070008000000000000001` does not convert: ";
    assert!(error.to_string().starts_with(place), "{error}");
    db.finish().await;
}
