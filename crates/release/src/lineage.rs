//! Lineage: from a prediction back to the rows it rests on, and forward to what answers now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use perennial_core::id::DatasetId;
use perennial_core::lineage::{Edge, Node, NodeKind};
use perennial_core::permission::Permission;
use perennial_core::rule::did_you_mean;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{dataset_versions, endpoints, lineage, registered_models};

use crate::decisions::{release_node, version_node};
use crate::releases;
use perennial_ingest::snapshot::{self, without_rows};
use perennial_kernel::Caller;
use perennial_projects::ProjectState;

use crate::Endpoints;

mod describe;
mod prediction;

use describe::Describer;

/// Lines a tree has at most.
pub const LINES_MAX: usize = 5_000;

/// Steps that are indented at most.
const INDENT_MAX: usize = 24;

/// What can be explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A prediction: `<request>-<row>`.
    Prediction,
    /// A model version: `<number>`, or `<model>/<number>`.
    Model,
    /// A release, by the first digits of its digest.
    Release,
    /// A dataset version: `<dataset>`, or `<dataset>@<number>`.
    DatasetVersion,
}

impl std::str::FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "prediction" => Ok(Self::Prediction),
            "model" => Ok(Self::Model),
            "release" => Ok(Self::Release),
            "dataset" => Ok(Self::DatasetVersion),
            other => {
                let message = format!(
                    "`{}` cannot be explained: expected prediction, model, release or dataset",
                    other.escape_debug()
                );
                let error = Error::new(ErrorCode::InvalidArgument, message);
                Err(error.with_optional_hint(did_you_mean(other, ["prediction", "model", "release", "dataset"])))
            }
        }
    }
}

/// One thing in a tree of lineage, in reading order: what it was made from (or what was made
/// from it) follows it one step deeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Steps from the thing that is explained.
    pub depth: usize,
    /// What it is: `dataset_version`, `step_run`, ….
    pub kind: String,
    /// Which one, as its kind names it.
    pub id: String,
    /// One line for people.
    pub text: String,
    /// Whether what hangs below it stands at an earlier place of the tree.
    pub is_repeated: bool,
}

/// Where something comes from and where it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// What it was made from, to the source files.
    pub backward: Vec<Line>,
    /// What was made from it, to live endpoints.
    pub forward: Vec<Line>,
    /// Whether the walk was cut at its limit.
    pub is_cut: bool,
}

impl Explained {
    /// Both trees as text, indented by depth.
    pub fn text(&self) -> String {
        let mut text = String::new();
        write_lines(&mut text, &self.backward);
        if self.forward.len() > 1 {
            text.push_str("and what was made from it:\n");
            write_lines(&mut text, self.forward.get(1..).unwrap_or_default());
        }
        if self.is_cut {
            text.push_str("(cut: there is more)\n");
        }
        text
    }
}

fn write_lines(text: &mut String, lines: &[Line]) {
    for line in lines {
        text.push_str(&"  ".repeat(line.depth.min(INDENT_MAX)));
        text.push_str(&line.text);
        text.push_str(if line.is_repeated { " (see above)\n" } else { "\n" });
    }
}

impl Endpoints {
    /// Walks from a thing both ways to the end.
    pub async fn explain(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        kind: Kind,
        id: &str,
    ) -> Result<Explained> {
        caller.require(Permission::Read, project.id)?;
        let (titles, node) = self.find_node(caller, project, kind, id).await?;
        let mut reader = caller.kernel.store().read().await?;
        let back = lineage::backward(&mut reader, project.id, &node).await?;
        let forth = lineage::forward(&mut reader, project.id, &node).await?;
        let serving = endpoints::list(&mut reader, project.id).await?;
        drop(reader);
        let (before, after) = (Walk::new(&back, Direction::Back), Walk::new(&forth, Direction::Forth));
        let is_cut = [back.len(), forth.len()].iter().any(|edges| *edges as i64 >= lineage::EDGES_MAX)
            || before.is_cut()
            || after.is_cut();
        let mut describer = Describer::new(caller, project, serving).await?;
        for node in before.nodes().chain(after.nodes()).chain(std::iter::once(&node)) {
            describer.learn(node).await?;
        }
        let (mut backward, mut forward) = (before.lines(&node, &describer), after.lines(&node, &describer));
        if let Some(title) = titles.first().cloned() {
            let below = backward.into_iter().map(|line| Line { depth: line.depth + 1, ..line });
            backward = titles.into_iter().chain(below).collect();
            forward = vec![title];
        }
        Ok(Explained { backward, forward, is_cut })
    }
}

impl Endpoints {
    /// The node a walk begins at, with lines above it for a prediction, which is not a node.
    async fn find_node(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        kind: Kind,
        id: &str,
    ) -> Result<(Vec<Line>, Node)> {
        match kind {
            Kind::Prediction => self.find_prediction(caller, project, id).await,
            Kind::Release => Ok((Vec::new(), release_node(&releases::get(caller, project, id).await?.release.digest))),
            Kind::Model => {
                let (name, number) = id.rsplit_once('/').unwrap_or((project.name.as_str(), id));
                let number = number.parse::<i64>().map_err(|_| {
                    Error::not_found("model version", id.escape_debug()).with_hint(
                        "a model version is its number, or `<model>/<number>`: `perennial models` lists them",
                    )
                })?;
                Ok((Vec::new(), version_node(&crate::models::version(caller, project, name, number).await?.version)))
            }
            Kind::DatasetVersion => {
                let (name, number) = id.rsplit_once('@').map_or((id, None), |(name, number)| (name, Some(number)));
                let mut reader = caller.kernel.store().read().await?;
                let dataset = snapshot::get_dataset(&mut reader, project.id, &name.parse()?).await?;
                let newest = dataset_versions::find_latest(&mut reader, dataset.id).await?;
                let newest = newest.ok_or_else(|| without_rows(name))?;
                let version = match number.map(str::parse::<i64>) {
                    None => newest,
                    Some(Ok(number)) if (1..=newest.number).contains(&number) => {
                        dataset_versions::get(&mut reader, dataset.id, number).await?
                    }
                    Some(_) => {
                        return Err(Error::not_found("dataset version", id.escape_debug())
                            .with_hint(format!("the newest of `{name}` is {}", newest.number)));
                    }
                };
                Ok((Vec::new(), perennial_ingest::loads::version_node(&version)))
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Back,
    Forth,
}

/// The edges of a walk, ordered for a tree.
struct Walk {
    next: BTreeMap<Node, BTreeSet<Node>>,
    nodes: BTreeSet<Node>,
}

impl Walk {
    fn new(edges: &[Edge], direction: Direction) -> Self {
        let mut walk = Self { next: BTreeMap::new(), nodes: BTreeSet::new() };
        for edge in edges {
            let from = Node { kind: edge.from_kind, id: edge.from_id.clone() };
            let to = Node { kind: edge.to_kind, id: edge.to_id.clone() };
            walk.nodes.extend([from.clone(), to.clone()]);
            let (here, there) = if direction == Direction::Back { (to, from) } else { (from, to) };
            walk.next.entry(here).or_default().insert(there);
        }
        walk
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// The tree in reading order. A thing below which everything was shown before is named again without it.
    fn lines(&self, root: &Node, describer: &Describer) -> Vec<Line> {
        let mut shown = BTreeSet::new();
        let mut lines = Vec::new();
        let mut waiting = vec![(0, root)];
        while let Some((depth, node)) = waiting.pop() {
            let below = self.next.get(node);
            let is_new = shown.insert(node);
            let text = describer.text(node);
            lines.push(Line {
                depth,
                kind: node.kind.as_str().to_owned(),
                id: node.id.clone(),
                text,
                is_repeated: !is_new && below.is_some(),
            });
            if lines.len() >= LINES_MAX {
                break;
            }
            if is_new {
                // The versions of a dataset stand one under another, however many loads they hold.
                let (same, other): (Vec<_>, Vec<_>) =
                    below.into_iter().flatten().partition(|next| is_same_dataset(node, next));
                waiting.extend(same.into_iter().rev().map(|next| (depth, next)));
                waiting.extend(other.into_iter().rev().map(|next| (depth + 1, next)));
            }
        }
        lines
    }

    fn is_cut(&self) -> bool {
        self.next.values().map(BTreeSet::len).sum::<usize>() >= LINES_MAX
    }
}

/// The name of a registered model by id, for texts.
async fn model_name(caller: &Caller, id: &str) -> Result<Option<String>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let found = registered_models::get(&mut *caller.kernel.store().read().await?, id).await;
    Ok(found.ok().map(|model| model.name))
}

/// Whether two nodes are versions of one dataset.
fn is_same_dataset(a: &Node, b: &Node) -> bool {
    let dataset = |node: &Node| {
        let found = (node.kind == NodeKind::DatasetVersion).then(|| dataset_in(&node.id)).flatten();
        found.map(|(dataset, _)| dataset)
    };
    dataset(a).zip(dataset(b)).is_some_and(|(a, b)| a == b)
}

/// A dataset's id in a node's id.
fn dataset_in(id: &str) -> Option<(DatasetId, &str)> {
    let (dataset, number) = id.split_once('@')?;
    Some((dataset.parse().ok()?, number))
}
