use super::*;

fn entry(name: &str, text: &str) -> Entry {
    Entry { path: Path::new(FOLDER).join(name), text: text.to_owned() }
}

#[test]
fn names_and_texts_are_checked() {
    assert_eq!(fault(&entry("label-delay-2.changed.md", "Text.")), None);
    for name in ["label.md", "label.improved.md", ".changed.md", "Label Delay.changed.md", "label.changed.txt"] {
        let fault = fault(&entry(name, "Text.")).unwrap_or_default();
        assert!(fault.contains("expected `<slug>.<kind>.md`"), "{name}: {fault}");
    }
    assert_eq!(fault(&entry("a.fixed.md", " \n")).as_deref(), Some("changelog.d/a.fixed.md has no text"));
}

#[test]
fn a_release_gathers_entries_by_kind_before_earlier_releases() {
    let entries =
        [entry("b.fixed.md", "Two.\n"), entry("a.added.md", "One,\nlonger.\n"), entry("c.fixed.md", "Three.\n")];
    let first = with_release("# Change log\n\nIntroduction.\n", "0.2.0", &entries[..1]);
    assert_eq!(first, "# Change log\n\nIntroduction.\n\n## 0.2.0\n\n### Fixed\n\n- Two.\n");
    let second = with_release(&first, "0.3.0", &entries);
    assert_eq!(
        second,
        "# Change log\n\nIntroduction.\n\n## 0.3.0\n\n### Added\n\n- One,\n  longer.\n\n### Fixed\n\n- Two.\n- Three.\n\n\
         ## 0.2.0\n\n### Fixed\n\n- Two.\n"
    );
}
