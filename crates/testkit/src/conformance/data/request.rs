//! Short ways to stage and commit rows in the suite.

use perennial_core::digest::{RowEncoder, TableSum, Value};
use perennial_core::id::LoadId;
use perennial_core::port::data::{
    CommitRequest, Committed, FilesSource, LocalTime, Mode, NamedTable, QueryRequest, RowCheck, RowCondition, ScanPlan,
    SourceFile, StageInput, StageRequest, Staged, TableRef,
};
use perennial_core::{Error, Result};
use serde_json::Value as Json;

use super::EngineUnderTest;

/// The path of the table that the suite loads into.
pub(super) const TABLE: &str = "project/rows";

/// The source of the suite.
pub(super) fn source() -> FilesSource {
    FilesSource {
        root: None,
        files: "*.csv".to_owned(),
        format: None,
        header: true,
        columns: Vec::new(),
        local_time: LocalTime::default(),
    }
}

/// Rows to load.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) id: LoadId,
    pub(super) input: StageInput,
    pub(super) mode: Mode,
    pub(super) key: Option<&'static str>,
    pub(super) optional: Vec<String>,
    pub(super) evolve: bool,
    pub(super) replaces: Option<LoadId>,
    pub(super) plan: ScanPlan,
}

impl Load {
    /// Rows of JSON lines, appended.
    pub(super) fn lines(text: &'static str) -> Self {
        Self::of(StageInput::JsonLines(text.as_bytes().into()))
    }

    /// The files of the source, appended.
    pub(super) async fn files(test: &impl EngineUnderTest) -> Self {
        let files: Vec<SourceFile> = accepted(test.engine().list(&source()).await).files;
        Self::of(StageInput::Files { source: source(), files })
    }

    pub(super) fn of(input: StageInput) -> Self {
        Self {
            id: LoadId::generate(),
            input,
            mode: Mode::Append,
            key: None,
            optional: Vec::new(),
            evolve: false,
            replaces: None,
            plan: ScanPlan::default(),
        }
    }

    /// With a row check that quarantines.
    pub(super) fn checked(mut self, name: &str, condition: RowCondition) -> Self {
        self.plan.rows.push(RowCheck { name: name.to_owned(), condition, quarantines: true });
        self
    }

    /// With a row check `n > 0` called `positive` that quarantines.
    pub(super) fn positive(self) -> Self {
        self.checked("positive", RowCondition::Predicate("n > 0".to_owned()))
    }

    pub(super) fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    pub(super) fn key(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// Stages rows against the table as it is now.
pub(super) async fn try_stage(test: &impl EngineUnderTest, load: &Load) -> Result<Staged> {
    let position = test.engine().position(TABLE).await?;
    let request = StageRequest {
        load: load.id,
        dataset: "rows".parse()?,
        base: position.map(|at| TableRef { path: TABLE.to_owned(), delta_version: at.delta_version }),
        input: load.input.clone(),
        mode: load.mode,
        key: load.key.iter().map(|key| (*key).to_owned()).collect(),
        schema: None,
        optional: load.optional.clone(),
        evolve: load.evolve,
        replaces: load.replaces,
        plan: load.plan.clone(),
    };
    test.engine().stage(request).await
}

pub(super) async fn stage(test: &impl EngineUnderTest, load: &Load) -> Staged {
    accepted(try_stage(test, load).await)
}

/// The request to commit a load with the number after `previous`.
pub(super) fn commit_request(load: &Load, previous: i64) -> CommitRequest {
    CommitRequest { load: load.id, table: TABLE.to_owned(), number: previous + 1, previous, all: false }
}

/// Commits a load with the next number.
pub(super) async fn commit(test: &impl EngineUnderTest, load: &Load) -> Committed {
    let previous = number(test).await;
    accepted(test.engine().commit(commit_request(load, previous)).await)
}

/// Stages and commits.
pub(super) async fn ingest(test: &impl EngineUnderTest, load: &Load) -> Staged {
    let staged = stage(test, load).await;
    commit(test, load).await;
    staged
}

/// The latest number of the table, 0 without a table.
pub(super) async fn number(test: &impl EngineUnderTest) -> i64 {
    accepted(test.engine().position(TABLE).await).map_or(0, |position| position.number)
}

/// The table as it is now, called `rows`.
pub(super) async fn table(test: &impl EngineUnderTest) -> NamedTable {
    let delta_version = accepted(test.engine().position(TABLE).await).map_or(-1, |position| position.delta_version);
    NamedTable { name: "rows".to_owned(), table: TableRef { path: TABLE.to_owned(), delta_version } }
}

/// The answer to a SELECT over the table as it is now.
pub(super) async fn rows(test: &impl EngineUnderTest, sql: &str) -> Vec<Vec<Json>> {
    rows_at(test, table(test).await, sql).await
}

/// The answer to a SELECT over the table at a version.
pub(super) async fn rows_at(test: &impl EngineUnderTest, table: NamedTable, sql: &str) -> Vec<Vec<Json>> {
    let request = QueryRequest { sql: sql.to_owned(), tables: vec![table], limit: 100 };
    accepted(test.engine().query(request).await).rows
}

/// The sum of the hashes of rows, whose columns are in alphabetical order.
pub(super) fn sum_of(rows: &[&[(&str, Value<'_>)]]) -> TableSum {
    let (mut sum, mut encoder) = (TableSum::zero(), RowEncoder::new());
    for row in rows {
        for (name, value) in *row {
            encoder.column(name, value);
        }
        sum.add(&encoder.finish());
    }
    sum
}

/// The value of a call that succeeds.
#[expect(clippy::expect_used, reason = "a case of the suite fails by a panic")]
pub(in crate::conformance) fn accepted<T>(result: Result<T>) -> T {
    result.expect("the engine accepts the call")
}

/// The error of a call that fails.
#[expect(clippy::expect_used, reason = "a case of the suite fails by a panic")]
pub(super) fn refused<T>(result: Result<T>) -> Error {
    result.err().expect("the engine refuses the call")
}
