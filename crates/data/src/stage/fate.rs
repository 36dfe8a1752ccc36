//! What becomes of each row: decided over reasons and keys alone, in order of arrival.

use std::collections::HashSet;

use perennial_core::port::data::{Mode, RowCheck, RowQuestion};

use super::judge::Judged;
use crate::keys::{Key, KeySet};

/// Reason: a part of the key is null.
pub(super) const NULL_KEY: u16 = u16::MAX - 2;
/// Reason: the key stood in a row before (append) or after (merge) it in the same load.
pub(super) const REPEATED: u16 = u16::MAX - 1;
/// Reason: the key stands in the table.
pub(super) const EXISTS: u16 = u16::MAX;
/// The row passes.
pub(super) const PASSES: u16 = 0;

/// Stands for "no key": a part of it is null.
const NO_KEY: u128 = u128::MAX;

/// The rows of a load, by number of arrival.
pub(super) struct Fates {
    /// Reasons known when the row was read.
    pub(super) first: Vec<u16>,
    /// Reasons in the end; 0 passes, else one more than the index of a check, or of the keys.
    pub(super) last: Vec<u16>,
    /// Whether a row set aside joins when every row is committed.
    pub(super) joins: Vec<bool>,
    keys: Option<Vec<u128>>,
    uniques: Vec<Unique>,
}

struct Unique {
    check: usize,
    sets_aside: bool,
    keys: Vec<u128>,
}

impl Fates {
    /// No rows yet, of a load with `checks` and maybe a key.
    pub(super) fn new(checks: &[RowCheck], has_key: bool) -> Self {
        let uniques = checks
            .iter()
            .enumerate()
            .filter(|(_, check)| matches!(check.question, RowQuestion::Unique(_)))
            .map(|(index, check)| Unique { check: index, sets_aside: check.sets_aside, keys: Vec::new() });
        Self {
            first: Vec::new(),
            last: Vec::new(),
            joins: Vec::new(),
            keys: has_key.then(Vec::new),
            uniques: uniques.collect(),
        }
    }

    /// Bytes that a row takes here, sorting included.
    pub(super) fn bytes_per_row(&self) -> usize {
        const REASONS: usize = 5;
        const HALVES: usize = 8;
        // The set that meets the table's keys.
        const SET: usize = 36;
        let key = if self.keys.is_some() { 16 + SET } else { 0 };
        let sets = usize::from(self.keys.is_some()) + self.uniques.len();
        REASONS + key + 16 * self.uniques.len() + if sets > 0 { HALVES } else { 0 }
    }

    /// Takes up the rows of a judged batch.
    pub(super) fn take(&mut self, batch: &Judged) {
        self.add(&batch.reasons, batch.keys.as_deref(), &batch.uniques);
    }

    fn add(&mut self, reasons: &[u16], keys: Option<&[Key]>, uniques: &[Vec<Key>]) {
        let plain = |key: &Key| key.unwrap_or(NO_KEY);
        self.first.extend_from_slice(reasons);
        if let (Some(own), Some(keys)) = (&mut self.keys, keys) {
            own.extend(keys.iter().map(plain));
        }
        for (own, keys) in self.uniques.iter_mut().zip(uniques) {
            own.keys.extend(keys.iter().map(plain));
        }
    }

    /// All rows are there: finds those that break a unique check; gives each check's rows.
    pub(super) fn settle_uniques(&mut self) -> Vec<(usize, Vec<u64>)> {
        self.last.clone_from(&self.first);
        let mut found = Vec::new();
        for unique in &self.uniques {
            let mut rows = Vec::new();
            for group in repeated(&unique.keys, |_| true).chunk_by(|a, b| a.0 == b.0) {
                if group.len() > 1 {
                    rows.extend(group.iter().map(|(_, row)| u64::from(*row)));
                }
            }
            rows.sort_unstable();
            if unique.sets_aside {
                for row in &rows {
                    let reason = &mut self.last[*row as usize];
                    if *reason == PASSES {
                        *reason = unique.check as u16 + 1;
                    }
                }
            }
            found.push((unique.check, rows));
        }
        found
    }

    /// Sets aside null and repeated keys among passing rows, and chooses which rows failed by checks would join.
    pub(super) fn settle_keys(&mut self, mode: Mode) {
        self.joins = vec![false; self.last.len()];
        let Some(keys) = &self.keys else {
            for (joins, reason) in self.joins.iter_mut().zip(&self.last) {
                *joins = *reason != PASSES;
            }
            return;
        };
        for (reason, _) in self.last.iter_mut().zip(keys).filter(|(reason, key)| **reason == PASSES && **key == NO_KEY)
        {
            *reason = NULL_KEY;
        }
        let chosen = |group: &[(u128, u32)]| match mode {
            Mode::Merge => group.len() - 1,
            Mode::Append | Mode::Replace => 0,
        };
        let passing = repeated(keys, |row| self.last[row] == PASSES);
        for group in passing.chunk_by(|a, b| a.0 == b.0) {
            for (at, (_, row)) in group.iter().enumerate() {
                if at != chosen(group) {
                    self.last[*row as usize] = REPEATED;
                }
            }
        }
        let failed = |row: usize| self.last[row] != PASSES && self.last[row] < NULL_KEY;
        let wanted: KeySet = keys.iter().enumerate().filter(|(row, _)| failed(*row)).map(|(_, key)| *key).collect();
        if wanted.is_empty() {
            return;
        }
        let passes = |(row, key): &(usize, &u128)| self.last[*row] == PASSES && wanted.contains(*key);
        let taken: KeySet = keys.iter().enumerate().filter(passes).map(|(_, key)| *key).collect();
        for (row, key) in keys.iter().enumerate() {
            self.joins[row] = failed(row) && *key != NO_KEY && !taken.contains(key);
        }
        for group in repeated(keys, failed).chunk_by(|a, b| a.0 == b.0) {
            for (at, (_, row)) in group.iter().enumerate() {
                self.joins[*row as usize] &= at == chosen(group);
            }
        }
    }

    /// The keys of rows that pass, and of those that join besides.
    pub(super) fn key_sets(&self) -> (KeySet, KeySet) {
        let (mut passing, mut joining) = (KeySet::default(), KeySet::default());
        for (row, key) in self.keys.iter().flatten().enumerate().filter(|(_, key)| **key != NO_KEY) {
            if self.last[row] == PASSES {
                passing.insert(*key);
            } else if self.joins[row] {
                joining.insert(*key);
            }
        }
        (passing, joining)
    }

    /// Sets aside passing rows whose key stands in the table already; such rows do not join either.
    pub(super) fn settle_existing(&mut self, existing: &KeySet) {
        for (row, key) in self.keys.iter().flatten().enumerate() {
            if *key != NO_KEY && existing.contains(key) {
                self.joins[row] = false;
                if self.last[row] == PASSES {
                    self.last[row] = EXISTS;
                }
            }
        }
    }

    /// Whether a row that was taken as passing while reading does not pass in the end.
    pub(super) fn has_late(&self) -> bool {
        self.first.iter().zip(&self.last).any(|(first, last)| *first == PASSES && *last != PASSES)
    }
}

/// The keys that more than one of the rows that `counts` has, with those rows, sorted; rows without key
/// are left out. A single row may be among them, when its key looks like another's at first sight.
///
/// Keys are compared by a half of their bits first, which takes a quarter of the memory of sorting keys with rows.
fn repeated(keys: &[u128], counts: impl Fn(usize) -> bool) -> Vec<(u128, u32)> {
    let half = |key: u128| (key as u64) ^ ((key >> 64) as u64);
    let counted = || keys.iter().enumerate().filter(|(row, key)| **key != NO_KEY && counts(*row));
    let mut halves: Vec<u64> = counted().map(|(_, key)| half(*key)).collect();
    halves.sort_unstable();
    let twice: HashSet<u64> = halves.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    drop(halves);
    if twice.is_empty() {
        return Vec::new();
    }
    let mut sorted: Vec<(u128, u32)> =
        counted().filter(|(_, key)| twice.contains(&half(**key))).map(|(row, key)| (*key, row as u32)).collect();
    sorted.sort_unstable();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(rows: &[(u16, Key)], mode: Mode) -> Fates {
        let mut fates = Fates::new(&[], true);
        let (reasons, keys): (Vec<u16>, Vec<Key>) = rows.iter().copied().unzip();
        fates.add(&reasons, Some(&keys), &[]);
        fates.settle_uniques();
        fates.settle_keys(mode);
        fates
    }

    #[test]
    fn the_first_of_a_repeated_key_stays_in_append_and_the_last_wins_in_merge() {
        let rows = [(0, Some(7)), (0, Some(8)), (0, Some(7)), (0, Some(7))];
        assert_eq!(fates(&rows, Mode::Append).last, [PASSES, PASSES, REPEATED, REPEATED]);
        assert_eq!(fates(&rows, Mode::Merge).last, [REPEATED, PASSES, REPEATED, PASSES]);
    }

    #[test]
    fn a_row_that_fails_a_check_takes_no_key() {
        let rows = [(1, Some(7)), (0, Some(7))];
        let fates = fates(&rows, Mode::Append);
        assert_eq!(fates.last, [1, PASSES]);
        assert_eq!(fates.joins, [false, false]);
    }

    #[test]
    fn one_failed_row_a_key_joins_when_its_key_is_free() {
        let rows = [(1, Some(7)), (2, Some(7)), (0, Some(8)), (1, None), (1, None)];
        assert_eq!(fates(&rows, Mode::Append).joins, [true, false, false, false, false]);
        assert_eq!(fates(&rows, Mode::Merge).joins, [false, true, false, false, false]);
    }

    #[test]
    fn rows_without_a_key_are_set_aside_and_never_join() {
        for mode in [Mode::Append, Mode::Merge, Mode::Replace] {
            let fates = fates(&[(0, None), (0, Some(1)), (1, None)], mode);
            assert_eq!(fates.last, [NULL_KEY, PASSES, 1]);
            assert_eq!(fates.joins, [false; 3]);
        }
    }

    #[test]
    fn keys_of_the_table_set_rows_aside_and_keep_failed_ones_out() {
        let mut fates = fates(&[(0, Some(1)), (0, Some(2)), (1, Some(1))], Mode::Append);
        fates.settle_existing(&KeySet::from_iter([1]));
        assert_eq!(fates.last, [EXISTS, PASSES, 1]);
        assert_eq!(fates.joins, [false, false, false]);
        assert!(fates.has_late());
    }

    #[test]
    fn every_row_of_a_repeated_value_breaks_a_unique_check_and_null_does_not() {
        let check = RowCheck { name: "u".into(), question: RowQuestion::Unique(vec!["x".into()]), sets_aside: true };
        let mut fates = Fates::new(&[check], false);
        fates.add(&[0, 0, 0, 0, 0], None, &[vec![Some(1), Some(2), Some(1), None, None]]);
        assert_eq!(fates.settle_uniques(), [(0, vec![0, 2])]);
        fates.settle_keys(Mode::Append);
        assert_eq!(fates.last, [1, PASSES, 1, PASSES, PASSES]);
        assert_eq!(fates.joins, [true, false, true, false, false]);
    }

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fates_are_those_of_looking_at_every_pair(
            rows in prop::collection::vec((0u16..3, prop::option::of(0u128..6)), 0..24),
            merge in any::<bool>(),
        ) {
            let mode = if merge { Mode::Merge } else { Mode::Append };
            let fates = fates(&rows, mode);
            let before = |a: usize, b: usize| if merge { a > b } else { a < b };
            for (row, (reason, key)) in rows.iter().enumerate() {
                let beaten = |by: &dyn Fn(u16) -> bool| {
                    rows.iter().enumerate().any(|(other, (theirs, their_key))| {
                        before(other, row) && key.is_some() && their_key == key && by(*theirs)
                    })
                };
                let taken = rows.iter().any(|(theirs, their_key)| key.is_some() && their_key == key && *theirs == PASSES);
                let expected = match reason {
                    0 if key.is_none() => NULL_KEY,
                    0 if beaten(&|theirs| theirs == PASSES) => REPEATED,
                    other => *other,
                };
                prop_assert_eq!(fates.last[row], expected);
                let is_free = key.is_some() && !taken && !beaten(&|theirs| theirs != PASSES);
                prop_assert_eq!(fates.joins[row], *reason != PASSES && is_free);
            }
        }
    }
}
