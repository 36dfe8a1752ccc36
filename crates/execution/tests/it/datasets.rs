//! Steps that read and make datasets: queries, and commands with rows.

use perennial_core::ErrorCode;
use perennial_execution::column_check;

use crate::support::TestProject;

/// A source, and a query over it.
const QUERY: &str = r#"
[datasets.flown]
source = { files = "*.csv" }
mode = "append"

[steps.late]
sql = "late.sql"
"#;

const LATE: &str = "SELECT * FROM flown WHERE delay > 10";

async fn start(file: &str) -> TestProject {
    let test = TestProject::with_files(file, &[("late.sql", LATE)]).await;
    test.test.data.offer("a.csv", "flight,delay\n1,5\n2,20\n");
    test
}

#[tokio::test]
async fn a_command_reads_the_rows_of_a_dataset_and_makes_another() {
    let file = r#"
[datasets.flown]
source = { files = "*.csv" }
mode = "append"

[steps.copy]
run = ["read:PERENNIAL_INPUT_FLOWN", "write:rows.csv:n\n7\n"]
env = "system"
inputs = ["flown"]
outputs = { made = { path = "rows.csv", kind = "dataset" } }
"#;
    let test = start(file).await;
    let ended = test.run().await;
    assert_eq!(ended.state(), "succeeded", "{:?}", ended.result);
    assert_eq!(test.log(ended.id, "copy").await, "flight,delay\n1,5\n2,20\n\n");
    assert_eq!(test.values("made").await, [7]);
}

/// The messages about a project file that does not fit the data, and the value that they are about.
async fn mismatches(test: &TestProject, file: &str) -> String {
    test.test.write_file(&crate::support::with_project_table(file)).unwrap();
    let (_, submission) = test.test.app.projects.own(&test.test.system()).await.unwrap();
    match column_check::validate_columns(&test.test.system(), &submission).await {
        Ok(()) => String::new(),
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::ProjectFile);
            error.chain()
        }
    }
}

#[tokio::test]
async fn columns_are_checked_only_where_there_is_data() {
    let file = QUERY.replace("mode = \"append\"", "mode = \"append\"\nkey = [\"flihgt\"]");
    let test = TestProject::with_files(QUERY, &[("late.sql", LATE)]).await;
    assert_eq!(mismatches(&test, &file).await, "");
    test.test.data.offer("a.csv", "flight,delay\n1,5\n2,20\n");
    test.run().await;
    assert_eq!(mismatches(&test, QUERY).await, "");
    let found = mismatches(&test, &file).await;
    assert!(found.contains("flihgt") && found.contains("flown"), "{found}");
}

#[tokio::test]
async fn a_check_over_an_unknown_column_is_reported() {
    let test = start(QUERY).await;
    test.run().await;
    let file = format!("{QUERY}\n[checks.flown]\nshort = {{ that = \"dealy < 15\" }}\n");
    let found = mismatches(&test, &file).await;
    assert!(found.contains("dealy"), "{found}");
}
