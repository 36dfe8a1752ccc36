//! How the binary is linked.

use std::process::Command;

/// The first version of the C library whose loader reads packed relocations.
const READS_PACKED: (u32, u32) = (2, 36);

/// Of 280,000 relocations, 7 MB of the binary and of what each of its processes holds, packing leaves one hundredth.
/// Only where this machine's loader reads them: a binary is for machines at least as new as the one it is built on.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_here = std::env::var("HOST") == std::env::var("TARGET");
    if is_here && library_version().is_some_and(|version| version >= READS_PACKED) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's GNU C library, if it has it.
fn library_version() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
