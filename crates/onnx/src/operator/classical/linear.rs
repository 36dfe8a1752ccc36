//! Linear models.

use std::sync::Arc;

use super::each_f32;
use crate::labels::Labels;
use crate::limits;
use crate::node::{BuildError, Node};
use crate::operator::matrix::{add_product, dot, transposed};
use crate::operator::{BuildResult, Inputs, Operator, first_output};
use crate::post_transform::PostTransform;
use crate::tensor::Tensor;

/// From this number of scores on they are computed as a matrix product, otherwise as single dot products.
const MATRIX_SCORES_MIN: usize = 8;

/// The scores of a linear model, `x · coefficients + intercepts`.
#[derive(Debug)]
struct Scores {
    /// Features × scores, or scores × features if there are fewer than [`MATRIX_SCORES_MIN`] scores.
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
    features: usize,
    post_transform: PostTransform,
}

#[derive(Debug)]
struct LinearClassifier {
    scores: Scores,
    labels: Labels,
}

#[derive(Debug)]
struct LinearRegressor {
    scores: Scores,
}

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    match name {
        "LinearClassifier" => Some(classifier(node).map(|classifier| Arc::new(classifier) as _)),
        "LinearRegressor" => Some(regressor(node).map(|regressor| Arc::new(regressor) as _)),
        _ => None,
    }
}

impl Scores {
    fn new(node: &Node<'_>, count: usize) -> Result<Self, BuildError> {
        let coefficients = node.floats("coefficients");
        let mut intercepts = node.floats("intercepts").to_vec();
        if intercepts.is_empty() {
            intercepts = vec![0.0; count];
        }
        if count == 0
            || coefficients.is_empty()
            || !coefficients.len().is_multiple_of(count)
            || intercepts.len() != count
        {
            return Err(BuildError::Invalid(format!(
                "{} coefficients and {} intercepts for {count} scores",
                coefficients.len(),
                intercepts.len()
            )));
        }
        let features = coefficients.len() / count;
        Ok(Self {
            coefficients: if count < MATRIX_SCORES_MIN {
                coefficients.to_vec()
            } else {
                transposed(coefficients, count, features)
            },
            intercepts,
            features,
            post_transform: node.parse_text("post_transform", "NONE")?,
        })
    }

    /// Computes the scores of each row, before the post transform.
    fn run(&self, inputs: &dyn Inputs, output: &mut Vec<f32>) -> Result<(), String> {
        let input = inputs.required(0)?;
        let (rows, features) = input.matrix();
        inputs.charge(rows.saturating_mul(self.coefficients.len()))?;
        if features != self.features {
            return Err(format!("expected {} features, got {features}", self.features));
        }
        output.clear();
        for _ in 0..rows {
            output.extend_from_slice(&self.intercepts);
        }
        let mut cast = Vec::new();
        let values = if let Some(values) = input.values::<f32>() {
            values
        } else {
            each_f32(input, |value| cast.push(value))?;
            &cast
        };
        if self.intercepts.len() >= MATRIX_SCORES_MIN {
            add_product(values, &self.coefficients, features, self.intercepts.len(), output);
            return Ok(());
        }
        let scores = output.chunks_exact_mut(self.intercepts.len());
        for (scores, row) in scores.zip(values.chunks_exact(features)) {
            for (score, coefficients) in scores.iter_mut().zip(self.coefficients.chunks_exact(features)) {
                *score += dot(row, coefficients);
            }
        }
        Ok(())
    }

    /// Applies the post transform to each row of `width` scores.
    fn post_transform(&self, scores: &mut [f32], width: usize) {
        if self.post_transform == PostTransform::None {
            return;
        }
        let mut row = Vec::with_capacity(width);
        for scores in scores.chunks_exact_mut(width) {
            row.clear();
            row.extend(scores.iter().map(|&score| f64::from(score)));
            self.post_transform.apply(&mut row);
            scores.iter_mut().zip(&row).for_each(|(score, &value)| *score = value as f32);
        }
    }
}

fn classifier(node: &Node<'_>) -> Result<LinearClassifier, BuildError> {
    let labels = Labels::from_node(node)?;
    let intercepts = node.floats("intercepts").len();
    let count = if intercepts == 0 { labels.len() } else { intercepts };
    if count != labels.len() && !(count == 1 && labels.len() == 2) {
        return Err(BuildError::Invalid(format!("{count} scores and {} classes, expected equally many", labels.len())));
    }
    Ok(LinearClassifier { scores: Scores::new(node, count)?, labels })
}

impl Operator for LinearClassifier {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let input = inputs.required(0)?;
        let (rows, _) = input.matrix();
        let count = self.scores.intercepts.len();
        let [label, rest @ ..] = outputs else { return Ok(()) };
        let mut unnamed = Tensor::default();
        let output = rest.first_mut().unwrap_or(&mut unnamed);
        let classes = self.labels.len();
        let scores = output.reset::<f32>(&[rows, classes])?;
        self.scores.run(inputs, scores)?;
        if count == 1 {
            let decide = |score: &f32| usize::from(*score > 0.0).min(classes - 1);
            self.labels.write(scores.iter().map(decide), label)?;
        } else {
            let decide = |row: &[f32]| (1..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
            self.labels.write(scores.chunks_exact(classes).map(decide), label)?;
        }
        if count == 1 && classes == 2 {
            self.complement(scores);
        } else {
            self.scores.post_transform(scores, classes);
        }
        Ok(())
    }
}

impl LinearClassifier {
    /// Expands a single score to two classes; the first class gets the complement.
    fn complement(&self, scores: &mut Vec<f32>) {
        let single = std::mem::take(scores);
        scores.reserve(single.len() * 2);
        for score in single {
            let score = f64::from(score);
            let (first, second) = match self.scores.post_transform {
                PostTransform::Logistic => (PostTransform::logistic(-score), PostTransform::logistic(score)),
                _ => (1.0 - score, score),
            };
            scores.extend([first as f32, second as f32]);
        }
    }
}

fn regressor(node: &Node<'_>) -> Result<LinearRegressor, BuildError> {
    let targets = usize::try_from(node.int("targets", 1))
        .ok()
        .filter(|&targets| targets > 0 && targets as u64 <= limits::TARGETS_MAX)
        .ok_or("the number of targets is out of range")?;
    Ok(LinearRegressor { scores: Scores::new(node, targets)? })
}

impl Operator for LinearRegressor {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let (rows, _) = input.matrix();
        let targets = self.scores.intercepts.len();
        let output = output.reset::<f32>(&[rows, targets])?;
        self.scores.run(inputs, output)?;
        self.scores.post_transform(output, targets);
        Ok(())
    }
}
