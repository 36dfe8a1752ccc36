//! The bytes that the bodies of a request take, reserved before they are read.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use perennial_core::{Error, ErrorCode, Result};

use crate::limits;
use crate::quota::{Exceeded, Holder, Permit, Quota};

/// What one request reserved for its body; an extension of the request. The reservation ends when the handler has ended
/// and the body is dropped.
pub(crate) struct BodyAccount {
    quota: Quota,
    holder: Holder,
    /// Bytes that a body may have at most, whatever its route allows.
    bytes_max: usize,
    reserved: Mutex<Option<Permit>>,
}

impl BodyAccount {
    /// An account of a peer that has not authenticated: its bodies are forms.
    pub(crate) fn public(quota: Quota, peer: Holder) -> Arc<Self> {
        Self::new(quota, peer, limits::PUBLIC_BODY_BYTES_MAX)
    }

    /// An account of a principal.
    pub(crate) fn authenticated(quota: Quota, principal: Holder) -> Arc<Self> {
        Self::new(quota, principal, usize::MAX)
    }

    fn new(quota: Quota, holder: Holder, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { quota, holder, bytes_max, reserved: Mutex::default() })
    }

    /// The account of a request.
    pub(super) fn of(parts: &Parts) -> Result<Arc<Self>> {
        parts
            .extensions
            .get::<Arc<Self>>()
            .cloned()
            .ok_or_else(|| Error::internal("the request has no account of body bytes", "it did not pass the perimeter"))
    }

    /// The limit of a body for which the route allows `bytes_max`.
    pub(super) fn limit(&self, bytes_max: usize) -> usize {
        bytes_max.min(self.bytes_max)
    }

    /// Makes sure that `bytes` are reserved in total.
    pub(super) fn reserve(&self, bytes: usize) -> Result<()> {
        if bytes <= limits::BODY_BYTES_UNCOUNTED {
            return Ok(());
        }
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = bytes as u64;
        let taken = match reserved.as_mut() {
            Some(permit) => permit.grow(bytes.saturating_sub(permit.amount())),
            None => self.quota.acquire(self.holder, bytes).map(|permit| *reserved = Some(permit)),
        };
        taken.map_err(|exceeded| {
            let held = match exceeded {
                Exceeded::Total => format!("bodies of {} bytes are being processed", limits::BODY_BYTES_TOTAL_MAX),
                Exceeded::Share => {
                    format!("bodies of yours of {} bytes are being processed", limits::BODY_BYTES_SHARE_MAX)
                }
            };
            Error::new(ErrorCode::Busy, held).with_hint("try again in a moment, or send less at once")
        })
    }

    /// The bytes of a body, which keep the reservation.
    pub(super) fn attach(self: Arc<Self>, bytes: Bytes) -> Bytes {
        if bytes.len() <= limits::BODY_BYTES_UNCOUNTED {
            return bytes;
        }
        Bytes::from_owner(Reserved { bytes, _account: self })
    }
}

/// Bytes that were reserved.
struct Reserved {
    bytes: Bytes,
    _account: Arc<BodyAccount>,
}

impl AsRef<[u8]> for Reserved {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
