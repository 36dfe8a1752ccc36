//! Approximate quantiles: a merging t-digest (Dunning 2019) with the scale function k1.
//! Its relative error is smallest at the ends; up to the buffer's size it is exact.

/// The compression parameter: about the number of centroids that remain.
const COMPRESSION: f64 = 500.0;
/// Up to this number of values the sketch is exact.
const EXACT_MAX: usize = 4096;
/// Numbers are clamped to this magnitude, so that interpolation cannot overflow.
const GREATEST: f64 = f64::MAX / 4.0;

#[derive(Debug, Clone, Copy)]
struct Centroid {
    mean: f64,
    weight: f64,
}

/// A sketch of a distribution of numbers.
#[derive(Debug, Clone)]
pub(super) struct Quantiles {
    centroids: Vec<Centroid>,
    min: f64,
    max: f64,
}

impl Quantiles {
    pub(super) fn new() -> Self {
        Self { centroids: Vec::new(), min: f64::INFINITY, max: f64::NEG_INFINITY }
    }

    /// Adds numbers, clamped to ±[`GREATEST`].
    pub(super) fn observe(&mut self, values: Vec<f64>) {
        let bounded = values.into_iter().map(|value| value.clamp(-GREATEST, GREATEST));
        let before = self.centroids.len();
        self.centroids.extend(bounded.map(|mean| Centroid { mean, weight: 1.0 }));
        for added in &self.centroids[before..] {
            self.min = self.min.min(added.mean);
            self.max = self.max.max(added.mean);
        }
        self.compress();
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.centroids.extend_from_slice(&other.centroids);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.compress();
    }

    /// The values at `shares` of the distribution; `None` without values.
    pub(super) fn at<const N: usize>(&self, shares: [f64; N]) -> Option<[f64; N]> {
        if self.centroids.is_empty() {
            return None;
        }
        let mut sorted = self.centroids.clone();
        sorted.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        let total: f64 = sorted.iter().map(|centroid| centroid.weight).sum();
        Some(shares.map(|share| self.value(&sorted, share * (total - 1.0))))
    }

    /// Interpolates between centroids, whose weight is spread evenly around their mean; ranks start at 0.
    fn value(&self, sorted: &[Centroid], rank: f64) -> f64 {
        let (mut left_rank, mut left) = (0.0, self.min);
        let mut before = 0.0;
        for centroid in sorted {
            let middle = before + (centroid.weight - 1.0) / 2.0;
            if rank <= middle {
                let width = middle - left_rank;
                return if width <= 0.0 {
                    centroid.mean
                } else {
                    left + (centroid.mean - left) * ((rank - left_rank) / width)
                };
            }
            (left_rank, left) = (middle, centroid.mean);
            before += centroid.weight;
        }
        let width = before - 1.0 - left_rank;
        if width <= 0.0 { self.max } else { left + (self.max - left) * ((rank - left_rank) / width) }
    }

    /// Merges neighbouring centroids as far as the scale function allows.
    fn compress(&mut self) {
        if self.centroids.len() <= EXACT_MAX {
            return;
        }
        self.centroids.sort_unstable_by(|a, b| a.mean.total_cmp(&b.mean));
        let total: f64 = self.centroids.iter().map(|centroid| centroid.weight).sum();
        let scale = |share: f64| COMPRESSION / std::f64::consts::TAU * (2.0 * share - 1.0).clamp(-1.0, 1.0).asin();
        let mut joined: Vec<Centroid> = Vec::with_capacity(COMPRESSION as usize * 2);
        let mut current = self.centroids[0];
        let mut before = 0.0;
        for next in &self.centroids[1..] {
            let weight = current.weight + next.weight;
            if scale((before + weight) / total) - scale(before / total) <= 1.0 {
                current.mean += (next.mean - current.mean) * (next.weight / weight);
                current.weight = weight;
            } else {
                before += current.weight;
                joined.push(current);
                current = *next;
            }
        }
        joined.push(current);
        self.centroids = joined;
    }
}
