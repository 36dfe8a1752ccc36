//! Writes the step's output to its log.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A line longer than this is written in parts.
const LINE_MAX_BYTES: usize = 256 * 1024;

/// A log of whole lines with a size limit.
pub(super) struct Log {
    file: File,
    remaining_bytes: u64,
    is_full: bool,
}

impl Log {
    /// Opens the file to append to it.
    pub(super) fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self { file, remaining_bytes: max_bytes, is_full: false })
    }

    /// Copies `output` to the log until it ends, whole lines at a time. Output beyond the limit is read and
    /// dropped, so that the step never blocks on a full pipe.
    pub(super) fn follow(&mut self, mut output: impl Read) -> io::Result<()> {
        let mut pending = Vec::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = match output.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            pending.extend_from_slice(&chunk[..read]);
            let whole = pending.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
            let whole = if pending.len() - whole > LINE_MAX_BYTES { pending.len() } else { whole };
            self.write(&pending[..whole])?;
            pending.drain(..whole);
        }
        self.write(&pending)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fitting = bytes.len().min(self.remaining_bytes as usize);
        self.file.write_all(&bytes[..fitting])?;
        self.remaining_bytes -= fitting as u64;
        if fitting < bytes.len() && !self.is_full {
            self.is_full = true;
            self.file.write_all(b"\n[the log is full: further output was dropped]\n")?;
        }
        Ok(())
    }
}
