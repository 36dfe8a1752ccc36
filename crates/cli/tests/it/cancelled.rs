//! Runs that a person stops, and releases that were cut off.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Stdio};

use serde_json::{Value, json};

use crate::drifting::{self, NAME};
use crate::support::{Place, Server, text};

/// A step that never ends by itself, and one that does.
const ENDLESS: &str = "[project]\nname = \"stops\"\n\n\
    [steps.endless]\nrun = [\"sh\", \"-c\", \"echo $$; sleep 1000\"]\nenv = \"system\"\n\n\
    [steps.quick]\nrun = [\"sh\", \"-c\", \"echo done\"]\nenv = \"system\"\n";

/// Starts a run, and waits for what the step says first: its process.
fn begin(place: &Place, args: &[&str]) -> (Child, BufReader<ChildStderr>, String) {
    let mut run = place.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(run.stderr.take().unwrap());
    let process = loop {
        let mut line = String::new();
        assert!(told.read_line(&mut line).unwrap() > 0, "the run ended without its first line");
        if let Some(said) = line.strip_prefix("  endless | ") {
            break said.trim().to_owned();
        }
    };
    (run, told, process)
}

fn is_alive(process: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat"));
    state.is_ok_and(|state| !state.contains(") Z "))
}

/// Waits until a process has ended, which whoever started it does not wait for.
fn gone(process: &str) {
    while is_alive(process) {
        std::thread::yield_now();
    }
}

fn states(place: &Place) -> Vec<Value> {
    place.json(&["runs"])["items"].as_array().unwrap().iter().map(|run| run["state"].clone()).collect()
}

#[test]
fn ctrl_c_ends_the_run_that_the_command_started_with_its_commands() {
    let place = Place::with_file(ENDLESS);
    let (mut run, mut told, process) = begin(&place, &["run"]);
    assert!(is_alive(&process));
    std::process::Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut told, &mut rest).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(1), "{rest}");
    assert!(rest.contains("cancelling") && rest.contains("cancelled by host; what was done stays"), "{rest}");
    gone(&process);
    assert_eq!(states(&place), ["cancelled"]);
    place.edit("perennial.toml", "sleep 1000", "true");
    place.good(&["run"]);
    assert!(place.good(&["verify"]).contains("the ledger holds"));
}

#[test]
fn a_run_of_a_server_is_cancelled_by_name_and_so_is_one_that_waits_for_its_turn() {
    let place = Place::with_file(ENDLESS);
    let server = Server::up(&place, &[]);
    let (mut run, _told, process) = begin(&place, &["run"]);
    let waiting = server.post("/api/v1/projects/stops/pipeline-runs", &json!({ "kind": "run" }));
    let waiting = waiting["id"].as_str().unwrap();
    let both = place.run(&["cancel"]);
    assert!(text(&both.stderr).contains("2 pipeline runs are not over"), "{both:?}");
    assert!(place.good(&["cancel", waiting]).contains("is cancelled"));
    assert!(is_alive(&process), "the other one goes on");
    assert!(place.good(&["cancel"]).contains("is cancelled"));
    assert_eq!(run.wait().unwrap().code(), Some(1));
    gone(&process);
    assert_eq!(states(&place), ["cancelled", "cancelled"]);
    let again = place.run(&["cancel", waiting]);
    assert!(text(&again.stderr).contains("is over: it is cancelled"), "{again:?}");
    assert!(place.good(&["cancel"]).contains("no pipeline run is under way"));
    place.good(&["run", "quick"]);
}

#[test]
fn a_release_that_was_cut_off_goes_live_by_no_run() {
    cut_off(true);
}

#[test]
fn a_release_that_was_cut_off_goes_not_live_past_gates_that_changed() {
    cut_off(false);
}

fn cut_off(by_a_run_first: bool) {
    let file = drifting::FILE.replace("candidate.auc >= champion.auc + 0.2", "candidate.auc > 0.5");
    let file = file.replace(
        "[steps.train]",
        "[steps.endless]\nrun = [\"sh\", \"-c\", \"echo $$; sleep 1000\"]\nenv = \"system\"\n\n[steps.train]",
    );
    let place = drifting::place(&file);
    let server = Server::up(&place, &[]);
    drifting::three_months(&place, &server);
    server.kill();
    let (mut release, _told, _) = begin(&place, &["release"]);
    release.kill().unwrap();
    release.wait().unwrap();
    place.edit("perennial.toml", "sleep 1000", "true");
    place.edit("perennial.toml", "candidate.auc > 0.5", "candidate.auc > 0.9999");
    if by_a_run_first {
        let run = place.run(&["run"]);
        let told = text(&run.stderr);
        assert!(told.contains("interrupted releases: 1; `perennial release`"), "{told}");
        assert!(place.good(&["endpoints"]).contains("none yet"));
    }
    place.run(&["release"]);
    assert!(place.good(&["endpoints"]).lines().count() <= 2 && !place.good(&["models"]).contains("champion"));
    let runs = place.json(&["runs"])["items"].as_array().unwrap().clone();
    let cut_off = runs.iter().rfind(|run| run["kind"] == "release").unwrap();
    assert_eq!(cut_off["state"], "failed", "{runs:?}");
    assert!(cut_off["message"].as_str().unwrap().contains("the project file changed"), "{cut_off} of {NAME}");
}
