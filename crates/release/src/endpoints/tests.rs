use perennial_core::model::classes::ClassKind;
use perennial_core::model::{Input, InputKind, Signature};
use perennial_core::task::TaskKind;

use super::new_inputs_note;

fn asking(names: &[&str]) -> Signature {
    let input = |name: &&str| Input { name: (*name).to_owned(), kind: InputKind::Number, time: None };
    Signature {
        inputs: names.iter().map(input).collect(),
        task: TaskKind::Binary,
        classes: Vec::new(),
        class_kind: ClassKind::Text,
    }
}

#[test]
fn a_canary_that_asks_for_more_than_the_champion_says_so() {
    assert_eq!(new_inputs_note(&asking(&["a"]), &asking(&["b", "a"]), 3), "");
    let lines = new_inputs_note(&asking(&["a", "b", "c"]), &asking(&["a"]), 3);
    assert!(lines.contains("it asks for `b` (number), `c` (number), which version 3 does not"), "{lines}");
    let mut as_text = asking(&["a"]);
    as_text.inputs[0].kind = InputKind::Text;
    assert!(new_inputs_note(&as_text, &asking(&["a"]), 3).contains("`a` (text)"));
}
