//! Probes of readiness.

use std::time::Duration;

use perennial_core::ledger::Chain;
use perennial_store::ledger;
use tokio::time::timeout;

use crate::db::{Db, on_both};

on_both! { a_probe_is_answered_while_every_reader_is_busy }

async fn a_probe_is_answered_while_every_reader_is_busy(db: &Db) {
    let mut readers = Vec::new();
    while let Ok(reader) = timeout(Duration::from_millis(200), db.store.read()).await {
        readers.push(reader.unwrap());
        assert!(readers.len() < 100, "readers have no bound");
    }
    let probe = timeout(Duration::from_secs(2), db.store.probe()).await.expect("the probe waits for readers");
    assert!(ledger::head(&mut probe.unwrap(), Chain::Server).await.is_ok());
}
