//! Linker options of the binary.

use std::process::Command;

/// The first version of the GNU C library whose loader supports packed relocations.
const PACKED_SINCE: (u32, u32) = (2, 36);

/// Packs the relocations of the binary: 280,000 of them take 7 MB of the file and of each process, packed ones a
/// hundredth of that. They are packed only if the loader of the build machine supports it.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_native = std::env::var("HOST") == std::env::var("TARGET");
    if is_native && library_version().is_some_and(|version| version >= PACKED_SINCE) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of the build machine's GNU C library; `None` if it has another C library.
fn library_version() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
