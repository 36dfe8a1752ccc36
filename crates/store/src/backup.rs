//! A copy of an SQLite store while it works.

use std::fs::File;
use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::error::{Error, Result};
use crate::open::Store;

impl Store {
    /// Writes a copy of the database as it is at this moment to a new file, on disk
    /// when this returns. Writes continue meanwhile. SQLite only: PostgreSQL has tools of its own.
    pub async fn backup(&self, target: &Path) -> Result<()> {
        let Some(source) = self.sqlite_path() else {
            return Err(Error::Refused(
                "only an SQLite store can be backed up here: use pg_dump for PostgreSQL".to_owned(),
            ));
        };
        if target.exists() {
            return Err(Error::Refused(format!("`{}` exists already: name a file that does not", target.display())));
        }
        let options = SqliteConnectOptions::new().filename(source).read_only(true);
        let mut conn = SqliteConnection::connect_with(&options).await?;
        sqlx::query("VACUUM INTO $1").bind(target.to_string_lossy().into_owned()).execute(&mut conn).await?;
        conn.close().await?;
        sync(target).map_err(|source| Error::File { path: target.display().to_string(), source })
    }
}

/// Puts a file and its name in its folder on disk.
fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()?;
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
