use super::*;

/// Paths as text, with the name that each brings where it is not its last word.
fn paths(source: &str) -> Vec<String> {
    let scanned = scan(source);
    scanned.paths.iter().map(|path| format!("{}:{}", path.line, path.segments.join("::"))).collect()
}

#[test]
fn each_name_of_a_use_tree_is_a_path() {
    let source = "use crate::a::{self, b::{C, D as E},\n    f::*};\npub(crate) use super::x;";
    assert_eq!(paths(source), ["1:crate::a", "1:crate::a::b::C", "1:crate::a::b::D", "2:crate::a::f", "3:super::x"]);
    let names: Vec<Option<String>> = scan(source).paths.into_iter().map(|path| path.name).collect();
    assert_eq!(names, [Some("a".into()), Some("C".into()), Some("E".into()), None, Some("x".into())]);
    let reexports: Vec<bool> = scan(source).paths.into_iter().map(|path| path.is_reexport).collect();
    assert_eq!(reexports, [false, false, false, false, true]);
}

#[test]
fn inline_paths_are_found_outside_comments_and_text() {
    let source = "// crate::x::y\nfn f() { crate::a::b(\"crate::c::d\"); value.method::<crate::e::F>(); }";
    assert_eq!(paths(source), ["2:crate::a::b", "2:crate::e::F"]);
}

#[test]
fn modules_inside_the_file_are_known_and_tests_passed_over() {
    let source =
        "mod inner { use super::A; }\nuse crate::b::B;\n#[cfg(test)]\nmod tests { use crate::c::C; }\nuse crate::d::D;";
    let scanned = scan(source);
    let found: Vec<(&[String], String)> =
        scanned.paths.iter().map(|path| (path.inside.as_slice(), path.segments.join("::"))).collect();
    assert_eq!(
        found,
        [
            (["inner".to_owned()].as_slice(), "super::A".to_owned()),
            (&[], "crate::b::B".to_owned()),
            (&[], "crate::d::D".to_owned())
        ]
    );
}

#[test]
fn items_that_a_file_defines_are_known() {
    let scanned = scan("pub struct A;\nimpl B { const C: u8 = 1; }\nmacro_rules! d { () => {} }");
    assert!(["A", "C", "d"].iter().all(|name| scanned.defines(name)));
    assert!(!scanned.defines("B"));
}
