//! Every query file is used, and prepares on the databases it is for.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::{Connection, Executor, PgConnection, SqlSafeStr, SqliteConnection};

use crate::db::Db;

/// Query files by path below `queries/`.
fn files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
    let mut files = BTreeMap::new();
    for folder in std::fs::read_dir(&root).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            files.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
    files
}

#[tokio::test]
async fn every_query_prepares_on_sqlite() {
    let db = Db::sqlite().await;
    let mut conn = SqliteConnection::connect(&db.url).await.unwrap();
    let mut failures = Vec::new();
    for (name, text) in files().iter().filter(|(name, _)| !name.ends_with(".postgres.sql")) {
        let sql = sqlx::AssertSqlSafe(text.as_str()).into_sql_str();
        if let Err(error) = (&mut conn).prepare(sql).await {
            failures.push(format!("{name}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    db.finish().await;
}

#[tokio::test]
async fn every_query_prepares_on_postgres() {
    let db = Db::postgres().await;
    let mut conn = PgConnection::connect(&db.url).await.unwrap();
    let mut failures = Vec::new();
    for (name, text) in files().iter().filter(|(name, _)| !name.ends_with(".sqlite.sql")) {
        let sql = sqlx::AssertSqlSafe(text.as_str()).into_sql_str();
        if let Err(error) = (&mut conn).prepare(sql).await {
            failures.push(format!("{name}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    drop(conn);
    db.finish().await;
}

#[test]
fn every_query_file_is_used() {
    let sources = sources();
    let unused: Vec<String> = files()
        .into_keys()
        .map(|name| name.trim_end_matches(".sql").trim_end_matches(".sqlite").trim_end_matches(".postgres").to_owned())
        .filter(|name| {
            !sources.contains(&format!("sql!(\"{name}\")")) && !sources.contains(&format!("sql_split!(\"{name}\")"))
        })
        .collect();
    assert!(unused.is_empty(), "no function uses {unused:?}");
}

fn sources() -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    text
}
