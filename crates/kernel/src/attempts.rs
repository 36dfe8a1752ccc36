//! Attempts at work that may end the process: each is recorded before the work begins, and work during which servers died
//! twice is held.
//!
//! Without this, a file, a query or a model that ends the process would end every server that starts.

use std::future::Future;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use perennial_core::entity::{AlertSubject, Attempts, WorkKind};
use perennial_core::id::{AttemptsId, ProjectId};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::attempts as table;
use serde_json::json;

use crate::held::HELD;
use crate::{Caller, Kernel, Recorder, alerts};

/// Work whose attempts are counted.
#[derive(Debug, Clone)]
pub struct Work {
    /// The project.
    pub project: ProjectId,
    /// The kind.
    pub kind: WorkKind,
    /// The work, identified by its content, so that other content is other work.
    pub subject: String,
    /// The work in words, such as ``file `a.csv` of `flights` ``.
    pub description: String,
}

/// Does work whose attempts are counted.
///
/// # Errors
/// `held` when servers died twice during the work; else those of the work.
pub fn guard<'a, T: Send + 'a>(
    kernel: &'a Arc<Kernel>,
    work: Work,
    attempt: impl Future<Output = Result<T>> + Send + 'a,
) -> BoxFuture<'a, Result<T>> {
    let attempt = attempt.boxed();
    async move {
        let record = begin(kernel, work).await?;
        let result = attempt.await;
        if let Some(record) = record {
            record.end().await;
        }
        result
    }
    .boxed()
}

/// Records an attempt; `None` when it cannot be recorded and the work is to be done nevertheless.
async fn begin(kernel: &Arc<Kernel>, work: Work) -> Result<Option<Attempt>> {
    let (server, wall_ms, kind) = (kernel.server, kernel.services.clock.wall_ms(), work.kind);
    let write = kernel.store().write(move |tx| {
        Box::pin(async move {
            let Some(mut known) = table::find(tx, work.project, work.kind, &work.subject).await? else {
                let first = Attempts {
                    id: AttemptsId::generate(),
                    project_id: work.project,
                    kind: work.kind,
                    subject: work.subject,
                    description: work.description,
                    server_id: Some(server),
                    deaths: 0,
                    wall_ms,
                };
                table::insert(tx, &first).await?;
                return Ok(Ok(first.id));
            };
            if known.is_held() {
                return Ok(Err(held(&known)));
            }
            known.server_id = Some(server);
            known.wall_ms = wall_ms;
            table::update(tx, &known).await?;
            Ok(Ok(known.id))
        })
    });
    match write.await {
        Ok(begun) => Ok(Some(Attempt { kernel: kernel.clone(), id: Some(begun?) })),
        // A server serves its models even when nothing can be written, such as on a full disk.
        Err(error) if kind == WorkKind::Model => {
            tracing::warn!(error = error.chain(), "an attempt at loading a model could not be recorded");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn held(attempts: &Attempts) -> Error {
    let Attempts { id, description, deaths, .. } = attempts;
    Error::new(ErrorCode::Held, format!("{description} is held: the server died {deaths} times while it processed it"))
        .with_hint(format!("correct it, or let it be tried again: `perennial held release {id}`"))
}

/// An attempt under way. Dropped before its end, as when a run is cancelled, it ends as well: only the death of the
/// process leaves a record.
struct Attempt {
    kernel: Arc<Kernel>,
    id: Option<AttemptsId>,
}

impl Attempt {
    async fn end(mut self) {
        if let Some(id) = self.id.take() {
            forget(&self.kernel, id).await;
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let kernel = self.kernel.clone();
        self.kernel.work.spawn("end of an attempt", async move { forget(&kernel, id).await });
    }
}

async fn forget(kernel: &Kernel, id: AttemptsId) {
    let write = kernel.store().write(move |tx| Box::pin(async move { Ok(table::delete(tx, id).await?) }));
    if let Err(error) = write.await {
        tracing::warn!(attempts.id = %id, error = error.chain(), "the end of an attempt could not be recorded");
    }
}

/// Counts the attempts that have no end because their server died, and fires an alert about each piece of work that is
/// held from now on. Called before this server makes an attempt.
///
/// # Errors
/// If the attempts cannot be read.
pub async fn recover(caller: &Caller) -> Result<()> {
    let kernel = &caller.kernel;
    let open = kernel.readable(table::list_open(&mut *kernel.store().read().await?).await?);
    for attempts in open.into_iter().filter(|attempts| attempts.server_id != Some(kernel.server)) {
        let id = attempts.id;
        if let Err(error) = count_death(caller, attempts).await {
            tracing::error!(attempts.id = %id, error = error.chain(), "the death of a server could not be counted");
        }
    }
    Ok(())
}

async fn count_death(caller: &Caller, mut attempts: Attempts) -> Result<()> {
    attempts.server_id = None;
    attempts.deaths += 1;
    tracing::warn!(work = attempts.description, deaths = attempts.deaths, "a server died while it processed this");
    let by = Recorder::new(caller, Some(attempts.project_id)).await?;
    let write = caller.kernel.store().write(move |tx| {
        Box::pin(async move {
            table::update(tx, &attempts).await?;
            if !attempts.is_held() {
                return Ok(());
            }
            let about = (AlertSubject::Work(attempts.id), HELD, 0);
            let error = held(&attempts);
            let message = format!("{}; {}", error.message(), error.hint().unwrap_or_default());
            let facts = json!({ "kind": attempts.kind, "subject": attempts.subject, "deaths": attempts.deaths });
            let alert = alerts::new(attempts.project_id, by.at, about, facts, message);
            match alerts::fire_in(tx, &alert, None).await? {
                Some(event) => by.record(tx, event).await,
                None => Ok(()),
            }
        })
    });
    write.await
}

/// Ends the attempts that a stopping server leaves unfinished: the next server resumes their work.
///
/// # Errors
/// If they cannot be read or written.
pub async fn end_all(kernel: &Kernel) -> Result<()> {
    let server = kernel.server;
    let write = kernel.store().write(move |tx| {
        Box::pin(async move {
            let open = table::list_open(tx).await?.rows;
            for mut attempts in open.into_iter().filter(|attempts| attempts.server_id == Some(server)) {
                if attempts.deaths == 0 {
                    table::delete(tx, attempts.id).await?;
                } else {
                    attempts.server_id = None;
                    table::update(tx, &attempts).await?;
                }
            }
            Ok(())
        })
    });
    write.await
}
