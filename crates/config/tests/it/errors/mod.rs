//! Each kind of error, and its message.

mod data;
mod release;
mod steps;
mod syntax;

use std::fmt::Write as _;

use crate::suite::{Edit, edited, validate};

/// The name of a case, and the edits of the flights' project file that make it invalid.
type Case = (&'static str, &'static [Edit]);

/// Compares the rendered errors of every case with the snapshot `name`.
#[track_caller]
fn assert_errors(name: &str, text: &str, cases: &[Case]) {
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, rendered_errors(text, cases));
    });
}

/// Validates the text once for each case, and renders every error under the case's name.
fn rendered_errors(text: &str, cases: &[Case]) -> String {
    let mut rendered = String::new();
    for (name, edits) in cases {
        let errors = validate(&edited(text, edits)).map(|_| ()).expect_err(name);
        let _ = writeln!(rendered, "── {name}\n{}", errors.render_plain());
    }
    rendered
}
