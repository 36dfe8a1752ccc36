//! The area under the ROC curve (AUC) from ranked scores.

/// Accumulates the AUC over rows in ascending order of score.
///
/// The AUC is the share of pairs of a positive and a negative row in which the
/// positive one scores higher; ties count half (Mann and Whitney 1947; Hanley
/// and McNeil 1982). Pairs are counted as integers, so only the final division rounds.
#[derive(Debug, Default)]
pub(crate) struct Auc {
    score: f64,
    tied_positive: u64,
    tied_negative: u64,
    positives: u64,
    negatives: u64,
    /// Twice the number of pairs in which the positive row scores higher, a tie counting one.
    doubled_wins: u128,
}

impl Auc {
    /// Adds a row; `score` must not be less than the previous one.
    pub(crate) fn push(&mut self, score: f64, is_positive: bool) {
        if score != self.score {
            self.flush_ties();
            self.score = score;
        }
        if is_positive {
            self.tied_positive += 1;
        } else {
            self.tied_negative += 1;
        }
    }

    fn flush_ties(&mut self) {
        self.doubled_wins += u128::from(self.tied_positive) * u128::from(2 * self.negatives + self.tied_negative);
        self.positives += self.tied_positive;
        self.negatives += self.tied_negative;
        (self.tied_positive, self.tied_negative) = (0, 0);
    }

    /// The area; `None` unless both outcomes occurred.
    pub(crate) fn finish(mut self) -> Option<f64> {
        self.flush_ties();
        let pairs = u128::from(self.positives) * u128::from(self.negatives);
        (pairs > 0).then(|| self.doubled_wins as f64 / 2.0 / pairs as f64)
    }
}

/// The AUC of `rows` of (score, is positive); sorts them.
pub(crate) fn auc(rows: &mut [(f64, bool)]) -> Option<f64> {
    rows.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
    let mut auc = Auc::default();
    for &(score, is_positive) in rows.iter() {
        auc.push(score, is_positive);
    }
    auc.finish()
}
