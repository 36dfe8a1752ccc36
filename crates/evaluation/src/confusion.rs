//! Which answers stood for which outcomes.

use std::cmp::Reverse;

use perennial_core::model::Scores;
use perennial_core::task::TaskKind;
use serde::{Deserialize, Serialize};

use crate::binary::YES;
use crate::error::Error;
use crate::judged::Judged;
use crate::multiclass;
use crate::outcomes::Outcomes;

/// Classes with a row and column of their own; the rest, the rarer outcomes, are counted as *other*.
pub const MAX_CONFUSION_CLASSES: usize = 20;

/// Counts of rows by outcome and answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Names of rows and columns: `no` and `yes`, or the classes in the model's order, *other* last.
    pub classes: Vec<String>,
    /// `counts[outcome][answer]`.
    pub counts: Vec<Vec<u64>>,
}

/// Counts of rows by outcome and answer of a classifier; absent for regression and without labelled rows.
pub fn confusion(scores: &Scores, outcomes: &Outcomes) -> Result<Option<Confusion>, Error> {
    let judged = Judged::new(scores, outcomes)?;
    if judged.order.is_empty() {
        return Ok(None);
    }
    match outcomes.task() {
        TaskKind::Regression => Ok(None),
        TaskKind::Binary => {
            let mut counts = vec![vec![0; 2]; 2];
            for (score, is_yes) in judged.binary_rows() {
                counts[usize::from(is_yes)][usize::from(score > YES)] += 1;
            }
            Ok(Some(Confusion { classes: vec!["no".to_owned(), "yes".to_owned()], counts }))
        }
        TaskKind::Multiclass => Ok(Some(of_classes(&judged))),
    }
}

fn of_classes(judged: &Judged<'_>) -> Confusion {
    let names = judged.outcomes.classes();
    let mut rows = vec![0_u64; names.len()];
    for &row in &judged.order {
        rows[judged.outcomes.class(row as usize)] += 1;
    }
    let mut kept: Vec<usize> = (0..names.len()).collect();
    kept.sort_by_key(|&class| Reverse(rows[class]));
    kept.truncate(MAX_CONFUSION_CLASSES);
    kept.sort_unstable();
    let has_other = kept.len() < names.len();
    let size = kept.len() + usize::from(has_other);
    let place = |class: usize| kept.binary_search(&class).unwrap_or(size - 1);
    let mut counts = vec![vec![0; size]; size];
    for &row in &judged.order {
        let Some(answer) = multiclass::answer(judged.scores.row(row as usize)) else {
            continue;
        };
        counts[place(judged.outcomes.class(row as usize))][place(answer)] += 1;
    }
    let other = has_other.then(|| "other".to_owned());
    Confusion { classes: kept.iter().map(|&class| names[class].clone()).chain(other).collect(), counts }
}
