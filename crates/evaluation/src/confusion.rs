//! Confusion matrices.

use std::cmp::Reverse;

use perennial_core::model::Scores;
use perennial_core::task::TaskKind;
use serde::{Deserialize, Serialize};

use crate::binary::DECISION_THRESHOLD;
use crate::error::Error;
use crate::multiclass;
use crate::outcomes::Outcomes;
use crate::scored_rows::ScoredRows;

/// Maximum number of classes with a row and column of their own; the rarer ones are merged into *other*.
pub const MAX_CONFUSION_CLASSES: usize = 20;

/// Counts of rows by outcome and predicted class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Labels of rows and columns: `no` and `yes`, or the classes in the model's order, `other` last.
    pub classes: Vec<String>,
    /// `counts[outcome][prediction]`.
    pub counts: Vec<Vec<u64>>,
}

/// The confusion matrix of a classifier; `None` for regression and without labelled rows.
pub fn confusion(scores: &Scores, outcomes: &Outcomes) -> Result<Option<Confusion>, Error> {
    let scored = ScoredRows::new(scores, outcomes)?;
    if scored.order.is_empty() {
        return Ok(None);
    }
    match outcomes.task() {
        TaskKind::Regression => Ok(None),
        TaskKind::Binary => {
            let mut counts = vec![vec![0; 2]; 2];
            for (score, is_positive) in scored.binary_rows() {
                counts[usize::from(is_positive)][usize::from(score > DECISION_THRESHOLD)] += 1;
            }
            Ok(Some(Confusion { classes: vec!["no".to_owned(), "yes".to_owned()], counts }))
        }
        TaskKind::Multiclass => Ok(Some(multiclass_confusion(&scored))),
    }
}

fn multiclass_confusion(scored: &ScoredRows<'_>) -> Confusion {
    let names = scored.outcomes.classes();
    let mut rows = vec![0_u64; names.len()];
    for &row in &scored.order {
        rows[scored.outcomes.class(row as usize)] += 1;
    }
    let mut kept: Vec<usize> = (0..names.len()).collect();
    kept.sort_by_key(|&class| Reverse(rows[class]));
    kept.truncate(MAX_CONFUSION_CLASSES);
    kept.sort_unstable();
    let has_other = kept.len() < names.len();
    let size = kept.len() + usize::from(has_other);
    let index = |class: usize| kept.binary_search(&class).unwrap_or(size - 1);
    let mut counts = vec![vec![0; size]; size];
    for &row in &scored.order {
        let Some(predicted) = multiclass::predicted_class(scored.scores.row(row as usize)) else {
            continue;
        };
        counts[index(scored.outcomes.class(row as usize))][index(predicted)] += 1;
    }
    let other = has_other.then(|| "other".to_owned());
    Confusion { classes: kept.iter().map(|&class| names[class].clone()).chain(other).collect(), counts }
}
