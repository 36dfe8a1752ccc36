//! Commands for diagnosis: the logs of steps, `doctor`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Place, Server, text};

/// A project with a step in SQL, a step that prints, and a step that prints and fails.
fn printing() -> Place {
    let place = Place::with_file(
        "[project]\nname = \"printing\"\n\n[datasets.shops]\nsource = { files = \"shops.csv\" }\nmode = \"replace\"\n\n\
         [steps.open]\nsql = \"open.sql\"\n\n\
         [steps.prints]\nrun = \"sh prints.sh\"\ncode = [\"prints.sh\"]\nenv = \"system\"\ninputs = [\"open\"]\n\
         outputs = { text = { path = \"out.txt\", kind = \"file\" } }\n\n\
         [steps.fails]\nrun = \"sh fails.sh\"\ncode = [\"fails.sh\"]\nenv = \"system\"\ninputs = [\"open\"]\n\
         outputs = { text = { path = \"out.txt\", kind = \"file\" } }\n",
    );
    place.write("shops.csv", "id,open\n1,yes\n2,no\n");
    place.write("open.sql", "SELECT id FROM shops WHERE open = 'yes'\n");
    place.write("prints.sh", "echo one shop is open\necho done > out.txt\n");
    place.write("fails.sh", "echo no shop is open >&2\nexit 3\n");
    place
}

#[test]
fn logs_shows_the_log_of_a_step_or_says_that_there_is_none() {
    let place = printing();
    let never = place.run(&["logs", "prints"]);
    assert_eq!(never.status.code(), Some(1));
    assert!(text(&never.stderr).contains("perennial run"), "{}", text(&never.stderr));
    assert_eq!(place.run(&["run"]).status.code(), Some(1));
    assert_eq!(place.good(&["logs", "prints"]), "one shop is open\n");
    assert_eq!(place.good(&["logs", "fails"]), "no shop is open\n");
    let none = place.run(&["logs", "open"]);
    assert!(none.status.success() && none.stdout.is_empty());
    assert!(text(&none.stderr).contains("step `open` of kind `sql` has no log"), "{}", text(&none.stderr));
    let answer = place.json(&["logs", "fails"]);
    assert_eq!((answer["kind"].as_str(), answer["state"].as_str()), (Some("run"), Some("failed")));
    // The log of a step that is up to date is that of the attempt that produced its outputs.
    place.good(&["run", "prints"]);
    assert_eq!(place.good(&["logs", "prints"]), "one shop is open\n");
}

#[test]
fn an_unknown_step_is_refused_with_the_names_of_the_steps() {
    let place = printing();
    for args in [&["run", "nope"][..], &["run", "prints", "nope"], &["why", "nope"], &["run", "--dry-run", "nope"]] {
        let refused = place.run(args);
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        let output = text(&refused.stderr);
        for words in ["step `nope` does not exist", "the project file has `fails`, `open`, `prints`"] {
            assert!(output.contains(words), "`{words}` is not in {output}");
        }
    }
    assert!(text(&place.run(&["run", "opne"]).stderr).contains("did you mean `open`?"));
    let runs = Server::up(&place, &[]).get("/api/v1/projects/printing/pipeline-runs");
    assert_eq!(runs["items"], json!([]), "a pipeline run was started");
}

#[test]
fn a_closed_standard_output_does_not_stop_a_command() {
    let place = printing();
    let mut command = place.command(&["check"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{}", text(&ended.stderr));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = place.command(&["check"]).stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("cannot write to standard output"), "{}", text(&ended.stderr));
}

#[test]
fn a_server_with_a_closed_standard_error_still_answers() {
    let place = printing();
    let mut command = place.command(&["up", "--port", "0", "-v"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let address = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line[line.find("http://127.0.0.1:")?..].split(['"', ' ']).next()?.to_owned()));
    let answers = address.map(|address| (0..3).map(|_| is_healthy(&address)).collect::<Vec<_>>());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(answers, Some(vec![true; 3]));
}

/// Whether the server at an address reports that it is healthy.
fn is_healthy(address: &str) -> bool {
    let mut stream = std::net::TcpStream::connect(address.trim_start_matches("http://").trim_end_matches('/')).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.starts_with("HTTP/1.1 200")
}

#[test]
fn a_source_without_files_is_reported_with_its_pattern() {
    let place = printing();
    place.edit("perennial.toml", "shops.csv", "shop/*.csv");
    let output = text(&place.run(&["run", "open"]).stderr);
    for words in
        ["shops: no file matches `shop/*.csv`", "dataset `shops` has no rows yet", "`perennial data show shops`"]
    {
        assert!(output.contains(words), "`{words}` is not in {output}");
    }
}

#[test]
fn the_condition_of_a_check_is_validated_before_there_are_rows() {
    let place = printing();
    let file = std::fs::read_to_string(place.path().join("perennial.toml")).unwrap();
    for (condition, why) in
        [("length(id) >", "expected: an expression, found: EOF"), ("lenght(id) > 1", "did you mean `length`?")]
    {
        place.write("perennial.toml", format!("{file}\n[checks.shops]\nfull = \"{condition}\"\n"));
        let refused = place.run(&["check"]);
        let output = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{condition}");
        assert!(output.contains(why) && output.contains("perennial.toml:26"), "`{why}` is not in {output}");
    }
    place.write(
        "perennial.toml",
        format!("{file}\n[checks.shops]\nfull = \"count(*) > 1 AND length(max(open)) < 9\"\n"),
    );
    place.good(&["check"]);
}

#[test]
fn a_login_link_needs_a_running_server() {
    let place = printing();
    let refused = place.run(&["login-link"]);
    assert_eq!((refused.status.code(), refused.stdout.is_empty()), (Some(1), true));
    assert!(text(&refused.stderr).contains("`perennial up`"), "{}", text(&refused.stderr));
    let server = Server::up(&place, &[]);
    assert!(place.good(&["login-link"]).starts_with(&format!("{}/login/", server.address)));
}

#[test]
fn reading_commands_add_no_ledger_entries() {
    let place = printing();
    place.good(&["run", "open"]);
    let entries = || place.json(&["verify"])["chains"].clone();
    let before = entries();
    place.good(&["data", "list"]);
    place.good(&["tokens", "list"]);
    assert_eq!(entries(), before);
}

#[test]
fn a_step_in_the_system_environment_is_marked_not_reproducible() {
    let place = printing();
    let server = Server::up(&place, &[]);
    place.good(&["run", "prints"]);
    let runs = server.get("/api/v1/projects/printing/pipeline-runs");
    let id = runs["items"][0]["id"].as_str().unwrap();
    let run = server.get(&format!("/api/v1/projects/printing/pipeline-runs/{id}"));
    let step = run["steps"].as_array().unwrap().iter().find(|step| step["step"] == "prints").unwrap();
    assert!(step["message"].as_str().unwrap().contains("not reproducible"), "{step}");
    let tracked = server.get(&format!("/api/2.0/mlflow/runs/get?run_id={}", step["run_id"].as_str().unwrap()));
    let tags = tracked["run"]["data"]["tags"].as_array().unwrap();
    assert!(tags.contains(&json!({ "key": "perennial.reproducible", "value": "false" })), "{tags:?}");
}

#[test]
fn release_wait_needs_a_running_server_and_fails_when_the_run_fails() {
    let place = printing();
    let refused = place.run(&["release", "--wait"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("`perennial up`"), "{}", text(&refused.stderr));
    let _server = Server::up(&place, &[]);
    let failed = place.run(&["release", "--wait"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("`sh fails.sh`"), "{}", text(&failed.stderr));
}

#[test]
fn doctor_reports_the_isolation_of_steps() {
    let place = printing();
    let server = Server::up(&place, &[]);
    place.good(&["run", "prints"]);
    let runs = server.get("/api/v1/projects/printing/pipeline-runs");
    let run =
        server.get(&format!("/api/v1/projects/printing/pipeline-runs/{}", runs["items"][0]["id"].as_str().unwrap()));
    let step = run["steps"].as_array().unwrap().iter().find(|step| step["step"] == "prints").unwrap();
    let isolation = step["isolation"].as_str().unwrap();
    let output: Value = serde_json::from_slice(&place.run(&["--json", "doctor"]).stdout).unwrap();
    let found = output.as_array().unwrap().iter().find(|finding| finding["part"] == "isolation").unwrap();
    let expected = if isolation == "none" { ("missing", "the kernel has no Landlock") } else { ("found", isolation) };
    // The step has the whole network.
    let reported = found["found"].as_str().unwrap().replace(", own network", "");
    assert_eq!((found["state"].as_str().unwrap(), reported.as_str()), expected);
    let limits = output.as_array().unwrap().iter().find(|finding| finding["part"] == "memory limits").unwrap();
    let how = limits["found"].as_str().unwrap();
    assert!(how.starts_with("control groups below /") || how.starts_with("by process: "), "{how}");
}

#[test]
fn a_step_whose_network_is_the_server_reaches_its_interface_and_nothing_else() {
    let place = Place::with_file(
        "[project]\nname = \"asks\"\n\n[steps.asks]\nrun = \"sh asks.sh\"\ncode = [\"asks.sh\"]\nenv = \"system\"\n\
         network = \"server\"\noutputs = { run = { path = \"run.json\" } }\n",
    );
    let server = Server::up(&place, &[]);
    let port: u16 = server.address.rsplit_once(':').unwrap().1.parse().unwrap();
    let same_port = std::net::TcpListener::bind(("127.0.0.2", port)).unwrap();
    let other_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = format!(
        "curl -sf -m 20 -o run.json -H \"Authorization: Bearer $MLFLOW_TRACKING_TOKEN\" \\\n\
         \"$MLFLOW_TRACKING_URI/api/2.0/mlflow/runs/get?run_id=$MLFLOW_RUN_ID\" || exit 3\n\
         curl -s -m 5 -o run.json \"http://localhost:{port}/health\" || exit 4\n\
         curl -s -m 5 http://127.0.0.1:{other_port} ; echo \"other port: $?\"\n\
         answer=$(curl -sv -m 2 http://127.0.0.2:{port} 2>&1); case \"$answer\" in *onnected*) echo other address;; esac\n"
    );
    place.write("asks.sh", script);
    place.good(&["run"]);
    let log = place.good(&["logs", "asks"]);
    assert!(log.contains("other port: 7"), "the connection is refused: {log}");
    let report: Value = serde_json::from_slice(&place.run(&["--json", "doctor"]).stdout).unwrap();
    let has_network = report.to_string().contains("own network");
    assert_eq!(log.contains("other address"), !has_network, "{log}");
    drop(same_port);
}

#[test]
fn a_server_runs_a_step_without_isolation_only_where_its_administrator_allows_it() {
    let file = "[project]\nname = \"bare\"\n\n[steps.reads]\nrun = \"sh reads.sh\"\ncode = [\"reads.sh\"]\n\
                env = \"system\"\nisolation = \"none\"\noutputs = { text = { path = \"out.txt\" } }\n";
    let place = Place::with_file(file);
    // The file by which commands find the server, and act as its administrator.
    let secret = place.path().join(".perennial/server.json");
    place.write("reads.sh", format!("cat '{}' > out.txt\n", secret.display()));
    let server = Server::up(&place, &[]);
    let refused = place.run(&["run"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("perennial up --allow-unisolated-steps"), "{}", text(&refused.stderr));
    // With isolation the step runs, and the file is not readable.
    place.write("perennial.toml", file.replace("\"none\"", "\"full\""));
    let denied = place.run(&["run"]);
    assert_eq!(denied.status.code(), Some(1));
    assert!(text(&denied.stderr).contains("cat: "), "{}", text(&denied.stderr));
    drop(server);
    place.write("perennial.toml", file);
    let _server = Server::up(&place, &["--allow-unisolated-steps"]);
    place.good(&["run"]);
}
