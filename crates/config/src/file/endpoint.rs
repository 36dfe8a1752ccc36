//! `[endpoints.*]`.

use perennial_core::calendar::Duration;
use perennial_core::port::prediction::Durability;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::size::Size;
use crate::value_schema;

/// An address where the champion answers requests. Removing it from the file stops the endpoint at the next submission.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointTable {
    /// How a new version answers a share of the requests before it becomes champion; without it, a released version becomes champion at once. Removing it during a canary ends the canary, and the champion stays.
    pub canary: Option<CanaryTable>,
    /// `logged`: a logged prediction survives the end of the process; `recorded`: also power loss.
    #[serde(default = "logged")]
    #[schemars(schema_with = "value_schema::durability")]
    pub log: Durability,
    /// The largest request body, before and after decompression; default 16 MB, at most 32 MiB.
    #[serde(default = "sixteen_megabytes")]
    #[schemars(schema_with = "value_schema::size")]
    pub max_body: Size,
}

/// How a new version is tested on a share of the requests.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryTable {
    /// The canary's share of the requests, above 0 and below 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// The shortest duration of the canary.
    #[serde(rename = "for")]
    #[schemars(schema_with = "value_schema::duration")]
    pub duration: Duration,
    /// The number of requests the canary must have answered; default 1.
    #[serde(default = "one")]
    pub min_requests: u64,
    /// When the canary is rolled back: CEL over `canary.*` and `champion.*`; without it, never automatically.
    pub rollback: Option<String>,
}

fn logged() -> Durability {
    Durability::Batched
}

fn sixteen_megabytes() -> Size {
    Size::from_bytes(16_000_000)
}

fn one() -> u64 {
    1
}
