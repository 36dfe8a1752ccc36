//! Post transforms: how the operators of `ai.onnx.ml` convert scores to outputs.

use std::str::FromStr;

/// The values of the attribute `post_transform`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostTransform {
    None,
    Softmax,
    Logistic,
    SoftmaxZero,
    Probit,
}

impl FromStr for PostTransform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "NONE" => Ok(Self::None),
            "SOFTMAX" => Ok(Self::Softmax),
            "LOGISTIC" => Ok(Self::Logistic),
            "SOFTMAX_ZERO" => Ok(Self::SoftmaxZero),
            "PROBIT" => Ok(Self::Probit),
            other => Err(format!("post transform `{other}`")),
        }
    }
}

impl PostTransform {
    /// The transform with this number in `TreeEnsemble`.
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        [Self::None, Self::Softmax, Self::Logistic, Self::SoftmaxZero, Self::Probit]
            .get(usize::try_from(number).ok()?)
            .copied()
    }

    /// Transforms the scores of one row in place.
    pub(crate) fn apply(self, scores: &mut [f64]) {
        match self {
            Self::None => {}
            Self::Logistic => scores.iter_mut().for_each(|score| *score = Self::logistic(*score)),
            Self::Probit => scores.iter_mut().for_each(|score| *score = Self::probit(*score)),
            Self::Softmax => {
                let top = scores.iter().copied().fold(f64::MIN, f64::max);
                for score in &mut *scores {
                    *score = (*score - top).exp();
                }
                let sum: f64 = scores.iter().sum();
                for score in scores {
                    *score /= sum;
                }
            }
            Self::SoftmaxZero => {
                // Scores of zero are left out of the sum.
                let top = scores.iter().copied().fold(f64::MIN, f64::max);
                let is_zero = |score: f64| score.abs() <= 1e-7;
                let sum: f64 = scores.iter().filter(|score| !is_zero(**score)).map(|score| (score - top).exp()).sum();
                for score in scores {
                    *score = if is_zero(*score) { *score * (-top).exp() } else { (*score - top).exp() } / sum;
                }
            }
        }
    }

    /// The logistic function, `1 / (1 + exp(-x))`.
    pub(crate) fn logistic(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// The quantile function of the normal distribution, by Winitzki's approximation
    /// of the inverse error function (a = 0.147). It is computed in 32 bits like ONNX
    /// Runtime's, to reproduce its loss of digits near one half.
    pub(crate) fn probit(x: f64) -> f64 {
        const A: f32 = 0.147;
        #[expect(clippy::approx_constant, reason = "as many digits as in ONNX Runtime")]
        const PI: f32 = 3.141_59;
        let x = 2.0 * x as f32 - 1.0;
        let log = ((1.0 - x) * (1.0 + x)).ln();
        let half = 2.0 / (PI * A) + 0.5 * log;
        let inverse = (-half + (half * half - 1.0 / A * log).sqrt()).sqrt();
        f64::from(std::f32::consts::SQRT_2 * if x < 0.0 { -inverse } else { inverse })
    }
}
