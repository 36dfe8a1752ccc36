//! Errors as people and programs meet them: a code from a closed table, a
//! message that names the thing, a hint that says the next act.

use std::fmt;

/// The canonical kinds; each door maps a kind to a status of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong.
    InvalidArgument,
    /// The thing named does not exist.
    NotFound,
    /// The thing to be made exists.
    AlreadyExists,
    /// The state of the thing forbids it now.
    FailedPrecondition,
    /// The caller may not.
    PermissionDenied,
    /// The caller is unknown.
    Unauthenticated,
    /// A named limit was reached.
    ResourceExhausted,
    /// It took longer than allowed.
    DeadlineExceeded,
    /// Not now; trying again may help.
    Unavailable,
    /// Our fault.
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

            /// The code's name, as in answers and documents.
            pub fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// The kind, which settles status codes.
            pub fn kind(self) -> ErrorKind { match self { $(Self::$variant => ErrorKind::$kind,)* } }
        }
    };
}

codes! {
    /// The request is malformed or holds a value that is not allowed.
    InvalidArgument = "invalid-argument", InvalidArgument;
    /// The project file does not hold together.
    ProjectFile = "project-file", InvalidArgument;
    /// SQL that does not plan, or is not allowed.
    Sql = "sql", InvalidArgument;
    /// A source file cannot be read as what it claims to be.
    SourceFile = "source-file", InvalidArgument;
    /// The schema of new rows does not fit the dataset.
    SchemaChanged = "schema-changed", FailedPrecondition;
    /// A file that was taken over before has other content now.
    FileChanged = "file-changed", FailedPrecondition;
    /// A load was held by its checks.
    LoadHeld = "load-held", FailedPrecondition;
    /// A step failed.
    StepFailed = "step-failed", FailedPrecondition;
    /// A request does not fit a model's signature.
    Signature = "signature", InvalidArgument;
    /// The file is no model this place can use.
    Model = "model", InvalidArgument;
    /// Something promised evidence that is missing or too old.
    Evidence = "evidence", FailedPrecondition;
    /// The thing named does not exist.
    NotFound = "not-found", NotFound;
    /// The thing to be made exists.
    AlreadyExists = "already-exists", AlreadyExists;
    /// The state of the thing forbids it now.
    WrongState = "wrong-state", FailedPrecondition;
    /// No credentials, or none that are known.
    Unauthenticated = "unauthenticated", Unauthenticated;
    /// The credentials do not allow it.
    PermissionDenied = "permission-denied", PermissionDenied;
    /// A request came from a page or host that is not this server.
    CrossSite = "cross-site", PermissionDenied;
    /// A body, batch, page, queue or answer is over its limit.
    TooLarge = "too-large", ResourceExhausted;
    /// A queue is full; try again later.
    Busy = "busy", Unavailable;
    /// It took longer than allowed.
    Timeout = "timeout", DeadlineExceeded;
    /// The server cannot serve this now.
    NotReady = "not-ready", Unavailable;
    /// The ledger does not verify.
    Ledger = "ledger", FailedPrecondition;
    /// A row in the metadata store does not convert: the store is damaged.
    Corrupt = "corrupt", Internal;
    /// Storage failed.
    Storage = "storage", Internal;
    /// Our fault.
    Internal = "internal", Internal;
}

/// An error on its way to a person or program.
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

    /// What is not there.
    pub fn not_found(noun: &str, name: impl fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, format!("{noun} `{name}` does not exist"))
    }

    /// Our own fault, with its cause.
    pub fn internal(message: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorCode::Internal, message).because(source)
    }

    /// The same refusal in other words: its code and its next act, without its cause.
    #[must_use]
    pub fn reworded(&self, message: impl Into<String>) -> Self {
        Self { code: self.code, message: message.into(), hint: self.hint.clone(), source: None }
    }

    /// Adds the next act, a command if there is one.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As [`Error::hint`], when a next act is known; else the error as it is.
    #[must_use]
    pub fn hint_if_known(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
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

    /// The next act, when one is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The chain of causes, outermost first, as one line for the log.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
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
