//! Rows beside their entries: the payload of the entry about a decision, release, approval or promotion is derived from the
//! row, when it is written and when it is verified.

use serde_json::{Value, json};

use super::{BrokenChain, VerifyError, payload_digest};
use crate::clock::Instant;
use crate::entity::{Approval, Decision, Promotion, Release};

/// The noun of entries about decisions.
pub const DECISION: &str = "decision";
/// The noun of entries about releases.
pub const RELEASE: &str = "release";
/// The noun of entries about approvals.
pub const APPROVAL: &str = "approval";
/// The noun of entries about promotions.
pub const PROMOTION: &str = "promotion";

impl Decision {
    /// The payload of the entry about the decision. `body` is the stored text of its body.
    pub fn ledger_payload(&self, body: &str) -> Value {
        json!({
            "decision": self.id, "verdict": self.verdict.as_str(), "release": self.release_digest, "number": self.number,
            "champion": self.champion_number, "model": self.model_id, "evidence": self.evidence_id,
            "pipeline_run": self.pipeline_run_id, "body": payload_digest(body),
        })
    }
}

impl Release {
    /// The payload of the entry about the release. `body` is the stored text of its body.
    pub fn ledger_payload(&self, body: &str) -> Value {
        json!({
            "release": self.digest, "number": self.number, "head": self.ledger_head, "model": self.model_id,
            "body": payload_digest(body),
        })
    }
}

impl Approval {
    /// The payload of the entry about the approval.
    pub fn ledger_payload(&self) -> Value {
        json!({
            "release": self.release_digest, "role": self.role.as_str(), "note": self.note, "principal": self.principal_id,
            "request": self.request_id,
        })
    }
}

impl Promotion {
    /// The payload of the entry about the promotion.
    pub fn ledger_payload(&self) -> Value {
        json!({
            "endpoint": self.endpoint, "alias": self.alias, "from": self.from_number, "to": self.to_number,
            "kind": self.kind.as_str(), "release": self.release_digest, "decision": self.decision_id,
            "model": self.model_id, "cause": self.cause,
        })
    }
}

/// A row with the entry about it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRow {
    /// The kind of the row.
    pub noun: &'static str,
    /// Its key, the subject of the entry.
    pub key: String,
    /// The payload that the row gives.
    pub payload: Value,
    /// The actor that the row names, if it names one.
    pub actor: Option<String>,
    /// When it was made.
    pub at: Instant,
    /// The first entry about it; `None` when there is none.
    pub entry: Option<RowEntry>,
}

/// The entry about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowEntry {
    /// Its sequence.
    pub sequence: i64,
    /// Its actor.
    pub actor: String,
    /// Its time.
    pub at: Instant,
    /// Its payload; `None` when it was erased.
    pub payload: Option<String>,
}

/// Compares a row with the entry about it. Entries of earlier versions have fewer fields: those that an entry has are
/// compared, and the times and the actor always.
///
/// # Errors
/// The first difference, or that there is no entry; `end` is the sequence where the chain ends.
pub fn compare_row(row: &RecordedRow, end: i64) -> Result<(), BrokenChain> {
    let (noun, key) = (row.noun, row.key.clone());
    let Some(entry) = &row.entry else {
        return Err(BrokenChain { sequence: end, error: VerifyError::UnrecordedRow { noun, key } });
    };
    let altered = |field: &str| {
        let error = VerifyError::AlteredRow { noun, key: key.clone(), field: field.to_owned() };
        Err(BrokenChain { sequence: entry.sequence, error })
    };
    if row.at.wall_ms != entry.at.wall_ms {
        return altered("wall_ms");
    }
    if row.at.project_ms != entry.at.project_ms {
        return altered("project_ms");
    }
    if row.actor.as_ref().is_some_and(|actor| *actor != entry.actor) {
        return altered("actor");
    }
    let recorded = entry.payload.as_deref().and_then(|payload| serde_json::from_str(payload).ok());
    let Some(Value::Object(recorded)) = recorded else { return Ok(()) };
    match recorded.iter().find(|(field, value)| row.payload.get(field).is_some_and(|found| found != *value)) {
        Some((field, _)) => altered(field),
        None => Ok(()),
    }
}
