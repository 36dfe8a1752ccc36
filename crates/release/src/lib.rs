//! From evidence to traffic.
//!
//! ```text
//! pipeline run ─▶ Decision (gates over evidence) ─▶ Release ─▶ canary ─▶ promotion
//!                                                                └─────▶ rollback
//! ```

mod catalog;
mod outcome;
mod refusals;
mod releasing;
mod run;

pub mod approvals;
pub mod decisions;
pub mod deployments;
pub mod endpoints;
pub mod evidence;
pub mod lineage;
pub mod models;
pub mod releases;
pub mod router;

pub use catalog::RegisteredModels;
pub use endpoints::Endpoints;
pub use router::{
    Deployment, DeploymentGuard, DrainTimes, EndpointRouter, KeyColumn, LoadedVersion, RequestStats, Route, Routes,
};
pub use run::PipelineRunner;
