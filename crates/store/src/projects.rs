//! Projects, the files that declare them, and where their clocks stand.

use perennial_core::entity::{NewExperiment, NewProject, Project, ProjectFile};
use perennial_core::filter::TextTest;
use perennial_core::id::ProjectId;
use perennial_core::name::ProjectName;
use perennial_core::permission::ProjectSet;
use uuid::Uuid;

use crate::conn::{Conn, Tx};
use crate::dynamic::Sql;
use crate::error::Result;
use crate::experiments;
use crate::row::{Readable, Record, Row};

impl Record for Project {
    const TABLE: &'static str = "projects";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            experiment_id: row.get("experiment_id")?,
            file_digest: row.get("file_digest")?,
            clock_ms: row.get("clock_ms")?,
            created_ms: row.get("created_ms")?,
        })
    }
}

impl Record for ProjectFile {
    const TABLE: &'static str = "project_files";
    const KEY: &'static [&'static str] = &["project_id", "digest"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            project_id: row.get("project_id")?,
            digest: row.get("digest")?,
            body: row.get("body")?,
            submitted_ms: row.get("submitted_ms")?,
            submitted_by: row.get("submitted_by")?,
            approver: row.get("approver")?,
        })
    }
}

/// The project `default`, there from the start; experiment 0 is its.
pub fn default_id() -> ProjectId {
    ProjectId::from(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000))
}

/// Makes a project and the experiment of its name.
pub async fn create(tx: &mut Tx, project: &NewProject) -> Result<Project> {
    tx.insert(sql!("projects/insert"), bind![project.id, project.name, project.created_ms], "project", &project.name)
        .await?;
    let experiment = experiments::create(
        tx,
        &NewExperiment {
            project_id: project.id,
            name: project.name.to_string(),
            artifact_location: None,
            artifact_root: project.artifact_root.clone(),
            created_ms: project.created_ms,
            tags: Vec::new(),
        },
    )
    .await?;
    tx.update(sql!("projects/set_experiment"), bind![project.id, experiment.id], "project", &project.name).await?;
    get(tx, project.id).await
}

/// A project; an error when there is none.
pub async fn get(conn: &mut Conn, id: ProjectId) -> Result<Project> {
    conn.required(sql!("projects/get"), bind![id], "project", id).await
}

/// The project of a name.
pub async fn find_by_name(conn: &mut Conn, name: &ProjectName) -> Result<Option<Project>> {
    conn.optional(sql!("projects/find_by_name"), bind![name]).await
}

/// Every project, by name.
pub async fn list(conn: &mut Conn) -> Result<Vec<Project>> {
    conn.all(list_sql!("projects/list"), bind![]).await
}

/// The projects of a set, by name.
pub async fn list_in(conn: &mut Conn, set: &ProjectSet) -> Result<Vec<Project>> {
    let ProjectSet::Only(ids) = set else { return list(conn).await };
    let mut sql = Sql::new(conn.dialect());
    sql.push("SELECT id, name, experiment_id, file_digest, clock_ms, created_ms FROM projects WHERE ");
    sql.text_test("id", &TextTest::In(ids.iter().map(ToString::to_string).collect()));
    sql.push(" ORDER BY name");
    conn.rows_of(sql).await?.iter().map(Row::record).collect()
}

/// The projects of a set, by name; those that do not convert are set aside.
pub async fn list_readable(conn: &mut Conn, set: &ProjectSet) -> Result<Readable<Project>> {
    let mut all: Readable<Project> = conn.readable(list_sql!("projects/list"), bind![]).await?;
    if let ProjectSet::Only(ids) = set {
        all.rows.retain(|project| ids.contains(&project.id));
    }
    Ok(all)
}

/// Sets where the stepped clock stands; `None` follows the wall clock again.
pub async fn set_clock(tx: &mut Tx, id: ProjectId, clock_ms: Option<i64>) -> Result<()> {
    tx.update(sql!("projects/set_clock"), bind![id, clock_ms], "project", id).await
}

/// Keeps a project file and makes it the one triggers and monitors use. The same again is kept once, as it is written now;
/// its approver stays.
pub async fn submit_file(tx: &mut Tx, file: &ProjectFile) -> Result<()> {
    let values = bind![file.project_id, file.digest, file.body, file.submitted_ms, file.submitted_by, file.approver];
    tx.execute(sql!("projects/insert_file"), values).await?;
    tx.update(sql!("projects/set_file"), bind![file.project_id, file.digest], "project", file.project_id).await
}

/// Records the first approver of a project file. Returns whether it had none before.
pub async fn approve_file(tx: &mut Tx, id: ProjectId, digest: &str, approver: &str) -> Result<bool> {
    Ok(tx.execute(sql!("projects/approve_file"), bind![id, digest, approver]).await? > 0)
}

/// A project file that was submitted once; an error when there is none.
pub async fn get_file(conn: &mut Conn, id: ProjectId, digest: &str) -> Result<ProjectFile> {
    conn.required(sql!("projects/get_file"), bind![id, digest], "project file", digest).await
}

/// The project file last submitted.
pub async fn find_current_file(conn: &mut Conn, id: ProjectId) -> Result<Option<ProjectFile>> {
    conn.optional(sql!("projects/find_current_file"), bind![id]).await
}
