use std::path::PathBuf;

use super::*;

const TABLE: &str = r#"
layers = [["core"], ["store", "config"], ["kernel"]]
tests = ["testkit"]
everywhere = ["workspace-hack"]
[only]
sqlx = ["store"]
perennial-store = ["kernel"]
"#;

fn member(name: &str, dependencies: &[(&str, bool)]) -> Member {
    let dependencies =
        dependencies.iter().map(|(package, is_dev)| Dependency { package: (*package).to_owned(), is_dev: *is_dev });
    Member { name: name.to_owned(), dependencies: dependencies.collect() }
}

/// What is found in a workspace where `changed` stands in place of the crate of its name.
fn findings(changed: Member) -> Vec<String> {
    let mut members = vec![
        member("core", &[("serde", false)]),
        member("store", &[("perennial-core", false), ("sqlx", false), ("perennial-workspace-hack", false)]),
        member("config", &[("perennial-core", false)]),
        member("kernel", &[("perennial-config", false), ("perennial-testkit", true)]),
        member("testkit", &[("perennial-kernel", false), ("perennial-store", false)]),
        member("workspace-hack", &[]),
        member("xtask", &[("anyhow", false)]),
    ];
    members.retain(|member| member.name != changed.name);
    members.push(changed);
    check(&members, &Layers::parse(TABLE).unwrap(), |_, _| None)
}

#[test]
fn imports_of_lower_layers_pass() {
    assert_eq!(findings(member("kernel", &[("perennial-config", false), ("perennial-core", false)])), [""; 0]);
}

#[test]
fn a_sibling_is_refused_in_tests_too() {
    let expected = "crates/config/Cargo.toml: perennial-config depends on perennial-store: only kernel may";
    assert_eq!(findings(member("config", &[("perennial-store", false)])), [expected]);
    let siblings = findings(member("config", &[("perennial-store", true)]));
    assert!(siblings[0].contains("both are in layer 1; siblings do not import each other"), "{siblings:?}");
}

#[test]
fn a_higher_layer_is_refused() {
    let found = findings(member("config", &[("perennial-kernel", false)]));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("layer 1 is below layer 2; imports go to lower layers only"), "{found:?}");
}

#[test]
fn a_heavy_dependency_stays_behind_its_crate_in_tests_too() {
    for is_dev in [false, true] {
        let found = findings(member("kernel", &[("sqlx", is_dev)]));
        assert_eq!(found, ["crates/kernel/Cargo.toml: perennial-kernel depends on sqlx: only store may"]);
    }
}

#[test]
fn only_tests_link_the_test_kit() {
    let found = findings(member("kernel", &[("perennial-testkit", false)]));
    assert_eq!(found, ["crates/kernel/Cargo.toml: perennial-kernel depends on perennial-testkit: only tests may"]);
}

#[test]
fn xtask_links_no_crate_of_the_workspace() {
    let found = findings(member("xtask", &[("perennial-core", false)]));
    assert!(found[0].contains("xtask is a tool, built before everything else"), "{found:?}");
}

#[test]
fn a_crate_without_a_layer_and_a_layer_without_its_crate_are_found() {
    let found = findings(member("extra", &[]));
    assert_eq!(found, ["crate `extra` has no layer: add it to xtask/layers.toml"]);

    let layers = Layers::parse("layers = [[\"core\"], [\"gone\"]]").unwrap();
    let found = check(&[member("core", &[])], &layers, |_, _| None);
    assert_eq!(found, ["crate `gone` does not exist: remove it from xtask/layers.toml"]);
}

#[test]
fn a_finding_names_the_line_of_the_import() {
    let file = |path: &str, text: &str| SourceFile { path: PathBuf::from(path), text: text.to_owned() };
    let files = [
        file("crates/api/src/lib.rs", "//! perennial_store is not for here\n\nuse perennial_store_extra::X;\n"),
        file("crates/api/src/runs.rs", "use std::fmt;\nuse perennial_store::Store;\n"),
        file("crates/cli/src/main.rs", "use perennial_store::Store;\n"),
    ];
    assert_eq!(first_use(&files, "api", "perennial-store").as_deref(), Some("crates/api/src/runs.rs:2"));
    assert_eq!(first_use(&files, "core", "perennial-store"), None);
}

#[test]
fn a_crate_in_two_layers_is_refused() {
    assert!(Layers::parse("layers = [[\"core\"], [\"core\"]]").is_err());
}
