//! Endpoints and their canaries.

use perennial_core::calendar::Duration;
use perennial_core::port::prediction::Durability;
use perennial_core::rule::Expression;
use serde_json::{Value, json};

use crate::size::Size;

/// An address where the champion answers requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// How a new version is tested; without it, the alias moves at once.
    pub canary: Option<Canary>,
    /// How durable a logged prediction is when its response is sent.
    pub log: Durability,
    /// The largest request body.
    pub max_body: Size,
}

impl Endpoint {
    /// The declaration in a stable form, which is part of a release's digest.
    pub fn canonical(&self) -> Value {
        let canary = self.canary.as_ref().map(|canary| {
            json!({
                "share": canary.share, "for": canary.duration, "min_requests": canary.min_requests,
                "rollback": canary.rollback.as_ref().map(Expression::text),
            })
        });
        json!({ "canary": canary, "log": self.log, "max_body": self.max_body.bytes() })
    }
}

/// How a new version is tested on a share of the requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    /// The canary's share of the requests, above 0 and below 1.
    pub share: f64,
    /// The shortest duration of the canary, on the project clock.
    pub duration: Duration,
    /// The number of requests the canary must have answered.
    pub min_requests: u64,
    /// When the canary is rolled back.
    pub rollback: Option<Expression>,
}
