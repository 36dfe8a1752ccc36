//! Tables and sources in an object store: `moto_server`, a real S3 API on a free port.
//!
//! The store is configured by environment variables, as in production, so the engine under test runs in a process of its
//! own: this test starts itself again.

use std::process::Command;

use perennial_core::port::data::{DataEngine, Mode, NamedTable, QueryRequest, StageInput, TableRef};
use perennial_data::{Engine, EngineOptions};
use perennial_testkit::s3_server::ObjectStore;
use serde_json::json;

use crate::support::{Fixture, StageOptions, TABLE, assert_error, commit_of, source};

const INSIDE: &str = "PERENNIAL_TEST_INSIDE_S3";

#[test]
fn tables_and_sources_lie_in_an_s3_compatible_store() {
    let server = ObjectStore::start();
    server.put("lake", "");
    let inside = Command::new(std::env::current_exe().expect("this test"))
        .args(["stores::inside_the_store", "--exact", "--nocapture"])
        .env(INSIDE, "yes")
        .envs(server.variables())
        .env("AWS_ALLOW_HTTP", "true")
        .output()
        .expect("this test starts again");
    assert!(
        inside.status.success(),
        "{}{}",
        String::from_utf8_lossy(&inside.stdout),
        String::from_utf8_lossy(&inside.stderr)
    );
    assert!(String::from_utf8_lossy(&inside.stdout).contains("the store was used"));
}

/// The part that runs with the store's variables; without them it does nothing.
#[tokio::test]
async fn inside_the_store() {
    if std::env::var(INSIDE).is_err() {
        return;
    }
    let fixture = Fixture::new();
    let open = || {
        Engine::open(EngineOptions {
            root: "s3://lake/tables".into(),
            staging: fixture.folder.path().join("staging-s3"),
            source_root: fixture.folder.path().join("sources"),
            reserved: Vec::new(),
            memory_bytes: 64 << 20,
            threads: 2,
        })
        .expect("an engine")
    };
    let (engine, other) = (open(), open());
    let stage = async |text: &str, mode, base| {
        let options = StageOptions::lines(text).key(&["k"]).mode(mode);
        let load = perennial_core::id::LoadId::generate();
        let request = perennial_core::port::data::StageRequest { base, ..fixture.request(load, &options).await };
        (load, engine.stage(request).await.expect("staged"))
    };
    let (a, _) = stage("{\"k\": 1, \"v\": \"a\"}\n{\"k\": 2, \"v\": \"b\"}\n", Mode::Merge, None).await;
    let (b, _) = stage("{\"k\": 3, \"v\": \"c\"}\n", Mode::Merge, None).await;
    // Two engines commit the table's first version concurrently: the store accepts one.
    let (left, right) = tokio::join!(engine.commit(commit_of(a, 0)), other.commit(commit_of(b, 0)));
    assert!(left.is_ok() != right.is_ok(), "{left:?} {right:?}");
    assert_error(left.as_ref().err().or(right.as_ref().err()).expect("one is refused"), "wrong-state", &[]);
    let position = other.position(TABLE).await.expect("a position").expect("a table");
    let base = TableRef { path: TABLE.into(), delta_version: position.delta_version };
    let (c, staged) = stage(
        "{\"k\": 1, \"v\": \"x\"}\n{\"k\": 3, \"v\": \"y\"}\n{\"k\": 9, \"v\": \"z\"}\n",
        Mode::Merge,
        Some(base),
    )
    .await;
    assert!(staged.change.removed_rows > 0);
    let first = engine.commit(commit_of(c, 1)).await.expect("committed");
    assert_eq!(other.commit(commit_of(c, 1)).await.expect("committed"), first);
    let rows = async |sql: &str| {
        let table = TableRef { path: TABLE.into(), delta_version: first.delta_version };
        let tables = vec![NamedTable { name: "rows".into(), table }];
        other.query(QueryRequest { sql: sql.into(), tables, limit: 10 }).await.expect("an answer").rows
    };
    let merged = rows("SELECT v FROM rows WHERE k IN (1, 3, 9) ORDER BY k").await;
    assert_eq!(merged, [[json!("x")], [json!("y")], [json!("z")]]);

    // A source in the store, with files that the engine exported.
    fixture.write("in.csv", "k,v\n7,q\n");
    let store = object_store::aws::AmazonS3Builder::from_env().with_bucket_name("lake").build().expect("a store");
    for name in ["in/2013-01.csv", "in/2013-02.csv", "in/other.txt"] {
        let text = object_store::PutPayload::from_static(b"k,v\n7,q\n");
        object_store::ObjectStoreExt::put(&store, &name.into(), text).await.expect("an object");
    }
    let files = source("s3://lake/in/*.csv");
    let listed = engine.list(&files).await.expect("a list").files;
    assert_eq!(listed.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["in/2013-01.csv", "in/2013-02.csv"]);
    assert!(listed[0].etag.is_some());
    let print = engine.fingerprint(&files, "in/2013-01.csv").await.expect("a fingerprint");
    assert_eq!(print, blake3::hash(b"k,v\n7,q\n").to_hex().to_string());
    assert_error(
        &engine.fingerprint(&files, "tables/secret").await.unwrap_err(),
        "invalid-argument",
        &["is not a file of the source"],
    );
    let options = StageOptions::new(StageInput::Files { source: files, files: listed });
    let load = perennial_core::id::LoadId::generate();
    let request = perennial_core::port::data::StageRequest { base: None, ..fixture.request(load, &options).await };
    assert_eq!(engine.stage(request).await.expect("staged").arrived, 2);
    println!("the store was used");
}
