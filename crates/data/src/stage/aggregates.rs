//! Aggregate checks: one query over the stream of rows.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::find_aggregate_exprs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::Expr;
use perennial_core::port::data::{AggregateAnswer, AggregateCheck};
use tokio::sync::mpsc;

use super::check_rows::in_check;
use crate::convert::fit;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::runtime::Task;
use crate::sql::{Sql, cell_json, sql_error};
use crate::types::canonical_columns;

/// Batches queued for the query.
const QUEUE: usize = 4;

/// The running query.
pub(super) struct Aggregates {
    sender: Option<mpsc::Sender<RecordBatch>>,
    task: Option<Task<Result<Vec<AggregateAnswer>>>>,
}

/// A compiled check, with the positions of its aggregates in the result.
struct CompiledCheck {
    name: String,
    aggregates: Vec<(String, usize)>,
}

impl Aggregates {
    /// Compiles the checks over `schema` and starts the query.
    pub(super) fn start(sql: &Sql, checks: &[AggregateCheck], schema: &SchemaRef) -> Result<Self> {
        if checks.is_empty() {
            return Ok(Self { sender: None, task: None });
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (frame, compiled) = plan(sql, checks, schema, receiver)?;
        let task = Task::start(answer(frame, compiled));
        Ok(Self { sender: Some(sender), task: Some(task) })
    }

    /// Adds rows.
    pub(super) async fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(sender) = &self.sender else { return Ok(()) };
        if sender.send(batch.clone()).await.is_err() {
            // The query has ended with an error, which is returned.
            self.sender = None;
            if let Some(task) = self.task.take() {
                task.join().await?;
            }
            return Err(Error::internal("evaluating aggregate checks", "the query ended early"));
        }
        Ok(())
    }

    /// The answers, in plan order.
    pub(super) async fn finish(mut self) -> Result<Vec<AggregateAnswer>> {
        self.sender = None;
        match self.task.take() {
            Some(task) => task.join().await,
            None => Ok(Vec::new()),
        }
    }
}

/// Returns an error when a check cannot be planned over the columns.
pub(super) fn validate(sql: &Sql, checks: &[AggregateCheck], schema: &SchemaRef) -> Result<()> {
    if checks.is_empty() {
        return Ok(());
    }
    let (_, receiver) = mpsc::channel(1);
    plan(sql, checks, schema, receiver).map(drop)
}

/// Plans a query with one row: the verdict of each check, then every aggregate named.
fn plan(
    sql: &Sql,
    checks: &[AggregateCheck],
    schema: &SchemaRef,
    receiver: mpsc::Receiver<RecordBatch>,
) -> Result<(DataFrame, Vec<CompiledCheck>)> {
    let session = sql.deterministic_session();
    let source = RowStream { schema: Arc::clone(schema), receiver: Mutex::new(Some(receiver)) };
    let table = StreamingTable::try_new(Arc::clone(schema), vec![Arc::new(source)]);
    let rows = table.and_then(|table| session.read_table(Arc::new(table))).map_err(|cause| sql_error(&cause))?;
    let columns = rows.schema().clone();
    let mut verdicts: Vec<(&AggregateCheck, Expr)> = Vec::new();
    let mut aggregates: Vec<Expr> = Vec::new();
    let mut compiled = Vec::new();
    for check in checks {
        let failed = |cause: DataFusionError| in_check(&check.name, &check.expression, sql_error(&cause));
        let verdict = session.parse_sql_expr(&check.expression, &columns).map_err(failed)?;
        let found = find_aggregate_exprs([&verdict]);
        if found.is_empty() {
            return Err(Error::sql(format!(
                "check `{}`: `{}` is not an aggregate, expected for example `count(*) > 0`",
                check.name, check.expression
            )));
        }
        let mut named = Vec::new();
        for aggregate in found {
            let at = aggregates.iter().position(|known| *known == aggregate).unwrap_or_else(|| {
                aggregates.push(aggregate.clone());
                aggregates.len() - 1
            });
            named.push((shown(&aggregate), checks.len() + at));
        }
        compiled.push(CompiledCheck { name: check.name.clone(), aggregates: named });
        verdicts.push((check, verdict));
    }
    let mut frame = rows.aggregate(Vec::new(), aggregates.clone()).map_err(|cause| sql_error(&cause))?;
    let outputs: Vec<Expr> = frame.schema().columns().into_iter().map(Expr::Column).collect();
    let mut selected = Vec::new();
    for (index, (check, verdict)) in verdicts.into_iter().enumerate() {
        let failed = |cause: DataFusionError| in_check(&check.name, &check.expression, sql_error(&cause));
        let verdict = verdict
            .transform_down(|part| {
                Ok(match aggregates.iter().position(|aggregate| *aggregate == part) {
                    Some(at) => Transformed::yes(outputs[at].clone()),
                    None => Transformed::no(part),
                })
            })
            .map_err(failed)?
            .data;
        // Planned alone first, so that an error can name its check.
        frame.clone().select(vec![verdict.clone().alias("verdict")]).map_err(failed)?;
        selected.push(verdict.alias(format!("verdict {index}")));
    }
    for (index, output) in outputs.into_iter().enumerate() {
        selected.push(output.alias(format!("aggregate {index}")));
    }
    frame = frame.select(selected).map_err(|cause| sql_error(&cause))?;
    for (index, check) in checks.iter().enumerate() {
        let kind = frame.schema().field(index).data_type();
        if !matches!(kind, DataType::Boolean | DataType::Null) {
            return Err(Error::sql(format!(
                "check `{}`: `{}` is {kind}, expected true or false",
                check.name, check.expression
            )));
        }
    }
    Ok((frame, compiled))
}

/// An aggregate in the syntax of a check.
fn shown(aggregate: &Expr) -> String {
    aggregate.schema_name().to_string().replace("?table?.", "").replace("count(Int64(1))", "count(*)")
}

async fn answer(frame: DataFrame, compiled: Vec<CompiledCheck>) -> Result<Vec<AggregateAnswer>> {
    let target = canonical_columns(frame.schema().as_arrow());
    let batches = frame.collect().await.map_err(|cause| sql_error(&cause))?;
    let row = batches.iter().find(|batch| batch.num_rows() == 1);
    let row = row.ok_or_else(|| Error::internal("evaluating aggregate checks", "the query gave no row"))?;
    let row = fit(row, &target, &Origin::rows(&Arc::from("the aggregates"), 1))?;
    compiled
        .into_iter()
        .enumerate()
        .map(|(index, check)| {
            let holds =
                row.column(index).as_boolean_opt().filter(|column| column.is_valid(0)).map(|column| column.value(0));
            let values = check
                .aggregates
                .into_iter()
                .map(|(name, at)| Ok((name, cell_json(row.column(at).as_ref(), 0)?)))
                .collect::<Result<Vec<_>>>()?;
            Ok(AggregateAnswer { name: check.name, holds, values })
        })
        .collect()
}

/// The stream of rows as a table that can be read once.
struct RowStream {
    schema: SchemaRef,
    receiver: Mutex<Option<mpsc::Receiver<RecordBatch>>>,
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arriving rows")
    }
}

impl PartitionStream for RowStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let batches = futures::stream::unfold(receiver, |receiver| async {
            let mut receiver = receiver?;
            Some((Ok(receiver.recv().await?), Some(receiver)))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}
