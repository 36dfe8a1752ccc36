use super::*;
use proptest::prelude::*;

#[test]
fn paths_inside_a_folder_are_taken_as_they_are() {
    for text in ["model.onnx", "a/b/c.txt", "..a", "a..", "ü/ö b.txt", ".hidden", "a:b"] {
        assert_eq!(text.parse::<RelativePath>().unwrap().as_str(), text);
    }
}

#[test]
fn paths_that_could_leave_a_folder_are_refused() {
    let long = "x".repeat(256);
    for text in
        ["", "/etc/passwd", "..", "../x", "a/../b", "a/..", "./a", "a//b", "a/", "a\\b", "C:/x", "a\0b", "a\nb", &long]
    {
        assert!(text.parse::<RelativePath>().is_err(), "`{}`", text.escape_debug());
    }
}

#[test]
fn a_refusal_names_the_path_and_the_reason() {
    let error = "a/../b".parse::<RelativePath>().unwrap_err();
    assert_eq!(
        error.message(),
        "path `a/../b` is refused: it has a component `.` or `..`; expected a path that stays inside its folder"
    );
}

proptest! {
    #[test]
    fn an_accepted_path_never_leaves_its_folder(text in "[a./\\\\:\0]{0,12}") {
        if let Ok(path) = text.parse::<RelativePath>() {
            let all_normal = std::path::Path::new(path.as_str())
                .components()
                .all(|component| matches!(component, std::path::Component::Normal(_)));
            prop_assert!(all_normal);
        }
    }
}
