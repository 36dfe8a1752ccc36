//! What helps to find out: logs of steps, the doctor.

use serde_json::{Value, json};

use crate::support::{Place, Server, text};

/// A step of SQL, one that speaks, and one that speaks and fails.
fn speaking() -> Place {
    let place = Place::with_file(
        "[project]\nname = \"speaking\"\n\n[datasets.shops]\nsource = { files = \"shops.csv\" }\nmode = \"replace\"\n\n\
         [steps.open]\nsql = \"open.sql\"\n\n\
         [steps.says]\nrun = \"sh says.sh\"\ncode = [\"says.sh\"]\nenv = \"system\"\ninputs = [\"open\"]\n\
         outputs = { told = { path = \"told.txt\", kind = \"file\" } }\n\n\
         [steps.fails]\nrun = \"sh fails.sh\"\ncode = [\"fails.sh\"]\nenv = \"system\"\ninputs = [\"open\"]\n\
         outputs = { told = { path = \"told.txt\", kind = \"file\" } }\n",
    );
    place.write("shops.csv", "id,open\n1,yes\n2,no\n");
    place.write("open.sql", "SELECT id FROM shops WHERE open = 'yes'\n");
    place.write("says.sh", "echo one shop is open\necho done > told.txt\n");
    place.write("fails.sh", "echo no shop is open >&2\nexit 3\n");
    place
}

#[test]
fn a_log_is_shown_for_every_step_that_wrote_one_and_is_said_to_be_missing_else() {
    let place = speaking();
    let never = place.run(&["logs", "says"]);
    assert_eq!(never.status.code(), Some(1));
    assert!(text(&never.stderr).contains("perennial run"), "{}", text(&never.stderr));
    assert_eq!(place.run(&["run"]).status.code(), Some(1));
    assert_eq!(place.good(&["logs", "says"]), "one shop is open\n");
    assert_eq!(place.good(&["logs", "fails"]), "no shop is open\n");
    let none = place.run(&["logs", "open"]);
    assert!(none.status.success() && none.stdout.is_empty());
    assert!(text(&none.stderr).contains("`open`, a step of kind `sql`, wrote no log"), "{}", text(&none.stderr));
    let told = place.json(&["logs", "fails"]);
    assert_eq!((told["kind"].as_str(), told["state"].as_str()), (Some("run"), Some("failed")));
    // A step that is up to date has the log of the attempt that made what it has.
    place.good(&["run", "says"]);
    assert_eq!(place.good(&["logs", "says"]), "one shop is open\n");
}

#[test]
fn a_step_in_the_machines_own_environment_is_marked_not_reproducible() {
    let place = speaking();
    let server = Server::up(&place, &[]);
    place.good(&["run", "says"]);
    let runs = server.get("/api/v1/projects/speaking/pipeline-runs");
    let id = runs["items"][0]["id"].as_str().unwrap();
    let run = server.get(&format!("/api/v1/projects/speaking/pipeline-runs/{id}"));
    let said = run["steps"].as_array().unwrap().iter().find(|step| step["step"] == "says").unwrap();
    assert!(said["message"].as_str().unwrap().contains("not reproducible"), "{said}");
    let tracked = server.get(&format!("/api/2.0/mlflow/runs/get?run_id={}", said["run_id"].as_str().unwrap()));
    let tags = tracked["run"]["data"]["tags"].as_array().unwrap();
    assert!(tags.contains(&json!({ "key": "perennial.reproducible", "value": "false" })), "{tags:?}");
}

#[test]
fn waiting_for_a_canary_needs_a_server_that_stays_and_gives_back_that_the_run_failed() {
    let place = speaking();
    let refused = place.run(&["release", "--wait"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("`perennial up`"), "{}", text(&refused.stderr));
    let _server = Server::up(&place, &[]);
    let failed = place.run(&["release", "--wait"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("`sh fails.sh`"), "{}", text(&failed.stderr));
}

#[test]
fn the_doctor_finds_the_isolation_that_steps_have() {
    let place = speaking();
    let server = Server::up(&place, &[]);
    place.good(&["run", "says"]);
    let runs = server.get("/api/v1/projects/speaking/pipeline-runs");
    let run =
        server.get(&format!("/api/v1/projects/speaking/pipeline-runs/{}", runs["items"][0]["id"].as_str().unwrap()));
    let said = run["steps"].as_array().unwrap().iter().find(|step| step["step"] == "says").unwrap();
    let isolation = said["isolation"].as_str().unwrap();
    let told: Value = serde_json::from_slice(&place.run(&["--json", "doctor"]).stdout).unwrap();
    let found = told.as_array().unwrap().iter().find(|finding| finding["part"] == "isolation").unwrap();
    let expected = if isolation == "none" { ("missing", "this kernel has no Landlock") } else { ("found", isolation) };
    assert_eq!((found["state"].as_str().unwrap(), found["found"].as_str().unwrap()), expected);
}
