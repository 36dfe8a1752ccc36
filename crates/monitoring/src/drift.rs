//! How far a window is from the reference.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::reference::{Distribution, Feature, Numbers, Reference};
use crate::summary::{Counts, Summary};

/// Shares below this are taken as this in the population stability index.
pub const PSI_FLOOR: f64 = 1e-4;

/// A feature has drifted from this population stability index on.
pub const DRIFT_THRESHOLD: f64 = 0.25;

/// How far features and scores are from the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Rows compared.
    pub rows: u64,
    /// Features, in the reference's order.
    pub features: Vec<FeatureDrift>,
    /// Scores: one, or one a class.
    pub scores: Vec<FeatureDrift>,
    /// The share of features that have drifted; absent without features or rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// How far one column is from the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureDrift {
    /// The column; `score`, or the class, for scores.
    pub name: String,
    /// The population stability index; absent when either side has no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<f64>,
    /// Numbers: the Kolmogorov–Smirnov distance of the values that are not
    /// missing; absent when either side has none. See [`crate::QUANTILES`] for its error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ks: Option<f64>,
    /// The share of rows that lack the value; 0 without rows.
    pub missing: f64,
    /// The share of the reference's rows that lack it; 0 without rows.
    pub reference_missing: f64,
    /// Whether `psi` has reached [`DRIFT_THRESHOLD`].
    pub is_drifted: bool,
}

/// One bin of a column, now and in the reference, for tables and charts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinShares {
    /// What the bin holds: `≤ 3.5`, `3.5 – 7`, `> 7`, a value, `other`, `missing`.
    pub label: String,
    /// The share of the reference's rows.
    pub reference: f64,
    /// The share of the window's rows.
    pub current: f64,
}

impl Drift {
    /// The greatest index of the scores; what facts call `drift.score`.
    pub fn score(&self) -> Option<f64> {
        self.scores.iter().filter_map(|score| score.psi).reduce(f64::max)
    }
}

/// Compares a window with the reference its summary was made on.
///
/// The population stability index is Σ (aᵢ − rᵢ) · ln(aᵢ / rᵢ) over the decile
/// bins, or the listed categories and *other*, and missing as a bin of its own; a and r are
/// the shares of all rows, at least [`PSI_FLOOR`].
pub fn drift(reference: &Reference, summary: &Summary) -> Result<Drift, Error> {
    summary.belongs_to(reference)?;
    let of = |features: &[Feature], counts: &[Counts]| -> Vec<FeatureDrift> {
        features.iter().zip(counts).map(|(feature, counts)| feature_drift(feature, counts)).collect()
    };
    let features = of(&reference.features, &summary.features);
    let drifted = features.iter().filter(|feature| feature.is_drifted).count();
    let share = features.iter().any(|feature| feature.psi.is_some()).then(|| drifted as f64 / features.len() as f64);
    Ok(Drift { rows: summary.rows, scores: of(&reference.scores, &summary.scores), features, share })
}

/// The bins of the feature or score called `name`, missing last; nothing when there is none of that name.
pub fn compare(reference: &Reference, summary: &Summary, name: &str) -> Result<Option<Vec<BinShares>>, Error> {
    summary.belongs_to(reference)?;
    let features = reference.features.iter().zip(&summary.features).chain(reference.scores.iter().zip(&summary.scores));
    let Some((feature, counts)) = features.into_iter().find(|(feature, _)| feature.name == name) else {
        return Ok(None);
    };
    let (before, now) = (coarse(feature, &feature.counts), coarse(feature, counts));
    let bins = labels(feature).into_iter().zip(before.iter().zip(&now)).map(|(label, (&before, &now))| BinShares {
        label,
        reference: share(before, feature.counts.rows()),
        current: share(now, counts.rows()),
    });
    Ok(Some(bins.collect()))
}

fn feature_drift(feature: &Feature, counts: &Counts) -> FeatureDrift {
    let psi = psi(&coarse(feature, &feature.counts), &coarse(feature, counts));
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

/// Counts on the bins of the index, missing last.
fn coarse(feature: &Feature, counts: &Counts) -> Vec<u64> {
    let mut bins = match &feature.distribution {
        Distribution::Categories(_) => counts.bins.clone(),
        Distribution::Numbers(Numbers { edges, deciles }) => {
            let mut bins = vec![0; deciles.len() + 1];
            let mut place = 0;
            for (fine, count) in counts.bins.iter().enumerate() {
                bins[place] += count;
                if place < deciles.len() && edges.get(fine).is_some_and(|edge| *edge >= deciles[place]) {
                    place += 1;
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

/// The greatest distance of the two distribution functions at the edges of the fine bins.
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

fn labels(feature: &Feature) -> Vec<String> {
    let mut labels = match &feature.distribution {
        Distribution::Categories(categories) => {
            let other = std::iter::once("other".to_owned());
            categories.values.iter().cloned().chain(other).collect()
        }
        Distribution::Numbers(numbers) => number_labels(&numbers.deciles),
    };
    labels.push("missing".to_owned());
    labels
}

fn number_labels(deciles: &[f64]) -> Vec<String> {
    let (Some(&first), Some(&last)) = (deciles.first(), deciles.last()) else {
        return vec!["any".to_owned()];
    };
    // An edge just below a value stands for the value's own bin: `< 3`, then `3`.
    let is_just_below = |place: usize| deciles.get(place + 1).is_some_and(|next| next.next_down() == deciles[place]);
    let mut labels = Vec::with_capacity(deciles.len() + 1);
    labels.push(if is_just_below(0) {
        format!("< {}", number(first.next_up()))
    } else {
        format!("≤ {}", number(first))
    });
    for place in 1..deciles.len() {
        let (lower, upper) = (deciles[place - 1], deciles[place]);
        labels.push(if is_just_below(place - 1) {
            number(upper)
        } else if is_just_below(place) {
            format!("{} – < {}", number(lower), number(upper.next_up()))
        } else {
            format!("{} – {}", number(lower), number(upper))
        });
    }
    labels.push(format!("> {}", number(last)));
    labels
}

/// A number to four significant digits.
fn number(value: f64) -> String {
    // Adding zero makes one zero of two.
    let value = value + 0.0;
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e6).contains(&magnitude) {
        let digits = if value == 0.0 { 0 } else { (3 - magnitude.log10().floor() as i32).max(0) as usize };
        let text = format!("{value:.digits$}");
        return if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text };
    }
    format!("{value:.3e}")
}
