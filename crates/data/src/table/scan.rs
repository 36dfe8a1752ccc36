//! Reading a table: the log says which files it consists of, DataFusion reads them.
//!
//! Tables of ours have neither partitions nor deletion vectors; one to which another engine gave
//! them is refused, not read by half.

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

use super::Opened;
use super::rewrite::target_of;
use crate::error::{Error, Result};
use crate::store::Root;

/// The column that names a row's file, where it is asked for.
pub(crate) const FILE: &str = "__perennial_file";

/// The files of one state of a table.
#[derive(Debug)]
pub(crate) struct Files {
    store: ObjectStoreUrl,
    schema: TableSchema,
    files: Vec<PartitionedFile>,
}

impl Files {
    /// All files of `opened`.
    pub(crate) fn of(root: &Root, opened: &Opened) -> Result<Self> {
        Self::chosen(root, opened, |_| true, Vec::new())
    }

    /// The same with the column [`FILE`], which holds the file's name as the log has it.
    pub(crate) fn named(root: &Root, opened: &Opened) -> Result<Self> {
        let name = Arc::new(Field::new(FILE, DataType::Utf8, false));
        Self::chosen(root, opened, |_| true, vec![name])
    }

    /// One file.
    pub(crate) fn only(root: &Root, opened: &Opened, name: &str) -> Result<Self> {
        Self::chosen(root, opened, |path| path == name, Vec::new())
    }

    fn chosen(root: &Root, opened: &Opened, takes: impl Fn(&str) -> bool, extra: Vec<Arc<Field>>) -> Result<Self> {
        let place = |cause| Error::engine(&format!("opening table `{}`", opened.name), cause);
        let store = ObjectStoreUrl::parse(&root.store.base).map_err(place)?;
        let url = root.table_url(&opened.name)?;
        let folder = StorePath::from_url_path(url.path())
            .map_err(|cause| Error::storage(format!("opening table `{}`", opened.name), cause))?;
        let schema = target_of(&opened.state()?.snapshot().arrow_schema());
        let has_name = !extra.is_empty();
        let mut files = Vec::new();
        for file in opened.state()?.log_data().iter().filter(|file| takes(&file.path())) {
            let name = file.path().into_owned();
            let foreign = file.deletion_vector_descriptor().is_some()
                || !file.partition_values_map().is_empty()
                || name.contains("://");
            if foreign {
                return Err(Error::State {
                    message: format!("table `{}` holds a file that another engine wrote: `{name}`", opened.name),
                    hint: "tables here have no partitions, deletion vectors or files elsewhere; write the rows anew"
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
