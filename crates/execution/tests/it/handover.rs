//! What a command gets in its folder: code, and the outputs of other steps.

use perennial_kernel::access;
use perennial_testkit::toml_text;

use crate::support::TestProject;

/// A step that leaves a file, and one that prints it.
const FILE: &str = r#"
[steps.features]
run = ["write:out/rows.csv:first"]
env = "system"
outputs = { rows = { path = "out/rows.csv" } }

[steps.report]
run = ["cat:inputs/features.rows/rows.csv"]
env = "system"
inputs = ["features.rows"]
"#;

/// The log of a step of the first run of a project.
async fn log(file: &str, step: &str) -> String {
    let test = TestProject::start(file).await;
    let ended = test.run().await;
    assert_eq!(ended.state(), "succeeded", "{:?}", ended.result);
    test.log(ended.id, step).await
}

#[tokio::test]
async fn a_file_is_handed_over_below_a_folder_named_for_the_input() {
    assert_eq!(log(FILE, "report").await, "first\n");
}

#[tokio::test]
async fn the_variable_of_an_input_has_its_path_in_the_folder_of_the_attempt() {
    let file = toml_text::set(FILE, "steps.report.run", "[\"env:PERENNIAL_INPUT_FEATURES_ROWS\", \"env:HOME\"]");
    let log = log(&file, "report").await;
    let (input, home) = log.trim_end().split_once('\n').unwrap();
    assert_eq!(input, format!("{home}/inputs/features.rows"));
}

#[tokio::test]
async fn a_folder_is_handed_over_with_every_file_below_it() {
    let file = toml_text::set(FILE, "steps.features.run", "[\"write:out/a.txt:one\", \"write:out/below/b.txt:two\"]");
    let file = toml_text::set(&file, "steps.features.outputs.rows.path", "\"out\"");
    let file = toml_text::set(
        &file,
        "steps.report.run",
        "[\"cat:inputs/features.rows/a.txt\", \"cat:inputs/features.rows/below/b.txt\"]",
    );
    assert_eq!(log(&file, "report").await, "one\ntwo\n");
}

#[tokio::test]
async fn a_model_is_handed_over_as_its_folder() {
    let file = toml_text::set(FILE, "steps.features.run", "[\"write:out/weights.bin:0.5\"]");
    let file = toml_text::set(&file, "steps.features.outputs", "{ rows = { path = \"out\", kind = \"model\" } }");
    let file = toml_text::set(&file, "steps.report.run", "[\"cat:inputs/features.rows/weights.bin\"]");
    assert_eq!(log(&file, "report").await, "0.5\n");
}

#[tokio::test]
async fn a_command_that_changes_its_input_changes_its_own_copy_only() {
    let file = format!(
        r#"{FILE}
[steps.spoil]
run = ["write:inputs/features.rows/rows.csv:spoiled", "write:done:x"]
env = "system"
inputs = ["features.rows"]
outputs = {{ done = {{ path = "done" }} }}

[steps.last]
run = ["cat:inputs/features.rows/rows.csv"]
env = "system"
inputs = ["features.rows", "spoil.done"]
"#
    );
    assert_eq!(log(&file, "last").await, "first\n");
}

#[tokio::test]
async fn outputs_of_a_cached_step_are_handed_over() {
    let test = TestProject::start(FILE).await;
    test.run().await;
    test.submit(&toml_text::set(FILE, "steps.report.params", "{ again = true }")).await;
    let ended = test.run().await;
    assert_eq!(test.states(ended.id).await, ["features cached", "report succeeded"]);
    assert_eq!(test.log(ended.id, "report").await, "first\n");
}

#[tokio::test]
async fn an_output_with_other_content_is_named_by_its_step_in_the_reasons() {
    let test = TestProject::start(FILE).await;
    test.run().await;
    test.submit(&toml_text::set(FILE, "steps.features.run", "[\"write:out/rows.csv:second\"]")).await;
    test.run_steps(&["features"]).await;
    let (step, is_cached, reasons) = test.planned().await.remove(1);
    assert_eq!((step.as_str(), is_cached), ("report", false));
    assert!(reasons.starts_with("input:features.rows changed ("), "{reasons}");
}

/// A command with code: the files of a folder, and one by its path.
const CODE: &str = r#"
[steps.only]
run = ["cat:code/a.py", "cat:lib/b.py"]
env = "system"
code = ["code/*.py", "lib/b.py"]
"#;

async fn with_code() -> TestProject {
    TestProject::with_files(CODE, &[("code/a.py", "one"), ("lib/b.py", "two"), ("lib/c.py", "three")]).await
}

#[tokio::test]
async fn code_has_the_same_paths_as_beside_the_project_file() {
    let test = with_code().await;
    let ended = test.run().await;
    assert_eq!(test.log(ended.id, "only").await, "one\ntwo\n");
}

#[tokio::test]
async fn a_command_does_not_get_files_that_it_does_not_declare() {
    let test = with_code().await;
    test.submit(&toml_text::set(CODE, "steps.only.run", "[\"cat:lib/c.py\"]")).await;
    let ended = test.run().await;
    assert!(ended.error().message().contains("the command could not start"), "{}", ended.error().message());
}

#[tokio::test]
async fn changed_and_added_code_runs_the_command_again_and_other_files_do_not() {
    let test = with_code().await;
    test.run().await;
    test.write_file("lib/c.py", "changed");
    test.submit(CODE).await;
    assert!(test.planned().await[0].1, "`lib/c.py` is not declared");
    test.write_file("code/a.py", "changed");
    test.write_file("code/new.py", "added");
    test.submit(CODE).await;
    let reasons = test.planned().await.remove(0).2;
    assert!(
        reasons.starts_with("code:code/a.py changed (") && reasons.ends_with("code:code/new.py is new"),
        "{reasons}"
    );
}

#[tokio::test]
async fn a_command_logs_to_its_tracked_run_by_a_token_that_ends_with_it() {
    let file = r#"
[steps.only]
run = ["env:MLFLOW_TRACKING_URI", "env:MLFLOW_RUN_ID", "env:MLFLOW_TRACKING_TOKEN"]
env = "system"
"#;
    let test = TestProject::start(file).await;
    test.test.app.kernel.address.set("http://127.0.0.1:5000".to_owned()).unwrap();
    let ended = test.run().await;
    let log = test.log(ended.id, "only").await;
    let [address, run, token] = log.lines().collect::<Vec<_>>()[..] else { panic!("{log}") };
    assert_eq!(address, "http://127.0.0.1:5000");
    assert_eq!(run, test.attempt(ended.id, "only").await.run_id.unwrap().to_string());
    assert!(!token.is_empty());
    let ended = access::authenticate(&test.test.app.kernel, token).await;
    assert_eq!(ended.unwrap_err().code(), perennial_core::ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn a_command_of_a_server_without_an_address_has_no_token() {
    let file = "[steps.only]\nrun = [\"env:MLFLOW_TRACKING_TOKEN\"]\nenv = \"system\"\n";
    assert_eq!(log(file, "only").await, "\n");
}
