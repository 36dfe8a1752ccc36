//! What a step can reach: Landlock, as far as the kernel has it.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, set_capabilities, set_capabilities_secure_bits,
};

/// The newest rules that are asked for; older kernels enforce what they know of them.
const RULES: ABI = ABI::V6;

/// What programs need from the system: libraries, certificates, names, time zones, what system it is. The rest of
/// `/etc`, homes, other data and other steps stay out of reach. `/proc` is readable, but Landlock
/// keeps memory, files and environment of processes outside the step closed (to a step without
/// capabilities).
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

/// Where the C library puts shared memory and semaphores, which parallel Python cannot do without.
const SHARED_MEMORY: &str = "/dev/shm";

/// Takes every capability from this thread and all it will start, for good, even where the server
/// is root: a step may do what the owner of its files may, and no more. Root's own would open what
/// Landlock keeps closed in `/proc`, and write files that are read-only. Fails where there was
/// nothing to give up.
pub(crate) fn drop_capabilities() -> rustix::io::Result<()> {
    set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// Isolates this thread and all it will start: `writable` folders are the step's own, `readable`
/// paths and the system can be read and executed, nothing else is there. Tells what holds now,
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
