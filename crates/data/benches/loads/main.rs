//! Loads half a million rows of CSV and of JSON lines into a dataset, beside pandas and the deltalake library.
//!
//! Each load reads the file, infers the types, computes the digest and the profile of each column, and commits a
//! version. The script beside it reads the same file with pandas and appends it to a Delta table; it computes no digest
//! and no profile.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use perennial_core::id::LoadId;
use perennial_core::port::data::{
    CommitRequest, DataEngine, FilesSource, LocalTime, Mode, ScanPlan, StageInput, StageRequest,
};
use perennial_data::{Engine, EngineOptions, files_below};

const ROWS: u64 = 500_000;
/// Loads of each format; the median counts.
const ROUNDS: usize = 5;
const MEMORY_BYTES: usize = 1 << 30;

const CARRIERS: &[&str] = &["9E", "AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN"];
const AIRPORTS: &[&str] = &["ATL", "BOS", "DCA", "EWR", "JFK", "LGA", "MCO", "ORD"];

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sources = folder.path().join("sources");
    std::fs::create_dir(&sources)?;
    std::fs::write(sources.join("flights.csv"), csv())?;
    std::fs::write(sources.join("flights.jsonl"), json_lines())?;
    let python = std::env::var("PERENNIAL_TEST_PYTHON").context("PERENNIAL_TEST_PYTHON names no Python")?;

    println!("{ROWS} rows, 10 columns; median of {ROUNDS} loads");
    for name in ["flights.csv", "flights.jsonl"] {
        let bytes = std::fs::metadata(sources.join(name))?.len();
        let mut ours = Vec::new();
        for round in 0..ROUNDS {
            ours.push(load(folder.path(), name, round).await?);
        }
        let (ours, theirs) = (median(ours), pandas(&python, &sources.join(name))?);
        println!(
            "{name} ({:.0} MB): {:.0} ms, {:.0} rows/s; pandas and deltalake {:.0} ms, {:.0} rows/s; ratio {:.1}",
            bytes as f64 / 1e6,
            ours * 1e3,
            ROWS as f64 / ours,
            theirs * 1e3,
            ROWS as f64 / theirs,
            theirs / ours
        );
    }
    Ok(())
}

/// Loads the file into a new dataset; returns the seconds.
async fn load(folder: &Path, name: &str, round: usize) -> Result<f64> {
    let engine = Engine::open(EngineOptions {
        root: folder.join("tables").to_string_lossy().into_owned(),
        staging: folder.join("staging"),
        source_root: folder.join("sources"),
        reserved: Vec::new(),
        memory_bytes: MEMORY_BYTES,
        threads: 2,
    })?;
    let load = LoadId::generate();
    let source = FilesSource {
        root: None,
        files: name.to_owned(),
        format: None,
        header: true,
        columns: Vec::new(),
        local_time: LocalTime::default(),
    };
    let files = files_below(&folder.join("sources"), name)?;
    let started = Instant::now();
    let staged = engine
        .stage(StageRequest {
            load,
            dataset: "flights".parse()?,
            base: None,
            input: StageInput::Files { source, files },
            mode: Mode::Append,
            key: Vec::new(),
            schema: None,
            optional: Vec::new(),
            evolve: false,
            replaces: None,
            plan: ScanPlan::default(),
        })
        .await?;
    let table = format!("project/{}_{round}", name.replace('.', "_"));
    engine.commit(CommitRequest { load, table, number: 1, previous: 0, all: false }).await?;
    let elapsed = started.elapsed().as_secs_f64();
    ensure!(staged.change.added_rows == ROWS, "{} of {ROWS} rows were loaded", staged.change.added_rows);
    Ok(elapsed)
}

/// The median seconds of pandas with deltalake.
fn pandas(python: &str, file: &Path) -> Result<f64> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/loads/pandas_load.py");
    let output = Command::new(python).arg(script).arg(file).arg(ROWS.to_string()).arg(ROUNDS.to_string()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// The fields of a row: number, time, carrier, flight, origin, destination, distance, delay, cancelled, remark.
fn row(number: u64) -> [(&'static str, String, bool); 10] {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let pick = |list: &[&str], shift: u32| list[(mixed >> shift) as usize % list.len()].to_owned();
    let time = format!(
        "2013-{:02}-{:02}T{:02}:{:02}:00Z",
        1 + mixed % 12,
        1 + (mixed >> 4) % 28,
        (mixed >> 9) % 24,
        (mixed >> 14) % 60
    );
    let delay =
        if mixed.is_multiple_of(40) { String::new() } else { format!("{:.1}", (mixed % 9_000) as f64 / 10.0 - 60.0) };
    [
        ("id", number.to_string(), false),
        ("scheduled", time, true),
        ("carrier", pick(CARRIERS, 3), true),
        ("flight", (mixed % 6_000).to_string(), false),
        ("origin", pick(AIRPORTS, 7), true),
        ("destination", pick(AIRPORTS, 11), true),
        ("distance", (100 + mixed % 4_800).to_string(), false),
        ("delay", delay, false),
        ("cancelled", (mixed.is_multiple_of(40)).to_string(), false),
        ("remark", format!("gate {} at stand {}", mixed % 90, (mixed >> 8) % 300), true),
    ]
}

fn csv() -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", row(0).map(|(name, ..)| name).join(","));
    for number in 0..ROWS {
        let _ = writeln!(text, "{}", row(number).map(|(_, value, _)| value).join(","));
    }
    text
}

fn json_lines() -> String {
    let mut text = String::new();
    for number in 0..ROWS {
        let members = row(number).map(|(name, value, is_text)| match (is_text, value.is_empty()) {
            (true, _) => format!("\"{name}\":\"{value}\""),
            (false, true) => format!("\"{name}\":null"),
            (false, false) => format!("\"{name}\":{value}"),
        });
        let _ = writeln!(text, "{{{}}}", members.join(","));
    }
    text
}
