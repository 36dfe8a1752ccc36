//! Steps that run a command: the example `flights-python` from end to end, and the output of a command during and
//! after its run.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::clients::{compare_with_onnx_runtime, run_conformance};
use crate::support::{Place, Server, text};

/// Runs a command that must succeed; gives its standard output and its standard error.
fn succeed(mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    let (printed, progress) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{printed}\n{progress}");
    (printed, progress)
}

#[test]
fn a_model_trained_in_python_is_tracked_by_mlflow_and_served() {
    let place = Place::example("flights-python");
    for folder in ["data/schedule", "data/weather", "data/arrivals"] {
        place.keep_only(folder, |name| name < "2013-04");
    }
    let (printed, progress) = succeed(place.command(&["release"]));
    assert!(printed.contains("version 1 answers at `delay`"), "{printed}\n{progress}");
    assert!(progress.contains("  train | training on "), "{progress}");
    let (log, _) = succeed(place.command(&["logs", "train"]));
    assert!(log.starts_with("training on ") && log.contains("held back: 0."), "{log}");

    // The lock is part of the cache key and does not change. The next run evaluates the model again, because it is the
    // champion now, and does not train it; the run after that has nothing to do.
    let (_, progress) = succeed(place.command(&["run"]));
    assert!(progress.contains("evaluation (evaluate)") && !progress.contains("train (run)"), "{progress}");
    let (printed, _) = succeed(place.command(&["run"]));
    assert!(printed.contains("nothing to do"), "{printed}");
    let why = |place: &Place| succeed(place.command(&["why", "train"])).0;
    assert!(why(&place).contains("up to date"), "{}", why(&place));
    place.edit("perennial.toml", "leaves = 8", "leaves = 9");
    assert!(
        why(&place).contains("would run") && why(&place).contains("params.leaves changed (8 → 9)"),
        "{}",
        why(&place)
    );
    place.edit("perennial.toml", "leaves = 9", "leaves = 8");

    let server = Server::start(place.command(&["up", "--port", "0"]), &place.path().join(".perennial"));
    let train = attempt(&server, "flight-delays-python", "release", "train");
    assert!(train["isolation"].as_str().unwrap().starts_with("landlock v"), "{train}");
    assert!(train["peak_memory_bytes"].as_u64().unwrap() > 50_000_000, "{train}");
    let explained = succeed(place.command(&["explain", "model", "1"])).0;
    assert!(explained.contains("environment "), "{explained}");
    run_conformance(&server, "step_run.py", &[("RUN_ID", train["run_id"].as_str().unwrap())]);
    compare_with_onnx_runtime(&place, &server, "flight-delays-python");
}

/// The latest attempt of a step in the only pipeline run of a kind.
fn attempt(server: &Server, project: &str, kind: &str, step: &str) -> Value {
    let runs = server.list(&format!("/api/v1/projects/{project}/pipeline-runs"));
    let run = runs.iter().find(|run| run["kind"] == json!(kind)).unwrap();
    let run = server.get(&format!("/api/v1/projects/{project}/pipeline-runs/{}", run["id"].as_str().unwrap()));
    let steps = run["steps"].as_array().unwrap();
    steps.iter().find(|attempt| attempt["step"] == json!(step)).unwrap().clone()
}

/// A project whose only step runs a line of shell.
fn shell(line: &str) -> Place {
    let line = json!(line);
    Place::with_file(&format!(
        "[project]\nname = \"shell\"\n\n[steps.say]\nrun = [\"sh\", \"-c\", {line}]\nenv = \"system\"\n\
         params = {{ word = \"over\" }}\noutputs = {{ text = {{ path = \"out.txt\" }} }}\nlimits = {{ time = \"2 minutes\" }}\n"
    ))
}

#[test]
fn the_output_of_a_command_is_shown_while_it_runs() {
    // The step waits for a file that the test writes after the first line of output.
    let place = shell("echo begun; until [ -e go ]; do sleep 0.02; done; echo $PERENNIAL_PARAM_WORD | tee out.txt");
    assert!(place.good(&["why", "say"]).contains("it has not run before"));
    let mut run = place.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "  say | begun"), "the run ended without its first line");
    let steps = place.path().join(".perennial/work/steps");
    let folders: Vec<_> = std::fs::read_dir(steps).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders.len(), 1);
    std::fs::write(folders[0].join("work/go"), "").unwrap();
    let rest: Vec<String> = lines.collect();
    assert!(run.wait().unwrap().success(), "{rest:?}");
    assert_eq!(rest[0], "  say | over", "{rest:?}");
    assert!(!folders[0].exists(), "the folder of the step was not removed");
    assert_eq!(place.good(&["logs", "say"]), "begun\nover\n");
    assert!(place.good(&["why", "say"]).contains("up to date"));
    assert!(place.good(&["run"]).contains("nothing to do"));
    place.edit("perennial.toml", "\"over\"", "\"out\"");
    assert!(place.good(&["why", "say"]).contains("params.word changed (over → out)"));
}

#[test]
fn a_code_pattern_includes_every_matching_file() {
    let place = shell("ls lib; cat lib/* > $PERENNIAL_OUTPUT_TEXT");
    place.edit("perennial.toml", "env = ", "code = [\"lib/*.txt\"]\nenv = ");
    let output = place.run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no file matches `lib/*.txt`"), "{}", text(&output.stderr));
    for name in ["a.txt", "b.txt", "c.md"] {
        place.write(&format!("lib/{name}"), "one\n");
    }
    place.good(&["run"]);
    assert_eq!(place.good(&["logs", "say"]), "a.txt\nb.txt\n");
    place.write("lib/c.md", "two\n");
    assert!(place.good(&["run"]).contains("nothing to do"));
    place.write("lib/b.txt", "two\n");
    assert!(place.good(&["why", "say"]).contains("code:lib/b.txt changed"));
}

#[test]
fn the_log_of_a_failed_command_is_kept() {
    let place = shell("echo before; echo broken >&2; exit 3");
    let output = place.run(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    let progress = text(&output.stderr);
    for words in ["  say | broken", "exited with status 3", "perennial logs say"] {
        assert!(progress.contains(words), "`{words}` is not in:\n{progress}");
    }
    assert_eq!(place.good(&["logs", "say"]), "before\nbroken\n");
}

#[test]
fn an_output_that_is_a_link_is_not_followed() {
    let place = shell("echo '{\"a\": 1}' > $PERENNIAL_OUTPUT_TEXT; ln -s /proc/self/status metrics.json");
    let output = place.run(&["run"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("`metrics.json` is a link"), "{}", text(&output.stderr));
    place.edit(
        "perennial.toml",
        "; ln -s /proc/self/status metrics.json",
        "; ln -sf ../../../../metadata.sqlite out.txt",
    );
    let output = place.run(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("what the step left at `out.txt` is a link"), "{}", text(&output.stderr));
}
