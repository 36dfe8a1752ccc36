//! The error that use cases return: a code from a closed table, a message that names the thing, a hint with the
//! next action.

use std::{fmt, io};

use crate::text::append_cause;

/// The kinds of errors; each entry point maps a kind to its own status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong.
    InvalidArgument,
    /// The thing named does not exist.
    NotFound,
    /// The thing to be made exists.
    AlreadyExists,
    /// The current state of the thing forbids the request.
    FailedPrecondition,
    /// The caller lacks the permission.
    PermissionDenied,
    /// The caller is not authenticated.
    Unauthenticated,
    /// A named limit was reached.
    ResourceExhausted,
    /// The request took longer than allowed.
    DeadlineExceeded,
    /// The server cannot answer now; a retry may succeed.
    Unavailable,
    /// A defect of the server.
    Internal,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $kind:ident;)*) => {
        /// The closed table of error codes; each has a page `docs/errors/<name>.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, as in responses and documents.
            pub fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// The kind, which determines status codes.
            pub fn kind(self) -> ErrorKind { match self { $(Self::$variant => ErrorKind::$kind,)* } }
        }
    };
}

codes! {
    /// The request is malformed or holds a value that is not allowed.
    InvalidArgument = "invalid-argument", InvalidArgument;
    /// The project file is not valid.
    ProjectFile = "project-file", InvalidArgument;
    /// SQL that cannot be planned or is not allowed.
    Sql = "sql", InvalidArgument;
    /// A source file does not have the format it is declared with.
    SourceFile = "source-file", InvalidArgument;
    /// The schema of new rows differs from the dataset's.
    SchemaChanged = "schema-changed", FailedPrecondition;
    /// A file that was loaded before has changed since.
    FileChanged = "file-changed", FailedPrecondition;
    /// A load was held by its checks.
    LoadHeld = "load-held", FailedPrecondition;
    /// Work is held because servers died while they did it.
    Held = "held", FailedPrecondition;
    /// A step failed.
    StepFailed = "step-failed", FailedPrecondition;
    /// A request does not fit a model's signature.
    Signature = "signature", InvalidArgument;
    /// The file is not a model that is supported here.
    Model = "model", InvalidArgument;
    /// Required evidence is missing or has expired.
    Evidence = "evidence", FailedPrecondition;
    /// The thing named does not exist.
    NotFound = "not-found", NotFound;
    /// The thing to be made exists.
    AlreadyExists = "already-exists", AlreadyExists;
    /// The current state of the thing forbids the request.
    WrongState = "wrong-state", FailedPrecondition;
    /// The request has no valid credentials.
    Unauthenticated = "unauthenticated", Unauthenticated;
    /// The credentials do not allow it.
    PermissionDenied = "permission-denied", PermissionDenied;
    /// A request came from a page of another site, or names a host that is not allowed.
    CrossSite = "cross-site", PermissionDenied;
    /// A body, batch, page, queue or response exceeds its limit.
    TooLarge = "too-large", ResourceExhausted;
    /// A queue or a log is full; try again later.
    Busy = "busy", Unavailable;
    /// The request took longer than allowed.
    Timeout = "timeout", DeadlineExceeded;
    /// The server cannot serve this now.
    NotReady = "not-ready", Unavailable;
    /// The ledger does not verify.
    Ledger = "ledger", FailedPrecondition;
    /// A row in the metadata store cannot be converted: the store is damaged.
    Corrupt = "corrupt", Internal;
    /// Storage failed.
    Storage = "storage", Internal;
    /// A defect of the server.
    Internal = "internal", Internal;
}

/// An error for a person or program: code, message, hint, source.
pub struct Error {
    code: ErrorCode,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a one-line lowercase message that names the thing in backticks.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, source: None }
    }

    /// The error for a thing that does not exist.
    pub fn not_found(noun: &str, name: impl fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, format!("{noun} `{name}` does not exist"))
    }

    /// A defect of the server, with its source.
    pub fn internal(message: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorCode::Internal, message).with_source(source)
    }

    /// The same code and hint with another message; the source is dropped.
    #[must_use]
    pub fn with_message(&self, message: impl Into<String>) -> Self {
        Self { code: self.code, message: message.into(), hint: self.hint.clone(), source: None }
    }

    /// Adds the next action, a command if there is one.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// [`Error::with_hint`] if there is one.
    #[must_use]
    pub fn with_optional_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.with_hint(hint),
            None => self,
        }
    }

    /// Adds the source. An error of storage whose cause is a full disk is [`ErrorCode::Busy`]: the request succeeds when
    /// there is room again.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        if self.code == ErrorCode::Storage && is_disk_full(&*source) {
            self.code = ErrorCode::Busy;
            append_cause(&mut self.message, "the disk is full");
            self.hint = Some(DISK_FULL_HINT.to_owned());
        }
        self.source = Some(source);
        self
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The kind of the code.
    pub fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// The message: one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The next action, if one is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The message and its sources, outermost first, as one line for the log. What the line says already is left out.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            append_cause(&mut text, &cause.to_string());
            next = cause.source();
        }
        text
    }
}

/// The next action when a disk is full.
pub const DISK_FULL_HINT: &str = "make room on the disk: `perennial doctor` shows how much is free";

/// Whether an error was caused by a full disk.
fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |cause| cause.source());
    causes.any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.code.name(), self.chain())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests;
