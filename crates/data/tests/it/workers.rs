//! Foreign work in worker processes: the same results as in process, and limits that end a worker and nothing else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use perennial_core::frame::Column;
use perennial_core::id::LoadId;
use perennial_core::port::data::{DataEngine, FrameRequest, NamedTable, QueryRequest, StageInput};
use perennial_data::{WorkerEngine, WorkerOptions};
use perennial_testkit::conformance::data::EngineUnderTest;
use perennial_testkit::data_engine_conformance;
use perennial_worker::Requirement;
use serde_json::json;

use crate::support::{Fixture, StageOptions, assert_error, commit_of, source};

/// A fixture whose foreign work runs in workers.
struct Workers {
    fixture: Fixture,
    engine: WorkerEngine,
}

impl Workers {
    fn new() -> Self {
        Self::with_memory(128 << 20)
    }

    fn with_memory(memory_bytes: usize) -> Self {
        let fixture = Fixture::new();
        let options = WorkerOptions {
            program: PathBuf::from(env!("CARGO_BIN_EXE_perennial-data-probe")),
            memory_bytes,
            requirement: Requirement::Isolated,
            control_groups: None,
        };
        let engine = WorkerEngine::new(fixture.engine.clone(), &options).expect("an engine");
        Self { fixture, engine }
    }

    async fn ask(&self, sql: &str) -> Result<Vec<Vec<serde_json::Value>>, perennial_core::Error> {
        let tables = self.fixture.base().await.map(|table| NamedTable { name: "rows".into(), table });
        let request = QueryRequest { sql: sql.into(), tables: tables.into_iter().collect(), limit: 100 };
        self.engine.query(request).await.map(|page| page.rows)
    }

    async fn load(&self, options: &StageOptions) -> LoadId {
        let load = LoadId::generate();
        self.engine.stage(self.fixture.request(load, options).await).await.expect("rows are staged");
        let previous = self.fixture.number().await;
        self.engine.commit(commit_of(load, previous)).await.expect("rows are committed");
        load
    }

    fn scratch(&self) -> PathBuf {
        self.fixture.folder.path().join("staging/workers")
    }
}

impl EngineUnderTest for Workers {
    fn engine(&self) -> &dyn DataEngine {
        &self.engine
    }

    fn offer(&self, path: &str, content: &str) {
        self.fixture.write(path, content);
    }
}

data_engine_conformance!(Workers::new());

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn files_queries_frames_and_exports_have_the_results_of_the_engine() {
    let workers = Workers::new();
    workers.fixture.write("a.csv", "n,t,x\n1,a,0.1\n2,,0.2\n");
    workers.fixture.write("b.csv", "n,t,x\n3,ä,\n");
    workers.load(&StageOptions::files(&["a.csv", "b.csv"])).await;
    workers.load(&StageOptions::lines("{\"n\": 4, \"t\": \"b\", \"x\": 1e300}\n")).await;
    let rows = workers.ask("SELECT n, t, x FROM rows ORDER BY n").await.unwrap();
    assert_eq!(rows, workers.fixture.rows("SELECT n, t, x FROM rows ORDER BY n").await);
    assert_eq!(rows.len(), 4);
    let tables = vec![NamedTable { name: "rows".into(), table: workers.fixture.base().await.unwrap() }];
    let request = FrameRequest { sql: "SELECT x, t FROM rows ORDER BY n".into(), tables, keys: Vec::new() };
    let frame = workers.engine.frame(request.clone()).await.unwrap();
    assert!(matches!(frame.column("x"), Some(Column::Number(values)) if values[2].is_nan() && values[3] == 1e300));
    assert_eq!(workers.engine.plan(&request).await.unwrap(), workers.fixture.engine.plan(&request).await.unwrap());
    let path = workers.fixture.source("out.parquet");
    assert_eq!(workers.engine.export(request, path.clone()).await.unwrap(), 4);
    workers.load(&StageOptions::new(StageInput::Parquet(path)).evolve()).await;
    assert_eq!(workers.ask("SELECT count(*) FROM rows").await.unwrap(), [[json!(8)]]);
}

#[tokio::test]
async fn a_query_beyond_the_memory_of_its_worker_ends_the_worker_and_nothing_else() {
    // The engine allows more than the process may have: 640 MiB.
    let workers = Workers::with_memory(64 << 20);
    workers.load(&StageOptions::lines("{\"n\": 1}\n")).await;
    // No operator counts the rows of a partition of a window.
    let sql = "SELECT sum(a + b + c + d) FROM (SELECT max(value) OVER (PARTITION BY value % 1) AS a, \
               min(value * 2) OVER (PARTITION BY value % 1) AS b, avg(value) OVER (PARTITION BY value % 1) AS c, \
               count(*) OVER (PARTITION BY value % 1) AS d FROM range(0, 40000000))";
    let refused = tokio::time::timeout(Duration::from_secs(120), workers.ask(sql)).await.expect("an end");
    let refused = refused.unwrap_err();
    assert_eq!(refused.code().name(), "too-large", "{refused:?}");
    assert!(refused.message().contains("memory"), "{}", refused.message());
    assert_eq!(workers.ask("SELECT n FROM rows").await.unwrap(), [[json!(1)]]);
}

/// The process ids of this process's workers.
fn worker_processes() -> Vec<u32> {
    let own = std::process::id();
    let tasks = std::fs::read_dir(format!("/proc/{own}/task")).expect("the threads of this process").flatten();
    let children = tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    children.flat_map(|ids| ids.split_whitespace().map(|id| id.parse().expect("an id")).collect::<Vec<_>>()).collect()
}

/// Whether a process computes: it has used more processor time than a start, a fifth of a second.
fn is_busy(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let ticks = |stat: &str| stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(11)?.parse::<u64>().ok());
    ticks(&stat).is_some_and(|ticks| ticks > 20)
}

#[tokio::test]
async fn the_death_of_a_worker_is_unavailable_and_the_next_call_has_another_one() {
    let workers = Workers::new();
    workers.load(&StageOptions::lines("{\"n\": 1}\n")).await;
    let endless = "SELECT count(*) FROM range(0, 1000000) AS a JOIN range(0, 1000000) AS b ON a.value + b.value < 0";
    let kill = async {
        loop {
            tokio::task::yield_now().await;
            for worker in worker_processes().into_iter().filter(|worker| is_busy(*worker)) {
                let killed = std::process::Command::new("kill").args(["-9", &worker.to_string()]).status();
                assert!(killed.is_ok());
            }
        }
    };
    let answer = tokio::select! {
        answer = workers.ask(endless) => answer,
        () = kill => unreachable!("it has no end"),
    };
    let error = answer.unwrap_err();
    assert_error(&error, "not-ready", &["the `data` worker died by signal 9"]);
    assert_eq!(error.hint(), Some("try again"));
    assert_eq!(workers.ask("SELECT n FROM rows").await.unwrap(), [[json!(1)]]);
}

#[tokio::test]
async fn a_query_whose_caller_gives_up_ends_at_once() {
    let workers = Workers::new();
    workers.load(&StageOptions::lines("{\"n\": 1}\n")).await;
    let hostile = "SELECT count(*) FROM range(0, 1000000) AS a JOIN range(0, 1000000) AS b ON a.value + b.value < 0";
    let given_up = [workers.ask(hostile), workers.ask(hostile), workers.ask(hostile)].map(Box::pin);
    let given_up = tokio::time::timeout(Duration::from_secs(2), futures::future::join_all(given_up)).await;
    assert!(given_up.is_err());
    let answer = tokio::time::timeout(Duration::from_secs(20), workers.ask("SELECT n FROM rows")).await;
    assert_eq!(answer.expect("an answer in time").unwrap(), [[json!(1)]]);
}

#[tokio::test]
async fn a_worker_reads_the_files_of_its_request_only() {
    let workers = Workers::new();
    workers.load(&StageOptions::lines("{\"n\": 1}\n")).await;
    // The server refuses a file outside of the source, before a worker starts.
    let request =
        workers.fixture.request(LoadId::generate(), &StageOptions::from_source(source("*.csv"), &["../secret"])).await;
    assert!(workers.engine.stage(request).await.is_err());
    assert_error(
        &workers.ask("SELECT * FROM '/etc/passwd'").await.unwrap_err(),
        "sql",
        &["table `/etc/passwd` does not exist"],
    );
}

#[tokio::test]
async fn scratch_folders_end_with_their_workers_and_a_restart() {
    let workers = Workers::new();
    workers.load(&StageOptions::lines("{\"n\": 1}\n")).await;
    let scratch = workers.scratch();
    assert!(entries(&scratch) > 0);
    let fixture = workers.fixture;
    drop(workers.engine);
    assert_eq!(entries(&scratch), 0, "the workers have ended");
    drop(fixture);
}
