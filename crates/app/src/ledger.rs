//! The ledger as people look at it.

use perennial_core::ledger::{Chain, Report};
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::ledger as table;

use crate::app::Caller;
use crate::project::ProjectState;

pub use perennial_core::ledger::Entry;
pub use perennial_store::Page;

/// Hexadecimal digits of a head.
const HEAD_DIGITS: usize = 64;

/// Entries of a project's chain before a sequence, newest first.
pub async fn list(caller: &Caller, project: &ProjectState, before: Option<i64>, limit: u32) -> Result<Page<Entry>> {
    caller.require(Permission::Read, project)?;
    Ok(table::list(&mut *caller.app.store().read().await?, Chain::Project(project.id), before, limit).await?)
}

/// The payload of an entry, `None` when it was erased.
pub async fn payload(caller: &Caller, project: &ProjectState, sequence: i64) -> Result<Option<String>> {
    caller.require(Permission::Read, project)?;
    Ok(table::find_payload(&mut *caller.app.store().read().await?, Chain::Project(project.id), sequence).await?)
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
    if let Some(head) =
        head.filter(|head| head.len() != HEAD_DIGITS || !head.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        let message = format!("`{}` is no head: expected {HEAD_DIGITS} hexadecimal digits", head.escape_debug());
        return Err(Error::new(ErrorCode::InvalidArgument, message)
            .hint("a release, a backup and `perennial verify` tell heads"));
    }
    Ok(table::verify(&mut *caller.app.store().read().await?, chain, head).await??)
}
