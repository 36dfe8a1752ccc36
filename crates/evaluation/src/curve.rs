//! What a threshold trades: ROC and precision against recall.

use perennial_core::model::Scores;
use perennial_core::task::TaskKind;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::judged::Judged;
use crate::metrics::ratio;
use crate::outcomes::Outcomes;
use crate::rank;

/// Thinned curves keep a point wherever an axis has moved by this much since the
/// last one kept: at most 402 points, none of those left out further than this
/// from the line drawn, along either axis.
pub const CURVE_STEP: f64 = 1.0 / 200.0;

/// Curves of a multiclass model: its classes with the most outcomes.
pub const MAX_CURVES: usize = 8;

/// One threshold of a [`Roc`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// The share of no that scores at least the threshold.
    pub false_positive_rate: f64,
    /// The share of yes that scores at least the threshold.
    pub true_positive_rate: f64,
    /// The threshold; absent at the start, where nothing is yes.
    pub threshold: Option<f64>,
}

/// The receiver operating characteristic, from (0, 0) to (1, 1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Roc {
    /// The exact area, not that under the thinned points.
    pub auc: f64,
    /// Thresholds descending; thinned, see [`CURVE_STEP`].
    pub points: Vec<RocPoint>,
}

/// One threshold of a [`PrecisionRecall`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecallPoint {
    /// The share of yes that scores at least the threshold.
    pub recall: f64,
    /// The share of yes among all that scores at least the threshold.
    pub precision: f64,
    /// The threshold.
    pub threshold: f64,
}

/// Precision against recall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecall {
    /// Σ (recall − recall before) · precision over all thresholds, without interpolation.
    pub average_precision: f64,
    /// The share of yes: the precision of answering yes to all.
    pub positive_rate: f64,
    /// Thresholds descending; one a [`CURVE_STEP`] of recall.
    pub points: Vec<PrecisionRecallPoint>,
}

/// The ROC curve of a binary model; absent for other tasks and unless both outcomes occur.
pub fn roc(scores: &Scores, outcomes: &Outcomes) -> Result<Option<Roc>, Error> {
    Ok(roc_of(Judged::new(scores, outcomes)?.binary_rows()))
}

/// One ROC curve for each class against the rest, the [`MAX_CURVES`] classes
/// with the most outcomes first; empty unless the task is multiclass.
pub fn roc_by_class(scores: &Scores, outcomes: &Outcomes) -> Result<Vec<(String, Roc)>, Error> {
    let judged = Judged::new(scores, outcomes)?;
    if outcomes.task() != TaskKind::Multiclass {
        return Ok(Vec::new());
    }
    let mut counts = vec![0_usize; outcomes.classes().len()];
    for &row in &judged.order {
        counts[outcomes.class(row as usize)] += 1;
    }
    let mut classes: Vec<usize> = (0..counts.len()).collect();
    classes.sort_by_key(|&class| std::cmp::Reverse(counts[class]));
    classes.truncate(MAX_CURVES);
    let curves = classes.into_iter().filter_map(|class| {
        let mut pairs: Vec<(f64, bool)> = judged
            .order
            .iter()
            .map(|&row| (judged.probability(row as usize, class), outcomes.class(row as usize) == class))
            .collect();
        rank::auc(&mut pairs)?;
        Some((outcomes.classes()[class].clone(), roc_of(pairs.into_iter())?))
    });
    Ok(curves.collect())
}

/// Precision against recall of a binary model; absent for other tasks and unless yes occurs.
pub fn precision_recall(scores: &Scores, outcomes: &Outcomes) -> Result<Option<PrecisionRecall>, Error> {
    let thresholds = thresholds(Judged::new(scores, outcomes)?.binary_rows());
    let Some(last) = thresholds.last().copied().filter(|last| last.yes > 0) else {
        return Ok(None);
    };
    let (yes, rows) = (last.yes as f64, (last.yes + last.no) as f64);
    let (mut average_precision, mut before) = (0.0, 0.0);
    let mut points: Vec<PrecisionRecallPoint> = Vec::new();
    for (index, at) in thresholds.iter().enumerate() {
        let point = PrecisionRecallPoint {
            recall: at.yes as f64 / yes,
            precision: at.yes as f64 / (at.yes + at.no) as f64,
            threshold: at.score,
        };
        average_precision += (point.recall - before) * point.precision;
        before = point.recall;
        let moved = points.last().is_none_or(|kept| point.recall - kept.recall >= CURVE_STEP);
        if moved || index + 1 == thresholds.len() {
            points.push(point);
        }
    }
    Ok(Some(PrecisionRecall { average_precision, positive_rate: yes / rows, points }))
}

/// How many score at least `score`.
#[derive(Clone, Copy)]
struct Threshold {
    score: f64,
    yes: u64,
    no: u64,
}

/// Distinct scores descending, from rows in ascending order.
fn thresholds(rows: impl DoubleEndedIterator<Item = (f64, bool)>) -> Vec<Threshold> {
    let mut thresholds: Vec<Threshold> = Vec::new();
    for (score, is_yes) in rows.rev() {
        let (yes, no) = thresholds.last().map_or((0, 0), |last| (last.yes, last.no));
        let next = Threshold { score, yes: yes + u64::from(is_yes), no: no + u64::from(!is_yes) };
        match thresholds.last_mut() {
            Some(last) if last.score == score => *last = next,
            _ => thresholds.push(next),
        }
    }
    thresholds
}

fn roc_of(rows: impl DoubleEndedIterator<Item = (f64, bool)>) -> Option<Roc> {
    let thresholds = thresholds(rows);
    let last = *thresholds.last()?;
    let mut points = vec![RocPoint { false_positive_rate: 0.0, true_positive_rate: 0.0, threshold: None }];
    let (mut area, mut before) = (0.0, points[0]);
    for (index, at) in thresholds.iter().enumerate() {
        let point = RocPoint {
            false_positive_rate: ratio(at.no as f64, last.no as f64)?,
            true_positive_rate: ratio(at.yes as f64, last.yes as f64)?,
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
