//! Support vector regression and one-class support vector machines.

use std::str::FromStr;
use std::sync::Arc;

use super::each_f32;
use crate::node::{BuildError, Node};
use crate::operator::{BuildResult, Inputs, Operator, first_output};
use crate::post_transform::PostTransform;
use crate::tensor::Tensor;

#[derive(Debug, Clone, Copy)]
enum Kernel {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

impl FromStr for Kernel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "LINEAR" => Ok(Self::Linear),
            "POLY" => Ok(Self::Poly),
            "RBF" => Ok(Self::Rbf),
            "SIGMOID" => Ok(Self::Sigmoid),
            other => Err(format!("kernel `{other}`")),
        }
    }
}

#[derive(Debug)]
struct SvmRegressor {
    kernel: Kernel,
    /// gamma, coef0 and degree.
    parameters: [f64; 3],
    /// The support vectors, row-major; empty for a linear model.
    vectors: Vec<f32>,
    coefficients: Vec<f32>,
    features: usize,
    rho: f64,
    one_class: bool,
    post_transform: PostTransform,
}

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    (name == "SVMRegressor").then(|| regressor(node).map(|regressor| Arc::new(regressor) as _))
}

fn regressor(node: &Node<'_>) -> Result<SvmRegressor, BuildError> {
    let parameters = node.floats("kernel_params");
    let parameter = |at: usize| parameters.get(at).copied().map_or(0.0, f64::from);
    let supports =
        usize::try_from(node.int("n_supports", 0)).map_err(|_| "the number of support vectors is negative")?;
    let coefficients = node.floats("coefficients").to_vec();
    let vectors = node.floats("support_vectors").to_vec();
    let (vectors, coefficients, features, kernel) = if supports == 0 {
        let features = coefficients.len();
        (coefficients, vec![1.0], features, Kernel::Linear)
    } else {
        if !vectors.len().is_multiple_of(supports) || coefficients.len() < supports {
            return Err("the support vectors do not match their number".into());
        }
        let features = vectors.len() / supports;
        (vectors, coefficients, features, node.parse_text("kernel_type", "LINEAR")?)
    };
    if features == 0 {
        return Err("the model has no features".into());
    }
    Ok(SvmRegressor {
        kernel,
        parameters: [parameter(0), parameter(1), parameter(2)],
        vectors,
        coefficients,
        features,
        rho: node.floats("rho").first().copied().map_or(0.0, f64::from),
        one_class: node.int("one_class", 0) != 0,
        post_transform: node.parse_text("post_transform", "NONE")?,
    })
}

impl SvmRegressor {
    fn similarity(&self, row: &[f32], vector: &[f32]) -> f64 {
        let [gamma, coef0, degree] = self.parameters;
        let pairs = row.iter().zip(vector).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        let dot = |pairs: &mut dyn Iterator<Item = (f64, f64)>| pairs.map(|(a, b)| a * b).sum::<f64>();
        match self.kernel {
            Kernel::Linear => dot(&mut pairs.into_iter()),
            Kernel::Poly => (gamma * dot(&mut pairs.into_iter()) + coef0).powf(degree),
            Kernel::Rbf => (-gamma * pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>()).exp(),
            Kernel::Sigmoid => (gamma * dot(&mut pairs.into_iter()) + coef0).tanh(),
        }
    }
}

impl Operator for SvmRegressor {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let (rows, features) = input.matrix();
        if features != self.features {
            return Err(format!("expected {} features, got {features}", self.features));
        }
        inputs.charge(rows.saturating_mul(self.vectors.len()))?;
        let mut values = Vec::with_capacity(rows * features);
        each_f32(input, |value| values.push(value))?;
        let output = output.reset::<f32>(&[rows, 1])?;
        for row in values.chunks_exact(features) {
            let vectors = self.vectors.chunks_exact(features).zip(&self.coefficients);
            let sum: f64 = vectors.map(|(vector, &weight)| f64::from(weight) * self.similarity(row, vector)).sum();
            let mut score = [sum + self.rho];
            if self.one_class {
                score = [if score[0] > 0.0 { 1.0 } else { -1.0 }];
            }
            self.post_transform.apply(&mut score);
            output.push(score[0] as f32);
        }
        Ok(())
    }
}
