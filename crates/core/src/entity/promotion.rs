//! Promotions: every change of the versions that answer at an endpoint.

use crate::cause::Cause;
use crate::id::{DecisionId, ModelId, ProjectId, PromotionId};
use crate::name::EndpointName;
use crate::text_enum::text_enum;

text_enum! {
    /// Kind of promotion.
    PromotionKind, "promotion kind" {
        /// A version starts to answer a share of the requests.
        Canary = "canary",
        /// A version receives the alias.
        Promotion = "promotion",
        /// The alias returns to the previous version, or a canary is withdrawn.
        Rollback = "rollback",
        /// A newer canary replaces one.
        Replacement = "replacement",
    }
}

/// A change of the versions that answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Promotion {
    /// Its id.
    pub id: PromotionId,
    /// The project.
    pub project_id: ProjectId,
    /// The endpoint, if one follows the alias.
    pub endpoint: Option<EndpointName>,
    /// The registered model.
    pub model_id: ModelId,
    /// The alias.
    pub alias: String,
    /// The version before.
    pub from_number: Option<i64>,
    /// The version after.
    pub to_number: Option<i64>,
    /// Kind of promotion.
    pub kind: PromotionKind,
    /// The decision that allows it; a rollback needs none.
    pub decision_id: Option<DecisionId>,
    /// The release.
    pub release_digest: Option<String>,
    /// Its cause.
    pub cause: Cause,
    /// The actor: a principal's name.
    pub actor: String,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
}
