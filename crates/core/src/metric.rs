//! The metrics of a model's quality, for each kind of task.

use crate::task::TaskKind;

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in facts, records and JSON.
    pub name: &'static str,
    /// Its definition, for people.
    pub title: &'static str,
    /// Whether a greater value is better; `None` if neither direction is (a share, a signed bias).
    pub greater_is_better: Option<bool>,
}

const fn greater(name: &'static str, title: &'static str) -> Metric {
    Metric { name, title, greater_is_better: Some(true) }
}

const fn less(name: &'static str, title: &'static str) -> Metric {
    Metric { name, title, greater_is_better: Some(false) }
}

const fn neither(name: &'static str, title: &'static str) -> Metric {
    Metric { name, title, greater_is_better: None }
}

const BINARY: [Metric; 9] = [
    greater("auc", "area under the ROC curve"),
    less("log_loss", "mean negative log-likelihood"),
    greater("accuracy", "share of correct predictions at threshold 0.5"),
    greater("precision", "share of predicted positives that are correct, at threshold 0.5"),
    greater("recall", "share of positives that are predicted as such, at threshold 0.5"),
    greater("f1", "harmonic mean of precision and recall at threshold 0.5"),
    less("brier", "mean squared error of the probability"),
    less("calibration_error", "mean absolute difference between predicted probability and observed share"),
    neither("positive_rate", "share of positives among the outcomes"),
];

const MULTICLASS: [Metric; 6] = [
    greater("accuracy", "share of correct predictions"),
    greater("macro_f1", "F1 averaged over classes"),
    greater("macro_precision", "precision averaged over classes"),
    greater("macro_recall", "recall averaged over classes"),
    less("log_loss", "mean negative log-likelihood"),
    greater("macro_auc", "one-against-rest AUC averaged over classes"),
];

const REGRESSION: [Metric; 4] = [
    less("rmse", "root of the mean squared error"),
    less("mae", "mean absolute error"),
    greater("r2", "share of variance explained"),
    neither("bias", "mean of prediction minus outcome"),
];

/// The metrics of a kind of task, the most important first.
pub fn metrics(task: TaskKind) -> &'static [Metric] {
    match task {
        TaskKind::Binary => &BINARY,
        TaskKind::Multiclass => &MULTICLASS,
        TaskKind::Regression => &REGRESSION,
    }
}

/// The metric of a name for a kind of task.
pub fn metric(task: TaskKind, name: &str) -> Option<&'static Metric> {
    metrics(task).iter().find(|metric| metric.name == name)
}
