//! Quantiles and bin edges.

/// Clamps infinities to the largest finite numbers, which JSON can represent.
pub(crate) fn clamp_to_finite(value: f64) -> f64 {
    // Adding zero turns -0 into 0.
    value.clamp(-f64::MAX, f64::MAX) + 0.0
}

/// The quantile `step / steps` of ascending values: the smallest value that at
/// least this share of the values does not exceed (NumPy's `inverted_cdf`); the
/// minimum for step 0. Panics on an empty slice.
pub(crate) fn quantile(sorted: &[f64], step: usize, steps: usize) -> f64 {
    let rank = (step as u128 * sorted.len() as u128).div_ceil(steps as u128) as usize;
    sorted[rank.saturating_sub(1).min(sorted.len() - 1)]
}

/// The distinct upper edges (inclusive) of the bins between ascending quantiles.
///
/// A value that occurs at several quantiles holds much of the mass. An edge just
/// below it gives it a bin of its own, so that a change of its share, or new
/// values below it, are not hidden in a wide bin.
pub(crate) fn edges(quantiles: &[f64]) -> Vec<f64> {
    let mut edges: Vec<f64> = Vec::with_capacity(quantiles.len() + 2);
    for (index, &value) in quantiles.iter().enumerate() {
        if edges.last() == Some(&value) {
            continue;
        }
        let below = value.next_down();
        let is_repeated = quantiles.get(index + 1) == Some(&value);
        if is_repeated && below.is_finite() && edges.last().is_none_or(|&last| last < below) {
            edges.push(below);
        }
        edges.push(value);
    }
    edges
}

/// The bin of a finite value: the first whose upper edge is at least the value.
pub(crate) fn bin_index(edges: &[f64], value: f64) -> usize {
    edges.partition_point(|&edge| edge < value)
}
