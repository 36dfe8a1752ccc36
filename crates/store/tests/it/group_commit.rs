//! What group commit promises: neighbours do not harm each other, answers come after the commit.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use perennial_core::entity::{Param, RunBatch};
use perennial_core::{Error, ErrorCode};
use perennial_store::{Options, Store, projects, runs, tokens};

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, experiment, run};

on_both! {
    a_refused_write_leaves_nothing_and_fails_no_neighbour,
    a_panic_fails_its_own_write_alone,
    what_was_answered_can_be_read_at_once,
    nothing_is_written_after_a_ledger_entry,
}

async fn a_refused_write_leaves_nothing_and_fails_no_neighbour(db: &Db) {
    let writes = (0..60).map(|number| {
        let store = db.store.clone();
        async move {
            write_tx!(store, tx => {
                tokens::insert_admin_link(tx, &format!("link {number}"), NOW, NOW + 10).await?;
                if number % 3 == 0 {
                    return Err(Error::new(ErrorCode::InvalidArgument, format!("number {number}")));
                }
                // Fails in the database itself, in the middle of its own work.
                if number % 3 == 1 {
                    tokens::insert_admin_link(tx, &format!("link {number}"), NOW, NOW + 10).await?;
                }
                Ok(number)
            })
        }
    });
    let answers = join_all(writes).await;
    for (number, answer) in answers.iter().enumerate() {
        match number % 3 {
            0 => assert_eq!(answer.as_ref().unwrap_err().message(), format!("number {number}")),
            1 => assert_eq!(answer.as_ref().unwrap_err().code(), ErrorCode::AlreadyExists),
            _ => assert_eq!(*answer.as_ref().unwrap(), number),
        }
        let link = format!("link {number}");
        let is_there = write_tx!(db.store, tx => { Ok(tokens::use_admin_link(tx, &link, NOW).await?) }).unwrap();
        assert_eq!(is_there, number % 3 == 2, "link {number}");
    }
}

async fn a_panic_fails_its_own_write_alone(db: &Db) {
    let writes = (0..6).map(|number| {
        let store = db.store.clone();
        async move {
            write_tx!(store, tx => {
                tokens::insert_admin_link(tx, &format!("link {number}"), NOW, NOW + 10).await?;
                assert_ne!(number, 3, "three");
                Ok(())
            })
        }
    });
    for (number, answer) in join_all(writes).await.into_iter().enumerate() {
        let link = format!("link {number}");
        let is_there = write_tx!(db.store, tx => { Ok(tokens::use_admin_link(tx, &link, NOW).await?) }).unwrap();
        assert_eq!((answer.is_ok(), is_there), (number != 3, number != 3), "link {number}");
        if let Err(error) = answer {
            assert_eq!(error.code(), ErrorCode::Internal);
            assert!(error.message().contains("three"), "{error}");
        }
    }
}

async fn what_was_answered_can_be_read_at_once(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let writes = (0..40).map(|_| {
        let (store, run) = (db.store.clone(), run(&experiment));
        async move {
            let made = write_tx!(store, tx => { Ok(runs::create(tx, &run).await?) }).unwrap();
            let mut reader = store.read().await.unwrap();
            assert_eq!(runs::get(&mut reader, made.run_id).await.unwrap(), made);
        }
    });
    join_all(writes).await;
}

async fn nothing_is_written_after_a_ledger_entry(db: &Db) {
    let refused = write_tx!(db.store, tx => {
        tx.ledger_append(crate::ledger::change("first")).await?;
        tx.ledger_append(crate::ledger::change("second")).await?;
        projects::set_clock(tx, projects::default_id(), Some(1)).await?;
        Ok(())
    })
    .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Internal);
    assert!(refused.message().contains("after the ledger entry"), "{refused}");
    // The next write on the same connection is not held to it.
    write_tx!(db.store, tx => { Ok(projects::set_clock(tx, projects::default_id(), Some(1)).await?) }).unwrap();
}

/// Each write sees the rows of the writes before it, while a reader sees none of them.
#[tokio::test]
async fn waiting_writes_share_a_transaction() {
    let db = Db::sqlite().await;
    let experiment = experiment(&db.store, "e").await;
    let all: Vec<_> = (0..10).map(|_| run(&experiment)).collect();
    let ids = Arc::new(all.iter().map(|run| run.run_id).collect::<Vec<_>>());
    // The first write holds the writer until all the others wait.
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let first = tokio::spawn({
        let store = db.store.clone();
        async move {
            store
                .write(move |_| {
                    Box::pin(async move {
                        released.await.unwrap();
                        Ok(())
                    })
                })
                .await
        }
    });
    let others: Vec<_> = all
        .into_iter()
        .map(|run| {
            let (store, beside, ids) = (db.store.clone(), db.store.clone(), ids.clone());
            tokio::spawn(async move {
                write_tx!(store, tx => {
                    runs::create(tx, &run).await?;
                    let mut reader = beside.read().await?;
                    let (mut written, mut committed) = (0, 0);
                    for id in ids.iter() {
                        written += usize::from(runs::get(tx, *id).await.is_ok());
                        committed += usize::from(runs::get(&mut reader, *id).await.is_ok());
                    }
                    Ok((written, committed))
                })
            })
        })
        .collect();
    tokio::task::yield_now().await;
    release.send(()).unwrap();
    first.await.unwrap().unwrap();
    let mut seen = Vec::new();
    for other in others {
        seen.push(other.await.unwrap().unwrap());
    }
    assert_eq!(seen, (1..=10).map(|written| (written, 0)).collect::<Vec<_>>());
    let mut reader = db.store.read().await.unwrap();
    for id in ids.iter() {
        runs::get(&mut reader, *id).await.unwrap();
    }
    drop(reader);
    db.finish().await;
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let db = Db::sqlite().await;
    db.store.close().await.unwrap();
    let refused =
        write_tx!(db.store, tx => { Ok(projects::set_clock(tx, projects::default_id(), None).await?) }).unwrap_err();
    assert_eq!(refused.message(), "the metadata store is closed");
}

#[tokio::test]
async fn two_stores_on_one_file_take_turns() {
    let db = Db::sqlite().await;
    let other = Store::open(&db.url, Options { is_durable: false, ..Options::default() }).await.unwrap();
    let writes = (0..40).map(|number| {
        let store = if number % 2 == 0 { db.store.clone() } else { other.clone() };
        async move { write_tx!(store, tx => { Ok(tokens::insert_admin_link(tx, &format!("link {number}"), NOW, NOW + 10).await?) }) }
    });
    for answer in join_all(writes).await {
        answer.unwrap();
    }
    other.close().await.unwrap();
    db.finish().await;
}

#[tokio::test]
async fn a_write_that_never_ends_is_undone() {
    let db =
        Db::sqlite_with(Options { is_durable: false, write_limit: Duration::from_millis(50), ..Options::default() })
            .await;
    let refused = write_tx!(db.store, tx => {
        tokens::insert_admin_link(tx, "link", NOW, NOW + 10).await?;
        std::future::pending::<()>().await;
        Ok(())
    })
    .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Timeout);
    let is_there = write_tx!(db.store, tx => { Ok(tokens::use_admin_link(tx, "link", NOW).await?) }).unwrap();
    assert!(!is_there);
    db.finish().await;
}

#[tokio::test]
async fn a_batch_that_is_refused_leaves_none_of_itself() {
    let db = Db::sqlite().await;
    let experiment = experiment(&db.store, "e").await;
    let run = run(&experiment);
    let id = run.run_id;
    let param = |value: &str| Param { key: "trees".to_owned(), value: value.to_owned() };
    let tag = |value: &str| perennial_core::entity::Tag { key: "t".to_owned(), value: value.to_owned() };
    let first = RunBatch { params: vec![param("300")], ..RunBatch::default() };
    let second = RunBatch {
        params: vec![Param { key: "new".to_owned(), value: "1".to_owned() }, param("200")],
        tags: vec![tag("x")],
        ..RunBatch::default()
    };
    write_tx!(db.store, tx => {
        runs::create(tx, &run).await?;
        Ok(runs::log_batch(tx, id, &first).await?)
    })
    .unwrap();
    let refused = write_tx!(db.store, tx => { Ok(runs::log_batch(tx, id, &second).await?) }).unwrap_err();
    assert!(refused.message().contains("Changing param values is not allowed"), "{refused}");
    let mut reader = db.store.read().await.unwrap();
    let made = runs::get(&mut reader, id).await.unwrap();
    let data = runs::data(&mut reader, &[made]).await.unwrap().remove(0);
    assert_eq!((data.params, data.tags), (vec![param("300")], vec![]));
    drop(reader);
    db.finish().await;
}
