//! Small rules about files.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use super::files::SourceFile;
use super::source::code;
use crate::changelog;
use crate::shell::root;

/// The longest source file, in lines.
const FILE_LINES_MAX: usize = 700;

/// The slices: most rules of the product are theirs, and are tested there.
const SLICES: [&str; 6] = ["projects", "tracking", "ingest", "execution", "release", "watch"];

/// The least lines of tests of a slice, in tenths of the lines of its sources.
const TEST_TENTHS_MIN: usize = 6;

/// What marks a place as unfinished; in two halves, so that this file has none.
const MARKS: [&str; 2] = [concat!("TO", "DO:"), concat!("FIX", "ME")];

/// Runs every check.
pub(crate) fn check(files: &[SourceFile]) -> Result<Vec<String>> {
    let mut findings: Vec<String> = files.iter().filter(|file| file.is_rust()).flat_map(check_file).collect();
    findings.extend(SLICES.iter().filter_map(|slice| untested(files, slice)));
    findings.extend(fuzz_targets(files));
    findings.extend(changelog::entries()?.iter().filter_map(changelog::fault));
    let table = "crates/core/src/error.rs";
    let table = std::fs::read_to_string(root().join(table)).with_context(|| format!("cannot read {table}"))?;
    let codes = error_codes(&table);
    if codes.is_empty() {
        bail!("no error codes were found in crates/core/src/error.rs");
    }
    let pages = codes.into_iter().map(|code| format!("docs/errors/{code}.md"));
    findings.extend(pages.filter(|page| !root().join(page).is_file()).map(|page| format!("{page} is missing")));
    Ok(findings)
}

fn check_file(file: &SourceFile) -> Vec<String> {
    let mut findings = Vec::new();
    let path = file.path.display();
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        findings.push(format!("{path}: {lines} lines, at most {FILE_LINES_MAX}: split it into modules"));
    }
    for (index, line) in file.text.lines().enumerate() {
        let number = index + 1;
        if MARKS.iter().any(|mark| line.contains(mark)) {
            findings.push(format!("{path}:{number}: unfinished"));
        }
    }
    if file.is_test() {
        for (index, line) in code(&file.text).lines().enumerate() {
            if ["thread::sleep", "time::sleep", "#[ignore"].iter().any(|call| line.contains(call)) {
                findings.push(format!("{path}:{}: a test neither sleeps nor is ignored", index + 1));
            }
        }
    }
    findings
}

/// A slice with too few lines of tests.
fn untested(files: &[SourceFile], slice: &str) -> Option<String> {
    let (mut tests, mut sources) = (0, 0);
    for file in files.iter().filter(|file| file.is_rust() && file.path.starts_with(format!("crates/{slice}"))) {
        let lines = if file.is_test() { &mut tests } else { &mut sources };
        *lines += file.text.lines().count();
    }
    (tests * 10 < sources * TEST_TENTHS_MIN).then(|| {
        format!(
            "crates/{slice} has {tests} lines of tests for {sources} of sources, expected at least \
             0.{TEST_TENTHS_MIN} lines each: test its rules"
        )
    })
}

/// Fuzz targets without a property test that begins with their samples, and the other way round.
fn fuzz_targets(files: &[SourceFile]) -> Vec<String> {
    const CALL: &str = "perennial_mutation::check(\"";
    let is_target = |file: &&SourceFile| file.path.starts_with("fuzz/fuzz_targets") && file.text.contains("::fuzz::");
    let name = |file: &SourceFile| file.path.file_stem().map(|name| name.to_string_lossy().into_owned());
    let targets: BTreeSet<String> = files.iter().filter(is_target).filter_map(name).collect();
    let tests = files.iter().filter(|file| file.path.starts_with("crates"));
    let calls = tests.flat_map(|file| file.text.split(CALL).skip(1)).filter_map(|rest| rest.split('"').next());
    let tested: BTreeSet<String> = calls.map(str::to_owned).collect();
    let missing_tests = targets.difference(&tested);
    let missing_targets = tested.difference(&targets);
    missing_tests
        .map(|target| format!("fuzz target `{target}` has no property test: call `{CALL}{target}\", …)`"))
        .chain(
            missing_targets.map(|target| format!("fuzz/fuzz_targets/{target}.rs is missing, its property test exists")),
        )
        .collect()
}

/// The names of error codes in the source of their table.
fn error_codes(table: &str) -> Vec<&str> {
    let rows = table.lines().filter(|line| line.starts_with("    ") && line.contains(" = \"") && line.ends_with(';'));
    rows.filter_map(|line| line.split('"').nth(1)).collect()
}

#[cfg(test)]
mod tests;
