//! Loading models: each project has a share of the loads at the same time, because a model may take minutes to load.

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
        let (permit, models) = (self.loads.acquire(project).await?, self.services.models.clone());
        let loaded = self.work.finish("loading of a model", async move {
            let _permit = permit;
            models.load(files, &signature).await
        });
        loaded.await.ok_or_else(|| wrong_state("the server stopped while a model was loaded"))?
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
        let (permit, models) = (self.loads.acquire(project).await?, self.services.models.clone());
        let inferred = self.work.finish("loading of a model", async move {
            let _permit = permit;
            models.signature(files, hint).await
        });
        inferred.await.ok_or_else(|| wrong_state("the server stopped while a model was loaded"))?
    }
}
