//! Columns that are new, missing or of another type.

use perennial_core::ErrorCode;
use perennial_ingest::collect::CollectEvent;

use crate::support::{FLOWN, TestProject};

#[tokio::test]
async fn a_load_says_which_columns_are_new_and_which_have_no_value() {
    // Mode, second file, the message of its load.
    let cases = [
        (
            "append",
            "n,m\n2,x\n",
            Some("column `m` (text) is new: null in the rows before, and may be missing in later files"),
        ),
        (
            "append",
            "n,a,b\n2,1,true\n",
            Some("columns `a` (int), `b` (bool) are new: null in the rows before, and may be missing in later files"),
        ),
        ("append", "n\n2\n", None),
        ("merge", "n,m\n2,x\n", Some("column `m` (text) is new: null in the rows before")),
        ("replace", "n,m\n2,x\n", Some("column `m` (text) is new")),
    ];
    for (mode, content, expected) in cases {
        let key = if mode == "merge" { "key = [\"n\"]\n" } else { "" };
        let test = TestProject::start(&format!("{}{key}", FLOWN.replace("append", mode))).await;
        test.load("a.csv", "n\n1\n").await;
        let path = if mode == "replace" { "a.csv" } else { "b.csv" };
        assert_eq!(test.load(path, content).await.message.as_deref(), expected, "{mode} {content}");
    }
}

#[tokio::test]
async fn a_column_that_is_not_in_the_first_version_may_be_missing_later() {
    let test = TestProject::start(FLOWN).await;
    test.load("a.csv", "n\n1\n").await;
    test.load("b.csv", "n,m\n2,x\n").await;
    let load = test.load("c.csv", "n\n3\n").await;
    assert_eq!(load.message.as_deref(), Some("column `m` has no value in it"));
    assert_eq!(test.rows("SELECT n, m FROM flown ORDER BY n").await.len(), 3);
}

#[tokio::test]
async fn missing_and_retyped_columns_are_refused_unless_the_dataset_evolves() {
    // Second file, the refusal; `None` where it is allowed without a declaration.
    let cases =
        [("n,x\n2,1.5\n", Some("column `m` (text) is missing")), ("n,m,x\n2,b,2\n", None), ("n,m,x\n2,,\n", None)];
    for (content, refusal) in cases {
        for evolves in [false, true] {
            let test = TestProject::start(&format!("{FLOWN}evolve = {evolves}\n")).await;
            test.load("a.csv", "n,m,x\n1,a,0.5\n").await;
            test.offer(&[("b.csv", content)]);
            let collected = test.collect().await;
            let refused = collected.failed.first().map(|(_, error)| (error.code(), error.message().to_owned()));
            match refusal.filter(|_| !evolves) {
                None => assert_eq!(refused, None, "{content}"),
                Some(refusal) => {
                    let (code, message) = refused.expect("the load is refused");
                    assert!(code == ErrorCode::SchemaChanged && message.contains(refusal), "{message}");
                }
            }
        }
    }
}

#[tokio::test]
async fn findings_list_new_columns_failed_checks_and_reasons() {
    let checks = "[checks.flown]\nsmall = { that = \"n < 5\", severity = \"warn\" }\npositive = { that = \"n > 0\", at_least = 0.5 }\n";
    let test = TestProject::start(&format!("{FLOWN}\n{checks}")).await;
    test.load("a.csv", "n\n1\n").await;
    test.offer(&[("b.csv", "n,m\n7,x\n-1,y\n")]);
    let findings = std::sync::Mutex::new(Vec::new());
    let on_event = |event: &CollectEvent<'_>| {
        if let CollectEvent::LoadEnded { outcome, .. } = event {
            findings.lock().unwrap().extend(outcome.findings());
        }
    };
    let submission = test.project.submission().unwrap();
    test.test.app.ingest.collect(&test.test.system(), &test.project, &submission, &on_event).await.unwrap();
    let expected = [
        "column `m` (text) is new: null in the rows before, and may be missing in later files",
        "warning: `small`: 1 of 2 rows fail (share passing 0.500000, expected at least 1), such as b.csv line 2: n = 7",
        "1 set aside by `positive`",
    ];
    assert_eq!(*findings.lock().unwrap(), expected);
}
