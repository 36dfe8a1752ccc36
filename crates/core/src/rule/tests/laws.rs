//! Laws of three-valued logic and of numbers, on random expressions.

use proptest::prelude::*;
use serde_json::json;

use crate::rule::{Expression, FactSchema, Verdict};
use crate::task::TaskKind;

/// A boolean over `t` (true), `f` (false) and `u` (absent).
fn boolean() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![Just("t"), Just("f"), Just("u"), Just("true"), Just("n > 1"), Just("m < n")]
        .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("[1, 2].all(x, x > 1 || {a}) == ({b})")),
        ]
    })
}

fn verdict(text: &str) -> Verdict {
    Expression::parse(text).unwrap().evaluate(&json!({ "t": true, "f": false, "n": 2, "m": 1.5 })).verdict
}

fn negated(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Pass => Verdict::Fail,
        Verdict::Fail => Verdict::Pass,
        Verdict::Unknown => Verdict::Unknown,
    }
}

proptest! {
    #[test]
    fn and_and_or_commute(a in boolean(), b in boolean()) {
        prop_assert_eq!(verdict(&format!("{a} && {b}")), verdict(&format!("{b} && {a}")));
        prop_assert_eq!(verdict(&format!("{a} || {b}")), verdict(&format!("{b} || {a}")));
    }

    #[test]
    fn de_morgan_holds_in_three_values(a in boolean(), b in boolean()) {
        prop_assert_eq!(verdict(&format!("!({a} && {b})")), verdict(&format!("!({a}) || !({b})")));
        prop_assert_eq!(verdict(&format!("!({a})")), negated(verdict(&a)));
    }

    #[test]
    fn true_absorbs_or_and_false_absorbs_and(a in boolean()) {
        prop_assert_eq!(verdict(&format!("{a} || true")), Verdict::Pass);
        prop_assert_eq!(verdict(&format!("{a} && false")), Verdict::Fail);
        prop_assert_eq!(verdict(&format!("{a} && true")), verdict(&a));
    }

    #[test]
    fn an_unknown_verdict_names_what_is_missing_and_a_known_one_does_not(a in boolean()) {
        let evaluation = Expression::parse(&a).unwrap().evaluate(&json!({ "t": true, "f": false, "n": 2, "m": 1.5 }));
        prop_assert_eq!(evaluation.verdict == Verdict::Unknown, evaluation.missing == ["u"]);
    }

    #[test]
    fn knowing_more_never_turns_an_answer_round(a in boolean(), u in any::<bool>()) {
        let more = Expression::parse(&a).unwrap().evaluate(&json!({ "t": true, "f": false, "n": 2, "m": 1.5, "u": u })).verdict;
        let less = verdict(&a);
        prop_assert!(less == Verdict::Unknown || less == more);
        prop_assert!(more != Verdict::Unknown);
    }

    #[test]
    fn a_whole_literal_is_its_double(a in 0_u32..1000, b in 1_u32..1000, n in -5.0..5.0_f64) {
        let facts = json!({ "n": n });
        for text in ["n * A / B > 1", "A / B == n", "A - B <= n || A == B", "[A, B].exists(x, x / B > n)"] {
            let whole = text.replace('A', &a.to_string()).replace('B', &b.to_string());
            let double = text.replace('A', &format!("{a}.0")).replace('B', &format!("{b}.0"));
            let whole = Expression::parse(&whole).unwrap().evaluate(&facts);
            let double = Expression::parse(&double).unwrap().evaluate(&facts);
            prop_assert_eq!(whole, double);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        if let Ok(expression) = Expression::parse(&text) {
            expression.check(&FactSchema::gate(TaskKind::Binary, &[]));
            expression.evaluate(&json!({}));
        }
    }

    #[test]
    fn no_soup_of_words_panics(words in prop::collection::vec(prop::sample::select(SOUP.as_slice()), 0..14), glue in "[ ]?") {
        let text = words.join(&glue);
        match Expression::parse(&text) {
            Ok(expression) => {
                expression.check(&FactSchema::gate(TaskKind::Binary, &[]));
                expression.evaluate(&json!({ "candidate": { "auc": 1, "slices": [] } }));
            }
            Err(error) => prop_assert!(text.get(error.span).is_some()),
        }
    }
}

pub(super) const SOUP: [&str; 44] = [
    "candidate",
    ".",
    "auc",
    "slices",
    "+",
    "-",
    "*",
    "/",
    "%",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    "?",
    ":",
    "&&",
    "||",
    "!",
    "==",
    "<",
    ">=",
    "in",
    "true",
    "null",
    "1",
    "0.5",
    "1u",
    "'a'",
    "\"b",
    "has",
    "all",
    "exists",
    "map",
    "filter",
    "size",
    "s",
    "0x1F",
    "é",
    "'\\n'",
    "//x\n",
    "if",
];
