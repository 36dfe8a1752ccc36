//! `[task].data` is updated before quality is evaluated, without delaying the tick.

use std::sync::Arc;

use perennial_testkit::toml_text;
use tokio::sync::Semaphore;

use crate::support::{MINUTE_MS, Monitored, failing, month};

#[tokio::test]
async fn a_tick_does_not_wait_for_a_pipeline_run_and_a_failed_run_is_retried() {
    let monitored = Monitored::start(&failing()).await;
    let root = monitored.test().folder.path().join("root/sql");
    std::fs::create_dir(&root).unwrap();
    let sql = "SELECT max(n) AS n FROM flown";
    std::fs::write(root.join("features.sql"), sql).unwrap();
    monitored.test().data.offer("sql/features.sql", sql);
    let file = toml_text::set(&failing(), "task.data", "\"features\"");
    monitored.test().submit(&format!("{file}\n[steps.features]\nsql = \"sql/features.sql\"\n")).await.unwrap();
    monitored.answer(month(0).start_ms, &[200]);
    let permits = Arc::new(Semaphore::new(0));
    monitored.test().data.limit_sql_staging(permits.clone());
    monitored.tick_at(month(0).end_ms).await;
    assert_eq!(monitored.evaluated().await.len(), 1);
    assert!(!monitored.test().app.kernel.work.is_empty(), "the run waits for a permit");
    permits.add_permits(1);
    monitored.work_ends().await;
    assert_eq!(monitored.started_runs().await.len(), 1);
    monitored.tick().await;
    assert_eq!(monitored.started_runs().await.len(), 1, "no retry is due");
    monitored.tick_at(month(0).end_ms + MINUTE_MS).await;
    monitored.work_ends().await;
    assert_eq!(monitored.started_runs().await.len(), 2);
}
