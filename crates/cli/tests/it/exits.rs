//! Exit statuses and JSON results: each command as `docs/reference/exit-status.md` documents it, and each end of a release.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::drifting;
use crate::support::{Place, Server, text};

/// A command with arguments that succeed, arguments that are refused, and fields of the JSON result.
struct Case {
    command: &'static str,
    good: &'static [&'static str],
    bad: &'static [&'static str],
    fields: &'static [&'static str],
}

const fn case(
    command: &'static str,
    good: &'static [&'static str],
    bad: &'static [&'static str],
    fields: &'static [&'static str],
) -> Case {
    Case { command, good, bad, fields }
}

const ITEMS: &[&str] = &["items"];
const RUN: &[&str] =
    &["id", "state", "outcome", "verdict", "version", "digest", "released", "waiting_for", "reasons", "held", "hint"];
/// Arguments that no command takes without a project: a folder that does not exist.
const NOWHERE: &[&str] = &["-C", "nowhere"];

/// Every command but those of [`ELSEWHERE`], in an order in which they succeed.
const CASES: &[Case] = &[
    case("init", &["../fresh"], &["."], &["folder"]),
    case("check", &[], NOWHERE, &["name", "digest", "steps", "datasets"]),
    case("run", &["open"], &["nope"], RUN),
    case("why", &["open"], &["nope"], &["plan"]),
    case("logs", &["prints"], &["nope"], &["step", "log"]),
    case("data list", &[], NOWHERE, ITEMS),
    case("data show", &["shops"], &["nope"], &["versions"]),
    case("data quarantine", &["shops"], &["nope"], &["rows"]),
    case("data query", &["SELECT id FROM shops"], &["SELECT nope FROM shops"], &["rows"]),
    case("approvals", &[], NOWHERE, ITEMS),
    case("releases", &[], NOWHERE, ITEMS),
    case("releases list", &[], NOWHERE, ITEMS),
    case("models", &[], NOWHERE, ITEMS),
    case("endpoints", &[], NOWHERE, ITEMS),
    case("monitors", &[], NOWHERE, ITEMS),
    case("alerts", &[], NOWHERE, ITEMS),
    case("runs", &[], NOWHERE, ITEMS),
    case("cancel", &[], &["01a2228b325571dba214266fe0ef61fd"], &[]),
    case("ledger", &[], NOWHERE, ITEMS),
    case("explain", &["dataset", "shops@1"], &["dataset", "nope@1"], &["text"]),
    case("verify", &[], &["--head", "9f2d1c7ab04e6f385d20c1b7e4a96f0d3c58b7e1a2640f9dce83b51760d4a2ef"], &["chains"]),
    case("clock", &[], NOWHERE, &["project_at", "is_stepped"]),
    case("tokens create", &["ada"], &["ada", "--on", "nowhere"], &["secret"]),
    case("tokens list", &[], NOWHERE, ITEMS),
    case("principals list", &[], NOWHERE, ITEMS),
    case("principals grant", &["ada", "--role", "contributor"], &["eve", "--role", "admin"], &["message"]),
    case("principals revoke", &["ada", "--role", "contributor"], &["ada", "--role", "admin"], &["message"]),
    case("held list", &[], NOWHERE, ITEMS),
    case("sources allow", &["exits", "s3://bucket/shops/"], &["exits", "file:///etc/"], &["message"]),
    case("sources list", &["exits"], &["nowhere"], ITEMS),
    case("sources deny", &["exits", "s3://bucket/shops/"], &["exits", "s3://bucket/other/"], &["message"]),
    case("backup", &["../copy"], &["../copy"], &["folder"]),
    case("completions", &["bash"], &[], &[]),
];

/// Commands that need what this test does not have, with the tests that run them.
const ELSEWHERE: &[(&str, &str)] = &[
    ("up", "embedded_server.rs, ownership.rs"),
    ("demo", "demo.rs"),
    ("data accept", "held.rs"),
    ("data reject", "held.rs"),
    ("release", "below"),
    ("releases show", "below"),
    ("releases approve", "below"),
    ("releases reject", "below"),
    ("rollback", "below"),
    ("tokens revoke", "teams.rs"),
    ("login-link", "tools.rs"),
    ("restore", "backup.rs"),
    ("doctor", "tools.rs"),
    ("held release", "recovery.rs of perennial-ingest"),
    ("held cancel", "recovery.rs of perennial-ingest"),
];

/// The commands of the table in the reference.
fn documented() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/exit-status.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, table) = page.split_once("## Each command").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
}

fn words<'a>(case: &Case, args: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["--json"];
    words.extend(case.command.split(' '));
    words.extend(args);
    words
}

fn printed(output: &Output) -> Value {
    let out = text(&output.stdout);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}\n{}", text(&output.stderr)))
}

#[test]
fn every_command_has_its_documented_exit_status_and_json() {
    let tested = CASES.iter().map(|case| case.command).chain(ELSEWHERE.iter().map(|(command, _)| *command));
    assert_eq!(tested.map(str::to_owned).collect::<BTreeSet<_>>(), documented());
    let place = Place::with_file(
        "[project]\nname = \"exits\"\n\n[datasets.shops]\nsource = { files = \"shops.csv\" }\nmode = \"replace\"\n\n\
         [steps.open]\nsql = \"open.sql\"\n\n\
         [steps.prints]\nrun = \"sh prints.sh\"\ncode = [\"prints.sh\"]\nenv = \"system\"\ninputs = [\"open\"]\n\
         outputs = { text = { path = \"out.txt\", kind = \"file\" } }\n",
    );
    place.write("shops.csv", "id,open\n1,yes\n2,no\n");
    place.write("open.sql", "SELECT id FROM shops WHERE open = 'yes'\n");
    place.write("prints.sh", "echo one shop is open\necho done > out.txt\n");
    place.good(&["run"]);
    for case in CASES {
        let good = place.run(&words(case, case.good));
        assert_eq!(good.status.code(), Some(0), "{}: {}\n{}", case.command, text(&good.stdout), text(&good.stderr));
        if case.command != "completions" {
            let answer = printed(&good);
            for field in case.fields {
                assert!(answer.get(field).is_some(), "{}: `{field}` is not in {answer}", case.command);
            }
        }
        if !case.bad.is_empty() {
            let bad = place.run(&words(case, case.bad));
            assert_eq!(bad.status.code(), Some(1), "{}: {}\n{}", case.command, text(&bad.stdout), text(&bad.stderr));
        }
        let none = place.run(&[&words(case, &[])[..], &["--no-such-option"]].concat());
        assert_eq!(none.status.code(), Some(2), "{}", case.command);
    }
}

/// The project with a gate, roles that must approve, and a canary that lasts a day.
fn place(gate: &str) -> Place {
    let lines = drifting::FILE.lines().map(|line| match line {
        line if line.starts_with("better = ") => format!("better = \"{gate}\""),
        line if line.starts_with("model = ") => format!("{line}\napprove = [\"approver\"]"),
        line => line.to_owned(),
    });
    drifting::place(&lines.collect::<Vec<_>>().join("\n"))
}

/// Releases with `--json` and further arguments; the exit status and the result.
fn release(place: &Place, args: &[&str]) -> (Option<i32>, Value) {
    let output = place.run(&[&["--json", "release"], args].concat());
    for line in text(&output.stderr).lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "standard error has a line that is not JSON: {line}");
    }
    (output.status.code(), printed(&output))
}

fn outcome(run: &Value) -> (&str, &Value, bool) {
    (run["outcome"].as_str().unwrap(), &run["verdict"], run["released"].as_bool().unwrap())
}

#[test]
fn a_refused_release_fails_and_one_that_waits_says_so_until_it_is_approved() {
    let place = place("candidate.auc > 1.0");
    let server = Server::up(&place, &[]);
    drifting::three_months(&place, &server);
    for state in ["succeeded", "nothing-to-do"] {
        let (status, run) = release(&place, &[]);
        assert_eq!((status, outcome(&run)), (Some(1), ("refused", &json!("fail"), false)), "{run}");
        assert_eq!((&run["state"], &run["version"]), (&json!(state), &json!(1)), "{run}");
        assert_eq!(run["reasons"], json!(["gate `better` does not hold: candidate.auc > 1.0"]));
        assert_eq!(run["waiting_for"], json!([]));
    }
    assert_eq!(release(&place, &["--wait"]).0, Some(1));
    let shown = place.run(&["release"]);
    assert_eq!((shown.status.code(), text(&shown.stdout)), (Some(1), String::new()));
    assert!(text(&shown.stderr).contains("error: version 1 refused"), "{}", text(&shown.stderr));

    place.edit("perennial.toml", "candidate.auc > 1.0", "candidate.auc >= 0.5");
    let (status, run) = release(&place, &[]);
    assert_eq!((status, outcome(&run)), (Some(0), ("waiting", &json!("pass"), false)), "{run}");
    assert_eq!(run["waiting_for"], json!(["approval:approver"]));
    let digest = run["digest"].as_str().unwrap().to_owned();
    assert!(place.good(&["release"]).starts_with("waiting: version 1 needs approval from role approver"));
    let waiting = place.json(&["approvals"]);
    assert_eq!(
        (&waiting["items"][0]["release"], &waiting["items"][0]["is_for_caller"]),
        (&json!(digest), &json!(true))
    );
    assert!(text(&place.run(&["alerts"]).stdout).contains("version 1 needs approval"));
    let asked = place.run(&["releases", "approve", &digest, "--role", "viewer"]);
    assert_eq!(asked.status.code(), Some(1), "no approval from this role is required");
    let approved = place.good(&["releases", "approve", &digest]);
    assert!(approved.contains("version 1 answers at `late`"), "{approved}");
    assert_eq!(place.run(&["releases", "approve", &digest]).status.code(), Some(1), "nothing waits any more");
    assert_eq!(place.json(&["releases", "show", &digest])["released"], json!(true));
    assert_eq!(place.json(&["approvals"])["items"], json!([]));
    for args in [&[][..], &["--wait"]] {
        let (status, run) = release(&place, args);
        assert_eq!((status, outcome(&run)), (Some(0), ("nothing-to-do", &Value::Null, true)), "{run}");
    }

    place.edit("perennial.toml", "trees = 40", "trees = 30");
    let (_, run) = release(&place, &[]);
    let digest = run["digest"].as_str().unwrap().to_owned();
    place.good(&["releases", "reject", &digest, "--reason", "too early"]);
    let (status, run) = release(&place, &["--wait"]);
    assert_eq!((status, outcome(&run)), (Some(1), ("refused", &json!("pass"), false)), "{run}");
    assert!(run["reasons"][0].as_str().unwrap().ends_with(": too early"), "{run}");
    let (status, run) = release(&place, &["--again", "the objection is answered"]);
    assert_eq!((status, &run["waiting_for"]), (Some(0), &json!(["approval:approver"])), "{run}");
    place.good(&["releases", "approve", &digest, "--note", "now"]);
    assert_eq!(release(&place, &[]).1["waiting_for"], json!(["canary:late"]));
    place.good(&["rollback", "late", "--reason", "slow"]);
    let (status, run) = release(&place, &[]);
    assert_eq!((status, outcome(&run)), (Some(1), ("refused", &json!("pass"), false)), "{run}");
    assert!(run["reasons"].to_string().contains("slow"), "{run}");
}
