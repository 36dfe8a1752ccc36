//! The ledger: append-only chains of entries, one a project and one for the
//! server, in which each entry carries the hash of the one before it.
//!
//! The hash of an entry is BLAKE3 over the text `perennial ledger entry 1` and
//! then each field of the entry except the hash itself, in the order of
//! [`Entry`]: every text by its length in bytes (8 bytes, little-endian) and its
//! bytes, every number as 8 bytes little-endian two's complement, an absent text
//! as the length `2^64 - 1`. Payloads are bound by their digest alone, so a
//! payload may be erased and the chain still verifies. The erasure is an entry
//! of the same chain; a payload that is missing without one is a fault.
//!
//! The server's chain stamps the heads of project chains, so that cutting off the
//! end of one is found.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};
use crate::id::ProjectId;

mod rows;
#[cfg(test)]
mod tests;

pub use rows::{APPROVAL, DECISION, PROMOTION, RELEASE, RecordedRow, RowEntry, compare_row};

/// The noun and verb of the entry about an erased payload; its subject is the sequence of the payload's entry.
pub const ERASURE: (&str, &str) = ("payload", "erase");

/// The noun and verb of the entry of the server's chain that stamps the head of a project's chain; its subject is the
/// project's id.
pub const STAMP: (&str, &str) = ("ledger_head", "stamp");

/// What the first entry of a chain names as the one before it.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const DOMAIN: &str = "perennial ledger entry 1";

/// Which chain an entry is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Chain {
    /// Of the server: projects, principals, grants without a project.
    Server,
    /// Of a project.
    Project(ProjectId),
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("server"),
            Self::Project(id) => id.fmt(f),
        }
    }
}

impl FromStr for Chain {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "server" => Ok(Self::Server),
            id => id.parse().map(Self::Project),
        }
    }
}

impl TryFrom<String> for Chain {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Chain> for String {
    fn from(chain: Chain) -> Self {
        chain.to_string()
    }
}

/// A change about to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The chain that the entry continues.
    pub chain: Chain,
    /// The kind of noun that changed, such as `dataset_version`.
    pub noun: String,
    /// Which one, by id or name.
    pub subject: String,
    /// What happened to it, such as `create`, `promote`, `delete`.
    pub verb: String,
    /// Who did it: a principal's name.
    pub actor: String,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
    /// What made it happen, such as `trigger:renew` or `pipeline_run:<id>`.
    pub cause: Option<String>,
    /// What it was, as JSON text; kept beside the entry and erasable.
    pub payload: String,
}

/// One entry of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The chain.
    pub chain: Chain,
    /// Its place, from 1, without holes.
    pub sequence: i64,
    /// The kind of noun that changed.
    pub noun: String,
    /// Which one.
    pub subject: String,
    /// What happened to it.
    pub verb: String,
    /// Who did it.
    pub actor: String,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
    /// What made it happen.
    pub cause: Option<String>,
    /// BLAKE3 of the payload, hex.
    pub payload_digest: String,
    /// Hash of the entry before, [`GENESIS`] for the first.
    pub previous: String,
    /// Hash of this entry, hex.
    pub hash: String,
}

/// Where a chain ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last entry's sequence; 0 for an empty chain.
    pub sequence: i64,
    /// The last entry's hash; [`GENESIS`] for an empty chain.
    pub hash: String,
}

impl Head {
    /// The head of a chain without entries.
    pub fn empty() -> Self {
        Self { sequence: 0, hash: GENESIS.to_owned() }
    }
}

impl Entry {
    /// The entry that records a change after `head`.
    pub fn after(head: &Head, record: Record) -> Self {
        let mut entry = Self {
            chain: record.chain,
            sequence: head.sequence + 1,
            noun: record.noun,
            subject: record.subject,
            verb: record.verb,
            actor: record.actor,
            wall_ms: record.wall_ms,
            project_ms: record.project_ms,
            cause: record.cause,
            payload_digest: payload_digest(&record.payload),
            previous: head.hash.clone(),
            hash: String::new(),
        };
        entry.hash = entry.computed_hash();
        entry
    }

    /// The hash its fields give; equal to [`Entry::hash`] unless it was altered.
    pub fn computed_hash(&self) -> String {
        let mut hasher = Fields(blake3::Hasher::new());
        hasher.text(DOMAIN);
        hasher.text(&self.chain.to_string());
        hasher.number(self.sequence);
        hasher.text(&self.noun);
        hasher.text(&self.subject);
        hasher.text(&self.verb);
        hasher.text(&self.actor);
        hasher.number(self.wall_ms);
        hasher.number(self.project_ms);
        hasher.optional(self.cause.as_deref());
        hasher.text(&self.payload_digest);
        hasher.text(&self.previous);
        hasher.0.finalize().to_hex().to_string()
    }

    /// Where a chain that ends with this entry stands.
    pub fn head(&self) -> Head {
        Head { sequence: self.sequence, hash: self.hash.clone() }
    }
}

/// BLAKE3 of a payload's text, hex.
pub fn payload_digest(payload: &str) -> String {
    blake3::hash(payload.as_bytes()).to_hex().to_string()
}

struct Fields(blake3::Hasher);

impl Fields {
    fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => {
                self.0.update(&u64::MAX.to_le_bytes());
            }
        }
    }

    fn number(&mut self, number: i64) {
        self.0.update(&number.to_le_bytes());
    }
}

/// The payload of an entry that stamps the head of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The sequence of the last entry.
    pub sequence: i64,
    /// Its hash.
    pub head: String,
}

/// What a chain that verifies holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Entries seen.
    pub entries: i64,
    /// Payloads seen and equal to their digest.
    pub payloads: i64,
    /// Payloads that were erased, each with an entry about it.
    pub erased: i64,
    /// Rows of decisions, releases, approvals and promotions that are equal to their entries.
    pub rows: i64,
    /// Where the chain ends.
    pub head: Head,
}

/// Where and why a chain does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BrokenChain {
    /// The place at fault; for a row without an entry the end of the chain.
    pub sequence: i64,
    /// What is wrong there.
    pub error: VerifyError,
}

impl fmt::Display for BrokenChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            VerifyError::UnrecordedRow { .. } => self.error.fmt(f),
            error => write!(f, "ledger entry {} does not verify: {error}", self.sequence),
        }
    }
}

/// What is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The fields do not give the hash.
    #[error("its fields do not give its hash, so it was altered")]
    Altered,
    /// The hash before does not fit.
    #[error("it does not continue the entry before it, so entries were exchanged or hashed again")]
    Unlinked,
    /// Another sequence stands where this one belongs.
    #[error("entry {found} stands in its place, so entries were removed or reordered")]
    Misplaced {
        /// The sequence found there.
        found: i64,
    },
    /// An entry of another chain.
    #[error("it belongs to chain `{found}`")]
    Foreign {
        /// That chain.
        found: Chain,
    },
    /// The payload kept beside it is another.
    #[error("its payload does not give its digest, so the payload was altered")]
    Payload,
    /// The payload is missing, and no entry says that it was erased.
    #[error("its payload is missing, and no later entry records that it was erased")]
    PayloadMissing,
    /// A row differs from the entry about it.
    #[error("the {noun} `{key}` was changed by hand: its `{field}` is not the recorded one")]
    AlteredRow {
        /// The kind of the row.
        noun: &'static str,
        /// Its key.
        key: String,
        /// The first field that differs.
        field: String,
    },
    /// The row of an entry is missing.
    #[error("the {noun} `{key}` that it records was deleted by hand")]
    MissingRow {
        /// The kind of the row.
        noun: String,
        /// Its key.
        key: String,
    },
    /// A row has no entry.
    #[error("the {noun} `{key}` has no entry in the ledger, so it was added by hand")]
    UnrecordedRow {
        /// The kind of the row.
        noun: &'static str,
        /// Its key.
        key: String,
    },
    /// The server's chain stamped an entry that is not there.
    #[error(
        "the server's chain stamped entry {sequence} with the hash `{head}`, which is not in the chain, so its end was removed or hashed again"
    )]
    StampMissing {
        /// The stamped sequence.
        sequence: i64,
        /// The stamped hash.
        head: String,
    },
    /// The recorded head names an entry that is not there.
    #[error("the chain ends before its recorded head, so entries were removed")]
    Cut,
    /// The head that was asked for is nowhere in the chain.
    #[error("the head `{0}` is not in the chain, so the chain was hashed again or the head belongs to another chain")]
    HeadMissing(String),
}

impl From<BrokenChain> for Error {
    fn from(broken: BrokenChain) -> Self {
        Self::new(ErrorCode::Ledger, broken.to_string())
            .with_hint("compare with a backup that carries an earlier head: perennial verify --head HEAD")
    }
}

/// Verifies a chain entry by entry, in order, without keeping it in memory.
#[derive(Debug)]
pub struct Verifier {
    chain: Option<Chain>,
    wanted: Option<String>,
    stamp: Option<Stamp>,
    /// Sequences of the entries whose payload is missing, and not recorded as erased yet.
    missing: BTreeSet<i64>,
    report: Report,
}

impl Verifier {
    /// A verifier of one chain; `head` is a hash that the chain must contain,
    /// noted earlier in a release, a backup or by hand.
    pub fn new(head: Option<&str>) -> Self {
        let wanted = head.map(str::to_lowercase).filter(|head| head != GENESIS);
        let report = Report { entries: 0, payloads: 0, erased: 0, rows: 0, head: Head::empty() };
        Self { chain: None, wanted, stamp: None, missing: BTreeSet::new(), report }
    }

    /// The chain must contain the entry that the server's chain stamped.
    #[must_use]
    pub fn stamped(self, stamp: Option<Stamp>) -> Self {
        Self { stamp, ..self }
    }

    /// Takes the next entry.
    pub fn entry(&mut self, entry: &Entry) -> Result<(), BrokenChain> {
        let expected = self.report.head.sequence + 1;
        let broken = |error| Err(BrokenChain { sequence: expected, error });
        if entry.sequence != expected {
            return broken(VerifyError::Misplaced { found: entry.sequence });
        }
        if *self.chain.get_or_insert(entry.chain) != entry.chain {
            return broken(VerifyError::Foreign { found: entry.chain });
        }
        if entry.computed_hash() != entry.hash {
            return broken(VerifyError::Altered);
        }
        if entry.previous != self.report.head.hash {
            return broken(VerifyError::Unlinked);
        }
        if self.wanted.as_deref() == Some(&entry.hash) {
            self.wanted = None;
        }
        if self.stamp.as_ref().is_some_and(|stamp| stamp.sequence == entry.sequence && stamp.head == entry.hash) {
            self.stamp = None;
        }
        if (entry.noun.as_str(), entry.verb.as_str()) == ERASURE
            && entry.subject.parse().is_ok_and(|erased| self.missing.remove(&erased))
        {
            self.report.erased += 1;
        }
        self.report.entries += 1;
        self.report.head = entry.head();
        Ok(())
    }

    /// Takes the payload of the entry taken last; `None` when it is missing.
    pub fn payload(&mut self, entry: &Entry, payload: Option<&str>) -> Result<(), BrokenChain> {
        match payload {
            None => {
                self.missing.insert(entry.sequence);
            }
            Some(text) if payload_digest(text) == entry.payload_digest => self.report.payloads += 1,
            Some(_) => {
                return Err(BrokenChain { sequence: entry.sequence, error: VerifyError::Payload });
            }
        }
        Ok(())
    }

    /// Ends; `recorded` is the head kept beside the chain, if one is.
    pub fn finish(self, recorded: Option<&Head>) -> Result<Report, BrokenChain> {
        let reached = self.report.head.clone();
        if let Some(recorded) = recorded
            && *recorded != reached
        {
            return Err(BrokenChain { sequence: reached.sequence + 1, error: VerifyError::Cut });
        }
        if let Some(sequence) = self.missing.first() {
            return Err(BrokenChain { sequence: *sequence, error: VerifyError::PayloadMissing });
        }
        if let Some(Stamp { sequence, head }) = self.stamp {
            return Err(BrokenChain { sequence, error: VerifyError::StampMissing { sequence, head } });
        }
        match self.wanted {
            Some(head) => Err(BrokenChain { sequence: reached.sequence, error: VerifyError::HeadMissing(head) }),
            None => Ok(self.report),
        }
    }
}

/// Verifies the entries of one chain, in order of their storage: none altered,
/// removed or reordered, and with `head` that the chain continues that one.
pub fn verify<'a>(entries: impl IntoIterator<Item = &'a Entry>, head: Option<&str>) -> Result<Report, BrokenChain> {
    let mut verifier = Verifier::new(head);
    for entry in entries {
        verifier.entry(entry)?;
    }
    verifier.finish(None)
}
