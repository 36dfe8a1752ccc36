//! Which step needs and makes what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use perennial_core::name::{DatasetName, StepName};

use crate::file::{OutputKind, Task};
use crate::project::{Act, Check, Input, Question, Step};

/// Something a step makes and another needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// A dataset.
    Dataset(DatasetName),
    /// The model of a step.
    Model(StepName),
    /// A file another step left behind.
    Output(StepName, String),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset(name) => write!(f, "dataset `{name}`"),
            Self::Model(step) => write!(f, "model of `{step}`"),
            Self::Output(step, output) => write!(f, "output `{step}.{output}`"),
        }
    }
}

/// The steps as a graph over the things between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    needs: BTreeMap<StepName, BTreeSet<Thing>>,
    makes: BTreeMap<StepName, BTreeSet<Thing>>,
    makers: BTreeMap<Thing, StepName>,
}

impl Graph {
    /// Draws the graph. `tables` are the names of tables in each `sql` step's query. What a step makes may be judged
    /// by another dataset, which it then needs as well.
    pub(crate) fn of(
        task: Option<&Task>,
        steps: &BTreeMap<StepName, Step>,
        checks: &BTreeMap<DatasetName, BTreeMap<String, Check>>,
        tables: &BTreeMap<StepName, Vec<String>>,
    ) -> Self {
        let mut graph = Self::default();
        for (name, step) in steps {
            let makes = made_by(name, step);
            for thing in &makes {
                graph.makers.entry(thing.clone()).or_insert_with(|| name.clone());
            }
            graph.makes.insert(name.clone(), makes);
        }
        let data = task.map(|task| Thing::Dataset(task.data.clone()));
        for (name, step) in steps {
            let mut needs: BTreeSet<Thing> = match &step.act {
                Act::Sql { .. } => {
                    let named = tables.get(name).into_iter().flatten();
                    named.filter_map(|table| table.parse().ok()).map(Thing::Dataset).collect()
                }
                Act::Train { .. } => data.clone().into_iter().collect(),
                Act::Evaluate { models, .. } => models.iter().cloned().map(Thing::Model).chain(data.clone()).collect(),
                Act::Run(run) => run.inputs.iter().map(|input| graph.needed(input)).collect(),
            };
            let made = graph.makes(name).filter_map(|thing| match thing {
                Thing::Dataset(dataset) => checks.get(dataset),
                _ => None,
            });
            let judged_by = made.flat_map(BTreeMap::values).filter_map(|check| match &check.question {
                Question::References { dataset, .. } => Some(Thing::Dataset(dataset.clone())),
                _ => None,
            });
            needs.extend(judged_by.filter(|thing| graph.maker(thing) != Some(name)));
            graph.needs.insert(name.clone(), needs);
        }
        graph
    }

    fn needed(&self, input: &Input) -> Thing {
        match input {
            Input::Dataset(dataset) | Input::Train(dataset) | Input::Test(dataset) => Thing::Dataset(dataset.clone()),
            Input::Output { step, output } => {
                let file = Thing::Output(step.clone(), output.clone());
                if self.makers.contains_key(&file) { file } else { Thing::Model(step.clone()) }
            }
        }
    }

    /// The steps, by name.
    pub fn steps(&self) -> impl Iterator<Item = &StepName> {
        self.needs.keys()
    }

    /// What a step needs, ordered.
    pub fn needs(&self, step: &StepName) -> impl Iterator<Item = &Thing> {
        self.needs.get(step).into_iter().flatten()
    }

    /// What a step makes, ordered.
    pub fn makes(&self, step: &StepName) -> impl Iterator<Item = &Thing> {
        self.makes.get(step).into_iter().flatten()
    }

    /// The step that makes a thing; `None` for a dataset with a source.
    pub fn maker(&self, thing: &Thing) -> Option<&StepName> {
        self.makers.get(thing)
    }

    /// The steps whose things a step needs, ordered, each once.
    pub fn before(&self, step: &StepName) -> BTreeSet<&StepName> {
        self.needs(step).filter_map(|thing| self.maker(thing)).collect()
    }

    /// The steps that must run, in order, so that the thing is up to date: its maker and all before it.
    pub fn leading_to(&self, thing: &Thing) -> Vec<&StepName> {
        let mut wanted = BTreeSet::new();
        let mut open: Vec<&StepName> = self.maker(thing).into_iter().collect();
        while let Some(step) = open.pop() {
            if wanted.insert(step) {
                open.extend(self.before(step));
            }
        }
        self.order().into_iter().filter(|step| wanted.contains(step)).collect()
    }

    /// Every step after all that it needs, else by name; steps in a cycle are left out.
    pub fn order(&self) -> Vec<&StepName> {
        let mut waiting: BTreeMap<&StepName, usize> =
            self.needs.keys().map(|step| (step, self.before(step).len())).collect();
        let mut ready: BTreeSet<&StepName> =
            waiting.iter().filter(|(_, count)| **count == 0).map(|(step, _)| *step).collect();
        let users = self.users();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(step) = ready.pop_first() {
            order.push(step);
            for user in users.get(step).into_iter().flatten() {
                if let Some(count) = waiting.get_mut(user) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(user);
                    }
                }
            }
        }
        order
    }

    fn users(&self) -> BTreeMap<&StepName, Vec<&StepName>> {
        let mut users: BTreeMap<&StepName, Vec<&StepName>> = BTreeMap::new();
        for step in self.needs.keys() {
            for before in self.before(step) {
                users.entry(before).or_default().push(step);
            }
        }
        users
    }

    /// A cycle, if there is one: each step needs the next, the last needs the first.
    pub fn cycle(&self) -> Option<Vec<&StepName>> {
        let ordered: BTreeSet<&StepName> = self.order().into_iter().collect();
        // Whoever is left needs someone who is left: following needs must come back.
        let mut way = vec![self.needs.keys().find(|step| !ordered.contains(step))?];
        loop {
            let next = self.before(way.last()?).into_iter().find(|step| !ordered.contains(step))?;
            if let Some(start) = way.iter().position(|step| *step == next) {
                return Some(way.split_off(start));
            }
            way.push(next);
        }
    }
}

/// What a step makes.
pub(crate) fn made_by(name: &StepName, step: &Step) -> BTreeSet<Thing> {
    match &step.act {
        Act::Sql { .. } => name.as_str().parse().ok().map(Thing::Dataset).into_iter().collect(),
        Act::Train { .. } => BTreeSet::from([Thing::Model(name.clone())]),
        Act::Evaluate { .. } => BTreeSet::new(),
        Act::Run(run) => run
            .outputs
            .iter()
            .filter_map(|(output, declared)| match declared.kind {
                OutputKind::File => Some(Thing::Output(name.clone(), output.clone())),
                OutputKind::Model => Some(Thing::Model(name.clone())),
                OutputKind::Dataset => output.parse().ok().map(Thing::Dataset),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
