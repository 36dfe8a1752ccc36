//! Target leakage: features that reveal the outcome or are filled in after it.
//!
//! A feature *leaks* when it is known only when the outcome is known: it is
//! missing in more than half of the unlabelled and in less than a tenth of the
//! labelled rows. A request for a prediction cannot have it.
//!
//! A feature is *suspected* when it alone ranks the outcomes (AUC; for several
//! classes the best one-vs-rest AUC) or explains them (R²) beyond
//! [`LEAK_THRESHOLD`]. Many honest features do: a petal's length separates
//! species of iris without error. So a suspicion is a warning, never an error.
//!
//! How strongly a single column is associated with the outcome:
//! - *Numbers, AUC*: of the values in the better direction, with missing values
//!   ranked lowest, ranked highest, or, when at least a tenth of the labelled
//!   rows have a value, left out. The greatest of the three counts.
//! - *Numbers, R²*: of a straight line, or of the means of twenty equal-sized
//!   bins, adjusted for the number of bins; the greater counts. Rows without a
//!   value are left out; at least a tenth of the labelled rows must have one.
//! - *Text, and numbers with at most [`MAX_CODES`] distinct values*: out-of-fold
//!   target encoding. Each value is replaced by the mean outcome of its rows in
//!   the other four of five folds (missing is a value; an unseen value gets the
//!   overall mean). A row's own outcome never enters its encoding, so a column
//!   with many distinct values, even one a row, scores only what it would
//!   predict for new rows. Folds are a fixed hash of the row's index, so the
//!   result is deterministic.

mod numeric;
mod target_encoding;

use perennial_core::frame::{Column, Frame};
use perennial_core::task::TaskKind;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::outcomes::Outcomes;

/// AUC or R² of a single column above which the column is suspected.
pub const LEAK_THRESHOLD: f64 = 0.9;

/// A number column with at most this many distinct values is also treated as categorical.
pub(crate) const MAX_CODES: usize = 50;

/// Classes tested one-vs-rest: those with the most outcomes.
const MAX_CLASSES: usize = 50;

/// Minimum number of rows of each kind that a test needs: of either outcome,
/// of labelled rows (regression), of unlabelled rows. With ten of either
/// outcome, an AUC above 0.9 occurs by chance once in a thousand.
const MIN_ROWS: usize = 10;

/// The share of labelled rows that must have a value for the column to be tested on these rows alone.
const MIN_PRESENT: f64 = 0.1;

const MISSING_UNLABELLED: f64 = 0.5;
const MISSING_LABELLED: f64 = 0.1;

/// A feature suspected of leaking the outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Name of the feature.
    pub feature: String,
    /// The reason for the suspicion.
    pub reason: SuspectReason,
}

/// Why a feature is suspected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SuspectReason {
    /// The feature alone ranks the outcomes.
    Auc {
        /// The AUC of the feature alone, above [`LEAK_THRESHOLD`].
        value: f64,
        /// The class that the feature separates from the rest; multiclass only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<String>,
    },
    /// The feature alone explains the outcomes.
    R2 {
        /// The share of the outcome's variance that the feature explains, above [`LEAK_THRESHOLD`].
        value: f64,
    },
    /// The feature is mostly missing in unlabelled rows and mostly present in labelled ones.
    Missing {
        /// The share of unlabelled rows without a value.
        unlabelled: f64,
        /// The share of labelled rows without a value.
        labelled: f64,
    },
}

impl Suspect {
    /// Whether the feature is known only when the outcome is known. Otherwise it is merely strong.
    pub fn is_leak(&self) -> bool {
        matches!(self.reason, SuspectReason::Missing { .. })
    }

    /// The reason as one line for people.
    pub fn message(&self) -> String {
        let limit = LEAK_THRESHOLD;
        match &self.reason {
            SuspectReason::Auc { value, class: None } => {
                format!(
                    "`{}` alone has an AUC of {value:.3}, over {limit}: is it known before the outcome?",
                    self.feature
                )
            }
            SuspectReason::Auc { value, class: Some(class) } => {
                format!(
                    "`{}` alone separates class `{class}` from the rest with an AUC of {value:.3}, over {limit}: is it known before the outcome?",
                    self.feature
                )
            }
            SuspectReason::R2 { value } => {
                format!(
                    "`{}` alone explains {:.1} % of the outcome, over {} %: is it known before the outcome?",
                    self.feature,
                    value * 100.0,
                    limit * 100.0
                )
            }
            SuspectReason::Missing { unlabelled, labelled } => format!(
                "`{}` is missing in {:.1} % of the rows without an outcome and in {:.1} % of those with one: is it filled in with the outcome?",
                self.feature,
                unlabelled * 100.0,
                labelled * 100.0
            ),
        }
    }
}

/// Finds the suspects among the columns of `features`, in column order. Rows
/// correspond to those of `outcomes` and include unlabelled ones. A feature
/// may appear twice, with different reasons.
///
/// # Errors
/// [`Error::Rows`] when features and outcomes differ in their number of rows.
pub fn leaks(features: &Frame, outcomes: &Outcomes) -> Result<Vec<Suspect>, Error> {
    if !features.names().is_empty() && features.rows() != outcomes.rows() {
        return Err(Error::Rows { scores: features.rows(), outcomes: outcomes.rows() });
    }
    let targets = targets(outcomes);
    let labelled: Vec<u32> =
        (0..outcomes.rows()).filter(|&row| outcomes.is_labelled(row)).map(|row| row as u32).collect();
    let columns: Vec<(&String, &Column)> = features.names().iter().zip(features.columns()).collect();
    let suspects: Vec<Vec<Suspect>> = columns
        .into_par_iter()
        .map(|(name, column)| {
            let association = association(column, outcomes, &labelled, &targets);
            let reasons = association.into_iter().chain(missingness(column, outcomes));
            reasons.map(|reason| Suspect { feature: name.clone(), reason }).collect()
        })
        .collect();
    Ok(suspects.into_iter().flatten().collect())
}

/// The variable that a single column is tested to predict.
enum LeakTarget {
    Binary,
    Class(usize),
    Regression,
}

impl LeakTarget {
    fn outcome(&self, outcomes: &Outcomes, row: usize) -> f64 {
        match self {
            Self::Binary | Self::Regression => outcomes.value(row),
            Self::Class(class) => f64::from(u8::from(outcomes.class(row) == *class)),
        }
    }
}

fn targets(outcomes: &Outcomes) -> Vec<LeakTarget> {
    let labelled = || (0..outcomes.rows()).filter(|&row| outcomes.is_labelled(row));
    let count = labelled().count();
    let is_enough = |positives: usize| positives >= MIN_ROWS && count - positives >= MIN_ROWS;
    match outcomes.task() {
        TaskKind::Binary if is_enough(labelled().filter(|&row| outcomes.is_positive(row)).count()) => {
            vec![LeakTarget::Binary]
        }
        TaskKind::Regression if count >= MIN_ROWS => vec![LeakTarget::Regression],
        TaskKind::Binary | TaskKind::Regression => Vec::new(),
        TaskKind::Multiclass => {
            let mut rows = vec![0; outcomes.classes().len()];
            for row in labelled() {
                rows[outcomes.class(row)] += 1;
            }
            let mut classes: Vec<usize> = (0..rows.len()).filter(|&class| is_enough(rows[class])).collect();
            classes.sort_by_key(|&class| std::cmp::Reverse(rows[class]));
            classes.truncate(MAX_CLASSES);
            classes.into_iter().map(LeakTarget::Class).collect()
        }
    }
}

/// The strongest association of a column with the outcome, if it exceeds the threshold.
fn association(
    column: &Column,
    outcomes: &Outcomes,
    labelled: &[u32],
    targets: &[LeakTarget],
) -> Option<SuspectReason> {
    let codes = target_encoding::codes(column, labelled);
    let sorted = numeric::sorted(column, labelled);
    let mut best: Option<(f64, &LeakTarget)> = None;
    for target in targets {
        let outcome: Vec<f64> = labelled.iter().map(|&row| target.outcome(outcomes, row as usize)).collect();
        let is_regression = matches!(target, LeakTarget::Regression);
        let as_number =
            sorted.as_ref().and_then(|sorted| if is_regression { sorted.r2(&outcome) } else { sorted.auc(&outcome) });
        let as_codes =
            codes.as_ref().and_then(|codes| if is_regression { codes.r2(&outcome) } else { codes.auc(&outcome) });
        for value in [as_number, as_codes].into_iter().flatten() {
            if best.is_none_or(|(most, _)| value > most) {
                best = Some((value, target));
            }
        }
    }
    let (value, target) = best.filter(|&(value, _)| value > LEAK_THRESHOLD)?;
    Some(match target {
        LeakTarget::Regression => SuspectReason::R2 { value },
        LeakTarget::Binary => SuspectReason::Auc { value, class: None },
        LeakTarget::Class(class) => SuspectReason::Auc { value, class: Some(outcomes.classes()[*class].clone()) },
    })
}

/// Compares how often the column is missing in unlabelled and in labelled rows.
fn missingness(column: &Column, outcomes: &Outcomes) -> Option<SuspectReason> {
    let (mut rows, mut missing) = ([0_usize; 2], [0_usize; 2]);
    for row in 0..outcomes.rows() {
        let side = usize::from(outcomes.is_labelled(row));
        rows[side] += 1;
        missing[side] += usize::from(column.is_missing(row));
    }
    if rows[0] < MIN_ROWS || rows[1] < MIN_ROWS {
        return None;
    }
    let share = |side: usize| missing[side] as f64 / rows[side] as f64;
    let (unlabelled, labelled) = (share(0), share(1));
    (unlabelled > MISSING_UNLABELLED && labelled < MISSING_LABELLED)
        .then_some(SuspectReason::Missing { unlabelled, labelled })
}
