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
fn a_child_that_leads_out_of_its_parent_and_back_closes_a_cycle() {
    let files = |far: &'static str| {
        [
            ("lib.rs", "mod table; mod sql;"),
            ("table.rs", "mod rewrite; mod scan; use scan::Files; pub struct Table;"),
            ("table/scan.rs", "use super::rewrite::columns; pub struct Files;"),
            ("table/rewrite.rs", far),
            ("sql.rs", "use crate::table::Table; pub struct Sql;"),
        ]
    };
    let found = findings(&files("use crate::sql::Sql; pub fn columns() {}"));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("4 files"), "{found:?}");
    assert!(found[0].contains("table.rs:1: `scan::Files` imports"), "{found:?}");
    assert_eq!(findings(&files("use super::Table; pub fn columns() {}")), [""; 0], "it stays below its parent");
}

#[test]
fn a_parent_around_may_dispatch_on_the_way_back() {
    let files = [
        ("lib.rs", "mod operator; mod trees;"),
        ("operator.rs", "mod classical; mod matrix; pub struct Build; fn f() { classical::f(); matrix::f() }"),
        ("operator/classical.rs", "mod linear; use crate::trees::Trees; fn f() { linear::f() }"),
        ("operator/classical/linear.rs", "use crate::operator::Build; use crate::operator::matrix::f;"),
        ("operator/matrix.rs", "use super::Build;"),
        ("trees.rs", "use crate::operator::Build; pub struct Trees;"),
    ];
    assert_eq!(findings(&files), [""; 0]);
}

#[test]
fn a_reexport_that_the_module_uses_counts() {
    let files = |body: &'static str| {
        [
            ("lib.rs", "mod runs; mod log; mod artifacts;"),
            ("runs.rs", body),
            ("runs/content.rs", "use crate::artifacts::list; pub struct Content;"),
            ("artifacts.rs", "use crate::log::log; pub fn list() {}"),
            ("log.rs", "use crate::runs::get; pub fn log() {}"),
        ]
    };
    let used = "mod content; pub(crate) use content::Content; pub fn get(content: Content) {}";
    assert_eq!(findings(&files(used)).len(), 1);
    assert_eq!(findings(&files("mod content; pub(crate) use content::Content; pub fn get() {}")), [""; 0]);
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
    let found: Vec<PathBuf> = folders(&files).into_iter().collect();
    assert_eq!(found, [PathBuf::from("crates/a/src"), PathBuf::from("xtask/src")]);
}
