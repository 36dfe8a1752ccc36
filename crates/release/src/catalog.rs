//! The registered models, as pipeline runs read them.

use std::sync::Arc;

use async_trait::async_trait;
use perennial_core::Result;
use perennial_core::entity::{ModelVersion, RegisteredModel};
use perennial_core::port::model::LoadedModel;
use perennial_execution::ModelCatalog;
use perennial_kernel::Kernel;
use perennial_projects::ProjectState;
use perennial_store::{model_versions, registered_models};

use crate::decisions::{CHAMPION, load_version};

/// The registered models of the metadata store.
pub struct RegisteredModels {
    kernel: Arc<Kernel>,
}

impl RegisteredModels {
    /// The models of `kernel`'s store.
    pub fn new(kernel: Arc<Kernel>) -> Self {
        Self { kernel }
    }
}

/// The registered model of a project, which has the project's name.
pub(crate) async fn registered(kernel: &Kernel, project: &ProjectState) -> Result<Option<RegisteredModel>> {
    Ok(registered_models::find_by_name(&mut *kernel.store().read().await?, project.name.as_str()).await?)
}

/// The version that the alias `champion` names now. A pipeline run asks once: `Context::champion`.
pub(crate) async fn champion(kernel: &Kernel, project: &ProjectState) -> Result<Option<ModelVersion>> {
    let Some(model) = registered(kernel, project).await? else { return Ok(None) };
    Ok(model_versions::find_by_alias(&mut *kernel.store().read().await?, model.id, CHAMPION).await?)
}

#[async_trait]
impl ModelCatalog for RegisteredModels {
    async fn champion(&self, project: &ProjectState) -> Result<Option<ModelVersion>> {
        champion(&self.kernel, project).await
    }

    async fn load(&self, version: &ModelVersion) -> Result<Arc<dyn LoadedModel>> {
        load_version(&self.kernel, version).await
    }
}
