//! Isolation of a step with Landlock, as far as the kernel supports it.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use perennial_core::port::runner::PathAccess;
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, set_capabilities, set_capabilities_secure_bits,
};

/// The newest rules requested; older kernels enforce those they support.
const RULES: ABI = ABI::V6;

/// Paths of the system that programs need: libraries, certificates, host and user names, time zones, the
/// system's version. The rest of `/etc`, home folders, other data and other steps are not accessible. `/proc`
/// is readable, but Landlock denies a step without capabilities the memory, files and environment of processes
/// outside the step.
const SYSTEM: &[&str] = &[
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/gitconfig",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/lsb-release",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki",
    "/etc/protocols",
    "/etc/redhat-release",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/timezone",
    "/proc",
    "/sys/devices/system",
    "/sys/fs/cgroup",
];

/// Devices without content of their own.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The C library's folder for shared memory and semaphores, which parallel Python needs.
const SHARED_MEMORY: &str = "/dev/shm";

/// Drops every capability of this thread and of all processes it will start, permanently. A server run by root
/// thus gives a step only the rights of the files' owner: capabilities would bypass Landlock in `/proc` and
/// allow writing read-only files. Fails when the thread has no capabilities.
pub(crate) fn drop_capabilities() -> rustix::io::Result<()> {
    set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// The access to `path` of a process isolated with `writable` folders and `readable` paths.
pub(crate) fn access(writable: &[&Path], readable: &[PathBuf], path: &Path) -> PathAccess {
    let below = |folder: &Path| folder.canonicalize().is_ok_and(|folder| path.starts_with(folder));
    let is_writable = writable.iter().any(|folder| below(folder))
        || DEVICES.iter().any(|device| below(Path::new(device)))
        || below(Path::new(SHARED_MEMORY));
    let is_readable = || readable.iter().any(|path| below(path)) || SYSTEM.iter().any(|path| below(Path::new(path)));
    match is_writable {
        true => PathAccess::Write,
        false if is_readable() => PathAccess::Read,
        false => PathAccess::Denied,
    }
}

/// Isolates this thread and all processes it will start. They may write below `writable`, read and execute below
/// `readable` and the system's paths, and access nothing else. Returns the isolation in force:
/// `landlock v<n>` or `none`.
pub(crate) fn isolate(writable: &[&Path], readable: &[PathBuf]) -> Result<String, RulesetError> {
    let all = AccessFs::from_all(RULES);
    let read = AccessFs::from_read(RULES);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let memory: BitFlags<AccessFs> =
        AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile | AccessFs::Truncate;
    let status = Ruleset::default()
        .handle_access(all)?
        .scope(Scope::from_all(RULES))?
        .create()?
        .add_rules(path_beneath_rules(writable, all))?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules(SYSTEM, read))?
        .add_rules(path_beneath_rules(DEVICES, device))?
        .add_rules(path_beneath_rules([SHARED_MEMORY], memory))?
        .restrict_self()?;
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if status.ruleset != RulesetStatus::NotEnforced => {
            format!("landlock v{}", effective_abi as i32)
        }
        _ => "none".to_owned(),
    })
}
