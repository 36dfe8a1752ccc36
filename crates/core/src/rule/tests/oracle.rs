//! The rules against another implementation of CEL, the `cel` crate.

use cel::{Context, Program, Value};
use proptest::prelude::*;
use serde_json::json;

use super::laws::SOUP;
use crate::rule::{Expression, Verdict};

/// A number over facts `a`, `b`, `r.x` and double literals; `r.y` is absent.
fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("a"),
        Just("b"),
        Just("r.x"),
        Just("r.y"),
        Just("2.0"),
        Just("0.5"),
        Just("-1.5"),
        Just("double(size(list))")
    ];
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["+", "-", "*"]), inner.clone())
                .prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} - ({b}))")),
            inner.prop_map(|a| format!("-({a})")),
        ]
    })
}

fn boolean() -> impl Strategy<Value = String> {
    let compare = (number(), prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]), number())
        .prop_map(|(a, sign, b)| format!("{a} {sign} {b}"));
    let leaf = prop_oneof![
        compare,
        Just("has(r.x)".to_owned()),
        Just("has(r.y)".to_owned()),
        Just("word == 'two' || word in ['one', \"three\"]".to_owned()),
        Just("word.startsWith('t') && word.contains('w') && !word.endsWith('x')".to_owned()),
        number().prop_map(|a| format!("list.all(x, x > {a})")),
        number().prop_map(|a| format!("list.exists(x, x < {a} || x == 2.0)")),
        number().prop_map(|a| format!("list.exists_one(x, x >= {a})")),
        number().prop_map(|a| format!("list.filter(x, x > {a}).map(x, x * 2.0) == [4.0, 6.0]")),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} && {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} || {b}")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn another_cel_gives_the_same_verdict(text in boolean()) {
        let facts = json!({ "a": 1.25, "b": -3.0, "r": { "x": 2.0 }, "word": "two", "list": [1.0, 2.0, 3.0] });
        let mut context = Context::default();
        for (name, value) in facts.as_object().unwrap() {
            context.add_variable(name.as_str(), value.clone()).unwrap();
        }
        let theirs = match Program::compile(&text).unwrap().execute(&context) {
            Ok(Value::Bool(true)) => Verdict::Pass,
            Ok(Value::Bool(false)) => Verdict::Fail,
            Ok(other) => panic!("{text}: {other:?}"),
            Err(_) => Verdict::Unknown,
        };
        let ours = Expression::parse(&text.replace("double(size(list))", "size(list)")).unwrap().evaluate(&facts).verdict;
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn what_we_read_another_cel_reads_too(words in prop::collection::vec(prop::sample::select(SOUP.as_slice()), 0..9)) {
        let text = words.join(" ");
        if Expression::parse(&text).is_ok() {
            prop_assert!(Program::compile(&text).is_ok(), "{}", text);
        }
    }
}
