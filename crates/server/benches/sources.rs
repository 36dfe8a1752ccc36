//! The processor time of an idle server whose project has a source of 100,000 local files.
//!
//! `cargo xtask bench sources` runs it. It prints figures and has no limits.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use perennial_core::port::data::{DataEngine, FilesSource, LocalTime};
use perennial_data::{Engine, EngineOptions};
use perennial_server::{BoundServer, ServeOptions, ServerPaths};

/// The files of the source.
const FILES: usize = 100_000;
/// Measured listings.
const LISTINGS: u32 = 10;
/// The server has loaded the files when it uses less than this share of a core for [`PROBE`].
const SETTLED_SHARE: f64 = 0.05;
const PROBE: Duration = Duration::from_secs(20);
/// The time limit of loading the files.
const LOAD_TIMEOUT: Duration = Duration::from_secs(1_800);
/// How long the idle server is measured.
const IDLE: Duration = Duration::from_secs(300);
/// The clock ticks of a second in `/proc/self/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

const PROJECT: &str =
    "[project]\nname = \"files\"\n\n[datasets.many]\nsource = { files = \"in/**/*.csv\", batch = \"all\" }\n";

#[tokio::main]
async fn main() -> Result<()> {
    println!("An idle server over {FILES} local files: share of one core");
    println!("| folders | one listing | listed every second | this server |");
    println!("|---|---|---|---|");
    for folders in [1, 1_000] {
        let place = tempfile::tempdir()?;
        write_files(place.path(), folders)?;
        let listing = listing(place.path()).await?;
        let idle = idle(place.path()).await?;
        println!("| {folders} | {:.0} ms | {:.1} % | {:.2} % |", listing * 1_000.0, listing * 100.0, idle * 100.0);
    }
    Ok(())
}

fn write_files(root: &Path, folders: usize) -> Result<()> {
    for folder in 0..folders {
        let folder = root.join(format!("in/{folder:04}"));
        std::fs::create_dir_all(&folder)?;
        for file in 0..FILES / folders {
            std::fs::write(folder.join(format!("{file:06}.csv")), "n\n1\n")?;
        }
    }
    std::fs::write(root.join("perennial.toml"), PROJECT)?;
    Ok(())
}

/// The processor time of one listing, in seconds.
async fn listing(root: &Path) -> Result<f64> {
    let engine = Engine::open(EngineOptions {
        root: root.join("tables").display().to_string(),
        staging: root.join("staging"),
        source_root: root.to_owned(),
        reserved: Vec::new(),
        memory_bytes: 64 << 20,
        threads: 1,
    })?;
    let files = "in/**/*.csv".to_owned();
    let source = FilesSource {
        root: None,
        files,
        format: None,
        header: true,
        columns: Vec::new(),
        local_time: LocalTime::default(),
    };
    let before = processor_seconds()?;
    for _ in 0..LISTINGS {
        anyhow::ensure!(engine.list(&source).await?.files.len() == FILES, "files are missing");
    }
    Ok((processor_seconds()? - before) / f64::from(LISTINGS))
}

/// The share of one core that an idle server uses.
async fn idle(root: &Path) -> Result<f64> {
    let paths = ServerPaths {
        root: root.to_owned(),
        data: root.join(".perennial"),
        database: None,
        artifacts: None,
        may_step_clock: false,
        may_run_unisolated: false,
        may_build_packages: false,
        uses_data_workers: false,
    };
    let options = ServeOptions { address: ([127, 0, 0, 1], 0).into(), auth: true, hosts: Vec::new() };
    let mut server = BoundServer::bind(&paths, options).await?.serve();
    server.submit_own_project().await?;
    server.start_scheduler();
    let began = Instant::now();
    while share(PROBE).await? > SETTLED_SHARE {
        anyhow::ensure!(began.elapsed() < LOAD_TIMEOUT, "the server does not become idle");
    }
    let share = share(IDLE).await?;
    server.stop().await?;
    Ok(share)
}

/// The share of one core that this process uses during an interval.
async fn share(interval: Duration) -> Result<f64> {
    let (began, before) = (Instant::now(), processor_seconds()?);
    tokio::time::sleep(interval).await;
    Ok((processor_seconds()? - before) / began.elapsed().as_secs_f64())
}

/// The processor time of this process, user and system, in seconds.
fn processor_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat has no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / TICKS_PER_SECOND)
}
