//! Crates import lower layers only, and heavy dependencies stay where they belong.

use std::path::Path;

use super::files::SourceFile;
use super::source::code;
use super::workspace::{Dependency, Layers, Member, PREFIX};

/// Every dependency of `members` that the table does not allow, with the rule that it breaks. `first_use` gives the
/// line on which a crate first names a package.
pub(crate) fn check(
    members: &[Member],
    layers: &Layers,
    first_use: impl Fn(&str, &str) -> Option<String>,
) -> Vec<String> {
    let mut findings = Vec::new();
    for member in members {
        for dependency in &member.dependencies {
            if let Some(rule) = broken_rule(member, dependency, layers) {
                let place = first_use(&member.name, &dependency.package)
                    .unwrap_or_else(|| format!("crates/{}/Cargo.toml", member.name));
                findings.push(format!("{place}: {} depends on {}: {rule}", member.package(), dependency.package));
            }
        }
        let name = &member.name;
        let is_known = member.is_tool()
            || layers.of.contains_key(name)
            || layers.tests.contains(name)
            || layers.everywhere.contains(name);
        if !is_known {
            findings.push(format!("crate `{name}` has no layer: add it to xtask/layers.toml"));
        }
    }
    for name in layers.of.keys().chain(&layers.tests).chain(&layers.everywhere) {
        if !members.iter().any(|member| member.name == *name) {
            findings.push(format!("crate `{name}` does not exist: remove it from xtask/layers.toml"));
        }
    }
    findings
}

/// The rule that `member` breaks by naming `dependency`.
fn broken_rule(member: &Member, dependency: &Dependency, layers: &Layers) -> Option<String> {
    let is_test = dependency.is_dev || layers.tests.contains(&member.name);
    if let Some(allowed) = layers.only.get(&dependency.package) {
        let is_own = dependency.package.starts_with(PREFIX);
        // Tests may link an implementation of a port; what is heavy stays behind its crate in tests, too.
        if !(allowed.contains(&member.name) || is_own && is_test) {
            return Some(format!("only {} may", allowed.join(", ")));
        }
    }
    let name = dependency.package.strip_prefix(PREFIX)?;
    if layers.everywhere.iter().any(|known| known == name) {
        return None;
    }
    if member.is_tool() {
        return Some(format!("{} is a tool, built before everything else", member.name));
    }
    if layers.tests.iter().any(|known| known == name) {
        return (!is_test).then(|| "only tests may".to_owned());
    }
    if layers.tests.contains(&member.name) || layers.everywhere.contains(&member.name) {
        return None;
    }
    let (from, to) = (layers.of.get(&member.name)?, layers.of.get(name)?);
    match from.cmp(to) {
        std::cmp::Ordering::Greater => None,
        std::cmp::Ordering::Equal => Some(format!(
            "both are in layer {from}; siblings do not import each other, what two need moves to a lower layer"
        )),
        std::cmp::Ordering::Less => Some(format!("layer {from} is below layer {to}; imports go to lower layers only")),
    }
}

/// The first line of crate `member`, in `files` of the whole tree, that names `package`.
pub(crate) fn first_use(files: &[SourceFile], member: &str, package: &str) -> Option<String> {
    let name = package.replace('-', "_");
    let folder = Path::new("crates").join(member);
    files.iter().filter(|file| file.path.starts_with(&folder) && file.is_rust()).find_map(|file| {
        let line = code(&file.text).lines().position(|line| names(line, &name))?;
        Some(format!("{}:{}", file.path.display(), line + 1))
    })
}

fn names(line: &str, name: &str) -> bool {
    line.split(|character: char| !character.is_alphanumeric() && character != '_').any(|word| word == name)
}

#[cfg(test)]
mod tests;
