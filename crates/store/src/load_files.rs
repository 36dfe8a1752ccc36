//! The files of loads.

use std::collections::HashMap;

use perennial_core::entity::{Load, LoadFile};
use perennial_core::filter::TextTest;
use perennial_core::id::LoadId;
use perennial_core::port::source::Position;

use crate::conn::{Conn, Tx};
use crate::dynamic::Sql;
use crate::error::Result;
use crate::row::{Record, Row};
use crate::value::Bind;

/// A file with the load that it belongs to.
struct FileOfLoad {
    load_id: LoadId,
    file: LoadFile,
}

impl Record for FileOfLoad {
    const TABLE: &'static str = "load_files";
    const KEY: &'static [&'static str] = &["load_id", "path"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            load_id: row.get("load_id")?,
            file: LoadFile {
                path: row.get("path")?,
                position: row.get::<Option<String>>("position")?.map(Position::new),
                content_digest: row.get("content_digest")?,
            },
        })
    }
}

/// Inserts the files of a load.
pub(crate) async fn insert(tx: &mut Tx, load: &Load) -> Result<()> {
    let positions = load.files.iter().map(|file| file.position.as_ref().map(Position::as_str));
    let rows: Vec<(i64, Option<&str>)> = (0..).zip(positions).collect();
    let mut values = Vec::with_capacity(load.files.len() * 6);
    for (file, (ordinal, position)) in load.files.iter().zip(&rows) {
        values.extend([
            load.id.value(),
            ordinal.value(),
            load.dataset_id.value(),
            file.path.value(),
            position.value(),
            file.content_digest.value(),
        ]);
    }
    if !values.is_empty() {
        tx.execute_bulk(sql!("load_files/insert"), &values).await?;
    }
    Ok(())
}

/// Adds its files to a load.
pub(crate) async fn attach_one(conn: &mut Conn, load: Load) -> Result<Load> {
    let [load] = attach(conn, [load]).await?;
    Ok(load)
}

/// Adds their files to loads, with one query.
pub(crate) async fn attach<L: AsMut<[Load]>>(conn: &mut Conn, mut loads: L) -> Result<L> {
    if loads.as_mut().is_empty() {
        return Ok(loads);
    }
    let ids = loads.as_mut().iter().map(|load| load.id.to_string()).collect();
    let mut sql = Sql::new(conn.dialect());
    sql.push("SELECT load_id, path, position, content_digest FROM load_files WHERE ");
    sql.text_test("load_id", &TextTest::In(ids));
    sql.push(" ORDER BY load_id, ordinal");
    let mut by_load: HashMap<LoadId, Vec<LoadFile>> = HashMap::new();
    for row in conn.rows_of(sql).await? {
        let FileOfLoad { load_id, file } = Row::record(&row)?;
        by_load.entry(load_id).or_default().push(file);
    }
    for load in loads.as_mut() {
        load.files = by_load.remove(&load.id).unwrap_or_default();
    }
    Ok(loads)
}
