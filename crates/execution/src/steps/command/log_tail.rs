//! Follows a step's log while it grows, and emits its lines as events.

use std::path::Path;
use std::time::Duration;

use perennial_core::name::StepName;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use crate::pipelines::{Context, PipelineEvent};

/// The interval at which the log is read.
const POLL: Duration = Duration::from_millis(200);

/// The most lines of an attempt that are emitted; the stored log has all.
const LINES_MAX: usize = 1_000;

/// The most characters of an emitted line.
const LINE_CHARS_MAX: usize = 1_000;

/// Bytes read at a time; a longer line is emitted in parts.
const CHUNK_BYTES: usize = 64 * 1024;

/// Emits each line of the log at `place` soon after it is written, until `ended` completes.
pub(super) async fn follow(context: &Context, step: &StepName, place: &Path, mut ended: oneshot::Receiver<()>) {
    let mut log: Option<File> = None;
    let mut lines = Lines::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let is_over = tokio::select! {
            _ = &mut ended => true,
            () = tokio::time::sleep(POLL) => false,
        };
        if log.is_none() {
            // The file exists once the step has started.
            log = File::open(place).await.ok();
        }
        while let Some(log) = &mut log {
            let read = log.read(&mut chunk).await.unwrap_or_default();
            if read == 0 {
                break;
            }
            for line in lines.push(&chunk[..read]) {
                context.emit(PipelineEvent::StepLog { step: step.clone(), line }).await;
            }
            if lines.emitted > LINES_MAX {
                let line = format!("[more follows; `perennial logs {step}` shows all of it when the step has ended]");
                return context.emit(PipelineEvent::StepLog { step: step.clone(), line }).await;
            }
        }
        if is_over {
            if let Some(line) = lines.finish() {
                context.emit(PipelineEvent::StepLog { step: step.clone(), line }).await;
            }
            return;
        }
    }
}

/// Bytes of a line that is not complete yet.
#[derive(Default)]
struct Lines {
    pending: Vec<u8>,
    emitted: usize,
}

impl Lines {
    /// The lines that are whole with `bytes`, up to the limit.
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.pending.extend_from_slice(bytes);
        let end = match self.pending.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if self.pending.len() > CHUNK_BYTES => self.pending.len(),
            None => return Vec::new(),
        };
        let whole: Vec<u8> = self.pending.drain(..end).collect();
        let whole = whole.strip_suffix(b"\n").unwrap_or(&whole);
        let lines: Vec<String> = whole.split(|byte| *byte == b'\n').map(shown).collect();
        let room = LINES_MAX.saturating_sub(self.emitted);
        self.emitted += lines.len();
        lines.into_iter().take(room).collect()
    }

    /// What is left without a line's end.
    fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| shown(&rest))
    }
}

/// A line as a terminal would leave it: of a bar that was drawn over itself, what was drawn last.
fn shown(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let last = line.trim_end().rsplit('\r').next().unwrap_or_default();
    let mut shown: String = last.chars().take(LINE_CHARS_MAX).collect();
    if shown.len() < last.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
