//! Content with an entity tag: conditional and range requests (RFC 9110, sections 13 and 14).

use std::ops::{Bound, Range};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use headers::{AcceptRanges, ContentLength, ContentRange, ETag, HeaderMapExt, IfMatch, IfNoneMatch, IfRange};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use perennial_core::{Error, Result};

#[cfg(test)]
mod tests;

/// Content that requests may ask for conditionally or in part.
#[derive(Debug, Clone)]
pub struct Content {
    media_type: HeaderValue,
    size_bytes: u64,
    etag: ETag,
}

/// What a request gets of some content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing: the client has it.
    NotModified,
    /// Nothing: it is not the content that the client requires (`If-Match`).
    PreconditionFailed,
    /// Nothing: it has no such bytes.
    Unsatisfiable,
}

impl Content {
    /// Content of a media type, whose bytes are identified by `digest`.
    ///
    /// # Errors
    /// When the digest or the media type is not a header value.
    pub fn new(media_type: &str, size_bytes: u64, digest: &str) -> Result<Self> {
        let invalid = |what: &str| Error::internal(format!("a {what} is not a header value"), what.to_owned());
        let etag = format!("\"{digest}\"").parse().map_err(|_| invalid("digest"))?;
        let media_type = media_type.parse().map_err(|_| invalid("media type"))?;
        Ok(Self { media_type, size_bytes, etag })
    }

    /// What a GET request gets. A range that is malformed, or one of several, is ignored, as the standard permits.
    pub fn select(&self, headers: &HeaderMap) -> Selection {
        if headers.typed_get::<IfMatch>().is_some_and(|required| !required.precondition_passes(&self.etag)) {
            return Selection::PreconditionFailed;
        }
        if headers.typed_get::<IfNoneMatch>().is_some_and(|held| !held.precondition_passes(&self.etag)) {
            return Selection::NotModified;
        }
        if headers.typed_get::<IfRange>().is_some_and(|held| held.is_modified(Some(&self.etag), None)) {
            return Selection::Whole;
        }
        let range = headers.typed_get::<headers::Range>();
        let mut ranges = range.iter().flat_map(|range| range.satisfiable_ranges(self.size_bytes));
        match (ranges.next(), ranges.next()) {
            (Some((Bound::Included(first), last)), None) => self.part(first, last),
            _ => Selection::Whole,
        }
    }

    fn part(&self, first: u64, last: Bound<u64>) -> Selection {
        let end = match last {
            Bound::Included(last) if last < first => return Selection::Whole,
            Bound::Included(last) => self.size_bytes.min(last.saturating_add(1)),
            _ => self.size_bytes,
        };
        if first < end { Selection::Part(first..end) } else { Selection::Unsatisfiable }
    }

    /// The response to a request that gets `selection`; `body` has just the selected bytes.
    pub fn response(&self, selection: &Selection, body: Body) -> Response {
        let (status, length) = match selection {
            Selection::Whole => (StatusCode::OK, self.size_bytes),
            Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, range.end - range.start),
            Selection::NotModified => return (StatusCode::NOT_MODIFIED, self.headers()).into_response(),
            Selection::PreconditionFailed => return StatusCode::PRECONDITION_FAILED.into_response(),
            Selection::Unsatisfiable => {
                let mut headers = HeaderMap::new();
                headers.typed_insert(ContentRange::unsatisfied_bytes(self.size_bytes));
                return (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response();
            }
        };
        let mut headers = self.headers();
        headers.insert(header::CONTENT_TYPE, self.media_type.clone());
        headers.typed_insert(ContentLength(length));
        if let Selection::Part(range) = selection
            && let Ok(range) = ContentRange::bytes(range.clone(), self.size_bytes)
        {
            headers.typed_insert(range);
        }
        (status, headers, body).into_response()
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.typed_insert(self.etag.clone());
        headers.typed_insert(AcceptRanges::bytes());
        headers
    }
}
