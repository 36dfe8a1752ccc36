//! Access to files and ports, restricted by Landlock.

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use perennial_core::port::runner::PathAccess;

use super::{Network, Processes, Sandbox};

/// The newest rules requested; older kernels enforce those they support.
const RULES: ABI = ABI::V6;

/// The first version of Landlock that restricts TCP ports.
pub(super) const PORT_RULES: u32 = 4;

/// Paths of the system that programs need: libraries, certificates, host and user names, time zones, the system's
/// version. The rest of `/etc`, home folders, other data and other processes' folders are not accessible. `/proc` is
/// readable, but Landlock denies a process without capabilities the memory, files and environment of processes outside
/// its sandbox.
pub(super) const SYSTEM: &[&str] = &[
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
pub(super) const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The C library's folder for shared memory and semaphores, which parallel Python needs.
pub(super) const SHARED_MEMORY: &str = "/dev/shm";

/// See [`Sandbox::access`].
pub(super) fn access(sandbox: &Sandbox, path: &Path) -> PathAccess {
    let below = |folder: &Path| folder.canonicalize().is_ok_and(|folder| path.starts_with(folder));
    let is_writable = sandbox.writable.iter().any(|folder| below(folder))
        || DEVICES.iter().any(|device| below(Path::new(device)))
        || (sandbox.processes == Processes::Allowed && below(Path::new(SHARED_MEMORY)));
    let is_readable =
        || sandbox.readable.iter().any(|path| below(path)) || SYSTEM.iter().any(|path| below(Path::new(path)));
    match is_writable {
        true => PathAccess::Write,
        false if is_readable() => PathAccess::Read,
        false => PathAccess::Denied,
    }
}

/// Whether this kernel can restrict the access of a process to files.
pub fn kernel_isolates() -> bool {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    ruleset.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create).is_ok()
}

/// Restricts this thread and all that it starts; returns the version of Landlock in force.
///
/// The folder of shared memory may be read and written, but not listed, unless it is the process's own.
pub(super) fn restrict(sandbox: &Sandbox, has_own_tree: bool) -> io::Result<Option<u32>> {
    rules(sandbox, has_own_tree).map_err(io::Error::other)
}

fn rules(sandbox: &Sandbox, has_own_tree: bool) -> Result<Option<u32>, RulesetError> {
    let all = AccessFs::from_all(RULES);
    let read = AccessFs::from_read(RULES);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let shared: BitFlags<AccessFs> =
        AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile | AccessFs::Truncate;
    let memory = if has_own_tree { all } else { shared };
    let has_memory = sandbox.processes == Processes::Allowed;
    let mut ruleset = Ruleset::default().handle_access(all)?.scope(Scope::from_all(RULES))?;
    if sandbox.network != Network::Full {
        ruleset = ruleset.handle_access(AccessNet::from_all(RULES))?;
    }
    let port = match sandbox.network {
        Network::Server(address) => Some(NetPort::new(address.port(), AccessNet::ConnectTcp)),
        Network::None | Network::Full => None,
    };
    let status = ruleset
        .create()?
        .add_rules(path_beneath_rules(&sandbox.writable, all))?
        .add_rules(path_beneath_rules(&sandbox.readable, read))?
        .add_rules(path_beneath_rules(SYSTEM, read))?
        .add_rules(path_beneath_rules(DEVICES, device))?
        .add_rules(path_beneath_rules(has_memory.then_some(PathBuf::from(SHARED_MEMORY)), memory))?
        .add_rules(port.into_iter().map(Ok::<_, RulesetError>))?
        .restrict_self()?;
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if status.ruleset != RulesetStatus::NotEnforced => {
            Some(effective_abi as u32)
        }
        _ => None,
    })
}
