//! The split that a command gets: training and test rows of the dataset of `[task]`.

use perennial_core::calendar::parse_instant;
use perennial_core::frame::{Column, Frame};
use perennial_testkit::toml_text;

use crate::support::TestProject;

const FILE: &str = r#"
[task]
kind = "binary"
data = "flown"
target = "late"
key = ["id"]
time = "hour"
test = "1 month"
metric = "auc"

[datasets.flown]
source = { files = "*.csv" }
mode = "append"

[steps.fit]
run = ["read:PERENNIAL_INPUT_FLOWN_TRAIN", "read:PERENNIAL_INPUT_FLOWN_TEST"]
env = "system"
inputs = ["flown.train", "flown.test"]
"#;

/// Days of 2013, each with its outcome: April trains, May tests, June is not over.
const ROWS: [(&str, &str); 6] = [
    ("2013-04-10", "1"),
    ("2013-04-20", ""),
    ("2013-04-25", "0"),
    ("2013-05-10", "0"),
    ("2013-05-20", "1"),
    ("2013-06-01", "1"),
];

fn ms(day: &str) -> i64 {
    parse_instant(day, &perennial_core::calendar::timezone("UTC").unwrap()).unwrap()
}

async fn start(file: &str) -> TestProject {
    let test = TestProject::start(file).await;
    let lines = ROWS.iter().enumerate().map(|(row, (day, late))| format!("{row},{},{late}\n", ms(day)));
    test.test.data.offer("a.csv", &format!("id,hour,late\n{}", lines.collect::<String>()));
    let mut times = Frame::new();
    times.push("hour", Column::Number(ROWS.iter().map(|(day, _)| ms(day) as f64 / 1_000.0).collect()));
    times
        .push("labelled", Column::Number(ROWS.iter().map(|(_, late)| f64::from(u8::from(!late.is_empty()))).collect()));
    let split = "SELECT \"hour\", CASE WHEN \"late\" IS NULL THEN 0 ELSE 1 END AS labelled FROM \"flown\"";
    test.test.data.answer_frame(split, times);
    test
}

#[tokio::test]
async fn training_rows_are_the_labelled_rows_before_the_test_window_and_test_rows_those_in_it() {
    let test = start(FILE).await;
    let ended = test.run().await;
    assert_eq!(ended.state(), "succeeded", "{:?}", ended.result);
    let log = test.log(ended.id, "fit").await;
    let rows: Vec<&str> = log.lines().map(|line| line.split(',').next().unwrap_or_default()).collect();
    assert_eq!(rows, ["id", "0", "2", "", "id", "3", "4", ""]);
}

#[tokio::test]
async fn a_command_over_the_split_runs_again_when_the_window_changes_and_names_it() {
    let test = start(FILE).await;
    test.run().await;
    test.submit(&toml_text::set(FILE, "task.test", "\"1 week\"")).await;
    let reasons = test.planned().await.remove(0).2;
    assert!(reasons.starts_with("split changed (2013-05-01T00:00:00.000Z to"), "{reasons}");
}

#[tokio::test]
async fn a_command_over_the_split_runs_again_when_the_task_chooses_other_features() {
    let test = start(FILE).await;
    test.run().await;
    test.submit(&toml_text::set(FILE, "task.ignore", "[\"distance\"]")).await;
    let reasons = test.planned().await.remove(0).2;
    assert!(reasons.starts_with("task.ignore changed"), "{reasons}");
}

#[tokio::test]
async fn a_command_over_the_whole_dataset_does_not_depend_on_the_task() {
    let file = toml_text::set(FILE, "steps.fit.inputs", "[\"flown\"]");
    let file = toml_text::set(&file, "steps.fit.run", "[\"read:PERENNIAL_INPUT_FLOWN\"]");
    let test = start(&file).await;
    test.run().await;
    test.submit(&toml_text::set(&file, "task.test", "\"1 week\"")).await;
    assert!(test.planned().await[0].1);
}

#[tokio::test]
async fn a_split_without_earlier_rows_fails_before_the_command_starts() {
    let test = start(&toml_text::set(FILE, "task.test", "\"1 year\"")).await;
    let ended = test.run().await;
    let message = ended.error().message();
    assert!(message.starts_with("step `fit` failed: no window of 1 year is over"), "{message}");
    assert!(test.states(ended.id).await.is_empty());
}
