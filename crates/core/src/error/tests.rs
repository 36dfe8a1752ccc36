use std::fmt;
use std::io;

use super::{DISK_FULL_HINT, Error, ErrorCode, ErrorKind};

/// An error of a library with a cause.
#[derive(Debug)]
struct Wrapped(io::Error);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("writing `a`")
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn an_error_of_storage_on_a_full_disk_can_be_retried_and_names_the_cause() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
        let error = Error::new(ErrorCode::Storage, "a blob cannot be stored").with_source(Wrapped(kind.into()));
        assert_eq!((error.code(), error.kind()), (ErrorCode::Busy, ErrorKind::Unavailable));
        assert_eq!(
            (error.message(), error.hint()),
            ("a blob cannot be stored: the disk is full", Some(DISK_FULL_HINT))
        );
    }
    let denied = Wrapped(io::ErrorKind::PermissionDenied.into());
    assert_eq!(Error::new(ErrorCode::Storage, "a").with_source(denied).code(), ErrorCode::Storage);
    let full = Wrapped(io::ErrorKind::StorageFull.into());
    assert_eq!(Error::new(ErrorCode::StepFailed, "a").with_source(full).code(), ErrorCode::StepFailed);
}

#[test]
fn a_chain_names_each_cause_once() {
    let inner = Error::new(ErrorCode::Storage, "writing `a`: denied").with_source(io::Error::other("denied"));
    let outer = Error::new(ErrorCode::StepFailed, "step `x`: writing `a`").with_source(inner);
    assert_eq!(outer.chain(), "step `x`: writing `a`: denied");
}
