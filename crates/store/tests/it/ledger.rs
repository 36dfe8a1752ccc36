//! The ledger in storage: order, verification, erasure.

use futures::future::join_all;
use perennial_core::ledger::{Chain, ERASURE, GENESIS, Head, Record, STAMP, Stamp, VerifyError};
use perennial_store::{ledger, projects, tokens};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::NOW;

on_both! {
    entries_follow_each_other_and_verify,
    concurrent_writers_make_one_chain,
    a_refused_write_leaves_no_entry,
    an_erased_payload_leaves_the_chain_whole,
    a_payload_that_is_missing_without_an_erasure_is_found,
    an_end_that_was_cut_off_a_project_chain_is_found_by_its_stamp,
    an_altered_removed_or_exchanged_entry_is_found,
    a_chain_hashed_anew_is_found_by_its_head,
}

pub(crate) fn change(subject: &str) -> Record {
    Record {
        chain: Chain::Server,
        noun: "grant".to_owned(),
        subject: subject.to_owned(),
        verb: "create".to_owned(),
        actor: "ada".to_owned(),
        wall_ms: NOW,
        project_ms: NOW - 5,
        cause: Some("request:1".to_owned()),
        payload: format!("{{\"subject\":\"{subject}\"}}"),
    }
}

async fn append(db: &Db, subject: &str) {
    let change = change(subject);
    write_tx!(db.store, tx => { Ok(tx.ledger_append(change).await?) }).unwrap();
}

/// Runs a statement behind the store's back.
async fn tamper(db: &Db, sql: &str) {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    if db.store.dialect() == "sqlite" {
        let mut conn = SqliteConnection::connect(&db.url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    } else {
        let mut conn = PgConnection::connect(&db.url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    }
}

async fn fault(db: &Db) -> (i64, VerifyError) {
    let mut reader = db.store.read().await.unwrap();
    let broken = ledger::verify(&mut reader, Chain::Server, None).await.unwrap().unwrap_err();
    (broken.sequence, broken.error)
}

async fn entries_follow_each_other_and_verify(db: &Db) {
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(ledger::head(&mut reader, Chain::Server).await.unwrap(), Head::empty());
    drop(reader);
    let project = Chain::Project(projects::default_id());
    for subject in ["a", "b", "c"] {
        append(db, subject).await;
        let other = Record { chain: project, ..change(subject) };
        write_tx!(db.store, tx => { Ok(tx.ledger_append(other).await?) }).unwrap();
    }
    let mut reader = db.store.read().await.unwrap();
    for chain in ledger::list_chains(&mut reader).await.unwrap() {
        let report = ledger::verify(&mut reader, chain, None).await.unwrap().unwrap();
        assert_eq!((report.entries, report.payloads), (3, 3));
        assert_eq!(report.head, ledger::head(&mut reader, chain).await.unwrap());
    }
    let page = ledger::list(&mut reader, Chain::Server, None, 2).await.unwrap();
    let subjects: Vec<&str> = page.items.iter().map(|entry| entry.subject.as_str()).collect();
    assert_eq!((subjects, page.next.as_deref()), (vec!["c", "b"], Some("2")));
    let rest = ledger::list(&mut reader, Chain::Server, Some(2), 2).await.unwrap();
    assert_eq!((rest.items[0].previous.as_str(), rest.items.len(), rest.next), (GENESIS, 1, None));
    let of_b = ledger::list_of_subject(&mut reader, Chain::Server, "grant", "b", 9).await.unwrap();
    assert_eq!(of_b, [page.items[1].clone()]);
    for (noun, subject, is_there) in [("grant", "b", true), ("grant", "d", false), ("token", "b", false)] {
        let found = ledger::has_subject(&mut reader, Chain::Server, noun, subject).await.unwrap();
        assert_eq!(found, is_there, "{noun} {subject}");
    }
    assert_eq!(ledger::find_payload(&mut reader, Chain::Server, 2).await.unwrap().unwrap(), "{\"subject\":\"b\"}");
}

async fn concurrent_writers_make_one_chain(db: &Db) {
    let writes = (0..50).map(|number| {
        let (store, change) = (db.store.clone(), change(&number.to_string()));
        async move { write_tx!(store, tx => { Ok(tx.ledger_append(change).await?) }).unwrap() }
    });
    let mut sequences: Vec<i64> = join_all(writes).await.into_iter().map(|entry| entry.sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=50).collect::<Vec<_>>());
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(ledger::verify(&mut reader, Chain::Server, None).await.unwrap().unwrap().entries, 50);
}

async fn a_refused_write_leaves_no_entry(db: &Db) {
    append(db, "kept").await;
    write_tx!(db.store, tx => {
        tokens::insert_admin_link(tx, "link", NOW, NOW).await?;
        tx.ledger_append(change("refused")).await?;
        Err::<(), _>(perennial_core::Error::new(perennial_core::ErrorCode::InvalidArgument, "no"))
    })
    .unwrap_err();
    append(db, "next").await;
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(ledger::verify(&mut reader, Chain::Server, None).await.unwrap().unwrap().entries, 2);
}

async fn an_erased_payload_leaves_the_chain_whole(db: &Db) {
    append(db, "a").await;
    append(db, "b").await;
    write_tx!(db.store, tx => {
        ledger::erase_payload(tx, Chain::Server, 1, NOW).await?;
        Ok(tx.ledger_append(erasure(1)).await?)
    })
    .unwrap();
    let mut reader = db.store.read().await.unwrap();
    let report = ledger::verify(&mut reader, Chain::Server, None).await.unwrap().unwrap();
    assert_eq!((report.entries, report.payloads, report.erased), (3, 2, 1));
    assert_eq!(ledger::find_payload(&mut reader, Chain::Server, 1).await.unwrap(), None);
}

fn erasure(sequence: i64) -> Record {
    let (noun, verb) = ERASURE;
    Record { noun: noun.to_owned(), verb: verb.to_owned(), ..change(&sequence.to_string()) }
}

async fn a_payload_that_is_missing_without_an_erasure_is_found(db: &Db) {
    for subject in ["a", "b", "c"] {
        append(db, subject).await;
    }
    tamper(db, "DELETE FROM ledger_payloads WHERE sequence = 2").await;
    assert_eq!(fault(db).await, (2, VerifyError::PayloadMissing));
    // The erasure of another payload does not explain it.
    write_tx!(db.store, tx => { Ok(tx.ledger_append(erasure(3)).await?) }).unwrap();
    assert_eq!(fault(db).await, (2, VerifyError::PayloadMissing));
    write_tx!(db.store, tx => { Ok(tx.ledger_append(erasure(2)).await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(ledger::verify(&mut reader, Chain::Server, None).await.unwrap().unwrap().erased, 1);
}

async fn an_end_that_was_cut_off_a_project_chain_is_found_by_its_stamp(db: &Db) {
    let chain = Chain::Project(projects::default_id());
    for subject in ["a", "b", "c"] {
        let change = Record { chain, ..change(subject) };
        write_tx!(db.store, tx => { Ok(tx.ledger_append(change).await?) }).unwrap();
    }
    let unstamped = ledger::list_unstamped(&mut db.store.read().await.unwrap()).await.unwrap();
    let [(found, head)] = &unstamped[..] else { panic!("one chain") };
    assert_eq!((*found, head.sequence), (chain, 3));
    let (noun, verb) = STAMP;
    let stamp = serde_json::to_string(&Stamp { sequence: 3, head: head.hash.clone() }).unwrap();
    let stamp = Record {
        noun: noun.to_owned(),
        verb: verb.to_owned(),
        payload: stamp,
        ..change(&projects::default_id().to_string())
    };
    write_tx!(db.store, tx => {
        ledger::set_stamped(tx, chain, 3).await?;
        Ok(tx.ledger_append(stamp).await?)
    })
    .unwrap();
    assert!(ledger::list_unstamped(&mut db.store.read().await.unwrap()).await.unwrap().is_empty());
    let verified = async || ledger::verify(&mut db.store.read().await.unwrap(), chain, None).await.unwrap();
    verified().await.unwrap();
    // A careful forger moves the recorded head back, too.
    tamper(
        db,
        "DELETE FROM ledger_entries WHERE chain <> 'server' AND sequence = 3; \
         DELETE FROM ledger_payloads WHERE chain <> 'server' AND sequence = 3; \
         UPDATE ledger_chains SET sequence = 2, hash = (SELECT hash FROM ledger_entries WHERE chain <> 'server' AND \
         sequence = 2) WHERE chain <> 'server'",
    )
    .await;
    let broken = verified().await.unwrap_err();
    assert_eq!(broken.error, VerifyError::StampMissing { sequence: 3, head: head.hash.clone() });
    // Another entry in its place is not the stamped one.
    let another = Record { chain, ..change("d") };
    write_tx!(db.store, tx => { Ok(tx.ledger_append(another).await?) }).unwrap();
    assert_eq!(verified().await.unwrap_err().error, broken.error);
}

async fn an_altered_removed_or_exchanged_entry_is_found(db: &Db) {
    for subject in ["a", "b", "c", "d"] {
        append(db, subject).await;
    }
    tamper(db, "UPDATE ledger_entries SET actor = 'eve' WHERE sequence = 2").await;
    assert_eq!(fault(db).await, (2, VerifyError::Altered));
    tamper(db, "UPDATE ledger_entries SET actor = 'ada' WHERE sequence = 2").await;
    tamper(db, "UPDATE ledger_payloads SET body = '{}' WHERE sequence = 3").await;
    assert_eq!(fault(db).await, (3, VerifyError::Payload));
    tamper(db, "UPDATE ledger_payloads SET body = '{\"subject\":\"c\"}' WHERE sequence = 3").await;
    tamper(
        db,
        "UPDATE ledger_entries SET sequence = 99 WHERE sequence = 2; UPDATE ledger_entries SET sequence = 2 WHERE sequence = 3; \
         UPDATE ledger_entries SET sequence = 3 WHERE sequence = 99",
    )
    .await;
    assert_eq!(fault(db).await, (2, VerifyError::Altered));
    tamper(db, "DELETE FROM ledger_entries WHERE sequence IN (2, 3)").await;
    assert_eq!(fault(db).await, (2, VerifyError::Misplaced { found: 4 }));
    tamper(db, "DELETE FROM ledger_entries WHERE sequence > 1").await;
    assert_eq!(fault(db).await, (2, VerifyError::Cut));
}

async fn a_chain_hashed_anew_is_found_by_its_head(db: &Db) {
    append(db, "a").await;
    append(db, "b").await;
    let mut reader = db.store.read().await.unwrap();
    let noted = ledger::head(&mut reader, Chain::Server).await.unwrap().hash;
    drop(reader);
    append(db, "c").await;
    let mut reader = db.store.read().await.unwrap();
    ledger::verify(&mut reader, Chain::Server, Some(&noted)).await.unwrap().unwrap();
    drop(reader);

    // A rewriter starts over with another story and keeps every hash right.
    for table in ["ledger_entries", "ledger_payloads", "ledger_chains"] {
        tamper(db, &format!("DELETE FROM {table}")).await;
    }
    for subject in ["x", "b", "c"] {
        append(db, subject).await;
    }
    let mut reader = db.store.read().await.unwrap();
    ledger::verify(&mut reader, Chain::Server, None).await.unwrap().unwrap();
    let broken = ledger::verify(&mut reader, Chain::Server, Some(&noted)).await.unwrap().unwrap_err();
    assert_eq!(broken.error, VerifyError::HeadMissing(noted));
}
