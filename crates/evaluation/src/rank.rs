//! What ranks alone tell: the area under the ROC curve.

/// Adds up the AUC while rows pass in ascending order of score.
///
/// The area is the share of (yes, no) pairs in which yes scores higher, ties
/// counting half (Mann and Whitney 1947; Hanley and McNeil 1982); counted in
/// integers, so it is exact up to the last division.
#[derive(Debug, Default)]
pub(crate) struct Auc {
    score: f64,
    tied_yes: u64,
    tied_no: u64,
    yes: u64,
    no: u64,
    /// Twice the pairs won.
    won: u128,
}

impl Auc {
    /// Takes the next row; `score` is not below the one before.
    pub(crate) fn push(&mut self, score: f64, is_yes: bool) {
        if score != self.score {
            self.close();
            self.score = score;
        }
        if is_yes {
            self.tied_yes += 1;
        } else {
            self.tied_no += 1;
        }
    }

    fn close(&mut self) {
        self.won += u128::from(self.tied_yes) * u128::from(2 * self.no + self.tied_no);
        self.yes += self.tied_yes;
        self.no += self.tied_no;
        (self.tied_yes, self.tied_no) = (0, 0);
    }

    /// The area; absent unless both answers occur.
    pub(crate) fn finish(mut self) -> Option<f64> {
        self.close();
        let pairs = u128::from(self.yes) * u128::from(self.no);
        (pairs > 0).then(|| self.won as f64 / 2.0 / pairs as f64)
    }
}

/// The AUC of `rows` of (score, yes), which are brought into order.
pub(crate) fn auc(rows: &mut [(f64, bool)]) -> Option<f64> {
    rows.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
    let mut auc = Auc::default();
    for &(score, is_yes) in rows.iter() {
        auc.push(score, is_yes);
    }
    auc.finish()
}
