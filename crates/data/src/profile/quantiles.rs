//! Approximate quantiles: a merging t-digest (Dunning 2019) with the scale function k1.
//! Its relative error is smallest at the ends; up to the buffer's size it is exact.

/// Bounds the number of centroids; about as many stay.
const COMPRESSION: f64 = 500.0;
/// Values are kept as they are until there are so many.
const EXACT_MAX: usize = 4096;
/// Greater numbers count as this: between it and its negative one can interpolate.
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

    /// Takes numbers in; infinite ones and those beyond [`GREATEST`] count at the ends.
    pub(super) fn take(&mut self, values: Vec<f64>) {
        let bounded = values.into_iter().map(|value| value.clamp(-GREATEST, GREATEST));
        let before = self.centroids.len();
        self.centroids.extend(bounded.map(|mean| Centroid { mean, weight: 1.0 }));
        for added in &self.centroids[before..] {
            self.min = self.min.min(added.mean);
            self.max = self.max.max(added.mean);
        }
        self.settle();
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.centroids.extend_from_slice(&other.centroids);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.settle();
    }

    /// The values at `shares` of the distribution; `None` when nothing was seen.
    pub(super) fn at<const N: usize>(&self, shares: [f64; N]) -> Option<[f64; N]> {
        if self.centroids.is_empty() {
            return None;
        }
        let mut sorted = self.centroids.clone();
        sorted.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        let total: f64 = sorted.iter().map(|centroid| centroid.weight).sum();
        Some(shares.map(|share| self.value(&sorted, share * (total - 1.0))))
    }

    /// Interpolates between centroids, whose weight lies evenly around their mean; ranks from 0.
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

    /// Joins neighbours as long as the scale function allows.
    fn settle(&mut self) {
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
