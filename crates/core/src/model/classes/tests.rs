use super::*;

fn texts(classes: &[&str]) -> Vec<String> {
    classes.iter().map(|&class| class.to_owned()).collect()
}

#[test]
fn classes_are_sorted_naturally() {
    let sorted = |classes: &[&str]| {
        let mut classes = texts(classes);
        classes.sort_by(|a, b| compare(a, b));
        classes
    };
    assert_eq!(sorted(&["10", "1", "12", "2", "-3", "1.5"]), ["-3", "1", "1.5", "2", "10", "12"]);
    assert_eq!(sorted(&["grade 10", "grade 9", "grade", "Grade 2"]), ["Grade 2", "grade", "grade 9", "grade 10"]);
    assert_eq!(sorted(&["b", "3", "a", "other"]), ["3", "a", "b", "other"]);
    assert_eq!(sorted(&["a007", "a7", "a08"]), ["a007", "a7", "a08"]);
}

#[test]
fn classes_are_numbers_only_if_the_outcomes_are() {
    assert_eq!(ClassKind::of(&texts(&["1", "2", "3.0"]), true), ClassKind::Integer);
    assert_eq!(ClassKind::of(&texts(&["1", "2.5"]), true), ClassKind::Number);
    assert_eq!(ClassKind::of(&texts(&["1", "2"]), false), ClassKind::Text);
    assert_eq!(ClassKind::of(&texts(&["1", "other"]), true), ClassKind::Text);
    assert_eq!(integer("9007199254740993"), Some(9_007_199_254_740_993));
}

#[test]
fn the_positive_class_is_named_like_the_outcome_1() {
    let of = |first: &str, second: &str| positive(&texts(&[first, second]));
    assert_eq!(of("0", "1"), Some(1));
    assert_eq!(of("1", "0"), Some(0));
    assert_eq!(of("-1", "1"), Some(1));
    assert_eq!(of("1.0", "-1.0"), Some(0));
    assert_eq!(of("False", "True"), Some(1));
    assert_eq!(of("yes", "no"), Some(0));
    for unknown in [of("bad", "good"), of("1", "2"), of("0", "0"), of("1", "true"), of("no", "maybe")] {
        assert_eq!(unknown, None);
    }
    assert_eq!(positive(&texts(&["0", "1", "2"])), None);
}
