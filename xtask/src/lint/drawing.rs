//! The drawing of the crates in ARCHITECTURE.md agrees with the workspace and the table of layers.

use anyhow::{Context, Result};

use super::workspace::{Layers, Member};

/// The heading of the drawing's section.
const SECTION: &str = "## The crates by layer";

/// A row of the drawing.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// `None` for crates beside the layers.
    layer: Option<usize>,
    crates: Vec<String>,
}

/// Compares the drawing in `page` with what exists: each crate is drawn once, in its layer, the highest layer first.
pub(crate) fn check(page: &str, members: &[Member], layers: &Layers) -> Vec<String> {
    let rows = match parse(page) {
        Ok(rows) => rows,
        Err(error) => return vec![format!("ARCHITECTURE.md: {error:#}")],
    };
    let mut findings = Vec::new();
    let mut find = |finding: String| findings.push(format!("ARCHITECTURE.md, drawing of the crates: {finding}"));
    let numbers: Vec<usize> = rows.iter().filter_map(|row| row.layer).collect();
    if numbers.windows(2).any(|pair| pair[0] < pair[1]) {
        find("the layers are not in descending order".to_owned());
    }
    for row in &rows {
        for name in &row.crates {
            if !members.iter().any(|member| member.name == *name) {
                find(format!("crate `{name}` does not exist"));
            } else if layers.of.get(name).copied() != row.layer {
                let expected =
                    layers.of.get(name).map_or("beside the layers".to_owned(), |layer| format!("in layer {layer}"));
                find(format!("crate `{name}` belongs {expected}"));
            }
        }
    }
    for member in members.iter().filter(|member| !member.is_tool()) {
        match rows.iter().flat_map(|row| &row.crates).filter(|name| **name == member.name).count() {
            1 => {}
            0 => find(format!("crate `{}` is missing", member.name)),
            times => find(format!("crate `{}` is drawn {times} times", member.name)),
        }
    }
    findings
}

/// The rows of the first fenced block of the section: `number │ crates │ what they are`.
fn parse(page: &str) -> Result<Vec<Row>> {
    let section = page.split_once(SECTION).with_context(|| format!("section \"{SECTION}\" is missing"))?.1;
    let mut fences = section.split("```");
    let block = fences.nth(1).with_context(|| format!("section \"{SECTION}\" has no fenced block"))?;
    let mut rows = Vec::new();
    for line in block.lines() {
        let mut columns = line.split('│').map(str::trim);
        let (Some(number), Some(crates)) = (columns.next(), columns.next()) else { continue };
        let layer = match number {
            "" => None,
            number => Some(number.parse().with_context(|| format!("`{number}` is not the number of a layer"))?),
        };
        rows.push(Row { layer, crates: crates.split_whitespace().map(str::to_owned).collect() });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
