//! Loading models: each project has a share of the loads at the same time, because a model may take minutes to load.

use std::future::Future;
use std::sync::Arc;

use perennial_core::Result;
use perennial_core::id::ProjectId;
use perennial_core::model::Signature;
use perennial_core::port::model::{LoadedModel, ModelFiles, SignatureHint};

use crate::{Kernel, wrong_state};

impl Kernel {
    /// Loads a model. A load whose caller is dropped ends by itself, and counts until then.
    ///
    /// # Errors
    /// Those of the runtime; `wrong-state` when the server stops meanwhile.
    pub async fn load_model(
        &self,
        project: ProjectId,
        files: ModelFiles,
        signature: Signature,
    ) -> Result<Arc<dyn LoadedModel>> {
        let models = self.services.models.clone();
        self.within_loads(project, async move { models.load(files, &signature).await }).await
    }

    /// Infers the signature of a model, which loads it.
    ///
    /// # Errors
    /// As [`Kernel::load_model`].
    pub async fn model_signature(
        &self,
        project: ProjectId,
        files: ModelFiles,
        hint: SignatureHint,
    ) -> Result<Signature> {
        let models = self.services.models.clone();
        self.within_loads(project, async move { models.signature(files, hint).await }).await
    }

    /// Loads as one of the loads of a project.
    async fn within_loads<T: Send + 'static>(
        &self,
        project: ProjectId,
        load: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let permit = self.loads.acquire(project).await?;
        let loaded = self.work.finish("loading of a model", async move {
            let _permit = permit;
            load.await
        });
        loaded.await.ok_or_else(|| wrong_state("the server stopped while a model was loaded"))?
    }
}
