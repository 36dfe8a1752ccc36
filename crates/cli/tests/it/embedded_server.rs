//! Commands share the server of one of them, and continue when that command ends.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, Server, text};

/// The number of pipeline runs according to the server of a folder; `None` if it does not answer.
fn run_count(http: &reqwest::Client, runtime: &tokio::runtime::Runtime) -> Option<usize> {
    let asked = http.get("http://localhost/api/v1/projects/warming/pipeline-runs");
    let output: Value = runtime
        .block_on(async { asked.send().await.ok()?.text().await.ok() })
        .and_then(|output| serde_json::from_str(&output).ok())?;
    Some(output["items"].as_array()?.len())
}

#[test]
fn a_command_continues_when_the_command_with_the_server_is_killed() {
    let place = Place::example("weather");
    place.keep_only("data/observations", |name| name < "2013-04-28");
    let start = || place.command(&["run", "features"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().unix_socket(place.path().join(".perennial/server.sock")).build().unwrap();
    while run_count(&http, &runtime) != Some(1) {
        assert!(first.try_wait().unwrap().is_none(), "the first command ended before its run was listed");
    }
    let mut second = start();
    let mut output = BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(output.any(|line| line.starts_with("pipeline run ")), "the second command ended before it named its run");
    assert!(first.try_wait().unwrap().is_none(), "the first command ended before the second one started its run");
    first.kill().unwrap();
    first.wait().unwrap();
    let rest: Vec<String> = output.collect();
    assert!(second.wait().unwrap().success(), "{rest:?}");
    let states: Vec<Value> =
        place.json(&["runs"])["items"].as_array().unwrap().iter().map(|run| run["state"].clone()).collect();
    assert!(states.iter().all(|state| state == "succeeded" || state == "nothing-to-do"), "{states:?}");
    assert_eq!(place.query("SELECT count(*) FROM observations"), [[serde_json::json!(20 * 72)]]);
}

#[test]
fn up_waits_for_a_command_and_refuses_to_wait_for_another_up() {
    let place = Place::with_file(
        "[project]\nname = \"waits\"\n\n[steps.say]\nrun = [\"sh\", \"-c\", \"echo begun; until [ -e go ]; do sleep 0.02; done\"]\n\
         env = \"system\"\nlimits = { time = \"2 minutes\" }\n",
    );
    let mut run = place.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line == "  say | begun"), "the run ended without its first line");
    let mut up = place.command(&["up", "--port", "0"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(up.stderr.take().unwrap()).lines().map(Result::unwrap);
    let waiting = format!("waiting until the command in this folder has ended (process {})", run.id());
    assert!(output.any(|line| line == waiting), "`up` does not wait");
    let steps = place.path().join(".perennial/work/steps");
    let folder = std::fs::read_dir(steps).unwrap().next().unwrap().unwrap().path();
    std::fs::write(folder.join("work/go"), "").unwrap();
    let rest: Vec<String> = said.collect();
    assert!(run.wait().unwrap().success(), "{rest:?}");
    assert!(output.any(|line| line.starts_with("listening at ")), "`up` ended without a server");
    let second = place.run(&["up", "--port", "0"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains(&format!("served by process {}", up.id())), "{}", text(&second.stderr));
    up.kill().unwrap();
    up.wait().unwrap();
}

/// A project with a step that waits for a file outside its folder.
fn waiting(place: &Place) -> String {
    let go = place.folder.path().join("go");
    format!(
        "[project]\nname = \"waits\"\n\n[steps.say]\n\
         run = [\"sh\", \"-c\", \"echo begun; until [ -e {} ]; do sleep 0.02; done; echo over > out\"]\n\
         env = \"system\"\nisolation = \"none\"\noutputs = {{ out = {{ path = \"out\" }} }}\n",
        go.display()
    )
}

#[test]
fn a_reading_command_leaves_an_interrupted_run_and_the_next_run_resumes_it() {
    let place = Place::with_file("");
    place.write("perennial.toml", waiting(&place));
    let mut run = place.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line == "  say | begun"), "the run ended without its first line");
    run.kill().unwrap();
    run.wait().unwrap();
    let states = |place: &Place| -> Vec<Value> {
        place.json(&["runs"])["items"].as_array().unwrap().iter().map(|run| run["state"].clone()).collect()
    };
    assert_eq!(states(&place), ["interrupted"]);
    let listed = place.run(&["alerts"]);
    assert!(text(&listed.stderr).contains("interrupted pipeline runs: 1; `perennial run`"), "{}", text(&listed.stderr));
    assert_eq!(states(&place), ["interrupted"]);
    std::fs::write(place.folder.path().join("go"), "").unwrap();
    place.good(&["run"]);
    let mut ended: Vec<String> = states(&place).iter().map(|state| state.as_str().unwrap().to_owned()).collect();
    ended.sort();
    assert_eq!(ended, ["nothing-to-do", "succeeded"]);
}

#[test]
fn a_starting_server_uses_the_present_project_file() {
    let file = "[project]\nname = \"acts\"\n\n[datasets.shops]\nsource = { files = \"*.csv\" }\nmode = \"append\"\n";
    let place = Place::with_file(file);
    place.write("a.csv", "shop\n1\n");
    place.write("perennial.toml", format!("{file}\n[triggers.soon]\non = [\"dataset:shops\"]\nrun = \"run\"\n"));
    // This submits the file and loads the dataset, but the server ends before its scheduler could fire the trigger.
    place.good(&["run"]);
    place.write("perennial.toml", file);
    let server = Server::up(&place, &[]);
    let now = server.get("/api/v1/projects/acts/clock");
    server.step("acts", now["project_ms"].as_i64().unwrap() + 60_000);
    assert_eq!(server.list("/api/v1/projects/acts/pipeline-runs").len(), 1, "a trigger of the replaced file has fired");
}

#[test]
fn commands_in_the_folder_find_the_data_folder_of_its_server() {
    let place = Place::with_file("[project]\nname = \"elsewhere\"\n");
    let data = tempfile::tempdir().unwrap();
    let up = place.command(&["up", "--port", "0", "--data", data.path().to_str().unwrap()]);
    let server = Server::start(up, data.path());
    place.good(&["run"]);
    assert_eq!(
        server.list("/api/v1/projects/elsewhere/pipeline-runs").len(),
        1,
        "the run was not started on the server"
    );
    server.kill();
    let runs = |place: &Place| place.json(&["runs"])["items"].as_array().unwrap().len();
    assert_eq!(runs(&place), 1, "the run is not found after the server has ended");
    drop(Server::up(&place, &["--data", ".perennial"]));
    place.good(&["run"]);
    assert_eq!(runs(&place), 1, "the other data folder has runs of the first one");
}

#[test]
fn a_step_cannot_reach_the_socket_of_its_server_and_no_file_has_a_token() {
    let place = Place::with_file("");
    let binary = env!("CARGO_BIN_EXE_perennial");
    let root = place.path();
    place.write(
        "perennial.toml",
        format!(
            "[project]\nname = \"reaches\"\n\n[steps.reach]\n\
             run = [\"sh\", \"-c\", \"'{binary}' -C '{}' tokens create eve --role admin > got; echo ended >> got\"]\n\
             env = \"system\"\nisolation = \"none\"\noutputs = {{ got = {{ path = \"got\" }} }}\n",
            root.display()
        ),
    );
    let server = Server::up(&place, &["--allow-unisolated-steps"]);
    place.good(&["run"]);
    let principals = server.list("/api/v1/principals");
    let names: Vec<&str> = principals.iter().map(|principal| principal["name"].as_str().unwrap()).collect();
    assert!(!names.contains(&"eve"), "{names:?}");
    let file = std::fs::read_to_string(root.join(".perennial/server.json")).unwrap();
    assert!(!file.contains("token") && !file.contains("prn_"), "{file}");
}
