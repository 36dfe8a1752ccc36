//! Versioned tables in memory, and the commit of staged loads.

use std::collections::HashMap;

use perennial_core::id::LoadId;
use perennial_core::port::data::{CommitRequest, Committed, Mode, Position, TableRef};
use perennial_core::schema::Schema;
use perennial_core::{Error, ErrorCode, Result};

use super::cell::Cell;
use super::stage::StagedLoad;

/// All tables, by path.
#[derive(Default)]
pub(super) struct Tables(HashMap<String, Vec<Version>>);

/// One state of a table. Its Delta version is its index.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) number: i64,
    load: LoadId,
    pub(super) schema: Schema,
    pub(super) rows: Vec<StoredRow>,
}

/// A row with the load that added it.
#[derive(Debug, Clone)]
pub(super) struct StoredRow {
    pub(super) cells: Vec<Cell>,
    pub(super) load: LoadId,
}

impl Version {
    /// A size that grows with the rows.
    fn bytes(&self) -> u64 {
        (self.rows.len() * self.schema.fields.len().max(1) * size_of::<i64>()) as u64
    }
}

impl Tables {
    /// A table at a version.
    pub(super) fn at(&self, table: &TableRef) -> Result<&Version> {
        let found = usize::try_from(table.delta_version).ok().and_then(|index| self.versions(&table.path).get(index));
        found.ok_or_else(|| Error::not_found("table", format!("{}@{}", table.path, table.delta_version)))
    }

    /// The latest number of a table.
    pub(super) fn position(&self, path: &str) -> Option<Position> {
        let versions = self.versions(path);
        let latest = versions.last()?;
        Some(Position { number: latest.number, delta_version: versions.len() as i64 - 1, bytes: latest.bytes() })
    }

    /// The commit that has the requested number already; an error when another load has it, or when the table is not at
    /// the previous number.
    pub(super) fn find_committed(&self, request: &CommitRequest) -> Result<Option<Committed>> {
        if request.number <= request.previous || request.previous < 0 {
            let message = format!("number {} is not above the previous number {}", request.number, request.previous);
            return Err(Error::new(ErrorCode::InvalidArgument, message));
        }
        let versions = self.versions(&request.table);
        if let Some(index) = versions.iter().position(|version| version.number == request.number) {
            let found = &versions[index];
            if found.load != request.load {
                let message = format!(
                    "number {} of table `{}` was committed by another load, `{}`",
                    request.number, request.table, found.load
                );
                return Err(wrong_state(message, "commit the load with the next number"));
            }
            return Ok(Some(Committed { delta_version: index as i64, bytes: found.bytes() }));
        }
        let current = versions.last().map_or(0, |latest| latest.number);
        if current != request.previous {
            let message = format!("table `{}` is at number {current}, expected {}", request.table, request.previous);
            return Err(wrong_state(message, "stage the load again and commit it with the next number"));
        }
        Ok(None)
    }

    /// Adds the version that a staged load makes.
    pub(super) fn commit(&mut self, request: &CommitRequest, staged: &StagedLoad) -> Result<Committed> {
        let versions = self.0.entry(request.table.clone()).or_default();
        let latest = versions.last();
        if latest.is_some_and(|latest| staged.depends_on(latest)) && request.previous != staged.base_number {
            let message = format!(
                "load `{}` was checked against number {} of table `{}`, which is at {}",
                request.load, staged.base_number, request.table, request.previous
            );
            return Err(wrong_state(message, "stage the load again"));
        }
        let mut rows = latest.map_or_else(Vec::new, |latest| staged.remaining(latest, request.all));
        rows.extend(staged.entering(request.all).map(|row| StoredRow { cells: row.cells.clone(), load: request.load }));
        let version = Version { number: request.number, load: request.load, schema: staged.schema.clone(), rows };
        let bytes = version.bytes();
        versions.push(version);
        Ok(Committed { delta_version: versions.len() as i64 - 1, bytes })
    }

    fn versions(&self, path: &str) -> &[Version] {
        self.0.get(path).map_or(&[], Vec::as_slice)
    }
}

impl StagedLoad {
    /// Whether the rows or columns after the commit depend on the table that the load was staged against.
    fn depends_on(&self, table: &Version) -> bool {
        let StagedLoad { request, schema, .. } = self;
        request.mode != Mode::Replace
            && (!request.key.is_empty() || request.replaces.is_some() || table.schema != *schema)
    }
}

/// An operation that the state of a table or of the staging area does not allow.
pub(super) fn wrong_state(message: String, hint: &str) -> Error {
    Error::new(ErrorCode::WrongState, message).with_hint(hint)
}
