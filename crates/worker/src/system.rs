//! System calls that no safe crate of the workspace offers, each behind a safe function.

#![expect(unsafe_code, reason = "calls of the C library; each block states why it is sound")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::ptr;

/// Descriptors that one message may carry.
pub(crate) const DESCRIPTORS_MAX: usize = 8;

/// Space for the control data of [`DESCRIPTORS_MAX`] descriptors, in aligned words.
const CONTROL_WORDS: usize = 8;

/// Closes every descriptor above standard error, which a careless parent may have left open for its children.
///
/// Call it first in `main`, before this process has opened anything.
pub(crate) fn close_inherited() {
    // SAFETY: the call has no memory arguments. Nothing in this process owns these descriptors yet.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if closed == 0 {
        return;
    }
    // Before Linux 5.9. The list names its own descriptor, too, so it is read to the end first.
    let names = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let inherited: Vec<RawFd> = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in inherited.into_iter().filter(|&descriptor| descriptor > 2) {
        // SAFETY: as above; closing a descriptor that is closed already fails and has no effect.
        unsafe { libc::close(descriptor) };
    }
}

/// Moves this thread into new namespaces.
pub(crate) fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: the call has no memory arguments; no caller passes `CLONE_FILES` or `CLONE_VM`.
    checked(unsafe { libc::unshare(flags) }).map(drop)
}

/// Whether `call` succeeds in a copy of this process, which must have one thread. The copy ends at once.
pub(crate) fn succeeds_in_copy(call: impl FnOnce() -> bool) -> bool {
    // SAFETY: this process has one thread, so no lock is held by another one in the copy. The copy runs `call` and ends
    // without running destructors of this process's values.
    let pid = unsafe { libc::fork() };
    match pid {
        ..0 => false,
        0 => {
            let status = i32::from(!call());
            // SAFETY: the call has no memory arguments.
            unsafe { libc::_exit(status) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: `status` is writable, and the child is this process's own.
            while unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0 {
                if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                    return false;
                }
            }
            status == 0
        }
    }
}

/// A socket for requests about the network of this process.
pub(crate) fn routing_socket() -> io::Result<File> {
    // SAFETY: the call has no memory arguments.
    let socket =
        checked(unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE) })?;
    // SAFETY: the descriptor is new and has no other owner.
    Ok(unsafe { File::from_raw_fd(socket) })
}

/// Makes a write beyond the limit of a file's size an error of the call only. The kernel's signal would end the process.
pub(crate) fn ignore_file_size_signal() {
    // SAFETY: the call replaces the disposition of one signal, for which nothing in this process has a handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Shuts a socket down in both directions, also one that listens: a waiting `accept` ends.
pub(crate) fn shut_down(socket: &impl AsRawFd) {
    // SAFETY: the call has no memory arguments. It fails when the socket is shut down already.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
}

/// Mounts a file system; `None` is a null argument.
pub(crate) fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    data: Option<&CStr>,
) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is null or a C string that outlives the call.
    checked(unsafe { libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, pointer(data).cast()) })
        .map(drop)
}

/// Removes a mount, also one that is in use, with those below it.
pub(crate) fn unmount(target: &CStr) -> io::Result<()> {
    // SAFETY: the pointer is a C string that outlives the call.
    checked(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// Becomes another program, with an empty standard input; returns only if that fails. The C library's `execvp` would give a
/// file of unknown format to a shell.
pub(crate) fn execute(file: &Path, argv: &[String], environment: &BTreeMap<String, String>) -> io::Error {
    let call = || -> io::Result<()> {
        let file = CString::new(file.as_os_str().as_bytes())?;
        let words = argv.iter().map(|word| CString::new(word.as_str())).collect::<Result<Vec<_>, _>>()?;
        let variables = environment.iter().map(|(name, value)| CString::new(format!("{name}={value}")));
        let variables = variables.collect::<Result<Vec<_>, _>>()?;
        let pointers =
            |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>();
        let (word_pointers, variable_pointers) = (pointers(&words), pointers(&variables));
        let empty = File::open("/dev/null")?;
        // SAFETY: the descriptors are open, and standard input has no owner. The lists end with a null pointer, and
        // point to C strings that outlive the call.
        unsafe {
            checked(libc::dup2(empty.as_raw_fd(), 0))?;
            // Rust's runtime ignores it, which programs would inherit.
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            libc::execve(file.as_ptr(), word_pointers.as_ptr(), variable_pointers.as_ptr());
        }
        Err(io::Error::last_os_error())
    };
    call().err().unwrap_or_else(|| io::Error::other("it did not start"))
}

/// Sends bytes, and with the first of them descriptors; returns the number of bytes sent.
pub(crate) fn send(stream: &UnixStream, bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<usize> {
    if descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors in one message"));
    }
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let raw_bytes = mem::size_of_val(raw.as_slice()) as libc::c_uint;
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = [0_u64; CONTROL_WORDS];
    // SAFETY: all zeros is a valid header: null pointers and lengths of zero.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    if !raw.is_empty() {
        header.msg_control = control.as_mut_ptr().cast();
        // SAFETY: a computation with numbers only; the space fits `control`, see `CONTROL_WORDS`.
        header.msg_controllen = unsafe { libc::CMSG_SPACE(raw_bytes) } as _;
        // SAFETY: `control` is aligned, zeroed and has room for one entry with the descriptors.
        unsafe {
            let entry = libc::CMSG_FIRSTHDR(&raw const header);
            (*entry).cmsg_level = libc::SOL_SOCKET;
            (*entry).cmsg_type = libc::SCM_RIGHTS;
            (*entry).cmsg_len = libc::CMSG_LEN(raw_bytes) as _;
            ptr::copy_nonoverlapping(raw.as_ptr().cast(), libc::CMSG_DATA(entry), raw_bytes as usize);
        }
    }
    // SAFETY: the header points to `part` and `control`, which outlive the call; the kernel only reads them.
    let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
}

/// Receives bytes and the descriptors that came with them; zero bytes are the end of the stream.
pub(crate) fn receive(stream: &UnixStream, bytes: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = [0_u64; CONTROL_WORDS];
    // SAFETY: all zeros is a valid header: null pointers and lengths of zero.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = mem::size_of_val(&control) as _;
    // SAFETY: the header points to `part` and `control`, which are writable for their whole length.
    let received = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel wrote complete entries into `control`, and the macros stay inside them. Each descriptor is new
    // in this process and has no other owner.
    unsafe {
        let mut entry = libc::CMSG_FIRSTHDR(&raw const header);
        while !entry.is_null() {
            if (*entry).cmsg_level == libc::SOL_SOCKET && (*entry).cmsg_type == libc::SCM_RIGHTS {
                let length = ((*entry).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
                let first = libc::CMSG_DATA(entry).cast::<[u8; mem::size_of::<RawFd>()]>();
                for place in 0..length / mem::size_of::<RawFd>() {
                    descriptors.push(OwnedFd::from_raw_fd(RawFd::from_ne_bytes(*first.add(place))));
                }
            }
            entry = libc::CMSG_NXTHDR(&raw const header, entry);
        }
    }
    Ok(received as usize)
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
