//! The disposition of each row, passing or quarantined with a reason, decided over reasons and keys in arrival order.

use std::collections::HashSet;

use perennial_core::port::data::{Mode, RowCheck, RowCondition};

use super::check_rows::CheckedBatch;
use crate::keys::{Key, KeySet};

/// Reason: a part of the key is null.
pub(super) const NULL_KEY: u16 = u16::MAX - 2;
/// Reason: an earlier (append) or later (merge) row of the load has the same key.
pub(super) const REPEATED: u16 = u16::MAX - 1;
/// Reason: the key exists in the table.
pub(super) const EXISTS: u16 = u16::MAX;
/// The row passes.
pub(super) const PASSES: u16 = 0;

/// The key of a row with a null part.
const NO_KEY: u128 = u128::MAX;

/// The dispositions of a load's rows, by ordinal of arrival.
pub(super) struct RowDispositions {
    /// Reasons known when the row was read: 0 passes, else one more than the index of a check.
    pub(super) initial: Vec<u16>,
    /// Final reasons: 0 passes, else one more than the index of a check, or a reason about keys.
    pub(super) reasons: Vec<u16>,
    /// Whether a quarantined row is committed when every row is admitted by force (`--all`).
    pub(super) admitted_by_force: Vec<bool>,
    keys: Option<Vec<u128>>,
    uniques: Vec<Unique>,
}

struct Unique {
    check: usize,
    quarantines: bool,
    keys: Vec<u128>,
}

impl RowDispositions {
    /// Dispositions without rows, for a load with `checks` and optionally a key.
    pub(super) fn new(checks: &[RowCheck], has_key: bool) -> Self {
        let uniques = checks
            .iter()
            .enumerate()
            .filter(|(_, check)| matches!(check.condition, RowCondition::Unique(_)))
            .map(|(index, check)| Unique { check: index, quarantines: check.quarantines, keys: Vec::new() });
        Self {
            initial: Vec::new(),
            reasons: Vec::new(),
            admitted_by_force: Vec::new(),
            keys: has_key.then(Vec::new),
            uniques: uniques.collect(),
        }
    }

    /// Memory per row in bytes, sorting included.
    pub(super) fn bytes_per_row(&self) -> usize {
        const REASONS: usize = 5;
        const HALVES: usize = 8;
        // The set that is compared with the table's keys.
        const SET: usize = 36;
        let key = if self.keys.is_some() { 16 + SET } else { 0 };
        let sets = usize::from(self.keys.is_some()) + self.uniques.len();
        REASONS + key + 16 * self.uniques.len() + if sets > 0 { HALVES } else { 0 }
    }

    /// Adds the rows of a checked batch.
    pub(super) fn add(&mut self, batch: &CheckedBatch) {
        self.extend(&batch.reasons, batch.keys.as_deref(), &batch.uniques);
    }

    fn extend(&mut self, reasons: &[u16], keys: Option<&[Key]>, uniques: &[Vec<Key>]) {
        let plain = |key: &Key| key.unwrap_or(NO_KEY);
        self.initial.extend_from_slice(reasons);
        if let (Some(own), Some(keys)) = (&mut self.keys, keys) {
            own.extend(keys.iter().map(plain));
        }
        for (own, keys) in self.uniques.iter_mut().zip(uniques) {
            own.keys.extend(keys.iter().map(plain));
        }
    }

    /// Resolves unique checks after the last row; returns each check with the rows that fail it.
    pub(super) fn resolve_uniques(&mut self) -> Vec<(usize, Vec<u64>)> {
        self.reasons.clone_from(&self.initial);
        let mut found = Vec::new();
        for unique in &self.uniques {
            let mut rows = Vec::new();
            for group in repeated(&unique.keys, |_| true).chunk_by(|a, b| a.0 == b.0) {
                if group.len() > 1 {
                    rows.extend(group.iter().map(|(_, row)| u64::from(*row)));
                }
            }
            rows.sort_unstable();
            if unique.quarantines {
                for row in &rows {
                    let reason = &mut self.reasons[*row as usize];
                    if *reason == PASSES {
                        *reason = unique.check as u16 + 1;
                    }
                }
            }
            found.push((unique.check, rows));
        }
        found
    }

    /// Quarantines passing rows with null or repeated keys, and decides which rows that failed a check are admitted by
    /// force.
    pub(super) fn resolve_keys(&mut self, mode: Mode) {
        self.admitted_by_force = vec![false; self.reasons.len()];
        let Some(keys) = &self.keys else {
            for (admitted, reason) in self.admitted_by_force.iter_mut().zip(&self.reasons) {
                *admitted = *reason != PASSES;
            }
            return;
        };
        for (reason, _) in
            self.reasons.iter_mut().zip(keys).filter(|(reason, key)| **reason == PASSES && **key == NO_KEY)
        {
            *reason = NULL_KEY;
        }
        let chosen = |group: &[(u128, u32)]| match mode {
            Mode::Merge => group.len() - 1,
            Mode::Append | Mode::Replace => 0,
        };
        let passing = repeated(keys, |row| self.reasons[row] == PASSES);
        for group in passing.chunk_by(|a, b| a.0 == b.0) {
            for (at, (_, row)) in group.iter().enumerate() {
                if at != chosen(group) {
                    self.reasons[*row as usize] = REPEATED;
                }
            }
        }
        let failed = |row: usize| self.reasons[row] != PASSES && self.reasons[row] < NULL_KEY;
        let wanted: KeySet = keys.iter().enumerate().filter(|(row, _)| failed(*row)).map(|(_, key)| *key).collect();
        if wanted.is_empty() {
            return;
        }
        let passes = |(row, key): &(usize, &u128)| self.reasons[*row] == PASSES && wanted.contains(*key);
        let taken: KeySet = keys.iter().enumerate().filter(passes).map(|(_, key)| *key).collect();
        for (row, key) in keys.iter().enumerate() {
            self.admitted_by_force[row] = failed(row) && *key != NO_KEY && !taken.contains(key);
        }
        for group in repeated(keys, failed).chunk_by(|a, b| a.0 == b.0) {
            for (at, (_, row)) in group.iter().enumerate() {
                self.admitted_by_force[*row as usize] &= at == chosen(group);
            }
        }
    }

    /// The keys of passing rows, and of rows admitted by force.
    pub(super) fn key_sets(&self) -> (KeySet, KeySet) {
        let (mut passing, mut forced) = (KeySet::default(), KeySet::default());
        for (row, key) in self.keys.iter().flatten().enumerate().filter(|(_, key)| **key != NO_KEY) {
            if self.reasons[row] == PASSES {
                passing.insert(*key);
            } else if self.admitted_by_force[row] {
                forced.insert(*key);
            }
        }
        (passing, forced)
    }

    /// Quarantines passing rows whose key exists in the table; such rows are not admitted by force either.
    pub(super) fn resolve_existing(&mut self, existing: &KeySet) {
        for (row, key) in self.keys.iter().flatten().enumerate() {
            if *key != NO_KEY && existing.contains(key) {
                self.admitted_by_force[row] = false;
                if self.reasons[row] == PASSES {
                    self.reasons[row] = EXISTS;
                }
            }
        }
    }

    /// Whether a row that passed when it was read is quarantined in the end.
    pub(super) fn has_reversals(&self) -> bool {
        self.initial.iter().zip(&self.reasons).any(|(first, last)| *first == PASSES && *last != PASSES)
    }
}

/// The repeated keys of the rows for which `counts` holds, each with its row, sorted; rows without a key are left out.
/// A single row may be among them when half of its key's bits equal another key's.
///
/// Comparing half of the bits first needs a quarter of the memory of sorting keys with rows.
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

    fn resolved(rows: &[(u16, Key)], mode: Mode) -> RowDispositions {
        let mut dispositions = RowDispositions::new(&[], true);
        let (reasons, keys): (Vec<u16>, Vec<Key>) = rows.iter().copied().unzip();
        dispositions.extend(&reasons, Some(&keys), &[]);
        dispositions.resolve_uniques();
        dispositions.resolve_keys(mode);
        dispositions
    }

    #[test]
    fn the_first_row_of_a_repeated_key_passes_in_append_and_the_last_in_merge() {
        let rows = [(0, Some(7)), (0, Some(8)), (0, Some(7)), (0, Some(7))];
        assert_eq!(resolved(&rows, Mode::Append).reasons, [PASSES, PASSES, REPEATED, REPEATED]);
        assert_eq!(resolved(&rows, Mode::Merge).reasons, [REPEATED, PASSES, REPEATED, PASSES]);
    }

    #[test]
    fn a_row_that_fails_a_check_does_not_occupy_its_key() {
        let rows = [(1, Some(7)), (0, Some(7))];
        let dispositions = resolved(&rows, Mode::Append);
        assert_eq!(dispositions.reasons, [1, PASSES]);
        assert_eq!(dispositions.admitted_by_force, [false, false]);
    }

    #[test]
    fn one_failed_row_per_free_key_is_admitted_by_force() {
        let rows = [(1, Some(7)), (2, Some(7)), (0, Some(8)), (1, None), (1, None)];
        assert_eq!(resolved(&rows, Mode::Append).admitted_by_force, [true, false, false, false, false]);
        assert_eq!(resolved(&rows, Mode::Merge).admitted_by_force, [false, true, false, false, false]);
    }

    #[test]
    fn rows_without_a_key_are_quarantined_and_never_admitted() {
        for mode in [Mode::Append, Mode::Merge, Mode::Replace] {
            let dispositions = resolved(&[(0, None), (0, Some(1)), (1, None)], mode);
            assert_eq!(dispositions.reasons, [NULL_KEY, PASSES, 1]);
            assert_eq!(dispositions.admitted_by_force, [false; 3]);
        }
    }

    #[test]
    fn existing_keys_quarantine_rows_and_admit_none_by_force() {
        let mut dispositions = resolved(&[(0, Some(1)), (0, Some(2)), (1, Some(1))], Mode::Append);
        dispositions.resolve_existing(&KeySet::from_iter([1]));
        assert_eq!(dispositions.reasons, [EXISTS, PASSES, 1]);
        assert_eq!(dispositions.admitted_by_force, [false, false, false]);
        assert!(dispositions.has_reversals());
    }

    #[test]
    fn repeated_values_fail_a_unique_check_and_nulls_do_not() {
        let check = RowCheck { name: "u".into(), condition: RowCondition::Unique(vec!["x".into()]), quarantines: true };
        let mut dispositions = RowDispositions::new(&[check], false);
        dispositions.extend(&[0, 0, 0, 0, 0], None, &[vec![Some(1), Some(2), Some(1), None, None]]);
        assert_eq!(dispositions.resolve_uniques(), [(0, vec![0, 2])]);
        dispositions.resolve_keys(Mode::Append);
        assert_eq!(dispositions.reasons, [1, PASSES, 1, PASSES, PASSES]);
        assert_eq!(dispositions.admitted_by_force, [true, false, true, false, false]);
    }

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dispositions_equal_those_of_comparing_every_pair(
            rows in prop::collection::vec((0u16..3, prop::option::of(0u128..6)), 0..24),
            merge in any::<bool>(),
        ) {
            let mode = if merge { Mode::Merge } else { Mode::Append };
            let dispositions = resolved(&rows, mode);
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
                prop_assert_eq!(dispositions.reasons[row], expected);
                let is_free = key.is_some() && !taken && !beaten(&|theirs| theirs != PASSES);
                prop_assert_eq!(dispositions.admitted_by_force[row], *reason != PASSES && is_free);
            }
        }
    }
}
