//! A fresh database for each test, of either kind.

use std::path::Path;

use perennial_store::{Options, Store};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

/// Where a PostgreSQL server for tests listens: `postgres://user@host:port/postgres`.
const SERVER: &str = "PERENNIAL_TEST_POSTGRES";

/// A store over a database of its own.
pub(crate) struct Db {
    pub(crate) store: Store,
    pub(crate) url: String,
    place: Place,
}

enum Place {
    Folder(#[expect(dead_code, reason = "holds the folder until the test ends")] TempDir),
    Server(String),
}

impl Db {
    pub(crate) async fn sqlite() -> Self {
        Self::sqlite_with(Options { is_durable: false, ..Options::default() }).await
    }

    pub(crate) async fn sqlite_with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("metadata.db").display());
        let store = Store::open(&url, options).await.unwrap();
        Self { store, url, place: Place::Folder(folder) }
    }

    pub(crate) async fn postgres() -> Self {
        let name = format!("perennial_{}", uuid::Uuid::now_v7().simple());
        let mut admin = PgConnection::connect_with(&server()).await.unwrap();
        let template = template(&mut admin).await;
        let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
        let url = url_of(&name);
        let store =
            Store::open(&url, Options { is_durable: false, connections: 8, ..Options::default() }).await.unwrap();
        Self { store, url, place: Place::Server(name) }
    }

    /// Executes statements on a connection of their own.
    pub(crate) async fn execute(&self, sql: &'static str) {
        match &self.place {
            Place::Folder(_) => {
                let mut conn = SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
            }
            Place::Server(_) => {
                let mut conn = PgConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
            }
        }
    }

    /// Takes the database away.
    pub(crate) async fn finish(self) {
        self.store.close().await.unwrap();
        if let Place::Server(name) = self.place {
            let mut admin = PgConnection::connect_with(&server()).await.unwrap();
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut admin).await.unwrap();
        }
    }
}

fn server() -> PgConnectOptions {
    let Ok(url) = std::env::var(SERVER) else {
        panic!("{SERVER} is not set: `cargo xtask test` starts a PostgreSQL server and sets it");
    };
    url.parse().unwrap()
}

fn url_of(database: &str) -> String {
    let url = std::env::var(SERVER).unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

/// The database that others are copied from, made once for these migrations.
async fn template(admin: &mut PgConnection) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let migrations: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    let digest = migrations
        .iter()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let name = format!("perennial_template_{digest:x}");
    sqlx::query("SELECT pg_advisory_lock(7041)").execute(&mut *admin).await.unwrap();
    let known: Option<(i32,)> = sqlx::query_as("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind(&name)
        .fetch_optional(&mut *admin)
        .await
        .unwrap();
    if known.is_none() {
        let making = format!("{name}_making");
        for sql in [format!("DROP DATABASE IF EXISTS {making} WITH (FORCE)"), format!("CREATE DATABASE {making}")] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *admin).await.unwrap();
        }
        let store = Store::open(&url_of(&making), Options { is_durable: false, connections: 1, ..Options::default() })
            .await
            .unwrap();
        store.close().await.unwrap();
        let rename = format!("ALTER DATABASE {making} RENAME TO {name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(rename)).execute(&mut *admin).await.unwrap();
    }
    sqlx::query("SELECT pg_advisory_unlock(7041)").execute(&mut *admin).await.unwrap();
    name
}

/// Runs each named test function, which takes a `&Db`, on both databases.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let db = crate::db::Db::sqlite().await;
                super::$name(&db).await;
                db.finish().await;
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                let db = crate::db::Db::postgres().await;
                super::$name(&db).await;
                db.finish().await;
            })*
        }
    };
}
pub(crate) use on_both;

/// `write!(store, tx => { … })`: a closure that boxes its future; its value is what the block gives by `?`.
macro_rules! write_tx {
    ($store:expr, $tx:ident => $body:block) => {
        $store.write(move |$tx| Box::pin(async move { $body })).await
    };
}
pub(crate) use write_tx;
