//! Curves over decision thresholds: ROC, and precision against recall.

use perennial_core::model::Scores;
use perennial_core::task::TaskKind;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::metrics::ratio;
use crate::outcomes::Outcomes;
use crate::rank;
use crate::scored_rows::ScoredRows;

/// Resolution of thinned curves: a point is kept when an axis has moved by at
/// least this much since the last kept one. A curve has at most 402 points, and
/// no omitted point is further than this from the drawn line along either axis.
pub const CURVE_STEP: f64 = 1.0 / 200.0;

/// Maximum number of one-vs-rest curves of a multiclass model: the classes with the most outcomes.
pub const MAX_CURVES: usize = 8;

/// One threshold of a [`Roc`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// The share of negative rows that score at least the threshold.
    pub false_positive_rate: f64,
    /// The share of positive rows that score at least the threshold.
    pub true_positive_rate: f64,
    /// The threshold; absent at the start, where no row is predicted positive.
    pub threshold: Option<f64>,
}

/// The receiver operating characteristic, from (0, 0) to (1, 1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Roc {
    /// The exact area under the full curve, before thinning.
    pub auc: f64,
    /// Points in descending order of threshold, thinned to [`CURVE_STEP`].
    pub points: Vec<RocPoint>,
}

/// One threshold of a [`PrecisionRecall`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecallPoint {
    /// The share of positive rows that score at least the threshold.
    pub recall: f64,
    /// The share of positive rows among all rows that score at least the threshold.
    pub precision: f64,
    /// The threshold.
    pub threshold: f64,
}

/// The precision-recall curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecall {
    /// Average precision: Σ (recall − previous recall) · precision over all thresholds, without interpolation.
    pub average_precision: f64,
    /// The share of positive rows, which is the precision of predicting every row positive.
    pub positive_rate: f64,
    /// Points in descending order of threshold, thinned to one a [`CURVE_STEP`] of recall.
    pub points: Vec<PrecisionRecallPoint>,
}

/// The ROC curve of a binary model; `None` for other tasks and unless both outcomes occur.
pub fn roc(scores: &Scores, outcomes: &Outcomes) -> Result<Option<Roc>, Error> {
    Ok(roc_from_rows(ScoredRows::new(scores, outcomes)?.binary_rows()))
}

/// One-vs-rest ROC curves by class, for the [`MAX_CURVES`] classes with the most
/// outcomes, most frequent first; empty unless the task is multiclass.
pub fn roc_by_class(scores: &Scores, outcomes: &Outcomes) -> Result<Vec<(String, Roc)>, Error> {
    let scored = ScoredRows::new(scores, outcomes)?;
    if outcomes.task() != TaskKind::Multiclass {
        return Ok(Vec::new());
    }
    let mut counts = vec![0_usize; outcomes.classes().len()];
    for &row in &scored.order {
        counts[outcomes.class(row as usize)] += 1;
    }
    let mut classes: Vec<usize> = (0..counts.len()).collect();
    classes.sort_by_key(|&class| std::cmp::Reverse(counts[class]));
    classes.truncate(MAX_CURVES);
    let curves = classes.into_iter().filter_map(|class| {
        let mut pairs: Vec<(f64, bool)> = scored
            .order
            .iter()
            .map(|&row| (scored.probability(row as usize, class), outcomes.class(row as usize) == class))
            .collect();
        rank::auc(&mut pairs)?;
        Some((outcomes.classes()[class].clone(), roc_from_rows(pairs.into_iter())?))
    });
    Ok(curves.collect())
}

/// The precision-recall curve of a binary model; `None` for other tasks and without positive rows.
pub fn precision_recall(scores: &Scores, outcomes: &Outcomes) -> Result<Option<PrecisionRecall>, Error> {
    let thresholds = thresholds(ScoredRows::new(scores, outcomes)?.binary_rows());
    let Some(last) = thresholds.last().copied().filter(|last| last.positives > 0) else {
        return Ok(None);
    };
    let (positives, rows) = (last.positives as f64, (last.positives + last.negatives) as f64);
    let (mut average_precision, mut before) = (0.0, 0.0);
    let mut points: Vec<PrecisionRecallPoint> = Vec::new();
    for (index, at) in thresholds.iter().enumerate() {
        let point = PrecisionRecallPoint {
            recall: at.positives as f64 / positives,
            precision: at.positives as f64 / (at.positives + at.negatives) as f64,
            threshold: at.score,
        };
        average_precision += (point.recall - before) * point.precision;
        before = point.recall;
        let moved = points.last().is_none_or(|kept| point.recall - kept.recall >= CURVE_STEP);
        if moved || index + 1 == thresholds.len() {
            points.push(point);
        }
    }
    Ok(Some(PrecisionRecall { average_precision, positive_rate: positives / rows, points }))
}

/// Counts of positive and negative rows that score at least `score`.
#[derive(Clone, Copy)]
struct Threshold {
    score: f64,
    positives: u64,
    negatives: u64,
}

/// One entry for each distinct score, in descending order, from rows in ascending order of score.
fn thresholds(rows: impl DoubleEndedIterator<Item = (f64, bool)>) -> Vec<Threshold> {
    let mut thresholds: Vec<Threshold> = Vec::new();
    for (score, is_positive) in rows.rev() {
        let (positives, negatives) = thresholds.last().map_or((0, 0), |last| (last.positives, last.negatives));
        let next = Threshold {
            score,
            positives: positives + u64::from(is_positive),
            negatives: negatives + u64::from(!is_positive),
        };
        match thresholds.last_mut() {
            Some(last) if last.score == score => *last = next,
            _ => thresholds.push(next),
        }
    }
    thresholds
}

fn roc_from_rows(rows: impl DoubleEndedIterator<Item = (f64, bool)>) -> Option<Roc> {
    let thresholds = thresholds(rows);
    let last = *thresholds.last()?;
    let mut points = vec![RocPoint { false_positive_rate: 0.0, true_positive_rate: 0.0, threshold: None }];
    let (mut area, mut before) = (0.0, points[0]);
    for (index, at) in thresholds.iter().enumerate() {
        let point = RocPoint {
            false_positive_rate: ratio(at.negatives as f64, last.negatives as f64)?,
            true_positive_rate: ratio(at.positives as f64, last.positives as f64)?,
            threshold: Some(at.score),
        };
        area += (point.false_positive_rate - before.false_positive_rate)
            * (point.true_positive_rate + before.true_positive_rate)
            / 2.0;
        before = point;
        let kept = points[points.len() - 1];
        let has_moved = point.false_positive_rate - kept.false_positive_rate >= CURVE_STEP
            || point.true_positive_rate - kept.true_positive_rate >= CURVE_STEP;
        if has_moved || index + 1 == thresholds.len() {
            points.push(point);
        }
    }
    Some(Roc { auc: area, points })
}
