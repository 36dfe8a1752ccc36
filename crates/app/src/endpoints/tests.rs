use perennial_core::model::{Input, InputKind, Signature};
use perennial_core::task::TaskKind;

use super::asked_anew;

fn asking(names: &[&str]) -> Signature {
    let input = |name: &&str| Input { name: (*name).to_owned(), kind: InputKind::Number };
    Signature { inputs: names.iter().map(input).collect(), task: TaskKind::Binary, classes: Vec::new() }
}

#[test]
fn a_canary_that_asks_for_more_than_the_champion_says_so() {
    assert_eq!(asked_anew(&asking(&["a"]), &asking(&["b", "a"]), 3), "");
    let told = asked_anew(&asking(&["a", "b", "c"]), &asking(&["a"]), 3);
    assert!(told.contains("it asks for `b`, `c`, which version 3 does not"), "{told}");
}
