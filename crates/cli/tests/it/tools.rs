//! What helps to find out: logs of steps, the doctor.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

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
fn a_step_that_is_not_there_is_refused_with_those_that_are() {
    let place = speaking();
    for args in [&["run", "nope"][..], &["run", "says", "nope"], &["why", "nope"], &["run", "--dry-run", "nope"]] {
        let refused = place.run(args);
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        let told = text(&refused.stderr);
        for words in ["step `nope` does not exist", "the project file has `fails`, `open`, `says`"] {
            assert!(told.contains(words), "`{words}` is not in {told}");
        }
    }
    assert!(text(&place.run(&["run", "opne"]).stderr).contains("did you mean `open`?"));
    let runs = Server::up(&place, &[]).get("/api/v1/projects/speaking/pipeline-runs");
    assert_eq!(runs["items"], json!([]), "nothing was begun");
}

#[test]
fn a_reader_that_has_seen_enough_ends_no_command_before_its_time() {
    let place = speaking();
    let mut command = place.command(&["check"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{}", text(&ended.stderr));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = place.command(&["check"]).stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("standard output cannot be written"), "{}", text(&ended.stderr));
}

#[test]
fn a_server_whose_log_nobody_reads_any_more_goes_on_answering() {
    let place = speaking();
    let mut command = place.command(&["up", "--port", "0", "-v"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let address = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line[line.find("http://127.0.0.1:")?..].split(['"', ' ']).next()?.to_owned()));
    let answers = address.map(|address| (0..3).map(|_| asks(&address)).collect::<Vec<_>>());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(answers, Some(vec![true; 3]));
}

/// Whether the server at an address answers that it is well.
fn asks(address: &str) -> bool {
    let mut stream = std::net::TcpStream::connect(address.trim_start_matches("http://").trim_end_matches('/')).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.starts_with("HTTP/1.1 200")
}

#[test]
fn a_source_that_finds_no_file_is_told_by_the_place_where_it_looked() {
    let place = speaking();
    place.edit("perennial.toml", "shops.csv", "shop/*.csv");
    let told = text(&place.run(&["run", "open"]).stderr);
    for words in ["shops: no file is at `shop/*.csv`", "dataset `shops` has no rows yet", "`perennial data show shops`"]
    {
        assert!(told.contains(words), "`{words}` is not in {told}");
    }
}

#[test]
fn the_condition_of_a_check_is_read_before_there_are_rows() {
    let place = speaking();
    let file = std::fs::read_to_string(place.path().join("perennial.toml")).unwrap();
    for (condition, why) in
        [("length(id) >", "expected: an expression, found: EOF"), ("lenght(id) > 1", "did you mean `length`?")]
    {
        place.write("perennial.toml", format!("{file}\n[checks.shops]\nfull = \"{condition}\"\n"));
        let refused = place.run(&["check"]);
        let told = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{condition}");
        assert!(told.contains(why) && told.contains("perennial.toml:26"), "`{why}` is not in {told}");
    }
    place.write(
        "perennial.toml",
        format!("{file}\n[checks.shops]\nfull = \"count(*) > 1 AND length(max(open)) < 9\"\n"),
    );
    place.good(&["check"]);
}

#[test]
fn a_link_to_sign_in_needs_a_server_that_stays() {
    let place = speaking();
    let refused = place.run(&["login-link"]);
    assert_eq!((refused.status.code(), refused.stdout.is_empty()), (Some(1), true));
    assert!(text(&refused.stderr).contains("`perennial up`"), "{}", text(&refused.stderr));
    let server = Server::up(&place, &[]);
    assert!(place.good(&["login-link"]).starts_with(&format!("{}/login/", server.address)));
}

#[test]
fn looking_leaves_nothing_in_the_ledger() {
    let place = speaking();
    place.good(&["run", "open"]);
    let entries = || place.json(&["verify"])["chains"].clone();
    let before = entries();
    place.good(&["data", "list"]);
    place.good(&["tokens", "list"]);
    assert_eq!(entries(), before);
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
