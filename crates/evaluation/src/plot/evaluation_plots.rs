//! The plots of an evaluation.

use perennial_core::model::Scores;
use perennial_core::task::TaskKind;

use crate::calibration::{Calibration, calibration};
use crate::confusion::{Confusion, confusion};
use crate::curve::{PrecisionRecall, Roc, precision_recall, roc, roc_by_class};
use crate::error::Error;
use crate::outcomes::Outcomes;
use crate::residuals::{Residuals, residuals};

use super::axis::Axis;
use super::confusion_matrix;
use super::line_chart::{Guide, LineChart, Series};
use super::svg::{Placement, short};

/// Characters of a model's or class's name in a legend, at most: its measures have room beside it.
const NAME_MAX: usize = 24;

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
    let series = curves.iter().map(|(name, roc)| {
        let points = roc.points.iter().map(|point| (point.false_positive_rate, point.true_positive_rate));
        line(format!("{}, AUC {:.3}", short(name, NAME_MAX), roc.auc), points)
    });
    let (x, y) = (Axis::unit("false positive rate"), Axis::unit("true positive rate"));
    draw(ROC, (x, y), Guide::between((0.0, 0.0), (1.0, 1.0)), series.collect())
}

/// Draws precision-recall curves of several models; the dotted line is the precision of predicting every row positive.
pub fn precision_recall_plot(curves: &[(&str, PrecisionRecall)]) -> String {
    let series = curves.iter().map(|(name, curve)| {
        let points = curve.points.iter().map(|point| (point.recall, point.precision));
        line(format!("{}, average precision {:.3}", short(name, NAME_MAX), curve.average_precision), points)
    });
    let rate = curves.first().map_or(0.0, |(_, curve)| curve.positive_rate);
    let guide = Guide::between((0.0, rate), (1.0, rate));
    draw(PRECISION_RECALL, (Axis::unit("recall"), Axis::unit("precision")), guide, series.collect())
}

/// Draws reliability diagrams of several models; on the dotted line the model is perfectly calibrated.
pub fn calibration_plot(curves: &[(&str, Calibration)]) -> String {
    let series = curves.iter().map(|(name, curve)| {
        let points = curve.bins.iter().map(|bin| (bin.mean_score, bin.positive_rate));
        let label = format!("{}, error {:.3}", short(name, NAME_MAX), curve.error);
        Series { has_marks: true, ..line(label, points) }
    });
    let (x, y) = (Axis::unit("mean score"), Axis::unit("observed positive rate"));
    draw(CALIBRATION, (x, y), Guide::between((0.0, 0.0), (1.0, 1.0)), series.collect())
}

/// Draws the distributions of residuals of several models; the dotted line is zero.
pub fn residuals_plot(curves: &[(&str, Residuals)]) -> String {
    let series = curves.iter().enumerate().map(|(index, (name, residuals))| {
        let name = short(name, NAME_MAX);
        let label = format!("{name}, mean {:.4}, median {:.4}", residuals.mean, residuals.median);
        Series { is_filled: index == 0, ..line(label, histogram_outline(residuals)) }
    });
    let series: Vec<Series> = series.collect();
    let points = || series.iter().flat_map(|series| series.points.iter().flatten());
    let (least, most) =
        points().fold((0.0_f64, 0.0_f64), |(least, most), point| (least.min(point.0), most.max(point.0)));
    let top = points().fold(0.0_f64, |top, point| top.max(point.1));
    let (x, y) = (Axis::range("prediction minus outcome", least, most), Axis::range("density of rows", 0.0, top));
    draw(RESIDUALS, (x, y), Guide::between((0.0, 0.0), (0.0, f64::INFINITY)), series)
}

/// A line without marks.
fn line(label: String, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
    Series { label, points: points.into_iter().map(Some).collect(), has_marks: false, is_filled: false }
}

/// Draws a line chart as a file of its own.
fn draw(title: &str, (x, y): (Axis, Axis), guide: Guide, series: Vec<Series>) -> String {
    LineChart { title: title.to_owned(), placement: Placement::File, x, y, guides: vec![guide], series }.draw()
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
