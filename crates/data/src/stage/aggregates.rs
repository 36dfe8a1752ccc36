//! Aggregate checks: one query over the rows as they pass by.

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

use super::judge::in_check;
use crate::convert::fit;
use crate::error::{Error, Result};
use crate::runtime::Task;
use crate::source::Origin;
use crate::sql::{Sql, cell_json, sql_error};
use crate::table::target_of;

/// Batches on their way to the aggregates.
const QUEUE: usize = 4;

/// The running query.
pub(super) struct Aggregates {
    sender: Option<mpsc::Sender<RecordBatch>>,
    task: Option<Task<Result<Vec<AggregateAnswer>>>>,
}

/// A compiled check: where its verdict and the aggregates it names stand in the result.
struct Place {
    name: String,
    aggregates: Vec<(String, usize)>,
}

impl Aggregates {
    /// Compiles the checks over `schema` and begins.
    pub(super) fn start(sql: &Sql, checks: &[AggregateCheck], schema: &SchemaRef) -> Result<Self> {
        if checks.is_empty() {
            return Ok(Self { sender: None, task: None });
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (frame, places) = plan(sql, checks, schema, receiver)?;
        let task = Task::start(answer(frame, places));
        Ok(Self { sender: Some(sender), task: Some(task) })
    }

    /// Takes up rows.
    pub(super) async fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(sender) = &self.sender else { return Ok(()) };
        if sender.send(batch.clone()).await.is_err() {
            // The query has ended; its error is what there is to tell.
            self.sender = None;
            if let Some(task) = self.task.take() {
                task.join().await?;
            }
            return Err(Error::internal("judging aggregates", "the query ended early"));
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

/// An error when a check does not fit the columns.
pub(super) fn judge(sql: &Sql, checks: &[AggregateCheck], schema: &SchemaRef) -> Result<()> {
    if checks.is_empty() {
        return Ok(());
    }
    let (_, nothing) = mpsc::channel(1);
    plan(sql, checks, schema, nothing).map(drop)
}

/// One row: the verdict of each check, then every aggregate named.
fn plan(
    sql: &Sql,
    checks: &[AggregateCheck],
    schema: &SchemaRef,
    receiver: mpsc::Receiver<RecordBatch>,
) -> Result<(DataFrame, Vec<Place>)> {
    let session = sql.steady_session();
    let source = Source { schema: Arc::clone(schema), receiver: Mutex::new(Some(receiver)) };
    let table = StreamingTable::try_new(Arc::clone(schema), vec![Arc::new(source)]);
    let rows = table.and_then(|table| session.read_table(Arc::new(table))).map_err(|cause| sql_error(&cause))?;
    let columns = rows.schema().clone();
    let mut verdicts: Vec<(&AggregateCheck, Expr)> = Vec::new();
    let mut aggregates: Vec<Expr> = Vec::new();
    let mut places = Vec::new();
    for check in checks {
        let failed = |cause: DataFusionError| in_check(&check.name, &check.expression, sql_error(&cause));
        let verdict = session.parse_sql_expr(&check.expression, &columns).map_err(failed)?;
        let found = find_aggregate_exprs([&verdict]);
        if found.is_empty() {
            return Err(Error::sql(format!(
                "check `{}`: `{}` is no aggregate: expected something like `count(*) > 0`",
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
        places.push(Place { name: check.name.clone(), aggregates: named });
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
        // Planned alone first, so that an error names its check.
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
    Ok((frame, places))
}

/// An aggregate as people write it.
fn shown(aggregate: &Expr) -> String {
    aggregate.schema_name().to_string().replace("?table?.", "").replace("count(Int64(1))", "count(*)")
}

async fn answer(frame: DataFrame, places: Vec<Place>) -> Result<Vec<AggregateAnswer>> {
    let target = target_of(frame.schema().as_arrow());
    let batches = frame.collect().await.map_err(|cause| sql_error(&cause))?;
    let row = batches.iter().find(|batch| batch.num_rows() == 1);
    let row = row.ok_or_else(|| Error::internal("judging aggregates", "the query gave no row"))?;
    let row = fit(row, &target, &Origin::rows(&Arc::from("the aggregates"), 1))?;
    places
        .into_iter()
        .enumerate()
        .map(|(index, place)| {
            let holds =
                row.column(index).as_boolean_opt().filter(|column| column.is_valid(0)).map(|column| column.value(0));
            let values = place
                .aggregates
                .into_iter()
                .map(|(name, at)| Ok((name, cell_json(row.column(at).as_ref(), 0)?)))
                .collect::<Result<Vec<_>>>()?;
            Ok(AggregateAnswer { name: place.name, holds, values })
        })
        .collect()
}

/// The rows as they pass by, as a table that can be read once.
struct Source {
    schema: SchemaRef,
    receiver: Mutex<Option<mpsc::Receiver<RecordBatch>>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arriving rows")
    }
}

impl PartitionStream for Source {
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
