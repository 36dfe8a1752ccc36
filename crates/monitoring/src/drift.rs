//! Drift: the distance of a window's distributions from the reference.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::reference::{Distribution, Feature, Numbers, Reference};
use crate::summary::{Counts, Summary};

/// Smallest share of a bin in the population stability index; smaller shares are raised to it.
pub const PSI_FLOOR: f64 = 1e-4;

/// A feature has drifted when its population stability index is at least this.
pub const DRIFT_THRESHOLD: f64 = 0.25;

/// Drift of features and scores from the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Number of rows in the window.
    pub rows: u64,
    /// Drift of each feature, in the reference's order.
    pub features: Vec<FeatureDrift>,
    /// Drift of the scores: one entry, or one for each class.
    pub scores: Vec<FeatureDrift>,
    /// The share of features that have drifted; absent without features or rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// Drift of one column from the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureDrift {
    /// The column's name; for scores `score`, or the class.
    pub name: String,
    /// The population stability index; absent when the window or the reference has no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<f64>,
    /// The Kolmogorov–Smirnov distance (0 to 1) between the non-missing numbers;
    /// absent for categories and when the window or the reference has no numbers.
    /// [`crate::QUANTILES`] bounds its error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ks: Option<f64>,
    /// The share of the window's rows in which the value is missing; 0 without rows.
    pub missing: f64,
    /// The share of the reference's rows in which the value is missing; 0 without rows.
    pub reference_missing: f64,
    /// Whether `psi` is at least [`DRIFT_THRESHOLD`].
    pub is_drifted: bool,
}

/// The shares of one bin in the window and in the reference, for tables and charts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinShares {
    /// Label of the bin: `≤ 3.5`, `3.5 – 7`, `> 7`, a category, `other`, `missing`.
    pub label: String,
    /// The share of the reference's rows in the bin.
    pub reference: f64,
    /// The share of the window's rows in the bin.
    pub current: f64,
}

impl Drift {
    /// The greatest population stability index among the scores: the fact `drift.score`.
    pub fn score(&self) -> Option<f64> {
        self.scores.iter().filter_map(|score| score.psi).reduce(f64::max)
    }
}

/// Computes the drift of a window from the reference on whose bins it was summarised.
///
/// The population stability index is Σ (cᵢ − rᵢ) · ln(cᵢ / rᵢ), where cᵢ and rᵢ
/// are the shares of the window's and the reference's rows in bin i, at least
/// [`PSI_FLOOR`]. The bins are deciles for numbers, the most frequent values and
/// *other* for categories; missing values form a bin of their own.
///
/// # Errors
/// [`Error::ReferenceMismatch`] when the summary was made for another reference.
pub fn drift(reference: &Reference, summary: &Summary) -> Result<Drift, Error> {
    summary.validate_reference(reference)?;
    let compare = |features: &[Feature], counts: &[Counts]| -> Vec<FeatureDrift> {
        features.iter().zip(counts).map(|(feature, counts)| feature_drift(feature, counts)).collect()
    };
    let features = compare(&reference.features, &summary.features);
    let drifted = features.iter().filter(|feature| feature.is_drifted).count();
    let share = features.iter().any(|feature| feature.psi.is_some()).then(|| drifted as f64 / features.len() as f64);
    Ok(Drift { rows: summary.rows, scores: compare(&reference.scores, &summary.scores), features, share })
}

/// The bin shares of the feature or score called `name`, missing last; `None` when the reference has none of that name.
///
/// # Errors
/// [`Error::ReferenceMismatch`] when the summary was made for another reference.
pub fn bin_shares(reference: &Reference, summary: &Summary, name: &str) -> Result<Option<Vec<BinShares>>, Error> {
    summary.validate_reference(reference)?;
    let features = reference.features.iter().zip(&summary.features).chain(reference.scores.iter().zip(&summary.scores));
    let Some((feature, counts)) = features.into_iter().find(|(feature, _)| feature.name == name) else {
        return Ok(None);
    };
    let (before, now) = (psi_bins(feature, &feature.counts), psi_bins(feature, counts));
    let bins = bin_labels(feature).into_iter().zip(before.iter().zip(&now)).map(|(label, (&before, &now))| BinShares {
        label,
        reference: share(before, feature.counts.rows()),
        current: share(now, counts.rows()),
    });
    Ok(Some(bins.collect()))
}

fn feature_drift(feature: &Feature, counts: &Counts) -> FeatureDrift {
    let psi = psi(&psi_bins(feature, &feature.counts), &psi_bins(feature, counts));
    let ks = matches!(feature.distribution, Distribution::Numbers(_))
        .then(|| ks(&feature.counts.bins, &counts.bins))
        .flatten();
    FeatureDrift {
        name: feature.name.clone(),
        psi,
        ks,
        missing: share(counts.missing, counts.rows()),
        reference_missing: share(feature.counts.missing, feature.counts.rows()),
        is_drifted: psi.is_some_and(|psi| psi >= DRIFT_THRESHOLD),
    }
}

fn share(count: u64, rows: u64) -> f64 {
    if rows == 0 { 0.0 } else { count as f64 / rows as f64 }
}

/// Merges counts into the bins of the population stability index, missing last.
fn psi_bins(feature: &Feature, counts: &Counts) -> Vec<u64> {
    let mut bins = match &feature.distribution {
        Distribution::Categories(_) => counts.bins.clone(),
        Distribution::Numbers(Numbers { edges, deciles }) => {
            let mut bins = vec![0; deciles.len() + 1];
            let mut index = 0;
            for (fine, count) in counts.bins.iter().enumerate() {
                bins[index] += count;
                if index < deciles.len() && edges.get(fine).is_some_and(|edge| *edge >= deciles[index]) {
                    index += 1;
                }
            }
            bins
        }
    };
    bins.push(counts.missing);
    bins
}

fn psi(reference: &[u64], current: &[u64]) -> Option<f64> {
    let (before, now): (u64, u64) = (reference.iter().sum(), current.iter().sum());
    if before == 0 || now == 0 {
        return None;
    }
    let terms = reference.iter().zip(current).map(|(&reference, &current)| {
        let (reference, current) = (share(reference, before).max(PSI_FLOOR), share(current, now).max(PSI_FLOOR));
        (current - reference) * (current / reference).ln()
    });
    Some(terms.sum())
}

/// The greatest distance between the two distribution functions, at the edges of the fine bins.
fn ks(reference: &[u64], current: &[u64]) -> Option<f64> {
    let (before, now): (u64, u64) = (reference.iter().sum(), current.iter().sum());
    if before == 0 || now == 0 {
        return None;
    }
    let (mut below_before, mut below_now, mut greatest) = (0_u64, 0_u64, 0.0_f64);
    for (reference, current) in reference.iter().zip(current) {
        below_before += reference;
        below_now += current;
        greatest = greatest.max((below_before as f64 / before as f64 - below_now as f64 / now as f64).abs());
    }
    Some(greatest)
}

fn bin_labels(feature: &Feature) -> Vec<String> {
    let mut labels = match &feature.distribution {
        Distribution::Categories(categories) => {
            let other = std::iter::once("other".to_owned());
            categories.values.iter().cloned().chain(other).collect()
        }
        Distribution::Numbers(numbers) => numeric_bin_labels(&numbers.deciles),
    };
    labels.push("missing".to_owned());
    labels
}

fn numeric_bin_labels(deciles: &[f64]) -> Vec<String> {
    let (Some(&first), Some(&last)) = (deciles.first(), deciles.last()) else {
        return vec!["any".to_owned()];
    };
    // An edge just below a value gives the value a bin of its own, labelled `3` after `< 3`.
    let is_just_below = |index: usize| deciles.get(index + 1).is_some_and(|next| next.next_down() == deciles[index]);
    let mut labels = Vec::with_capacity(deciles.len() + 1);
    labels.push(if is_just_below(0) {
        format!("< {}", format_number(first.next_up()))
    } else {
        format!("≤ {}", format_number(first))
    });
    for index in 1..deciles.len() {
        let (lower, upper) = (deciles[index - 1], deciles[index]);
        labels.push(if is_just_below(index - 1) {
            format_number(upper)
        } else if is_just_below(index) {
            format!("{} – < {}", format_number(lower), format_number(upper.next_up()))
        } else {
            format!("{} – {}", format_number(lower), format_number(upper))
        });
    }
    labels.push(format!("> {}", format_number(last)));
    labels
}

/// Formats a number with four significant digits.
fn format_number(value: f64) -> String {
    // Adding zero turns -0 into 0.
    let value = value + 0.0;
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e6).contains(&magnitude) {
        let digits = if value == 0.0 { 0 } else { (3 - magnitude.log10().floor() as i32).max(0) as usize };
        let text = format!("{value:.digits$}");
        return if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text };
    }
    format!("{value:.3e}")
}
