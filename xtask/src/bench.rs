//! Benchmarks beside the tools people use today.

use anyhow::{Context, Result};

use crate::python;
use crate::setup::Ready;
use crate::shell::{cargo, run as execute};

/// One benchmark target.
struct Benchmark {
    name: &'static str,
    package: &'static str,
    prints: &'static str,
    /// Whether it asks the tools of `conformance/requirements-bench.txt`.
    beside_tools: bool,
}

const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "evaluator",
        package: "perennial-onnx",
        prints: "tree models beside ONNX Runtime, one row and 1,000",
        beside_tools: false,
    },
    Benchmark {
        name: "training",
        package: "perennial-training",
        prints: "the built-in gbdt beside LightGBM on the flights",
        beside_tools: false,
    },
    Benchmark {
        name: "drift",
        package: "perennial-monitoring",
        prints: "reference, summaries and drift of 100,000 rows",
        beside_tools: false,
    },
    Benchmark {
        name: "loads",
        package: "perennial-data",
        prints: "loads of 500,000 rows of CSV and JSON lines beside pandas and deltalake",
        beside_tools: false,
    },
    Benchmark {
        name: "run_end",
        package: "perennial-store",
        prints: "the end of a run of a million metric points, and other writes meanwhile",
        beside_tools: false,
    },
    Benchmark {
        name: "idle",
        package: "perennial-cli",
        prints: "start-up and idle memory; a run with nothing to do beside `dvc repro`",
        beside_tools: true,
    },
    Benchmark {
        name: "sources",
        package: "perennial-server",
        prints: "processor time of an idle server over 100,000 local files",
        beside_tools: false,
    },
    Benchmark {
        name: "serving",
        package: "perennial-cli",
        prints: "one-row requests over HTTP beside MLServer",
        beside_tools: true,
    },
    Benchmark {
        name: "versions",
        package: "perennial-cli",
        prints: "demo, start, memory, runs, requests and logging beside an earlier binary: `bench versions OLD`",
        beside_tools: false,
    },
];

/// Runs one benchmark.
fn run_named(name: &str, args: &[String]) -> Result<()> {
    let benchmark = BENCHMARKS
        .iter()
        .find(|known| known.name == name)
        .with_context(|| format!("unknown benchmark `{name}`; `cargo xtask bench` lists them"))?;
    let ready = Ready::new()?;
    let mut command = cargo();
    command.args(["bench", "-p", benchmark.package, "--bench", name, "--"]);
    // Paths are those of the caller; the benchmark runs in the folder of its package.
    command.args(args.iter().map(|argument| std::fs::canonicalize(argument).unwrap_or_else(|_| argument.into())));
    if benchmark.beside_tools {
        command.env("PERENNIAL_BENCH_PYTHON", python::bench_environment()?);
    }
    execute(ready.apply(command))
}

/// The verb `bench`; without a name, it lists them.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if let Some((name, rest)) = args.split_first() {
        return run_named(name, rest);
    }
    for benchmark in BENCHMARKS {
        println!("{:<12} {}", benchmark.name, benchmark.prints);
    }
    Ok(())
}
