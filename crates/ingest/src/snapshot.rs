//! The latest versions of a project's datasets, by name.

use std::collections::BTreeMap;

use perennial_core::entity::{Dataset, DatasetKind, DatasetVersion};
use perennial_core::id::{DatasetId, ProjectId};
use perennial_core::name::DatasetName;
use perennial_core::port::data::{Mode, NamedTable, TableRef};
use perennial_core::rule::choose;
use perennial_core::schema::Schema;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{Conn, dataset_versions, datasets};

use perennial_kernel::Kernel;
use perennial_projects::ProjectState;

/// A dataset at one of its versions.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetAtVersion {
    /// The dataset.
    pub dataset: Dataset,
    /// The version.
    pub version: DatasetVersion,
}

impl DatasetAtVersion {
    /// The table of the version, under the dataset's name.
    pub fn named_table(&self) -> NamedTable {
        NamedTable { name: self.dataset.name.to_string(), table: self.table() }
    }

    /// The table of the version.
    pub fn table(&self) -> TableRef {
        TableRef {
            path: self.dataset.table_path.clone(),
            delta_version: self.version.delta_version.unwrap_or_default(),
        }
    }
}

/// One version of each dataset, by name: what a pipeline run or a query reads.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatasetSnapshot(BTreeMap<String, DatasetAtVersion>);

impl DatasetSnapshot {
    /// The latest version of every dataset of a project; datasets without a version are left out.
    pub async fn latest(kernel: &Kernel, project: ProjectId) -> Result<Self> {
        let mut reader = kernel.store().read().await?;
        let mut datasets: BTreeMap<DatasetId, Dataset> =
            datasets::list(&mut reader, project).await?.into_iter().map(|dataset| (dataset.id, dataset)).collect();
        let versions = dataset_versions::list_latest(&mut reader, project).await?;
        let pairs = versions.into_iter().filter_map(|version| {
            let dataset = datasets.remove(&version.dataset_id)?;
            Some((dataset.name.to_string(), DatasetAtVersion { dataset, version }))
        });
        Ok(Self(pairs.collect()))
    }

    /// The version of a dataset, if it has one.
    pub fn find(&self, name: &str) -> Option<&DatasetAtVersion> {
        self.0.get(name)
    }

    /// The version of a dataset; [`ErrorCode::NotFound`] when it has none.
    pub fn get(&self, name: &str) -> Result<&DatasetAtVersion> {
        self.find(name).ok_or_else(|| without_rows(name))
    }

    /// Adds a dataset at a version, in place of its earlier version.
    pub fn insert(&mut self, dataset: DatasetAtVersion) {
        self.0.insert(dataset.dataset.name.to_string(), dataset);
    }

    /// Every table, for queries.
    pub fn named_tables(&self) -> Vec<NamedTable> {
        self.0.values().map(DatasetAtVersion::named_table).collect()
    }

    /// Every dataset at its version, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &DatasetAtVersion> {
        self.0.values()
    }
}

/// The error for a dataset without a version.
pub fn without_rows(name: &str) -> Error {
    Error::new(ErrorCode::NotFound, format!("dataset `{name}` has no rows yet")).with_hint(format!(
        "`perennial run` collects or computes it; `perennial data show {name}` lists loads that are held"
    ))
}

/// The message for a column that a dataset does not have, and a hint with the name that may be meant.
pub fn no_column(dataset: &DatasetName, schema: &Schema, name: &str) -> (String, Option<String>) {
    let known: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
    (format!("dataset `{dataset}` has no column `{name}`"), choose(name, &known))
}

/// The dataset called `name`; [`ErrorCode::NotFound`] suggests the name that may be meant.
pub async fn get_dataset(reader: &mut Conn, project: ProjectId, name: &DatasetName) -> Result<Dataset> {
    if let Some(found) = datasets::find_by_name(reader, project, name).await? {
        return Ok(found);
    }
    let known = datasets::list(reader, project).await?;
    let known: Vec<&str> = known.iter().map(|dataset| dataset.name.as_str()).collect();
    let error = Error::not_found("dataset", name);
    Err(match choose(name.as_str(), &known) {
        Some(hint) => error.with_hint(hint),
        None => error.with_hint("`perennial run` collects every source"),
    })
}

/// The dataset called `name` with the declared mode and key; created when the project does not have it.
pub async fn declare(
    kernel: &Kernel,
    project: &ProjectState,
    name: &DatasetName,
    mode: Mode,
    key: &[String],
) -> Result<Dataset> {
    let found = datasets::find_by_name(&mut *kernel.store().read().await?, project.id, name).await?;
    let key_columns = key.to_vec();
    match found {
        Some(dataset) if dataset.mode == mode && dataset.key_columns == key_columns => Ok(dataset),
        Some(mut dataset) => {
            let id = dataset.id;
            let columns = key_columns.clone();
            kernel
                .store()
                .write(move |tx| Box::pin(async move { Ok(datasets::declare(tx, id, mode, &columns).await?) }))
                .await?;
            dataset.mode = mode;
            dataset.key_columns = key_columns;
            Ok(dataset)
        }
        None => {
            let id = DatasetId::generate();
            let dataset = Dataset {
                id,
                project_id: project.id,
                name: name.clone(),
                kind: DatasetKind::Table,
                mode,
                key_columns,
                table_path: format!("{}/{id}", project.id),
                last_number: 0,
                created_ms: kernel.services.clock.wall_ms(),
            };
            let inserted = dataset.clone();
            kernel.store().write(move |tx| Box::pin(async move { Ok(datasets::insert(tx, &inserted).await?) })).await?;
            Ok(dataset)
        }
    }
}
