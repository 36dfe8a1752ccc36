//! Reads a table: the Delta log lists its files, DataFusion reads them.
//!
//! Our tables have neither partitions nor deletion vectors. A table to which another engine added them is refused,
//! because it would be read incorrectly.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result as EngineResult, ScalarValue, Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectMeta;
use object_store::path::Path as StorePath;

use super::OpenTable;
use crate::error::{Error, Result};
use crate::store::Root;
use crate::types::canonical_columns;

/// The column with the name of a row's file, where requested.
pub(crate) const FILE: &str = "__perennial_file";

/// The files of one version of a table.
#[derive(Debug)]
pub(crate) struct Files {
    store: ObjectStoreUrl,
    schema: TableSchema,
    files: Vec<PartitionedFile>,
}

impl Files {
    /// All files of `opened`.
    pub(crate) fn of(root: &Root, opened: &OpenTable) -> Result<Self> {
        Self::select(root, opened, |_| true, Vec::new())
    }

    /// All files, with the additional column [`FILE`]: the file's name in the log.
    pub(crate) fn with_name(root: &Root, opened: &OpenTable) -> Result<Self> {
        let name = Arc::new(Field::new(FILE, DataType::Utf8, false));
        Self::select(root, opened, |_| true, vec![name])
    }

    /// One file.
    pub(crate) fn only(root: &Root, opened: &OpenTable, name: &str) -> Result<Self> {
        Self::select(root, opened, |path| path == name, Vec::new())
    }

    fn select(root: &Root, opened: &OpenTable, matches: impl Fn(&str) -> bool, extra: Vec<Arc<Field>>) -> Result<Self> {
        let failed = |cause| Error::engine(&format!("opening table `{}`", opened.name), cause);
        let store = ObjectStoreUrl::parse(&root.store.base).map_err(failed)?;
        let url = root.table_url(&opened.name)?;
        let folder = StorePath::from_url_path(url.path())
            .map_err(|cause| Error::storage(format!("opening table `{}`", opened.name), cause))?;
        let schema = canonical_columns(&opened.state()?.snapshot().arrow_schema());
        let has_name = !extra.is_empty();
        let mut files = Vec::new();
        for file in opened.state()?.log_data().iter().filter(|file| matches(&file.path())) {
            let name = file.path().into_owned();
            let foreign = file.deletion_vector_descriptor().is_some()
                || !file.partition_values_map().is_empty()
                || name.contains("://");
            if foreign {
                return Err(Error::State {
                    message: format!("table `{}` has a file that another engine wrote: `{name}`", opened.name),
                    hint: "partitions, deletion vectors and files outside the table are not supported: rewrite the table without them"
                        .into(),
                });
            }
            let path: StorePath = folder.parts().chain(file.object_store_path().parts()).collect();
            let meta = ObjectMeta {
                location: path,
                last_modified: file.modification_datetime().map_err(|cause| opened.failed("opening", cause))?,
                size: file.size().max(0).cast_unsigned(),
                e_tag: None,
                version: None,
            };
            let rows = file.num_records().map_or(Precision::Absent, Precision::Exact);
            let known = Statistics { num_rows: rows, ..Statistics::new_unknown(&schema) };
            let values = if has_name { vec![ScalarValue::from(name)] } else { Vec::new() };
            let listed = PartitionedFile::new_from_meta(meta).with_partition_values(values);
            files.push(listed.with_statistics(Arc::new(known)));
        }
        Ok(Self { store, schema: TableSchema::builder(schema).with_table_partition_cols(extra).build(), files })
    }

    fn rows(&self) -> Precision<usize> {
        let counts = self.files.iter().map(|file| file.statistics.as_ref()?.num_rows.get_value().copied());
        counts.sum::<Option<usize>>().map_or(Precision::Absent, Precision::Exact)
    }
}

#[async_trait]
impl TableProvider for Files {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(Statistics { num_rows: self.rows(), ..Statistics::new_unknown(self.schema.table_schema()) })
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        if self.files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection)?)));
        }
        let runtime = state.runtime_env();
        let footers = Arc::clone(&runtime.cache_manager.get_file_metadata_cache());
        let reader = CachedParquetFileReaderFactory::new(runtime.object_store(&self.store)?, footers);
        let source = ParquetSource::new(self.schema.clone()).with_parquet_file_reader_factory(Arc::new(reader));
        let groups = FileGroup::new(self.files.clone()).split_files(state.config().target_partitions());
        let statistics = Statistics { num_rows: self.rows(), ..Statistics::new_unknown(self.schema.table_schema()) };
        let scan = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}
