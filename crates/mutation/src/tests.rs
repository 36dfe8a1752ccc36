use std::cell::RefCell;
use std::collections::BTreeSet;

use super::*;

#[test]
fn samples_come_first_and_mutations_differ() {
    let seen = RefCell::new(Vec::new());
    check("filters", |input| seen.borrow_mut().push(input.to_vec()));
    let seen = seen.into_inner();
    let distinct: BTreeSet<&Vec<u8>> = seen.iter().collect();
    assert!(seen.len() > CASES as usize, "the samples too");
    assert!(distinct.len() > seen.len() / 2, "{} of {} inputs differ", distinct.len(), seen.len());
}

#[test]
#[should_panic(expected = "filters fails for ")]
fn a_failure_gives_the_input() {
    check("filters", |input| assert!(!input.contains(&0xff), "not UTF-8"));
}

#[test]
#[should_panic(expected = "fuzz/seeds/unknown")]
fn a_target_without_samples_is_refused() {
    check("unknown", |_| {});
}
