//! A small disk: a file system in memory that only the processes of one mount namespace see.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A file system of its own for a data folder; it ends with the last process that uses it.
pub(crate) struct Disk {
    /// Holds the namespace.
    holder: Child,
}

impl Disk {
    /// Mounts `size_bytes` at a folder that exists.
    pub(crate) fn mount(folder: &Path, size_bytes: u64) -> Self {
        let script = "mount -t tmpfs -o size=$0 disk \"$1\" && echo mounted && exec cat";
        let mut command = Command::new("unshare");
        command.arg("--mount").args((!is_root()).then_some("--map-root-user"));
        command.args(["sh", "-c", script]).arg(size_bytes.to_string()).arg(folder);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(
            line, "mounted\n",
            "a file system cannot be mounted: allow namespaces of users, or run the tests as root"
        );
        Self { holder }
    }

    /// The command with the disk mounted.
    pub(crate) fn with(&self, command: &Command) -> Command {
        let mut entered = Command::new("nsenter");
        entered.args(["--target", &self.holder.id().to_string(), "--mount"]);
        entered.args(if is_root() { &[][..] } else { &["--user", "--preserve-credentials"] });
        // Entering the namespace changes the working folder.
        entered.args(["sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(command.get_current_dir().unwrap());
        entered.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => entered.env(name, value),
                None => entered.env_remove(name),
            };
        }
        entered
    }

    /// A path on the disk, for processes that do not have it mounted.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(path.strip_prefix("/").unwrap())
    }

    /// Writes a file until the disk is full.
    pub(crate) fn fill(&self, file: &Path) {
        let mut file = File::options().create(true).append(true).open(self.path(file)).unwrap();
        for size in [1 << 20, 4 << 10] {
            let bytes = vec![0_u8; size];
            let full = loop {
                if let Err(error) = file.write_all(&bytes) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull);
        }
    }
}

/// Whether the tests run as root, who needs no namespace of users to mount a file system.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

impl Drop for Disk {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
