//! Conversion of aggregated scores to outputs: base values, labels, post transform.
//!
//! The specification does not define the case of two classes with one score. This
//! implementation reproduces ONNX Runtime, against which exporters are tested.

use super::aggregate::Aggregate;
use crate::post_transform::PostTransform;

/// Rounds to the precision of the ensemble.
pub(super) type Round = fn(f64) -> f64;

/// Post-processing of a regressor or `TreeEnsemble`.
#[derive(Debug)]
pub(super) struct Regression {
    pub(super) aggregate: Aggregate,
    pub(super) base_values: Vec<f64>,
    pub(super) trees: usize,
    pub(super) post_transform: PostTransform,
    pub(super) round: Round,
}

impl Regression {
    /// Converts the aggregated scores of a row in place.
    pub(super) fn apply(&self, scores: &mut [f64], has_score: &[bool]) {
        if self.aggregate == Aggregate::Average {
            for score in &mut *scores {
                *score = (self.round)(*score / self.trees as f64);
            }
        }
        if self.base_values.len() == scores.len() {
            scores.iter_mut().zip(&self.base_values).for_each(|(score, base)| *score = (self.round)(*score + base));
        }
        if scores.len() > 1 {
            clear_unscored(scores, has_score);
        }
        // A single target is only transformed by PROBIT.
        if scores.len() > 1 || self.post_transform == PostTransform::Probit {
            self.post_transform.apply(scores);
        }
    }
}

/// Post-processing of a classifier.
#[derive(Debug)]
pub(super) struct Classification {
    pub(super) base_values: Vec<f64>,
    pub(super) post_transform: PostTransform,
    /// Two classes, and all leaves have the same target.
    pub(super) single_target: bool,
    pub(super) all_positive: bool,
    pub(super) round: Round,
}

impl Classification {
    /// Converts the aggregated scores of a row to probabilities in place; returns the index of the label.
    pub(super) fn apply(&self, scores: &mut [f64], has_score: &mut [bool]) -> usize {
        match scores.len() {
            0 => 0,
            1 | 2 => self.binary(scores, has_score),
            _ => {
                for ((score, base), has_score) in scores.iter_mut().zip(&self.base_values).zip(has_score.iter_mut()) {
                    *score = (self.round)(*score + base);
                    *has_score = true;
                }
                let label = highest(scores, has_score);
                self.post_transform.apply(scores);
                label
            }
        }
    }

    fn binary(&self, scores: &mut [f64], has_score: &[bool]) -> usize {
        let has_second = has_score.get(1).copied().unwrap_or(false);
        let mut single = !has_second;
        match self.base_values[..] {
            [base] => scores[0] = (self.round)(scores[0] + base),
            [_, second] if has_second && scores.len() == 2 => {
                scores[1] = (self.round)(second + scores[0]);
                scores[0] = -scores[1];
            }
            [first, second] if scores.len() == 2 => {
                scores[0] = (self.round)(scores[0] + first);
                scores[1] = (self.round)(scores[1] + second);
                single = false;
            }
            _ => {}
        }
        clear_unscored(scores, has_score);
        let decisive = if has_second { scores[1] } else { scores[0] };
        let threshold = if self.single_target && self.all_positive { 0.5 } else { 0.0 };
        let label = usize::from(decisive > threshold);
        if !single || scores.len() < 2 {
            self.post_transform.apply(scores);
            return label;
        }
        let score = scores[0];
        (scores[0], scores[1]) = match self.post_transform {
            PostTransform::Probit => (PostTransform::probit(score), 0.0),
            PostTransform::Logistic => (PostTransform::logistic(-score), PostTransform::logistic(score)),
            _ if self.single_target && self.all_positive => (1.0 - score, score),
            _ => (-score, score),
        };
        label
    }
}

/// Sets the targets without a contributing leaf to zero, regardless of their base value.
fn clear_unscored(scores: &mut [f64], has_score: &[bool]) {
    scores.iter_mut().zip(has_score).filter(|(_, has_score)| !**has_score).for_each(|(score, _)| *score = 0.0);
}

/// The index of the highest score among those with a contribution; the first of equal ones.
fn highest(scores: &[f64], has_score: &[bool]) -> usize {
    let mut best: Option<usize> = None;
    for (at, (&score, &has_score)) in scores.iter().zip(has_score).enumerate() {
        if has_score && best.is_none_or(|best| score > scores[best]) {
            best = Some(at);
        }
    }
    best.unwrap_or(0)
}
