//! Follows a pipeline run to its end and shows its events.

mod progress;

use std::path::Path;

use anyhow::Result;
use perennial_core::ErrorCode;
use perennial_server::Resume;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use self::progress::Form;
use self::progress::Progress;
use crate::client::{Client, ErrorResponse};
use crate::connection::Connection;

/// How long one request waits for new events.
const WAIT_MS: u32 = 20_000;
/// The exit status after a second Ctrl-C, as shells report an interrupt.
const INTERRUPTED: i32 = 130;

/// The progress of a release as fields of the run, when there is no candidate.
fn no_release() -> Value {
    json!({ "verdict": null, "version": null, "digest": null, "released": false, "waiting_for": [], "reasons": [] })
}

/// Follows a pipeline run to its end. The result is the run, with the number of loads that are `held`, the `hint` of its
/// last event, and the progress of its release.
pub(crate) async fn follow(client: &Client, project: &str, id: &str, form: Form) -> Result<Value> {
    Follower::new(project, id, form).finish(client).await
}

/// Follows a pipeline run for a command. If another process runs the server and ends, this command starts a server
/// and resumes the run. Ctrl-C cancels the run.
pub(crate) async fn follow_on(
    connection: &Connection,
    folder: &Path,
    project: &str,
    (id, kind): (&str, &str),
    form: Form,
) -> Result<Value> {
    let mut follower = Follower::new(project, id, form);
    let mut own: Option<Connection> = None;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut is_cancelling = false;
    loop {
        let current = own.as_ref().unwrap_or(connection);
        let ended = tokio::select! {
            ended = follower.proceed(&current.client, is_cancelling) => ended,
            _ = interrupt.recv() => {
                if is_cancelling {
                    std::process::exit(INTERRUPTED);
                }
                is_cancelling = true;
                follower.progress.line("cancelling; press Ctrl-C again to quit immediately");
                continue;
            }
        };
        match ended {
            Ok(run) => {
                if let Some(own) = own {
                    own.close().await?;
                }
                return Ok(run);
            }
            Err(error) if current.is_remote || current.server.is_some() || error.is::<ErrorResponse>() => {
                return Err(error);
            }
            Err(_) => {
                let taken_over = Connection::open(folder).await?;
                taken_over.resume(if kind == "run" { Resume::RunsOnly } else { Resume::All }).await;
                own = Some(taken_over);
            }
        }
    }
}

/// A pipeline run and the position in its events.
struct Follower<'a> {
    project: &'a str,
    id: &'a str,
    /// The sequence number of the last event that was shown.
    after: i64,
    /// The number of held loads, the hint, and the progress of the release, from the run's last event.
    held: Value,
    hint: Value,
    release: Value,
    progress: Progress,
}

impl<'a> Follower<'a> {
    fn new(project: &'a str, id: &'a str, form: Form) -> Self {
        Self {
            project,
            id,
            after: 0,
            held: Value::Null,
            hint: Value::Null,
            release: Value::Null,
            progress: Progress::new(form),
        }
    }

    /// Follows the run to its end, after cancelling it if `is_cancelling`.
    async fn proceed(&mut self, client: &Client, is_cancelling: bool) -> Result<Value> {
        if is_cancelling {
            self.cancel(client).await?;
        }
        self.finish(client).await
    }

    /// Cancels the run; a run that has ended already is not an error.
    async fn cancel(&self, client: &Client) -> Result<()> {
        let path = format!("/api/v1/projects/{}/pipeline-runs/{}/cancel", self.project, self.id);
        let has_ended = |error: &anyhow::Error| {
            error.downcast_ref::<ErrorResponse>().is_some_and(|error| error.code == ErrorCode::WrongState.name())
        };
        match client.post(&path, &Value::Null).await {
            Err(error) if !has_ended(&error) => Err(error),
            _ => Ok(()),
        }
    }

    async fn finish(&mut self, client: &Client) -> Result<Value> {
        let base = format!("/api/v1/projects/{}/pipeline-runs/{}", self.project, self.id);
        loop {
            let page = client.get(&format!("{base}/events?after={}&wait_ms={WAIT_MS}", self.after)).await?;
            for event in page.get("events").and_then(Value::as_array).into_iter().flatten() {
                self.after = event.get("sequence").and_then(Value::as_i64).unwrap_or(self.after);
                let body = event.get("body").unwrap_or(event);
                self.progress.show(body);
                if body["event"] == "ended" {
                    (self.held, self.hint) = (body["held"].clone(), body["hint"].clone());
                    self.release = body["release"].clone();
                }
            }
            if page.get("is_over").and_then(Value::as_bool).unwrap_or_default() {
                self.progress.clear();
                let mut run = client.get(&base).await?;
                if let Some(run) = run.as_object_mut() {
                    // The hint of a failed step was shown with that step.
                    let hint = self.hint.take();
                    run.insert("hint".to_owned(), if self.progress.has_shown(&hint) { Value::Null } else { hint });
                    run.insert("held".to_owned(), self.held.take());
                    let mut release = no_release();
                    for (field, value) in release.as_object_mut().into_iter().flatten() {
                        if let Some(known) = self.release.get_mut(field) {
                            *value = known.take();
                        }
                        run.insert(field.clone(), value.take());
                    }
                }
                return Ok(run);
            }
        }
    }
}
