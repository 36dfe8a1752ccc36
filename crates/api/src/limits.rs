//! Named limits of the JSON routes. Beyond one the response is a clear error.

/// Bytes of a JSON body of the native routes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of an inference request, before and after it is decompressed. An endpoint may accept less.
pub const INFER_BYTES_MAX: usize = perennial_release::endpoints::REQUEST_BYTES_MAX as usize;
/// Rows of an inference request.
pub const INFER_ROWS_MAX: usize = 100_000;
/// Tensors or columns of an inference request.
pub const INFER_TENSORS_MAX: usize = 4_096;
/// Values of an inference request, the missing ones of a scoring request included.
pub const INFER_CELLS_MAX: usize = 10_000_000;
/// Bytes of an inference request that is answered on its connection's task; a larger or compressed one is answered on
/// the blocking pool.
pub const INFER_INLINE_BYTES: usize = 16 * 1024;
/// Items of a page, when the request does not say.
pub const PAGE_DEFAULT: u32 = 100;
/// Items of a page.
pub const PAGE_MAX: u32 = 1_000;
/// Milliseconds a long poll waits.
pub const WAIT_MS_MAX: u64 = 30_000;
