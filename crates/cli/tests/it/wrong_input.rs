//! Wrong input to the built binary: each error message says where the mistake is, what was expected, and what to do.
//! The crate that finds a mistake tests its details; these tests check that the message reaches the user.

use std::fmt::Write as _;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::drifting::{self, month};
use crate::support::{Place, Server, text};
use crate::toml_text::set;

/// Fails unless `output` contains each of `words`.
fn assert_contains(case: &str, output: &str, words: &[&str]) {
    for word in words {
        assert!(output.contains(word), "{case}: `{word}` is not in:\n{output}");
    }
}

/// Runs a command that must fail with exit status 1; gives its standard error.
fn refused(place: &Place, case: &str, args: &[&str]) -> String {
    let ended = place.run(args);
    let output = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{case}: {}\n{output}", text(&ended.stdout));
    output
}

#[test]
fn a_wrong_file_is_refused_by_name_and_loads_nothing() {
    let place = Place::with_file(
        r#"[project]
name = "inputs"

[datasets.rows]
source = { files = "data/*.csv" }
key = ["id"]

[datasets.columns]
source = { files = "data/*.parquet" }
"#,
    );
    place.write("data/a.csv", "id,size\n1,10\n2,20\n");
    place.good(&["run"]);
    let cases: [(&str, &str, &[u8], &[&str]); 5] = [
        (
            "broken Parquet",
            "data/b.parquet",
            b"PAR1 and then nothing",
            &["b.parquet", "not a complete Parquet file", "hint"],
        ),
        (
            "a short row",
            "data/b.csv",
            b"id,size\n3,30\n4\n",
            &["data/b.csv line 3", "expected 2 columns, got 1", "hint"],
        ),
        ("a column that is gone", "data/b.csv", b"id\n3\n", &["data/b.csv", "`size`", "missing", "evolve"]),
        (
            "a column of another type",
            "data/b.csv",
            b"id,size\n3,large\n",
            &["data/b.csv line 2", "column `size`", "`large`", "expected int", "hint"],
        ),
        ("a changed file", "data/a.csv", b"id,size\n1,11\n", &["data/a.csv", "loaded before", "on_change"]),
    ];
    for (case, path, content, words) in cases {
        place.write(path, content);
        assert_contains(case, &refused(&place, case, &["run"]), words);
        assert_eq!(place.query("SELECT sum(size) FROM rows"), [[json!(30)]], "{case}");
        let alerts = firing(&place);
        assert!(alerts.len() == 1 && alerts[0].contains(path), "{case}: {alerts:?}");
        std::fs::remove_file(place.path().join(path)).unwrap();
    }
    place.write("data/a.csv", "id,size\n1,10\n2,20\n");
    place.good(&["run"]);
    assert!(firing(&place).is_empty(), "the alert is not resolved");
    let (there, away) = (place.path().join("data/b.csv"), place.path().join("away.csv"));
    place.write("data/b.csv", "id,size\n3,30\n4\n");
    for _ in 0..2 {
        refused(&place, "the same file", &["run"]);
        assert_eq!(firing(&place).len(), 1, "a file that returns unchanged fires one alert again");
        std::fs::rename(&there, &away).unwrap();
        place.good(&["run"]);
        assert!(firing(&place).is_empty());
        std::fs::rename(&away, &there).unwrap();
    }
    place.write("data/b.csv", "id,size\n3,30\n4\n");
    place.write("data/c.csv", "id,size\n5,50\n");
    assert_contains("one of two", &refused(&place, "one of two", &["run"]), &["data/b.csv line 3"]);
    assert_eq!(place.query("SELECT sum(size) FROM rows"), [[json!(80)]], "the other file is loaded");
    place.write("data/b.csv", "id,size\n2,21\n3,30\n3,31\n");
    place.good(&["run"]);
    assert_eq!(
        place.query("SELECT id, size FROM rows ORDER BY id"),
        [[json!(1), json!(10)], [json!(2), json!(20)], [json!(3), json!(30)], [json!(5), json!(50)]]
    );
    let aside = place.good(&["data", "quarantine", "rows"]);
    assert_contains("a repeated key", &aside, &["key", "21", "31"]);
    assert!(place.good(&["verify"]).contains("is intact"));
}

/// The messages of the firing alerts.
fn firing(place: &Place) -> Vec<String> {
    let alerts = place.json(&["alerts"])["items"].as_array().unwrap().clone();
    let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
    firing.map(|alert| alert["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_new_column_is_reported_and_may_be_missing_later_and_a_null_key_is_quarantined() {
    let place = Place::with_file(
        "[project]\nname = \"inputs\"\n\n[datasets.rows]\nsource = { files = \"data/*.csv\" }\nkey = [\"id\"]\n",
    );
    place.write("data/a.csv", "id,size\n1,10\n");
    place.good(&["run"]);
    place.write("data/b.csv", "id,size,colour\n2,20,red\n");
    let output = text(&place.run(&["run"]).stderr);
    assert_contains("a new column", &output, &["column `colour` (text) is new", "null in the rows before"]);
    place.write("data/c.csv", "id,size\n3,30\n,40\n");
    let output = text(&place.run(&["run"]).stderr);
    assert_contains("a null key", &output, &["1 set aside by `null key`", "column `colour` has no value in it"]);
    assert_eq!(place.query("SELECT count(*), count(colour), count(id) FROM rows"), [[json!(3), json!(1), json!(3)]]);
    let shown = place.good(&["data", "show", "rows"]);
    assert_contains("the load", &shown, &["column `colour` (text) is new"]);
}

#[test]
fn the_message_of_a_failed_step_gives_the_reason_and_the_remedy() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "42").unwrap();
    let steps: [(&str, String, &str, &[&str]); 7] = [
        (
            "exits",
            "echo about to fail; exit 1".to_owned(),
            "",
            &["exited with status 1", "about to fail", "perennial logs exits"],
        ),
        ("killed", "kill -9 $$".to_owned(), "", &["was killed by signal 9", "perennial logs killed"]),
        ("slow", "sleep 60".to_owned(), "time = \"1 s\"", &["ran into its time limit", "`limits.time`"]),
        (
            "greedy",
            "x=x; while :; do x=$x$x; done".to_owned(),
            "memory = \"64 MB\"",
            &["ran into its memory limit of 64 MB", "`limits.memory`"],
        ),
        ("silent", "true".to_owned(), "", &["left nothing at `out`", "its output `out`", "$PERENNIAL_OUTPUT_OUT"]),
        (
            "peeks",
            format!("cat {} > out", secret.display()),
            "",
            &["the step may not access", "reads only what it declares"],
        ),
        (
            "litters",
            format!("echo x > {}; cp /etc/hostname out", outside.path().join("left").display()),
            "",
            &["the step may not access", "writes only in its own folder"],
        ),
    ];
    let mut file = "[project]\nname = \"steps\"\n".to_owned();
    for (name, script, limits, _) in &steps {
        let run = format!("run = [\"sh\", \"-ec\", '{script}']\nenv = \"system\"");
        let bounds = format!("outputs = {{ out = {{ path = \"out\" }} }}\nlimits = {{ {limits} }}");
        writeln!(file, "\n[steps.{name}]\n{run}\n{bounds}").unwrap();
    }
    let place = Place::with_file(&file);
    for (name, _, _, words) in &steps {
        let output = refused(&place, name, &["run", name]);
        assert_contains(name, &output, &[&format!("step `{name}`")]);
        assert_contains(name, &output, words);
    }
    assert!(place.good(&["logs", "exits"]).contains("about to fail"), "the log of a failed attempt is kept");
    assert!(!outside.path().join("left").exists(), "a step wrote outside its folder");
}

#[test]
fn every_mistake_in_a_project_file_is_reported_with_its_place() {
    let file = set(drifting::FILE, "gates.better", "'candidate.acu >= champion.auc'");
    let file = set(&file, "task.targed", "'late'");
    let file = set(&file, "datasets.asked.source.every", "'monthly'");
    let file = set(&file, "steps.evaluation.evaluate", "['train', 'simpel']");
    let file = set(&file, "endpoints.late.canary.share", "1.5");
    let place = drifting::place(&file);
    let mistakes: [(&str, &[&str]); 5] = [
        ("an unknown metric", &["candidate.acu", "auc"]),
        ("an unknown key", &["targed", "target"]),
        ("a text that is not a duration", &["monthly", "1 month"]),
        ("an unknown step", &["simpel", "simple"]),
        ("a number out of its range", &["1.5", "below 1"]),
    ];
    let output = refused(&place, "check", &["check"]);
    assert_contains("check", &output, &["perennial.toml"]);
    for (case, words) in mistakes {
        assert_contains(case, &output, words);
    }
    // The HTTP API reports the same mistakes.
    let server = Server::up(&place, &[]);
    let (status, answer) = server.ask(Method::POST, "/api/v1/check", Some(&json!({})));
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    let diagnostics = answer["error"]["diagnostics"].as_array().unwrap_or_else(|| panic!("no diagnostics: {answer}"));
    assert!(diagnostics.len() >= mistakes.len(), "{answer}");
    for diagnostic in diagnostics {
        assert_eq!(diagnostic["file"], json!("perennial.toml"), "{diagnostic}");
        assert!(diagnostic["line"].as_u64().is_some_and(|line| line > 0), "{diagnostic}");
    }
}

#[test]
fn a_wrong_request_is_refused_with_the_column_and_a_huge_one_immediately() {
    let place = drifting::place(drifting::FILE);
    let server = Server::up(&place, &[]);
    drifting::three_months(&place, &server);
    place.good(&["release"]);
    let good = drifting::request(&month(5)[..1]);
    server.post("/v2/models/late/infer", &good);
    let changed = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut body = good.clone();
        change(body["inputs"].as_array_mut().unwrap());
        body
    };
    let tensor = |name: &str, datatype: &str, value: Value| json!({ "name": name, "shape": [1], "datatype": datatype, "data": [value] });
    let cases: [(&str, Value, &[&str]); 4] = [
        (
            "text for a number",
            changed(&|inputs| inputs[1] = tensor("a", "BYTES", json!("much"))),
            &["input `a`", "takes numbers", "`much`"],
        ),
        (
            "a value of another type",
            changed(&|inputs| inputs[1] = tensor("a", "FP64", json!("much"))),
            &["`a`", "`much`", "expected a number"],
        ),
        ("a missing column", changed(&|inputs| drop(inputs.remove(2))), &["input `b` is missing", "null is allowed"]),
        (
            "an unknown column",
            changed(&|inputs| inputs.push(tensor("c", "FP64", json!(1)))),
            &["input `c` is not known", "it takes: a, b, season"],
        ),
    ];
    for (case, body, words) in cases {
        let (status, answer) = server.ask(Method::POST, "/v2/models/late/infer", Some(&body));
        assert_eq!(status, StatusCode::BAD_REQUEST, "{case}: {answer}");
        assert_contains(case, answer["error"].as_str().unwrap_or_default(), words);
    }
    let huge = json!({ "inputs": [], "parameters": { "filling": "x".repeat(40_000_000) } });
    let (status, answer) = server.ask(Method::POST, "/v2/models/late/infer", Some(&huge));
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
    assert_contains("a huge body", answer["error"].as_str().unwrap_or_default(), &["larger than"]);
    server.post("/v2/models/late/infer", &good);
}
