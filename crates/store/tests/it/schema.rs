//! Opening, migrations, damage, and the two schemas beside each other.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use perennial_core::entity::{Load, LoadFile, SourceFileRecord, Tag};
use perennial_core::permission::ProjectSet;
use perennial_core::state::LoadState;
use perennial_core::{Error as CoreError, ErrorCode};
use perennial_store::{
    Error, Options, Store, UnreadableRow, alerts, experiments, loads, pipeline_runs, projects, runs, source_files,
    tokens, unreadable,
};
use serde_json::json;
use sqlx::{Connection, PgConnection, Row, SqliteConnection};

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, dataset, experiment, load, pipeline_run, project, run};

/// Opening a store that is up to date takes no longer than this.
const OPEN_LIMIT: Duration = Duration::from_millis(10);

/// Columns by table: name, type, whether null is allowed, in their order.
type Columns = BTreeMap<String, Vec<(String, String, bool)>>;

fn common_type(declared: &str) -> String {
    match declared.to_ascii_lowercase().as_str() {
        "integer" | "bigint" => "number",
        "double precision" => "real",
        "text" => "text",
        "boolean" => "boolean",
        other => panic!("an unexpected type: {other}"),
    }
    .to_owned()
}

async fn sqlite_columns(url: &str) -> Columns {
    let mut conn = SqliteConnection::connect(url).await.unwrap();
    let sql = "SELECT t.name, c.name, c.type, c.\"notnull\" OR c.pk > 0 FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c \
               WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '_sqlx%' ORDER BY t.name, c.cid";
    let mut columns = Columns::new();
    for row in sqlx::query(sql).fetch_all(&mut conn).await.unwrap() {
        let column = (row.get(1), common_type(row.get(2)), !row.get::<bool, _>(3));
        columns.entry(row.get(0)).or_default().push(column);
    }
    columns
}

async fn postgres_columns(url: &str) -> Columns {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let sql = "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' FROM information_schema.columns \
               WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%' ORDER BY table_name, ordinal_position";
    let mut columns = Columns::new();
    for row in sqlx::query(sql).fetch_all(&mut conn).await.unwrap() {
        let column = (row.get(1), common_type(row.get(2)), row.get(3));
        columns.entry(row.get(0)).or_default().push(column);
    }
    columns
}

#[tokio::test]
async fn both_schemas_are_the_same_column_by_column() {
    let (sqlite, postgres) = (Db::sqlite().await, Db::postgres().await);
    let (left, right) = (sqlite_columns(&sqlite.url).await, postgres_columns(&postgres.url).await);
    assert!(left.len() > 50, "{}", left.len());
    for (table, columns) in &left {
        assert_eq!(Some(columns), right.get(table), "table {table}");
    }
    assert_eq!(left.len(), right.len());
    sqlite.finish().await;
    postgres.finish().await;
}

/// A server that starts makes its ids later than the stored ones, in whatever table they are.
#[tokio::test]
async fn the_latest_id_is_searched_in_every_table_with_ids() {
    let db = Db::sqlite().await;
    let query = include_str!("../../queries/schema/latest_id.sql");
    let tables = sqlite_columns(&db.url).await;
    let has_id =
        |columns: &[(String, String, bool)]| columns.iter().any(|(name, kind, _)| name == "id" && kind == "text");
    let missing = tables.into_iter().filter(|(table, columns)| {
        has_id(columns)
            && !query.lines().any(|line| {
                line.ends_with(&format!("MAX(id) FROM {table}"))
                    || line.ends_with(&format!("MAX(id) AS id FROM {table}"))
            })
    });
    assert_eq!(missing.map(|(table, _)| table).collect::<Vec<_>>(), Vec::<String>::new());
    db.finish().await;
}

#[tokio::test]
async fn the_migrations_have_the_same_names_for_both_databases() {
    let names = |dialect: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

on_both! {
    a_discarded_load_of_an_earlier_version_is_rejected,
    the_paths_of_an_earlier_version_become_files,
    experiments_of_an_earlier_version_keep_their_runs_and_tags,
}

/// Sets a load to the state of an earlier version, and reverts the migration that renames the state.
const BEFORE_REJECTED: &str = "UPDATE loads SET state = 'discarded'; DELETE FROM _sqlx_migrations WHERE version = 2;";

async fn a_discarded_load_of_an_earlier_version_is_rejected(db: &Db) {
    let project = project(&db.store, "shops").await;
    let dataset = dataset(&db.store, project.id, "stock").await;
    let one = load(&dataset, "in/1.csv");
    let inserted = one.clone();
    write_tx!(db.store, tx => { Ok(loads::insert(tx, &inserted).await?) }).unwrap();
    db.execute(BEFORE_REJECTED).await;
    let again = Store::open(&db.url, Options::default()).await.unwrap();
    let found = loads::get(&mut again.read().await.unwrap(), one.id).await.unwrap();
    assert_eq!(found.state, LoadState::Rejected);
    again.close().await.unwrap();
}

/// Reverts the migration that stores the files of loads in a table.
const BEFORE_LOAD_FILES: &str = "DROP TABLE load_files; ALTER TABLE loads ADD COLUMN source_path TEXT; \
    CREATE INDEX loads_by_path ON loads (dataset_id, source_path, id); DELETE FROM _sqlx_migrations WHERE version = 6;";

/// One path, and three in one text.
const PATHS: &str = "UPDATE loads SET source_path = 'in/a.csv' WHERE content_digest = 'digest of a'; \
    UPDATE loads SET source_path = 'in/back\\slash''\\u001f.csv\nin/é \"1\".csv\nin/z.csv' WHERE content_digest = 'digest of b';";

async fn the_paths_of_an_earlier_version_become_files(db: &Db) {
    let project = project(&db.store, "shops").await;
    let dataset = dataset(&db.store, project.id, "stock").await;
    let [single, several, step] = [load(&dataset, "a"), load(&dataset, "b"), load(&dataset, "c")];
    for load in [&single, &several, &step] {
        let inserted = load.clone();
        write_tx!(db.store, tx => { Ok(loads::insert(tx, &inserted).await?) }).unwrap();
    }
    let cached = SourceFileRecord {
        dataset_id: dataset.id,
        path: "in/é \"1\".csv".to_owned(),
        size_bytes: 1,
        modified_ns: None,
        etag: None,
        content_digest: "digest of one".to_owned(),
        load_id: Some(several.id),
        seen_ms: NOW,
    };
    write_tx!(db.store, tx => { Ok(source_files::upsert(tx, &cached).await?) }).unwrap();
    db.execute(BEFORE_LOAD_FILES).await;
    db.execute(PATHS).await;
    let again = Store::open(&db.url, Options::default()).await.unwrap();
    let mut reader = again.read().await.unwrap();
    let file = |path: &str, digest: Option<&str>| LoadFile {
        path: path.to_owned(),
        position: None,
        content_digest: digest.map(str::to_owned),
    };
    let files = loads::get(&mut reader, single.id).await.unwrap().files;
    assert_eq!(files, [file("in/a.csv", Some("digest of a"))]);
    let files = loads::get(&mut reader, several.id).await.unwrap().files;
    let expected = [
        file("in/back\\slash'\\u001f.csv", None),
        file("in/é \"1\".csv", Some("digest of one")),
        file("in/z.csv", None),
    ];
    assert_eq!(files, expected);
    assert_eq!(loads::get(&mut reader, step.id).await.unwrap().files, []);
    let found = loads::find_by_path(&mut reader, dataset.id, "in/z.csv").await.unwrap();
    assert_eq!(found.map(|load| load.id), Some(several.id));
    drop(reader);
    again.close().await.unwrap();
}

/// Reverts the migration that makes the names of experiments unique in their projects.
const BEFORE_NAMES_OF_PROJECTS_SQLITE: &str = "PRAGMA foreign_keys = OFF; \
    CREATE TABLE earlier (id INTEGER PRIMARY KEY AUTOINCREMENT, project_id TEXT NOT NULL REFERENCES projects (id), \
    name TEXT NOT NULL UNIQUE, artifact_location TEXT NOT NULL, lifecycle TEXT NOT NULL, created_ms BIGINT NOT NULL, \
    updated_ms BIGINT NOT NULL); INSERT INTO earlier SELECT * FROM experiments; DROP TABLE experiments; \
    ALTER TABLE earlier RENAME TO experiments; CREATE INDEX experiments_by_project ON experiments (project_id); \
    DELETE FROM _sqlx_migrations WHERE version = 11;";
const BEFORE_NAMES_OF_PROJECTS_POSTGRES: &str = "DROP INDEX experiments_by_name; \
    ALTER TABLE experiments DROP CONSTRAINT experiments_name_in_project; \
    ALTER TABLE experiments ADD CONSTRAINT experiments_name_key UNIQUE (name); \
    CREATE INDEX experiments_by_project ON experiments (project_id); DELETE FROM _sqlx_migrations WHERE version = 11;";

async fn experiments_of_an_earlier_version_keep_their_runs_and_tags(db: &Db) {
    let (one, two) = (experiment(&db.store, "one").await, experiment(&db.store, "two").await);
    let (tag, begun) = (Tag { key: "k".to_owned(), value: "v".to_owned() }, run(&two));
    let (tagged, created) = (tag.clone(), begun.clone());
    write_tx!(db.store, tx => {
        experiments::set_tag(tx, one.id, &tagged).await?;
        runs::create(tx, &created).await?;
        Ok(())
    })
    .unwrap();
    let is_sqlite = db.url.starts_with("sqlite");
    db.execute(if is_sqlite { BEFORE_NAMES_OF_PROJECTS_SQLITE } else { BEFORE_NAMES_OF_PROJECTS_POSTGRES }).await;
    let again = Store::open(&db.url, Options::default()).await.unwrap();
    let mut reader = again.read().await.unwrap();
    for known in [&one, &two] {
        assert_eq!(&experiments::get(&mut reader, known.id).await.unwrap(), known);
    }
    assert_eq!(experiments::list_tags(&mut reader, one.id).await.unwrap(), [tag]);
    assert_eq!(runs::get(&mut reader, begun.run_id).await.unwrap().experiment_id, two.id);
    drop(reader);
    let shops = project(&again, "two").await;
    let three = experiment(&again, "three").await;
    assert_eq!((shops.experiment_id.number(), three.id.number()), (3, 4), "the ids continue");
    again.close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_up_to_date_opens_at_once() {
    let db = Db::sqlite().await;
    db.store.close().await.unwrap();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        let store = Store::open(&db.url, Options::default()).await.unwrap();
        best = best.min(start.elapsed());
        store.close().await.unwrap();
    }
    assert!(best < OPEN_LIMIT, "{best:?}");
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_not_touched() {
    let db = Db::sqlite().await;
    db.store.close().await.unwrap();
    let mut conn = SqliteConnection::connect(&db.url).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', 1, x'00', 0)",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    let Err(refused) = Store::open(&db.url, Options::default()).await else { panic!("it opened") };
    assert!(matches!(refused, Error::Newer(9999)), "{refused}");
    let error = CoreError::from(refused);
    assert_eq!(error.code(), ErrorCode::NotReady);
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn an_unknown_address_is_refused_without_its_password() {
    for address in ["mysql://root:secret@host/db", "metadata.db", ""] {
        let Err(refused) = Store::open(address, Options::default()).await else { panic!("it opened") };
        assert!(refused.to_string().contains("expected `sqlite://<path>`"), "{refused}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
    let Err(refused) = Store::open("sqlite:///nowhere/at/all/metadata.db", Options::default()).await else {
        panic!("it opened")
    };
    assert_eq!(CoreError::from(refused).code(), ErrorCode::Storage);
}

#[tokio::test]
async fn a_damaged_row_names_table_column_and_key() {
    let db = Db::sqlite().await;
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let load = load(&dataset, "a");
    let id = load.id;
    write_tx!(db.store, tx => { Ok(loads::insert(tx, &load).await?) }).unwrap();
    let mut conn = SqliteConnection::connect(&db.url).await.unwrap();
    for (damage, column) in [
        ("UPDATE loads SET state = 'lost'", "state"),
        ("UPDATE loads SET state = 'staged', reasons = '{'", "reasons"),
        ("UPDATE loads SET reasons = '{}', arrived = -1", "arrived"),
        ("UPDATE loads SET arrived = 'many'", "arrived"),
        ("UPDATE loads SET arrived = 1, dataset_id = 'x'", "dataset_id"),
    ] {
        sqlx::raw_sql("PRAGMA foreign_keys = off").execute(&mut conn).await.unwrap();
        sqlx::raw_sql(damage).execute(&mut conn).await.unwrap();
        let mut reader = db.store.read().await.unwrap();
        let error = loads::get(&mut reader, id).await.unwrap_err();
        let place = format!("table `loads`, column `{column}`, row `{id}` does not convert: ");
        assert!(error.to_string().starts_with(&place), "{damage}: {error}");
        assert_eq!(CoreError::from(error).code(), ErrorCode::Corrupt);
    }
    db.finish().await;
}

#[tokio::test]
async fn a_damaged_pipeline_run_or_alert_is_an_error() {
    let db = Db::sqlite().await;
    let project = project(&db.store, "p").await;
    let id = pipeline_run(&db.store, project.id).await.id;
    let mut conn = SqliteConnection::connect(&db.url).await.unwrap();
    for (damage, column) in [
        ("UPDATE pipeline_runs SET options = '{\"steps\":7}'", "options"),
        ("UPDATE pipeline_runs SET options = '{\"skip\":[]}'", "options"),
        ("UPDATE pipeline_runs SET options = '{}', cause = '{\"kind\":\"magic\"}'", "cause"),
    ] {
        sqlx::raw_sql(damage).execute(&mut conn).await.unwrap();
        let error = pipeline_runs::get(&mut db.store.read().await.unwrap(), id).await.unwrap_err();
        let place = format!("table `pipeline_runs`, column `{column}`, row `{id}` does not convert: ");
        assert!(error.to_string().starts_with(&place), "{damage}: {error}");
    }
    sqlx::raw_sql(
        "INSERT INTO alerts (id, project_id, subject, name, window_start_ms, facts, message, state, wall_ms, project_ms)
         SELECT '00000000000070008000000000000001', id, 'planet:mars', 'late', 0, '{}', '', 'firing', 0, 0 FROM projects
         WHERE name = 'p'",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    let error = alerts::list_open(&mut db.store.read().await.unwrap(), project.id, None, 9).await.unwrap_err();
    let place = "table `alerts`, column `subject`, row `00000000000070008000000000000001` does not convert: ";
    assert!(error.to_string().starts_with(place), "{error}");
    db.finish().await;
}

#[tokio::test]
async fn a_list_of_a_start_sets_unreadable_rows_aside() {
    let db = Db::sqlite().await;
    let (good, damaged) = (project(&db.store, "good").await, project(&db.store, "damaged").await);
    let (run, lost) = (pipeline_run(&db.store, good.id).await.id, pipeline_run(&db.store, damaged.id).await.id);
    let mut conn = SqliteConnection::connect(&db.url).await.unwrap();
    for damage in [
        "UPDATE pipeline_runs SET cause = '[' WHERE project_id = (SELECT id FROM projects WHERE name = 'damaged')",
        "UPDATE projects SET name = 'not a name' WHERE name = 'damaged'",
    ] {
        sqlx::raw_sql(damage).execute(&mut conn).await.unwrap();
    }
    let mut reader = db.store.read().await.unwrap();
    let open = pipeline_runs::list_open(&mut reader).await.unwrap();
    assert_eq!(open.rows.iter().map(|run| run.id).collect::<Vec<_>>(), [run]);
    let place = |row: &UnreadableRow| (row.table, row.column.clone(), row.key.clone());
    let expected = [("pipeline_runs", "cause".to_owned(), lost.to_string())];
    assert_eq!(open.unreadable.iter().map(place).collect::<Vec<_>>(), expected);
    let projects = projects::list_readable(&mut reader, &ProjectSet::All).await.unwrap();
    assert_eq!(projects.rows.iter().map(|project| project.name.as_str()).collect::<Vec<_>>(), ["default", "good"]);
    let all = unreadable::list(&mut reader).await.unwrap();
    let expected = [("projects", "name".to_owned(), damaged.id.to_string()), expected[0].clone()];
    assert_eq!(all.iter().map(place).collect::<Vec<_>>(), expected);
    drop(reader);
    db.finish().await;
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_stored() {
    let db = Db::sqlite().await;
    let project = project(&db.store, "p").await;
    let mut dataset = dataset(&db.store, project.id, "d").await;
    dataset.id = perennial_core::id::DatasetId::generate();
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    for (depth, stored) in [(100, true), (121, false)] {
        let one = Load { staged: Some(nested(depth)), ..load(&dataset, "a") };
        let refused = write_tx!(db.store, tx => { Ok(loads::insert(tx, &one).await?) }).unwrap_err();
        // The dataset does not exist: the value is checked first.
        let code = if stored { ErrorCode::WrongState } else { ErrorCode::InvalidArgument };
        assert_eq!(refused.code(), code, "{depth}: {refused}");
    }
    db.finish().await;
}

#[tokio::test]
async fn a_row_that_names_nothing_is_refused() {
    let db = Db::sqlite().await;
    let project = project(&db.store, "p").await;
    let mut dataset = dataset(&db.store, project.id, "d").await;
    dataset.id = perennial_core::id::DatasetId::generate();
    let load = load(&dataset, "a");
    let refused = write_tx!(db.store, tx => { Ok(loads::insert(tx, &load).await?) }).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::WrongState);
    db.finish().await;
}

#[tokio::test]
async fn a_backup_holds_what_was_answered_before_it() {
    let db = Db::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("it's a copy.db");
    let project = project(&db.store, "kept").await;
    let writing = async {
        for number in 0..50 {
            write_tx!(db.store, tx => { Ok(tokens::insert_admin_link(tx, &number.to_string(), NOW, NOW).await?) })
                .unwrap();
        }
    };
    let ((), copied) = futures::join!(writing, db.store.backup(&target));
    copied.unwrap();
    let again = db.store.backup(&target).await.unwrap_err();
    assert!(again.to_string().contains("exists already"), "{again}");
    let copy = Store::open(&format!("sqlite://{}", target.display()), Options::default()).await.unwrap();
    let mut reader = copy.read().await.unwrap();
    assert_eq!(projects::get(&mut reader, project.id).await.unwrap(), project);
    drop(reader);
    copy.close().await.unwrap();
    db.finish().await;
}

#[tokio::test]
async fn postgres_is_not_backed_up_here() {
    let db = Db::postgres().await;
    let refused = db.store.backup(Path::new("/tmp/never")).await.unwrap_err();
    assert!(refused.to_string().contains("pg_dump"), "{refused}");
    assert_eq!((db.store.dialect(), db.store.sqlite_path()), ("postgres", None));
    db.finish().await;
}
