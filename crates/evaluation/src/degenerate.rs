//! Warnings about models and outcomes from which an evaluation says little: a constant model, a model that is worse than
//! its inverse, a test of one class, a class that was never learnt.

use std::collections::BTreeMap;

use perennial_core::model::Scores;
use perennial_core::model::classes;
use perennial_core::task::TaskKind;

use crate::outcomes::Outcomes;

/// Most classes that a warning names.
const CLASSES_SHOWN_MAX: usize = 5;

/// Standard errors by which an AUC must be below one half: an AUC of pure chance is so in 2 of 100 tests.
const STANDARD_ERRORS: f64 = 2.0;

/// Warnings about the outcomes of the training and the test rows, and of all rows of the data.
pub fn outcome_warnings(training: &Outcomes, test: &Outcomes, all: &Outcomes) -> Vec<String> {
    let (trained, tested, existing) = (training.counts(), test.counts(), all.counts());
    let mut warnings = Vec::new();
    if let ([(class, rows)], true) = (tested.iter().collect::<Vec<_>>().as_slice(), test.task() != TaskKind::Regression)
    {
        warnings
            .push(format!("all {rows} test rows have the outcome `{class}`, so the test shows nothing about others"));
    }
    warnings.extend(not_learnt(&trained, tested.iter(), "test rows"));
    let elsewhere = existing.iter().filter(|(class, _)| !tested.contains_key(*class));
    warnings.extend(not_learnt(&trained, elsewhere, "rows that are neither training nor test rows"));
    warnings
}

/// The warning about classes that rows of the data have and no training row has.
fn not_learnt<'a>(
    trained: &BTreeMap<String, usize>,
    classes: impl Iterator<Item = (&'a String, &'a usize)>,
    rows_with: &str,
) -> Option<String> {
    let mut absent: Vec<(&String, &usize)> = classes.filter(|(class, _)| !trained.contains_key(*class)).collect();
    absent.sort_by(|a, b| classes::compare(a.0, b.0));
    if absent.is_empty() {
        return None;
    }
    let rows: usize = absent.iter().map(|(_, rows)| **rows).sum();
    let shown: Vec<String> = absent.iter().take(CLASSES_SHOWN_MAX).map(|(class, _)| format!("`{class}`")).collect();
    let more = if absent.len() > shown.len() { " and others" } else { "" };
    Some(format!("no training row has the outcome {}{more}, which {rows} {rows_with} have", shown.join(", ")))
}

/// Warnings about a model's scores of the test rows; `auc` is that of a binary model.
pub fn model_warnings(scores: &Scores, test: &Outcomes, auc: Option<f64>) -> Vec<String> {
    let mut warnings = Vec::new();
    if is_constant(scores) {
        let shown: Vec<String> =
            scores.row(0).iter().take(CLASSES_SHOWN_MAX).map(|score| format!("{score:.4}")).collect();
        warnings.push(format!("the model is constant: each test row has the score {}", shown.join(", ")));
    }
    if let Some(auc) = auc.filter(|auc| test.task() == TaskKind::Binary && is_inverted(*auc, test)) {
        warnings.push(format!(
            "the model is worse than its inverse: its AUC is {auc:.4}, that of its inverse {:.4}; does it name the \
             outcome 1 by another class?",
            1.0 - auc
        ));
    }
    warnings
}

/// Whether several rows have the same scores throughout.
fn is_constant(scores: &Scores) -> bool {
    let first = scores.values.get(..scores.width).unwrap_or_default();
    scores.rows() > 1 && scores.values.chunks(scores.width.max(1)).all(|row| row == first)
}

/// Whether an AUC is below one half by more than chance: its standard error where the scores say nothing follows from
/// the numbers of both outcomes (Mann and Whitney 1947).
fn is_inverted(auc: f64, test: &Outcomes) -> bool {
    let labelled = || (0..test.rows()).filter(|row| test.is_labelled(*row));
    let positives = labelled().filter(|row| test.is_positive(*row)).count() as f64;
    let negatives = labelled().count() as f64 - positives;
    let standard_error = ((negatives + positives + 1.0) / (12.0 * negatives * positives)).sqrt();
    auc < 0.5 - STANDARD_ERRORS * standard_error
}

impl Outcomes {
    /// Labelled rows by class, of classes with rows; none for a regression.
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for row in (0..self.rows()).filter(|row| self.is_labelled(*row)) {
            let class = match self.task() {
                TaskKind::Regression => return BTreeMap::new(),
                TaskKind::Binary => u8::from(self.is_positive(row)).to_string(),
                TaskKind::Multiclass => self.classes()[self.class(row)].clone(),
            };
            *counts.entry(class).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests;
