//! A tree of files with only what a sandbox grants, and a `/tmp` and a `/dev/shm` of its own.
//!
//! Landlock decides what may be read and written. It does not see the sockets of the machine, as those of a database or of
//! the server itself: here they do not exist.

use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Component, Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::{pivot_root, umask};

use crate::sandbox::Sandbox;
use crate::sandbox::files::{DEVICES, SHARED_MEMORY, SYSTEM};
use crate::system;

/// Where the new tree is put together: the one folder that no sandbox grants from the machine.
const BASE: &str = SHARED_MEMORY;

/// Links on the way to a path; more are a loop.
const LINKS_MAX: u32 = 40;

/// The names of a process's open files.
const LINKS: &[(&str, &str)] = &[
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
];

/// Replaces the root of this process, which has a namespace of mounts. The tree is left as it is if that fails.
pub(super) fn enter(sandbox: &Sandbox) -> io::Result<()> {
    // What is mounted here must not appear outside.
    system::mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None)?;
    mount_memory(Path::new(BASE), c"mode=0755")?;
    let base = CString::new(BASE)?;
    // A server creates folders for itself alone; those on the way to what is granted are for all users.
    let server_mask = umask(Mode::WGRP | Mode::WOTH);
    let built = build(sandbox);
    umask(server_mask);
    let entered = built.and_then(|()| {
        std::env::set_current_dir(BASE)?;
        // The old root is put on top of the new one, and removed.
        pivot_root(".", ".")?;
        system::unmount(c".")?;
        std::env::set_current_dir("/")
    });
    entered.inspect_err(|_| {
        let _ = system::unmount(&base);
    })
}

fn build(sandbox: &Sandbox) -> io::Result<()> {
    if sandbox.readable.iter().any(|path| path == Path::new("/")) {
        return Err(io::Error::other("everything is granted"));
    }
    let mut tree = Tree { base: PathBuf::from(BASE), bound: Vec::new() };
    let system = [SYSTEM, DEVICES].concat();
    let granted = sandbox.readable.iter().chain(&sandbox.writable).map(PathBuf::as_path);
    let mut paths: Vec<&Path> = system.iter().map(Path::new).chain(granted).collect();
    // Folders before what is in them.
    paths.sort_by_key(|path| path.components().count());
    for path in paths {
        match tree.bind(path) {
            // Landlock skips it, too.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
            bound => bound?,
        }
    }
    tree.folder(Path::new("/dev"))?;
    for (link, target) in LINKS {
        symlink(target, tree.base.join(link))?;
    }
    tree.folder(Path::new(SHARED_MEMORY))?;
    mount_memory(&tree.inside(Path::new(SHARED_MEMORY)), c"mode=1777")?;
    let temporary = Path::new("/tmp");
    match &sandbox.temporary {
        // What is granted below `/tmp` of the machine stays there.
        Some(folder) if !tree.bound.iter().any(|path| path.starts_with(temporary)) => {
            tree.folder(temporary)?;
            bind(folder, &tree.inside(temporary))
        }
        _ => Ok(()),
    }
}

/// The new tree.
struct Tree {
    base: PathBuf,
    /// Paths of the machine that are bound, without links.
    bound: Vec<PathBuf>,
}

impl Tree {
    /// The place of a path of the machine.
    fn inside(&self, path: &Path) -> PathBuf {
        self.base.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn is_bound(&self, path: &Path) -> bool {
        self.bound.iter().any(|bound| path.starts_with(bound))
    }

    /// Makes a path of the machine appear, with the links and folders on the way to it.
    fn bind(&mut self, path: &Path) -> io::Result<()> {
        let path = self.resolve(path)?;
        if self.is_bound(&path) {
            return Ok(());
        }
        let place = self.inside(&path);
        if path.is_dir() {
            self.folder(&path)?;
        } else {
            File::create(&place)?;
        }
        bind(&path, &place)?;
        self.bound.push(path);
        Ok(())
    }

    /// Creates the folders and links on the way to a path; returns the path without links.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut pending: VecDeque<PathBuf> = path.components().map(|part| PathBuf::from(part.as_os_str())).collect();
        let (mut resolved, mut links) = (PathBuf::from("/"), 0);
        while let Some(part) = pending.pop_front() {
            match part.components().next() {
                Some(Component::Normal(name)) => {
                    let next = resolved.join(name);
                    let metadata = next.symlink_metadata()?;
                    if metadata.is_symlink() {
                        links += 1;
                        if links > LINKS_MAX {
                            return Err(io::Error::other("too many links"));
                        }
                        let target = fs::read_link(&next)?;
                        self.link(&next, &target)?;
                        for part in target.components().rev() {
                            pending.push_front(PathBuf::from(part.as_os_str()));
                        }
                        continue;
                    }
                    resolved = next;
                    if metadata.is_dir() && !pending.is_empty() {
                        self.folder(&resolved)?;
                    }
                }
                Some(Component::ParentDir) => {
                    resolved.pop();
                }
                Some(Component::RootDir) => resolved = PathBuf::from("/"),
                _ => {}
            }
        }
        Ok(resolved)
    }

    fn folder(&self, path: &Path) -> io::Result<()> {
        if self.is_bound(path) {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o755).create(self.inside(path))
    }

    fn link(&self, path: &Path, target: &Path) -> io::Result<()> {
        let place = self.inside(path);
        if self.is_bound(path) || place.symlink_metadata().is_ok() {
            return Ok(());
        }
        symlink(target, place)
    }
}

fn bind(path: &Path, place: &Path) -> io::Result<()> {
    system::mount(Some(&text(path)?), &text(place)?, None, libc::MS_BIND | libc::MS_REC, None)
}

/// Mounts an empty file system in memory.
fn mount_memory(place: &Path, options: &std::ffi::CStr) -> io::Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    system::mount(Some(c"tmpfs"), &text(place)?, Some(c"tmpfs"), flags, Some(options))
}

fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}
