//! Cancelled runs, and interrupted releases.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::drifting::{self, NAME};
use crate::support::{Place, Server, text};
use crate::toml_text::set;

/// How long a cancelled process may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// A project with a step that never ends, and one that ends at once.
const ENDLESS: &str = "[project]\nname = \"stops\"\n\n\
    [steps.endless]\nrun = [\"sh\", \"-c\", \"echo $$; sleep 1000\"]\nenv = \"system\"\n\n\
    [steps.short]\nrun = [\"sh\", \"-c\", \"echo done\"]\nenv = \"system\"\n";

/// Starts a run, and waits for the first output of the step, which is its process id.
fn begin(place: &Place, args: &[&str]) -> (Child, BufReader<ChildStderr>, String) {
    let mut run = place.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(run.stderr.take().unwrap());
    let process = loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "the run ended without output of the step");
        if let Some(process) = line.strip_prefix("  endless | ") {
            break process.trim().to_owned();
        }
    };
    (run, output, process)
}

/// Whether a process runs; a zombie does not.
fn is_alive(process: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat"));
    state.is_ok_and(|state| !state.contains(") Z "))
}

/// Waits until a process has ended.
fn wait_for_end(process: &str) {
    let started = Instant::now();
    while is_alive(process) {
        assert!(started.elapsed() < END_TIMEOUT, "process {process} is still running");
        std::thread::yield_now();
    }
}

fn states(place: &Place) -> Vec<Value> {
    place.json(&["runs"])["items"].as_array().unwrap().iter().map(|run| run["state"].clone()).collect()
}

#[test]
fn ctrl_c_cancels_the_run_of_the_command_and_ends_its_processes() {
    let place = Place::with_file(ENDLESS);
    let (mut run, mut output, process) = begin(&place, &["run"]);
    assert!(is_alive(&process));
    std::process::Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(1), "{rest}");
    assert!(
        rest.contains("cancelling") && rest.contains("cancelled by host; finished steps keep their results"),
        "{rest}"
    );
    wait_for_end(&process);
    assert_eq!(states(&place), ["cancelled"]);
    place.edit("perennial.toml", "sleep 1000", "true");
    place.good(&["run"]);
    assert!(place.good(&["verify"]).contains("is intact"));
}

#[test]
fn a_running_and_a_waiting_run_of_a_server_are_cancelled_by_id() {
    let place = Place::with_file(ENDLESS);
    let server = Server::up(&place, &[]);
    let (mut run, _output, process) = begin(&place, &["run"]);
    let waiting = server.post("/api/v1/projects/stops/pipeline-runs", &json!({ "kind": "run" }));
    let waiting = waiting["id"].as_str().unwrap();
    let both = place.run(&["cancel"]);
    assert!(text(&both.stderr).contains("2 pipeline runs have not ended"), "{both:?}");
    assert!(place.good(&["cancel", waiting]).contains("is cancelled"));
    assert!(is_alive(&process), "the other run was cancelled");
    assert!(place.good(&["cancel"]).contains("is cancelled"));
    assert_eq!(run.wait().unwrap().code(), Some(1));
    wait_for_end(&process);
    assert_eq!(states(&place), ["cancelled", "cancelled"]);
    let again = place.run(&["cancel", waiting]);
    assert!(text(&again.stderr).contains("has ended: it is cancelled"), "{again:?}");
    assert!(place.good(&["cancel"]).contains("no pipeline run is active"));
    place.good(&["run", "short"]);
}

#[test]
fn a_step_of_a_killed_server_has_ended_when_the_next_server_answers() {
    // Its launcher waits some seconds for a step that ignores the request to end; the next server does not wait.
    let stubborn = ENDLESS.replace("echo $$; sleep 1000", "trap '' TERM; echo $$; while :; do sleep 1000; done");
    let place = Place::with_file(&stubborn);
    let server = Server::up(&place, &[]);
    let (mut run, _output, process) = begin(&place, &["run"]);
    // The command would become the next server.
    run.kill().unwrap();
    run.wait().unwrap();
    server.kill();
    assert!(is_alive(&process), "the step ended by itself");
    let _next = Server::up(&place, &[]);
    assert!(!is_alive(&process), "the step is still running");
}

#[test]
fn an_interrupted_release_is_not_completed_by_a_run() {
    interrupted_release(true);
}

#[test]
fn an_interrupted_release_fails_if_the_gates_have_changed() {
    interrupted_release(false);
}

fn interrupted_release(with_a_run_first: bool) {
    let file = set(drifting::FILE, "gates.better", "'candidate.auc > 0.5'");
    let file = file.replace(
        "[steps.train]",
        "[steps.endless]\nrun = [\"sh\", \"-c\", \"echo $$; sleep 1000\"]\nenv = \"system\"\n\n[steps.train]",
    );
    let place = drifting::place(&file);
    let server = Server::up(&place, &[]);
    drifting::three_months(&place, &server);
    server.kill();
    let (mut release, _output, _) = begin(&place, &["release"]);
    release.kill().unwrap();
    release.wait().unwrap();
    place.edit("perennial.toml", "sleep 1000", "true");
    place.edit("perennial.toml", "candidate.auc > 0.5", "candidate.auc > 0.9999");
    if with_a_run_first {
        let run = place.run(&["run"]);
        let output = text(&run.stderr);
        assert!(output.contains("interrupted releases: 1; `perennial release`"), "{output}");
        assert!(place.good(&["endpoints"]).contains("none yet"));
    }
    place.run(&["release"]);
    assert!(place.good(&["endpoints"]).lines().count() <= 2 && !place.good(&["models"]).contains("champion"));
    let runs = place.json(&["runs"])["items"].as_array().unwrap().clone();
    let interrupted = runs.iter().rfind(|run| run["kind"] == "release").unwrap();
    assert_eq!(interrupted["state"], "failed", "{runs:?}");
    assert!(interrupted["message"].as_str().unwrap().contains("the project file changed"), "{interrupted} of {NAME}");
}
