//! Benchmarks beside the tools people use today.

use anyhow::{Result, bail};

use crate::Chain;
use crate::setup::Ready;
use crate::shell::{cargo, run as execute};

/// Name, package, kind of target, and what it prints.
const BENCHMARKS: &[(&str, &str, &str)] = &[
    ("evaluator", "perennial-onnx", "tree models beside ONNX Runtime, one row and 1,000"),
    ("training", "perennial-training", "the built-in gbdt beside LightGBM on the flights"),
    ("monitoring", "perennial-monitoring", "drift beside Evidently"),
    ("idle", "perennial-cli", "a run with nothing to do beside `dvc repro`; start-up and idle memory"),
    ("serving", "perennial-cli", "one-row requests over HTTP beside MLServer"),
];

/// Runs one benchmark; without a name, lists them.
fn run_named(name: &str, args: &[String]) -> Result<()> {
    let Some((_, package, _)) = BENCHMARKS.iter().find(|(known, ..)| *known == name) else {
        bail!("`{name}` is no benchmark; `cargo xtask bench` lists them");
    };
    let ready = Ready::new()?;
    execute(ready.apply(Chain::args(cargo(), ["bench", "-p", package, "--bench", name, "--"]).args(args)))
}

/// The verb `bench`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    match args.split_first() {
        Some((name, rest)) => run_named(name, rest),
        None => {
            for (name, _, prints) in BENCHMARKS {
                println!("{name:<12} {prints}");
            }
            Ok(())
        }
    }
}
