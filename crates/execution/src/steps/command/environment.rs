//! The environment of a command.

use std::sync::PoisonError;

use perennial_config::{Environment as Declared, Run};
use perennial_core::Result;
use perennial_core::port::runner::{Environment, EnvironmentSpec};

use crate::pipelines::Context;

/// The resolved environment of a command. It stays the same within a pipeline run.
pub(in crate::steps) async fn environment(context: &Context, run: &Run) -> Result<Environment> {
    let program = run.argv.first().cloned().unwrap_or_default();
    let file = match &run.environment {
        Declared::System => None,
        Declared::Uv { file } => Some(file.clone()),
    };
    let key = (file, program);
    let resolved = || context.environments.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = resolved().get(&key) {
        return Ok(environment.clone());
    }
    let environment = context.caller.kernel.services.runner.resolve(&spec(context, run)?, &key.1).await?;
    resolved().insert(key, environment.clone());
    Ok(environment)
}

/// The environment that a command declares.
pub(super) fn spec(context: &Context, run: &Run) -> Result<EnvironmentSpec> {
    Ok(match &run.environment {
        Declared::System => EnvironmentSpec::System,
        Declared::Uv { file } => {
            EnvironmentSpec::Uv { requirements: context.submission.declared_text(file)?.to_owned() }
        }
    })
}
