//! The entry point for people and CI: `cargo xtask <verb>`.
//!
//! It has few and small dependencies, so that it builds within seconds, before anything else.

mod bench;
mod changelog;
mod fuzz;
mod lint;
mod postgres;
mod python;
mod setup;
mod shell;
mod workspace_hack;

use anyhow::{Result, bail};

use crate::shell::{cargo, root, run};

const USAGE: &str = "\
cargo xtask <verb>

  test [args]   sets up what the tests need, then runs every test; args go to the test runner
  ci            `lint`, then `test`
  lint [check]  layers, modules, words, tidy, security, spelling, dependencies, format, clippy, docs; or one
  setup         the set-up of `test` alone; prints where things are
  postgres      a PostgreSQL for tests run by hand; prints its URL, ends with the input of this command
  crash [n]     the long crash campaign: n kills (default 200); writes docs/benchmarks/crash.md
  attack [n]    the long attack campaign: n rounds of every attempt (default 10); writes docs/benchmarks/attack.md
  bench [name]  a benchmark beside the tools people use today; `bench` alone lists them
  fuzz [name]   a fuzz target for some seconds; `fuzz` alone lists them, `fuzz --check` type-checks them
  schema        generates docs/schema/perennial.schema.json
  protos [--check]
                generates Rust types from the vendored protobuf definitions
  workspace-hack [--check]
                generates crates/workspace-hack/Cargo.toml with cargo-hakari, which it builds once
  changelog v   moves the entries of changelog.d into CHANGELOG.md, for version v
  python args   runs the Python environment of the tests
";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    match args.first().map(String::as_str) {
        Some("test") => test(rest),
        Some("ci") => lint::run_verb(&[]).and_then(|()| test(rest)),
        Some("lint") => lint::run_verb(rest),
        Some("postgres") => postgres::hold(),
        Some("setup") => setup::Ready::new().map(|ready| ready.print()),
        Some("crash") => campaign("crash", "crash::", "KILLS", rest.first().map_or("200", String::as_str)),
        Some("attack") => campaign("attack", "attack::campaign::", "ROUNDS", rest.first().map_or("10", String::as_str)),
        Some("bench") => bench::run(rest),
        Some("schema") => with_env("PERENNIAL_WRITE_SCHEMA", "1", &["test", "-p", "perennial-config", "schema"]),
        Some("protos") => run(cargo().args(["run", "--quiet", "--locked", "--package", "protos", "--"]).args(rest)),
        Some("workspace-hack") => workspace_hack::run_verb(rest),
        Some("fuzz") => fuzz::run_verb(rest),
        Some("changelog") => changelog::release(rest.first()),
        Some("python") => run(std::process::Command::new(python::environment()?).args(rest)),
        Some("help" | "--help" | "-h") | None => {
            print!("{USAGE}");
            Ok(())
        }
        Some(other) => bail!("unknown verb `{other}`\n\n{USAGE}"),
    }
}

fn with_env(name: &str, value: &str, args: &[&str]) -> Result<()> {
    run(cargo().args(args).env(name, value))
}

fn test(args: &[String]) -> Result<()> {
    let ready = setup::Ready::new()?;
    let tests = ready.apply(cargo().args(["nextest", "run", "--workspace", "--locked"]).args(args));
    run(shell::ended_with_this_process(tests))
}

/// A long campaign of the binary's tests. It needs nothing that [`setup::Ready`] installs; the test runner's limit of
/// time is not for it.
fn campaign(name: &str, tests: &str, unit: &str, count: &str) -> Result<()> {
    if count.parse::<u32>().is_err() {
        bail!("`{count}` is not a number\n\n{USAGE}");
    }
    let prefix = format!("PERENNIAL_{}", name.to_uppercase());
    let command = cargo()
        .args(["test", "-p", "perennial-cli", "--locked", "--test", "it", "--", "--nocapture", tests])
        .env(&format!("{prefix}_{unit}"), count)
        .env(&format!("{prefix}_RESULT"), root().join(format!("docs/benchmarks/{name}.md")));
    run(command)
}

pub(crate) trait Chain {
    fn args(self, args: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Self;
    fn env(self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self;
}

impl Chain for std::process::Command {
    fn args(mut self, args: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Self {
        std::process::Command::args(&mut self, args);
        self
    }

    fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        std::process::Command::env(&mut self, name, value);
        self
    }
}
