//! Checks of rows, repeated values, references and aggregates, and the profile.

use perennial_core::port::data::{AggregateCheck, NamedTable, RowCheck, RowCondition, ScanPlan, StageInput, TableRef};
use serde_json::json;

use crate::support::{Fixture, StageOptions, TABLE, assert_error};

fn row(name: &str, condition: RowCondition, quarantines: bool) -> RowCheck {
    RowCheck { name: name.into(), condition, quarantines }
}

fn predicate(name: &str, sql: &str) -> RowCheck {
    row(name, RowCondition::Predicate(sql.into()), true)
}

fn aggregates(checks: &[(&str, &str)]) -> ScanPlan {
    let check =
        |(name, expression): &(&str, &str)| AggregateCheck { name: (*name).into(), expression: (*expression).into() };
    ScanPlan { rows: Vec::new(), aggregates: checks.iter().map(check).collect() }
}

#[tokio::test]
async fn failing_rows_are_quarantined_and_null_passes() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "x,y\n1,a\n-2,b\n,c\n-4,d\n5,bad\n");
    let plan = ScanPlan {
        rows: vec![
            predicate("positive", "x > 0"),
            predicate("known", "y IN ('a', 'b', 'c', 'd')"),
            row("even", RowCondition::Predicate("x % 2 = 0".into()), false),
        ],
        aggregates: Vec::new(),
    };
    let (_, staged) = fixture.load(&StageOptions::files(&["a.csv"]).plan(plan)).await;
    assert_eq!((staged.arrived, staged.passing), (5, 2));
    assert_eq!(staged.quarantined, [("positive".to_owned(), 2), ("known".to_owned(), 1)]);
    let answers: Vec<(&str, u64, u64)> = staged.rows.iter().map(|a| (a.name.as_str(), a.rows, a.failed)).collect();
    assert_eq!(answers, [("positive", 5, 2), ("known", 5, 1), ("even", 5, 2)]);
    assert_eq!(staged.rows[0].samples, ["a.csv line 3: x = -2", "a.csv line 5: x = -4"]);
    assert_eq!(fixture.rows("SELECT x FROM rows ORDER BY x NULLS FIRST").await, [[json!(null)], [json!(1)]]);
}

#[tokio::test]
async fn every_row_of_a_repeated_value_is_quarantined_with_samples() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "x,y\n1,a\n2,b\n1,c\n,d\n,e\n");
    let unique = |quarantines| ScanPlan {
        rows: vec![row("once", RowCondition::Unique(vec!["x".into()]), quarantines)],
        aggregates: Vec::new(),
    };
    let (_, staged) = fixture.stage(&StageOptions::files(&["a.csv"]).plan(unique(false))).await.unwrap();
    assert_eq!((staged.passing, staged.rows[0].failed), (5, 2));
    assert_eq!(staged.rows[0].samples, ["a.csv line 2: x = 1", "a.csv line 4: x = 1"]);
    let (_, staged) = fixture.load(&StageOptions::files(&["a.csv"]).plan(unique(true))).await;
    assert_eq!((staged.passing, staged.quarantined), (3, vec![("once".to_owned(), 2)]));
    assert_eq!(fixture.rows("SELECT y FROM rows ORDER BY y").await, [[json!("b")], [json!("d")], [json!("e")]]);
}

#[tokio::test]
async fn references_read_the_other_table_and_null_passes() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"tail\": \"N1\"}\n{\"tail\": \"N2\"}\n")).await;
    let planes = NamedTable { name: "planes".into(), table: fixture.base().await.unwrap() };
    let check = |column: &str, target: &str| ScanPlan {
        rows: vec![row(
            "plane_known",
            RowCondition::References { column: column.into(), table: planes.clone(), target: target.into() },
            true,
        )],
        aggregates: Vec::new(),
    };
    fixture.write("a.csv", "tail,n\nN1,1\nN9,2\n,3\n");
    let mut options = StageOptions::files(&["a.csv"]).plan(check("tail", "tail"));
    options.evolve = true;
    let (_, staged) = fixture.stage(&options).await.unwrap();
    assert_eq!((staged.passing, staged.rows[0].failed), (2, 1));
    assert_eq!(staged.rows[0].samples, ["a.csv line 3: tail = N9"]);
    options.plan = check("n", "tail");
    assert_error(
        &fixture.stage(&options).await.unwrap_err(),
        "sql",
        &["plane_known", "`n` (int)", "`planes.tail` (text)"],
    );
    options.plan = check("tail", "nothing");
    assert_error(&fixture.stage(&options).await.unwrap_err(), "sql", &["plane_known", "planes.nothing"]);
}

#[tokio::test]
async fn aggregates_read_all_arriving_rows_and_report_their_values() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "x\n1\n2\n-3\n");
    let mut plan = aggregates(&[
        ("volume", "count(*) BETWEEN 1 AND 9 AND avg(x) >= 0"),
        ("spread", "max(x) - min(x) < 5"),
        ("unknown", "sum(nullif(x, x)) > 0"),
    ]);
    plan.rows.push(predicate("positive", "x > 0"));
    let (_, staged) = fixture.stage(&StageOptions::files(&["a.csv"]).plan(plan)).await.unwrap();
    let holds: Vec<Option<bool>> = staged.aggregates.iter().map(|answer| answer.holds).collect();
    assert_eq!(holds, [Some(true), Some(false), None]);
    assert_eq!(staged.aggregates[0].values[0], ("count(*)".to_owned(), json!(3)));
    assert_eq!(staged.aggregates[1].values.len(), 2);
}

#[tokio::test]
async fn aggregates_of_no_rows_are_evaluated() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "x\n");
    let (_, staged) =
        fixture.stage(&StageOptions::files(&["a.csv"]).plan(aggregates(&[("some", "count(*) > 0")]))).await.unwrap();
    assert_eq!(staged.aggregates[0].holds, Some(false));
}

#[tokio::test]
async fn checks_that_do_not_compile_are_named_with_their_expression() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "x\n1\n");
    for (plan, parts) in [
        (ScanPlan { rows: vec![predicate("c", "z > 0")], ..ScanPlan::default() }, vec!["check `c`", "z"]),
        (ScanPlan { rows: vec![predicate("c", "x +")], ..ScanPlan::default() }, vec!["check `c`"]),
        (
            ScanPlan { rows: vec![predicate("c", "x + 1")], ..ScanPlan::default() },
            vec!["check `c`", "expected true or false"],
        ),
        (aggregates(&[("c", "x > 0")]), vec!["check `c`", "not an aggregate"]),
        (aggregates(&[("c", "count(*)")]), vec!["check `c`", "expected true or false"]),
        (aggregates(&[("c", "count(z) > 0")]), vec!["check `c`", "z"]),
    ] {
        assert_error(&fixture.stage(&StageOptions::files(&["a.csv"]).plan(plan)).await.unwrap_err(), "sql", &parts);
    }
}

#[tokio::test]
async fn the_profile_describes_each_column() {
    let fixture = Fixture::new();
    let sql = "SELECT CAST(value AS BIGINT) AS n, CASE WHEN value % 4 = 0 THEN NULL ELSE 'c' || (value % 3) END AS t, \
               value % 2 = 0 AS b FROM generate_series(1, 10000)";
    let (_, staged) =
        fixture.stage(&StageOptions::new(StageInput::Sql { sql: sql.into(), tables: Vec::new() })).await.unwrap();
    let [n, t, b] = staged.profile.as_slice() else { panic!("three columns") };
    assert_eq!((n.rows, n.nulls, &n.min, &n.max), (10_000, 0, &Some(json!(1)), &Some(json!(10_000))));
    assert_eq!(n.mean, Some(5000.5));
    assert!((n.distinct as f64 - 10_000.0).abs() < 300.0, "{}", n.distinct);
    let [low, .., high] = n.quantiles.unwrap();
    assert!((low - 500.0).abs() < 50.0 && (high - 9500.0).abs() < 50.0, "{low} {high}");
    assert_eq!((t.nulls, t.distinct, t.top.len()), (2500, 3, 3));
    assert_eq!((b.class.as_str(), &b.top[0]), ("bool", &("false".to_owned(), 5000)));
}

#[tokio::test]
async fn a_row_is_counted_for_the_first_check_it_fails() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "x\n-1\n");
    let plan =
        ScanPlan { rows: vec![predicate("first", "x > 0"), predicate("second", "x > 1")], aggregates: Vec::new() };
    let (_, staged) = fixture.stage(&StageOptions::files(&["a.csv"]).plan(plan)).await.unwrap();
    assert_eq!(staged.quarantined, [("first".to_owned(), 1)]);
    assert_eq!(staged.rows.iter().map(|answer| answer.failed).collect::<Vec<_>>(), [1, 1]);
    let table = TableRef { path: TABLE.into(), delta_version: 0 };
    assert!(fixture.base().await.is_none(), "{table:?} is not there yet");
}
