//! Plots as SVG, for a file of its own or inline in a page.
//!
//! Axes and text use `currentColor`, so an inline plot follows the theme of its
//! page; as a file or an `img` it follows the viewer's light or dark scheme by a
//! rule on `svg:root`. Styling is otherwise by presentation attributes, which a
//! content security policy permits. Series differ by dash as well as by colour,
//! and title and description are available to screen readers.

mod confusion_matrix;
mod line_chart;
mod svg;

use perennial_core::model::Scores;
use perennial_core::task::TaskKind;

use crate::calibration::{Calibration, calibration};
use crate::confusion::{Confusion, confusion};
use crate::curve::{PrecisionRecall, Roc, precision_recall, roc, roc_by_class};
use crate::error::Error;
use crate::outcomes::Outcomes;
use crate::residuals::{Residuals, residuals};
use line_chart::{LineChart, Series};

/// Maximum number of series drawn; the description says how many more there are.
pub const MAX_SERIES: usize = 8;

/// A named plot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    /// File name without extension: `roc`, `precision_recall`, `calibration`, `confusion`, `residuals`.
    pub name: &'static str,
    /// Title, for headings.
    pub title: String,
    /// The SVG document.
    pub svg: String,
}

/// Draws the plots of the task for one or more models on the same rows, the
/// candidate first. The confusion matrix and a multiclass model's ROC curves
/// show the first model only. A plot without a defined curve is left out.
///
/// # Errors
/// As [`crate::metrics`], for any of the models.
pub fn plots(models: &[(&str, &Scores)], outcomes: &Outcomes) -> Result<Vec<Plot>, Error> {
    let mut plots = Vec::new();
    let mut add = |name: &'static str, title: &str, svg: Option<String>| {
        plots.extend(svg.map(|svg| Plot { name, title: title.to_owned(), svg }));
    };
    match outcomes.task() {
        TaskKind::Binary => {
            let curves = defined_curves(models, |scores| roc(scores, outcomes))?;
            add("roc", ROC, draw_unless_empty(&curves, roc_plot));
            let curves = defined_curves(models, |scores| precision_recall(scores, outcomes))?;
            add("precision_recall", PRECISION_RECALL, draw_unless_empty(&curves, precision_recall_plot));
            let curves = defined_curves(models, |scores| calibration(scores, outcomes))?;
            add("calibration", CALIBRATION, draw_unless_empty(&curves, calibration_plot));
        }
        TaskKind::Multiclass => {
            let curves = models.first().map_or_else(|| Ok(Vec::new()), |(_, scores)| roc_by_class(scores, outcomes))?;
            let curves: Vec<(&str, Roc)> = curves.iter().map(|(class, roc)| (class.as_str(), roc.clone())).collect();
            add("roc", ROC, draw_unless_empty(&curves, roc_plot));
        }
        TaskKind::Regression => {
            let curves = defined_curves(models, |scores| residuals(scores, outcomes))?;
            add("residuals", RESIDUALS, draw_unless_empty(&curves, residuals_plot));
        }
    }
    if let Some((name, scores)) = models.first()
        && let Some(counts) = confusion(scores, outcomes)?
    {
        add("confusion", CONFUSION, Some(confusion_plot(name, &counts)));
    }
    Ok(plots)
}

const ROC: &str = "ROC curve";
const PRECISION_RECALL: &str = "Precision and recall";
const CALIBRATION: &str = "Calibration";
const RESIDUALS: &str = "Residuals";
const CONFUSION: &str = "Confusion matrix";

fn defined_curves<'a, T>(
    models: &[(&'a str, &Scores)],
    curve_of: impl Fn(&Scores) -> Result<Option<T>, Error>,
) -> Result<Vec<(&'a str, T)>, Error> {
    let mut curves = Vec::new();
    for (name, scores) in models {
        if let Some(curve) = curve_of(scores)? {
            curves.push((*name, curve));
        }
    }
    Ok(curves)
}

fn draw_unless_empty<T>(curves: &[(&str, T)], draw: fn(&[(&str, T)]) -> String) -> Option<String> {
    (!curves.is_empty()).then(|| draw(curves))
}

/// Draws ROC curves of several models, or of several classes of one model.
pub fn roc_plot(curves: &[(&str, Roc)]) -> String {
    let series = curves.iter().map(|(name, roc)| Series {
        label: format!("{name}, AUC {:.3}", roc.auc),
        points: roc.points.iter().map(|point| (point.false_positive_rate, point.true_positive_rate)).collect(),
        has_marks: false,
        is_filled: false,
    });
    LineChart {
        title: ROC,
        x: "false positive rate",
        y: "true positive rate",
        guide: Some([(0.0, 0.0), (1.0, 1.0)]),
        ..LineChart::unit(series.collect())
    }
    .draw()
}

/// Draws precision-recall curves of several models; the dotted line is the precision of predicting every row positive.
pub fn precision_recall_plot(curves: &[(&str, PrecisionRecall)]) -> String {
    let series = curves.iter().map(|(name, curve)| Series {
        label: format!("{name}, average precision {:.3}", curve.average_precision),
        points: curve.points.iter().map(|point| (point.recall, point.precision)).collect(),
        has_marks: false,
        is_filled: false,
    });
    let rate = curves.first().map_or(0.0, |(_, curve)| curve.positive_rate);
    LineChart {
        title: PRECISION_RECALL,
        x: "recall",
        y: "precision",
        guide: Some([(0.0, rate), (1.0, rate)]),
        ..LineChart::unit(series.collect())
    }
    .draw()
}

/// Draws reliability diagrams of several models; on the dotted line the model is perfectly calibrated.
pub fn calibration_plot(curves: &[(&str, Calibration)]) -> String {
    let series = curves.iter().map(|(name, curve)| Series {
        label: format!("{name}, error {:.3}", curve.error),
        points: curve.bins.iter().map(|bin| (bin.mean_score, bin.positive_rate)).collect(),
        has_marks: true,
        is_filled: false,
    });
    LineChart {
        title: CALIBRATION,
        x: "mean score",
        y: "observed positive rate",
        guide: Some([(0.0, 0.0), (1.0, 1.0)]),
        ..LineChart::unit(series.collect())
    }
    .draw()
}

/// Draws the distributions of residuals of several models; the dotted line is zero.
pub fn residuals_plot(curves: &[(&str, Residuals)]) -> String {
    let series = curves.iter().enumerate().map(|(index, (name, residuals))| Series {
        label: format!("{name}, mean {:.4}, median {:.4}", residuals.mean, residuals.median),
        points: histogram_outline(residuals),
        has_marks: false,
        is_filled: index == 0,
    });
    let series: Vec<Series> = series.collect();
    let points = || series.iter().flat_map(|series| &series.points);
    let (least, most) =
        points().fold((0.0_f64, 0.0_f64), |(least, most), point| (least.min(point.0), most.max(point.0)));
    let top = points().fold(0.0_f64, |top, point| top.max(point.1));
    LineChart {
        title: RESIDUALS,
        x: "prediction minus outcome",
        y: "density of rows",
        x_range: (least, most),
        y_range: (0.0, top),
        guide: Some([(0.0, 0.0), (0.0, f64::INFINITY)]),
        series,
    }
    .draw()
}

/// The outline of a histogram as a density: each bin's share of all rows, divided by its width.
fn histogram_outline(residuals: &Residuals) -> Vec<(f64, f64)> {
    let rows: u64 = residuals.bins.iter().map(|bin| bin.rows).sum::<u64>() + residuals.below + residuals.above;
    let mut points = Vec::with_capacity(2 * residuals.bins.len() + 2);
    for bin in &residuals.bins {
        // A single bin of zero width stands for equal residuals; it is drawn with a small width.
        let half = if bin.upper > bin.lower { 0.0 } else { bin.lower.abs().max(1.0) * 0.01 };
        let (lower, upper) = (bin.lower - half, bin.upper + half);
        let density = bin.rows as f64 / rows.max(1) as f64 / (upper - lower);
        if points.is_empty() {
            points.push((lower, 0.0));
        }
        points.extend([(lower, density), (upper, density)]);
    }
    points.extend(points.last().map(|&(upper, _)| (upper, 0.0)));
    points
}

/// Draws a confusion matrix; cells are shaded by their share of the outcome's rows.
pub fn confusion_plot(name: &str, counts: &Confusion) -> String {
    confusion_matrix::draw(&format!("{CONFUSION}, {name}"), counts)
}
