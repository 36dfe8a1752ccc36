use perennial_core::model::{Input, InputKind, Signature};
use perennial_core::task::TaskKind;

use super::told_of_inputs;

fn asking(names: &[&str]) -> Signature {
    let input = |name: &&str| Input { name: (*name).to_owned(), kind: InputKind::Number };
    Signature { inputs: names.iter().map(input).collect(), task: TaskKind::Binary, classes: Vec::new() }
}

#[test]
fn a_canary_that_asks_for_more_than_the_champion_says_so() {
    assert_eq!(told_of_inputs(&asking(&["a"]), &asking(&["b", "a"]), 3), "");
    let lines = told_of_inputs(&asking(&["a", "b", "c"]), &asking(&["a"]), 3);
    assert!(lines.contains("it asks for `b` (number), `c` (number), which version 3 does not"), "{lines}");
    let mut as_text = asking(&["a"]);
    as_text.inputs[0].kind = InputKind::Text;
    assert!(told_of_inputs(&as_text, &asking(&["a"]), 3).contains("`a` (text)"));
}
