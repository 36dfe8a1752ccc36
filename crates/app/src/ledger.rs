//! The ledger: entries about changes, and the chains as people look at them.

use perennial_core::clock::Instant;
use perennial_core::id::ProjectId;
use perennial_core::ledger::{Broken, Chain, Fault, Record, Report};
use perennial_core::name::ProjectName;
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{Tx, ledger as table, projects};
use serde_json::Value;

use crate::app::Caller;
use crate::project::ProjectState;

pub use perennial_core::ledger::Entry;
pub use perennial_store::Page;

/// Hexadecimal digits of a head.
const HEAD_DIGITS: usize = 64;

/// A change of a governed noun, as its entry tells it.
pub(crate) struct Change {
    pub chain: Chain,
    pub noun: &'static str,
    pub subject: String,
    pub verb: &'static str,
    pub payload: Value,
}

/// Who changes something, why and when: what every entry about it carries.
#[derive(Clone)]
pub(crate) struct By {
    pub actor: String,
    pub cause: Option<String>,
    pub at: Instant,
}

impl By {
    /// The caller, by the clock of a project; without one by the server's.
    pub(crate) async fn new(caller: &Caller, project: Option<ProjectId>) -> Result<Self> {
        let at = if let Some(id) = project {
            let project = caller.app.project(id).await?;
            caller.app.now(&project)
        } else {
            let wall_ms = caller.app.services.clock.wall_ms();
            Instant { wall_ms, project_ms: wall_ms }
        };
        Ok(Self { actor: caller.principal.name.clone(), cause: caller.cause.clone(), at })
    }

    /// Appends the entry about a change. Nothing but entries may follow in the transaction, and those on
    /// the server's chain come before those on a project's.
    pub(crate) async fn record(&self, tx: &mut Tx, change: Change) -> Result<()> {
        let Change { chain, noun, subject, verb, payload } = change;
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
}

/// Entries of a project's chain before a sequence, newest first.
pub async fn list(caller: &Caller, project: &ProjectState, before: Option<i64>, limit: u32) -> Result<Page<Entry>> {
    caller.require(Permission::Read, project)?;
    Ok(table::list(&mut *caller.app.store().read().await?, Chain::Project(project.id), before, limit).await?)
}

/// Entries of the server's chain before a sequence, newest first.
pub async fn list_server(caller: &Caller, before: Option<i64>, limit: u32) -> Result<Page<Entry>> {
    caller.principal.require(Permission::Read, None)?;
    Ok(table::list(&mut *caller.app.store().read().await?, Chain::Server, before, limit).await?)
}

/// The payload of an entry, `None` when it was erased.
pub async fn payload(caller: &Caller, project: &ProjectState, sequence: i64) -> Result<Option<String>> {
    caller.require(Permission::Read, project)?;
    Ok(table::find_payload(&mut *caller.app.store().read().await?, Chain::Project(project.id), sequence).await?)
}

/// The payload of an entry of the server's chain, `None` when it was erased.
pub async fn payload_server(caller: &Caller, sequence: i64) -> Result<Option<String>> {
    caller.principal.require(Permission::Read, None)?;
    Ok(table::find_payload(&mut *caller.app.store().read().await?, Chain::Server, sequence).await?)
}

/// Verifies a project's chain: nothing altered, removed or reordered, and with `head` that it continues that one.
pub async fn verify(caller: &Caller, project: &ProjectState, head: Option<&str>) -> Result<Report> {
    caller.require(Permission::Read, project)?;
    verify_chain(caller, Chain::Project(project.id), head).await
}

/// Verifies the server's own chain.
pub async fn verify_server(caller: &Caller, head: Option<&str>) -> Result<Report> {
    caller.principal.require(Permission::Read, None)?;
    verify_chain(caller, Chain::Server, head).await
}

async fn verify_chain(caller: &Caller, chain: Chain, head: Option<&str>) -> Result<Report> {
    judge(head)?;
    Ok(table::verify(&mut *caller.app.store().read().await?, chain, head).await??)
}

/// Every chain that somebody may read, verified.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The chains, the server's first.
    pub chains: Vec<VerifiedChain>,
    /// Whether one of them continues the head that was asked for; true when none was.
    pub is_continued: bool,
}

/// A chain, verified.
#[derive(Debug, Clone)]
pub struct VerifiedChain {
    /// Whose; `None` is the server's own.
    pub project: Option<ProjectName>,
    /// What it holds, or where it is broken.
    pub found: std::result::Result<Report, Broken>,
}

/// Verifies every chain the caller may read. With `head`, one of them has to continue that one.
pub async fn verify_all(caller: &Caller, head: Option<&str>) -> Result<Verified> {
    judge(head)?;
    let mut reader = caller.app.store().read().await?;
    let is_readable = |project| caller.principal.may(Permission::Read, project);
    let mut readable = Vec::new();
    if is_readable(None) {
        readable.push((Chain::Server, None));
    }
    for project in projects::list(&mut reader).await? {
        if is_readable(Some(project.id)) {
            readable.push((Chain::Project(project.id), Some(project.name)));
        }
    }
    let mut verified = Verified { chains: Vec::with_capacity(readable.len()), is_continued: head.is_none() };
    for (chain, project) in readable {
        let mut found = table::verify(&mut reader, chain, head).await?;
        if matches!(&found, Err(Broken { why: Fault::HeadMissing(_), .. })) {
            // Whole, but not the chain that the head is of.
            found = table::verify(&mut reader, chain, None).await?;
        } else {
            verified.is_continued |= found.is_ok();
        }
        verified.chains.push(VerifiedChain { project, found });
    }
    Ok(verified)
}

fn judge(head: Option<&str>) -> Result<()> {
    let is_head = |head: &str| head.len() == HEAD_DIGITS && head.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_empty = |head: &str| head.bytes().all(|byte| byte == b'0');
    match head.filter(|head| !is_head(head) || is_empty(head)) {
        None => Ok(()),
        Some(head) if is_head(head) => {
            let message = "zeros are the head of a ledger without entries, which every ledger continues";
            Err(Error::new(ErrorCode::InvalidArgument, message)
                .hint("a release, a backup and `perennial verify` tell heads"))
        }
        Some(head) => {
            let message = format!("`{}` is no head: expected {HEAD_DIGITS} hexadecimal digits", head.escape_debug());
            Err(Error::new(ErrorCode::InvalidArgument, message)
                .hint("a release, a backup and `perennial verify` tell heads"))
        }
    }
}
