//! The cost of an idle binary: the time to start, the memory, and a run with nothing to do, compared with `dvc repro`.
//!
//! `cargo xtask bench idle` runs it. It prints figures and has no limits.

mod graph;
mod nothing;
#[path = "../support/server.rs"]
mod server;
mod start;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tools.rs"]
mod tools;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use support::{good, machine};
use tools::{perennial, python, versions};

fn main() -> Result<()> {
    let tools = python("PERENNIAL_BENCH_PYTHON")?;
    println!("{}; {}", machine(), versions(&tools, &["dvc"])?);
    let place = tempfile::tempdir()?;
    let flights = place.path().join("flights");
    eprintln!("preparing: a year of flights, collected, trained and released");
    good(&mut perennial(place.path(), &["init", "--example", "flights", "flights"]))?;
    good(&mut perennial(&flights, &["release"]))?;
    start::measure(place.path(), &flights)?;
    nothing::measure(
        place.path(),
        &flights,
        Path::new(&tools).parent().context("the path of the Python has no parent folder")?,
    )
}

/// Milliseconds with one decimal.
fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
