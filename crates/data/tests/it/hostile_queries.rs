//! Queries that would take all memory or all threads are refused or ended, and others run meanwhile.

use std::time::Duration;

use perennial_core::Error;
use perennial_core::port::data::{DataEngine, QueryRequest};
use serde_json::json;

use crate::support::{Fixture, assert_error};

async fn ask(fixture: &Fixture, sql: &str) -> Result<Vec<Vec<serde_json::Value>>, Error> {
    let request = QueryRequest { sql: sql.to_owned(), tables: Vec::new(), limit: 10 };
    fixture.engine.query(request).await.map(|page| page.rows)
}

/// `count` times `text`, with commas.
fn list_of(text: &str, count: usize) -> String {
    vec![text; count].join(", ")
}

/// A query over one row with `t` (a text of 20 MB), `l` (a list of 5,000,000 numbers) and `n` (10,000,000,000), which the
/// planner cannot compute.
fn over_large_values(select: &str) -> String {
    format!(
        "SELECT x FROM (SELECT {select} AS x FROM (SELECT repeat('x', value * 20) AS t, \
         range(0, value * 5) AS l, repeat('y', value / 10) AS s, array_repeat('a', value / 10) AS a, value * 10000 AS n \
         FROM range(1000000, 1000001)))"
    )
}

#[tokio::test]
async fn a_function_that_would_exceed_the_memory_is_refused_before_it_runs() {
    let fixture = Fixture::new();
    let groups = "(".repeat(600) + "x" + &")".repeat(600);
    let long = "z".repeat(1_100);
    for (function, call) in [
        ("array_concat", format!("array_concat({})", list_of("l", 260))),
        ("array_has_all", "array_has_all(l, l)".into()),
        ("array_has_any", "array_has_any(array_repeat(1, n / 100000), array_repeat(2, n / 100000))".into()),
        ("array_repeat", "array_repeat('x', n)".into()),
        ("array_replace", "array_replace(a, 'a', s)".into()),
        ("array_replace_all", "array_replace_all(a, 'a', s)".into()),
        ("array_replace_n", "array_replace_n(a, 'a', s, 100000)".into()),
        ("array_resize", "array_resize([1], n, 7)".into()),
        ("array_to_string", "array_to_string(a, s)".into()),
        ("arrays_zip", format!("arrays_zip(l, {})", list_of("[1]", 99))),
        ("concat", format!("concat({})", list_of("t", 520))),
        ("concat_ws", format!("concat_ws(t, {})", list_of("'a'", 520))),
        ("||", vec!["t"; 520].join(" || ")),
        ("levenshtein", "levenshtein(s, s)".into()),
        ("lpad", "lpad('x', CAST(n / 4 AS BIGINT), 'y')".into()),
        ("rpad", "rpad('x', CAST(n / 4 AS BIGINT), 'y')".into()),
        ("overlay", "overlay(repeat('x', n / 100) PLACING repeat('x', n / 80) FROM 1)".into()),
        ("range", "range(0, n)".into()),
        ("range", "range(TIMESTAMP '1970-01-01', to_timestamp(n / 2), INTERVAL '1 second')".into()),
        ("generate_series", "generate_series(0, -n, -1)".into()),
        (
            "generate_series",
            "generate_series(to_date('1970-01-01'), to_date('1970-01-09'), INTERVAL '1 month -30 days')".into(),
        ),
        ("regexp_match", format!("regexp_match(t, '{groups}')")),
        ("regexp_replace", format!("regexp_replace(t, '', '{long}', 'g')")),
        ("repeat", "repeat('x', n)".into()),
        ("replace", format!("replace(t, 'x', '{long}')")),
        ("strpos", "strpos(t, s)".into()),
        ("to_char", format!("to_char(to_timestamp(0), {})", "repeat('%+', n / 1000)")),
    ] {
        let refused = ask(&fixture, &over_large_values(&call)).await.expect_err(&call);
        assert!(refused.message().contains(&format!("`{function}`")), "{call}: {}", refused.message());
        assert!(["too-large", "sql"].contains(&refused.code().name()), "{call}: {refused:?}");
    }
    // Nothing stays reserved.
    assert_eq!(
        ask(&fixture, "SELECT octet_length(repeat('x', value)) FROM range(200000000, 200000001)").await.unwrap(),
        [[json!(200_000_000)]]
    );
}

#[tokio::test]
async fn a_constant_that_would_exceed_the_memory_is_refused_when_it_is_planned() {
    let fixture = Fixture::new();
    for (sql, part) in [
        ("SELECT repeat('x', 10000000000)", "`repeat` would make values of up to"),
        ("SELECT range(0, 10000000000)", "`range` would make values of up to"),
        ("SELECT * FROM range(0, octet_length(repeat('x', 10000000000)))", "must be an INTEGER"),
        ("SELECT 1 LIMIT octet_length(repeat('x', 10000000000))", "Unsupported LIMIT"),
        ("SELECT repeat('x', 2000000)", "`repeat` makes a constant text of"),
        // A small text that each of many rows repeats.
        ("SELECT repeat('x', 1000000) FROM range(0, 100000)", "its constants would take"),
        ("SELECT CASE value WHEN 1 THEN repeat('x', 1000000) END FROM range(0, 100000)", "its constants would take"),
    ] {
        let refused = ask(&fixture, sql).await.expect_err(sql);
        assert!(refused.message().contains(part), "{sql}: {}", refused.message());
    }
    assert_eq!(ask(&fixture, "SELECT octet_length(repeat('x', 1000000))").await.unwrap(), [[json!(1_000_000)]]);
    assert_eq!(
        ask(&fixture, "SELECT count(*) FROM (SELECT unnest(range(0, 1000000)))").await.unwrap(),
        [[json!(1_000_000)]]
    );
}

#[tokio::test]
async fn results_within_the_memory_are_those_of_the_function() {
    let fixture = Fixture::new();
    // 100 texts of 200 kB: more than is computed at once.
    let sql = "SELECT count(*), sum(octet_length(t)), min(substr(t, 1, 4)), max(t = repeat(lpad(CAST(value AS TEXT), 4, '0'), 50000)) \
               FROM (SELECT value, repeat(lpad(CAST(value AS TEXT), 4, '0'), 50000) AS t FROM range(0, 100))";
    assert_eq!(ask(&fixture, sql).await.unwrap(), [[json!(100), json!(20_000_000), json!("0000"), json!(true)]]);
    for (expression, expected) in [
        ("'a' || 'b' || 1", json!("ab1")),
        ("'a' || NULL", json!(null)),
        ("concat('a', NULL, 'b')", json!("ab")),
        ("[1] || [2]", json!([1, 2])),
        ("overlay('abcd' PLACING 'xx' FROM 2 FOR 2)", json!("axxd")),
        ("regexp_replace('a1b22', '[0-9]+', '<\\1>', 'g')", json!("a<>b<>")),
        ("to_char(DATE '2013-01-02', '%d.%m.%Y')", json!("02.01.2013")),
        ("array_to_string([1, NULL, 3], '-', '?')", json!("1-?-3")),
        ("levenshtein('kitten', 'sitting')", json!(3)),
        ("strpos('abc', 'c')", json!(3)),
        ("range(3)", json!([0, 1, 2])),
        ("array_length(generate_series(DATE '2013-01-01', DATE '2013-12-01', INTERVAL '1 month'))", json!(12)),
    ] {
        assert_eq!(ask(&fixture, &format!("SELECT {expression}")).await.unwrap(), [[expected]], "{expression}");
    }
}

#[tokio::test]
async fn rows_that_are_copied_too_often_are_refused() {
    let fixture = Fixture::new();
    let wide = "(SELECT repeat('x', value) AS t FROM range(1000000, 1000001))";
    for (sql, part) in [
        (format!("SELECT t, b.value FROM {wide} AS a CROSS JOIN range(0, 100000) AS b"), "`JOIN` copies a row of"),
        (
            format!("SELECT t, b.value FROM {wide} AS a JOIN range(0, 100000) AS b ON octet_length(a.t) % 2 = b.value % 2"),
            "`JOIN` copies a row of",
        ),
        (
            "SELECT t, unnest(range(0, octet_length(t) * 20)) FROM (SELECT repeat('x', value) AS t FROM range(50000, 50001))".into(),
            "`unnest` copies a row of",
        ),
    ] {
        let refused = ask(&fixture, &sql).await.expect_err(&sql);
        assert_error(&refused, "too-large", &[part]);
    }
}

#[tokio::test]
async fn functions_that_are_not_allowed_are_refused_with_what_to_use_instead() {
    let fixture = Fixture::new();
    for (sql, message, hint) in [
        (
            "SELECT\nversion()",
            "line 2 column 1: `version` is not allowed: it names the version of the engine",
            "--version",
        ),
        ("SELECT arrow_cast(1, 'FixedSizeBinary(1000000000)')", "`arrow_cast` is not allowed", "`CAST(value AS type)`"),
        ("SELECT array_filter([1, 2], x -> x > 1)", "`array_filter` is not allowed", "`unnest`"),
        (
            "SELECT array_agg(value) OVER () FROM range(0, 9)",
            "`array_agg` is not allowed as a window function",
            "GROUP BY",
        ),
        ("SELECT lenght('a')", "line 1 column 8: unknown function `lenght`", "did you mean `length`?"),
        ("SELECT * FROM rnge(1, 2)", "line 1 column 15: unknown table function `rnge`", "did you mean `range`?"),
        ("SELECT CAST([1] AS INT[1000000000])", "states a number of elements", "leave the number out"),
        ("SELECT 'a' ~ t FROM (VALUES ('a'), ('b')) AS v(t)", "depends on the row", ""),
        ("SELECT regexp_like('a', t) FROM (VALUES ('a'), ('b')) AS v(t)", "depends on the row", ""),
    ] {
        let refused = ask(&fixture, sql).await.expect_err(sql);
        assert_error(&refused, "sql", &[message]);
        assert!(refused.hint().unwrap_or_default().contains(hint), "{sql}: {:?}", refused.hint());
    }
}

#[tokio::test]
async fn quadratic_queries_end_with_their_caller_and_others_run_meanwhile() {
    let fixture = Fixture::new();
    // Each would take hours without a row of result, so that no operator yields.
    let hostile = [
        "SELECT count(*) FROM range(0, 1000000) AS a JOIN range(0, 1000000) AS b ON a.value + b.value < 0",
        "SELECT count(*) FROM range(0, 1000000) AS a JOIN range(0, 1000000) AS b ON a.value % 2 = b.value % 2 AND a.value + b.value < 0",
        "SELECT count(*) FROM range(0, 1000000) AS a LEFT JOIN range(0, 1000000) AS b ON a.value * b.value = -1",
        "SELECT count(*) FROM range(0, 1000000) AS a WHERE NOT EXISTS (SELECT 1 FROM range(0, 1000000) AS b WHERE a.value + b.value < 0)",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    ];
    let running = hostile.map(|sql| {
        let engine = fixture.engine.clone();
        tokio::spawn(async move { engine.query(QueryRequest { sql: sql.into(), tables: Vec::new(), limit: 1 }).await })
    });
    let within = |work| tokio::time::timeout(Duration::from_secs(60), work);
    for _ in 0..20 {
        let meanwhile = within(ask(&fixture, "SELECT count(*) FROM range(0, 1000)")).await;
        assert_eq!(meanwhile.expect("an answer in time").unwrap(), [[json!(1_000)]]);
    }
    for (query, sql) in running.into_iter().zip(hostile) {
        assert!(!query.is_finished(), "{sql}");
        query.abort();
    }
    // As many at once as may run: none of those that were given up runs any more.
    let many = (0..6).map(|_| ask(&fixture, "SELECT count(*) FROM range(0, 1000)"));
    let all = tokio::time::timeout(Duration::from_secs(60), futures::future::join_all(many)).await;
    assert!(all.expect("answers in time").into_iter().all(|answer| answer.is_ok()));
}

#[tokio::test]
async fn a_recursion_that_grows_is_refused() {
    let fixture = Fixture::new();
    let sql = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT a.i FROM n AS a CROSS JOIN range(0, 1000)) SELECT count(*) FROM n";
    let refused = tokio::time::timeout(Duration::from_secs(120), ask(&fixture, sql)).await.expect("it ends");
    assert_error(&refused.unwrap_err(), "too-large", &["memory"]);
}

#[tokio::test]
async fn huge_texts_and_lists_are_refused_or_answered() {
    let fixture = Fixture::new();
    let numbers: Vec<String> = (0..150_000).map(|number| number.to_string()).collect();
    let in_list = format!("SELECT count(*) FROM range(0, 1000) WHERE value IN ({})", numbers.join(","));
    assert_eq!(ask(&fixture, &in_list).await.unwrap(), [[json!(1_000)]]);
    let columns = |count: usize| {
        let columns: Vec<String> = (0..count).map(|column| format!("value + {column} AS c{column}")).collect();
        format!("SELECT {} FROM range(0, 3)", columns.join(", "))
    };
    assert_eq!(ask(&fixture, &columns(3_000)).await.unwrap()[0].len(), 3_000);
    let long = format!("SELECT octet_length('{}')", "x".repeat(1_000_000));
    assert_eq!(ask(&fixture, &long).await.unwrap(), [[json!(1_000_000)]]);
    let long = format!("SELECT '{}' FROM range(0, 100000)", "x".repeat(1_000_000));
    assert_error(&ask(&fixture, &long).await.unwrap_err(), "too-large", &["its constants would take"]);
    let too_long = format!("SELECT '{}'", "x".repeat(2 << 20));
    assert_error(&ask(&fixture, &too_long).await.unwrap_err(), "too-large", &["the query has"]);
}
