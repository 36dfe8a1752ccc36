//! Tree ensembles. [`parse`] converts the attributes to a normal form ([`forest`]),
//! [`scorer`] compiles it for one of two kernels ([`quickscorer`] for small trees,
//! [`traversal`] for any size), [`aggregate`] combines the leaves to scores, and
//! [`post_process`] converts these to the outputs.

mod aggregate;
mod float;
mod forest;
mod parse;
mod post_process;
mod quickscorer;
mod scorer;
#[cfg(test)]
mod tests;
mod traversal;

use std::sync::Arc;

use aggregate::Aggregate;
use float::Float;
use forest::Forest;
use post_process::{Classification, Regression};
use scorer::Scorer;

use crate::labels::Labels;
use crate::limits;
use crate::node::{BuildError, Node};
use crate::operator::{BuildResult, Inputs, Operator};
use crate::post_transform::PostTransform;
use crate::tensor::{Data, Element, Tensor};

/// An ensemble in 32-bit or 64-bit arithmetic. 64 bits are used when thresholds have them
/// or the model contains 64-bit floats at all, in which 32-bit numbers compare the same.
#[derive(Debug)]
enum AnyScorer {
    Single(Scorer<f32>),
    Double(Scorer<f64>),
}

#[derive(Debug)]
struct Classifier {
    scorer: AnyScorer,
    post_process: Classification,
    labels: Labels,
}

#[derive(Debug)]
struct Regressor {
    scorer: AnyScorer,
    post_process: Regression,
    targets: usize,
    /// Whether a 64-bit input gives a 64-bit output.
    keeps_precision: bool,
}

pub(crate) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    match name {
        "TreeEnsembleClassifier" => Some(classifier(node)),
        "TreeEnsembleRegressor" => Some(regressor(node)),
        "TreeEnsemble" => Some(ensemble(node)),
        _ => None,
    }
}

fn classifier(node: &Node<'_>) -> BuildResult {
    let labels = Labels::from_node(node)?;
    let base_values = base_values(node)?;
    if !base_values.is_empty() && base_values.len() != labels.len() && !(labels.len() == 2 && base_values.len() == 1) {
        return Err(BuildError::Invalid(format!("{} base values for {} classes", base_values.len(), labels.len())));
    }
    let ids = node.ints("class_ids");
    let weights = parse::numbers(node, "class_weights")?;
    let is_double = node.uses_doubles || node.attribute("nodes_values_as_tensor").is_some();
    let post_process = Classification {
        round: rounding(is_double),
        base_values,
        post_transform: node.parse_text("post_transform", "NONE")?,
        single_target: labels.len() == 2 && ids.iter().all(|id| Some(id) == ids.first()),
        all_positive: (0..weights.len()).all(|i| weights.get::<f64>(i).is_some_and(|weight| weight >= 0.0)),
    };
    let scorer = if is_double {
        AnyScorer::Double(Scorer::new(&parse::parse_v3(node, "class", labels.len())?)?)
    } else {
        AnyScorer::Single(Scorer::new(&parse::parse_v3(node, "class", labels.len())?)?)
    };
    Ok(Arc::new(Classifier { scorer, post_process, labels }))
}

fn regressor(node: &Node<'_>) -> BuildResult {
    let targets = targets(node)?;
    let aggregate = match node.text("aggregate_function", "SUM")? {
        "AVERAGE" => Aggregate::Average,
        "SUM" => Aggregate::Sum,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => return Err(BuildError::Invalid(format!("aggregate function `{other}`"))),
    };
    let is_double = node.uses_doubles || node.attribute("nodes_values_as_tensor").is_some();
    let (scorer, trees) =
        compile(is_double, || parse::parse_v3(node, "target", targets), || parse::parse_v3(node, "target", targets))?;
    let base_values = base_values(node)?;
    let post_transform = node.parse_text("post_transform", "NONE")?;
    let post_process = Regression { aggregate, base_values, trees, post_transform, round: rounding(is_double) };
    Ok(Arc::new(Regressor { scorer, post_process, targets, keeps_precision: false }))
}

fn ensemble(node: &Node<'_>) -> BuildResult {
    let targets = targets(node)?;
    let aggregate = usize::try_from(node.int("aggregate_function", 1)).ok();
    let aggregate = aggregate
        .and_then(|number| [Aggregate::Average, Aggregate::Sum, Aggregate::Min, Aggregate::Max].get(number).copied())
        .ok_or("unknown aggregate function")?;
    let post_transform = PostTransform::from_number(node.int("post_transform", 0)).ok_or("unknown post transform")?;
    if matches!(post_transform, PostTransform::Softmax | PostTransform::Logistic) {
        // ONNX Runtime numbers these two differently from the specification.
        return Err(BuildError::Unsupported("a post transform that runtimes number differently".into()));
    }
    let (scorer, trees) =
        compile(node.uses_doubles, || parse::parse_v5(node, targets), || parse::parse_v5(node, targets))?;
    let post_process =
        Regression { aggregate, base_values: Vec::new(), trees, post_transform, round: rounding(node.uses_doubles) };
    Ok(Arc::new(Regressor { scorer, post_process, targets, keeps_precision: true }))
}

fn compile(
    is_double: bool,
    parse_single: impl FnOnce() -> Result<Forest<f32>, BuildError>,
    parse_double: impl FnOnce() -> Result<Forest<f64>, BuildError>,
) -> Result<(AnyScorer, usize), BuildError> {
    if is_double {
        let forest = parse_double()?;
        Ok((AnyScorer::Double(Scorer::new(&forest)?), forest.roots.len()))
    } else {
        let forest = parse_single()?;
        Ok((AnyScorer::Single(Scorer::new(&forest)?), forest.roots.len()))
    }
}

fn rounding(is_double: bool) -> post_process::Round {
    if is_double { |value| value } else { |value| f64::from(value as f32) }
}

fn targets(node: &Node<'_>) -> Result<usize, BuildError> {
    usize::try_from(node.int("n_targets", 1))
        .ok()
        .filter(|&targets| targets > 0 && targets as u64 <= limits::TARGETS_MAX)
        .ok_or_else(|| BuildError::Invalid("the number of targets is out of range".into()))
}

fn base_values(node: &Node<'_>) -> Result<Vec<f64>, BuildError> {
    let values = parse::numbers(node, "base_values")?;
    Ok((0..values.len()).filter_map(|i| values.get(i)).collect())
}

impl AnyScorer {
    /// Calls `emit` for each row with its aggregated scores and the targets that have one.
    fn score(
        &self,
        inputs: &dyn Inputs,
        targets: usize,
        aggregate: Aggregate,
        emit: &mut dyn FnMut(&mut [f64], &mut [bool]),
    ) -> Result<(), String> {
        let input = inputs.required(0)?;
        let (rows, width) = input.matrix();
        let steps = match self {
            Self::Single(scorer) => scorer.steps_per_row(),
            Self::Double(scorer) => scorer.steps_per_row(),
        };
        inputs.charge(rows.saturating_mul(steps))?;
        match self {
            Self::Single(scorer) => score_typed(scorer, input.data(), (rows, width), targets, aggregate, emit),
            Self::Double(scorer) => score_typed(scorer, input.data(), (rows, width), targets, aggregate, emit),
        }
    }
}

fn score_typed<T: Float + Element>(
    scorer: &Scorer<T>,
    data: &Data,
    size: (usize, usize),
    targets: usize,
    aggregate: Aggregate,
    emit: &mut dyn FnMut(&mut [f64], &mut [bool]),
) -> Result<(), String> {
    if let Some(values) = T::values(data) {
        return scorer.score(values, size, targets, aggregate, emit);
    }
    let values: Vec<T> = match data {
        Data::F32(values) => values.iter().map(|&value| T::from_f32(value)).collect(),
        Data::F64(values) => values.iter().map(|&value| T::from_f64(value)).collect(),
        Data::I64(values) => values.iter().map(|&value| T::from_i64(value)).collect(),
        Data::I32(values) => values.iter().map(|&value| T::from_i64(value.into())).collect(),
        other => return Err(format!("expected numbers, got {}", other.element_type())),
    };
    scorer.score(&values, size, targets, aggregate, emit)
}

impl Operator for Classifier {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let input = inputs.required(0)?;
        let (rows, _) = input.matrix();
        let classes = self.labels.len();
        let mut labels = Vec::with_capacity(rows);
        let [label, rest @ ..] = outputs else { return Ok(()) };
        let mut unnamed = Tensor::default();
        let scores = rest.first_mut().unwrap_or(&mut unnamed).reset::<f32>(&[rows, classes])?;
        self.scorer.score(inputs, classes, Aggregate::Sum, &mut |sums, has_score| {
            labels.push(self.post_process.apply(sums, has_score).min(classes - 1));
            scores.extend(sums.iter().map(|&score| score as f32));
        })?;
        self.labels.write(labels.into_iter(), label)
    }
}

impl Operator for Regressor {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let input = inputs.required(0)?;
        let shape = [input.matrix().0, self.targets];
        let Some(output) = outputs.first_mut() else { return Ok(()) };
        if self.keeps_precision && matches!(input.data(), Data::F64(_)) {
            let output = output.reset::<f64>(&shape)?;
            return self.scorer.score(inputs, self.targets, self.post_process.aggregate, &mut |sums, has_score| {
                self.post_process.apply(sums, has_score);
                output.extend_from_slice(sums);
            });
        }
        let output = output.reset::<f32>(&shape)?;
        self.scorer.score(inputs, self.targets, self.post_process.aggregate, &mut |sums, has_score| {
            self.post_process.apply(sums, has_score);
            output.extend(sums.iter().map(|&score| score as f32));
        })
    }
}
