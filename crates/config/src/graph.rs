//! The dependency graph of the steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use perennial_core::name::{DatasetName, StepName};

use crate::file::{OutputKind, Task};
use crate::project::{Check, Condition, Input, Step, StepKind};

/// A dataset, model or file between steps: the output of one, an input of others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GraphNode {
    /// A dataset.
    Dataset(DatasetName),
    /// The model of a step.
    Model(StepName),
    /// A file that another step wrote.
    Output(StepName, String),
}

impl fmt::Display for GraphNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset(name) => write!(f, "dataset `{name}`"),
            Self::Model(step) => write!(f, "model of `{step}`"),
            Self::Output(step, output) => write!(f, "output `{step}.{output}`"),
        }
    }
}

/// The steps and the nodes between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    inputs: BTreeMap<StepName, BTreeSet<GraphNode>>,
    outputs: BTreeMap<StepName, BTreeSet<GraphNode>>,
    producers: BTreeMap<GraphNode, StepName>,
}

impl Graph {
    /// Builds the graph. `tables` has the tables that each `sql` step reads. A dataset that the checks of a step's
    /// output refer to is an input of the step, too.
    pub(crate) fn new(
        task: Option<&Task>,
        steps: &BTreeMap<StepName, Step>,
        checks: &BTreeMap<DatasetName, Vec<Check>>,
        tables: &BTreeMap<StepName, Vec<String>>,
    ) -> Self {
        let mut graph = Self::default();
        for (name, step) in steps {
            let outputs = outputs_of(name, step);
            for node in &outputs {
                graph.producers.entry(node.clone()).or_insert_with(|| name.clone());
            }
            graph.outputs.insert(name.clone(), outputs);
        }
        let data = task.map(|task| GraphNode::Dataset(task.data.clone()));
        for (name, step) in steps {
            let mut inputs: BTreeSet<GraphNode> = match &step.kind {
                StepKind::Sql { .. } => {
                    let named = tables.get(name).into_iter().flatten();
                    named.filter_map(|table| table.parse().ok()).map(GraphNode::Dataset).collect()
                }
                StepKind::Train { .. } => data.clone().into_iter().collect(),
                StepKind::Evaluate { models, .. } => {
                    models.iter().cloned().map(GraphNode::Model).chain(data.clone()).collect()
                }
                StepKind::Run(run) => run.inputs.iter().map(|input| graph.node_of(input)).collect(),
            };
            let own_checks = graph.outputs(name).filter_map(|node| match node {
                GraphNode::Dataset(dataset) => checks.get(dataset),
                _ => None,
            });
            let referenced = own_checks.flatten().filter_map(|check| match &check.condition {
                Condition::References { dataset, .. } => Some(GraphNode::Dataset(dataset.clone())),
                _ => None,
            });
            inputs.extend(referenced.filter(|node| graph.producer(node) != Some(name)));
            graph.inputs.insert(name.clone(), inputs);
        }
        graph
    }

    fn node_of(&self, input: &Input) -> GraphNode {
        match input {
            Input::Dataset(dataset) | Input::Train(dataset) | Input::Test(dataset) => {
                GraphNode::Dataset(dataset.clone())
            }
            Input::Output { step, output } => {
                let file = GraphNode::Output(step.clone(), output.clone());
                if self.producers.contains_key(&file) { file } else { GraphNode::Model(step.clone()) }
            }
        }
    }

    /// The steps, by name.
    pub fn steps(&self) -> impl Iterator<Item = &StepName> {
        self.inputs.keys()
    }

    /// The inputs of a step, ordered.
    pub fn inputs(&self, step: &StepName) -> impl Iterator<Item = &GraphNode> {
        self.inputs.get(step).into_iter().flatten()
    }

    /// The outputs of a step, ordered.
    pub fn outputs(&self, step: &StepName) -> impl Iterator<Item = &GraphNode> {
        self.outputs.get(step).into_iter().flatten()
    }

    /// The step that produces a node; `None` for a dataset that is loaded from a source.
    pub fn producer(&self, node: &GraphNode) -> Option<&StepName> {
        self.producers.get(node)
    }

    /// The steps whose outputs a step reads, ordered.
    pub fn dependencies(&self, step: &StepName) -> BTreeSet<&StepName> {
        self.inputs(step).filter_map(|node| self.producer(node)).collect()
    }

    /// The steps that bring a node up to date, in topological order: its producer and all that it depends on.
    pub fn required_steps(&self, node: &GraphNode) -> Vec<&StepName> {
        let mut required = BTreeSet::new();
        let mut open: Vec<&StepName> = self.producer(node).into_iter().collect();
        while let Some(step) = open.pop() {
            if required.insert(step) {
                open.extend(self.dependencies(step));
            }
        }
        self.topological_order().into_iter().filter(|step| required.contains(step)).collect()
    }

    /// The steps in topological order, ties by name; steps in or behind a cycle are left out.
    pub fn topological_order(&self) -> Vec<&StepName> {
        let mut waiting: BTreeMap<&StepName, usize> =
            self.inputs.keys().map(|step| (step, self.dependencies(step).len())).collect();
        let mut ready: BTreeSet<&StepName> =
            waiting.iter().filter(|(_, count)| **count == 0).map(|(step, _)| *step).collect();
        let dependents = self.dependents();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(step) = ready.pop_first() {
            order.push(step);
            for dependent in dependents.get(step).into_iter().flatten() {
                if let Some(count) = waiting.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(dependent);
                    }
                }
            }
        }
        order
    }

    /// The steps that read outputs of each step.
    fn dependents(&self) -> BTreeMap<&StepName, Vec<&StepName>> {
        let mut dependents: BTreeMap<&StepName, Vec<&StepName>> = BTreeMap::new();
        for step in self.inputs.keys() {
            for dependency in self.dependencies(step) {
                dependents.entry(dependency).or_default().push(step);
            }
        }
        dependents
    }

    /// A cycle, if there is one: each step depends on the next, the last on the first.
    pub fn cycle(&self) -> Option<Vec<&StepName>> {
        let ordered: BTreeSet<&StepName> = self.topological_order().into_iter().collect();
        // Each remaining step depends on a remaining step, so following dependencies reaches a cycle.
        let mut path = vec![self.inputs.keys().find(|step| !ordered.contains(step))?];
        loop {
            let next = self.dependencies(path.last()?).into_iter().find(|step| !ordered.contains(step))?;
            if let Some(start) = path.iter().position(|step| *step == next) {
                return Some(path.split_off(start));
            }
            path.push(next);
        }
    }
}

/// The outputs of a step.
pub(crate) fn outputs_of(name: &StepName, step: &Step) -> BTreeSet<GraphNode> {
    match &step.kind {
        StepKind::Sql { .. } => name.as_str().parse().ok().map(GraphNode::Dataset).into_iter().collect(),
        StepKind::Train { .. } => BTreeSet::from([GraphNode::Model(name.clone())]),
        StepKind::Evaluate { .. } => BTreeSet::new(),
        StepKind::Run(run) => run
            .outputs
            .iter()
            .filter_map(|(output, declared)| match declared.kind {
                OutputKind::File => Some(GraphNode::Output(name.clone(), output.clone())),
                OutputKind::Model => Some(GraphNode::Model(name.clone())),
                OutputKind::Dataset => output.parse().ok().map(GraphNode::Dataset),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
