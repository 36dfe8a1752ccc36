//! Who may write to a PostgreSQL database, and who migrates it.

use perennial_core::entity::Server;
use perennial_core::id::ServerId;
use perennial_core::{Error as CoreError, ErrorCode};
use perennial_store::{Error, Options, Schema, Store, servers};
use sqlx::{Connection, PgConnection};
use tokio::sync::oneshot;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::NOW;

on_both! {
    a_connection_changes_no_table,
}

async fn a_connection_changes_no_table(db: &Db) {
    db.execute("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await;
    let connected = Store::connect(&db.url, Options::default()).await.unwrap();
    let Schema::Older(version) = connected.schema().await.unwrap() else { panic!("it was migrated") };
    assert!(version > 0);
    db.execute("DROP TABLE _sqlx_migrations").await;
    assert_eq!(connected.schema().await.unwrap(), Schema::Empty);
    connected.close().await.unwrap();
    assert_eq!(db.store.schema().await.unwrap(), Schema::Empty);
}

fn server(id: ServerId) -> Server {
    Server {
        id,
        address: "127.0.0.1:1".to_owned(),
        version: "0.1.0".to_owned(),
        is_serving: true,
        started_ms: NOW,
        lease_until_ms: NOW,
    }
}

/// A server with a row in the database.
async fn owner(db: &Db) -> ServerId {
    let id = ServerId::generate();
    write_tx!(db.store, tx => { Ok(servers::insert(tx, &server(id)).await?) }).unwrap();
    id
}

#[tokio::test]
async fn a_server_that_was_taken_over_writes_nothing() {
    let db = Db::postgres().await;
    let id = owner(&db).await;
    db.store.write_as(id);
    write_tx!(db.store, tx => { Ok(servers::renew(tx, id, NOW + 1).await?) }).unwrap();
    db.execute("DELETE FROM servers").await;
    let back = Server { lease_until_ms: NOW + 2, ..server(id) };
    let refused: CoreError = write_tx!(db.store, tx => { Ok(servers::insert(tx, &back).await?) }).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NotReady);
    assert_eq!(refused.to_string(), Error::NotOwner.to_string());
    assert_eq!(servers::list(&mut db.store.read().await.unwrap()).await.unwrap(), []);
    db.finish().await;
}

#[tokio::test]
async fn a_takeover_waits_for_a_write_in_progress() {
    let db = Db::postgres().await;
    let id = owner(&db).await;
    db.store.write_as(id);
    let (started, is_started) = oneshot::channel();
    let (end, is_ended) = oneshot::channel::<()>();
    let store = db.store.clone();
    let write = tokio::spawn(async move {
        store
            .write(move |_| {
                Box::pin(async move {
                    started.send(()).unwrap();
                    is_ended.await.unwrap();
                    Ok(())
                })
            })
            .await
    });
    is_started.await.unwrap();
    let mut other = PgConnection::connect(&db.url).await.unwrap();
    sqlx::raw_sql("SET lock_timeout = '100ms'").execute(&mut other).await.unwrap();
    let refused = sqlx::raw_sql("DELETE FROM servers").execute(&mut other).await.unwrap_err();
    assert!(refused.to_string().contains("lock timeout"), "{refused}");
    end.send(()).unwrap();
    write.await.unwrap().unwrap();
    sqlx::raw_sql("DELETE FROM servers").execute(&mut other).await.unwrap();
    db.finish().await;
}
