//! A response body that holds something until the peer has read it.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};

/// Bytes of a response that is written at once, so that nothing needs to be held for it.
const WRITTEN_AT_ONCE: u64 = 16 * 1024;

/// The response, which holds `held` until its body was read or dropped.
pub(crate) fn hold<T: Send + Unpin + 'static>(response: Response, held: T) -> Response {
    if response.body().size_hint().upper().is_some_and(|bytes| bytes <= WRITTEN_AT_ONCE) {
        return response;
    }
    response.map(|body| Body::new(HeldBody { body, _held: held }))
}

struct HeldBody<T> {
    body: Body,
    _held: T,
}

impl<T: Unpin> hyper::body::Body for HeldBody<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
