//! How the door is opened.

/// Named limits of everything that grows. Beyond one the answer is a clear error.
pub mod limits {
    use std::time::Duration;

    /// Bytes of a JSON body of the native routes.
    pub const BODY_BYTES_MAX: usize = 1024 * 1024;
    /// Bytes of a form of a page.
    pub const FORM_BYTES_MAX: usize = 32 * 1024;
    /// Bytes of an inference request, before and after it is decompressed. An endpoint may take less.
    pub const INFER_BYTES_MAX: usize = perennial_app::endpoints::REQUEST_BYTES_MAX as usize;
    /// Bytes of a refused body that are still read, so that whoever sends them comes to read the refusal.
    pub const DISCARDED_BYTES_MAX: usize = 128 * 1024 * 1024;
    /// Rows of an inference request.
    pub const INFER_ROWS_MAX: usize = 100_000;
    /// Tensors of an inference request.
    pub const INFER_TENSORS_MAX: usize = 4_096;
    /// Bytes of an inference request that is answered on its connection's task; a larger or compressed one on a thread beside.
    pub const INFER_INLINE_BYTES: usize = 16 * 1024;
    /// Large inference requests under way at once; one more is told to come back.
    pub const INFER_LARGE_MAX: usize = 16;
    /// How long a body may take to arrive.
    pub const BODY_TIME_MAX: Duration = Duration::from_secs(60);
    /// How long the head of a request may take to arrive; an idle connection ends then, too.
    pub const HEAD_TIME_MAX: Duration = Duration::from_secs(75);
    /// Connections at once; more wait to be accepted.
    pub const CONNECTIONS_MAX: usize = 4_096;
    /// Requests under way at once; one more is told to come back.
    pub const REQUESTS_MAX: usize = 2_048;
    /// Items of a page, when the request does not say.
    pub const PAGE_DEFAULT: u32 = 100;
    /// Items of a page.
    pub const PAGE_MAX: u32 = 1_000;
    /// Milliseconds a long poll waits.
    pub const WAIT_MS_MAX: u64 = 30_000;
}

/// How the door is opened.
#[derive(Clone)]
pub struct Options {
    /// Whether callers say who they are. Without it, only callers on this machine's loopback are
    /// answered, whatever address the server listens at, and they may do everything.
    pub auth: bool,
    /// Further names this server is called by; `localhost` and bare addresses always pass.
    pub hosts: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { auth: true, hosts: Vec::new() }
    }
}
