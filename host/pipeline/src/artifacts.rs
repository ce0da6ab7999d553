//! Stores what the commits of a hop name, before the first of them.

use super::fault::PipelineError;
use super::module::HopModule;
use super::sink::lake_error;
use sluicebox_core::plan::Plan;
use sluicebox_lake::Lake;

/// Stores the module of a hop and its pipeline in the lake, so that its tables can be replayed. Each is written once;
/// if it exists already, that costs one request.
///
/// # Errors
/// The lake cannot be written to.
pub async fn keep(lake: &Lake, plan: &Plan, hop: &str, module: Option<&HopModule>) -> Result<(), PipelineError> {
    if let Some(module) = module {
        let module = &module.module;
        let failed = lake_error(hop, format!("keeping the module `{}` in the lake failed", module.name()));
        lake.keep_module(module.digest(), module.bytes()).await.map_err(failed)?;
    }
    let failed = lake_error(hop, "keeping the pipeline in the lake failed");
    lake.keep_pipeline(&plan.config_hash, &plan.text).await.map_err(failed)
}
