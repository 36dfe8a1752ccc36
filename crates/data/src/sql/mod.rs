//! SQL over dataset versions: one SELECT over the given tables.

mod condition;
mod constants;
mod cooperative;
mod depth;
mod determinism;
mod export;
mod frame;
mod functions;
mod interrupt;
mod json;
mod literals;
mod names;
mod page_memory;
mod row_limit;

use std::sync::Arc;

use arrow::datatypes::Schema as ArrowSchema;
use datafusion::common::{Column, SchemaError, TableReference};
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::TryStreamExt;
use perennial_core::port::data::{NamedTable, Page};
use perennial_core::rule::choose;
use perennial_core::schema::Schema;
use perennial_core::text::one_line;

use crate::convert::fit;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::table::Tables;
use crate::types::{LOAD, canonical_result, logical_of_result};

pub(crate) use condition::validate_condition;
use constants::ConstantLimit;
use cooperative::CooperativeJoins;
pub(crate) use determinism::validate_deterministic;
pub(crate) use export::write_parquet;
pub(crate) use frame::read_frame;
use functions::{Functions, ResultMemory};
pub(crate) use interrupt::{Interrupt, InterruptOnDrop};
pub(crate) use json::{cell_json, date_text, timestamp_text};
pub(crate) use names::{Select, tables_in};
use page_memory::{PAGE_BYTES_MAX, PageMemory, UNRESERVED_BYTES_MAX};

/// The memory limit of queries, as a multiple of the memory of the pages that are built at once.
const PAGES_FACTOR: usize = 4;
/// The spill space on disk, as a multiple of the memory limit.
const SPILL_FACTOR: u64 = 16;

/// The longest message of the query engine that an error repeats, in characters; some contain a whole plan.
const MESSAGE_CHARACTERS_MAX: usize = 500;

/// The most threads of one query of a person.
pub(crate) const QUERY_THREADS_MAX: usize = 4;

/// Plans and executes queries.
#[derive(Clone)]
pub(crate) struct Sql {
    runtime: Arc<RuntimeEnv>,
    tables: Tables,
    threads: usize,
    pages: PageMemory,
    results: ResultMemory,
    interrupt: Interrupt,
}

impl Sql {
    /// Creates an engine over `tables` with a memory limit; larger intermediate results spill to the folder `spill`.
    pub(crate) fn new(tables: Tables, memory_bytes: usize, spill: &std::path::Path, threads: usize) -> Result<Self> {
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![spill.to_path_buf()]))
            .with_max_temp_directory_size(memory_bytes as u64 * SPILL_FACTOR);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|cause| Error::internal("starting the query engine", cause))?;
        let store = tables.store();
        runtime.register_object_store(&store.base, Arc::clone(&store.inner));
        let pages = PageMemory::new(memory_bytes / PAGES_FACTOR);
        let results = ResultMemory::new(memory_bytes);
        Ok(Self { runtime, tables, threads, pages, results, interrupt: Interrupt::default() })
    }

    /// The tables.
    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// This engine for one query, which ends once `interrupt` gives it up.
    pub(crate) fn with_interrupt(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    /// The memory pool that all queries share.
    pub(crate) fn memory(&self) -> &Arc<dyn MemoryPool> {
        &self.runtime.memory_pool
    }

    /// A session that uses all threads.
    pub(crate) fn session(&self) -> SessionContext {
        self.session_of(self.threads)
    }

    /// A session on one thread, whose results always have the same order and the same rounding.
    pub(crate) fn deterministic_session(&self) -> SessionContext {
        self.session_of(1)
    }

    fn session_of(&self, partitions: usize) -> SessionContext {
        let mut config = SessionConfig::new().with_target_partitions(partitions).with_information_schema(false);
        config.options_mut().sql_parser.collect_spans = true;
        let functions = Functions::new(&self.results, &self.interrupt);
        let memory_bytes = self.results.bytes_max();
        let builder = functions.offer(SessionStateBuilder::new().with_default_features());
        let mut state = builder
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_optimizer_rule(Arc::new(ConstantLimit { memory_bytes }))
            .with_physical_optimizer_rule(Arc::new(CooperativeJoins {
                interrupt: self.interrupt.clone(),
                memory_bytes,
            }))
            .build();
        functions.rewrite_in(&mut state);
        SessionContext::new_with_state(state)
    }

    /// Plans `text` in `session` over the tables `named`, without their column `_load`.
    pub(crate) async fn plan(&self, session: &SessionContext, text: &str, named: &[NamedTable]) -> Result<DataFrame> {
        let select = Select::parse(text)?;
        for name in select.tables() {
            let Some(table) = named.iter().find(|table| table.name == *name) else {
                return Err(unknown_table(text, name, named));
            };
            let provider = self.tables.provider(&table.table.path, Some(table.table.delta_version)).await?;
            let visible = session.read_table(provider).and_then(without_load);
            let view = visible.map_err(|cause| Error::engine(&format!("opening table `{name}`"), cause))?.into_view();
            let register = || {
                let reference = TableReference::parse_str(&quoted(name));
                if let Some(schema) = reference.schema() {
                    let catalog = session.catalog("datafusion");
                    if let Some(catalog) = catalog.filter(|catalog| catalog.schema(schema).is_none()) {
                        catalog.register_schema(schema, Arc::new(datafusion::catalog::MemorySchemaProvider::new()))?;
                    }
                }
                session.register_table(reference, view)
            };
            register().map_err(|cause| Error::engine(&format!("opening table `{name}`"), cause))?;
        }
        let planned = async {
            let plan = session.state().statement_to_plan(select.into_statement()).await?;
            let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
            options.verify_plan(&plan)?;
            session.execute_logical_plan(plan).await
        };
        planned.await.map_err(|cause| sql_error(&cause))
    }

    /// The schema of a SELECT's result.
    pub(crate) async fn schema(&self, text: &str, named: &[NamedTable]) -> Result<Schema> {
        let frame = self.plan(&self.session(), text, named).await?;
        validate_deterministic(frame.logical_plan())?;
        let schema = canonical_result(frame.schema().as_arrow())?;
        Ok(logical_of_result(&schema))
    }

    /// Executes a SELECT; returns the first rows.
    pub(crate) async fn page(&self, text: &str, named: &[NamedTable], limit: usize) -> Result<Page> {
        let session = self.session_of(self.threads.min(QUERY_THREADS_MAX));
        let frame = self.plan(&session, text, named).await?;
        self.page_of(frame, limit).await
    }

    /// Executes a planned query; returns the first rows.
    pub(crate) async fn page_of(&self, frame: DataFrame, limit: usize) -> Result<Page> {
        let target = canonical_result(frame.schema().as_arrow())?;
        let limited = frame.limit(0, Some(limit.saturating_add(1))).map_err(|cause| sql_error(&cause))?;
        let mut batches = limited.execute_stream().await.map_err(|cause| sql_error(&cause))?;
        let origin = Origin::rows(&Arc::from("the query"), 1);
        let (mut rows, mut bytes, mut truncated) = (Vec::new(), 0, false);
        let mut reserved = None;
        while let Some(batch) = batches.try_next().await.map_err(|cause| sql_error(&cause))? {
            let batch = fit(&batch, &target, &origin).map_err(as_sql)?;
            for row in 0..batch.num_rows() {
                if rows.len() == limit || bytes > PAGE_BYTES_MAX as usize {
                    truncated = true;
                    break;
                }
                let values =
                    batch.columns().iter().map(|column| cell_json(column.as_ref(), row)).collect::<Result<Vec<_>>>()?;
                bytes += values.iter().map(json::size).sum::<usize>();
                if reserved.is_none() && bytes > UNRESERVED_BYTES_MAX {
                    reserved = Some(self.pages.reserve().await?);
                }
                rows.push(values);
            }
        }
        Ok(Page { schema: logical_of_result(&target), rows, truncated })
    }
}

/// The frame without the column `_load`.
fn without_load(frame: DataFrame) -> datafusion::error::Result<DataFrame> {
    let has_load = frame.schema().fields().iter().any(|field| field.name() == LOAD);
    if has_load { frame.drop_columns(&[LOAD]) } else { Ok(frame) }
}

/// A table name in SQL syntax, each part quoted.
pub(crate) fn quoted(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(quoted_column).collect();
    parts.join(".")
}

/// A column name in SQL syntax, quoted.
pub(crate) fn quoted_column(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn unknown_table(text: &str, name: &str, named: &[NamedTable]) -> Error {
    let place = names::position_of(text, name)
        .map_or_else(String::new, |(line, column)| format!("line {line} column {column}: "));
    let known: Vec<String> = named.iter().map(|table| format!("`{}`", table.name)).collect();
    let hint = if known.is_empty() {
        "there is no table yet".to_owned()
    } else {
        format!("known tables: {}", known.join(", "))
    };
    Error::Sql { message: format!("{place}table `{name}` does not exist"), hint: Some(hint) }
}

/// The error in a user's SQL, with line and column where known.
pub(crate) fn sql_error(cause: &DataFusionError) -> Error {
    if let DataFusionError::ResourcesExhausted(message) = cause.find_root() {
        return Error::exhausted("the query", message);
    }
    let place =
        cause.diagnostic().and_then(|diagnostic| diagnostic.span).map(|span| (span.start.line, span.start.column));
    let text = one_line(&cause.find_root().strip_backtrace());
    let text = ["Arrow error: ", "Error during planning: ", "Schema error: ", "Execution error: ", "SQL error: "]
        .iter()
        .fold(text.as_str(), |text, prefix| text.strip_prefix(prefix).unwrap_or(text))
        .to_owned();
    let text =
        text.char_indices().nth(MESSAGE_CHARACTERS_MAX).map_or(text.clone(), |(end, _)| format!("{}…", &text[..end]));
    let unknown = unknown_column(cause.find_root());
    let text = unknown.map_or(text, |(column, _)| format!("unknown column `{}`", column.flat_name()));
    let message = match place {
        Some((line, column)) if line > 0 => format!("line {line} column {column}: {}", lower_first(&text)),
        _ => lower_first(&text),
    };
    Error::Sql { message, hint: unknown.and_then(|(column, known)| suggest_column(column, known)) }
}

/// The unknown column, and the known ones.
fn unknown_column(cause: &DataFusionError) -> Option<(&Column, &[Column])> {
    let DataFusionError::SchemaError(error, _) = cause else { return None };
    let SchemaError::FieldNotFound { field, valid_fields } = error.as_ref() else { return None };
    Some((field, valid_fields))
}

/// What to write instead of an unknown column.
fn suggest_column(column: &Column, known: &[Column]) -> Option<String> {
    let is_capital = |known: &&Column| known.name != column.name && known.name.eq_ignore_ascii_case(&column.name);
    if let Some(Column { name, .. }) = known.iter().find(is_capital) {
        return Some(format!("write `\"{name}\"`: names with capital letters need double quotes"));
    }
    // Another table may have the column.
    let elsewhere = known.iter().find(|known| known.name == column.name);
    if let Some(elsewhere) = elsewhere {
        return Some(format!("did you mean `{}`?", elsewhere.flat_name()));
    }
    choose(&column.name, &known.iter().map(|column| column.name.as_str()).collect::<Vec<_>>())
}

/// Converts an error about a source file into one about SQL.
pub(crate) fn as_sql(error: Error) -> Error {
    match error {
        Error::SourceFile { message, .. } => Error::sql(message),
        other => other,
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_lowercase().collect::<String>()).unwrap_or_default();
    first + letters.as_str()
}

/// The names of a schema's columns.
pub(crate) fn column_names(schema: &ArrowSchema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}
