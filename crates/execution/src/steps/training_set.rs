//! The rows of `[task].data`, as training and evaluation see them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use perennial_config::Task;
use perennial_core::frame::{Column, Frame};
use perennial_core::port::data::FrameRequest;
use perennial_core::schema::TypeClass;
use perennial_core::task::TaskKind;
use perennial_core::{Error, ErrorCode, Result};
use serde_json::json;

use crate::pipelines::Context;
use crate::split::{Rows, Rules, Split, split as decide};
use perennial_ingest::predictions::quoted;
use perennial_ingest::snapshot::{DatasetAtVersion, no_column};

/// The rows of `[task].data` in memory.
pub(crate) struct Examples {
    /// Every column.
    pub frame: Frame,
    /// When each row happened, epoch milliseconds.
    pub times: Vec<Option<i64>>,
    /// Whether each row has an outcome.
    pub labelled: Vec<bool>,
    /// The columns of slices that are numbers, with all digits of integers and decimals.
    exact: Frame,
}

/// The prefix of the columns of [`Examples::exact`] in the query.
const EXACT: &str = "exact: ";

pub(crate) fn task(context: &Context) -> Result<&Task> {
    context.submission.project.task.as_ref().ok_or_else(|| {
        Error::new(ErrorCode::ProjectFile, "the project file has no `[task]`")
            .with_hint("say in `[task]` what is to be learnt: kind, data, target, key, time, test, metric")
    })
}

/// What of `[task]` decides over rows and features, as canonical text. `allow` decides over releases alone: the text has it
/// empty, as in projects without it, so that their steps keep their keys.
pub(crate) fn task_text(context: &Context) -> Result<String> {
    let task = task(context)?;
    Ok(json!({ "kind": task.kind, "target": task.target, "key": task.key, "time": task.time, "ignore": task.ignore, "allow": [] }).to_string())
}

/// Names of the feature columns: all but key, time, target and the ignored ones.
pub(crate) fn feature_names(task: &Task, columns: &[String]) -> Vec<String> {
    let not: Vec<&str> = task.not_features().collect();
    columns.iter().filter(|name| !not.contains(&name.as_str())).cloned().collect()
}

/// The class of a column of the task's data.
pub(crate) fn column_class(context: &Context, name: &str) -> Option<TypeClass> {
    let task = task(context).ok()?;
    let table = context.table(task.data.as_str()).ok()?;
    table.version.schema.field(name).map(|field| field.class.clone())
}

impl Examples {
    /// Reads the rows as this pipeline run sees them, to be sliced by these columns.
    pub(crate) async fn read(context: &Context, slices: &[String]) -> Result<Self> {
        let task = task(context)?;
        let table = table(context, task)?;
        let is_number = |name: &&String| {
            let field = table.version.schema.field(name);
            field.is_some_and(|field| matches!(field.class, TypeClass::Int | TypeClass::Decimal))
        };
        let exact: Vec<&String> = slices.iter().filter(is_number).collect();
        let more = exact.iter().map(|name| format!(", {} AS {}", quoted(name), quoted(&format!("{EXACT}{name}"))));
        let classes = (task.kind == TaskKind::Multiclass).then(|| task.target.clone());
        let request = FrameRequest {
            sql: format!("SELECT *{} FROM \"{}\"", more.collect::<String>(), task.data),
            tables: vec![table.named_table()],
            keys: task
                .key
                .iter()
                .cloned()
                .chain(classes)
                .chain(exact.iter().map(|name| format!("{EXACT}{name}")))
                .collect(),
        };
        let read = context.caller.kernel.data().frame(request).await?;
        let (mut frame, mut exact) = (Frame::new(), Frame::new());
        for (name, column) in read.into_columns() {
            match name.strip_prefix(EXACT) {
                Some(slice) => exact.push(slice, column),
                None => frame.push(name, column),
            }
        }
        let times = times(&frame, task)?;
        let labelled = frame
            .column(&task.target)
            .map(|column| (0..frame.rows()).map(|row| !column.is_missing(row)).collect())
            .unwrap_or_default();
        Ok(Self { frame, times, labelled, exact })
    }

    /// The columns of slices at these rows; one that does not exist is left out.
    pub(crate) fn sliced(&self, slices: &[String], rows: &[usize]) -> Frame {
        let mut frame = Frame::new();
        for name in slices {
            if let Some(column) = self.exact.column(name).or_else(|| self.frame.column(name)) {
                frame.push(name, column.take(rows));
            }
        }
        frame
    }

    /// How many rows have the whole key of another row.
    pub(crate) fn rows_of_repeated_keys(&self, key: &[String]) -> usize {
        let columns: Vec<&Column> = key.iter().filter_map(|name| self.frame.column(name)).collect();
        let mut rows_by_key: HashMap<u64, usize> = HashMap::new();
        let whole = (0..self.frame.rows()).filter(|row| !columns.iter().any(|column| column.is_missing(*row)));
        for row in whole.filter(|_| !columns.is_empty()) {
            let mut hasher = DefaultHasher::new();
            for column in &columns {
                match column {
                    Column::Number(values) => values[row].to_bits().hash(&mut hasher),
                    Column::Text(text) => text.get(row).hash(&mut hasher),
                }
            }
            *rows_by_key.entry(hasher.finish()).or_default() += 1;
        }
        rows_by_key.into_values().filter(|rows| *rows > 1).sum()
    }

    /// Labelled rows for which `chosen` of their time holds.
    pub(crate) fn labelled_rows(&self, chosen: impl Fn(i64) -> bool) -> Vec<usize> {
        let rows = self.times.iter().zip(&self.labelled).enumerate();
        rows.filter(|(_, (time, labelled))| **labelled && time.is_some_and(&chosen)).map(|(row, _)| row).collect()
    }
}

/// The table of `[task].data`, which has every column that `[task]` names.
fn table(context: &Context, task: &Task) -> Result<DatasetAtVersion> {
    let table = context.table(task.data.as_str())?;
    let named =
        [("target", &task.target), ("time", &task.time)].into_iter().chain(task.key.iter().map(|key| ("key", key)));
    for (role, column) in named {
        if table.version.schema.field(column).is_none() {
            let (message, hint) = no_column(&task.data, &table.version.schema, column);
            let error = Error::new(ErrorCode::ProjectFile, format!("{message}, which `[task] {role}` names"));
            return Err(error.with_optional_hint(hint));
        }
    }
    Ok(table)
}

/// The time column in epoch milliseconds.
pub(crate) fn times(frame: &Frame, task: &Task) -> Result<Vec<Option<i64>>> {
    match frame.column(&task.time) {
        Some(Column::Number(seconds)) => {
            Ok(seconds.iter().map(|s| (!s.is_nan()).then_some((s * 1000.0) as i64)).collect())
        }
        _ => Err(Error::new(
            ErrorCode::ProjectFile,
            format!("column `{}`, which `[task] time` names, is not a timestamp or date", task.time),
        )),
    }
}

/// The split of this pipeline run, decided once.
pub(crate) async fn split(context: &Arc<Context>) -> Result<Split> {
    if let Some(decided) = context.split.get() {
        return Ok(*decided);
    }
    let task = task(context)?;
    let table = table(context, task)?;
    let sql = format!(
        "SELECT {time}, CASE WHEN {target} IS NULL THEN 0 ELSE 1 END AS labelled FROM {data}",
        time = quoted(&task.time),
        target = quoted(&task.target),
        data = quoted(task.data.as_str())
    );
    let frame = context
        .caller
        .kernel
        .data()
        .frame(FrameRequest { sql, tables: vec![table.named_table()], keys: Vec::new() })
        .await?;
    let times = times(&frame, task)?;
    let labelled: Vec<bool> = match frame.column("labelled") {
        Some(Column::Number(values)) => values.iter().map(|value| *value > 0.5).collect(),
        _ => Vec::new(),
    };
    let now_ms = context.project.now().project_ms;
    let rules =
        Rules { test: &task.test, label_delay: task.label_delay.as_ref(), zone: &context.submission.zone, now_ms };
    let decided = decide(Rows { times: &times, labelled: &labelled }, rules)?;
    // Two steps may decide at once; they decide alike.
    Ok(*context.split.get_or_init(|| decided))
}
