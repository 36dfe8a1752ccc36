//! The crates of the workspace as Cargo sees them, and the table of layers that they are held to.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::{cargo, output, root};

/// What a crate of this workspace is called for Cargo: its folder's name after this prefix.
pub(crate) const PREFIX: &str = "perennial-";

/// Packages of the workspace that are tools: they have no layer and link no crate.
const TOOLS: [&str; 2] = ["xtask", "protos"];

/// A crate of the workspace, by the name of its folder.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A line of a crate's manifest.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The package's name, ours with the prefix.
    pub(crate) package: String,
    /// Whether only tests and benchmarks link it.
    pub(crate) is_dev: bool,
}

impl Member {
    /// The name by which Cargo knows it.
    pub(crate) fn package(&self) -> String {
        if self.is_tool() { self.name.clone() } else { format!("{PREFIX}{}", self.name) }
    }

    /// Whether it is a tool beside the layers.
    pub(crate) fn is_tool(&self) -> bool {
        TOOLS.contains(&self.name.as_str())
    }
}

/// The members of this workspace.
pub(crate) fn members() -> Result<Vec<Member>> {
    let text = output(cargo().args(["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    parse_metadata(&text)
}

/// The members in an answer of `cargo metadata`.
pub(crate) fn parse_metadata(text: &str) -> Result<Vec<Member>> {
    let metadata: Value = serde_json::from_str(text).context("cargo metadata is not JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let mut members = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let mut dependencies = Vec::new();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let package = dependency["name"].as_str().context("a dependency without a name")?.to_owned();
            dependencies.push(Dependency { package, is_dev: dependency["kind"] == "dev" });
        }
        members.push(Member { name: name.strip_prefix(PREFIX).unwrap_or(name).to_owned(), dependencies });
    }
    members.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(members)
}

/// `xtask/layers.toml`.
#[derive(Debug)]
pub(crate) struct Layers {
    /// The layer of each crate, the lowest being 0.
    pub(crate) of: BTreeMap<String, usize>,
    /// Crates that only tests link.
    pub(crate) tests: Vec<String>,
    /// Crates that each crate links.
    pub(crate) everywhere: Vec<String>,
    /// The crates that may name a dependency, for those that not every crate may.
    pub(crate) only: BTreeMap<String, Vec<String>>,
}

impl Layers {
    pub(crate) fn read() -> Result<Self> {
        let path = root().join("xtask/layers.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("cannot parse {}", path.display()))
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse()?;
        let mut of = BTreeMap::new();
        for (layer, crates) in table.get("layers").and_then(toml::Value::as_array).into_iter().flatten().enumerate() {
            for name in strings(Some(crates)) {
                if of.insert(name.clone(), layer).is_some() {
                    bail!("crate `{name}` is in two layers");
                }
            }
        }
        Ok(Self {
            of,
            tests: strings(table.get("tests")),
            everywhere: strings(table.get("everywhere")),
            only: entries(&table, "only").map(|(name, crates)| (name.clone(), strings(Some(crates)))).collect(),
        })
    }
}

fn entries<'a>(table: &'a toml::Table, name: &str) -> impl Iterator<Item = (&'a String, &'a toml::Value)> {
    table.get(name).and_then(toml::Value::as_table).into_iter().flatten()
}

fn strings(value: Option<&toml::Value>) -> Vec<String> {
    let items = value.and_then(toml::Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}
