use super::*;

const WORDS: &str = r#"
[[word]]
banned = ["wibble|wibbles", "for wabble of"]
write = "state the reason"
in = ["names", "comments", "messages", "documents"]
except = ["wibble up"]

[[word]]
banned = ["flip*"]
write = "invert"
in = ["messages"]
stored_in = ["src/old.rs"]
"#;

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: PathBuf::from(path), text: text.to_owned() }
}

fn findings(path: &str, text: &str) -> Vec<String> {
    let found = Words::parse(WORDS).unwrap().find_all(&[file(path, text)]);
    found.iter().map(Found::to_string).collect()
}

#[test]
fn comments_messages_and_names_are_searched() {
    let source =
        "/// It wibbles.\nfn a() { b(\"Flipping, wibble\"); }\nstruct WibbleState;\nfn go_wibble() {}\n// Wibble.";
    assert_eq!(
        findings("a.rs", source),
        [
            "a.rs:1: \"wibbles\"; write: state the reason",
            "a.rs:2: \"flipping\"; write: invert",
            "a.rs:2: \"wibble\"; write: state the reason",
            "a.rs:3: \"wibble\"; write: state the reason",
            "a.rs:5: \"wibble\"; write: state the reason",
        ],
        "a name is reported where it stands first"
    );
    assert_eq!(findings("a.rs", "fn go_wibble() {}"), ["a.rs:1: \"wibble\"; write: state the reason"]);
    assert_eq!(findings("a.rs", "// flip\nfn flip() {}"), [""; 0], "only in messages");
    assert_eq!(findings("a.rs", "fn wibbled() {} // wobble"), [""; 0]);
}

#[test]
fn a_phrase_runs_over_lines_and_not_over_sentences() {
    let expected = ["a.rs:2: \"for wabble of\"; write: state the reason"];
    assert_eq!(findings("a.rs", "// x\n/// y for\n/// wabble of z\n"), expected);
    assert_eq!(findings("a.rs", "// y for. Wabble of\n\n// for\n\n// wabble of"), [""; 0]);
}

#[test]
fn documents_are_searched_as_a_whole_and_exceptions_hold() {
    assert_eq!(findings("docs/a.md", "One\nWibble, two"), ["docs/a.md:2: \"wibble\"; write: state the reason"]);
    assert_eq!(findings("docs/a.md", "They wibble up the street"), [""; 0]);
}

#[test]
fn a_file_that_reads_an_old_store_may_have_the_stored_word() {
    assert_eq!(findings("src/old.rs", "// flip\nfn a() { b(\"flip\", \"wibble\"); }").len(), 1);
    assert_eq!(findings("src/new.rs", "fn a() { b(\"flip\", \"wibble\"); }").len(), 2);
}

#[test]
fn an_entry_that_lacks_a_part_is_refused() {
    for text in
        ["", "[[word]]\nbanned = [\"a\"]\nin = [\"names\"]", "[[word]]\nbanned = [\"a\"]\nwrite = \"b\"\nin = [\"x\"]"]
    {
        assert!(Words::parse(text).is_err(), "{text}");
    }
}
