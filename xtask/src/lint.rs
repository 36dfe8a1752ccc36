//! What reviewers should not have to check. Each check reports all that it finds, with the rule.

mod dependencies;
mod drawing;
mod files;
mod layers;
mod modules;
mod paths;
mod security;
mod source;
mod spelling;
mod tidy;
mod walks;
mod words;
mod workspace;

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, root, run};
use files::SourceFile;

/// A check by its name.
struct Check {
    name: &'static str,
    what: &'static str,
    run: fn(&[String]) -> Result<Vec<String>>,
}

/// In the order in which they run: the fast ones first.
const CHECKS: &[Check] = &[
    Check {
        name: "layers",
        what: "crates import lower layers only; the drawing and the paths in ARCHITECTURE.md agree",
        run: layers,
    },
    Check { name: "modules", what: "no cycle of more than three files inside a crate", run: modules },
    Check { name: "words", what: "banned words, everywhere or below the given paths", run: words },
    Check {
        name: "tidy",
        what: "long files, unfinished marks, sleeping tests, error pages, change log",
        run: tidy_files,
    },
    Check { name: "security", what: "docs/security.md names tests that exist for each class of holes", run: security },
    Check { name: "spelling", what: "misspelt words", run: spelling::check },
    Check { name: "dependencies", what: "licences, bans, sources, advisories; unused ones", run: dependencies::check },
    Check { name: "format", what: "rustfmt", run: format },
    Check { name: "clippy", what: "clippy on all targets", run: clippy },
    Check { name: "docs", what: "rustdoc builds without warnings", run: docs },
];

/// The verb `lint`: all checks, or the one that is named with its arguments.
pub(crate) fn run_verb(args: &[String]) -> Result<()> {
    let Some((name, rest)) = args.split_first() else {
        let mut failed = Vec::new();
        for check in CHECKS {
            if !report(check, &[])? {
                failed.push(check.name);
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        bail!("lint failed: {}", failed.join(", "));
    };
    let Some(check) = CHECKS.iter().find(|check| check.name == name) else {
        let known: Vec<String> = CHECKS.iter().map(|check| format!("  {:<13} {}", check.name, check.what)).collect();
        bail!("`{name}` is not a check; the checks are\n{}", known.join("\n"));
    };
    if report(check, rest)? { Ok(()) } else { bail!("lint failed: {name}") }
}

/// Runs a check and prints its findings; returns whether there were none.
fn report(check: &Check, args: &[String]) -> Result<bool> {
    let findings = (check.run)(args)?;
    for finding in &findings {
        println!("{}: {finding}", check.name);
    }
    Ok(findings.is_empty())
}

fn layers(_: &[String]) -> Result<Vec<String>> {
    let (members, layers, files) = (workspace::members()?, workspace::Layers::read()?, files::all()?);
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).context("cannot read ARCHITECTURE.md")?;
    let mut findings = layers::check(&members, &layers, |member, package| layers::first_use(&files, member, package));
    findings.extend(drawing::check(&page, &members, &layers));
    findings.extend(walks::check(&page, &layers, |path| std::fs::read_to_string(root().join(path)).ok()));
    Ok(findings)
}

fn modules(_: &[String]) -> Result<Vec<String>> {
    let files = files::all()?;
    Ok(modules::folders(&files).iter().flat_map(|folder| modules::check(&files, folder)).collect())
}

fn words(paths: &[String]) -> Result<Vec<String>> {
    words::check(&files::all()?, paths)
}

fn tidy_files(_: &[String]) -> Result<Vec<String>> {
    let files: Vec<SourceFile> = files::all()?;
    tidy::check(&files)
}

fn security(_: &[String]) -> Result<Vec<String>> {
    let page = std::fs::read_to_string(root().join(security::PAGE)).context("cannot read docs/security.md")?;
    Ok(security::check(&page, &files::all()?))
}

/// A check by a program that prints its own findings.
fn program(command: impl std::borrow::BorrowMut<std::process::Command>) -> Result<Vec<String>> {
    Ok(run(command).err().map(|error| format!("{error:#}")).into_iter().collect())
}

fn format(_: &[String]) -> Result<Vec<String>> {
    program(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(_: &[String]) -> Result<Vec<String>> {
    program(cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
}

fn docs(_: &[String]) -> Result<Vec<String>> {
    program(cargo().args(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))
}
