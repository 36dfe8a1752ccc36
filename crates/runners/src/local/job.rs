//! One job of this server's process.

use std::sync::Arc;

use async_trait::async_trait;
use perennial_core::Result;
use perennial_core::port::runner::{JobEnd, JobWatch, RunnerJobEvent};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{Notify, watch};

use crate::error::Error;
use crate::launch::{LaunchReport, REPORTS_MAX_BYTES};

/// The state of a job.
#[derive(Debug, Clone, Default)]
struct Progress {
    is_started: bool,
    /// How it ended; an error is the launcher's exit status without a report.
    end: Option<Result<JobEnd, String>>,
}

/// A job of this server's process.
#[derive(Default)]
pub(super) struct LocalJob {
    progress: watch::Sender<Progress>,
    cancelled: Notify,
}

impl LocalJob {
    /// A job that has ended.
    pub(super) fn ended(end: JobEnd) -> Self {
        let progress = Progress { is_started: matches!(end, JobEnd::Exited(_)), end: Some(Ok(end)) };
        Self { progress: watch::Sender::new(progress), ..Self::default() }
    }

    pub(super) fn watch(&self) -> LocalWatch {
        LocalWatch { progress: self.progress.subscribe(), has_started: false, has_ended: false }
    }

    /// How it ended, if it has.
    pub(super) fn end(&self) -> Option<JobEnd> {
        let end = self.progress.borrow().end.clone()?;
        Some(end.unwrap_or(JobEnd::EndedWithServer))
    }

    /// Requests its end.
    pub(super) fn cancel(&self) {
        self.cancelled.notify_one();
    }
}

/// Gives the launcher its specification and follows its reports to the end. The launcher ends the job when this
/// future is dropped, because its standard input closes.
pub(super) async fn supervise(job: Arc<LocalJob>, mut launcher: Child, spec: Vec<u8>) {
    let (stdin_guard, stdout) = (launcher.stdin.take(), launcher.stdout.take());
    let end = match (stdin_guard, stdout) {
        (Some(stdin_guard), Some(stdout)) => follow(&job, stdin_guard, stdout, spec).await,
        _ => None,
    };
    let status = launcher.wait().await;
    let end = end.ok_or_else(|| status.map_or_else(|error| error.to_string(), |status| status.to_string()));
    job.progress.send_modify(|progress| progress.end = Some(end));
}

/// The end that the launcher reports; `None` when it ended without a report.
async fn follow(job: &LocalJob, mut stdin: ChildStdin, stdout: ChildStdout, mut spec: Vec<u8>) -> Option<JobEnd> {
    spec.push(b'\n');
    stdin.write_all(&spec).await.ok()?;
    stdin.flush().await.ok()?;
    let mut reports = BufReader::new(stdout.take(REPORTS_MAX_BYTES)).lines();
    loop {
        let line = tokio::select! {
            line = reports.next_line() => line.ok()??,
            () = job.cancelled.notified() => {
                // Fails when the launcher has ended, which its reports show.
                let _ = stdin.write_all(b"cancel\n").await;
                continue;
            }
        };
        match serde_json::from_str(&line).ok()? {
            LaunchReport::Started => job.progress.send_modify(|progress| progress.is_started = true),
            LaunchReport::Ended(end) => return Some(end),
        }
    }
}

/// The events of a [`LocalJob`].
pub(super) struct LocalWatch {
    progress: watch::Receiver<Progress>,
    has_started: bool,
    has_ended: bool,
}

#[async_trait]
impl JobWatch for LocalWatch {
    async fn next(&mut self) -> Result<Option<RunnerJobEvent>> {
        if self.has_ended {
            return Ok(None);
        }
        let has_started = self.has_started;
        let is_news = |progress: &Progress| progress.end.is_some() || (progress.is_started && !has_started);
        let progress = match self.progress.wait_for(is_news).await {
            Ok(progress) => progress.clone(),
            Err(_) => Progress { is_started: has_started, end: Some(Ok(JobEnd::EndedWithServer)) },
        };
        if progress.is_started && !self.has_started {
            self.has_started = true;
            return Ok(Some(RunnerJobEvent::Started));
        }
        self.has_ended = true;
        match progress.end {
            Some(Ok(end)) => Ok(Some(RunnerJobEvent::Ended(end))),
            Some(Err(status)) => Err(Error::Launcher(status).into()),
            None => Ok(None),
        }
    }
}
