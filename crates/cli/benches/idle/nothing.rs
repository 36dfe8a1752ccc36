//! A run with nothing to do, compared with `dvc repro`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::graph;
use crate::ms;
use crate::support::{good, quantile};
use crate::tools::perennial;

/// Measured runs; the result is their median.
const RUNS: usize = 11;
/// Measured runs of DVC, which take long and vary little.
const DVC_RUNS: usize = 5;
/// Steps of the large generated project.
const STEPS: usize = 1_000;
/// Stages for DVC. More would take too long: its first run rewrites `dvc.lock` after each stage.
const DVC_STEPS: usize = 200;
/// The greatest number of runs until nothing is left to do; the run after a release evaluates the new champion.
const SETTLE_MAX: usize = 4;

/// Measures the flights, and generated pipelines for both tools.
pub(crate) fn measure(place: &Path, flights: &Path, tools: &Path) -> Result<()> {
    println!("\nNothing to do: elapsed time of the process, median (slowest) of {RUNS} runs, for DVC {DVC_RUNS}");
    println!("| project | command | elapsed | per step |");
    println!("|---|---|---|---|");
    settle(flights)?;
    measured("flights, 4 steps", "perennial run", 4, RUNS, || run(flights))?;
    let large = generated(place, STEPS)?;
    let small = generated(place, DVC_STEPS)?;

    eprintln!("preparing: {DVC_STEPS} stages for DVC");
    let folder = place.join("dvc");
    graph::dvc(&folder, DVC_STEPS)?;
    good(&mut dvc(tools, &folder, &["init", "--no-scm", "--quiet"]))?;
    good(&mut dvc(tools, &folder, &["repro", "--quiet"]))?;
    let title = format!("the same graph, {DVC_STEPS} stages");
    let theirs = measured(&title, "dvc repro", DVC_STEPS, DVC_RUNS, || repro(tools, &folder))?;

    let times =
        |ours: Duration, steps: usize| (theirs.as_secs_f64() / DVC_STEPS as f64) / (ours.as_secs_f64() / steps as f64);
    println!("\n{DVC_STEPS} steps compared with {DVC_STEPS} stages: {:.0} times faster", times(small, DVC_STEPS));
    println!("one step of {STEPS} compared with one stage of {DVC_STEPS}: {:.0} times faster", times(large, STEPS));
    Ok(())
}

fn generated(place: &Path, steps: usize) -> Result<Duration> {
    eprintln!("preparing: a project of {steps} steps");
    let folder = place.join(format!("graph-{steps}"));
    graph::project(&folder, steps)?;
    settle(&folder)?;
    measured(&format!("generated, {steps} steps"), "perennial run", steps, RUNS, || run(&folder))
}

/// Prints a row, and gives the median.
fn measured(
    title: &str,
    command: &str,
    steps: usize,
    runs: usize,
    mut run: impl FnMut() -> Result<()>,
) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let began = Instant::now();
        run()?;
        times.push(began.elapsed());
    }
    let median = quantile(&mut times, 0.5);
    let a_step = median.as_secs_f64() * 1000.0 / steps as f64;
    println!("| {title} | `{command}` | {} ({}) | {a_step:.2} ms |", ms(median), ms(quantile(&mut times, 1.0)));
    Ok(median)
}

fn is_idle(folder: &Path) -> Result<bool> {
    Ok(good(&mut perennial(folder, &["run"]))?.starts_with("nothing to do"))
}

fn settle(folder: &Path) -> Result<()> {
    for _ in 0..SETTLE_MAX {
        if is_idle(folder)? {
            return Ok(());
        }
    }
    bail!("{} runs left something to do in {}", SETTLE_MAX, folder.display())
}

fn run(folder: &Path) -> Result<()> {
    if is_idle(folder)? { Ok(()) } else { bail!("a run found something to do in {}", folder.display()) }
}

fn repro(tools: &Path, folder: &Path) -> Result<()> {
    let output = good(&mut dvc(tools, folder, &["repro"]))?;
    if output.contains("up to date") { Ok(()) } else { bail!("`dvc repro` found something to do:\n{output}") }
}

fn dvc(tools: &Path, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(tools.join("dvc"));
    command.current_dir(folder).args(args).env("DVC_NO_ANALYTICS", "1");
    command
}
