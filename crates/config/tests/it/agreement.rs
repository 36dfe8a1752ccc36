//! Laws of the whole: nothing panics, and every mistake has its place.

use std::fmt::Write as _;

use perennial_config::{DIAGNOSTICS_MAX, Project};
use proptest::prelude::*;

use crate::suite::{FLIGHTS, FLIGHTS_PYTHON, validate};

/// Every diagnostic points into the text, at the words it quotes.
fn is_sound(text: &str) {
    let Err(found) = validate(text) else { return };
    assert!(!found.errors.is_empty() && found.errors.len() <= DIAGNOSTICS_MAX);
    for mistake in &found.errors {
        assert_eq!(text.get(mistake.span.clone()), Some(mistake.words.as_str()));
        let line = text.lines().nth(mistake.line - 1).unwrap_or_default();
        assert!(mistake.column <= line.chars().count() + 1, "{mistake:?}");
        assert!(
            !mistake.message.is_empty() && !mistake.message.contains('\n') && !mistake.message.ends_with('.'),
            "{mistake:?}"
        );
    }
    found.render_plain();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        is_sound(&text);
    }

    #[test]
    fn no_damage_to_a_project_panics(at in 0.0..1.0_f64, length in 0..40_usize, put in "[a-z.\\[\\]{}=\", é\n-]{0,6}", is_python in any::<bool>()) {
        let text = if is_python { FLIGHTS_PYTHON } else { FLIGHTS };
        let start = (at * text.len() as f64) as usize;
        let (Some(before), Some(after)) = (text.get(..start), text.get(start + length..)) else { return Ok(()) };
        is_sound(&format!("{before}{put}{after}"));
    }

    #[test]
    fn lines_left_out_give_mistakes_not_panics(left_out in prop::collection::vec(0..90_usize, 1..6)) {
        let lines = FLIGHTS.lines().enumerate().filter(|(index, _)| !left_out.contains(index)).map(|(_, line)| line);
        is_sound(&lines.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_project_of_many_steps_is_judged(count in 1..60_usize) {
        let mut text = FLIGHTS.to_owned();
        for step in 0..count {
            writeln!(text, "\n[steps.more_{step}]\ntrain = \"linear\"").unwrap();
        }
        let project = validate(&text).unwrap();
        prop_assert_eq!(project.graph.topological_order().len(), count + 4);
    }
}

#[test]
fn many_mistakes_are_told_up_to_the_limit() {
    let mut text = FLIGHTS.to_owned();
    for step in 0..3 * DIAGNOSTICS_MAX {
        writeln!(text, "\n[steps.more_{step}]\ntrian = \"linear\"").unwrap();
    }
    assert_eq!(validate(&text).unwrap_err().errors.len(), DIAGNOSTICS_MAX);
}

#[test]
fn a_file_too_long_is_refused() {
    let text = format!("# {}", "x".repeat(perennial_config::FILE_BYTES_MAX));
    let found = Project::parse("perennial.toml", &text).unwrap_err();
    assert!(found.errors[0].message.contains("longer than"));
}
