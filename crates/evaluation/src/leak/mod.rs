//! The search for features that know the outcome too well, or were filled in after it.
//!
//! A feature is suspected when it alone ranks the outcomes (AUC; one class
//! against the rest, the best class) or explains them (R²) beyond
//! [`LEAK_THRESHOLD`], or when it is missing in over half of the unlabelled
//! and under a tenth of the labelled rows.
//!
//! How a column alone is judged:
//! - *Numbers, AUC*: the column as it stands, in the better direction; rows
//!   that lack it lowest, then highest; and, where at least a tenth of the
//!   labelled rows have it, over these alone. The greatest of the three.
//! - *Numbers, R²*: of a straight line, or of one mean for each twentieth of
//!   the values, adjusted for the number of means, whichever is greater;
//!   over the rows that have it, a tenth of the labelled at least.
//! - *Text, and numbers of at most [`MAX_CODES`] values*: each value is
//!   replaced by the mean outcome of its rows in the other four of five folds
//!   (missing is a value; an unseen value gets the mean of all). Rows never
//!   see their own outcome, so that a column of many values, even one a row,
//!   shows only what it would tell of rows to come. The folds are a fixed
//!   scramble of the row's number, so the same rows give the same answer.

mod encoded;
mod number;

use perennial_core::frame::{Column, Frame};
use perennial_core::task::TaskKind;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::outcomes::Outcomes;

/// AUC or R² of a single column above which it is suspected.
pub const LEAK_THRESHOLD: f64 = 0.9;

/// Numbers with at most so many distinct values are judged as categories too.
pub(crate) const MAX_CODES: usize = 50;

/// Classes looked at one against the rest: those with the most outcomes.
const MAX_CLASSES: usize = 50;

/// Nothing is said of fewer rows: of each of the two outcomes, labelled at all
/// (regression), unlabelled. Ten against ten rank above 0.9 by chance once in a thousand.
const MIN_ROWS: usize = 10;

/// The share of labelled rows that must have a number for it to be judged over these alone.
const MIN_PRESENT: f64 = 0.1;

const MISSING_UNLABELLED: f64 = 0.5;
const MISSING_LABELLED: f64 = 0.1;

/// A feature that may be a leak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// The feature.
    pub feature: String,
    /// What is suspicious.
    pub reason: SuspectReason,
}

/// Why a feature is suspected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SuspectReason {
    /// The feature alone ranks the outcomes.
    Auc {
        /// The area it reaches alone.
        value: f64,
        /// Multiclass: the class it tells from the rest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<String>,
    },
    /// The feature alone explains the outcomes.
    R2 {
        /// The share of their variance.
        value: f64,
    },
    /// The feature is missing where there is no outcome, and there alone.
    Missing {
        /// The share of unlabelled rows that lack it.
        unlabelled: f64,
        /// The share of labelled rows that lack it.
        labelled: f64,
    },
}

impl Suspect {
    /// The reason as one line for people.
    pub fn why(&self) -> String {
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
                    "`{}` alone tells class `{class}` from the rest with an AUC of {value:.3}, over {limit}: is it known before the outcome?",
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

/// The suspects among the columns of `features`, in their order; labelled and
/// unlabelled rows together, as `outcomes` says. A feature may be suspected for two reasons.
pub fn leaks(features: &Frame, outcomes: &Outcomes) -> Result<Vec<Suspect>, Error> {
    if !features.names().is_empty() && features.rows() != outcomes.rows() {
        return Err(Error::Rows { scores: features.rows(), outcomes: outcomes.rows() });
    }
    let questions = questions(outcomes);
    let labelled: Vec<u32> =
        (0..outcomes.rows()).filter(|&row| outcomes.is_labelled(row)).map(|row| row as u32).collect();
    let columns: Vec<(&String, &Column)> = features.names().iter().zip(features.columns()).collect();
    let suspects: Vec<Vec<Suspect>> = columns
        .into_par_iter()
        .map(|(name, column)| {
            let alone = alone(column, outcomes, &labelled, &questions);
            let reasons = alone.into_iter().chain(missing(column, outcomes));
            reasons.map(|reason| Suspect { feature: name.clone(), reason }).collect()
        })
        .collect();
    Ok(suspects.into_iter().flatten().collect())
}

/// What is asked of a column: to tell this from the rest, or to explain the number.
enum Question {
    Yes,
    Class(usize),
    Number,
}

impl Question {
    fn outcome(&self, outcomes: &Outcomes, row: usize) -> f64 {
        match self {
            Self::Yes | Self::Number => outcomes.value(row),
            Self::Class(class) => f64::from(u8::from(outcomes.class(row) == *class)),
        }
    }
}

fn questions(outcomes: &Outcomes) -> Vec<Question> {
    let labelled = || (0..outcomes.rows()).filter(|&row| outcomes.is_labelled(row));
    let count = labelled().count();
    let is_enough = |yes: usize| yes >= MIN_ROWS && count - yes >= MIN_ROWS;
    match outcomes.task() {
        TaskKind::Binary if is_enough(labelled().filter(|&row| outcomes.is_yes(row)).count()) => {
            vec![Question::Yes]
        }
        TaskKind::Regression if count >= MIN_ROWS => vec![Question::Number],
        TaskKind::Binary | TaskKind::Regression => Vec::new(),
        TaskKind::Multiclass => {
            let mut rows = vec![0; outcomes.classes().len()];
            for row in labelled() {
                rows[outcomes.class(row)] += 1;
            }
            let mut classes: Vec<usize> = (0..rows.len()).filter(|&class| is_enough(rows[class])).collect();
            classes.sort_by_key(|&class| std::cmp::Reverse(rows[class]));
            classes.truncate(MAX_CLASSES);
            classes.into_iter().map(Question::Class).collect()
        }
    }
}

/// The greatest single-column measure, if it is over the threshold.
fn alone(column: &Column, outcomes: &Outcomes, labelled: &[u32], questions: &[Question]) -> Option<SuspectReason> {
    let codes = encoded::codes(column, labelled);
    let sorted = number::sorted(column, labelled);
    let mut best: Option<(f64, &Question)> = None;
    for question in questions {
        let outcome: Vec<f64> = labelled.iter().map(|&row| question.outcome(outcomes, row as usize)).collect();
        let is_number = matches!(question, Question::Number);
        let as_number =
            sorted.as_ref().and_then(|sorted| if is_number { sorted.r2(&outcome) } else { sorted.auc(&outcome) });
        let as_codes =
            codes.as_ref().and_then(|codes| if is_number { codes.r2(&outcome) } else { codes.auc(&outcome) });
        for value in [as_number, as_codes].into_iter().flatten() {
            if best.is_none_or(|(most, _)| value > most) {
                best = Some((value, question));
            }
        }
    }
    let (value, question) = best.filter(|&(value, _)| value > LEAK_THRESHOLD)?;
    Some(match question {
        Question::Number => SuspectReason::R2 { value },
        Question::Yes => SuspectReason::Auc { value, class: None },
        Question::Class(class) => SuspectReason::Auc { value, class: Some(outcomes.classes()[*class].clone()) },
    })
}

fn missing(column: &Column, outcomes: &Outcomes) -> Option<SuspectReason> {
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
