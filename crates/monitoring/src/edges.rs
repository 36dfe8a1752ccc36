//! Bin edges out of sorted numbers.

/// The number that missing and infinite values are not: JSON keeps it.
pub(crate) fn finite(value: f64) -> f64 {
    // Adding zero makes one zero of two.
    value.clamp(-f64::MAX, f64::MAX) + 0.0
}

/// The `step`/`steps` quantile of ascending values: the smallest value that at
/// least that share of them does not exceed (NumPy's `inverted_cdf`); the least for step 0.
pub(crate) fn quantile(sorted: &[f64], step: usize, steps: usize) -> f64 {
    let rank = (step as u128 * sorted.len() as u128).div_ceil(steps as u128) as usize;
    sorted[rank.saturating_sub(1).min(sorted.len() - 1)]
}

/// Ascending quantiles as distinct edges of bins that hold their upper edge.
///
/// A value met twice carries the mass of several steps; it gets a bin of its
/// own by an edge just below it, so that neither a change of that mass nor
/// anything new on its lower side hides in a wide bin.
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

/// The bin of a finite value: the first whose upper edge is not below it.
pub(crate) fn bin(edges: &[f64], value: f64) -> usize {
    edges.partition_point(|&edge| edge < value)
}
