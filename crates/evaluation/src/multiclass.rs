//! Measures of one of several classes.

use std::collections::BTreeMap;

use crate::binary::surprise;
use crate::judged::Judged;
use crate::metrics::{ClassMetrics, MAX_CLASS_METRICS, Metrics, ratio, set};
use crate::rank;

#[derive(Clone, Default)]
struct Class {
    rows: u64,
    answered: u64,
    right: u64,
    auc: Option<f64>,
}

impl Class {
    fn precision(&self) -> Option<f64> {
        ratio(self.right as f64, self.answered as f64)
    }

    fn recall(&self) -> Option<f64> {
        ratio(self.right as f64, self.rows as f64)
    }

    fn f1(&self) -> Option<f64> {
        ratio(2.0 * self.right as f64, (self.answered + self.rows) as f64)
    }
}

/// Measures the rows at `rows`. A macro average is the plain mean over the
/// classes of which the measure is defined.
pub(crate) fn measure(judged: &Judged<'_>, rows: &[u32]) -> Metrics {
    let mut classes = vec![Class::default(); judged.outcomes.classes().len()];
    let mut log_loss = 0.0;
    for &row in rows {
        let outcome = judged.outcomes.class(row as usize);
        let answer = answer(judged.scores.row(row as usize));
        classes[outcome].rows += 1;
        if let Some(answer) = answer {
            classes[answer].answered += 1;
            classes[answer].right += u64::from(answer == outcome);
        }
        log_loss += surprise(judged.probability(row as usize, outcome));
    }
    let mut pairs = Vec::with_capacity(rows.len());
    for (code, class) in classes.iter_mut().enumerate().filter(|(_, class)| class.rows > 0) {
        pairs.clear();
        pairs.extend(rows.iter().map(|&row| {
            let row = row as usize;
            (judged.probability(row, code), judged.outcomes.class(row) == code)
        }));
        class.auc = rank::auc(&mut pairs);
    }
    let right: u64 = classes.iter().map(|class| class.right).sum();
    let mut metrics = Metrics { rows: rows.len() as u64, ..Metrics::default() };
    metrics.set("accuracy", ratio(right as f64, rows.len() as f64));
    metrics.set("macro_f1", mean(&classes, Class::f1));
    metrics.set("macro_precision", mean(&classes, Class::precision));
    metrics.set("macro_recall", mean(&classes, Class::recall));
    metrics.set("log_loss", ratio(log_loss, rows.len() as f64));
    metrics.set("macro_auc", mean(&classes, |class| class.auc));
    metrics.classes = per_class(judged.outcomes.classes(), &classes);
    metrics
}

/// The class with the greatest probability, the first of equals.
pub(crate) fn answer(scores: &[f64]) -> Option<usize> {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter().position(|&score| score == best)
}

fn mean(classes: &[Class], measure: impl Fn(&Class) -> Option<f64>) -> Option<f64> {
    let defined: Vec<f64> = classes.iter().filter_map(measure).collect();
    ratio(defined.iter().sum(), defined.len() as f64)
}

fn per_class(names: &[String], classes: &[Class]) -> Vec<ClassMetrics> {
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
        ClassMetrics { class: names[code].clone(), rows: class.rows, answered: class.answered, values }
    });
    measured.collect()
}
