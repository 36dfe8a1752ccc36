//! The things that are stored and passed between crates: one struct for each row type, one module for each noun.
//!
//! Every row that belongs to a project carries its id. Instants are epoch milliseconds: `wall_ms` of the wall clock,
//! `project_ms` of the project clock. A field called `number` is the number of a version, from 1 and never reused.
//! The crate `store` reads and writes these structs; it has no structs of its own.

mod alert;
mod attempts;
mod check_result;
mod dataset;
mod dataset_version;
mod decision;
mod endpoint;
mod evidence;
mod experiment;
mod grant;
mod job;
mod load;
mod metric_point;
mod model_version;
mod monitor_result;
mod pipeline_run;
mod prediction_segment;
mod principal;
mod project;
mod promotion;
mod registered_model;
mod release;
mod run;
mod run_artifact;
mod run_data;
mod run_input;
mod server;
mod session;
mod source_file;
mod source_grant;
mod step_run;
mod token;
mod trigger_firing;

pub use alert::{Alert, AlertSubject};
pub use attempts::{Attempts, DEATHS_MAX, WorkKind};
pub use check_result::{CheckResult, Profile};
pub use dataset::{Dataset, DatasetKind};
pub use dataset_version::{DatasetVersion, DatasetVersionOrigin, PinHolder};
pub use decision::{Decision, DecisionBody, GateResult};
pub use endpoint::{Endpoint, NewCanary};
pub use evidence::Evidence;
pub use experiment::{Experiment, NewExperiment, Tag};
pub use grant::{Grant, GrantOrigin, GrantScope, GrantScopeKind};
pub use job::{Job, JobClaim, JobClock, JobLease, NewJob, RetryPolicy};
pub use load::{Load, LoadFile, LoadIntent, LoadOrigin};
pub use metric_point::MetricPoint;
pub use model_version::ModelVersion;
pub use monitor_result::{MonitorReference, MonitorResult, MonitorResultKind};
pub use pipeline_run::{EventRecord, PipelineKind, PipelineOptions, PipelineRun};
pub use prediction_segment::PredictionSegment;
pub use principal::{PrincipalKind, PrincipalRecord};
pub use project::{NewProject, Project, ProjectFile};
pub use promotion::{Promotion, PromotionKind};
pub use registered_model::{ModelAlias, RegisteredModel};
pub use release::{Approval, ApprovalRequest, Refusal, Release, ReleaseOutcome};
pub use run::{NewRun, Param, Run, RunBatch, RunUpdate};
pub use run_artifact::RunArtifact;
pub use run_data::RunData;
pub use run_input::RunInput;
pub use server::Server;
pub use session::Session;
pub use source_file::SourceFileRecord;
pub use source_grant::SourceGrant;
pub use step_run::{StepOutcome, StepOutput, StepOutputKind, StepRun};
pub use token::{Authentication, Token, TokenKind};
pub use trigger_firing::TriggerFiring;
