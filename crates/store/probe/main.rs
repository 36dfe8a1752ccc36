//! A process that the tests start and kill: writers that print each write after
//! its acknowledgement.

use std::error::Error;
use std::io::Write;

use futures::future::try_join_all;
use perennial_core::entity::{MetricPoint, NewRun, RunBatch};
use perennial_core::id::{ExperimentId, RunId};
use perennial_core::ledger::{Chain, Record};
use perennial_core::state::RunStatus;
use perennial_store::{Options, Store, runs};

/// Writers at work at the same time, so that groups form.
const WRITERS: usize = 8;

/// Writes one point and one ledger entry in one transaction, again and again; prints each after its acknowledgement.
async fn write_for_ever(store: &Store) -> perennial_core::Result<()> {
    let run_id = RunId::generate();
    let run = NewRun {
        run_id,
        experiment_id: ExperimentId::DEFAULT,
        parent_run_id: None,
        name: "probe".to_owned(),
        user_id: "probe".to_owned(),
        status: RunStatus::Running,
        start_ms: 0,
        tags: Vec::new(),
    };
    store.write(move |tx| Box::pin(async move { Ok(runs::create(tx, &run).await?) })).await?;
    for step in 0.. {
        let point = MetricPoint { key: "step".to_owned(), value: 1.0, timestamp_ms: 0, step };
        let entry = Record {
            chain: Chain::Server,
            noun: "probe".to_owned(),
            subject: format!("{run_id}/{step}"),
            verb: "write".to_owned(),
            actor: "probe".to_owned(),
            wall_ms: 0,
            project_ms: 0,
            cause: None,
            payload: String::new(),
        };
        store
            .write(move |tx| {
                Box::pin(async move {
                    let batch = RunBatch { metrics: vec![point], ..RunBatch::default() };
                    runs::log_batch(tx, run_id, &batch).await?;
                    tx.ledger_append(entry).await?;
                    Ok(())
                })
            })
            .await?;
        // A reader that is gone ends us as well.
        if writeln!(std::io::stdout(), "{run_id}/{step}").is_err() {
            break;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("expected the address of a store")?;
    let store = Store::open(&url, Options::default()).await?;
    try_join_all((0..WRITERS).map(|_| write_for_ever(&store))).await?;
    Ok(())
}
