use std::path::PathBuf;

use super::{CLASSES, check};
use crate::lint::files::SourceFile;

fn page(last: &str) -> String {
    let sections = CLASSES.iter().map(|class| format!("\n## {class}\n\n| a rule | `core/src/a.rs::holds` |\n"));
    sections.collect::<String>() + last
}

fn files(attack: &str) -> Vec<SourceFile> {
    let file = |path: &str, text: &str| SourceFile { path: PathBuf::from(path), text: text.to_owned() };
    vec![file("crates/core/src/a.rs", "fn holds() {}"), file("crates/cli/tests/it/attack/b.rs", attack)]
}

#[test]
fn a_page_whose_tests_exist_is_accepted() {
    let named = page("`cli/tests/it/attack/b.rs::paths`");
    let attack = "kind!(\"paths of files\", paths),\nasync fn paths(";
    assert_eq!(check(&named, &files(attack)), [""; 0]);
}

#[test]
fn a_missing_test_a_missing_kind_and_an_empty_class_are_found() {
    let without = page("`core/src/a.rs::gone` `core/src/gone.rs::holds`").replace("## Leaks", "## Other");
    let found = check(&without, &files("kind!(\n    \"paths\",\n    paths\n)"));
    let expected = [
        "docs/security.md: the section `Leaks` names no test",
        "docs/security.md: `core/src/a.rs::gone` does not exist",
        "docs/security.md: `core/src/gone.rs::holds` does not exist",
        "docs/security.md: `cli/tests/it/attack/b.rs::paths` is missing",
    ];
    assert_eq!(found, expected);
}
