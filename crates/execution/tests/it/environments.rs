//! Environments of commands: resolved, part of the key, recorded.

use perennial_core::entity::StepOutputKind;
use perennial_execution::steps::ModelReference;
use perennial_testkit::toml_text;

use crate::support::TestProject;

const FILE: &str = r#"
[steps.only]
run = ["write:model/weights.bin:0.5"]
env = "uv:requirements.txt"
outputs = { model = { path = "model", kind = "model" } }
"#;

async fn start() -> TestProject {
    TestProject::with_files(FILE, &[("requirements.txt", "numpy==2.1.0\n")]).await
}

#[tokio::test]
async fn changed_requirements_run_the_command_again() {
    let test = start().await;
    test.run().await;
    test.write_file("requirements.txt", "numpy==2.2.0\n");
    test.submit(FILE).await;
    assert_eq!(test.planned().await[0].2, "environment changed (numpy==2.1.0 → numpy==2.2.0)");
    assert_eq!(test.run_states().await, ["only succeeded"]);
}

#[tokio::test]
async fn requirements_that_resolve_to_the_same_environment_do_not_run_the_command_again() {
    let test = start().await;
    test.run().await;
    test.write_file("requirements.txt", "\nnumpy==2.1.0\n\n");
    test.submit(FILE).await;
    assert!(test.planned().await[0].1);
}

#[tokio::test]
async fn the_record_of_a_model_has_the_environment_that_it_was_made_in() {
    let test = start().await;
    let ended = test.run().await;
    let (_, outputs) = test.attempts(ended.id).await.remove(0);
    assert_eq!(outputs[0].kind, StepOutputKind::Model);
    assert_eq!(ModelReference::of(&outputs[0]).unwrap().environment, "numpy==2.1.0");
}

#[tokio::test]
async fn results_of_the_machine_s_own_programs_are_marked_as_not_reproducible() {
    let file = toml_text::set(FILE, "steps.only.env", "\"system\"");
    let file = toml_text::set(&file, "steps.only.run", "[\"machine\", \"write:model/weights.bin:0.5\"]");
    let test = TestProject::start(&file).await;
    let ended = test.run().await;
    let attempt = test.attempt(ended.id, "only").await;
    let message = attempt.message.clone().unwrap_or_default();
    assert_eq!(message, "not reproducible: made by the machine's own programs");
    let (_, data) = test.tracked(&attempt).await;
    let tag = data.tags.iter().find(|tag| tag.key == "perennial.reproducible");
    assert_eq!(tag.map(|tag| tag.value.as_str()), Some("false"));
}

#[tokio::test]
async fn a_reproducible_result_has_no_mark() {
    let test = start().await;
    let ended = test.run().await;
    let attempt = test.attempt(ended.id, "only").await;
    let (_, data) = test.tracked(&attempt).await;
    assert_eq!(attempt.message, None);
    assert!(data.tags.iter().all(|tag| tag.key != "perennial.reproducible"));
}
