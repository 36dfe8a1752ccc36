use super::*;

fn findings(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<SourceFile> = files
        .iter()
        .map(|(path, text)| SourceFile { path: Path::new("crates/x/src").join(path), text: (*text).to_owned() })
        .collect();
    check(&files, Path::new("crates/x/src"))
}

/// Four files, each of which imports the next as `import` says.
fn ring(import: impl Fn(&str) -> String) -> Vec<String> {
    let [a, b, c, d] = ["b", "c", "d", "a"].map(import);
    findings(&[("lib.rs", "mod a; mod b; mod c; mod d;"), ("a.rs", &a), ("b.rs", &b), ("c.rs", &c), ("d.rs", &d)])
}

#[test]
fn a_cycle_of_four_is_found_with_its_imports() {
    let found = ring(|next| format!("\nuse crate::{next}::Name;\n"));
    assert_eq!(
        found,
        ["4 files of crates/x/src import each other in a cycle, at most 3 may; cut one of these:\
          \n    crates/x/src/a.rs:2: `crate::b::Name` imports crates/x/src/b.rs\
          \n    crates/x/src/b.rs:2: `crate::c::Name` imports crates/x/src/c.rs\
          \n    crates/x/src/c.rs:2: `crate::d::Name` imports crates/x/src/d.rs\
          \n    crates/x/src/d.rs:2: `crate::a::Name` imports crates/x/src/a.rs"]
    );
    assert_eq!(ring(|next| format!("use super::{{std, {next}::{{f, g}}}};")).len(), 1, "super and braces");
    assert_eq!(ring(|next| format!("fn f() {{ crate::{next}::f() }}")).len(), 1, "inline");
}

#[test]
fn three_files_may_and_comments_and_tests_do_not_count() {
    let three = [("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C;"), ("c.rs", "use crate::a::A;")];
    assert_eq!(findings(&three), [""; 0]);
    assert_eq!(ring(|next| format!("// use crate::{next}::Name;")), [""; 0]);
    assert_eq!(ring(|next| format!("#[cfg(test)] mod tests {{ use crate::{next}::Name; }}")), [""; 0]);
}

#[test]
fn a_facade_that_reexports_its_children_is_no_cycle() {
    let child = |name: &str| format!("use super::shared::Shared;\npub struct {name};");
    let (a, b, c) = (child("A"), child("B"), child("C"));
    let files = [
        ("lib.rs", "mod x;"),
        ("x.rs", "mod a; mod b; mod c; mod shared; pub use a::A; pub use self::{b::B, c::C};"),
        ("x/a.rs", a.as_str()),
        ("x/b.rs", &b),
        ("x/c.rs", &c),
        ("x/shared.rs", "pub struct Shared;"),
    ];
    assert_eq!(findings(&files), [""; 0]);
}

#[test]
fn a_cycle_through_reexports_is_found() {
    let [a, b, c, d] = ["b::B", "c::C", "d::D", "a::A"].map(|next| format!("use crate::{};", &next[3..]));
    let files = [
        (
            "lib.rs",
            "mod a; mod b; mod c; mod d; pub use a::A; pub use b::*; pub use self::c::C; pub(crate) use crate::d::D;",
        ),
        ("a.rs", &format!("{a} pub struct A;")),
        ("b.rs", &format!("{b} pub struct B;")),
        ("c.rs", &format!("{c} pub struct C;")),
        ("d.rs", &format!("{d} pub struct D;")),
    ];
    let found = findings(&files.map(|(path, text)| (path, text as &str)));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("4 files"), "{found:?}");
}

#[test]
fn a_module_may_dispatch_to_children_that_use_its_types() {
    let child = "use super::Parent;";
    let dispatch = "mod a; mod b; mod c; use a::f; struct Parent; fn g() { b::f(); self::c::f() }";
    let files = [("lib.rs", "mod x;"), ("x.rs", dispatch), ("x/a.rs", child), ("x/b.rs", child), ("x/c.rs", child)];
    assert_eq!(findings(&files), [""; 0]);
}

#[test]
fn children_that_import_each_other_and_their_parent_are_a_cycle() {
    let files = [
        ("lib.rs", "mod x; mod y;"),
        ("x.rs", "mod a; mod b; use crate::y::Y; pub struct X;"),
        ("x/a.rs", "use super::X; pub struct A;"),
        ("x/b.rs", "use super::a::A; pub struct B;"),
        ("y.rs", "use crate::x::b::B; pub struct Y;"),
    ];
    let found = findings(&files);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("4 files"), "{found:?}");
}

#[test]
fn sources_are_found_by_crate() {
    let file = |path: &str| SourceFile { path: PathBuf::from(path), text: String::new() };
    let files = [file("crates/a/src/lib.rs"), file("crates/a/tests/it/main.rs"), file("xtask/src/main.rs")];
    let found: Vec<(String, PathBuf)> = folders(&files).into_iter().collect();
    assert_eq!(found, [("a".to_owned(), "crates/a/src".into()), ("xtask".to_owned(), "xtask/src".into())]);
}
