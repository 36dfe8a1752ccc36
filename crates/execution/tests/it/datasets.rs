//! Steps that read and make datasets: queries, and commands with rows.

use perennial_core::ErrorCode;
use perennial_execution::column_check::{self, Unloaded};

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
    mismatches_with(test, file, Unloaded::Unknown).await
}

async fn mismatches_with(test: &TestProject, file: &str, unloaded: Unloaded) -> String {
    test.test.write_file(&crate::support::with_project_table(file)).unwrap();
    let (_, submission) = test.test.app.projects.own(&test.test.system()).await.unwrap();
    match column_check::validate_columns(&test.test.system(), &submission, unloaded).await {
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

#[tokio::test]
async fn a_check_over_a_column_that_the_files_lack_is_reported_before_any_load() {
    let test = start(QUERY).await;
    let file =
        format!("{QUERY}\n[checks.flown]\nshort = {{ that = \"dealy < 15\" }}\ngood = {{ that = \"delay < 15\" }}\n");
    let found = mismatches_with(&test, &file, Unloaded::Files).await;
    assert!(found.contains("dealy") && !found.contains("good"), "{found}");
    assert_eq!(
        mismatches_with(&test, QUERY, Unloaded::Files).await,
        "",
        "the query over it is validated when it has rows"
    );
    assert_eq!(mismatches(&test, &file).await, "", "a client's files are not on the server");
    test.test.data.make_unreadable("a.csv");
    assert_eq!(mismatches_with(&test, &file, Unloaded::Files).await, "", "the load reports a file that cannot be read");
}

#[tokio::test]
async fn a_key_and_a_reference_are_compared_with_the_files_before_any_load() {
    let test = start(QUERY).await;
    test.test.data.offer("planes.tsv", "tail\n1\n");
    let planes = "\n[datasets.planes]\nsource = { files = \"*.tsv\", format = \"csv\" }\nmode = \"append\"\n";
    for (column, target, reported) in
        [("flight", "tail", None), ("flihgt", "tail", Some("flihgt")), ("flight", "tial", Some("tial"))]
    {
        let check = format!(
            "{QUERY}{planes}\n[checks.flown]\nknown = {{ column = \"{column}\", references = \"planes.{target}\" }}\n"
        );
        let found = mismatches_with(&test, &check, Unloaded::Files).await;
        match reported {
            Some(name) => assert!(found.contains(name) && found.matches("column `").count() == 1, "{column}: {found}"),
            None => assert_eq!(found, "", "{column}"),
        }
    }
    let key = QUERY.replace("mode = \"append\"", "mode = \"append\"\nkey = [\"flihgt\"]");
    let found = mismatches_with(&test, &key, Unloaded::Files).await;
    assert!(found.contains("dataset `flown` has no column `flihgt`"), "{found}");
}
