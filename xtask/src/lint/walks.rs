//! The code that ARCHITECTURE.md names exists, and each path through it leads downward.

use super::workspace::Layers;
use std::path::Path;

/// How the heading of a section begins that describes a path through the code.
const PATH_HEADING: &str = "## The path of ";

/// A function that the page names: `crate/file.rs::function`.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'a> {
    name: &'a str,
    krate: &'a str,
    file: &'a str,
    function: &'a str,
}

impl<'a> Reference<'a> {
    /// `None` for code that is not a reference.
    fn parse(name: &'a str) -> Option<Self> {
        let (path, function) = name.split_once("::")?;
        let (krate, file) = path.split_once('/')?;
        Path::new(path).extension().is_some_and(|extension| extension == "rs").then_some(Self {
            name,
            krate,
            file,
            function,
        })
    }
}

/// Checks every reference of the page, and the order of the steps of each path. `read` gives the text of a file below
/// the root, if there is one.
pub(crate) fn check(page: &str, layers: &Layers, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for reference in page.lines().flat_map(references) {
        let Reference { name, krate, file, function } = reference;
        let exists = read(&format!("crates/{krate}/src/{file}"))
            .is_some_and(|text| ["(", "<"].iter().any(|end| text.contains(&format!("fn {function}{end}"))));
        if !exists {
            findings.push(format!("ARCHITECTURE.md: `{name}` does not exist"));
        }
    }
    for section in page.split("\n## ").filter(|section| format!("## {section}").starts_with(PATH_HEADING)) {
        findings.extend(check_order(section, layers));
    }
    findings
}

/// The references in a line.
fn references(line: &str) -> impl Iterator<Item = Reference<'_>> {
    line.split('`').skip(1).step_by(2).filter_map(Reference::parse)
}

fn is_step(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_digit())
}

/// A step is never in a higher layer than the step before it; nothing that a step or one of its calls names is in a higher
/// layer than the step.
fn check_order(section: &str, layers: &Layers) -> Vec<String> {
    let mut findings = Vec::new();
    let mut above: Option<(usize, &str)> = None;
    let steps = section.lines().skip_while(|line| !is_step(line));
    for line in steps {
        // A step begins with its function.
        let mut begins = is_step(line)
            && line.find('`').is_some_and(|at| line[..at].chars().all(|c| c.is_ascii_digit() || " .".contains(c)));
        for reference in references(line) {
            let Some(layer) = layers.of.get(reference.krate).copied() else { continue };
            if let Some((_, before)) = above.filter(|(highest, _)| layer > *highest) {
                findings.push(format!("ARCHITECTURE.md: `{}` is in a higher layer than `{before}`", reference.name));
            }
            if std::mem::take(&mut begins) {
                above = Some((layer, reference.name));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests;
