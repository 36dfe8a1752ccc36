//! How this process opens the files of sources.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

type Opener = Box<dyn Fn(&Path) -> io::Result<File> + Send + Sync>;

/// Opens files in a worker, which cannot by itself.
static SERVED: OnceLock<Opener> = OnceLock::new();

/// Opens a file of a source: in a worker by a request to the server.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    SERVED.get().map_or_else(|| File::open(path), |open| open(path))
}

/// Opens all files of this process by `opener`: once, when a worker starts.
pub(super) fn open_by(opener: impl Fn(&Path) -> io::Result<File> + Send + Sync + 'static) {
    let _ = SERVED.set(Box::new(opener));
}
