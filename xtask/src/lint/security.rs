//! `docs/security.md` names a rule with tests for each class of holes, and the tests exist.

use std::path::Path;

use super::files::SourceFile;

/// The page.
pub(crate) const PAGE: &str = "docs/security.md";
/// The tests that attack the built binary; each of their kinds is named by the page.
const ATTACKS: &str = "crates/cli/tests/it/attack/";

/// The classes, each a section of the page.
const CLASSES: [&str; 9] = [
    "Path traversal",
    "Server-side requests",
    "Unsafe deserialization",
    "Missing or bypassed authorization",
    "Injection and scripts in pages",
    "Cross-site and rebinding",
    "Exhaustion",
    "Supply chain",
    "Leaks",
];

/// Compares the page with the tests.
pub(crate) fn check(page: &str, files: &[SourceFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for class in CLASSES {
        let section = page.split("\n## ").find_map(|section| section.strip_prefix(class)?.strip_prefix('\n'));
        if section.is_none_or(|section| tests(section).next().is_none()) {
            findings.push(format!("{PAGE}: the section `{class}` names no test"));
        }
    }
    for (name, file, function) in tests(page) {
        let path = format!("crates/{file}");
        let exists = files.iter().any(|file| file.path == Path::new(&path) && defines(&file.text, function));
        if !exists {
            findings.push(format!("{PAGE}: `{name}` does not exist"));
        }
    }
    for file in files.iter().filter(|file| file.path.starts_with(ATTACKS)) {
        let path = file.path.strip_prefix("crates").unwrap_or(&file.path).display();
        for function in kinds(&file.text) {
            let name = format!("`{path}::{function}`");
            if !page.contains(&name) {
                findings.push(format!("{PAGE}: {name} is missing"));
            }
        }
    }
    findings
}

fn defines(text: &str, function: &str) -> bool {
    ["(", "<"].iter().any(|end| text.contains(&format!("fn {function}{end}")))
}

/// The tests in code spans, `crate/file.rs::function`: the name, the file and the function.
fn tests(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|name| {
        let (file, function) = name.split_once("::")?;
        Path::new(file).extension().is_some_and(|ending| ending == "rs").then_some((name, file, function))
    })
}

/// The functions of the kinds in a file: `kind!("…", function)`.
fn kinds(text: &str) -> impl Iterator<Item = &str> {
    text.split("kind!(").skip(1).filter_map(|rest| {
        let (_, rest) = rest.trim_start().strip_prefix('"')?.split_once("\",")?;
        rest.split(')').next().map(|function| function.trim().trim_end_matches(','))
    })
}

#[cfg(test)]
mod tests;
