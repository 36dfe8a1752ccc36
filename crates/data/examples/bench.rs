//! Stages and commits a year of flights month by month and prints the durations.
//!
//! `cargo run --release -p perennial-data --example bench [folder of the months] [rows]`; with a number of rows it also
//! stages as many generated rows with a key, and prints the peak memory.

use std::path::PathBuf;
use std::time::Instant;

use perennial_core::id::LoadId;
use perennial_core::port::data::{
    AggregateCheck, CommitRequest, DataEngine, FilesSource, FrameRequest, LocalTime, Mode, NamedTable, RowCheck,
    RowCondition, ScanPlan, StageInput, StageRequest, TableRef,
};
use perennial_data::{Engine, EngineOptions};

const TABLE: &str = "bench/schedule";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sources = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "examples/flights/data".into()));
    let folder = tempfile::tempdir()?;
    let engine = Engine::open(EngineOptions {
        root: folder.path().join("tables").display().to_string(),
        staging: folder.path().join("staging"),
        source_root: sources,
        reserved: Vec::new(),
        memory_bytes: 512 << 20,
        threads: 2,
    })?;
    let source = FilesSource {
        root: None,
        files: "schedule/*.parquet".into(),
        format: None,
        header: true,
        columns: Vec::new(),
        local_time: LocalTime::default(),
    };
    let row = |name: &str, sql: &str| RowCheck {
        name: name.into(),
        condition: RowCondition::Predicate(sql.into()),
        quarantines: true,
    };
    let plan = ScanPlan {
        rows: vec![
            row("origin_known", "origin IN ('EWR', 'JFK', 'LGA')"),
            row("far_enough", "distance BETWEEN 10 AND 6000"),
        ],
        aggregates: vec![AggregateCheck {
            name: "volume".into(),
            expression: "count(*) BETWEEN 20000 AND 40000".into(),
        }],
    };
    let (mut staging, mut committing, mut rows) = (0.0, 0.0, 0);
    let mut base = None;
    for (index, file) in engine.list(&source).await?.files.into_iter().enumerate() {
        let load = LoadId::generate();
        let started = Instant::now();
        let staged = engine
            .stage(StageRequest {
                load,
                dataset: "schedule".parse()?,
                base: base.clone(),
                input: StageInput::Files { source: source.clone(), files: vec![file.clone()] },
                mode: Mode::Append,
                key: vec!["flight_id".into()],
                schema: None,
                optional: Vec::new(),
                evolve: false,
                replaces: None,
                plan: plan.clone(),
            })
            .await?;
        let staged_s = started.elapsed().as_secs_f64();
        let number = index as i64 + 1;
        let request = CommitRequest { load, table: TABLE.into(), number, previous: number - 1, all: false };
        let committed = engine.commit(request).await?;
        let total_s = started.elapsed().as_secs_f64();
        println!(
            "{:<32} {:>6} rows  stage {:>6.1} ms  commit {:>6.1} ms",
            file.path,
            staged.arrived,
            staged_s * 1e3,
            (total_s - staged_s) * 1e3
        );
        staging += staged_s;
        committing += total_s - staged_s;
        rows += staged.arrived;
        base = Some(TableRef { path: TABLE.into(), delta_version: committed.delta_version });
    }
    println!("{rows} rows: stage {staging:.3} s, commit {committing:.3} s");
    let tables: Vec<NamedTable> = base.into_iter().map(|table| NamedTable { name: "schedule".into(), table }).collect();
    let started = Instant::now();
    let frame = engine
        .frame(FrameRequest { sql: "SELECT * FROM schedule ORDER BY flight_id".into(), tables, keys: Vec::new() })
        .await?;
    println!("frame of {} rows: {:.3} s", frame.rows(), started.elapsed().as_secs_f64());
    match std::env::args().nth(2) {
        Some(rows) => many(folder.path(), rows.parse()?).await,
        None => Ok(()),
    }
}

/// Stages `rows` generated rows of eight columns with a key.
async fn many(folder: &std::path::Path, rows: u64) -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::open(EngineOptions {
        root: folder.join("many").display().to_string(),
        staging: folder.join("many-staging"),
        source_root: folder.to_path_buf(),
        reserved: Vec::new(),
        memory_bytes: 1 << 30,
        threads: 2,
    })?;
    let sql = format!(
        "SELECT value AS k, value % 7 AS a, value * 0.5 AS b, 'n' || (value % 1000) AS c, value % 2 = 0 AS d, \
         value % 365 AS e, sin(value) AS f, 'text ' || value AS g FROM generate_series(1, {rows})"
    );
    let path = folder.join("many.parquet");
    engine.export(FrameRequest { sql, tables: Vec::new(), keys: Vec::new() }, path.clone()).await?;
    let started = Instant::now();
    let staged = engine
        .stage(StageRequest {
            load: LoadId::generate(),
            dataset: "many".parse()?,
            base: None,
            input: StageInput::Parquet(path),
            mode: Mode::Append,
            key: vec!["k".into()],
            schema: None,
            optional: Vec::new(),
            evolve: false,
            replaces: None,
            plan: ScanPlan::default(),
        })
        .await?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{} rows staged in {:.1} s; {peak}", staged.passing, started.elapsed().as_secs_f64());
    Ok(())
}
