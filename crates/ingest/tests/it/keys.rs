//! Keys: null, repeated in a load, and already in the dataset.

use perennial_core::state::LoadState;
use serde_json::json;

use crate::support::{FLOWN, TestProject};

fn keyed(mode: &str) -> String {
    format!("{}key = [\"k\"]\n", FLOWN.replace("append", mode))
}

#[tokio::test]
async fn rows_with_null_repeated_or_existing_keys_are_quarantined_by_mode() {
    // Mode, content of a second file, its passing rows, reasons, and the rows of the dataset afterwards as `k:v`.
    let cases = [
        ("append", "k,v\n2,b\n", 1, json!({}), "1:a 2:b"),
        ("append", "k,v\n,b\n", 0, json!({ "null key": 1 }), "1:a"),
        ("append", "k,v\n2,b\n2,c\n2,d\n", 1, json!({ "repeated key": 2 }), "1:a 2:b"),
        ("append", "k,v\n1,b\n2,c\n", 1, json!({ "key exists": 1 }), "1:a 2:c"),
        (
            "append",
            "k,v\n1,b\n,c\n2,d\n2,e\n",
            1,
            json!({ "key exists": 1, "null key": 1, "repeated key": 1 }),
            "1:a 2:d",
        ),
        ("merge", "k,v\n2,b\n", 1, json!({}), "1:a 2:b"),
        ("merge", "k,v\n,b\n", 0, json!({ "null key": 1 }), "1:a"),
        ("merge", "k,v\n2,b\n2,c\n2,d\n", 1, json!({ "repeated key": 2 }), "1:a 2:d"),
        ("merge", "k,v\n1,b\n2,c\n", 2, json!({}), "1:b 2:c"),
    ];
    for (mode, content, passing, reasons, expected) in cases {
        let test = TestProject::start(&keyed(mode)).await;
        test.load("a.csv", "k,v\n1,a\n").await;
        let load = test.load("b.csv", content).await;
        assert_eq!(load.state, LoadState::Committed, "{mode} {content}");
        assert_eq!((load.passing, &load.reasons), (passing, &reasons), "{mode} {content}");
        assert_eq!(load.set_aside, load.arrived - passing, "{mode} {content}");
        let rows = test.rows("SELECT k, v FROM flown ORDER BY k").await;
        let rows: Vec<String> = rows.iter().map(|row| format!("{}:{}", row[0], row[1].as_str().unwrap())).collect();
        assert_eq!(rows.join(" "), expected, "{mode} {content}");
        let version = &test.versions("flown").await[0];
        assert_eq!(version.row_count as usize, rows.len(), "{mode} {content}");
    }
}

#[tokio::test]
async fn the_digest_of_a_dataset_depends_on_its_rows_and_not_on_how_they_came() {
    let merged = TestProject::start(&keyed("merge")).await;
    merged.load("a.csv", "k,v\n1,a\n2,b\n").await;
    merged.load("b.csv", "k,v\n2,c\n3,d\n").await;
    let appended = TestProject::start(&keyed("append")).await;
    appended.load("c.csv", "k,v\n3,d\n1,a\n").await;
    appended.load("d.csv", "k,v\n2,c\n1,z\n").await;
    let digest = async |test: &TestProject| test.versions("flown").await[0].digest.clone();
    assert_eq!(digest(&merged).await, digest(&appended).await);
    appended.load("e.csv", "k,v\n4,e\n").await;
    assert_ne!(digest(&merged).await, digest(&appended).await);
}

#[tokio::test]
async fn quarantined_rows_name_their_reason_and_the_load_reports_them() {
    let test = TestProject::start(&keyed("append")).await;
    test.offer(&[("a.csv", "k,v\n1,a\n1,b\n,c\n")]);
    test.collect().await;
    let (caller, dataset) = (test.test.system(), "flown".parse().unwrap());
    let quarantine = perennial_ingest::datasets::quarantine(&caller, &test.project, &dataset, None, 10).await.unwrap();
    let mut rows: Vec<String> = quarantine.rows.iter().map(|row| format!("{} {}", row[1], row[3])).collect();
    rows.sort();
    assert_eq!(rows, ["\"null key\" \"c\"", "\"repeated key\" \"b\""]);
}

#[tokio::test]
async fn a_key_column_that_a_file_lacks_fails_its_load() {
    let test = TestProject::start(&keyed("append")).await;
    test.offer(&[("a.csv", "id,v\n1,a\n")]);
    let collected = test.collect().await;
    assert!(collected.failed[0].1.message().contains("key column `k`"), "{}", collected.failed[0].1);
    assert_eq!(test.loads("flown").await.len(), 0);
}
