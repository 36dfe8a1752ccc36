use super::gate;
use crate::rule::{Expression, FactSchema};
use crate::task::TaskKind;

/// The mistakes of an expression as `words at fault: message (suggestion)`.
fn problems(text: &str, facts: &FactSchema) -> Vec<String> {
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let problems = expression.check(facts).into_iter();
    problems
        .map(|problem| {
            let suggestion = problem.suggestion.map(|words| format!(" ({words})")).unwrap_or_default();
            format!("{}: {}{suggestion}", &text[problem.span], problem.message)
        })
        .collect()
}

#[test]
fn sound_expressions_have_no_problems() {
    for text in [
        "candidate.auc >= champion.auc + 0.005 && candidate.auc >= simple.auc",
        "candidate.slices.all(s, s.rows < 1000 || s.auc >= 0.60)",
        "serving.p99_ms <= 5",
        "!has(champion.auc) || candidate.auc > champion.auc",
        "candidate.slices.filter(s, s.column == 'origin').map(s, s.auc).all(a, a > 0.5)",
        "candidate.slices.exists_one(s, s.value.startsWith('E') && s.column in ['origin', 'dest'])",
        "size(candidate.slices) > 3 && candidate.slices[0].rows >= 1",
        "math.abs(candidate.auc - champion.auc) < math.least(0.1, 0.2, 1)",
        "(candidate.rows > 1000 ? candidate.auc : simple.auc) > 0.7",
        "candidate['auc'] > 0.5 && 'auc' in candidate",
        "checks.failed == 0 && -1 < 0",
    ] {
        assert_eq!(problems(text, &gate()), Vec::<String>::new(), "{text}");
    }
    for text in [
        "auc < reference.auc - 0.02",
        "drift.share > 0.5",
        "drift.features.exists(f, drift.features[f] > 0.25)",
        "rows < 10 && latency.p99_ms > 100",
        "drift.features.temp > 1",
    ] {
        assert_eq!(problems(text, &FactSchema::alert(TaskKind::Binary)), Vec::<String>::new(), "{text}");
    }
    assert_eq!(
        problems("canary.error_rate > champion.error_rate + 0.01", &FactSchema::rollback()),
        Vec::<String>::new()
    );
}

#[test]
fn each_type_error_has_the_words_at_fault() {
    for (text, expected) in [
        ("candidte.auc > 0.5", vec!["candidte: unknown fact `candidte` (did you mean `candidate`?)"]),
        ("candidate.aucc > 0.5", vec!["aucc: `candidate` has no field `aucc` (did you mean `auc`?)"]),
        ("candidate['aucc'] > 0.5", vec!["'aucc': `candidate` has no field `aucc` (did you mean `auc`?)"]),
        ("serving.zzz > 0.5", vec!["zzz: `serving` has no field `zzz` (known here: `p50_ms`, `p99_ms`)"]),
        ("candidate.auc.high > 0.5", vec!["high: `candidate.auc` is a number, it has no field `high`"]),
        ("candidate.auc", vec!["candidate.auc: the gate must be true or false, this is a number"]),
        (
            "candidate.auc > 'high'",
            vec!["candidate.auc > 'high': `>` compares two numbers or two texts, found a number and text"],
        ),
        (
            "candidate > champion",
            vec!["candidate > champion: `>` compares two numbers or two texts, found a record and a record"],
        ),
        (
            "candidate.auc == 'x'",
            vec!["candidate.auc == 'x': `==` compares values of the same type, found a number and text"],
        ),
        (
            "candidate.auc + 'x' > 1",
            vec!["candidate.auc + 'x': `+` adds numbers or joins texts, found a number and text"],
        ),
        ("candidate.auc && true", vec!["candidate.auc: `&&` takes true or false, `candidate.auc` is a number"]),
        ("!candidate.auc", vec!["candidate.auc: `!` takes true or false, `candidate.auc` is a number"]),
        ("-candidate > 1", vec!["candidate: `-` takes a number, `candidate` is a record"]),
        ("candidate.slices.all(s, s.aux > 1)", vec!["aux: `s` has no field `aux` (did you mean `auc`?)"]),
        ("candidate.slices.all(s, s.auc)", vec!["s.auc: the condition takes true or false, `s.auc` is a number"]),
        ("candidate.auc.all(s, s > 1)", vec!["candidate.auc: `candidate.auc` is a number, expected a list"]),
        ("candidate.slices['x'].rows > 1", vec!["'x': the place in a list takes a number, `'x'` is text"]),
        (
            "candidate.auc in candidate.slices",
            vec![
                "candidate.auc in candidate.slices: `in` compares values of the same type, found a number and elements that are a record",
            ],
        ),
        ("1 in 2", vec!["2: `in` needs a list or a map, `2` is a number"]),
        ("size(1) > 0", vec!["1: `size` takes a list, a map or text, `1` is a number"]),
        ("math.abs('x') > 0", vec!["'x': `math.abs` takes a number, `'x'` is text"]),
        ("candidate.slices[0].value.contains(1)", vec!["1: `contains` takes text, `1` is a number"]),
        (
            "(true ? 1 : 'x') == 1",
            vec!["'x': both branches of `?` must have the same type: a number before `:`, text after"],
        ),
        ("(1 ? true : false)", vec!["1: the condition of `?` takes true or false, `1` is a number"]),
        ("[1, 'x'][0] == 1", vec!["'x': elements of a list must have the same type: a number first, text here"]),
        ("champion.auc == null", vec!["null: facts are present or absent, never null (ask `has(…)`)"]),
        ("has(champion.aux)", vec!["aux: `champion` has no field `aux` (did you mean `auc`?)"]),
        ("1 < 2 < 3", vec!["1 < 2 < 3: `<` compares two numbers or two texts, found true or false and a number"]),
    ] {
        assert_eq!(problems(text, &gate()), expected, "{text}");
    }
}

#[test]
fn all_type_errors_are_returned_and_none_follows_from_another() {
    let found =
        problems("candidte.auc > 0.5 && candidate.slices.all(s, s.x + 1 > sx.y) && serving.p90_ms < 1", &gate());
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn facts_of_a_kind_of_task_are_those_of_its_measures() {
    let regression = FactSchema::gate(TaskKind::Regression, &[]);
    assert!(problems("candidate.rmse < champion.rmse", &regression).is_empty());
    assert_eq!(problems("candidate.auc > 0.5", &regression).len(), 1);
    assert_eq!(problems("simple.rmse > 0.5", &regression).len(), 1);
}

#[test]
fn every_published_fact_can_be_named() {
    let rows = gate().describe();
    let numbers = rows.iter().filter(|(path, kind, _)| kind.starts_with("a number") && !path.contains("[]"));
    for (path, ..) in numbers {
        assert_eq!(problems(&format!("{path} > 0"), &gate()), Vec::<String>::new());
    }
    assert!(rows.iter().any(|(path, ..)| path == "candidate.slices[].auc"));
}
