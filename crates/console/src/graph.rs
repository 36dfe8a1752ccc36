//! The steps of a pipeline as a picture: what needs what, from left to right.

use std::collections::BTreeMap;

use askama::Template;
use perennial_evaluation::plot::short;

use crate::badge::StatusBadge;

const NODE_WIDTH: f64 = 150.0;
const NODE_HEIGHT: f64 = 46.0;
const GAP_X: f64 = 56.0;
const GAP_Y: f64 = 18.0;
const MARGIN: f64 = 8.0;
/// Characters of a name that fit a node.
const NAME_MAX: usize = 17;
/// Steps that are drawn at most; the list below has all of them.
pub(crate) const NODES_MAX: usize = 200;

/// A step to be drawn, after all those it needs.
pub(crate) struct Step {
    pub name: String,
    pub badge: StatusBadge,
    pub needs: Vec<String>,
}

/// The drawn graph.
#[derive(Template)]
#[template(path = "parts/graph.svg")]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    edges: Vec<String>,
    width: f64,
    height: f64,
    description: String,
}

impl askama::filters::HtmlSafe for Graph {}

struct Node {
    name: String,
    shown: String,
    badge: StatusBadge,
    x: f64,
    y: f64,
}

impl Graph {
    /// Draws `steps`, each after what it needs. `None` for no steps.
    pub(crate) fn new(steps: &[Step]) -> Option<Self> {
        let steps = &steps[..steps.len().min(NODES_MAX)];
        if steps.is_empty() {
            return None;
        }
        let mut column_of: BTreeMap<&str, usize> = BTreeMap::new();
        let mut filled: BTreeMap<usize, usize> = BTreeMap::new();
        let mut places: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for step in steps {
            let column = step
                .needs
                .iter()
                .filter_map(|need| column_of.get(need.as_str()))
                .map(|column| column + 1)
                .max()
                .unwrap_or(0);
            let row = filled.entry(column).or_insert(0);
            let x = MARGIN + column as f64 * (NODE_WIDTH + GAP_X);
            let y = MARGIN + *row as f64 * (NODE_HEIGHT + GAP_Y);
            *row += 1;
            column_of.insert(&step.name, column);
            places.insert(&step.name, (x, y));
            for (from_x, from_y) in step.needs.iter().filter_map(|need| places.get(need.as_str())) {
                let (x1, y1, y2) = (from_x + NODE_WIDTH, from_y + NODE_HEIGHT / 2.0, y + NODE_HEIGHT / 2.0);
                let half = f64::midpoint(x1, x);
                edges.push(format!("M{x1:.0} {y1:.0} C{half:.0} {y1:.0} {half:.0} {y2:.0} {x:.0} {y2:.0}"));
            }
            nodes.push(Node { name: step.name.clone(), shown: short(&step.name, NAME_MAX), badge: step.badge, x, y });
        }
        let columns = filled.len() as f64;
        let rows = filled.values().copied().max().unwrap_or(1) as f64;
        let description =
            steps.iter().map(|step| format!("{} {}", step.name, step.badge.word())).collect::<Vec<_>>().join(", ");
        Some(Self {
            nodes,
            edges,
            width: 2.0 * MARGIN + columns * NODE_WIDTH + (columns - 1.0) * GAP_X,
            height: 2.0 * MARGIN + rows * NODE_HEIGHT + (rows - 1.0) * GAP_Y,
            description,
        })
    }
}
