//! Metrics of multiclass models.

use std::collections::BTreeMap;

use crate::binary::log_loss_of;
use crate::metrics::{ClassMetrics, MAX_CLASS_METRICS, Metrics, ratio, set};
use crate::rank;
use crate::scored_rows::ScoredRows;

#[derive(Clone, Default)]
struct ClassCounts {
    rows: u64,
    predicted: u64,
    correct: u64,
    auc: Option<f64>,
}

impl ClassCounts {
    fn precision(&self) -> Option<f64> {
        ratio(self.correct as f64, self.predicted as f64)
    }

    fn recall(&self) -> Option<f64> {
        ratio(self.correct as f64, self.rows as f64)
    }

    fn f1(&self) -> Option<f64> {
        ratio(2.0 * self.correct as f64, (self.predicted + self.rows) as f64)
    }
}

/// Computes the metrics of the rows at the indices `rows`. A macro average is
/// the unweighted mean over the classes for which the metric is defined.
pub(crate) fn measure(scored: &ScoredRows<'_>, rows: &[u32]) -> Metrics {
    let mut classes = vec![ClassCounts::default(); scored.outcomes.classes().len()];
    let mut log_loss = 0.0;
    for &row in rows {
        let outcome = scored.outcomes.class(row as usize);
        let predicted = predicted_class(scored.scores.row(row as usize));
        classes[outcome].rows += 1;
        if let Some(predicted) = predicted {
            classes[predicted].predicted += 1;
            classes[predicted].correct += u64::from(predicted == outcome);
        }
        log_loss += log_loss_of(scored.probability(row as usize, outcome));
    }
    let mut pairs = Vec::with_capacity(rows.len());
    for (code, class) in classes.iter_mut().enumerate().filter(|(_, class)| class.rows > 0) {
        pairs.clear();
        pairs.extend(rows.iter().map(|&row| {
            let row = row as usize;
            (scored.probability(row, code), scored.outcomes.class(row) == code)
        }));
        class.auc = rank::auc(&mut pairs);
    }
    let correct: u64 = classes.iter().map(|class| class.correct).sum();
    let mut metrics = Metrics { rows: rows.len() as u64, ..Metrics::default() };
    metrics.set("accuracy", ratio(correct as f64, rows.len() as f64));
    metrics.set("macro_f1", mean(&classes, ClassCounts::f1));
    metrics.set("macro_precision", mean(&classes, ClassCounts::precision));
    metrics.set("macro_recall", mean(&classes, ClassCounts::recall));
    metrics.set("log_loss", ratio(log_loss, rows.len() as f64));
    metrics.set("macro_auc", mean(&classes, |class| class.auc));
    metrics.classes = per_class(scored.outcomes.classes(), &classes);
    metrics
}

/// The class with the greatest probability, the first of equal ones.
pub(crate) fn predicted_class(scores: &[f64]) -> Option<usize> {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter().position(|&score| score == best)
}

fn mean(classes: &[ClassCounts], measure: impl Fn(&ClassCounts) -> Option<f64>) -> Option<f64> {
    let defined: Vec<f64> = classes.iter().filter_map(measure).collect();
    ratio(defined.iter().sum(), defined.len() as f64)
}

fn per_class(names: &[String], classes: &[ClassCounts]) -> Vec<ClassMetrics> {
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.sort_by_key(|&code| std::cmp::Reverse(classes[code].rows));
    order.truncate(MAX_CLASS_METRICS);
    let measured = order.into_iter().map(|code| {
        let class = &classes[code];
        let mut values = BTreeMap::new();
        set(&mut values, "precision", class.precision());
        set(&mut values, "recall", class.recall());
        set(&mut values, "f1", class.f1());
        set(&mut values, "auc", class.auc);
        ClassMetrics { class: names[code].clone(), rows: class.rows, predicted: class.predicted, values }
    });
    measured.collect()
}
