use std::path::PathBuf;

use super::*;

fn findings(path: &str, text: &str) -> Vec<String> {
    check_file(&SourceFile { path: PathBuf::from(path), text: text.to_owned() })
}

#[test]
fn long_files_are_found() {
    assert_eq!(findings("a.rs", &"\n".repeat(FILE_LINES_MAX)), [""; 0]);
    assert_eq!(findings("a.rs", &"\n".repeat(701)), ["a.rs: 701 lines, at most 700: split it into modules"]);
}

#[test]
fn unfinished_marks_are_found() {
    for mark in MARKS {
        assert_eq!(findings("a.rs", &format!("fn a() {{}}\n// {mark} later")), ["a.rs:2: unfinished"]);
    }
}

#[test]
fn sleeping_and_ignored_tests_are_found() {
    for line in ["std::thread::sleep(second)", "#[ignore = \"slow\"]"] {
        for path in ["crates/a/tests/it/b.rs", "crates/a/src/b/tests.rs"] {
            assert_eq!(findings(path, line), [format!("{path}:1: a test neither sleeps nor is ignored")]);
        }
        assert_eq!(findings("crates/a/src/b.rs", line), [""; 0]);
    }
}

#[test]
fn error_codes_are_read_from_their_table() {
    assert_eq!(
        error_codes("text_enum! {\n    NotFound = \"not-found\", NotFound;\n    Busy = \"busy\";\n}"),
        ["not-found", "busy"]
    );
}

#[test]
fn fuzz_targets_and_property_tests_need_each_other() {
    let file = |path: &str, text: &str| SourceFile { path: PathBuf::from(path), text: text.to_owned() };
    let target = file("fuzz/fuzz_targets/a.rs", "perennial_core::fuzz::a(bytes)");
    let test = file("crates/core/src/fuzz/tests.rs", "perennial_mutation::check(\"a\", a);");
    let found = fuzz_targets(&[target]);
    assert_eq!(found, ["fuzz target `a` has no property test: call `perennial_mutation::check(\"a\", …)`"]);
    let target = file("fuzz/fuzz_targets/a.rs", "perennial_core::fuzz::a(bytes)");
    assert_eq!(fuzz_targets(&[target, test]), [""; 0]);
    let test = file("crates/core/src/fuzz/tests.rs", "perennial_mutation::check(\"b\", b);");
    assert_eq!(fuzz_targets(&[test]), ["fuzz/fuzz_targets/b.rs is missing, its property test exists"]);
}
