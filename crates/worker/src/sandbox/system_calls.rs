//! A filter of system calls (seccomp). It denies what no computation needs and what attacks on a kernel begin with; the
//! answers are errors that programs and libraries expect, so that they use another way.

use std::collections::BTreeMap;
use std::io;

use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID,
    CLONE_NEWUSER, CLONE_NEWUTS, CLONE_THREAD, EACCES, ENOSYS, EPERM, IPPROTO_TCP, MSG_FASTOPEN, NETLINK_ROUTE, c_int,
};
#[cfg(target_arch = "x86_64")]
use seccompiler::sock_filter;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

use super::{Network, Processes, Requirement, Sandbox};

/// Denied always.
const DENIED: &[i64] = &[
    // memory and descriptors of other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // keys of the kernel
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // programs and events inside the kernel
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    // namespaces, mounts and roots
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    // the machine
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

/// Answered as by a kernel that has no such call: `clone3` takes its flags from memory, where no filter can read them, and
/// the C library then uses `clone`; `io_uring` makes system calls that no filter sees.
const UNKNOWN: &[i64] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Starting programs and processes.
const PROCESSES: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// Flags of `clone` that create namespaces.
const NAMESPACES: &[c_int] =
    &[CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET];

/// The kind of a socket among its flags.
const SOCKET_KIND: u64 = 0xf;

/// The kinds of sockets that are not streams.
const OTHER_KINDS: &[c_int] =
    &[libc::SOCK_DGRAM, libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP];

/// The first number of the second numbering of system calls.
#[cfg(target_arch = "x86_64")]
const OTHER_NUMBERING: u32 = 0x4000_0000;

/// Puts a character into the input of a terminal, as if its user had typed it.
const TIOCSTI: u64 = 0x5412;
/// Pastes into a console.
const TIOCLINUX: u64 = 0x541C;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Filters the system calls of this thread and of all that it starts; `false` where the kernel cannot.
pub(super) fn restrict(sandbox: &Sandbox, has_own_tree: bool) -> io::Result<bool> {
    let filters = filters(sandbox, has_own_tree).map_err(io::Error::other)?;
    for (place, filter) in filters.iter().enumerate() {
        match apply_filter(filter) {
            Ok(()) => {}
            // The kernel has no filters.
            Err(seccompiler::Error::Seccomp(error)) if place == 0 && is_unsupported(&error) => return Ok(false),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(true)
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL))
}

/// A condition on one argument of a system call: its place, the comparison, the value compared with.
type Condition = (u8, SeccompCmpOp, u64);

fn filters(sandbox: &Sandbox, has_own_tree: bool) -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let mut denied: Rules = DENIED.iter().map(|&call| (call, Vec::new())).collect();
    let mut clone: Vec<SeccompRule> =
        NAMESPACES.iter().map(|&flag| rule(&[has(0, flag as u64)])).collect::<Result<_, _>>()?;
    if sandbox.processes == Processes::None {
        denied.extend(PROCESSES.iter().map(|&call| (call, Vec::new())));
        clone.push(rule(&[(0, SeccompCmpOp::MaskedEq(CLONE_THREAD as u64), 0)])?);
    }
    denied.insert(libc::SYS_clone, clone);
    denied.insert(libc::SYS_ioctl, vec![rule(&[is(1, TIOCSTI)])?, rule(&[is(1, TIOCLINUX)])?]);
    let unknown = UNKNOWN.iter().map(|&call| (call, Vec::new())).collect();
    Ok(vec![
        compile(denied, EPERM)?,
        compile(unknown, ENOSYS)?,
        compile(sockets(sandbox, has_own_tree)?, EACCES)?,
        #[cfg(target_arch = "x86_64")]
        other_numbering(),
    ])
}

/// The calls that create and use sockets which are denied.
///
/// A Unix socket connects to every service of the machine that the server's user may use, as a database or the server
/// itself, because Landlock does not restrict it. It is for programs with a tree of files of their own, in which these
/// services do not exist, and for those of the person who started the server.
fn sockets(sandbox: &Sandbox, has_own_tree: bool) -> Result<Rules, seccompiler::Error> {
    let has_unix =
        sandbox.processes == Processes::Allowed && (has_own_tree || sandbox.requirement == Requirement::Possible);
    let (unix, protocol) = (is_not(0, AF_UNIX), 2);
    let beside_internet = [unix.clone(), is_not(0, AF_INET), is_not(0, AF_INET6)];
    let mut rules = Rules::from([(libc::SYS_socketpair, vec![rule(std::slice::from_ref(&unix))?])]);
    let mut denied = Vec::new();
    if !has_unix {
        denied.push(rule(&[is(0, AF_UNIX as u64)])?);
    }
    match sandbox.network {
        Network::None => denied.push(rule(&[unix])?),
        // Landlock restricts the ports of TCP alone, and only where a connection is made by `connect`.
        Network::Server(_) => {
            denied.push(rule(&beside_internet)?);
            denied.push(rule(&[unix.clone(), is_not(protocol, 0), is_not(protocol, IPPROTO_TCP)])?);
            for kind in OTHER_KINDS {
                denied.push(rule(&[unix.clone(), (1, SeccompCmpOp::MaskedEq(SOCKET_KIND), *kind as u64)])?);
            }
            for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
                rules.insert(call, vec![rule(&[has(flags, MSG_FASTOPEN as u64)])?]);
            }
        }
        // Of the kernel's own sockets, the one for routes, which the resolution of names reads.
        Network::Full => {
            let beside_routes = [beside_internet.as_slice(), &[is_not(0, AF_NETLINK)]].concat();
            let other_netlink = [is(0, AF_NETLINK as u64), is_not(protocol, NETLINK_ROUTE)];
            denied.extend([rule(&beside_routes)?, rule(&other_netlink)?]);
        }
    }
    rules.insert(libc::SYS_socket, denied);
    Ok(rules)
}

fn is(argument: u8, value: u64) -> Condition {
    (argument, SeccompCmpOp::Eq, value)
}

fn is_not(argument: u8, value: c_int) -> Condition {
    (argument, SeccompCmpOp::Ne, value as u64)
}

/// All bits of `flag` are set.
fn has(argument: u8, flag: u64) -> Condition {
    (argument, SeccompCmpOp::MaskedEq(flag), flag)
}

/// A rule that applies where all conditions hold.
fn rule(conditions: &[Condition]) -> Result<SeccompRule, seccompiler::Error> {
    let conditions = conditions.iter().cloned();
    let conditions = conditions
        .map(|(place, operator, value)| SeccompCondition::new(place, SeccompCmpArgLen::Dword, operator, value));
    Ok(SeccompRule::new(conditions.collect::<Result<_, _>>()?)?)
}

/// The filter that answers the calls of `rules` with `error` and kills a process that makes calls of another processor.
fn compile(rules: Rules, error: c_int) -> Result<BpfProgram, seccompiler::Error> {
    let processor = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error as u32), processor)?;
    Ok(filter.try_into()?)
}

/// The filter for the second numbering of system calls on x86-64 ("x32"), which the other filters do not know: none of its
/// calls exists here.
#[cfg(target_arch = "x86_64")]
fn other_numbering() -> BpfProgram {
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_NOT_LESS: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let instruction = |code, jf, k| sock_filter { code, jt: 0, jf, k };
    vec![
        instruction(LOAD_NUMBER, 0, 0),
        instruction(JUMP_IF_NOT_LESS, 1, OTHER_NUMBERING),
        instruction(RETURN, 0, libc::SECCOMP_RET_ERRNO | ENOSYS as u32),
        instruction(RETURN, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
