//! Hostile texts in every field that takes one, and every page that shows them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use super::attempt::{Kind, Outcome, kind};
use super::project::ALPHA;
use super::target::{Target, shortened};
use crate::chance::Chance;

pub(super) const KINDS: &[Kind] = &[
    kind!("hostile texts in tracking", tracking),
    kind!("hostile texts in projects and data", projects),
    kind!("filters and orders of searches", searches),
    kind!("pages after hostile texts", pages),
];

/// Pages that are read at most.
const PAGES_MAX: usize = 200;

/// Texts that become markup, a script, a query, a control sequence or a command where they are not kept as text.
fn texts(chance: &mut Chance) -> Vec<String> {
    let number = chance.below(1_000_000);
    vec![
        format!("<script>alert({number})</script>"),
        format!("\"><img src=x onerror=alert({number})>"),
        format!("'><svg/onload=alert({number})>"),
        format!("</title></textarea><script>alert({number})</script>"),
        format!("javascript:alert({number})"),
        format!("{{{{{number}*7}}}}${{{number}*7}}#{{{number}}}"),
        format!("'; DROP TABLE runs; -- {number}"),
        format!("\" OR 1=1 -- {number}"),
        format!("=cmd|' /C calc'!A{number}"),
        format!("\u{1b}[31mred{number}\u{1b}]0;title\u{7}"),
        format!("\u{202e}gpj.{number}\u{2066}"),
        format!("a\r\nSet-Cookie: s={number}\r\n\r\n<script>alert(1)</script>"),
        format!("$(touch /tmp/{number})`id`"),
        format!("%s%n%x{number}"),
        "x".repeat(10_000),
        "\u{0}".to_owned() + &number.to_string(),
    ]
}

async fn tracking(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let experiment = target.alpha_ids["experiment"].clone();
    for text in texts(&mut chance) {
        let run = json!({ "experiment_id": experiment, "run_name": text, "tags": [{ "key": "mlflow.note.content", "value": text }] });
        let path = "/api/2.0/mlflow/runs/create";
        let (status, made) = target.ask(&target.contributor, Method::POST, path, Some(&run)).await;
        outcome.add(target.hole(&target.contributor, path, status, &made.to_string()));
        let run = made["run"]["info"]["run_id"].as_str().unwrap_or(&target.alpha_ids["run"]).to_owned();
        let calls: [(&str, Value); 7] = [
            ("runs/set-tag", json!({ "run_id": run, "key": text, "value": text })),
            ("runs/log-parameter", json!({ "run_id": run, "key": text, "value": text })),
            ("runs/log-metric", json!({ "run_id": run, "key": text, "value": 1, "timestamp": 1 })),
            ("runs/update", json!({ "run_id": run, "run_name": text })),
            ("experiments/create", json!({ "name": text, "artifact_location": text })),
            ("experiments/set-experiment-tag", json!({ "experiment_id": experiment, "key": "note", "value": text })),
            (
                "runs/log-inputs",
                json!({ "run_id": run, "datasets": [{ "dataset": { "name": text, "digest": "d", "source_type": text, "source": text, "schema": text }, "tags": [{ "key": text, "value": text }] }] }),
            ),
        ];
        for (call, body) in calls {
            let path = format!("/api/2.0/mlflow/{call}");
            let (status, answer) = target.ask(&target.contributor, Method::POST, &path, Some(&body)).await;
            outcome.add(target.hole(&target.contributor, &path, status, &answer.to_string()));
        }
        // The answer that repeats the text is JSON, and no browser takes it for a page.
        let answer =
            target.send(&target.contributor, "GET", &format!("/api/2.0/mlflow/runs/get?run_id={run}"), b"").await;
        let kind = answer.header("content-type").unwrap_or_default().to_owned();
        let is_data =
            kind.starts_with("application/json") && answer.header("x-content-type-options") == Some("nosniff");
        outcome.expect(is_data, || format!("a run is answered as `{kind}`: {}", answer.head));
    }
    outcome
}

/// Files by name.
type Files<'a> = Vec<(&'a str, &'a [u8])>;

/// Names and texts of the project file and of rows. What is refused is refused; what is accepted is shown as text.
async fn projects(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let texts: Vec<String> = texts(&mut chance).into_iter().filter(|text| !text.contains('\u{0}')).collect();
    let mut rows = "id,text,value\n".to_owned();
    for (row, text) in texts.iter().enumerate() {
        let _ = writeln!(rows, "{row},\"{}\",1", text.replace('"', "\"\""));
    }
    let header = format!("id,\"{}\"\n1,2\n", chance.choose(&texts).replace('"', "\"\""));
    let text = chance.choose(&texts).clone();
    let quoted = serde_json::to_string(&text).unwrap();
    let changes: [(String, Files<'_>); 4] = [
        (
            "\n[datasets.hostile]\nsource = { files = \"hostile.csv\" }\nmode = \"replace\"\n\n[checks.hostile]\nwrong = \"value > 1\"\n".to_owned(),
            vec![("hostile.csv", rows.as_bytes())],
        ),
        (
            "\n[datasets.hostile]\nsource = { files = \"hostile.csv\" }\nmode = \"replace\"\n".to_owned(),
            vec![("hostile.csv", header.as_bytes())],
        ),
        (format!("\n[steps.{quoted}]\nsql = \"sql/features.sql\"\n"), vec![]),
        (
            format!("\n[steps.hostile]\nrun = [\"printf\", \"%s\", {quoted}]\nenv = \"system\"\noutputs = {{ a = {{ path = \"a\" }} }}\n"),
            vec![],
        ),
    ];
    for (added, files) in &changes {
        let steps: &[&str] = if added.contains("[steps.hostile]") { &["hostile"] } else { &["features"] };
        let (status, answer) = target.run_changed(added, files, steps).await;
        outcome.add(target.hole(&target.contributor, added, status, &answer.to_string()));
    }
    for text in texts.into_iter().take(3) {
        let body = json!({ "kind": "run", "options": { "steps": ["features"] }, "cause": text });
        let path = format!("/api/v1/projects/{ALPHA}/pipeline-runs");
        let (status, answer) = target.ask(&target.contributor, Method::POST, &path, Some(&body)).await;
        outcome.add(target.hole(&target.contributor, "a cause", status, &answer.to_string()));
        let body = json!({ "name": text, "role": "viewer", "project": ALPHA });
        let (status, answer) = target.ask(&target.administrator, Method::POST, "/api/v1/tokens", Some(&body)).await;
        outcome.add(target.hole(&target.viewer, "the name of a token", status, &answer.to_string()));
    }
    outcome
}

/// A filter is parsed, never part of a statement.
async fn searches(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let experiments = json!([target.alpha_ids["experiment"]]);
    let path = "/api/2.0/mlflow/runs/search";
    for text in texts(&mut chance) {
        let quoted = text.replace('\'', "''");
        for (field, value) in [
            ("filter", json!(format!("params.a = '{text}'"))),
            ("filter", json!(format!("params.a = '{quoted}' OR 1 = 1"))),
            ("filter", json!(format!("metrics.`{text}` > 1"))),
            ("filter", json!(text)),
            ("order_by", json!([text])),
            ("order_by", json!([format!("metrics.m DESC; {text}")])),
            ("page_token", json!(text)),
        ] {
            let mut body = json!({ "experiment_ids": experiments, "max_results": 5 });
            body[field] = value;
            let (status, answer) = target.ask(&target.viewer, Method::POST, path, Some(&body)).await;
            outcome.add(target.hole(
                &target.viewer,
                &format!("{field} `{}`", shortened(&text)),
                status,
                &answer.to_string(),
            ));
        }
        let body =
            json!({ "experiment_ids": experiments, "filter": format!("attributes.run_id = 'x' OR '1' = '1' {text}") });
        let (status, answer) = target.ask(&target.viewer, Method::POST, path, Some(&body)).await;
        outcome.expect(status == 400, || format!("a filter with OR is answered {status}: {answer}"));
    }
    outcome
}

/// Every page that links lead to: hostile texts are escaped, and the policy forbids scripts of the page.
async fn pages(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = tracking(target, chance.fork()).await;
    outcome.extend(projects(target, chance.fork()).await);
    let (mut seen, mut open) = (BTreeSet::new(), vec![format!("/p/{ALPHA}"), "/".to_owned()]);
    while let Some(path) = open.pop() {
        if seen.len() >= PAGES_MAX || !seen.insert(path.clone()) {
            continue;
        }
        let page = target.page(&target.administrator, &path).await;
        outcome.expect([200, 303, 404].contains(&page.status), || format!("{path} is answered {}", page.status));
        if !page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            continue;
        }
        let policy = page.header("content-security-policy").unwrap_or_default();
        let is_strict = policy.contains("default-src 'none'") && !policy.contains("unsafe");
        outcome.expect(is_strict, || format!("the policy of {path} is `{policy}`"));
        for part in ["<script>alert", "<img src=x", "<svg/onload", "\u{1b}", "href=\"javascript:", "</textarea><script"]
        {
            outcome.expect(!page.body.contains(part), || {
                let at = page.body.find(part).unwrap_or(0);
                format!("{path} contains `{}`: {}", part.escape_debug(), shortened(&page.body[at..]))
            });
        }
        let links = page.body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let own = links
            .filter(|link| link.starts_with('/') && !link.starts_with("/assets/") && !link.starts_with("/p/bravo"));
        open.extend(own.map(|link| link.replace("&#38;", "&").replace("&amp;", "&")));
    }
    outcome.expect(seen.len() > 10, || format!("only {} pages are linked", seen.len()));
    outcome
}
