//! The ledger: recording changes, listing and verifying its chains.

use perennial_core::clock::Instant;
use perennial_core::id::ProjectId;
use perennial_core::ledger::{BrokenChain, Chain, ERASURE, Record, Report, STAMP, Stamp, VerifyError};
use perennial_core::name::ProjectName;
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{Tx, ledger as table, projects};
use serde_json::Value;

use crate::Caller;

pub use perennial_core::ledger::Entry;
pub use perennial_store::Page;

/// Hexadecimal digits of a head.
const HEAD_DIGITS: usize = 64;

/// A change of a governed noun, to be recorded as an entry.
pub struct LedgerEvent {
    /// The chain it enters.
    pub chain: Chain,
    /// What kind of thing changed.
    pub noun: &'static str,
    /// Which one.
    pub subject: String,
    /// What was done to it.
    pub verb: &'static str,
    /// Facts about the change.
    pub payload: Value,
}

/// The actor, cause and time that every entry about a change carries.
#[derive(Clone)]
pub struct Recorder {
    /// The principal's name.
    pub actor: String,
    /// What the change is part of.
    pub cause: Option<String>,
    /// When, on both clocks.
    pub at: Instant,
}

impl Recorder {
    /// Records in the name of the caller, on the clock of a project; without a project, on the server's.
    pub async fn new(caller: &Caller, project: Option<ProjectId>) -> Result<Self> {
        let at = if let Some(id) = project {
            caller.kernel.clock_of(id).await?.now()
        } else {
            let wall_ms = caller.kernel.services.clock.wall_ms();
            Instant { wall_ms, project_ms: wall_ms }
        };
        Ok(Self { actor: caller.principal.name.clone(), cause: caller.cause_text(), at })
    }

    /// Appends the entry about a change. Nothing but entries may follow in the transaction, and those on
    /// the server's chain come before those on a project's.
    pub async fn record(&self, tx: &mut Tx, change: LedgerEvent) -> Result<()> {
        let LedgerEvent { chain, noun, subject, verb, payload } = change;
        let project_ms = if chain == Chain::Server { self.at.wall_ms } else { self.at.project_ms };
        let record = Record {
            chain,
            noun: noun.to_owned(),
            subject,
            verb: verb.to_owned(),
            actor: self.actor.clone(),
            wall_ms: self.at.wall_ms,
            project_ms,
            cause: self.cause.clone(),
            payload: payload.to_string(),
        };
        tx.ledger_append(record).await?;
        Ok(())
    }

    /// Appends the entries about several changes. Chains are locked in one order, the server's first, so that two
    /// writers cannot deadlock.
    pub async fn record_all(&self, tx: &mut Tx, mut changes: Vec<LedgerEvent>) -> Result<()> {
        changes.sort_by_key(|change| match change.chain {
            Chain::Server => None,
            Chain::Project(id) => Some(id),
        });
        for change in changes {
            self.record(tx, change).await?;
        }
        Ok(())
    }
}

/// Entries of a project's chain before a sequence, newest first.
pub async fn list(caller: &Caller, project: ProjectId, before: Option<i64>, limit: u32) -> Result<Page<Entry>> {
    caller.require(Permission::Read, project)?;
    Ok(table::list(&mut *caller.kernel.store().read().await?, Chain::Project(project), before, limit).await?)
}

/// Entries of the server's chain before a sequence, newest first.
pub async fn list_server(caller: &Caller, before: Option<i64>, limit: u32) -> Result<Page<Entry>> {
    caller.principal.require(Permission::Read, None)?;
    Ok(table::list(&mut *caller.kernel.store().read().await?, Chain::Server, before, limit).await?)
}

/// Erases the payload of an entry of a project's chain, and records that. The entry itself stays. Returns NotFound when there
/// is none.
pub async fn erase(caller: &Caller, project: ProjectId, sequence: i64) -> Result<()> {
    caller.require(Permission::Manage, project)?;
    let (chain, (noun, verb)) = (Chain::Project(project), ERASURE);
    let by = Recorder::new(caller, Some(project)).await?;
    let payload = serde_json::json!({ "sequence": sequence });
    let event = LedgerEvent { chain, noun, subject: sequence.to_string(), verb, payload };
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                table::erase_payload(tx, chain, sequence, by.at.wall_ms).await?;
                by.record(tx, event).await
            })
        })
        .await
}

/// Stamps the heads of the project chains that have grown since their last stamp on the server's chain, so that cutting
/// off their end is found. Returns how many.
pub async fn stamp(caller: &Caller) -> Result<usize> {
    let unstamped = table::list_unstamped(&mut *caller.kernel.store().read().await?).await?;
    if unstamped.is_empty() {
        return Ok(0);
    }
    let by = Recorder::new(caller, None).await?;
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                for (chain, head) in &unstamped {
                    table::set_stamped(tx, *chain, head.sequence).await?;
                }
                for (chain, head) in &unstamped {
                    let stamp = Stamp { sequence: head.sequence, head: head.hash.clone() };
                    let (noun, verb) = STAMP;
                    let (subject, payload) = (chain.to_string(), serde_json::json!(stamp));
                    by.record(tx, LedgerEvent { chain: Chain::Server, noun, subject, verb, payload }).await?;
                }
                Ok(unstamped.len())
            })
        })
        .await
}

/// The payload of an entry, `None` when it was erased.
pub async fn payload(caller: &Caller, project: ProjectId, sequence: i64) -> Result<Option<String>> {
    caller.require(Permission::Read, project)?;
    Ok(table::find_payload(&mut *caller.kernel.store().read().await?, Chain::Project(project), sequence).await?)
}

/// The payload of an entry of the server's chain, `None` when it was erased.
pub async fn payload_server(caller: &Caller, sequence: i64) -> Result<Option<String>> {
    caller.principal.require(Permission::Read, None)?;
    Ok(table::find_payload(&mut *caller.kernel.store().read().await?, Chain::Server, sequence).await?)
}

/// Verifies a project's chain: nothing altered, removed or reordered, and with `head` that it continues that one.
pub async fn verify(caller: &Caller, project: ProjectId, head: Option<&str>) -> Result<Report> {
    caller.require(Permission::Read, project)?;
    verify_chain(caller, Chain::Project(project), head).await
}

/// Verifies the server's own chain.
pub async fn verify_server(caller: &Caller, head: Option<&str>) -> Result<Report> {
    caller.principal.require(Permission::Read, None)?;
    verify_chain(caller, Chain::Server, head).await
}

async fn verify_chain(caller: &Caller, chain: Chain, head: Option<&str>) -> Result<Report> {
    validate_head(head)?;
    Ok(table::verify(&mut *caller.kernel.store().read().await?, chain, head).await??)
}

/// The result of verifying every chain that a caller may read.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The chains, the server's first.
    pub chains: Vec<VerifiedChain>,
    /// Whether one of them continues the requested head; true when no head was requested.
    pub is_continued: bool,
}

/// The result of verifying one chain.
#[derive(Debug, Clone)]
pub struct VerifiedChain {
    /// The project of the chain; `None` for the server's own.
    pub project: Option<ProjectName>,
    /// A report of the chain, or where it is broken.
    pub found: std::result::Result<Report, BrokenChain>,
}

/// Verifies every chain the caller may read. With `head`, one of them has to continue that one.
pub async fn verify_all(caller: &Caller, head: Option<&str>) -> Result<Verified> {
    validate_head(head)?;
    let mut reader = caller.kernel.store().read().await?;
    let mut readable = Vec::new();
    if caller.principal.may(Permission::Read, None) {
        readable.push((Chain::Server, None));
    }
    let set = caller.principal.grants.projects(Permission::Read);
    for project in projects::list_in(&mut reader, &set).await? {
        readable.push((Chain::Project(project.id), Some(project.name)));
    }
    let mut verified = Verified { chains: Vec::with_capacity(readable.len()), is_continued: head.is_none() };
    for (chain, project) in readable {
        let mut found = table::verify(&mut reader, chain, head).await?;
        if matches!(&found, Err(BrokenChain { error: VerifyError::HeadMissing(_), .. })) {
            // The chain is intact, but the head belongs to another chain.
            found = table::verify(&mut reader, chain, None).await?;
        } else {
            verified.is_continued |= found.is_ok();
        }
        verified.chains.push(VerifiedChain { project, found });
    }
    Ok(verified)
}

fn validate_head(head: Option<&str>) -> Result<()> {
    let is_head = |head: &str| head.len() == HEAD_DIGITS && head.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_empty = |head: &str| head.bytes().all(|byte| byte == b'0');
    match head.filter(|head| !is_head(head) || is_empty(head)) {
        None => Ok(()),
        Some(head) if is_head(head) => {
            let message = "zeros are the head of a ledger without entries, which every ledger continues";
            Err(Error::new(ErrorCode::InvalidArgument, message)
                .with_hint("releases, backups and `perennial verify` show heads"))
        }
        Some(head) => {
            let message =
                format!("`{}` is not a ledger head: expected {HEAD_DIGITS} hexadecimal digits", head.escape_debug());
            Err(Error::new(ErrorCode::InvalidArgument, message)
                .with_hint("releases, backups and `perennial verify` show heads"))
        }
    }
}
