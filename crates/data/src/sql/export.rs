//! Writes a query's result to a Parquet file.

use std::path::Path;
use std::sync::Arc;

use datafusion::dataframe::DataFrame;
use futures::TryStreamExt;

use super::{as_sql, sql_error};
use crate::convert::fit;
use crate::error::Result;
use crate::origin::Origin;
use crate::parquet::FileSink;
use crate::types::canonical_result;

/// Writes all rows of `frame`, in order, to a new file at `path`; returns their number.
pub(crate) async fn write_parquet(frame: DataFrame, path: &Path) -> Result<u64> {
    let target = canonical_result(frame.schema().as_arrow())?;
    let origin = Origin::rows(&Arc::from("the query"), 1);
    let mut sink = FileSink::create(path, &target)?;
    let mut batches = frame.execute_stream().await.map_err(|cause| sql_error(&cause))?;
    while let Some(batch) = batches.try_next().await.map_err(|cause| sql_error(&cause))? {
        sink.write(fit(&batch, &target, &origin).map_err(as_sql)?).await?;
    }
    Ok(sink.finish().await?.rows)
}
