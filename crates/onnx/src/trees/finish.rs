//! From summed scores to the numbers handed out: base values, label, transform.
//!
//! ONNX leaves two classes with one score open; what is done here is what ONNX
//! Runtime does, which exporters test against.

use super::scores::Aggregate;
use crate::post_transform::PostTransform;

/// Rounds to the width the ensemble calculates in.
pub(super) type Round = fn(f64) -> f64;

/// What a regressor or `TreeEnsemble` does with its sums.
#[derive(Debug)]
pub(super) struct Regression {
    pub(super) aggregate: Aggregate,
    pub(super) base_values: Vec<f64>,
    pub(super) trees: usize,
    pub(super) post_transform: PostTransform,
    pub(super) round: Round,
}

impl Regression {
    /// Turns the sums of a row into what is handed out.
    pub(super) fn finish(&self, scores: &mut [f64], touched: &[bool]) {
        if self.aggregate == Aggregate::Average {
            for score in &mut *scores {
                *score = (self.round)(*score / self.trees as f64);
            }
        }
        if self.base_values.len() == scores.len() {
            scores.iter_mut().zip(&self.base_values).for_each(|(score, base)| *score = (self.round)(*score + base));
        }
        if scores.len() > 1 {
            clear_untouched(scores, touched);
        }
        // One target is transformed by PROBIT alone.
        if scores.len() > 1 || self.post_transform == PostTransform::Probit {
            self.post_transform.apply(scores);
        }
    }
}

/// What a classifier does with its sums.
#[derive(Debug)]
pub(super) struct Classification {
    pub(super) base_values: Vec<f64>,
    pub(super) post_transform: PostTransform,
    /// Two classes, and all leaves vote for the same one.
    pub(super) one_sided: bool,
    pub(super) all_positive: bool,
    pub(super) round: Round,
}

impl Classification {
    /// Turns the sums of a row into its probabilities; returns the place of its label.
    pub(super) fn finish(&self, scores: &mut [f64], touched: &mut [bool]) -> usize {
        match scores.len() {
            0 => 0,
            1 | 2 => self.two(scores, touched),
            _ => {
                for ((score, base), touched) in scores.iter_mut().zip(&self.base_values).zip(touched.iter_mut()) {
                    *score = (self.round)(*score + base);
                    *touched = true;
                }
                let label = best(scores, touched);
                self.post_transform.apply(scores);
                label
            }
        }
    }

    fn two(&self, scores: &mut [f64], touched: &[bool]) -> usize {
        let both = touched.get(1).copied().unwrap_or(false);
        let mut single = !both;
        match self.base_values[..] {
            [base] => scores[0] = (self.round)(scores[0] + base),
            [_, second] if both && scores.len() == 2 => {
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
        clear_untouched(scores, touched);
        let decisive = if both { scores[1] } else { scores[0] };
        let limit = if self.one_sided && self.all_positive { 0.5 } else { 0.0 };
        let label = usize::from(decisive > limit);
        if !single || scores.len() < 2 {
            self.post_transform.apply(scores);
            return label;
        }
        let score = scores[0];
        (scores[0], scores[1]) = match self.post_transform {
            PostTransform::Probit => (PostTransform::probit(score), 0.0),
            _ if self.one_sided && self.all_positive => (1.0 - score, score),
            PostTransform::Logistic => (PostTransform::logistic(-score), PostTransform::logistic(score)),
            _ => (-score, score),
        };
        label
    }
}

/// A target that no tree voted for is zero, base value or not.
fn clear_untouched(scores: &mut [f64], touched: &[bool]) {
    scores.iter_mut().zip(touched).filter(|(_, touched)| !**touched).for_each(|(score, _)| *score = 0.0);
}

/// The place of the highest score among those touched; the first where several are.
fn best(scores: &[f64], touched: &[bool]) -> usize {
    let mut best: Option<usize> = None;
    for (at, (&score, &touched)) in scores.iter().zip(touched).enumerate() {
        if touched && best.is_none_or(|best| score > scores[best]) {
            best = Some(at);
        }
    }
    best.unwrap_or(0)
}
