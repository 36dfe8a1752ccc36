//! Tree ensembles: read into one normal form ([`forest`]), compiled for one of
//! two kernels ([`masks`] for small trees, [`walk`] for any), added up
//! ([`scores`]) and finished ([`finish`]).

mod finish;
mod float;
mod forest;
mod masks;
mod read;
mod scorer;
mod scores;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use finish::{Classification, Regression};
use float::Float;
use forest::Forest;
use scorer::Scorer;
use scores::Aggregate;

use crate::labels::Labels;
use crate::limits;
use crate::node::{Node, Refusal};
use crate::operator::{Inputs, Made, Operator};
use crate::post_transform::PostTransform;
use crate::tensor::{Data, Element, Tensor};

/// An ensemble that compares in 32 or in 64 bits. 64 where thresholds have
/// them, or where the model handles such numbers at all: numbers and thresholds
/// of 32 bits compare the same there.
#[derive(Debug)]
enum Width {
    Narrow(Scorer<f32>),
    Wide(Scorer<f64>),
}

#[derive(Debug)]
struct Classifier {
    scorer: Width,
    finish: Classification,
    labels: Labels,
}

#[derive(Debug)]
struct Regressor {
    scorer: Width,
    finish: Regression,
    targets: usize,
    /// Hand out what came in: 64 bits for 64 bits.
    keeps_width: bool,
}

pub(crate) fn make(name: &str, node: &Node<'_>) -> Option<Made> {
    match name {
        "TreeEnsembleClassifier" => Some(classifier(node)),
        "TreeEnsembleRegressor" => Some(regressor(node)),
        "TreeEnsemble" => Some(ensemble(node)),
        _ => None,
    }
}

fn classifier(node: &Node<'_>) -> Made {
    let labels = Labels::read(node)?;
    let base_values = base_values(node)?;
    if !base_values.is_empty() && base_values.len() != labels.len() && !(labels.len() == 2 && base_values.len() == 1) {
        return Err(Refusal::Invalid(format!("{} base values for {} classes", base_values.len(), labels.len())));
    }
    let ids = node.ints("class_ids");
    let weights = read::numbers(node, "class_weights")?;
    let wide = node.wide || node.attribute("nodes_values_as_tensor").is_some();
    let finish = Classification {
        round: round(wide),
        base_values,
        post_transform: node.word("post_transform", "NONE")?,
        one_sided: labels.len() == 2 && ids.iter().all(|id| Some(id) == ids.first()),
        all_positive: (0..weights.len()).all(|i| weights.get::<f64>(i).is_some_and(|weight| weight >= 0.0)),
    };
    let scorer = if wide {
        Width::Wide(Scorer::new(&read::classic(node, "class", labels.len())?)?)
    } else {
        Width::Narrow(Scorer::new(&read::classic(node, "class", labels.len())?)?)
    };
    Ok(Arc::new(Classifier { scorer, finish, labels }))
}

fn regressor(node: &Node<'_>) -> Made {
    let targets = targets(node)?;
    let aggregate = match node.text("aggregate_function", "SUM")? {
        "AVERAGE" => Aggregate::Average,
        "SUM" => Aggregate::Sum,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => return Err(Refusal::Invalid(format!("aggregate function `{other}`"))),
    };
    let wide = node.wide || node.attribute("nodes_values_as_tensor").is_some();
    let (scorer, trees) =
        compile(wide, || read::classic(node, "target", targets), || read::classic(node, "target", targets))?;
    let base_values = base_values(node)?;
    let post_transform = node.word("post_transform", "NONE")?;
    let finish = Regression { aggregate, base_values, trees, post_transform, round: round(wide) };
    Ok(Arc::new(Regressor { scorer, finish, targets, keeps_width: false }))
}

fn ensemble(node: &Node<'_>) -> Made {
    let targets = targets(node)?;
    let aggregate = usize::try_from(node.int("aggregate_function", 1)).ok();
    let aggregate = aggregate
        .and_then(|number| [Aggregate::Average, Aggregate::Sum, Aggregate::Min, Aggregate::Max].get(number).copied())
        .ok_or("unknown aggregate function")?;
    let post_transform = PostTransform::of(node.int("post_transform", 0)).ok_or("unknown post transform")?;
    if matches!(post_transform, PostTransform::Softmax | PostTransform::Logistic) {
        // The specification numbers these two one way, ONNX Runtime the other.
        return Err(Refusal::Unsupported("a post transform that runtimes read differently".into()));
    }
    let (scorer, trees) = compile(node.wide, || read::modern(node, targets), || read::modern(node, targets))?;
    let finish = Regression { aggregate, base_values: Vec::new(), trees, post_transform, round: round(node.wide) };
    Ok(Arc::new(Regressor { scorer, finish, targets, keeps_width: true }))
}

fn compile(
    wide: bool,
    read_narrow: impl FnOnce() -> Result<Forest<f32>, Refusal>,
    read_wide: impl FnOnce() -> Result<Forest<f64>, Refusal>,
) -> Result<(Width, usize), Refusal> {
    if wide {
        let forest = read_wide()?;
        Ok((Width::Wide(Scorer::new(&forest)?), forest.roots.len()))
    } else {
        let forest = read_narrow()?;
        Ok((Width::Narrow(Scorer::new(&forest)?), forest.roots.len()))
    }
}

fn round(wide: bool) -> finish::Round {
    if wide { |value| value } else { |value| f64::from(value as f32) }
}

fn targets(node: &Node<'_>) -> Result<usize, Refusal> {
    usize::try_from(node.int("n_targets", 1))
        .ok()
        .filter(|&targets| targets > 0 && targets as u64 <= limits::TARGETS_MAX)
        .ok_or_else(|| Refusal::Invalid("the number of targets is out of range".into()))
}

fn base_values(node: &Node<'_>) -> Result<Vec<f64>, Refusal> {
    let values = read::numbers(node, "base_values")?;
    Ok((0..values.len()).filter_map(|i| values.get(i)).collect())
}

impl Width {
    /// Calls `finish` with the row's number, its sums and which targets had votes.
    fn score(
        &self,
        input: &Tensor,
        targets: usize,
        how: Aggregate,
        finish: &mut dyn FnMut(&mut [f64], &mut [bool]),
    ) -> Result<(), String> {
        let (rows, width) = input.matrix();
        match self {
            Self::Narrow(scorer) => typed(scorer, input.data(), (rows, width), targets, how, finish),
            Self::Wide(scorer) => typed(scorer, input.data(), (rows, width), targets, how, finish),
        }
    }
}

fn typed<T: Float + Element>(
    scorer: &Scorer<T>,
    data: &Data,
    size: (usize, usize),
    targets: usize,
    how: Aggregate,
    finish: &mut dyn FnMut(&mut [f64], &mut [bool]),
) -> Result<(), String> {
    if let Some(values) = T::values(data) {
        return scorer.score(values, size, targets, how, finish);
    }
    let values: Vec<T> = match data {
        Data::F32(values) => values.iter().map(|&value| T::from_f32(value)).collect(),
        Data::F64(values) => values.iter().map(|&value| T::from_f64(value)).collect(),
        Data::I64(values) => values.iter().map(|&value| T::from_i64(value)).collect(),
        Data::I32(values) => values.iter().map(|&value| T::from_i64(value.into())).collect(),
        other => return Err(format!("expected numbers, got {}", other.kind())),
    };
    scorer.score(&values, size, targets, how, finish)
}

impl Operator for Classifier {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let input = inputs.need(0)?;
        let (rows, _) = input.matrix();
        let classes = self.labels.len();
        let mut places = Vec::with_capacity(rows);
        let [label, rest @ ..] = outputs else { return Ok(()) };
        let mut unnamed = Tensor::default();
        let scores = rest.first_mut().unwrap_or(&mut unnamed).start::<f32>(&[rows, classes])?;
        self.scorer.score(input, classes, Aggregate::Sum, &mut |sums, touched| {
            places.push(self.finish.finish(sums, touched).min(classes - 1));
            scores.extend(sums.iter().map(|&score| score as f32));
        })?;
        self.labels.write(places.into_iter(), label)
    }
}

impl Operator for Regressor {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let input = inputs.need(0)?;
        let shape = [input.matrix().0, self.targets];
        let Some(output) = outputs.first_mut() else { return Ok(()) };
        if self.keeps_width && matches!(input.data(), Data::F64(_)) {
            let output = output.start::<f64>(&shape)?;
            return self.scorer.score(input, self.targets, self.finish.aggregate, &mut |sums, touched| {
                self.finish.finish(sums, touched);
                output.extend_from_slice(sums);
            });
        }
        let output = output.start::<f32>(&shape)?;
        self.scorer.score(input, self.targets, self.finish.aggregate, &mut |sums, touched| {
            self.finish.finish(sums, touched);
            output.extend(sums.iter().map(|&score| score as f32));
        })
    }
}
