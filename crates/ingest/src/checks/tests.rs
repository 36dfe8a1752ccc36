use perennial_core::digest::TableSum;
use perennial_core::port::data::{AggregateAnswer, Change, NamedTable, RowAnswer, Severity, Staged, TableRef};
use perennial_core::rule::Verdict;
use perennial_core::schema::Schema;
use proptest::prelude::*;

use perennial_core::sql::is_aggregate;

use perennial_config::{Check, Condition};

use super::{evaluate, plan};

fn check(name: &str, that: &str) -> Check {
    Check { name: name.into(), condition: Condition::Expression(that.into()), at_least: 1.0, severity: Severity::Error }
}

fn staged(rows: Vec<RowAnswer>, aggregates: Vec<AggregateAnswer>) -> Staged {
    let change = Change { added_rows: 0, added: TableSum::default(), removed_rows: 0, removed: TableSum::default() };
    Staged {
        schema: Schema::default(),
        arrived: 10,
        passing: 10,
        quarantined: vec![],
        rows,
        aggregates,
        profile: vec![],
        warnings: vec![],
        change: change.clone(),
        change_all: change,
    }
}

fn answer(name: &str, failed: u64) -> RowAnswer {
    RowAnswer { name: name.into(), rows: 1000, failed, samples: vec![] }
}

#[test]
fn an_expression_is_an_aggregate_only_when_it_calls_one() {
    for yes in ["count(*) > 1", "MAX (x) < 3", "a > 1 AND avg(b) < 2"] {
        assert!(is_aggregate(yes), "{yes}");
    }
    for no in ["count > 1", "name = 'sum(x)'", "\"max(a)\" > 1", "a > 1 -- count(*)", "summary(x) > 1", "abs(max) < 2"]
    {
        assert!(!is_aggregate(no), "{no}");
    }
}

#[test]
fn a_row_check_fails_below_its_share_and_holds_the_load() {
    let mut lenient = check("far", "distance > 10");
    lenient.at_least = 0.999;
    let report = |failed| evaluate(&[lenient.clone()], &staged(vec![answer("far", failed)], vec![]));
    assert_eq!(report(1).results[0].verdict, Verdict::Pass);
    assert!(!report(1).is_held());
    assert_eq!(report(2).results[0].verdict, Verdict::Fail);
    assert!(report(2).is_held());
}

#[test]
fn a_warning_never_holds_and_sets_no_row_aside() {
    let mut warn = check("far", "distance > 10");
    warn.severity = Severity::Warn;
    assert!(!evaluate(&[warn.clone()], &staged(vec![answer("far", 900)], vec![])).is_held());
    assert!(!plan(&[warn], |_| None).unwrap().rows[0].quarantines);
}

#[test]
fn an_aggregate_that_is_null_is_unknown_and_holds() {
    let checks = [check("volume", "avg(x) > 1")];
    let null = AggregateAnswer { name: "volume".into(), holds: None, values: vec![] };
    let report = evaluate(&checks, &staged(vec![], vec![null]));
    assert_eq!(report.results[0].verdict, Verdict::Unknown);
    assert!(report.is_held());
}

#[test]
fn a_reference_to_a_dataset_without_version_is_refused() {
    let condition = Condition::References {
        column: "tailnum".into(),
        dataset: "planes".parse().unwrap(),
        target: "tailnum".into(),
    };
    let known = Check { condition, ..check("plane_known", "") };
    let error = plan(std::slice::from_ref(&known), |_| None).unwrap_err();
    assert_eq!(error.to_string(), "check `plane_known` refers to dataset `planes`, which has no version yet");
    let table = NamedTable { name: "planes".into(), table: TableRef { path: "p".into(), delta_version: 0 } };
    assert_eq!(plan(&[known], |_| Some(table.clone())).unwrap().rows.len(), 1);
}

proptest! {
    #[test]
    fn the_verdict_agrees_with_a_naive_count(failed in 0u64..=1000, at_least in 0.0f64..=1.0) {
        let one = Check { at_least, ..check("c", "x > 1") };
        let report = evaluate(&[one], &staged(vec![answer("c", failed)], vec![]));
        let passes = (1000 - failed) as f64 >= at_least * 1000.0 - 1e-9;
        let exact = ((1000 - failed) as f64 / 1000.0) >= at_least;
        prop_assert_eq!(report.results[0].verdict == Verdict::Pass, exact);
        prop_assert!(!exact || passes);
    }

    #[test]
    fn finding_aggregates_never_panics(text in ".{0,60}") {
        let _ = is_aggregate(&text);
    }
}
