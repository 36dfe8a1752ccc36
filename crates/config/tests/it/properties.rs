//! Properties of validation: no text panics, and every error has a position.

use std::fmt::Write as _;

use perennial_config::{DIAGNOSTICS_MAX, Project};
use proptest::prelude::*;

use crate::suite::{FLIGHTS, FLIGHTS_PYTHON, validate};

/// Asserts that the span of every diagnostic contains its words.
fn assert_located(text: &str) {
    let Err(found) = validate(text) else { return };
    assert!(!found.errors.is_empty() && found.errors.len() <= DIAGNOSTICS_MAX);
    for error in &found.errors {
        assert_eq!(text.get(error.span.clone()), Some(error.words.as_str()));
        let line = text.lines().nth(error.line - 1).unwrap_or_default();
        assert!(error.column <= line.chars().count() + 1, "{error:?}");
        assert!(
            !error.message.is_empty() && !error.message.contains('\n') && !error.message.ends_with('.'),
            "{error:?}"
        );
    }
    found.render_plain();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        assert_located(&text);
    }

    #[test]
    fn no_damaged_project_panics(at in 0.0..1.0_f64, length in 0..40_usize, put in "[a-z.\\[\\]{}=\", é\n-]{0,6}", is_python in any::<bool>()) {
        let text = if is_python { FLIGHTS_PYTHON } else { FLIGHTS };
        let start = (at * text.len() as f64) as usize;
        let (Some(before), Some(after)) = (text.get(..start), text.get(start + length..)) else { return Ok(()) };
        assert_located(&format!("{before}{put}{after}"));
    }

    #[test]
    fn missing_lines_are_errors_and_do_not_panic(missing in prop::collection::vec(0..90_usize, 1..6)) {
        let lines = FLIGHTS.lines().enumerate().filter(|(index, _)| !missing.contains(index)).map(|(_, line)| line);
        assert_located(&lines.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_project_of_many_steps_is_valid(count in 1..60_usize) {
        let mut text = FLIGHTS.to_owned();
        for step in 0..count {
            writeln!(text, "\n[steps.more_{step}]\ntrain = \"linear\"").unwrap();
        }
        let project = validate(&text).unwrap();
        prop_assert_eq!(project.graph.topological_order().len(), count + 4);
    }
}

#[test]
fn errors_are_reported_up_to_the_limit() {
    let mut text = FLIGHTS.to_owned();
    for step in 0..3 * DIAGNOSTICS_MAX {
        writeln!(text, "\n[steps.more_{step}]\ntrian = \"linear\"").unwrap();
    }
    assert_eq!(validate(&text).unwrap_err().errors.len(), DIAGNOSTICS_MAX);
}

#[test]
fn a_file_above_the_size_limit_is_refused() {
    let text = format!("# {}", "x".repeat(perennial_config::FILE_BYTES_MAX));
    let found = Project::parse("perennial.toml", &text).unwrap_err();
    assert!(found.errors[0].message.contains("longer than"));
}
