//! Each kind of mistake, and the words it is told with.

mod data;
mod form;
mod live;
mod pipeline;

use std::fmt::Write as _;

use crate::suite::{edit, validate};

/// A name, and what is written instead of what in the flights' project.
type Case = (&'static str, &'static [(&'static str, &'static str)]);

/// Snapshots what is told of each case; the snapshot is named for the test.
#[track_caller]
fn shown(name: &str, text: &str, cases: &[Case]) {
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, told(text, cases));
    });
}

/// Judges the text once for each case, and gives every rendered mistake under the case's name.
fn told(text: &str, cases: &[Case]) -> String {
    let mut told = String::new();
    for (name, edits) in cases {
        let edited = edits.iter().fold(text.to_owned(), |text, (old, new)| edit(&text, old, new));
        let mistakes = validate(&edited).map(|_| ()).expect_err(name);
        let _ = writeln!(told, "── {name}\n{}", mistakes.render_plain());
    }
    told
}
