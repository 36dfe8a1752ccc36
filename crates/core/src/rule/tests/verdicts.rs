use serde_json::{Value, json};

use super::{evaluate, facts, parse};
use crate::rule::{EVALUATION_STEPS_MAX, EVALUATION_VALUES_MAX, Verdict};

#[test]
fn verdicts_follow_the_facts() {
    for (text, verdict) in [
        ("candidate.auc >= champion.auc + 0.005 && candidate.auc >= simple.auc", Verdict::Pass),
        ("candidate.auc >= champion.auc + 0.02", Verdict::Fail),
        ("candidate.slices.all(s, s.rows < 1000 || s.auc >= 0.60)", Verdict::Pass),
        ("candidate.slices.all(s, s.rows < 10 || s.auc >= 0.60)", Verdict::Unknown),
        ("candidate.slices.all(s, s.auc >= 0.90)", Verdict::Fail),
        ("candidate.slices.exists(s, s.auc >= 0.70)", Verdict::Pass),
        ("candidate.slices.exists(s, s.auc >= 0.90)", Verdict::Unknown),
        ("candidate.slices.exists_one(s, s.column == 'origin')", Verdict::Pass),
        ("candidate.slices.exists_one(s, s.rows > 0)", Verdict::Fail),
        ("candidate.slices.filter(s, has(s.auc)).map(s, s.auc) == [0.74]", Verdict::Pass),
        ("candidate.slices.map(s, s.rows > 100, s.value) == ['EWR']", Verdict::Pass),
        ("size(candidate.slices) == 2 && candidate.slices[1].value == 'OO'", Verdict::Pass),
        ("candidate.slices[2].rows > 0", Verdict::Unknown),
        ("candidate.rows / 3 == 28000 / 3", Verdict::Pass),
        ("7 / 2 == 3.5", Verdict::Pass),
        ("candidate.rows / checks.failed > 0", Verdict::Unknown),
        ("has(champion.auc) && !has(champion.brier) && !has(missing.auc)", Verdict::Pass),
        ("math.greatest(1, 2, 3) - math.abs(-3) == 0", Verdict::Pass),
        ("'auc' in candidate && !('brier' in candidate)", Verdict::Pass),
        ("(champion.auc > 0.7 ? 1 : champion.brier) == 1", Verdict::Pass),
    ] {
        assert_eq!(evaluate(text, &facts()).verdict, verdict, "{text}");
    }
}

#[test]
fn an_absent_fact_that_was_needed_is_named() {
    for (text, missing) in [
        ("candidate.brier < 0.2", vec!["candidate.brier"]),
        ("missing.auc < candidate.auc", vec!["missing.auc"]),
        ("missing.slices.all(s, s.auc > 1)", vec!["missing.slices"]),
        ("candidate.brier < 0.2 && simple.f1 > 0.5", vec!["candidate.brier", "simple.f1"]),
        ("candidate.brier + simple.f1 > 0.5", vec!["candidate.brier", "simple.f1"]),
        ("candidate.slices.all(s, s.auc > 0.5)", vec!["candidate.slices[carrier=OO].auc"]),
        ("candidate['brier'] < 1", vec!["candidate.brier"]),
        ("candidate.brier < 0.2 || candidate.auc > 0.5", vec![]),
        ("candidate.brier < 0.2 && candidate.auc > 0.9", vec![]),
    ] {
        assert_eq!(evaluate(text, &facts()).missing, missing, "{text}");
    }
}

#[test]
fn null_and_what_is_no_number_are_absent() {
    let evaluation = evaluate("auc > 0.5", &json!({ "auc": null }));
    assert_eq!((evaluation.verdict, evaluation.missing), (Verdict::Unknown, vec!["auc".to_owned()]));
    assert_eq!(evaluate("has(a.b)", &json!({ "a": { "b": null } })).verdict, Verdict::Fail);
    assert_eq!(evaluate("auc > 0.5", &Value::Null).verdict, Verdict::Unknown);
}

#[test]
fn an_undefined_number_is_unknown_with_its_reason() {
    let evaluation = evaluate("rows / labelled > 2", &json!({ "rows": 0, "labelled": 0 }));
    assert_eq!(evaluation.verdict, Verdict::Unknown);
    assert_eq!(evaluation.reasons, ["`rows / labelled` is undefined"]);
}

#[test]
fn a_fact_of_another_type_is_unknown_with_its_reason() {
    let evaluation = evaluate("auc > 0.5", &json!({ "auc": "high" }));
    assert_eq!(evaluation.verdict, Verdict::Unknown);
    assert_eq!(evaluation.reasons, ["`>` does not apply to text and a number"]);
}

#[test]
fn the_values_it_saw_are_kept_once_and_in_order() {
    let evaluation = evaluate("candidate.auc >= champion.auc + 0.005 && candidate.auc >= simple.auc", &facts());
    let expected = [("candidate.auc", 0.75), ("champion.auc", 0.74), ("simple.auc", 0.70)];
    assert_eq!(evaluation.values, expected.map(|(path, value)| (path.to_owned(), Value::from(value))));

    let evaluation = evaluate("candidate.slices.all(s, s.rows < 1000 || s.auc >= 0.6)", &facts());
    let paths: Vec<&str> = evaluation.values.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        ["candidate.slices[origin=EWR].rows", "candidate.slices[origin=EWR].auc", "candidate.slices[carrier=OO].rows"]
    );
}

#[test]
fn clauses_after_a_false_one_are_not_evaluated() {
    let evaluation = evaluate("candidate.auc > 0.9 && champion.auc > 0.5", &facts());
    assert_eq!(evaluation.values.len(), 1);
}

#[test]
fn without_a_champion_clauses_that_name_it_are_skipped_and_listed() {
    let mut facts = facts();
    facts.as_object_mut().unwrap().remove("champion");
    let expression = parse("candidate.auc >= champion.auc + 0.005 && candidate.auc >= simple.auc");
    assert_eq!(expression.evaluate(&facts).verdict, Verdict::Unknown);
    let evaluation = expression.evaluate_without(&facts, "champion");
    assert_eq!(evaluation.verdict, Verdict::Pass);
    assert_eq!(evaluation.skipped.len(), 1);
    assert_eq!(evaluation.skipped[0].clause, "candidate.auc >= champion.auc + 0.005");
    assert_eq!(evaluation.skipped[0].absent, "champion");

    let evaluation = parse("candidate.auc < 0.5 && (candidate.auc > 0.1 || champion.auc > 0.1)")
        .evaluate_without(&facts, "champion");
    assert_eq!((evaluation.verdict, evaluation.skipped.len()), (Verdict::Fail, 1));

    let evaluation = parse("candidate.auc >= champion.auc").evaluate_without(&facts, "champion");
    assert_eq!((evaluation.verdict, evaluation.skipped.len()), (Verdict::Pass, 1));
}

#[test]
fn steps_and_values_are_bounded() {
    let many = json!({ "list": (0..2000).collect::<Vec<_>>() });
    let evaluation = evaluate("list.all(a, list.all(b, a + b >= 0))", &many);
    assert_eq!(evaluation.verdict, Verdict::Unknown);
    assert_eq!(evaluation.reasons, [format!("more than {EVALUATION_STEPS_MAX} steps")]);
    assert_eq!(evaluation.values.len(), EVALUATION_VALUES_MAX);
}

#[test]
fn a_evaluation_survives_its_record() {
    let evaluation = evaluate("candidate.auc >= 0.5 && candidate.brier < 1", &facts());
    let json = serde_json::to_string(&evaluation).unwrap();
    assert_eq!(serde_json::from_str::<crate::rule::Evaluation>(&json).unwrap(), evaluation);
}
