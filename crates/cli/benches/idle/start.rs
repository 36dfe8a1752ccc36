//! The time from the start of the process to its first answer, and the memory of an idle server.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::ms;
use crate::server::{Memory, start};
use crate::support::{good, quantile};
use crate::tools::perennial;

/// Measured starts; the result is their median.
const STARTS: usize = 11;
/// How long a server is idle before its memory is read.
const IDLE: Duration = Duration::from_secs(5);

/// Measures a new folder, a folder with an empty project, and one with data and a served model.
pub(crate) fn measure(place: &Path, flights: &Path) -> Result<()> {
    println!("\n`perennial up`: median (slowest) of {STARTS} starts; memory {} s after a start", IDLE.as_secs());
    println!("| project | /health answers | /ready answers | resident memory | of which anonymous |");
    println!("|---|---|---|---|---|");
    let fresh = |start: usize| {
        let folder = place.join(format!("fresh-{start}"));
        good(&mut perennial(place, &["init", &folder.display().to_string()]))?;
        Ok(folder)
    };
    row("empty, first start (creates the database)", fresh)?;
    let empty = fresh(STARTS)?;
    start(|args| perennial(&empty, args))?;
    row("empty", |_| Ok(empty.clone()))?;
    row("flights, a model behind an endpoint", |_| Ok(flights.to_owned()))
}

fn row(title: &str, folder: impl Fn(usize) -> Result<std::path::PathBuf>) -> Result<()> {
    let (mut healthy, mut ready) = (Vec::new(), Vec::new());
    let mut memory = None;
    for number in 0..STARTS {
        let folder = folder(number)?;
        let (server, started, _) = start(|args| perennial(&folder, args))?;
        healthy.push(started.healthy);
        ready.push(started.ready);
        if number + 1 == STARTS {
            std::thread::sleep(IDLE);
            memory = Some(Memory::of(server.child.id())?);
        }
    }
    let memory = memory.context("no start was measured")?;
    let shown = |times: &mut Vec<Duration>| format!("{} ({})", ms(quantile(times, 0.5)), ms(quantile(times, 1.0)));
    let (healthy, ready) = (shown(&mut healthy), shown(&mut ready));
    println!("| {title} | {healthy} | {ready} | {:.1} MB | {:.1} MB |", memory.resident, memory.anonymous);
    Ok(())
}
